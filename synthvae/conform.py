"""Every value of a private table is made to obey its schema, row by row.

A check would be an error that one row can cause, and so tell of that row. Here each value becomes one that the schema
allows, whatever the values of other rows; only names of columns, which are public, can be wrong.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from synthvae.columns import is_text, to_double
from synthvae.errors import PrivacyError, listing
from synthvae.schema import NUMERIC, TEMPORAL, Column, Schema, Value


def refuse_undeclared(schema: Schema) -> None:
    """Refuse a schema that leaves to the rows what they would then tell.

    Raises:
        PrivacyError: It was inferred, or a column lacks categories or bounds.
    """
    draft = "draft one with `synthvae schema TABLE --declare -o schema.yaml`, review it, and delete `inferred: true`"
    if schema.inferred:
        raise PrivacyError(f"a private fit needs a schema that a person declared, however, it was inferred: {draft}")
    for column in schema.columns:
        if column.kind == "categorical" and column.categories is None:
            raise PrivacyError(f"column {column.name!r}: `categories` must be declared, however, they are not: {draft}")
        if column.kind in (*NUMERIC, *TEMPORAL) and column.bounds is None:
            raise PrivacyError(f"column {column.name!r}: `bounds` must be declared, however, they are not: {draft}")


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
    """Return the rows whose target the schema allows: the others count as not there."""
    if target is None:
        return table
    column = schema[target].model_copy(update={"nullable": True, "other": None})
    return table.filter(_conform(column, table.column(target)).is_valid())


def conform(table: pa.Table, schema: Schema) -> pa.Table:
    """Return the columns of `schema` with the types and values that it allows.

    A number out of bounds becomes the nearest bound, one between steps is rounded. What is no allowed value becomes
    `other` where that is declared, else missing where that is allowed, else the first category or the lower bound.
    """
    columns = [_conform(column, table.column(column.name)) for column in schema.columns]
    return pa.Table.from_arrays(columns, schema=arrow_schema(schema))


def arrow_schema(schema: Schema) -> pa.Schema:
    """The Arrow schema of the tables of a schema: declared, not seen."""
    return pa.schema([pa.field(column.name, arrow_type(column)) for column in schema.columns])


def arrow_type(column: Column) -> pa.DataType:
    """The type of a declared column."""
    if column.kind == "datetime":
        return pa.timestamp("us")
    if column.kind == "date":
        return pa.date32()
    if column.kind == "id":
        return pa.int64()
    if column.kind in NUMERIC:
        text = any(isinstance(mark, str) for mark in column.marks)
        return pa.string() if text else pa.int64() if column.kind == "integer" else pa.float64()
    return pa.array(categories(column)).type


def categories(column: Column) -> tuple[Value, ...]:
    """The declared categories."""
    return (False, True) if column.kind == "boolean" and column.categories is None else column.categories or ()


def _conform(column: Column, values: pa.ChunkedArray) -> pa.Array:
    if column.kind == "id":
        return pa.nulls(len(values), pa.int64())
    if column.kind in NUMERIC:
        return _numbers(column, values)
    if column.kind in TEMPORAL:
        return _moments(column, values)
    return _categories(column, values)


def _numbers(column: Column, values: pa.ChunkedArray) -> pa.Array:
    kind, marks = arrow_type(column), column.marks
    raw = values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values
    numbers = _parsed(raw)
    marked = {mark: _equal(raw, numbers, mark) for mark in marks}
    array = _allowed(column, numbers)
    if pa.types.is_string(kind):
        texts = np.array([None if np.isnan(number) else repr(number) for number in array.tolist()], object)
        for mark, here in marked.items():
            texts[here] = str(mark)
        return pa.array(texts, kind)
    for mark, here in marked.items():
        array[here] = mark
    return pa.array(array, mask=np.isnan(array)).cast(kind)


def _allowed(column: Column, numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Numbers as the schema allows them; NaN is missing."""
    assert column.bounds is not None
    low, high = (float(bound) for bound in column.bounds)  # type: ignore[arg-type]
    decimals = 0 if column.kind == "integer" else column.decimals
    numbers = np.where(np.isfinite(numbers), numbers, np.nan if column.nullable else low)
    numbers = np.clip(numbers, low, high)
    return numbers if decimals is None else np.clip(np.round(numbers, decimals), low, high)


def _parsed(values: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Values as numbers; NaN where they are none."""
    if is_text(values.type):
        parsed = pd.to_numeric(pd.Series(values.to_pylist(), dtype=object), errors="coerce")
        return np.asarray(parsed, np.float64)
    numbers = to_double(values.cast(pa.int8()) if pa.types.is_boolean(values.type) else values)
    return np.full(len(values), np.nan) if numbers is None else numbers.to_numpy().astype(np.float64)


def _equal(values: pa.ChunkedArray, numbers: npt.NDArray[np.float64], mark: Value) -> npt.NDArray[np.bool_]:
    if not isinstance(mark, str):
        return np.asarray(numbers == float(mark))
    if not is_text(values.type):
        return np.zeros(len(values), bool)
    return np.asarray(pc.equal(values, pa.scalar(mark, values.type)).fill_null(pa.scalar(value=False)).to_numpy(), bool)


def _categories(column: Column, values: pa.ChunkedArray) -> pa.Array:
    known = categories(column)
    missing = None if column.nullable else fallback(column)
    by_text = {_text(value): value for value in known}
    dictionary = pc.unique(values).to_pylist()
    allowed = [missing if v is None else by_text.get(_text(v), fallback(column)) for v in dictionary]
    places = pc.index_in(values, value_set=pc.unique(values), skip_nulls=False)
    return pa.array(allowed, arrow_type(column)).take(places.combine_chunks())


def fallback(column: Column) -> Value | None:
    """What a value outside the declared categories counts as."""
    return column.other if column.other is not None else None if column.nullable else categories(column)[0]


def _moments(column: Column, values: pa.ChunkedArray) -> pa.Array:
    assert column.bounds is not None
    low, high = (pd.Timestamp(bound).tz_localize(None) for bound in column.bounds)
    known = values.to_pandas() if pa.types.is_temporal(values.type) else pd.Series(values.to_pylist(), dtype=object)
    moments = pd.to_datetime(known, errors="coerce", utc=True, format="ISO8601").dt.tz_localize(None)
    moments = (
        moments.mask(moments < low, low).mask(moments > high, high).dt.floor("D" if column.kind == "date" else "s")
    )
    moments = moments if column.nullable else moments.fillna(low)
    return pa.array(moments, pa.timestamp("us")).cast(arrow_type(column), safe=False)


def _text(value: Any) -> str:
    """A category as a text: 1, 1.0 and "1" are one."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)
