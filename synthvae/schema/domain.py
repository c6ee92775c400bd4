"""What a declared column allows: types, categories and bounds, known before any value is seen."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from synthvae.errors import PrivacyError, listing
from synthvae.schema.column import NUMERIC, TEMPORAL, Column, Value
from synthvae.schema.schema import Schema
from synthvae.tables.arrow import LARGEST_EXACT, as_array
from synthvae.tables.timestamps import DAY, SECOND, _day, _zone, naive, since

Floats = npt.NDArray[np.float64]

LARGEST = float(np.finfo(float).max)
FINE = 2.0**51  # up to so many steps from 0 a double tells each from the next, also after a multiplication
DRAFT = (
    "draft one with `synthvae schema TABLE --declare -o schema.yaml`, review it, and delete `inferred: true`, or buy "
    'one: schema="private"'
)


def refuse_undeclared(schema: Schema | None) -> Schema:
    """Return the schema, unless it is none or one that leaves to the rows what they would then tell.

    Raises:
        PrivacyError: It was inferred, or a column lacks categories or bounds, or no value can obey them.
    """
    if schema is None:
        raise PrivacyError(f"a private fit needs a schema that a person declared, however, there is none: {DRAFT}")
    if schema.inferred:
        raise PrivacyError(f"a private fit needs a schema that a person declared, however, it was inferred: {DRAFT}")
    for column in schema.columns:
        if column.kind == "categorical" and column.categories is None:
            raise PrivacyError(f"column {column.name!r}: `categories` must be declared, however, they are not: {DRAFT}")
        if column.kind in (*NUMERIC, *TEMPORAL) and column.bounds is None:
            raise PrivacyError(f"column {column.name!r}: `bounds` must be declared, however, they are not: {DRAFT}")
        for fact in _impossible(column):
            raise PrivacyError(f"column {column.name!r}: {fact}")
    return schema


def _impossible(column: Column) -> Iterator[str]:
    """Why no value, or not every value, can be made to obey a declared column."""
    bounds: tuple[Any, ...] = column.bounds or ()
    if not column.nullable and column.categories == ():
        yield "there must be a category if no value may be missing, however, there is none: declare one"
    whole = [value for value in column.categories or () if isinstance(value, int)]
    if whole and min(whole) < 0 and max(whole) >= 1 << 63:
        yield "`categories` must fit one type, however, one is below 0 and one is 2**63 or more: declare them as texts"
    if column.kind in NUMERIC and not all(abs(bound) <= LARGEST for bound in bounds):
        yield f"`bounds` must be finite, however, they are {listing(bounds)}: declare what is possible"
    elif column.kind == "integer" and any(abs(bound) > LARGEST_EXACT for bound in bounds):
        yield f"`bounds` of whole numbers must lie within ±2**53, however, they are {listing(bounds)}: narrow them"
    elif bounds:
        low, high = limits(column) if column.kind in NUMERIC else moments(column)
        if low > high:
            shown = ", ".join(map(str, bounds))
            yield f"`bounds` must have a value between them, however, [{shown}] has none: widen them"


def arrow_schema(schema: Schema) -> pa.Schema:
    """The Arrow schema of the tables of a schema: declared, not seen."""
    return pa.schema([pa.field(column.name, arrow_type(column)) for column in schema.columns])


def arrow_type(column: Column) -> pa.DataType:
    """The type of a declared column; bounds with a zone give moments in UTC."""
    if column.kind == "datetime":
        return pa.timestamp("us", "UTC" if any(_zone(bound) for bound in column.bounds or ()) else None)
    if column.kind == "date":
        return pa.date32()
    if column.kind == "id":
        return pa.int64()
    if column.kind in NUMERIC:
        if any(isinstance(mark, str) for mark in column.sentinels):
            return pa.string()
        whole = all(float(mark).is_integer() and abs(float(mark)) <= LARGEST_EXACT for mark in column.sentinels)
        return pa.int64() if column.kind == "integer" and whole else pa.float64()
    return as_array(categories(column)).type


def categories(column: Column) -> tuple[Value, ...]:
    """The declared categories."""
    return (False, True) if column.kind == "boolean" and column.categories is None else column.categories or ()


def decimals_of(column: Column) -> int | None:
    """Digits after the point of a declared column of numbers."""
    return 0 if column.kind == "integer" else column.decimals


def limits(column: Column) -> tuple[float, float]:
    """The smallest and the largest number of a declared column that its decimals can write."""
    assert column.bounds is not None
    low, high = (np.float64(bound) for bound in column.bounds)  # type: ignore[arg-type]
    decimals = decimals_of(column)
    first, last = rounded(low, decimals), rounded(high, decimals)
    first = first if first >= low else neighbour(first, decimals, 1)
    last = last if last <= high else neighbour(last, decimals, -1)
    return float(first), float(last)


def rounded(numbers: Floats | np.float64, decimals: int | None) -> Floats:
    """Numbers (...) with so many digits after the point; one too large to have them stays."""
    if decimals is None:
        return np.asarray(numbers)
    with np.errstate(over="ignore"):
        steps = numbers * 10.0**decimals
    return np.where(_is_fine(steps, decimals), np.rint(steps) / 10.0**decimals, numbers) + 0.0  # no minus zero


def neighbour(numbers: Floats, decimals: int | None, sign: int) -> Floats:
    """The next number that can be written above (1) or below (-1) each of `numbers` (...), which can, too."""
    next_double = np.nextafter(numbers, sign * np.inf)
    if decimals is None:
        return next_double
    with np.errstate(over="ignore"):
        fine = _is_fine(numbers * 10.0**decimals, decimals)
    return np.where(fine, rounded(numbers + sign * 10.0**-decimals, decimals), next_double)


def _is_fine(steps: Floats | np.float64, decimals: int) -> npt.NDArray[np.bool_]:
    """Whether doubles tell numbers of so many steps (...) of the last digit from their neighbours."""
    return np.asarray(np.abs(steps) < (FINE if decimals else LARGEST_EXACT))


def moments(column: Column) -> tuple[int, int]:
    """The first and the last moment of a declared column: days or seconds since 1970, in UTC if bounds have a zone."""
    assert column.bounds is not None
    low, high = column.bounds
    if column.kind == "date":
        first, last = since(_day(low), DAY), since(_day(high), DAY)
    else:
        first = -(-since(naive(low, dt.time.min), 1) // SECOND)
        last = since(naive(high, dt.time.max), SECOND)  # a day ends at midnight
    return first, last


def fallback(column: Column) -> Value | None:
    """What a value outside the declared categories counts as."""
    return (
        column.other_category
        if column.other_category is not None
        else None
        if column.nullable
        else categories(column)[0]
    )
