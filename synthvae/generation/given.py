"""Conditions on any columns, as users pass them: a value, a list of values, an interval, missing or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from synthvae.errors import RequestError, listing

Given = Mapping[str, Any]
"""Conditions by column.

A value fixes the column (None, NaN or `pandas.NA`: missing); a list, set or Series allows its values; a tuple of two is
an interval with both ends, of which None is open; so `(None, None)` allows any value that is not missing.
"""


class Interval(NamedTuple):
    """From `low` to `high`, both included; None: no limit."""

    low: Any
    high: Any


class OneOf(NamedTuple):
    """One of some values."""

    values: tuple[Any, ...]


class Exactly(NamedTuple):
    """One value; None: missing."""

    value: Any


Condition = Interval | OneOf | Exactly


def parse(given: Given, names: tuple[str, ...]) -> dict[str, Condition]:
    """Return the conditions by column.

    Args:
        given: The conditions as users pass them.
        names: The columns of the table.

    Raises:
        RequestError: A column is unknown, a list is empty, or a tuple is no interval.
    """
    if not isinstance(given, Mapping):
        raise RequestError(f"`given` must be a mapping from columns to conditions or a table, got {given!r}.")
    if len({str(name) for name in given}) < len(given):
        raise RequestError(f"`given` must name each column once, got {listing(given)}.")
    unknown = [name for name in map(str, given) if name not in names]
    if unknown:
        raise RequestError(f"`given` must name columns of the table, got {listing(unknown)}. It has {listing(names)}.")
    return {str(name): _condition(str(name), value) for name, value in given.items()}


def _condition(name: str, value: Any) -> Condition:
    if isinstance(value, tuple):
        if len(value) != 2:
            raise RequestError(f"An interval of {name!r} must be a tuple of two, got {value!r}. Give a list of values.")
        return Interval(*(None if pd.isna(limit) else limit for limit in value))
    if pd.api.types.is_list_like(value) and not isinstance(value, Mapping):
        values = tuple(value)
        if not values:
            raise RequestError(f"The list of values of {name!r} must not be empty. Remove the condition.")
        return OneOf(values)
    if not pd.api.types.is_scalar(value) and not hasattr(value, "isoformat"):
        raise RequestError(f"A condition on {name!r} must be a value, a list or an interval (a tuple), got {value!r}.")
    return Exactly(None if pd.isna(value) else value)


def parse_text(text: str) -> tuple[str, Any]:
    """Return the column and the condition of a text such as `age=60..`, `sex=Female`, `ward=A|B`, `died=`.

    Values of a list are separated by `|`; two dots between limits make an interval; nothing stands for missing.

    Raises:
        RequestError: The text has no `=`.

    Example:
        >>> parse_text("age=60.."), parse_text("ward=A|B"), parse_text("sex=f")
        (('age', ('60', None)), ('ward', ['A', 'B']), ('sex', 'f'))
    """
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise RequestError(f"A condition must be written COLUMN=VALUE, got {text!r}.")
    if "|" in value:
        return name, [part or None for part in value.split("|")]
    return name, parse_interval(value) or value or None


def parse_interval(text: str) -> tuple[str | None, str | None] | None:
    """Return the limits of an interval such as `60..`; None if a text is none.

    Example:
        >>> parse_interval("60.."), parse_interval("60")
        (('60', None), None)
    """
    low, dots, high = text.partition("..")
    return (low or None, high or None) if dots else None
