"""Conversion and rounding of single values, for the fields of a schema and for messages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

DIGITS = 4  # significant digits of a number that is shortened


def storable(number: int) -> int:
    """Return a whole number if one of Arrow's integer types can hold it."""
    if not -(1 << 63) <= number < 1 << 64:
        raise ValueError("a whole number must fit into 64 bits")
    return number


def plain(value: Any) -> Any:
    """Convert a NumPy scalar, as `frame.unique()` and `min()` return it, to a Python value."""
    return value.item() if hasattr(value, "item") else value


def plain_items(values: Any) -> Any:
    """Convert a list, array or other series to a tuple of Python values; return anything else as it is."""
    if values is None or isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        return values
    return tuple(plain(value) for value in values)


def parse_timestamps(values: Any) -> Any:
    """Convert the ISO texts in a tuple, as JSON has them, to dates and datetimes."""
    if not isinstance(values, tuple):
        return values
    return tuple(parse_timestamp(value) if isinstance(value, str) else value for value in values)


def parse_timestamp(text: str) -> dt.date:
    """Convert ISO text to a date, or to a datetime if it has a time of day."""
    return dt.date.fromisoformat(text) if len(text) == len("2020-12-31") else dt.datetime.fromisoformat(text)


def rounded_up(number: float, digits: int = DIGITS) -> float:
    """Round a positive number up to `digits` significant digits.

    >>> rounded_up(0.99991), rounded_up(1.23456e-6, 3)
    (1.0, 1.24e-06)
    """
    return shortened(number, digits, ROUND_CEILING)


def rounded_down(number: float, digits: int = DIGITS) -> float:
    """Round a positive number down to `digits` significant digits.

    >>> rounded_down(0.99999)
    0.9999
    """
    return shortened(number, digits, ROUND_FLOOR)


def shortened(number: float, digits: int, how: str) -> float:
    """Round a number to `digits` significant digits with a rounding mode of `decimal`, such as `ROUND_CEILING`."""
    exact = Decimal(repr(number))
    if not exact or not exact.is_finite():
        return number
    return float(exact.quantize(Decimal(1).scaleb(exact.adjusted() - digits + 1), rounding=how))


def at_most(number: float) -> str:
    """Format a positive number that is an upper bound: shortened, and never rounded down.

    >>> at_most(0.99994), at_most(2e-5)
    ('1', '2e-05')
    """
    return f"{rounded_up(number):g}"
