"""Notice columns that seem to be the key of repeated subjects, such as patients with several visits."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from synthvae.errors import warn_user
from synthvae.schema.column import Column
from synthvae.schema.identifiers import find_identifier, is_named_as_key
from synthvae.schema.schema import Schema
from synthvae.tables.arrow import are_whole, in_one_chunk, is_text

MIN_SUBJECTS = 20  # distinct values; fewer may be codes
MIN_SHARE = 0.01  # distinct values per row; fewer are codes, or a site of many subjects
_NUMBERED = re.compile(r"^(.*?\D)(\d{2,})$")  # text such as P0001


def repeated_subjects(schema: Schema, table: pa.Table, target: str | None = None) -> list[str]:
    """Return the columns that seem to be the key of subjects with several rows.

    They hold whole numbers or texts that are many, that repeat, and whose name or form is that of a key.

    Args:
        schema: The schema of the table. Declared columns are what they are declared as.
        table: The rows, or a sample of them.
        target: The column to condition on, which is none of them.

    Example:
        >>> table = pa.table({"patient_id": [n // 2 for n in range(100)], "age": [40 + n % 50 for n in range(100)]})
        >>> repeated_subjects(Schema.infer(table), table)
        ['patient_id']
    """
    columns = schema.columns if schema.inferred else ()
    names = {*table.column_names} - {*schema.declared, target}
    open_ = [column for column in columns if column.name in names]
    return [c.name for c in open_ if _is_key(c, table.column(c.name))]


def _is_key(column: Column, values: pa.ChunkedArray) -> bool:
    present = in_one_chunk(values).drop_null()
    whole = pa.types.is_integer(present.type) or _is_whole(present)
    if not (whole or is_text(present.type)) or not len(present):
        return False
    distinct = pc.unique(present)
    if not max(MIN_SUBJECTS, MIN_SHARE * len(present)) <= len(distinct) < len(present):
        return False
    finding = find_identifier(column.name, pa.chunked_array([present]))
    found = (finding is not None and finding.repeats) or is_named_as_key(column.name)
    return found or column.kind == "id" or (not whole and _are_numbered(distinct.to_pylist()))


def _is_whole(values: pa.Array) -> bool:
    """Whether floats, as pandas stores whole numbers beside missing values, or decimals are whole numbers."""
    fractional = pa.types.is_floating(values.type) or pa.types.is_decimal(values.type)
    return bool(fractional and are_whole(values))


def _are_numbered(texts: list[str]) -> bool:
    """Whether all texts are one prefix and a number of one width."""
    found = [_NUMBERED.match(text) for text in texts]
    forms = {(match[1], len(match[2])) if match else None for match in found}
    return len(forms) == 1 and None not in forms


def warn_repeated_subjects(schema: Schema, table: pa.Table, target: str | None, *, new_keys: bool = True) -> None:
    """Warn of columns that seem to be the key of repeated subjects: rows are then not independent.

    Args:
        schema: The schema of the table.
        table: The rows, or a sample of them.
        target: The column to condition on.
        new_keys: Whether ids are generated anew, and not modelled as numbers.
    """
    for name in repeated_subjects(schema, table, target):
        new = "Each synthetic row gets a new key. " if new_keys and schema[name].kind == "id" else ""
        distinct = pc.count_distinct(in_one_chunk(table.column(name))).as_py()
        warn_user(
            f"column {name!r} has keys of subjects with several rows ({distinct:,} values in {table.num_rows:,} rows): "
            f"rows are not independent. {new}Name it as `unit` (--unit in the shell): its values are then generated "
            "anew, subjects are protected instead of rows, and splits keep those of a subject together. Otherwise drop "
            "it, or declare its kind."
        )
