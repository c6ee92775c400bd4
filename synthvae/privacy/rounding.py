"""Numbers of a promise, shortened so that what is printed never promises more than what holds."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

DIGITS = 4  # significant ones


def rounded_up(number: float, digits: int = DIGITS) -> float:
    """Return the least number of so many significant digits that is not below a positive one.

    >>> rounded_up(0.99991), rounded_up(1.23456e-6, 3)
    (1.0, 1.24e-06)
    """
    return _rounded(number, digits, ROUND_CEILING)


def rounded_down(number: float, digits: int = DIGITS) -> float:
    """Return the largest number of so many significant digits that is not above a positive one.

    >>> rounded_down(0.99999)
    0.9999
    """
    return _rounded(number, digits, ROUND_FLOOR)


def _rounded(number: float, digits: int, how: str) -> float:
    exact = Decimal(repr(number))
    if not exact or not exact.is_finite():
        return number
    return float(exact.quantize(Decimal(1).scaleb(exact.adjusted() - digits + 1), rounding=how))
