"""Every value of a private table is made to obey its schema, row by row.

A check would be an error that one row can cause, and so tell of that row. Here each value becomes one that the schema
allows, whatever the values of other rows; only names of columns, which are public, can be wrong. Nor may the type that
a column has matter, as far as that can be: one text among numbers makes texts of them all.
"""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from synthvae.columns import is_text, to_double
from synthvae.declared import (
    DAY,
    SECOND,
    Floats,
    arrow_schema,
    arrow_type,
    categories,
    decimals_of,
    fallback,
    limits,
    moments,
    naive,
    rounded,
    since,
)
from synthvae.errors import PrivacyError, listing
from synthvae.schema import NUMERIC, TEMPORAL, Column, Schema, Value

TRUTH = {"true": "1", "false": "0"}
NAN = ("nan", "-nan")
FAR = 2**62  # microseconds from the epoch: farther than any bound
TICKS = {"D": DAY, "s": SECOND, "ms": 1000, "us": 1, "ns": 0}  # nanoseconds are cut off


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
    column = schema[target].model_copy(update={"nullable": True, "other": None})
    values = _plain(table.column(target))
    kept = _conform(column, values).is_valid().to_numpy(zero_copy_only=False)
    for mark in column.marks:
        kept &= ~_is_mark(values, _parsed(values), mark)
    return _without_views(table).filter(pa.array(kept))


def _without_views(table: pa.Table) -> pa.Table:
    """Views of texts as texts: Arrow cannot filter views yet."""
    for place, field in enumerate(table.schema):
        if pa.types.is_string_view(field.type):
            table = table.set_column(place, field.name, table.column(place).cast(pa.large_string()))
    return table


def conform(table: pa.Table, schema: Schema) -> pa.Table:
    """Return the columns of `schema` with the types and values that it allows.

    A number or moment out of bounds becomes the nearest bound, one between steps the nearest step or the one before.
    What is no allowed value becomes `other` where that is declared, else missing where that is allowed, else the first
    category or the lower bound. A column whose type holds no such values counts as missing throughout.
    """
    columns = [_conform(column, _plain(table.column(column.name))) for column in schema.columns]
    return pa.Table.from_arrays(columns, schema=arrow_schema(schema))


def _conform(column: Column, values: pa.ChunkedArray) -> pa.Array:
    if column.kind == "id":  # fresh ones are made: which there are is not looked at
        return pa.nulls(len(values), pa.int64()) if column.nullable else pa.array(np.zeros(len(values), np.int64))
    if column.kind in NUMERIC:
        return _numbers(column, values)
    if column.kind in TEMPORAL:
        return _moments(column, values)
    return _categories(column, values)


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values without dictionaries, texts as their bytes; nothing but gaps where the type is none that a value has."""
    parts = [_plain_chunk(chunk) for chunk in values.chunks] or [pa.nulls(0)]
    return pa.chunked_array(parts)


def _plain_chunk(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _plain_chunk(values.dictionary).take(values.indices)
    if is_text(kind):
        return values.cast(pa.large_binary())  # what is no UTF-8 is no error
    simple = pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return values if simple or pa.types.is_decimal(kind) or pa.types.is_temporal(kind) else pa.nulls(len(values))


def _distinct(values: pa.ChunkedArray) -> tuple[list[Any], npt.NDArray[np.int64]]:
    """The distinct values of a column, None among them, and which of these each row (rows,) holds."""
    coded = values.combine_chunks().dictionary_encode(null_encoding="encode")
    known = [v.decode(errors="replace") if isinstance(v, bytes) else v for v in coded.dictionary.to_pylist()]
    return known, coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)


def _numbers(column: Column, values: pa.ChunkedArray) -> pa.Array:
    kind, numbers = arrow_type(column), _parsed(values)
    marked = {mark: _is_mark(values, numbers, mark) for mark in column.marks}
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


def _parsed(values: pa.ChunkedArray) -> Floats:
    """Values as numbers; NaN where they are none."""
    if pa.types.is_large_binary(values.type):
        known, places = _distinct(values)
        return np.array([_number(text) for text in known], np.float64)[places]
    numbers = to_double(values.cast(pa.int8()) if pa.types.is_boolean(values.type) else values)
    return np.full(len(values), np.nan) if numbers is None else numbers.to_numpy().astype(np.float64)


def _number(text: str | None) -> float:
    try:
        return math.nan if text is None else float(TRUTH.get(text.strip().casefold(), text))
    except ValueError:
        return math.nan


def _is_mark(values: pa.ChunkedArray, numbers: Floats, mark: Value) -> npt.NDArray[np.bool_]:
    """Which values (rows,), whose numbers are known, are a mark: written like it, or the same number."""
    if not pa.types.is_large_binary(values.type):
        return np.asarray(numbers == (_number(mark) if isinstance(mark, str) else float(mark)))
    known, places = _distinct(values)
    hits = np.array([text == str(mark) for text in known], bool)[places]
    return hits if isinstance(mark, str) else hits | (numbers == float(mark))


def _categories(column: Column, values: pa.ChunkedArray) -> pa.Array:
    readable = not pa.types.is_temporal(values.type)
    known, places = _distinct(values if readable else pa.chunked_array([pa.nulls(len(values))]))
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
    ticks, known = _microseconds(values)
    step = DAY if column.kind == "date" else SECOND
    steps = np.where(known, np.clip(ticks // step, low, high), low)
    missing = ~known & column.nullable
    if column.kind == "date":
        return pa.array(steps.astype(np.int32), mask=missing).cast(pa.date32())
    return pa.array(steps * SECOND, mask=missing).cast(arrow_type(column))


def _microseconds(values: pa.ChunkedArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Microseconds (rows,) since 1970, and whether (rows,) a value is a moment at all."""
    kind = values.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        unit = {"date32[day]": "D", "date64[ms]": "ms"}.get(str(kind)) or kind.unit
        width = pa.int32() if unit == "D" else pa.int64()
        ticks = values.cast(width).cast(pa.int64()).fill_null(0).to_numpy()
        factor = TICKS[unit]
        ticks = np.clip(ticks, -FAR // factor, FAR // factor) * factor if factor else ticks // 1000
        return ticks, values.is_valid().to_numpy()
    if pa.types.is_temporal(kind):
        return np.zeros(len(values), np.int64), np.zeros(len(values), bool)
    known, places = _distinct(values)
    found = [_moment(value) for value in known]
    array = np.array([0 if moment is None else moment for moment in found], np.int64)
    return array[places], np.array([moment is not None for moment in found], bool)[places]


def _moment(value: Any) -> int | None:
    """Microseconds since 1970 of an ISO text, or of a number written like one: 20201231."""
    try:
        return since(naive(dt.datetime.fromisoformat(str(value).strip().removesuffix(".0")), dt.time.min), 1)
    except (ValueError, OverflowError):
        return None
