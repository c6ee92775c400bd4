"""Read a private table, so that no row has a say in how another one is read, and none can be an error.

An error, a type that is guessed, or a quote that swallows the lines after it would tell of one row, or let it act on
others, before any noise is added. Here the names of the columns are read as everywhere, and everything else row by row.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from pandas.api.types import is_numeric_dtype

from synthvae.errors import TableError
from synthvae.tables import convert, files, untrusted
from synthvae.tables.convert import TableLike

BLOCK = 1 << 20  # bytes of lines that are parsed together, at least
PLAIN = "biufMm"  # kinds of NumPy types whose values Arrow takes without looking at them


def read(source: TableLike, *, encoding: str = "utf-8") -> pa.Table:
    """Return a private table.

    Fields of a CSV stay text. Each line of it is a row: a quote that is not closed in its line is closed at its end,
    a byte that is not in its encoding is replaced, and a line with more or fewer fields than there are names counts as
    not there. Values that Python objects hold become text, each by itself. Types that a table has are public, so those
    of Parquet, Arrow and of NumPy's numbers stay.

    Args:
        source: What `tables.read` takes, or an array of rows (N, columns), whose columns are named x0, x1, ...
        encoding: Character encoding of CSV files.

    Raises:
        TableError: A name is empty or twice there, or a file is none that can be read, whatever its rows.
        TableTypeError: `source` is no table.
        FileNotFoundError: There is no such path.
    """
    if isinstance(source, (str, Path)):
        return convert.as_read(_of_path(Path(source), encoding))
    if isinstance(source, pd.DataFrame):
        return convert.read(_of_frame(source))
    if hasattr(source, "__arrow_c_stream__") or not (isinstance(source, (list, tuple)) or hasattr(source, "__array__")):
        return convert.read(source)
    return convert.read(_of_frame(_frame(source)))


def _of_path(path: Path, encoding: str) -> pa.Table:
    found = files.csv_files(path)
    with files.reading(path):
        if found is None:
            untrusted.refuse_large_parquet(path)
            return pa.parquet.read_table(path)
        return pa.concat_tables([_of_csv(file, encoding) for file in found], promote_options="permissive")


def _of_csv(path: Path, encoding: str) -> pa.Table:
    untrusted.refuse_large_csv(path)
    with pa.input_stream(str(path), compression="detect") as stream:
        text = io.TextIOWrapper(io.BufferedReader(stream), encoding=encoding, errors="replace")
        head = text.readline().removeprefix("\ufeff")
        if not head.strip():
            raise TableError(f"{path} must hold a header and rows, however, its first line is empty")
        mark = files.delimiter(head, path)
        names = next(csv.reader([head], delimiter=mark))
        return _parsed(_whole_lines(text, mark), [name.strip("\r\n") for name in names], mark)


def _whole_lines(lines: Iterable[str], mark: str) -> Iterator[bytes]:
    """Lines of which each is a row by itself: all quotes that it has are closed."""
    for line in lines:
        if '"' not in line:
            yield line.encode(errors="replace")
            continue
        try:
            (fields,) = csv.reader([line.rstrip("\r\n")], delimiter=mark)
        except (csv.Error, ValueError):  # a field is too long
            continue
        quoted = ('"' + field.replace('"', '""') + '"' if field else "" for field in fields)
        yield (mark.join(quoted) + "\n").encode(errors="replace")


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
    try:
        # What is no array yet has no type: NumPy would make one of all its values.
        array = np.array(rows, dtype=object) if isinstance(rows, (list, tuple)) else np.asarray(rows)
    except ValueError:
        array = np.empty(0)
    if array.ndim != 2 or not array.shape[1]:
        raise TableError(
            "an array must have rows and columns, however, its shape is none of such: reshape it, one row for each row"
        )
    kept = array.dtype if array.dtype.kind in PLAIN else object  # pandas would look for a type of all values, too
    return pd.DataFrame(array, columns=[f"x{i}" for i in range(array.shape[1])], dtype=kept)


def _of_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """The table, columns of Python objects and of categories as text."""
    columns = [_column(frame.iloc[:, place]) for place in range(frame.shape[1])]
    read = pd.DataFrame(dict(enumerate(columns)), index=range(len(frame)))
    read.columns = frame.columns
    return read


def _column(values: pd.Series) -> Any:
    kind = values.dtype
    if isinstance(kind, pd.ArrowDtype) or is_numeric_dtype(kind) or getattr(kind, "kind", "O") in PLAIN:
        return values.array
    return pd.array(pa.array([_text(value) for value in values.array], pa.large_string()), dtype=TEXT)


TEXT = pd.ArrowDtype(pa.large_string())


def _text(value: Any) -> str | None:
    """A value as text; None where it is missing, or says nothing."""
    if value is None or value is pd.NA or value is pd.NaT or value != value:  # noqa: PLR0124 (not-a-number)
        return None
    try:
        text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    except Exception:  # noqa: BLE001 (an object may say itself in any way)
        return None
    return text.encode(errors="replace").decode()
