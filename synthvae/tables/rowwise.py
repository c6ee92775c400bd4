"""Read a private table, so that no row has a say in how another one is read, and none can be an error.

An error, a type that is guessed, or a quote that swallows the lines after it would tell of one row, or let it act on
others, before any noise is added. Here the names of the columns are read as everywhere, and everything else row by row.
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
import pyarrow.parquet
from pandas.api.types import is_numeric_dtype

from synthvae.errors import TableError
from synthvae.tables import convert, files, untrusted
from synthvae.tables.convert import TableLike

BLOCK = 1 << 20  # bytes of lines that are parsed together, at least
NUMERIC = "biuf"  # kinds of NumPy types that are numbers
PLAIN = NUMERIC + "Mm"  # kinds of NumPy types of a DataFrame whose values Arrow takes without looking at them
PLAIN_TEXT = 'a,"\n'
LONGEST_WHOLE = 10**309  # beyond all doubles; a decimal's exponent may make digits without end
WRITTEN_OUT = "synthvae.rowwise.written_out"  # the name of a handler of what cannot be decoded or encoded


def read(source: TableLike, *, encoding: str = "utf-8") -> pa.Table:
    """Return a private table.

    Fields of a CSV stay text. Each line of it is a row, found and decoded by itself: a quote that is not closed in its
    line is closed at its end, bytes that are not in its encoding become their digits, and a line with more or fewer
    fields than there are names counts as not there. Values that Python objects hold become text, each by itself; of a
    list of rows those that are not as long as most count as not there. Types that a table has are public, so those of
    Parquet, Arrow and of NumPy's numbers stay.

    Args:
        source: What `tables.read` takes, or an array of rows (N, columns), whose columns are named x0, x1, ...
        encoding: Character encoding of CSV files.

    Raises:
        TableError: A name is empty or twice there, or a file is none that can be read, whatever its rows: a dataset
            of CSV or JSON, an encoding whose lines cannot be told apart.
        TableTypeError: `source` is no table.
        FileNotFoundError: There is no such path.
    """
    if isinstance(source, (str, Path)):
        return convert.as_read(_without_dictionaries(_of_path(Path(source), encoding)))
    if isinstance(source, pa.dataset.Dataset):
        _refuse_texts(source)
        return convert.as_read(_without_dictionaries(source.to_table()))
    if isinstance(source, pd.DataFrame):
        return convert.read(_of_frame(source))
    if hasattr(source, "__arrow_c_stream__") and not isinstance(source, pd.Series):
        return convert.read(_without_dictionaries(pa.table(source)))
    if isinstance(source, (list, tuple)) or hasattr(source, "__array__"):
        return convert.read(_of_frame(_frame(source)))
    return convert.read(source)  # which refuses it


def _refuse_texts(source: pa.dataset.Dataset) -> None:
    """Refuse datasets of files whose types follow from their rows.

    Raises:
        TableError: They are CSV or JSON.
    """
    for child in getattr(source, "children", []):
        _refuse_texts(child)
    kind = getattr(getattr(source, "format", None), "default_extname", "")
    if kind in {"csv", "json"}:
        raise TableError(
            f"under a privacy budget types must be public, however, those of a dataset of {kind} files follow from "
            "its rows: pass the path of a folder of CSV files, or a dataset of Parquet"
        )


def _without_dictionaries(table: pa.Table) -> pa.Table:
    """The table without dictionaries, whose indices may be too few once all values are together."""
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(place, field.name, table.column(place).cast(field.type.value_type))
    return table


def _of_path(path: Path, encoding: str) -> pa.Table:
    found = files.csv_files(path)
    with files.reading(path):
        if found is None:
            untrusted.refuse_large_parquet(path)
            return pa.parquet.read_table(path, partitioning=_folders(path))
        return pa.concat_tables([_of_csv(file, encoding) for file in found], promote_options="permissive")


def _folders(path: Path) -> Any:
    """How folders NAME=VALUE are read: values as text, since their types would follow from all of them."""
    folders = (folder.name for folder in sorted(path.rglob("*=*")) if folder.is_dir())
    names = dict.fromkeys(name.partition("=")[0] for name in folders)
    return pa.dataset.partitioning(pa.schema([(name, pa.string()) for name in names]), flavor="hive") if names else None


def _of_csv(path: Path, encoding: str) -> pa.Table:
    untrusted.refuse_large_csv(path)
    _refuse_encoding(encoding)
    with pa.input_stream(str(path), compression="detect") as stream:
        lines = _split(stream)
        head = next(lines, b"").decode(encoding).removeprefix("\ufeff")  # names are public: what is no text is an error
        if not head.strip():
            raise TableError(f"{path} must hold a header and rows, however, its first line is empty")
        mark = files.delimiter(head, path)
        names = next(csv.reader([head], delimiter=mark))
        return _parsed(_whole_lines((_decoded(line, encoding) for line in lines), mark), names, mark)


def _refuse_encoding(encoding: str) -> None:
    """Refuse encodings whose lines cannot be found without reading those before.

    Raises:
        TableError: A line break is not one byte, as in UTF-16.
        LookupError: There is no such encoding.
    """
    codecs.lookup(encoding)
    try:
        plain = PLAIN_TEXT.encode(encoding).endswith(PLAIN_TEXT.encode("ascii"))  # behind a mark of the order of bytes
    except UnicodeError:
        plain = False
    if not plain:
        raise TableError(
            f"under a privacy budget each line of a CSV is read by itself, however, lines of {encoding} cannot be: "
            "write the table in UTF-8, or as Parquet"
        )


def _split(stream: Any) -> Iterator[bytes]:
    """The lines of a file, without what ends them."""
    rest = b""
    while block := stream.read(BLOCK):
        # A carriage return may be followed by the line feed of the same line break.
        held = b"\r" if block.endswith(b"\r") else b""
        *whole, rest = (rest + block.removesuffix(held)).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        rest += held
        yield from whole
    yield from rest.replace(b"\r", b"\n").removesuffix(b"\n").split(b"\n")


def _decoded(line: bytes, encoding: str) -> str | None:
    """A line as text, bytes that are not in the encoding as what `_written_out` makes of them; None if it has none."""
    try:
        text = line.decode(encoding, errors=WRITTEN_OUT)
    except (UnicodeError, ValueError):
        return None
    return None if "\n" in text or "\r" in text else text


def _written_out(error: UnicodeError) -> tuple[str | bytes, int]:
    """Bytes that are no text as their hexadecimal digits behind a mark: two persons whose names differ stay two."""
    if isinstance(error, UnicodeDecodeError):
        return "\ufffd" + error.object[error.start : error.end].hex(), error.end
    if isinstance(error, UnicodeEncodeError):
        letters = error.object[error.start : error.end]
        return "".join(f"\ufffd{ord(letter):x}" for letter in letters).encode(), error.end
    raise error


codecs.register_error(WRITTEN_OUT, _written_out)


def _whole_lines(lines: Iterable[str | None], mark: str) -> Iterator[bytes]:
    """Lines of which each is a row by itself: all quotes that it has are closed."""
    for line in lines:
        if line is None:
            continue
        if '"' not in line:
            yield line.encode(errors=WRITTEN_OUT) + b"\n"
            continue
        try:
            (fields,) = csv.reader([line], delimiter=mark)
        except (csv.Error, ValueError):  # a field is too long
            continue
        quoted = ('"' + field.replace('"', '""') + '"' if field else "" for field in fields)
        yield mark.join(quoted).encode(errors=WRITTEN_OUT) + b"\n"


def _parsed(lines: Iterable[bytes], names: list[str], mark: str) -> pa.Table:
    """The rows of lines, as text; lines that have not a field for each name are left out."""
    texts = {name: pa.string() for name in names}
    whole = b"".join(lines)
    if not whole.strip():
        return pa.table([pa.array([], pa.string())] * len(names), names)
    longest = max(map(len, whole.split(b"\n")))
    return pa.csv.read_csv(
        pa.BufferReader(whole),
        pa.csv.ReadOptions(column_names=names, block_size=max(BLOCK, longest + 2)),
        pa.csv.ParseOptions(delimiter=mark, invalid_row_handler=lambda _: "skip"),
        pa.csv.ConvertOptions(column_types=texts, null_values=[""], strings_can_be_null=True),
    )


def _frame(rows: Any) -> pd.DataFrame:
    """An array, or a list of rows, as a table whose columns are named x0, x1, ..."""
    array: npt.NDArray[Any] = _listed(rows) if isinstance(rows, (list, tuple)) else np.asarray(rows)
    if array.ndim == 1 and array.dtype == object:  # of rows that are not alike
        array = _listed(array)
    if array.ndim != 2 or not array.shape[1]:
        raise TableError(
            "an array must have rows and columns, however, its shape is none of such: reshape it, one row for each row"
        )
    if array.dtype.kind == "M":  # of which pandas holds fewer
        missing, array = np.isnat(array), array.astype(str).astype(object)
        array[missing] = None
    elif array.dtype.kind not in NUMERIC:  # pandas would look for a type of all values
        array = array.astype(object)
    return pd.DataFrame(array, columns=[f"x{i}" for i in range(array.shape[1])], dtype=array.dtype)


def _listed(rows: Iterable[Any]) -> npt.NDArray[np.object_]:
    """Rows as an array; those that have not as many cells as most have count as not there."""
    found = [row for row in rows if isinstance(row, (list, tuple)) or (isinstance(row, np.ndarray) and row.ndim)]
    widths = collections.Counter(map(len, found))
    width = min(widths, key=lambda size: (-widths[size], size), default=0)
    whole = [row for row in found if len(row) == width]
    array = np.empty((len(whole), width), object)
    for place, row in enumerate(whole):
        for column, cell in enumerate(row):  # one by one: a cell may be a sequence
            array[place, column] = cell
    return array


def _of_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """The table, columns of Python objects and of categories as text."""
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
    """A value as text; None where it is missing, or says nothing. Equal whole numbers have one text."""
    try:
        if value is None or value is pd.NA or value is pd.NaT or value != value:  # noqa: PLR0124 (not-a-number)
            return None
        if isinstance(value, bytes):
            return value.decode(errors=WRITTEN_OUT)
        if isinstance(value, (numbers.Real, decimal.Decimal)) and not isinstance(value, (bool, np.bool_)):
            return _number(value)
        return str(value).encode(errors=WRITTEN_OUT).decode()
    except Exception:  # noqa: BLE001 (an object may say itself in any way)
        return None


def _number(value: Any) -> str:
    """A number as text: 7, 7.0 and Decimal("7.00") are one."""
    exact = value.item() if isinstance(value, np.generic) else value
    if abs(exact) < LONGEST_WHOLE and exact == int(exact):
        return str(int(exact))
    return str(value.normalize() if isinstance(value, decimal.Decimal) else value)
