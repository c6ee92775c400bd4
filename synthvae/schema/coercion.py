"""Every value of a private table is made to obey its schema, row by row.

A check would be an error that one row can cause, and so tell of that row. Here each value becomes one that the schema
allows, whatever the values of other rows; only names of columns, which are public, can be wrong. Nor may the type that
a column has matter, as far as that can be: one text among numbers makes texts of them all.
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
    moments,
    rounded,
)
from synthvae.schema.schema import Schema
from synthvae.tables.parsing import TRUTH, distinct, microseconds, number_of, parsed, plain
from synthvae.tables.timestamps import DAY, SECOND

NAN = ("nan", "-nan")


def refuse_other_columns(names: list[str], schema: Schema) -> None:
    """Refuse a table that has not the columns of its schema; names are public.

    Raises:
        PrivacyError: A column is absent or undeclared.
    """
    absent = [name for name in schema.names if name not in names]
    unknown = [name for name in names if name not in schema.names]
    if absent or unknown:
        fact = f"lacks {listing(absent)}" if absent else f"has {listing(unknown)}, too"
        raise PrivacyError(f"a table must have the columns of its schema, however, it {fact}: declare or drop them")


def labelled(table: pa.Table, schema: Schema, target: str | None) -> pa.Table:
    """Return the rows whose target is a value that the schema allows, no mark: the others count as not there."""
    if target is None:
        return table
    column = schema[target].model_copy(update={"nullable": True, "other_category": None})
    values = plain(table.column(target))
    kept = _conform(column, values).is_valid().to_numpy(zero_copy_only=False)
    for mark in column.sentinels:
        kept &= ~_is_mark(values, parsed(values), mark)
    return _without_views(table).filter(pa.array(kept))


def _without_views(table: pa.Table) -> pa.Table:
    """Views of texts as texts: Arrow cannot filter views yet."""
    for place, field in enumerate(table.schema):
        if pa.types.is_string_view(field.type):
            table = table.set_column(place, field.name, table.column(place).cast(pa.large_string()))
    return table


def conform(table: pa.Table, schema: Schema) -> pa.Table:
    """Return the columns of `schema` with the types and values that it allows.

    A number or timestamp outside the bounds becomes the nearest bound; a number between two steps becomes the nearest
    step, a timestamp the step before. A value that is not allowed becomes `other_category` if that is declared, else
    missing if the column is nullable, else the first category or the lower bound. A column whose type cannot hold such
    values is treated as missing throughout.
    """
    columns = [_conform(column, plain(table.column(column.name))) for column in schema.columns]
    return pa.Table.from_arrays(columns, schema=arrow_schema(schema))


def _conform(column: Column, values: pa.ChunkedArray) -> pa.Array:
    if column.kind == "id":  # fresh ones are made: which there are is not looked at
        return pa.nulls(len(values), pa.int64()) if column.nullable else pa.array(np.zeros(len(values), np.int64))
    if column.kind in NUMERIC:
        return _numbers(column, values)
    if column.kind in TEMPORAL:
        return _moments(column, values)
    return _categories(column, values)


def _numbers(column: Column, values: pa.ChunkedArray) -> pa.Array:
    kind, numbers = arrow_type(column), parsed(values)
    marked = {mark: _is_mark(values, numbers, mark) for mark in column.sentinels}
    array = _allowed(column, numbers)
    if pa.types.is_string(kind):
        suffix = ".0" if decimals_of(column) == 0 else ""
        texts = np.array([None if math.isnan(n) else repr(n).removesuffix(suffix) for n in array.tolist()], object)
        for mark, here in marked.items():
            texts[here] = str(mark)
        return pa.array(texts, kind)
    for mark, here in marked.items():
        array[here] = mark
    return pa.array(array, mask=np.isnan(array)).cast(kind)


def _allowed(column: Column, numbers: Floats) -> Floats:
    """Numbers as the schema allows them; NaN is missing."""
    low, high = limits(column)
    numbers = np.where(np.isfinite(numbers), numbers, np.nan if column.nullable else low)
    return np.clip(rounded(np.clip(numbers, low, high), decimals_of(column)), low, high)


def _is_mark(values: pa.ChunkedArray, numbers: Floats, mark: Value) -> npt.NDArray[np.bool_]:
    """Which values (rows,), whose numbers are known, are a mark: written like it, or the same number."""
    if not pa.types.is_large_binary(values.type):
        return np.asarray(numbers == (number_of(mark) if isinstance(mark, str) else float(mark)))
    known, places = distinct(values)
    hits = np.array([text == str(mark) for text in known], bool)[places]
    return hits if isinstance(mark, str) else hits | (numbers == float(mark))


def _categories(column: Column, values: pa.ChunkedArray) -> pa.Array:
    readable = not pa.types.is_temporal(values.type)
    known, places = distinct(values if readable else pa.chunked_array([pa.nulls(len(values))]))
    exact = {str(category): category for category in categories(column)}
    loose = {_reckoned(category): category for category in reversed(categories(column))}
    loose.pop(None, None)
    missing, other = None if column.nullable else fallback(column), fallback(column)
    gaps = NAN if loose else ()  # among categories that are numbers, as in any column of numbers

    def meant(value: Any) -> Value | None:
        if value is None or value != value:  # noqa: PLR0124 (not-a-number)
            return missing
        unknown = missing if str(value).strip().casefold() in gaps else other
        return exact.get(str(value), loose.get(_reckoned(value), unknown))

    return pa.array(map(meant, known), arrow_type(column)).take(pa.array(places))


def _reckoned(value: Any) -> Decimal | None:
    """What a category says as a number, so that 1, 1.0, "1", "01", "true" and True are one; None: it says none."""
    text = str(value).strip().casefold()
    try:
        number = Decimal(TRUTH.get(text, text))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _moments(column: Column, values: pa.ChunkedArray) -> pa.Array:
    low, high = moments(column)
    ticks, known = microseconds(values)
    step = DAY if column.kind == "date" else SECOND
    steps = np.where(known, np.clip(ticks // step, low, high), low)
    missing = ~known & column.nullable
    if column.kind == "date":
        return pa.array(steps.astype(np.int32), mask=missing).cast(pa.date32())
    return pa.array(steps * SECOND, mask=missing).cast(arrow_type(column))
