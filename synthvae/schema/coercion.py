"""Coerce every value of a private table to its schema, row by row.

An error that depends on a value would reveal that value, so values outside the schema are replaced instead of refused.
Each value is replaced independently of all other rows. Only column names, which are public, can cause an error. The
type of a column, which a single text among numbers can change, has as little influence as possible.
"""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from synthvae.errors import PrivacyError, listing
from synthvae.schema.column import NUMERIC, TEMPORAL, Column, Value
from synthvae.schema.domain import (
    Floats,
    arrow_schema,
    arrow_type,
    categories,
    decimals_of,
    fallback,
    limits,
    rounded,
    timestamp_limits,
)
from synthvae.schema.schema import Schema
from synthvae.tables.arrow import without_views
from synthvae.tables.parsing import BOOLEANS, distinct, microseconds, number_of, parsed, plain
from synthvae.tables.timestamps import DAY, SECOND

NAN = ("nan", "-nan")


def refuse_other_columns(names: list[str], schema: Schema) -> None:
    """Raise an error unless the columns of a table are those of its schema; names are public.

    Raises:
        PrivacyError: A column is missing or undeclared.
    """
    absent = [name for name in schema.names if name not in names]
    unknown = [name for name in names if name not in schema.names]
    if absent or unknown:
        problem = f"{listing(absent)} are missing" if absent else f"{listing(unknown)} are undeclared"
        raise PrivacyError(f"A table must have the columns of its schema; {problem}. Declare or drop them.")


def labelled(table: pa.Table, schema: Schema, target: str | None) -> pa.Table:
    """Return the rows whose target has a value that the schema allows and that is not a sentinel; drop all others."""
    if target is None:
        return table
    column = schema[target].model_copy(update={"nullable": True, "other_category": None})
    values = plain(table.column(target))
    valid = _conform(column, values).is_valid().to_numpy(zero_copy_only=False)
    for sentinel in column.sentinels:
        valid &= ~_is_sentinel(values, parsed(values), sentinel)
    return without_views(table).filter(pa.array(valid))


def conform(table: pa.Table, schema: Schema) -> pa.Table:
    """Return the columns of `schema` with types and values that it allows.

    A number or timestamp outside the bounds becomes the nearest bound; a number between two steps becomes the nearest
    step, a timestamp the step before. A value that is not allowed becomes `other_category` if that is declared, else
    missing if the column is nullable, else the first category or the lower bound. A column whose type cannot hold such
    values is treated as missing throughout.
    """
    columns = [_conform(column, plain(table.column(column.name))) for column in schema.columns]
    return pa.Table.from_arrays(columns, schema=arrow_schema(schema))


def _conform(column: Column, values: pa.ChunkedArray) -> pa.Array:
    if column.kind == "id":  # new ids are generated, so the existing ones are not needed
        return pa.nulls(len(values), pa.int64()) if column.nullable else pa.array(np.zeros(len(values), np.int64))
    if column.kind == "fake":  # the existing values are not needed either
        return pa.nulls(len(values), pa.string()) if column.nullable else pa.array([""] * len(values))
    if column.kind in NUMERIC:
        return _numbers(column, values)
    if column.kind in TEMPORAL:
        return _timestamps(column, values)
    return _categories(column, values)


def _numbers(column: Column, values: pa.ChunkedArray) -> pa.Array:
    kind, numbers = arrow_type(column), parsed(values)
    places = {sentinel: _is_sentinel(values, numbers, sentinel) for sentinel in column.sentinels}
    array = _allowed(column, numbers)
    if pa.types.is_string(kind):
        suffix = ".0" if decimals_of(column) == 0 else ""
        texts = np.array([None if math.isnan(n) else repr(n).removesuffix(suffix) for n in array.tolist()], object)
        for sentinel, here in places.items():
            texts[here] = str(sentinel)
        return pa.array(texts, kind)
    for sentinel, here in places.items():
        array[here] = sentinel
    return pa.array(array, mask=np.isnan(array)).cast(kind)


def _allowed(column: Column, numbers: Floats) -> Floats:
    """Numbers clipped to the bounds and rounded to the decimals of a column; NaN where they are missing."""
    low, high = limits(column)
    numbers = np.where(np.isfinite(numbers), numbers, np.nan if column.nullable else low)
    return np.clip(rounded(np.clip(numbers, low, high), decimals_of(column)), low, high)


def _is_sentinel(values: pa.ChunkedArray, numbers: Floats, sentinel: Value) -> npt.NDArray[np.bool_]:
    """Whether each value (rows,) is a sentinel: the same text, or the same parsed number (rows,)."""
    if not pa.types.is_large_binary(values.type):
        return np.asarray(numbers == (number_of(sentinel) if isinstance(sentinel, str) else float(sentinel)))
    known, places = distinct(values)
    hits = np.array([text == str(sentinel) for text in known], bool)[places]
    return hits if isinstance(sentinel, str) else hits | (numbers == float(sentinel))


def _categories(column: Column, values: pa.ChunkedArray) -> pa.Array:
    readable = not pa.types.is_temporal(values.type)
    known, places = distinct(values if readable else pa.chunked_array([pa.nulls(len(values))]))
    exact = {str(category): category for category in categories(column)}
    numeric = {_as_decimal(category): category for category in reversed(categories(column))}
    numeric.pop(None, None)
    missing, other = None if column.nullable else fallback(column), fallback(column)
    nan = NAN if numeric else ()  # "nan" is a missing value if categories are numbers, else a text

    def category_of(value: Any) -> Value | None:
        if value is None or value != value:  # noqa: PLR0124 (NaN)
            return missing
        unknown = missing if str(value).strip().casefold() in nan else other
        return exact.get(str(value), numeric.get(_as_decimal(value), unknown))

    return pa.array(map(category_of, known), arrow_type(column)).take(pa.array(places))


def _as_decimal(value: Any) -> Decimal | None:
    """The number of a category, the same for 1, 1.0, "1", "01", "true" and True; None if it is not a finite number."""
    text = str(value).strip().casefold()
    try:
        number = Decimal(BOOLEANS.get(text, text))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _timestamps(column: Column, values: pa.ChunkedArray) -> pa.Array:
    low, high = timestamp_limits(column)
    ticks, known = microseconds(values, column.format)
    step = DAY if column.kind == "date" else SECOND
    steps = np.where(known, np.clip(ticks // step, low, high), low)
    missing = ~known & column.nullable
    if column.kind == "date":
        return pa.array(steps.astype(np.int32), mask=missing).cast(pa.date32())
    return pa.array(steps * SECOND, mask=missing).cast(arrow_type(column))
