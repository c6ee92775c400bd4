"""Private values, counted exactly, in cells that are fixed beforehand or by value: what noise is then added to."""

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
MISSING, WHOLE, FINER, DATE, MOMENT, ELSE = 0, 1, 2 + DECIMALS, 3 + DECIMALS, 4 + DECIMALS, 5 + DECIMALS
SORTS = ELSE + 1  # nothing; whole numbers; such with 1, 2, ... decimals; finer ones; dates; moments; all else

_POSITIVE = 2.0 ** np.arange(-20, 63)
EDGES = np.concatenate([-_POSITIVE[::-1], [0.0], _POSITIVE])  # between the cells in which numbers are counted
DIGITS = tuple(".0123456789")
YEARS = 1700, 2300  # in which moments are counted


def sorts_of(table: pa.Table) -> Counts:
    """How many values of each sort every column has (columns * SORTS,)."""
    return np.concatenate([np.bincount(sorts(values), minlength=SORTS) for values in table.columns])


def sorts(values: pa.ChunkedArray) -> Counts:
    """Of which sort (rows,) each value is."""
    if pa.types.is_dictionary(values.type):
        return np.where(values.is_valid().to_numpy(), ELSE, MISSING)
    read = plain(values)
    kind = read.type
    if pa.types.is_large_binary(kind):
        known, places = distinct(read)
        return np.array([_sort_of_text(text) for text in known], np.int64)[places]
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _sorts_of_numbers(parsed(read))
    moment = DATE if pa.types.is_date(kind) else MOMENT if pa.types.is_timestamp(kind) else ELSE
    return np.where(read.is_valid().to_numpy(), moment, MISSING)


def _sort_of_text(text: str | None) -> int:
    if text is None or not text.strip():
        return MISSING
    digits = text.strip().lstrip("+-")
    coded = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()  # 007 is no number
    if not coded and digits[:1] in DIGITS and math.isfinite(number := number_of(text)):
        return int(_sorts_of_numbers(np.array([number]))[0])
    try:
        dt.datetime.fromisoformat(text.strip())
    except ValueError:
        return ELSE
    return DATE if len(text.strip()) == len("2020-12-31") else MOMENT


def _sorts_of_numbers(numbers: Floats) -> Counts:
    """By the digits after the point that each number needs."""
    found = np.where(np.isfinite(numbers), FINER, MISSING)
    for decimals in range(DECIMALS, -1, -1):
        with np.errstate(over="ignore", invalid="ignore"):
            found[np.round(numbers, decimals) == numbers] = WHOLE + decimals
    return np.where((found == WHOLE) & (np.abs(numbers) > LARGEST_EXACT), ELSE, found).astype(np.int64)


def by_value(values: pa.ChunkedArray) -> dict[Any, int]:
    """How often each text, truth or number occurs."""
    values = plain(values)
    if pa.types.is_temporal(values.type):
        return {}
    known, places = distinct(values)
    counts = np.bincount(places, minlength=len(known)).tolist()
    plainly = {v: n for v, n in zip(known, counts, strict=True) if isinstance(v, (str, bool, int, float)) and v == v}  # noqa: PLR0124 (not-a-number)
    return {value: count for value, count in plainly.items() if value != ""}


def by_whole_number(values: pa.ChunkedArray) -> dict[Any, int]:
    """How often each whole number occurs, however it is written."""
    numbers = parsed(plain(values))
    inside = numbers[np.abs(numbers) <= LARGEST_EXACT]
    known, counts = np.unique(inside[inside == np.rint(inside)].astype(np.int64), return_counts=True)
    return dict(zip(known.tolist(), counts.tolist(), strict=True))


def magnitudes(values: pa.ChunkedArray) -> Counts:
    """How many numbers lie in each cell between `EDGES`."""
    numbers = parsed(plain(values))
    inside = np.searchsorted(EDGES, numbers[np.isfinite(numbers)], side="right") - 1
    return np.bincount(np.clip(inside, 0, len(EDGES) - 2), minlength=len(EDGES) - 1)


def years(values: pa.ChunkedArray) -> Counts:
    """How many moments lie in each of the `YEARS`."""
    ticks, known = microseconds(plain(values))
    years = ticks[known].astype("datetime64[us]").astype("datetime64[Y]").astype(np.int64) + 1970
    return np.bincount(np.clip(years, *YEARS) - YEARS[0], minlength=YEARS[1] - YEARS[0] + 1)


def each(values: pa.ChunkedArray, low: int, high: int) -> Counts:
    """How often each whole number from `low` to `high` occurs, those beyond counting as the nearest."""
    numbers = parsed(plain(values))
    inside = np.clip(numbers[np.isfinite(numbers)], low, high)
    return np.bincount((inside - low).astype(np.int64), minlength=high - low + 1)
