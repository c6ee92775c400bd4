"""Read CSV and Parquet files."""

from __future__ import annotations

import codecs
import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from synthvae.errors import TableError
from synthvae.tables import text_codes, untrusted
from synthvae.tables.arrow import check_names

_CSV_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".csv.bz2", ".csv.zst")
_PARQUET_SUFFIXES = (".parquet", ".pq")


def read(path: Path, encoding: str) -> pa.Table:
    """Read a CSV or Parquet file, or a folder of such files; see `convert.read`."""
    files = csv_files(path)
    with reading(path):
        if files is None:
            untrusted.refuse_large_parquet(path)
            return whole(pa.parquet.read_table(path))
        read = [_read_csv(file, encoding) for file in files]
        return read[0] if path.is_file() else pa.concat_tables(read, promote_options="permissive")


def csv_files(path: Path) -> list[Path] | None:
    """Return the CSV files of a path; None if it is a Parquet file, or a folder with one.

    Raises:
        TableError: There is no file of either format, or it must not be read.
        FileNotFoundError: There is no such path.
    """
    with reading(path):
        if path.is_dir():
            return _csv_files_within(path)
        if path.exists():
            return _csv_file(path)
    raise FileNotFoundError(f"No such table: {path}")


def _csv_file(path: Path) -> list[Path] | None:
    name = path.name.lower()
    if name.endswith(_PARQUET_SUFFIXES):
        return None
    if name.endswith(_CSV_SUFFIXES):
        return [path]
    raise TableError(f"A table file must end in {', '.join((*_CSV_SUFFIXES, *_PARQUET_SUFFIXES))}, got {path.name!r}.")


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Convert every error of reading a file to a `TableError`."""
    try:
        yield
    except TableError:
        raise
    except UnicodeDecodeError as error:
        raise TableError(
            f"{path} must be text in {error.encoding}, got the byte {error.object[error.start]:#x}. "
            "Name its encoding (`--encoding latin-1`), or save it as UTF-8."
        ) from error
    except LookupError as error:
        raise TableError(f"The character encoding must be known to Python ({error}). Try utf-8 or latin-1.") from error
    except (pa.ArrowException, EOFError, OSError) as error:
        reason = str(error).splitlines()[0][:300]
        raise TableError(f"{path} cannot be read as a table ({reason}). Check the file, or write it again.") from error


def whole(table: pa.Table) -> pa.Table:
    """Return a table of a Parquet file after validating its column names and values."""
    check_names(table.column_names)
    table.validate(full=True)  # else invalid UTF-8 raises an error much later
    return table


def _csv_files_within(path: Path) -> list[Path] | None:
    files = [f.name.lower() for f in path.rglob("*") if f.is_file() and not f.name.startswith(("_", "."))]
    if any(f.endswith(_PARQUET_SUFFIXES) for f in files):
        return None
    csv = sorted(f for f in path.iterdir() if f.name.lower().endswith(_CSV_SUFFIXES))
    if not csv:
        raise TableError(f"A folder must contain Parquet or CSV files, got none in {path}.")
    return csv


def _read_csv(path: Path, encoding: str) -> pa.Table:
    """Read a CSV as pandas does, except that only empty fields are missing, since "NA" or "None" may be a category."""
    untrusted.refuse_large_csv(path)
    return _read_typed(path, encoding, *csv_options(path, encoding))


def read_fields(path: Path, encoding: str) -> pa.Table | None:
    """Return the fields of a CSV file, or of a folder of such files, as they are written; None for other files."""
    files = csv_files(path)
    if files is None:
        return None
    with reading(path):
        read = []
        for file in files:
            options, convert = csv_options(file, encoding)
            with pa.csv.open_csv(file, **options) as head:
                convert.column_types = dict.fromkeys(head.schema.names, pa.string())
            convert.null_values, convert.strings_can_be_null = [], False
            read.append(pa.csv.read_csv(file, **options, convert_options=convert))
        return pa.concat_tables(read)


def csv_options(path: Path, encoding: str) -> tuple[dict[str, Any], pa.csv.ConvertOptions]:
    """Return Arrow's options for reading and parsing a CSV file, and for converting its fields."""
    parse = pa.csv.ParseOptions(delimiter=_delimiter_of(path, encoding), newlines_in_values=True)
    options = {"read_options": pa.csv.ReadOptions(encoding=encoding), "parse_options": parse}
    return options, pa.csv.ConvertOptions(null_values=[""], strings_can_be_null=True)


def _delimiter_of(path: Path, encoding: str) -> str:
    """The delimiter of the fields of a CSV file."""
    with pa.input_stream(str(path), compression="detect") as stream:
        head = stream.read(1 << 16)
    if not head.strip():
        raise TableError(f"{path} must contain a header and rows, got an empty file.")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and "16" not in encoding:
        raise TableError(f"{path} must be text in {encoding}, got UTF-16. Name its encoding (`--encoding utf-16`).")
    return delimiter(head.decode(encoding, errors="replace"), path)


def _read_typed(path: Path, encoding: str, options: Mapping[str, Any], convert: Any) -> pa.Table:
    """Read a CSV with one type for all fields of a column."""
    table = pa.csv.read_csv(path, **options, convert_options=convert)
    check_names(table.column_names)
    exact = text_codes.exact_types(path, table, encoding, options)
    types = {field.name: _csv_type(table.column(field.name)) for field in table.schema} | exact
    if exact or any(types[field.name] == pa.string() != field.type for field in table.schema):
        convert.column_types = {name: kind for name, kind in types.items() if kind == pa.string()} | exact
        table = pa.csv.read_csv(path, **options, convert_options=convert)
    _check_decoded(table, encoding)
    return table.cast(pa.schema([(name, types[name]) for name in table.column_names]))


def _csv_type(values: pa.ChunkedArray) -> pa.DataType:
    """The type that `pandas.read_csv` infers: dates are text, whole numbers with missing values are floats."""
    if pa.types.is_temporal(values.type):
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


def delimiter(head: str, path: Path) -> str:
    """Return the most frequent delimiter in the header of a file, outside of quotes."""
    if ".tsv" in path.suffixes:
        return "\t"
    bare = re.sub(r'"[^"]*"', "", head).split("\n", 1)[0]
    return max(",;\t|", key=lambda character: (bare.count(character), -",;\t|".index(character)))
