"""CSV and Parquet files as tables."""

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
from synthvae.tables import untrusted
from synthvae.tables.arrow import check_names

_CSV_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".csv.bz2", ".csv.zst")
_PARQUET_SUFFIXES = (".parquet", ".pq")


def read(path: Path, encoding: str) -> pa.Table:
    """Return the rows of a CSV or Parquet file, or of a folder of either; see `tables.read`."""
    files = csv_files(path)
    with reading(path):
        if files is None:
            untrusted.refuse_large_parquet(path)
            return whole(pa.parquet.read_table(path))
        read = [_read_csv(file, encoding) for file in files]
        return read[0] if path.is_file() else pa.concat_tables(read, promote_options="permissive")


def csv_files(path: Path) -> list[Path] | None:
    """Return the CSV files of a path; None where Parquet files lie.

    Raises:
        TableError: Neither lies there, or it may not be looked at.
        FileNotFoundError: There is no such path.
    """
    with reading(path):
        if path.is_dir():
            return _csv_files_within(path)
        if path.exists():
            return _csv_file(path)
    raise FileNotFoundError(f"no such table: {path}")


def _csv_file(path: Path) -> list[Path] | None:
    name = path.name.lower()
    if name.endswith(_PARQUET_SUFFIXES):
        return None
    if name.endswith(_CSV_SUFFIXES):
        return [path]
    raise TableError(
        f"a table file must end in {', '.join((*_CSV_SUFFIXES, *_PARQUET_SUFFIXES))}, however, it is {path.name!r}"
    )


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever goes wrong while a file is read is a `TableError`."""
    try:
        yield
    except TableError:
        raise
    except UnicodeDecodeError as error:
        raise TableError(
            f"{path} must be text in {error.encoding}, however, byte {error.object[error.start]:#x} is not: "
            "name its encoding (`--encoding latin-1`) or save it as UTF-8"
        ) from error
    except LookupError as error:
        raise TableError(f"a character encoding must be known, however, {error}: try utf-8 or latin-1") from error
    except (pa.ArrowException, EOFError, OSError) as error:
        reason = str(error).splitlines()[0][:300]
        raise TableError(f"{path} cannot be read as a table ({reason}): check the file or write it again") from error


def whole(table: pa.Table) -> pa.Table:
    """Return rows of a Parquet file once names and values are found to be such."""
    check_names(table.column_names)
    table.validate(full=True)  # texts that are no texts would be found much later
    return table


def _csv_files_within(path: Path) -> list[Path] | None:
    files = [f.name.lower() for f in path.rglob("*") if f.is_file() and not f.name.startswith(("_", "."))]
    if any(f.endswith(_PARQUET_SUFFIXES) for f in files):
        return None
    csv = sorted(f for f in path.iterdir() if f.name.lower().endswith(_CSV_SUFFIXES))
    if not csv:
        raise TableError(f"a folder must hold Parquet or CSV files, however, {path} holds none")
    return csv


def _read_csv(path: Path, encoding: str) -> pa.Table:
    """Read as pandas does, but only an empty field is missing: "NA" or "None" may be a category."""
    untrusted.refuse_large_csv(path)
    return _read_typed(path, encoding, *csv_options(path, encoding))


def csv_options(path: Path, encoding: str) -> tuple[dict[str, Any], pa.csv.ConvertOptions]:
    """Return how a CSV file is read and parsed, and how its fields are converted."""
    parse = pa.csv.ParseOptions(delimiter=_delimiter_of(path, encoding), newlines_in_values=True)
    options = {"read_options": pa.csv.ReadOptions(encoding=encoding), "parse_options": parse}
    return options, pa.csv.ConvertOptions(null_values=[""], strings_can_be_null=True)


def _delimiter_of(path: Path, encoding: str) -> str:
    """The mark between the fields of a CSV file."""
    with pa.input_stream(str(path), compression="detect") as stream:
        head = stream.read(1 << 16)
    if not head.strip():
        raise TableError(f"{path} must hold a header and rows, however, it is empty")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and "16" not in encoding:
        raise TableError(f"{path} must be text in {encoding}, however, it is UTF-16: name it (`--encoding utf-16`)")
    return delimiter(head.decode(encoding, errors="replace"), path)


def _read_typed(path: Path, encoding: str, options: Mapping[str, Any], convert: Any) -> pa.Table:
    """Values of the types that all fields of a column have."""
    table = pa.csv.read_csv(path, **options, convert_options=convert)
    check_names(table.column_names)
    types = {field.name: _csv_type(table.column(field.name)) for field in table.schema}
    if any(types[field.name] == pa.string() != field.type for field in table.schema):
        convert.column_types = {name: kind for name, kind in types.items() if kind == pa.string()}
        table = pa.csv.read_csv(path, **options, convert_options=convert)
    _check_decoded(table, encoding)
    return table.cast(pa.schema([(name, types[name]) for name in table.column_names]))


def _csv_type(values: pa.ChunkedArray) -> pa.DataType:
    """The type that `pandas.read_csv` gives: dates stay text, a gap makes whole numbers floating."""
    if pa.types.is_temporal(values.type):
        return pa.string()
    if pa.types.is_null(values.type) or (pa.types.is_integer(values.type) and values.null_count):
        return pa.float64()
    return values.type


def _check_decoded(table: pa.Table, encoding: str) -> None:
    for field in table.schema:
        field.name.encode(encoding)
        if pa.types.is_binary(field.type):  # what Arrow makes of bytes that are not UTF-8
            for value in table.column(field.name).drop_null():
                value.as_py().decode(encoding)


def delimiter(head: str, path: Path) -> str:
    """The mark that stands most often between the names of a file; what is quoted does not count."""
    if ".tsv" in path.suffixes:
        return "\t"
    bare = re.sub(r'"[^"]*"', "", head).split("\n", 1)[0]
    return max(",;\t|", key=lambda mark: (bare.count(mark), -",;\t|".index(mark)))
