"""Write tables to CSV, Parquet and Excel files."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from synthvae import filesystem
from synthvae.errors import RequestError
from synthvae.tables import convert, workbooks
from synthvae.tables.number_format import is_number

SUFFIXES = (".parquet", ".csv", ".xlsx")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # and their full-width forms


def check_place(path: Path, *, overwrite: bool, escape_formulas: bool = False) -> None:
    """Check, before long work, that a table can be written to a file.

    Args:
        path: The file.
        overwrite: Whether an existing file may be replaced.
        escape_formulas: Whether formulas are to be escaped, which only CSV files need.

    Raises:
        RequestError: The file's suffix is not one of `SUFFIXES`, formulas cannot be escaped in it, it exists, or its
            folder does not.
        DatasetError: Its folder cannot be written.
        ConfigurationError: It is an Excel file, and openpyxl is not installed.
    """
    if path.suffix not in SUFFIXES:
        raise RequestError(f"An output table must be a file that ends in {', '.join(SUFFIXES)}, got {path}.")
    if escape_formulas and path.suffix != ".csv":
        raise RequestError(f"Escaping formulas requires a .csv file, got {path}. Omit the option, or write .csv.")
    if path.suffix == ".xlsx":
        workbooks.required()
    filesystem.check_writable(path)
    if path.is_dir() or (path.exists() and not overwrite):
        raise RequestError(f"{path} exists already. Pass --overwrite, or choose another name.")
    if not path.absolute().parent.is_dir():
        raise RequestError(f"The folder {path.parent} does not exist. Create it.")


def write(table: pa.Table, path: Path, *, escape_formulas: bool = False, fields: pa.Table | None = None) -> None:
    """Write a table atomically as CSV, Parquet or Excel, according to the suffix of the file.

    Args:
        table: The table.
        path: A file named .csv, .parquet or .xlsx.
        escape_formulas: Whether text in a CSV file, including column names, that a spreadsheet would interpret as a
            formula is prefixed with a ', and all text is quoted, as are numbers in the form of a CSV file; their values
            are unchanged. Source: OWASP, CSV injection, https://owasp.org/www-community/attacks/CSV_Injection.
        fields: The first rows of the table as a CSV file has them, in text, which a CSV file repeats; only the columns
            that it has.

    Raises:
        DatasetError: The file cannot be written.
    """
    if path.suffix == ".csv":
        first = 0 if fields is None else fields.num_rows
        frames = [convert.to_written(table.slice(first))]
        if fields is not None:
            frames.insert(0, _as_written(convert.to_pandas(table.slice(0, first)), fields))
        content = "".join(_csv_texts(frames, escape_formulas=escape_formulas)).encode()
    elif path.suffix == ".xlsx":
        content = workbooks.write(table.to_batches(), table.column_names)
    else:
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        content = buffer.getvalue()
    filesystem.export(path, content)


def _without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """A table whose texts and names a spreadsheet shows as they are."""
    return frame.map(_escaped).rename(columns=_escaped)


def _as_written(frame: pd.DataFrame, fields: pa.Table) -> pd.DataFrame:
    """A table with its columns as a CSV file has them; an empty field stays empty."""
    written = {name: fields.column(name).to_pandas() for name in fields.column_names if name in frame.columns}
    return frame.assign(**written)


def write_parts(parts: Sequence[Path], path: Path, *, escape_formulas: bool = False) -> None:
    """Write the rows of Parquet files to one new file, a part at a time, and flush it to disk.

    Args:
        parts: The Parquet files, all of one schema, in the order of their rows.
        path: A file named .csv, .parquet or .xlsx, which does not exist.
        escape_formulas: As of `write`.
    """
    schema = pq.read_schema(parts[0])
    with path.open("xb") as stream:
        if path.suffix == ".xlsx":
            batches = (batch for part in parts for batch in pq.ParquetFile(part).iter_batches())
            stream.write(workbooks.write(batches, schema.names))
        elif path.suffix == ".csv":
            frames = (convert.to_written(pq.read_table(part)) for part in parts)
            for text in _csv_texts(frames, escape_formulas=escape_formulas):
                stream.write(text.encode())
        else:
            with pq.ParquetWriter(stream, schema) as writer:
                for part in parts:
                    writer.write_table(pq.read_table(part, schema=schema))
        stream.flush()
        os.fsync(stream.fileno())


def _csv_texts(frames: Iterable[pd.DataFrame], *, escape_formulas: bool) -> Iterator[str]:
    """Tables with the same columns as pieces of one CSV. If formulas are escaped, all text is quoted."""
    for number, frame in enumerate(frames):
        safe = _without_formulas(frame) if escape_formulas else frame
        yield _csv(safe, quoted=escape_formulas, header=number == 0)


def _csv(frame: pd.DataFrame, *, quoted: bool, header: bool = True) -> str:
    """A table as CSV; all text is quoted if `quoted`, or if it contains carriage returns, which would end a row."""
    quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if quoted else csv.QUOTE_MINIMAL
    text: str = frame.to_csv(None, index=False, quoting=quoting, header=header)
    return text if quoted or "\r" not in text else _csv(frame, quoted=True, header=header)


def _escaped(cell: Any) -> Any:
    """A cell with a ' before a formula; also before text that already has one there, so that it can be undone."""
    formula = isinstance(cell, str) and cell.lstrip("'").startswith(FORMULA) and not is_number(cell)
    return f"'{cell}" if formula else cell
