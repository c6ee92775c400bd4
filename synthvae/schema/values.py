"""Single values, as pages and tables have them, made plain: what the fields of a schema go through first."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

DIGITS = 4  # significant ones of a number that is shortened


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


def rounded_up(number: float, digits: int = DIGITS) -> float:
    """Return the least number of so many significant digits that is not below a positive one.

    >>> rounded_up(0.99991), rounded_up(1.23456e-6, 3)
    (1.0, 1.24e-06)
    """
    return shortened(number, digits, ROUND_CEILING)


def rounded_down(number: float, digits: int = DIGITS) -> float:
    """Return the largest number of so many significant digits that is not above a positive one.

    >>> rounded_down(0.99999)
    0.9999
    """
    return shortened(number, digits, ROUND_FLOOR)


def shortened(number: float, digits: int, how: str) -> float:
    """Return a number with so many significant digits, rounded as `decimal` says, such as `ROUND_CEILING`."""
    exact = Decimal(repr(number))
    if not exact or not exact.is_finite():
        return number
    return float(exact.quantize(Decimal(1).scaleb(exact.adjusted() - digits + 1), rounding=how))


def at_most(number: float) -> str:
    """A positive number as it is printed where it bounds something from above: shortened, and never below.

    >>> at_most(0.99994), at_most(2e-5)
    ('1', '2e-05')
    """
    return f"{rounded_up(number):g}"
