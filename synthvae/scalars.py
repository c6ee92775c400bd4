"""Single values, as pages and tables have them, made plain: what the fields of a schema go through first."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any


def storable(number: int) -> int:
    """A whole number, if one of Arrow's types can hold it."""
    if not -(1 << 63) <= number < 1 << 64:
        raise ValueError("a whole number must fit 64 bits, however, one does not")
    return number


def plain(value: Any) -> Any:
    """NumPy scalars, as they come from `frame.unique()` or `min()`, become Python's."""
    return value.item() if hasattr(value, "item") else value


def plain_items(values: Any) -> Any:
    """A list, array or other series as a tuple of Python's values."""
    if values is None or isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        return values
    return tuple(plain(value) for value in values)


def moments(values: Any) -> Any:
    """ISO text, as JSON has it, becomes a date or datetime."""
    if not isinstance(values, tuple):
        return values
    return tuple(moment(value) if isinstance(value, str) else value for value in values)


def moment(text: str) -> dt.date:
    """A date, or a datetime, of ISO text."""
    return dt.date.fromisoformat(text) if len(text) == len("2020-12-31") else dt.datetime.fromisoformat(text)
