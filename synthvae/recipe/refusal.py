"""What is wrong with a page, in one line: the rule, the fact, the way out."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from synthvae.errors import ConfigurationError
from synthvae.recipe.reading import unknown

UNKNOWN = ("extra_forbidden", "invalid_key")  # what pydantic calls a key that is not known, or is not even text


def refusal(error: ValidationError, page: Mapping[Any, Any], recipe: type[BaseModel], path: str) -> ConfigurationError:
    """The first mistake that pydantic found, as a rule, the fact and the way out; unknown keys before all others."""
    mistakes = sorted(error.errors(), key=lambda mistake: mistake["type"] not in UNKNOWN)
    first = mistakes[0]
    if first["type"] in UNKNOWN:
        sections, name = _trail(first["loc"][:-1], page), first["loc"][-1]
        section = _section(recipe, sections)
        known = [field.alias or key for key, field in section.model_fields.items()]
        return unknown(name, known, ": ".join([path, *map(str, sections)]))
    if first["type"] == "value_error":
        return ConfigurationError(f"{path}: {first['msg'].removeprefix('Value error, ')}")
    if first["type"] == "missing":
        key = ".".join(map(str, first["loc"]))
        return ConfigurationError(f"{path}: `{key}` must be given, however, it is not there: add it")
    key, rule = ".".join(map(str, _trail(first["loc"], page))), first["msg"][0].lower() + first["msg"][1:]
    return ConfigurationError(f"{path}: `{key}`: {rule}, however, it is {first['input']!r:.60}: change it")


def _trail(place: tuple[int | str, ...], page: Any) -> list[Any]:
    """The keys of the page down to a mistake, without what pydantic calls the sides of a union."""
    trail = []
    for part in place:
        items = dict(enumerate(page)) if isinstance(page, list) else page
        if isinstance(items, Mapping) and part in items:
            page = items[part]
            trail.append(part)
    return trail


def _section(model: type[BaseModel], keys: list[Any]) -> type[BaseModel]:
    """The section to which keys lead."""
    for key in keys:
        kind = model.model_fields[key].annotation
        sides = get_args(kind) if isinstance(kind, types.UnionType) or get_args(kind) else (kind,)
        model = next(side for side in sides if isinstance(side, type) and issubclass(side, BaseModel))
    return model
