"""Write tables to CSV and Parquet files."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from synthvae import filesystem
from synthvae.errors import RequestError
from synthvae.tables import convert
from synthvae.tables.number_format import is_number

SUFFIXES = (".parquet", ".csv")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # and their full-width forms


def check_place(path: Path, *, overwrite: bool, escape_formulas: bool = False) -> None:
    """Check, before long work, that a table can be written to a file.

    Args:
        path: The file.
        overwrite: Whether an existing file may be replaced.
        escape_formulas: Whether formulas are to be escaped, which only CSV files need.

    Raises:
        RequestError: The file's suffix is not .csv or .parquet, formulas cannot be escaped in it, it exists, or its
            folder does not.
        DatasetError: Its folder cannot be written.
    """
    if path.suffix not in SUFFIXES:
        raise RequestError(f"An output table must be a file that ends in {' or '.join(SUFFIXES)}, got {path}.")
    if escape_formulas and path.suffix != ".csv":
        raise RequestError(f"Escaping formulas requires a .csv file, got {path}. Omit the option, or write .csv.")
    filesystem.check_writable(path)
    if path.is_dir() or (path.exists() and not overwrite):
        raise RequestError(f"{path} exists already. Pass --overwrite, or choose another name.")
    if not path.absolute().parent.is_dir():
        raise RequestError(f"The folder {path.parent} does not exist. Create it.")


def write(table: pa.Table, path: Path, *, escape_formulas: bool = False, fields: pa.Table | None = None) -> None:
    """Write a table atomically as CSV or Parquet, according to the suffix of the file.

    Args:
        table: The table.
        path: A file named .csv or .parquet.
        escape_formulas: Whether text in a CSV file, including column names, that a spreadsheet would interpret as a
            formula is prefixed with a ', and all text is quoted; numbers are unchanged. Source: OWASP, CSV injection,
            https://owasp.org/www-community/attacks/CSV_Injection.
        fields: The first rows of the table as a CSV file has them, in text, which a CSV file repeats; only the columns
            that it has.

    Raises:
        DatasetError: The file cannot be written.
    """
    if path.suffix == ".csv":
        first = 0 if fields is None else fields.num_rows
        frames = [convert.to_pandas(table.slice(first))]
        if fields is not None:
            frames.insert(0, _as_written(convert.to_pandas(table.slice(0, first)), fields))
        if escape_formulas:
            frames = [frame.map(_escaped).rename(columns=_escaped) for frame in frames]
        content = _csv(frames, quoted=escape_formulas).encode()
    else:
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        content = buffer.getvalue()
    filesystem.export(path, content)


def _as_written(frame: pd.DataFrame, fields: pa.Table) -> pd.DataFrame:
    """A table with its columns as a CSV file has them; an empty field stays empty."""
    written = {name: fields.column(name).to_pandas() for name in fields.column_names if name in frame.columns}
    return frame.assign(**written)


def _csv(frames: list[pd.DataFrame], *, quoted: bool) -> str:
    """Tables as one CSV; all text is quoted if `quoted`, or if it contains carriage returns, which would end a row."""
    text = _one_csv(frames[0], quoted=quoted)
    for frame in frames[1:]:
        text += _one_csv(frame.set_axis(range(frame.shape[1]), axis=1), quoted=quoted).split("\n", 1)[1]
    return text if quoted or "\r" not in text else _csv(frames, quoted=True)


def _one_csv(frame: pd.DataFrame, *, quoted: bool) -> str:
    text: str = frame.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC if quoted else csv.QUOTE_MINIMAL)
    return text


def _escaped(cell: Any) -> Any:
    """A cell with a ' before a formula; also before text that already has one there, so that it can be undone."""
    formula = isinstance(cell, str) and cell.lstrip("'").startswith(FORMULA) and not is_number(cell)
    return f"'{cell}" if formula else cell
