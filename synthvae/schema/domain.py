"""Domain of a declared column: its Arrow type, categories and limits, derived without reading any value."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from synthvae.errors import PrivacyError, listing
from synthvae.schema.column import NUMERIC, TEMPORAL, Column, Value
from synthvae.schema.constraints import FixedCombinations, consistency
from synthvae.schema.schema import Schema
from synthvae.tables.arrow import LARGEST_EXACT, as_array
from synthvae.tables.timestamps import DAY, SECOND, midnight, naive, steps_since_epoch, zone_of

Floats = npt.NDArray[np.float64]

LARGEST = float(np.finfo(float).max)
FINE = 2.0**51  # steps from 0 up to which doubles distinguish neighbours, also after a multiplication
DRAFT = (
    "Draft one with `synthvae schema TABLE --declare -o schema.yaml`, review it, and delete `inferred: true`, or "
    'measure one with a part of the budget: schema="private".'
)


def refuse_undeclared(schema: Schema | None) -> Schema:
    """Return the schema if it is declared completely, so that a private fit derives nothing from the rows.

    Raises:
        PrivacyError: There is no schema, it was inferred, it has no columns, or a column lacks categories or bounds, or
            they allow no value, or a rule lacks its combinations.
        SchemaError: A rule is on a column that the schema does not have.
    """
    if schema is None:
        raise PrivacyError(f"A private fit requires a declared schema, got none. {DRAFT}")
    if schema.inferred:
        raise PrivacyError(f"A private fit requires a declared schema, got an inferred one. {DRAFT}")
    if not schema.columns:
        raise PrivacyError(f"A private fit requires a schema that declares columns, got one of rules alone. {DRAFT}")
    for column in schema.columns:
        if column.kind == "categorical" and column.categories is None:
            raise PrivacyError(f"Column {column.name!r}: `categories` must be declared for a private fit. {DRAFT}")
        if column.kind in (*NUMERIC, *TEMPORAL) and column.bounds is None:
            raise PrivacyError(f"Column {column.name!r}: `bounds` must be declared for a private fit. {DRAFT}")
        for problem in _impossible(column):
            raise PrivacyError(f"Column {column.name!r}: {problem}")
    consistency.refuse(consistency.unknown_columns(schema.constraints, schema))
    for rule in schema.constraints:
        if isinstance(rule, FixedCombinations) and rule.combinations is None:
            raise PrivacyError(
                f"The rule `{rule}` must declare its `combinations` for a private fit, since those of the table are "
                "private. Declare them, or remove the rule."
            )
    return schema


def _impossible(column: Column) -> Iterator[str]:
    """Reasons why the declared domain of a column is empty, or does not fit one type."""
    bounds: tuple[Any, ...] = column.bounds or ()
    if not column.nullable and column.categories == ():
        yield "a column without missing values must have a category, got none. Declare one."
    if column.kind in TEMPORAL and column.sentinels:
        yield "dates of a private fit have no `sentinels`. Remove them: such values become missing."
    if column.kind in NUMERIC and column.format is not None:
        yield f"numbers of a private fit must be written plainly, got the `format` {column.format!r}. Convert them."
    whole = [value for value in column.categories or () if isinstance(value, int)]
    if whole and min(whole) < 0 and max(whole) >= 1 << 63:
        yield "`categories` must fit one integer type, got one below 0 and one of 2**63 or more. Declare them as texts."
    if column.kind in NUMERIC and not all(abs(bound) <= LARGEST for bound in bounds):
        yield f"`bounds` must be finite, got {listing(bounds)}. Declare the possible values."
    elif column.kind == "integer" and any(abs(bound) > LARGEST_EXACT for bound in bounds):
        yield f"`bounds` of whole numbers must be within ±2**53, got {listing(bounds)}. Narrow them."
    elif bounds:
        low, high = limits(column) if column.kind in NUMERIC else timestamp_limits(column)
        if low > high:
            shown = ", ".join(map(str, bounds))
            yield f"`bounds` must have a value between them, got [{shown}]. Widen them."


def arrow_schema(schema: Schema) -> pa.Schema:
    """Return the Arrow schema of a declared schema."""
    return pa.schema([pa.field(column.name, arrow_type(column)) for column in schema.columns])


def arrow_type(column: Column) -> pa.DataType:  # noqa: PLR0911 (a table of kinds)
    """Return the Arrow type of a declared column; bounds with a time zone give timestamps in UTC."""
    if column.kind == "datetime":
        return pa.timestamp("us", "UTC" if any(zone_of(bound) for bound in column.bounds or ()) else None)
    if column.kind == "date":
        return pa.date32()
    if column.kind == "id":
        return pa.int64()
    if column.kind == "fake":
        return pa.string()
    if column.kind in NUMERIC:
        if any(isinstance(value, str) for value in column.sentinels):
            return pa.string()
        whole = all(float(value).is_integer() and abs(float(value)) <= LARGEST_EXACT for value in column.sentinels)
        return pa.int64() if column.kind == "integer" and whole else pa.float64()
    return as_array(categories(column)).type


def categories(column: Column) -> tuple[Value, ...]:
    """Return the declared categories of a column."""
    return (False, True) if column.kind == "boolean" and column.categories is None else column.categories or ()


def decimals_of(column: Column) -> int | None:
    """Return the digits after the decimal point of a declared numeric column; None if they are not limited."""
    return 0 if column.kind == "integer" else column.decimals


def limits(column: Column) -> tuple[float, float]:
    """Return the smallest and the largest number inside the bounds of a column that its decimals can represent."""
    assert column.bounds is not None
    low, high = (np.float64(bound) for bound in column.bounds)  # type: ignore[arg-type]
    decimals = decimals_of(column)
    first, last = rounded(low, decimals), rounded(high, decimals)
    first = first if first >= low else neighbour(first, decimals, 1)
    last = last if last <= high else neighbour(last, decimals, -1)
    return float(first), float(last)


def rounded(numbers: Floats | np.float64, decimals: int | None) -> Floats:
    """Round numbers (...) to `decimals`, if it is not None and doubles of their size have so many digits."""
    if decimals is None:
        return np.asarray(numbers)
    with np.errstate(over="ignore"):
        steps = numbers * 10.0**decimals
    return np.where(_is_fine(steps, decimals), np.rint(steps) / 10.0**decimals, numbers) + 0.0  # no minus zero


def neighbour(numbers: Floats, decimals: int | None, sign: int) -> Floats:
    """Return the next representable number above (`sign` 1) or below (-1) each of `numbers` (...)."""
    next_double = np.nextafter(numbers, sign * np.inf)
    if decimals is None:
        return next_double
    with np.errstate(over="ignore"):
        fine = _is_fine(numbers * 10.0**decimals, decimals)
    return np.where(fine, rounded(numbers + sign * 10.0**-decimals, decimals), next_double)


def _is_fine(steps: Floats | np.float64, decimals: int) -> npt.NDArray[np.bool_]:
    """Whether doubles distinguish numbers of `steps` (...) units of the last decimal from their neighbours."""
    return np.asarray(np.abs(steps) < (FINE if decimals else LARGEST_EXACT))


def timestamp_limits(column: Column) -> tuple[int, int]:
    """Return the first and last day or second since 1970 that a column allows, in UTC if the bounds have a zone."""
    assert column.bounds is not None
    low, high = column.bounds
    if column.kind == "date":
        first, last = steps_since_epoch(midnight(low), DAY), steps_since_epoch(midnight(high), DAY)
    else:
        first = -(-steps_since_epoch(naive(low, dt.time.min), 1) // SECOND)
        last = steps_since_epoch(naive(high, dt.time.max), SECOND)  # a day ends at midnight
    return first, last


def fallback(column: Column) -> Value | None:
    """Return the category that replaces a value outside the declared ones; None: the value becomes missing."""
    return (
        column.other_category
        if column.other_category is not None
        else None
        if column.nullable
        else categories(column)[0]
    )
