"""Read files and folders of tables: CSV and Parquet here, other formats through the modules of their readers."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet

from synthvae.errors import TableError
from synthvae.tables import (
    csv_dialect,
    csv_folders,
    csv_lines,
    databases,
    folders,
    json_lines,
    snapshots,
    statistical,
    text_codes,
    text_forms,
    untrusted,
    workbooks,
    written_forms,
)
from synthvae.tables.arrow import check_names
from synthvae.tables.read_errors import locating, reading
from synthvae.tables.read_options import ReadOptions

_CSV_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".tab", ".txt", ".csv.bz2", ".csv.zst", ".tsv.bz2", ".tsv.zst")
_PARQUET_SUFFIXES = (".parquet", ".pq")
_SUFFIXES = {
    "csv": _CSV_SUFFIXES,
    "parquet": _PARQUET_SUFFIXES,
    "excel": (".xlsx", ".xlsm"),
    "stata": (".dta",),
    "spss": (".sav", ".zsav", ".por"),
    "sas": (".sas7bdat", ".xpt"),
    "feather": (".feather", ".arrow"),
    "json": (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz", ".jsonl.bz2", ".jsonl.zst"),
}
_READERS = {
    "excel": workbooks.read,
    "stata": statistical.read_stata,
    "spss": statistical.read_spss,
    "sas": statistical.read_sas,
    "json": json_lines.read,
}
PRIVATE_FORMATS = {"csv", "parquet", "feather"}  # whose rows can be read without regard to each other
_SPECIAL = {
    stat.S_ISFIFO: "a named pipe",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
    stat.S_ISSOCK: "a socket",
}


def read(path: Path, options: ReadOptions) -> pa.Table:
    """Read a file, or a folder of CSV or Parquet files; see `convert.read`."""
    kind = format_of(path)
    options.check_taken(kind)
    with reading(path):
        if kind == "parquet":
            return snapshots.read(path, lambda: _read_parquet(path))
        if kind == "feather":
            return validated(pa.feather.read_table(path, memory_map=False))
        if kind != "csv":
            return text_forms.without_sentinels(_READERS[kind](path, options), options)
        if path.is_file():
            return _read_csv(path, options)
        return csv_folders.joined({file: _read_csv(file, options) for file in csv_files(path) or ()}, options)


def _read_parquet(path: Path) -> pa.Table:
    with reading(path):
        untrusted.refuse_large_parquet(path)
        return validated(folders.parquet(path).to_table() if path.is_dir() else pa.parquet.read_table(path))


def format_of(path: Path) -> str:
    """Return the format of a file or folder: a key of `read_options.TAKEN`.

    Raises:
        TableError: It is not a table, or not a file.
        FileNotFoundError: There is no such path.
    """
    with reading(path):
        if path.is_dir():
            return snapshots.read(path, lambda: "parquet" if _csv_files_within(path) is None else "csv")
        if path.exists():
            _refuse_special(path)
            return _format_of_name(path.name.lower())
    raise FileNotFoundError(f"No such table: {path}")


def _refuse_special(path: Path) -> None:
    """Raise an error for a pipe, whose reader would wait for a writer, and for a device, which has no end.

    Raises:
        TableError: It is one.
    """
    mode = path.stat().st_mode
    for is_such, what in _SPECIAL.items():
        if is_such(mode):
            raise TableError(f"A table must be a file or a folder, got {what}: {path}. Write it to a file first.")


def _format_of_name(name: str) -> str:
    for kind, suffixes in _SUFFIXES.items():
        if name.endswith(suffixes):
            return kind
    known = ", ".join(suffix for suffixes in _SUFFIXES.values() for suffix in suffixes)
    ways = {
        ".xls": " Save it as .xlsx.",
        ".ods": " Save it as .xlsx.",
        ".json": " Write one object on each line (.jsonl).",
        ".rds": " Write it as Parquet or CSV in R.",
    }
    way = next((way for suffix, way in ways.items() if name.endswith(suffix)), "")
    raise TableError(f"A table file must end in {known}, got {name!r}.{way}")


def csv_files(path: Path) -> list[Path] | None:
    """Return the CSV files of a path; None if it has another format.

    Raises:
        TableError: There is no file of a known format, or it must not be read.
        FileNotFoundError: There is no such path.
    """
    if format_of(path) != "csv":
        return None
    return _csv_files_within(path) if path.is_dir() else [path]


def validated(table: pa.Table) -> pa.Table:
    """Return a table that was read from a binary file after checking its column names and values.

    Raises:
        TableError: A column name is empty or a duplicate.
        pa.ArrowInvalid: A value is invalid, such as text that is not UTF-8.
    """
    check_names(table.column_names)
    table.validate(full=True)  # else invalid UTF-8 raises an error much later
    return table


def _files_below(path: Path) -> Iterator[str]:
    """The names of the files below a folder but hidden ones; a folder may be removed meanwhile."""
    for _, below, files in os.walk(path):
        below[:] = [name for name in below if not name.startswith(("_", "."))]
        yield from (name for name in files if not name.startswith(("_", ".")))


def _csv_files_within(path: Path) -> list[Path] | None:
    if any(name.lower().endswith(_PARQUET_SUFFIXES) for name in _files_below(path)):
        return None
    csv = sorted(f for f in path.iterdir() if f.name.lower().endswith(_CSV_SUFFIXES))
    if not csv:
        raise TableError(f"A folder must contain Parquet or CSV files, got none in {path}.")
    for file in csv:
        _refuse_special(file)
    return csv


def _read_csv(path: Path, options: ReadOptions) -> pa.Table:
    """Read a CSV as pandas does, except that only empty fields are missing, since "NA" or "None" may be a category."""
    untrusted.refuse_large_csv(path)
    with reading(path):
        given, convert = csv_dialect.arrow_options(path, options)
        missing = convert.null_values
        return written_forms.with_forms(_read_typed(path, options, given, convert), path, given, missing)


def read_fields(source: object, options: ReadOptions) -> pa.Table | None:
    """Return the fields of a CSV file, or of a folder of such files, as they are written; None for other tables."""
    if not isinstance(source, (str, Path)) or databases.is_url(source):
        return None
    found = csv_files(Path(source))
    return None if found is None else csv_folders.fields(found, options)


def _read_typed(path: Path, given: ReadOptions, options: Mapping[str, Any], convert: Any) -> pa.Table:
    """Read a CSV with one type for all fields of a column."""
    with locating(path, options):
        table = pa.csv.read_csv(path, **options, convert_options=convert)
    check_lines(path, options, table.column_names, table.columns)
    check_names(table.column_names)
    exact = text_codes.exact_types(path, table, options, convert.null_values)
    types = {field.name: _csv_type(table.column(field.name), given.decimal) for field in table.schema} | exact
    if exact or any(types[field.name] == pa.string() != field.type for field in table.schema):
        convert.column_types = {name: kind for name, kind in types.items() if kind == pa.string()} | exact
        table = pa.csv.read_csv(path, **options, convert_options=convert)
    _check_decoded(table, given.encoding)
    return table.cast(pa.schema([(name, types[name]) for name in table.column_names]))


def check_lines(path: Path, options: Mapping[str, Any], names: list[str], columns: list[Any]) -> None:
    """Refuse a CSV file with an open quote, if a value has line breaks, as all that follows an open quote has.

    Raises:
        TableError: It has one, or a cell is too long.
    """
    if csv_lines.have_line_breaks(names, columns):
        csv_lines.refuse_open_quotes(path, options["read_options"].encoding, options["parse_options"].delimiter)
    untrusted.refuse_long_cells(path, names, columns)


def _csv_type(values: pa.ChunkedArray, decimal: str) -> pa.DataType:
    """The type that `pandas.read_csv` infers: dates are text, whole numbers with missing values are floats.

    With another decimal separator than a point, what Arrow reads as a number with a point is text: 1.500 may be 1500.
    """
    if pa.types.is_temporal(values.type) or (pa.types.is_floating(values.type) and decimal != "."):
        return pa.string()
    if pa.types.is_null(values.type) or (pa.types.is_integer(values.type) and values.null_count):
        return pa.float64()
    return values.type


def _check_decoded(table: pa.Table, encoding: str) -> None:
    for field in table.schema:
        field.name.encode(encoding)
        if pa.types.is_binary(field.type):  # how Arrow reads bytes that are not UTF-8
            for value in table.column(field.name).drop_null():
                value.as_py().decode(encoding)
