"""Read a private table row by row: no row influences how another one is read, and no row causes an error.

An error, an inferred type, or an unclosed quote that extends over following lines would reveal a row, or let it change
others, before noise is added. Only the column names, which are public, are read together.
"""

from __future__ import annotations

import codecs
import collections
import csv
import decimal
import numbers
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.feather
import pyarrow.parquet
from pandas.api.types import is_numeric_dtype

from synthvae.errors import TableError
from synthvae.tables import convert, csv_dialect, csv_lines, databases, files, folders, snapshots, untrusted
from synthvae.tables.arrow import check_names, dense
from synthvae.tables.convert import TableLike
from synthvae.tables.read_errors import reading
from synthvae.tables.read_options import ReadOptions

BLOCK_BYTES = 1 << 20  # of lines that are parsed together, at least
NUMERIC = "biuf"  # kinds of NumPy types that are numbers
PLAIN = NUMERIC + "Mm"  # kinds of NumPy types that Arrow converts independently of their values
MAX_WHOLE = 10**309  # beyond all doubles; the exponent of a larger decimal may give it any number of digits
HEX_ERRORS = "synthvae.rowwise.hex_errors"  # name of the error handler of codecs below


def read(source: TableLike, *, options: ReadOptions | None = None) -> pa.Table:
    """Read a private table.

    The fields of a CSV file are text. Each of its lines is a row, decoded by itself: a quote that is not closed in its
    line ends with it, invalid bytes are replaced by their hexadecimal digits, and a line with another number of fields
    is dropped. Python objects are converted to text one by one; of a list of rows, those that are not as long as most
    are dropped. The types of Parquet, Arrow and of NumPy's numbers are public, so they are kept.

    Args:
        source: What `convert.read` takes, or an array of rows (N, columns), whose columns are named x0, x1, ...
        options: How the table is written in its file; of these the encoding, the separator and the texts that mean a
            missing value, which concern each line alone.

    Raises:
        TableError: A column name is empty or a duplicate, or the file cannot be read whatever its rows are: a dataset
            of CSV or JSON files, an encoding without single-byte line breaks, a format or an option that infers types
            from the rows, a database.
        TableTypeError: `source` is not a table.
        FileNotFoundError: There is no such path.
    """
    options = options or ReadOptions()
    options.check_private()
    _refuse_databases(source)
    if isinstance(source, (str, Path)):
        return convert.as_read(_without_dictionaries(_of_path(Path(source), options)))
    if isinstance(source, pa.dataset.Dataset):
        _refuse_text_files(source)
        folders.refuse_conversions(source)
        return convert.as_read(_without_dictionaries(source.to_table()))
    if isinstance(source, pd.DataFrame):
        return convert.read(_of_frame(source))
    if hasattr(source, "__arrow_c_stream__") and not isinstance(source, pd.Series):
        return convert.read(_without_dictionaries(pa.table(source)))
    if isinstance(source, (list, tuple)) or hasattr(source, "__array__"):
        return convert.read(_of_frame(_frame(source)))
    return convert.read(source)  # which raises the error


def _refuse_databases(source: object) -> None:
    """Raise an error for a database, which infers types from rows, or fails at some of them.

    Raises:
        TableError: It is one.
    """
    if databases.is_url(source):
        if isinstance(source, str):
            databases.DatabaseUrl.parse(source)  # refuses other schemes
        raise TableError(
            "Rows must be read one by one under a privacy budget, got a database. Export the rows of the query to "
            "Parquet, with the types of its columns, and pass the file."
        )


def _refuse_text_files(source: pa.dataset.Dataset) -> None:
    """Raise an error for datasets of files whose types are inferred from their rows.

    Raises:
        TableError: The files are CSV or JSON.
    """
    for child in getattr(source, "children", []):
        _refuse_text_files(child)
    kind = getattr(getattr(source, "format", None), "default_extname", "")
    if kind in {"csv", "json"}:
        raise TableError(
            f"Types must be public under a privacy budget, got a dataset of {kind} files, whose types are inferred "
            "from its rows. Pass the path of a folder of CSV files, or a dataset of Parquet files."
        )


def _without_dictionaries(table: pa.Table) -> pa.Table:
    """The table with decoded dictionaries, whose index type may be too small once chunks are combined."""
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(place, field.name, dense(table.column(place)))
    return table


def _of_path(path: Path, options: ReadOptions) -> pa.Table:
    kind = files.format_of(path)
    if kind not in files.PRIVATE_FORMATS:
        raise TableError(
            f"Types must be public under a privacy budget, got a {kind} file, whose types are inferred from its rows: "
            f"{path}. Convert it to Parquet, with declared types, or to CSV."
        )
    options.check_taken(kind)
    with reading(path):
        if kind == "feather":
            return pa.feather.read_table(path, memory_map=False)
        if kind == "parquet":
            return snapshots.read(path, lambda: _of_parquet(path))
        read = {file: _of_csv(file, options) for file in files.csv_files(path) or ()}
        folders.warn_of_other_columns({file: table.column_names for file, table in read.items()})
        return pa.concat_tables(read.values(), promote_options="permissive")


def _of_parquet(path: Path) -> pa.Table:
    with reading(path):
        untrusted.refuse_large_parquet(path)
        if not path.is_dir():
            return pa.parquet.read_table(path, partitioning=None)
        found = folders.parquet(path, _partitions(path))
        folders.refuse_conversions(found)
        return found.to_table()


def _partitions(path: Path) -> Any:
    """The partitioning of folders NAME=VALUE; values are text, since types would be inferred from all of them."""
    below = (folder.name for folder in sorted(path.rglob("*=*")) if folder.is_dir())
    names = dict.fromkeys(name.partition("=")[0] for name in below)
    return pa.dataset.partitioning(pa.schema([(name, pa.string()) for name in names]), flavor="hive")


def _of_csv(path: Path, options: ReadOptions) -> pa.Table:
    untrusted.refuse_large_csv(path)
    encoding = options.encoding
    _refuse_encoding(encoding)
    with pa.input_stream(str(path), compression="detect") as stream:
        lines = _split(stream)
        # Names are public, so invalid text in them is an error.
        first = next(lines, b"")
        untrusted.refuse_long_header(path, first)
        head = first.decode(encoding).removeprefix("\ufeff")
        if not head.strip():
            raise TableError(f"{path} must contain a header and rows, got an empty first line.")
        delimiter = options.sep or csv_dialect.delimiter(head, path)
        names = _names(path, head, delimiter)
        check_names(names)
        rows = _closed_lines((_decoded(line, encoding) for line in lines), delimiter)
        return _parsed(rows, names, delimiter, options.na_values)


def _names(path: Path, head: str, delimiter: str) -> list[str]:
    """The names in a header, each of which has at most as many characters as Python's module `csv` reads."""
    try:
        return next(csv.reader([head], delimiter=delimiter))
    except csv.Error as error:
        raise TableError(f"{path} must have a header of column names ({error}). Shorten them.") from error


def _refuse_encoding(encoding: str) -> None:
    """Raise an error for encodings whose lines cannot be decoded one by one.

    Raises:
        TableError: A line break is not a single byte, as in UTF-16.
        LookupError: There is no such encoding.
    """
    if not csv_lines.is_ascii_in(encoding):
        raise TableError(
            f"A CSV file must have an encoding with single-byte line breaks under a privacy budget, got {encoding}. "
            "Save the table in UTF-8, or as Parquet."
        )


def _split(stream: Any) -> Iterator[bytes]:
    """The lines of a file, without line breaks."""
    rest = b""
    while block := stream.read(BLOCK_BYTES):
        # A carriage return at the end may be followed by the line feed of the same line break.
        held = b"\r" if block.endswith(b"\r") else b""
        *whole, rest = (rest + block.removesuffix(held)).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        rest += held
        yield from whole
    yield from rest.replace(b"\r", b"\n").removesuffix(b"\n").split(b"\n")


def _decoded(line: bytes, encoding: str) -> str | None:
    """A line as text, with invalid bytes as `_as_hex` writes them; None if it cannot be one row."""
    try:
        text = line.decode(encoding, errors=HEX_ERRORS)
    except (UnicodeError, ValueError):
        return None
    return None if "\n" in text or "\r" in text else text


def _as_hex(error: UnicodeError) -> tuple[str | bytes, int]:
    """Replace invalid bytes by U+FFFD and their hexadecimal digits, so that different values remain different."""
    if isinstance(error, UnicodeDecodeError):
        return "\ufffd" + error.object[error.start : error.end].hex(), error.end
    if isinstance(error, UnicodeEncodeError):
        letters = error.object[error.start : error.end]
        return "".join(f"\ufffd{ord(letter):x}" for letter in letters).encode(), error.end
    raise error


codecs.register_error(HEX_ERRORS, _as_hex)


def _closed_lines(lines: Iterable[str | None], delimiter: str) -> Iterator[bytes]:
    """The lines with all quotes closed, so that each is one row."""
    for line in lines:
        if line is None:
            continue
        if '"' not in line:
            yield line.encode(errors=HEX_ERRORS) + b"\n"
            continue
        try:
            (fields,) = csv.reader([line], delimiter=delimiter)
        except (csv.Error, ValueError):  # a field is too long
            continue
        quoted = ('"' + field.replace('"', '""') + '"' if field else "" for field in fields)
        yield delimiter.join(quoted).encode(errors=HEX_ERRORS) + b"\n"


def _parsed(lines: Iterable[bytes], names: list[str], delimiter: str, missing: Iterable[str]) -> pa.Table:
    """Parse lines as rows of text; lines that do not have one field per name are dropped."""
    texts = {name: pa.string() for name in names}
    whole = b"".join(lines)
    if not whole.strip():
        return pa.table([pa.array([], pa.string())] * len(names), names)
    longest = max(map(len, whole.split(b"\n")))
    return pa.csv.read_csv(
        pa.BufferReader(whole),
        pa.csv.ReadOptions(column_names=names, block_size=max(BLOCK_BYTES, longest + 2)),
        pa.csv.ParseOptions(delimiter=delimiter, invalid_row_handler=lambda _: "skip"),
        pa.csv.ConvertOptions(column_types=texts, null_values=["", *missing], strings_can_be_null=True),
    )


def _frame(rows: Any) -> pd.DataFrame:
    """An array, or a list of rows, as a DataFrame with the columns x0, x1, ..."""
    array: npt.NDArray[Any] = _listed(rows) if isinstance(rows, (list, tuple)) else np.asarray(rows)
    if array.ndim == 1 and array.dtype == object:  # rows of different lengths
        array = _listed(array)
    if array.ndim != 2 or not array.shape[1]:
        raise TableError("An array must have rows and columns, got another shape. Reshape it to (rows, columns).")
    if array.dtype.kind == "M":  # pandas has a smaller range of datetimes
        missing, array = np.isnat(array), array.astype(str).astype(object)
        array[missing] = None
    elif array.dtype.kind not in NUMERIC:  # else pandas infers a type from all values
        array = array.astype(object)
    return pd.DataFrame(array, columns=[f"x{i}" for i in range(array.shape[1])], dtype=array.dtype)


def _listed(rows: Iterable[Any]) -> npt.NDArray[np.object_]:
    """Rows as an array; those that do not have the most frequent length are dropped."""
    found = [row for row in rows if isinstance(row, (list, tuple)) or (isinstance(row, np.ndarray) and row.ndim)]
    widths = collections.Counter(map(len, found))
    width = min(widths, key=lambda size: (-widths[size], size), default=0)
    whole = [row for row in found if len(row) == width]
    array = np.empty((len(whole), width), object)
    for place, row in enumerate(whole):
        for column, cell in enumerate(row):  # one by one, since a cell may be a sequence
            array[place, column] = cell
    return array


def _of_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with columns of Python objects and of categories as text."""
    columns = [_column(frame.iloc[:, place]) for place in range(frame.shape[1])]
    read = pd.DataFrame(dict(enumerate(columns)), index=range(len(frame)))
    read.columns = frame.columns
    return read


def _column(values: pd.Series) -> Any:
    kind = values.dtype
    if isinstance(kind, pd.ArrowDtype) and pa.types.is_dictionary(kind.pyarrow_dtype):
        return values.astype(pd.ArrowDtype(kind.pyarrow_dtype.value_type)).array
    if isinstance(kind, pd.ArrowDtype) or is_numeric_dtype(kind) or getattr(kind, "kind", "O") in PLAIN:
        return values.array
    return pd.array(pa.array([_text(value) for value in values.array], pa.large_string()), dtype=TEXT)


TEXT = pd.ArrowDtype(pa.large_string())


def _text(value: Any) -> str | None:
    """A value as text, the same for equal whole numbers; None if it is missing or cannot be converted."""
    try:
        if value is None or value is pd.NA or value is pd.NaT or value != value:  # noqa: PLR0124 (NaN)
            return None
        if isinstance(value, bytes):
            return value.decode(errors=HEX_ERRORS)
        if isinstance(value, (numbers.Real, decimal.Decimal)) and not isinstance(value, (bool, np.bool_)):
            return _number(value)
        return str(value).encode(errors=HEX_ERRORS).decode()
    except Exception:  # noqa: BLE001 (`str` of an object may raise anything)
        return None


def _number(value: Any) -> str:
    """A number as text, the same for 7, 7.0 and Decimal("7.00")."""
    exact = value.item() if isinstance(value, np.generic) else value
    if abs(exact) < MAX_WHOLE and exact == int(exact):
        return str(int(exact))
    return str(value.normalize() if isinstance(value, decimal.Decimal) else value)
