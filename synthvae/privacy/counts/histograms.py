"""Exact histograms of private values, over fixed cells or over the values themselves; noise is added elsewhere."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from synthvae.tables.arrow import LARGEST_EXACT
from synthvae.tables.parsing import distinct, microseconds, number_of, parsed, plain

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

DECIMALS = 6
# Types of values: missing; whole numbers, and numbers with 1, 2, ... decimals; numbers with more; dates; timestamps;
# everything else.
MISSING, WHOLE, FINER, DATE, TIMESTAMP, ELSE = 0, 1, 2 + DECIMALS, 3 + DECIMALS, 4 + DECIMALS, 5 + DECIMALS
TYPES = ELSE + 1

_POSITIVE = 2.0 ** np.arange(-20, 63)
EDGES = np.concatenate([-_POSITIVE[::-1], [0.0], _POSITIVE])  # of the cells in which numbers are counted
DIGITS = tuple(".0123456789")
YEARS = 1700, 2300  # in which timestamps are counted


def type_counts(table: pa.Table) -> Counts:
    """Return the number of values of each type in every column (columns * TYPES,)."""
    return np.concatenate([np.bincount(value_types(values), minlength=TYPES) for values in table.columns])


def value_types(values: pa.ChunkedArray) -> Counts:
    """Return the type (rows,) of each value."""
    if pa.types.is_dictionary(values.type):
        return np.where(values.is_valid().to_numpy(), ELSE, MISSING)
    read = plain(values)
    kind = read.type
    if pa.types.is_large_binary(kind):
        known, places = distinct(read)
        return np.array([_type_of_text(text) for text in known], np.int64)[places]
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _types_of_numbers(parsed(read))
    present = DATE if pa.types.is_date(kind) else TIMESTAMP if pa.types.is_timestamp(kind) else ELSE
    return np.where(read.is_valid().to_numpy(), present, MISSING)


def _type_of_text(text: str | None) -> int:
    if text is None or not text.strip():
        return MISSING
    digits = text.strip().lstrip("+-")
    coded = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()  # 007 is a code, not a number
    if not coded and digits[:1] in DIGITS and math.isfinite(number := number_of(text)):
        return int(_types_of_numbers(np.array([number]))[0])
    try:
        dt.datetime.fromisoformat(text.strip())
    except ValueError:
        return ELSE
    return DATE if len(text.strip()) == len("2020-12-31") else TIMESTAMP


def _types_of_numbers(numbers: Floats) -> Counts:
    """The type of each number, by the decimals that it needs."""
    found = np.where(np.isfinite(numbers), FINER, MISSING)
    for decimals in range(DECIMALS, -1, -1):
        with np.errstate(over="ignore", invalid="ignore"):
            found[np.round(numbers, decimals) == numbers] = WHOLE + decimals
    return np.where((found == WHOLE) & (np.abs(numbers) > LARGEST_EXACT), ELSE, found).astype(np.int64)


def by_value(values: pa.ChunkedArray) -> dict[Any, int]:
    """Return the count of each text, boolean or number."""
    values = plain(values)
    if pa.types.is_temporal(values.type):
        return {}
    known, places = distinct(values)
    counts = np.bincount(places, minlength=len(known)).tolist()
    counted = {v: n for v, n in zip(known, counts, strict=True) if isinstance(v, (str, bool, int, float)) and v == v}  # noqa: PLR0124 (NaN is not equal to itself)
    return {value: count for value, count in counted.items() if value != ""}


def by_whole_number(values: pa.ChunkedArray) -> dict[Any, int]:
    """Return the count of each whole number, however it is written."""
    numbers = parsed(plain(values))
    inside = numbers[np.abs(numbers) <= LARGEST_EXACT]
    known, counts = np.unique(inside[inside == np.rint(inside)].astype(np.int64), return_counts=True)
    return dict(zip(known.tolist(), counts.tolist(), strict=True))


def magnitudes(values: pa.ChunkedArray) -> Counts:
    """Return the number of numbers in each cell between `EDGES`."""
    numbers = parsed(plain(values))
    inside = np.searchsorted(EDGES, numbers[np.isfinite(numbers)], side="right") - 1
    return np.bincount(np.clip(inside, 0, len(EDGES) - 2), minlength=len(EDGES) - 1)


def years(values: pa.ChunkedArray) -> Counts:
    """Return the number of timestamps in each of the `YEARS`."""
    ticks, known = microseconds(plain(values))
    years = ticks[known].astype("datetime64[us]").astype("datetime64[Y]").astype(np.int64) + 1970
    return np.bincount(np.clip(years, *YEARS) - YEARS[0], minlength=YEARS[1] - YEARS[0] + 1)


def integers(values: pa.ChunkedArray, low: int, high: int) -> Counts:
    """Return the count of each integer from `low` to `high`; numbers beyond count as the nearest."""
    numbers = parsed(plain(values))
    inside = np.clip(numbers[np.isfinite(numbers)], low, high)
    return np.bincount((inside - low).astype(np.int64), minlength=high - low + 1)
