"""Exceptions of the package, and helpers that write their messages.

Every exception is also a builtin one, so that `except ValueError` catches it. A message states the rule and what was
given instead, then, as a sentence of its own, what to do.
"""

from __future__ import annotations

import dataclasses
import sys
import textwrap
import unicodedata
import warnings
from collections.abc import Iterable, Mapping, Sized
from typing import Any

from pydantic import ValidationError


class SynthvaeError(Exception):
    """Base class of all exceptions that synthvae raises.

    Attributes:
        ledger: The privacy ledger of a fit that failed after it had spent a part of its budget, else None.
    """

    ledger: Any = None


class SchemaError(SynthvaeError, ValueError):
    """A schema is inconsistent or cannot be read."""


class TableError(SynthvaeError, ValueError):
    """A table cannot be read, violates its schema, or cannot be modelled."""


class TableTypeError(TableError, TypeError):
    """An object is not a table."""


class RequestError(SynthvaeError, ValueError):
    """The requested rows cannot be generated: an unknown class, a negative count, or a model without classes."""


class ConfigurationError(SynthvaeError, ValueError):
    """A parameter has a value that is not allowed."""


class PrivacyError(SynthvaeError, ValueError):
    """A privacy guarantee cannot be given: something is not public, or the budget is too small."""


class ClusterError(SynthvaeError, RuntimeError):
    """There is no cluster, or a job failed there repeatedly."""


class ArtifactError(SynthvaeError, ValueError):
    """A model directory is missing, damaged, or of a newer format."""


class DatasetError(SynthvaeError, OSError):
    """A dataset or another output file cannot be written or resumed."""


def listing(names: Iterable[object], limit: int = 10) -> str:
    """Return `names` for a message: the first ones, and how many there are.

    >>> listing(["age", "sex", "income"], 2)
    "['age', 'sex', ... (3 in all)]"
    """
    shown = list(names)
    rest = f", ... ({len(shown)} in all)" if len(shown) > limit else ""
    return f"[{', '.join(map(repr, shown[:limit]))}{rest}]"


# Control and format characters, among them those that reverse the direction of text, surrogates, characters for private
# use, line and paragraph separators: they change what a terminal shows.
STEERING = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})


def escaped(text: object) -> str:
    r"""Return text from a file for a terminal, a report or a model card: one line, with escapes for `STEERING`.

    >>> escaped("ok\x1b[2J\nprivacy: none")
    'ok\\x1b[2J\\nprivacy: none'
    """
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(
        letter.encode("unicode_escape").decode() if unicodedata.category(letter) in STEERING else letter
        for letter in shown
    )


MOST_SHOWN = 60  # characters of a text in a representation


def brief(owner: object) -> str:
    """Return the representation of a dataclass or pydantic model: sizes in place of values, which may be real rows.

    >>> brief(dataclasses.make_dataclass("Rows", ["ages", "seed"])([31, 45], 0))
    'Rows(ages=<2 values>, seed=0)'
    """
    kind: Any = type(owner)
    names = [one.name for one in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else kind.model_fields
    values = vars(owner)
    shown = ", ".join(f"{name}={_brief_value(values[name])}" for name in names if values.get(name) is not None)
    return f"{kind.__name__}({shown})"


def _brief_value(value: Any) -> str:
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    if isinstance(value, str):
        return repr(value[:MOST_SHOWN]) + "..." * (len(value) > MOST_SHOWN)
    kind = type(value)
    if vars(kind).get("__repr__") is brief:
        return repr(value)
    if isinstance(size := getattr(value, "shape", None), tuple):
        return f"<{' x '.join(map(str, size))} {kind.__name__}>"
    return f"<{len(value)} values>" if isinstance(value, Sized) else f"<{kind.__name__}>"


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning that points to the line outside this package from which the call came."""
    level, frame = 2, sys._getframe(1)  # noqa: SLF001 (what `warnings` itself uses)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "synthvae":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


MAX_MESSAGE = 2_000  # characters of a message about a document, which may come from anybody
MAX_VALUE = 60  # characters of a wrong value in it


def explain(error: ValidationError, given: Any = None) -> str:
    """Return the first error that pydantic found in a document, on one line: the keys to it, the rule, and the value.

    Messages of validators that begin with a backtick or "Column" name the key themselves.

    Args:
        error: The error.
        given: The document; with it the keys do not include pydantic's names for the members of a union.
    """
    first = error.errors()[0]
    keys = first["loc"] if given is None or first["type"] == "missing" else keys_within(first["loc"], given)
    place = f"`{'.'.join(map(str, keys))}`" if keys else ""
    message = textwrap.shorten(first["msg"].removeprefix("Value error, "), MAX_MESSAGE, placeholder=" [...]")
    if first["type"] == "missing":
        return f"{place} is missing. Add it."
    if first["type"] == "value_error":
        return message if not place or message.startswith(("`", "Column ")) else f"{place}: {message}"
    if first["type"] == "extra_forbidden":
        return f"{place} is not a known key. Remove it."
    rule = f"{message[:1].lower()}{message[1:]}, got {first['input']!r:.{MAX_VALUE}}."
    return f"{place}: {rule}" if place else rule


def keys_within(location: Iterable[int | str], given: Any) -> list[int | str]:
    """Return the parts of the location of an error that are keys or indices of `given`."""
    keys = []
    for part in location:
        items = dict(enumerate(given)) if isinstance(given, (list, tuple)) else given
        if isinstance(items, Mapping) and part in items:
            given = items[part]
            keys.append(part)
    return keys
