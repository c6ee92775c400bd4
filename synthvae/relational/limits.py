"""Limits of numbers: without the extremes of few subjects, and those of their types."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from synthvae.encoding.arrays import Floats, Mask
from synthvae.encoding.temporal import TemporalEncoding
from synthvae.errors import TableError
from synthvae.relational.sequences import Places
from synthvae.tables.arrow import is_text, plain_type, temporal_type
from synthvae.tables.subjects import ends

FIRST_DATE, LAST_DATE = -719_162, 2_932_896  # days from 1970 to the years 1 and 9999, between which Python has dates


def limited(numbers: Floats, units: Places | None, least: int) -> Floats:
    """Return numbers (rows,) limited to those at or beyond which at least so many subjects have one; NaN stays.

    Args:
        numbers: The numbers.
        units: The subject (rows,) of each; None: each row is one.
        least: The number of subjects; 0: any.

    Example:
        >>> limited(np.array([1.0, 2.0, 3.0, 9.0]), np.arange(4), 2).tolist()
        [2.0, 2.0, 3.0, 3.0]
    """
    known = ~np.isnan(numbers)
    if not least or not known.any():
        return numbers
    found = ends(numbers[known], None if units is None else units[known], least)
    return np.full_like(numbers, np.nan) if found is None else np.clip(numbers, *found)


def range_of(kind: pa.DataType, dates: TemporalEncoding | None = None) -> tuple[float, float]:
    """Return the smallest and the largest number that a column of a type can have.

    Args:
        kind: The type.
        dates: The encoding of a column of dates, whose numbers are steps from its origin; None: they are the values.

    Example:
        >>> range_of(pa.int8()), range_of(pa.float64())
        ((-128.0, 127.0), (-inf, inf))
    """
    plain = plain_type(kind)
    if dates is not None:
        stored = pa.int64() if pa.types.is_integer(plain) else temporal_type(plain, date=dates.column.kind == "date")
        low, high = _ticks(stored)
        return (low - dates.origin) / dates.step, (high - dates.origin) / dates.step
    if not pa.types.is_integer(plain) or is_text(plain):
        return -np.inf, np.inf
    ends = np.iinfo(plain.to_pandas_dtype())
    return float(ends.min), float(ends.max)


def _ticks(kind: pa.DataType) -> tuple[int, int]:
    """The smallest and the largest number of units of a type of dates or times."""
    if pa.types.is_date32(kind):
        return FIRST_DATE, LAST_DATE
    if pa.types.is_date64(kind):
        return FIRST_DATE * 86_400_000, LAST_DATE * 86_400_000
    ends = np.iinfo(np.int32 if pa.types.is_time32(kind) else np.int64)
    return int(ends.min), int(ends.max)


def refuse_outside(name: str, kind: pa.DataType, outside: Mask) -> None:
    """Refuse values that go on from given ones beyond those of a type.

    Args:
        name: The column.
        kind: Its type.
        outside: Which values (rows,) the type does not have.

    Raises:
        TableError: There is one.
    """
    if outside.any():
        raise TableError(
            f"Column {name!r}: later values must be those that its type {kind} has, got {int(outside.sum()):,} that go "
            "on from given ones beyond its end. Give smaller values, or fit the model to a column of a wider type."
        )
