"""Read several CSV files as one table: in one pass to find the types of the columns, and in another one with them.

A column has the type that it would have if all rows were in one file, in memory and in batches alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from synthvae.tables import csv_dialect, csv_lines, field_types, folders, untrusted, written_forms
from synthvae.tables.arrow import check_names
from synthvae.tables.field_types import FieldType
from synthvae.tables.read_errors import locating, reading
from synthvae.tables.read_options import ReadOptions


def joined(tables: Mapping[Path, pa.Table], options: ReadOptions) -> pa.Table:
    """Return the rows of several CSV files, whose columns have the types that they would have in one file.

    Args:
        tables: The table of each file, with the types of its own rows.
        options: How the files are written.

    Raises:
        TableError: A column has words in one file and numbers in another.
    """
    known = _known_types(list(tables.values()))
    names = dict.fromkeys(name for table in tables.values() for name in table.column_names)
    if len(tables) > 1 and known.keys() != names.keys():
        found = types_of(list(tables), options, [name for name in names if name not in known])
        tables = {file: _with_types(file, table, options, found).select(list(names)) for file, table in tables.items()}
        types = {name: known.get(name) or found[name] for name in names}
        metadata = forms_of(next(iter(tables)), options, types)
    else:
        metadata = next(iter(tables.values())).schema.metadata
    return pa.concat_tables(
        [table.select(list(names)).replace_schema_metadata(metadata or None) for table in tables.values()]
    )


def _known_types(tables: Sequence[pa.Table]) -> dict[str, pa.DataType]:
    """The types of the columns that have the same one in all files, but for booleans, which may have two spellings."""
    schemas = [dict(zip(table.column_names, table.schema.types, strict=True)) for table in tables]
    return {
        name: kind
        for name, kind in schemas[0].items()
        if not pa.types.is_boolean(kind) and all(schema.get(name) == kind for schema in schemas)
    }


def _with_types(path: Path, table: pa.Table, options: ReadOptions, types: Mapping[str, pa.DataType]) -> pa.Table:
    """The table of a CSV file with columns of given types, read again; values of those that it lacks are missing."""
    given, convert = _typed_options(path, options, types)
    with reading(path), locating(path, given):
        again = pa.csv.read_csv(path, **given, convert_options=convert)
    table = table.drop_columns([name for name in types if name in table.column_names])
    for name in types:
        table = table.append_column(again.schema.field(name), again.column(name))
    return table


def batches(path: Path, options: ReadOptions, types: Mapping[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a CSV file in batches with given types; values of columns that it lacks are missing."""
    given, convert = _typed_options(path, options, types)
    with reading(path), locating(path, given):
        yield from pa.csv.open_csv(path, **given, convert_options=convert)


def _typed_options(path: Path, options: ReadOptions, types: Mapping[str, pa.DataType]) -> tuple[dict[str, Any], Any]:
    given, convert = csv_dialect.arrow_options(path, options)
    convert.column_types, convert.include_columns = dict(types), list(types)
    convert.include_missing_columns = True
    return given, convert


def types_of(
    paths: Sequence[Path], options: ReadOptions, chosen: Sequence[str] | None = None
) -> dict[str, pa.DataType]:
    """Return the types of the columns of CSV files, which are those in one file with all their rows.

    Args:
        paths: The files.
        options: How they are written.
        chosen: Some of the columns. None: all.

    Raises:
        TableError: A file is damaged, or a column has words in one file and numbers in another.
    """
    names = {path: _names(path, options) for path in paths}
    folders.warn_of_other_columns(names)
    found: dict[Path, dict[str, FieldType]] = {}
    for path, known in names.items():
        # One column at least, which says whether the file has rows.
        some = known if chosen is None else [name for name in known if name in chosen] or known[:1]
        found[path] = {name: FieldType(options.decimal) for name in some}
        for batch in _texts(path, options, some):
            for name, texts in zip(some, batch.columns, strict=True):
                found[path][name].add(texts)
    types = field_types.common(found, options.decimal)
    return types if chosen is None else {name: types[name] for name in chosen}


def _texts(path: Path, options: ReadOptions, names: list[str]) -> Iterator[pa.RecordBatch]:
    """The fields of a CSV file in batches, after open quotes, which one search finds, and long cells are refused."""
    searched = False
    for batch in batches(path, options, dict.fromkeys(names, pa.string())):
        if not searched and csv_lines.have_line_breaks(batch.schema.names, batch.columns):
            parse = csv_dialect.arrow_options(path, options)[0]["parse_options"]
            csv_lines.refuse_open_quotes(path, options.encoding, parse.delimiter)
            searched = True
        untrusted.refuse_long_cells(path, batch.schema.names, batch.columns)
        yield batch


def _names(path: Path, options: ReadOptions) -> list[str]:
    """The names in the header of a CSV file."""
    given, _ = csv_dialect.arrow_options(path, options)
    with reading(path), locating(path, given), pa.csv.open_csv(path, **given) as head:
        names: list[str] = head.schema.names
    check_names(names)
    return names


def forms_of(path: Path, options: ReadOptions, types: Mapping[str, pa.DataType]) -> dict[bytes, bytes]:
    """Return the metadata of a table with the forms of those columns, of given types, that a CSV file has."""
    names = set(_names(path, options))
    schema = pa.schema([(name, kind) for name, kind in types.items() if name in names])
    given, convert = csv_dialect.arrow_options(path, options)
    forms = written_forms.learn(schema, path, given, convert.null_values)
    return {written_forms.KEY: json.dumps(forms).encode()} if forms else {}


def fields(paths: Sequence[Path], options: ReadOptions) -> pa.Table:
    """Return the fields of CSV files as they are written; those of columns that a file lacks are missing."""
    read = []
    for path in paths:
        given, convert = _typed_options(path, options, dict.fromkeys(_names(path, options), pa.string()))
        convert.null_values, convert.strings_can_be_null = [], False
        with reading(path), locating(path, given):
            read.append(pa.csv.read_csv(path, **given, convert_options=convert))
    return pa.concat_tables(read, promote_options="default")
