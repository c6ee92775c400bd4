"""Why a column was inferred to be of its kind, in a sentence for the comments of a draft. No value is stated."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from synthvae.schema.column import NUMERIC, TEMPORAL, Column
from synthvae.schema.identifiers import find_identifier
from synthvae.tables.arrow import is_text, plain_type

CHOICE = "To repeat real values, declare `kind: categorical`; to leave the column out, list it under `drop`."


def reasons(columns: tuple[Column, ...], table: pa.Table) -> dict[str, str]:
    """Return the reason for the kind of each column of a table, by name.

    >>> reasons((Column(name="ward", kind="categorical"),), pa.table({"ward": ["A", "B", "A", None]}))
    {'ward': 'categorical: 2 distinct texts in 3 values. 1 value is missing.'}
    """
    found = {}
    for column in columns:
        if column.name in table.column_names:
            values = table.column(column.name)
            found[column.name] = f"{column.kind}: {_reason(column, values)}{_missing(values.null_count)}"
    return found


def _reason(column: Column, values: pa.ChunkedArray) -> str:  # noqa: PLR0911 (a table of kinds)
    known = len(values) - values.null_count
    if not known:
        return "there is no value from which a kind follows. Declare one, or drop the column."
    if column.kind in {"id", "fake"}:
        return _reason_of_key(column, values, known)
    if column.kind in TEMPORAL:
        how = "can be read as one" if is_text(values.type) else f"have the type {values.type}"
        return f"all {known:,} values {how}."
    if column.kind in NUMERIC:
        return _reason_of_number(column, values, known)
    if pa.types.is_dictionary(values.type):
        return f"{known:,} values have a categorical type."
    if column.kind == "boolean" and pa.types.is_boolean(values.type):
        return f"{known:,} values have the type {values.type}."
    return f"{_distinct(values):,} distinct {'texts' if is_text(values.type) else 'values'} in {known:,} values."


def _reason_of_key(column: Column, values: pa.ChunkedArray, known: int) -> str:
    distinct = _distinct(values)
    if (finding := find_identifier(column.name, values)) is not None:
        made = "new ids are generated" if column.kind == "id" else "values come from Faker (extra `faker`)"
        return f"{finding}, {distinct:,} distinct in {known:,} values: none is learned, {made}. {CHOICE}"
    if is_text(values.type):
        return f"{distinct:,} distinct texts in {known:,} values: new ids are generated. {CHOICE}"
    if distinct == known:
        return f"{known:,} whole numbers, none of which repeats: new ids are generated. Else declare `kind: integer`."
    return f"{distinct:,} distinct values in {known:,} values: new ids are generated. {CHOICE}"


def _reason_of_number(column: Column, values: pa.ChunkedArray, known: int) -> str:
    what = "whole numbers" if column.kind == "integer" else "numbers"
    if not is_text(values.type):
        return f"{known:,} {what} of type {values.type}."
    beside = f", with {len(column.sentinels)} other texts among them" if column.sentinels else ""
    return f"{known:,} values are {what} written as text{beside}."


def _distinct(values: pa.ChunkedArray) -> int:
    dense = values.cast(plain_type(values.type))
    return int(pc.count_distinct(dense, mode="only_valid").as_py())


def _missing(count: int) -> str:
    return "" if not count else f" {count:,} {'value is' if count == 1 else 'values are'} missing."
