"""Read YAML mappings (recipes, parameters) and report unknown keys."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from synthvae import filesystem, safe_yaml
from synthvae.errors import ConfigurationError, explain, keys_within, listing

MAX_BYTES = 1 << 20  # a longer recipe cannot be reviewed
MAX_VALUES = 50_000


def read_mapping(path: Path) -> dict[str, Any]:
    """Return the mapping of a YAML file; 1e-5 is read as a number.

    Raises:
        ConfigurationError: The file cannot be read, is too long, is no YAML mapping, or has aliases or duplicate keys.
        FileNotFoundError: There is no such file.
    """
    filesystem.local_path(path, "A file of parameters, or a recipe,")
    try:
        given = safe_yaml.load(safe_yaml.read(path, MAX_BYTES), MAX_VALUES, safe_yaml.ExponentLoader)
    except ValueError as error:
        raise ConfigurationError(f"{path} {error}") from error
    if not isinstance(given, dict):
        found = "an empty file" if given is None else f"a {type(given).__name__}"
        raise ConfigurationError(f"{path} must be a mapping, got {found}. Write `key: value` lines.")
    return given


def unknown_key(name: object, known: Iterable[str], where: str) -> ConfigurationError:
    """Return the error for a key that is not known, with the most similar known keys.

    Args:
        name: The key.
        known: The known keys.
        where: Beginning of the message: the file, and the section inside it.
    """
    among = list(known)
    near = difflib.get_close_matches(str(name)[:100], among, 3) or among
    shown = f"{name!r}"[:100]
    return ConfigurationError(f"{where}: unknown key {shown}. Try {listing(near, len(near))}.")


UNKNOWN = ("extra_forbidden", "invalid_key")  # pydantic's error types of an unknown key, and of a key that is no text


def invalid(error: ValidationError, given: Mapping[Any, Any], recipe: type[BaseModel], path: str) -> ConfigurationError:
    """Return the first error that pydantic found, unknown keys before all others."""
    first = min(error.errors(), key=lambda one: one["type"] not in UNKNOWN)
    if first["type"] in UNKNOWN:
        sections, name = keys_within(first["loc"][:-1], given), first["loc"][-1]
        section = _section(recipe, sections)
        known = [field.alias or key for key, field in section.model_fields.items()]
        return unknown_key(name, known, ": ".join([path, *map(str, sections)]))
    return ConfigurationError(f"{path}: {explain(error, given)}")


def _section(model: type[BaseModel], keys: list[Any]) -> type[BaseModel]:
    """Return the model of the section at these keys."""
    for key in keys:
        kind = model.model_fields[key].annotation
        sides = get_args(kind) if isinstance(kind, types.UnionType) or get_args(kind) else (kind,)
        model = next(side for side in sides if isinstance(side, type) and issubclass(side, BaseModel))
    return model
