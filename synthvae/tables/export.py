"""Tables as files for people: CSV and Parquet, in place of a file only if asked to."""

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
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # wide ones in Asian locales


def check_place(path: Path, *, overwrite: bool, escape_formulas: bool = False) -> None:
    """Refuse a file that cannot be written, or not so.

    Raises:
        RequestError: It has another suffix than .csv and .parquet, is there already, or no spreadsheet opens it.
        DatasetError: Its folder cannot be written.
    """
    if path.suffix not in SUFFIXES:
        raise RequestError(f"a table is written to a file named {' or '.join(SUFFIXES)}, however, it is {path}")
    if escape_formulas and path.suffix != ".csv":
        raise RequestError(f"formulas are escaped in .csv, however, it is {path}: leave that out, or write .csv")
    filesystem.check_writable(path)
    if path.is_dir() or (path.exists() and not overwrite):
        raise RequestError(f"a file must not be lost, however, {path} is there: pass --overwrite or another name")
    if not path.absolute().parent.is_dir():
        raise RequestError(f"a file is written to a folder that is there, however, {path.parent} is not: make it")


def write(table: pa.Table, path: Path, *, escape_formulas: bool = False) -> None:
    """Write a table as CSV or Parquet, as the file's name says: whole, or not at all.

    Args:
        table: The table.
        path: A file named .csv or .parquet.
        escape_formulas: Whether text in a CSV file that a spreadsheet would take for a formula, names of columns too,
            gets a ' in front, and all text stands in quotes; numbers stay as they are. Source: OWASP, CSV injection,
            https://owasp.org/www-community/attacks/CSV_Injection.

    Raises:
        DatasetError: It cannot be written.
    """
    if path.suffix == ".csv":
        frame = convert.to_pandas(table)
        frame = frame.map(_escaped).rename(columns=_escaped) if escape_formulas else frame
        content = _csv(frame, quoted=escape_formulas).encode()
    else:
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        content = buffer.getvalue()
    filesystem.export(path, content)


def _csv(frame: pd.DataFrame, *, quoted: bool) -> str:
    """A table as CSV, all text in quotes if asked for or needed: where they lack, a return ends a row."""
    text: str = frame.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC if quoted else csv.QUOTE_MINIMAL)
    return text if quoted or "\r" not in text else _csv(frame, quoted=True)


def _escaped(cell: Any) -> Any:
    """A cell that no spreadsheet takes for a formula; one with a ' in front already gets another, to be told apart."""
    formula = isinstance(cell, str) and cell.lstrip("'").startswith(FORMULA) and not is_number(cell)
    return f"'{cell}" if formula else cell
