"""A page of a recipe, or of parameters, and its keys by name."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from synthvae import safe_yaml
from synthvae.errors import ConfigurationError, listing

LARGEST = 1 << 20  # bytes; nobody reviews a longer page
MOST = 50_000  # values


def read_page(path: Path) -> dict[str, Any]:
    """Return a YAML file that holds values by name; 1e-5 is a number there.

    Raises:
        ConfigurationError: It cannot be read, is too long, no YAML, no mapping, or has aliases or a key twice.
        FileNotFoundError: There is no such file.
    """
    try:
        page = safe_yaml.load(safe_yaml.read(path, LARGEST), MOST, safe_yaml.ExponentLoader)
    except ValueError as error:
        raise ConfigurationError(f"{path} {error}") from error
    if not isinstance(page, dict):
        found = "empty" if page is None else f"a {type(page).__name__}"
        raise ConfigurationError(f"{path} must hold values by name, however, it is {found}: write `key: value` lines")
    return page


def unknown(name: object, known: Iterable[str], where: str) -> ConfigurationError:
    """Return the refusal of a name that is not among the known ones: it names the nearest of these.

    Args:
        name: The name that is there.
        known: Those that may be.
        where: What the message begins with: the file, and the section inside it.
    """
    among = list(known)
    near = difflib.get_close_matches(str(name)[:100], among, 3) or among
    shown = f"{name!r}"[:100]
    return ConfigurationError(f"{where}: a key must be known, however, {shown} is not: try {listing(near, len(near))}")


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
