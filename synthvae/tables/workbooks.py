"""Read and write sheets of Excel files with openpyxl (extra `[files]`)."""

from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from synthvae.errors import ConfigurationError, RequestError, TableError, listing
from synthvae.tables import untrusted
from synthvae.tables.read_options import ReadOptions

MOST_ROWS = 1 << 20  # of a sheet, with its header
EXPANSION = 8  # bytes of memory for a byte of unpacked XML, measured with a cell of 1 GiB
EXACT = 10**15  # a spreadsheet shows 15 digits of a number
TIMES = {dt.date, dt.datetime, dt.time, dt.timedelta}
TEXT = "s"  # the type of a cell whose text is not evaluated


def read(path: Path, options: ReadOptions) -> pa.Table:
    """Return a sheet whose first row has the names of the columns; rows and unnamed columns without values are dropped.

    Raises:
        TableError: The file is damaged, the sheet does not exist, or there are several and none is named.
        ConfigurationError: openpyxl is not installed.
    """
    openpyxl = required()
    with _reading(path):
        with zipfile.ZipFile(path) as archive:
            untrusted.refuse_size(path, sum(map(_bytes_of, archive.infolist())))
        with contextlib.closing(openpyxl.load_workbook(path, read_only=True, data_only=True)) as book:
            title, found = _chosen(path, book, options.sheet)
        rows = [row for row in found if any(cell not in (None, "") for cell in row)]
        _refuse_unseen(path, title, openpyxl)
    if not rows:
        raise TableError(f"{path} must contain a header and rows, got an empty sheet. Name another one (`--sheet`).")
    table = _table(*_filled(rows))
    untrusted.refuse_long_cells(path, table.column_names, table.columns)
    return table


def _bytes_of(entry: zipfile.ZipInfo) -> int:
    """The memory that an entry takes: those with cells are parsed, others, such as pictures, are not even read."""
    parsed = entry.filename.startswith("xl/worksheets/") or entry.filename == "xl/sharedStrings.xml"
    return entry.file_size * (EXPANSION if parsed else 1)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Convert every error of openpyxl, which has none of its own, to a `TableError`."""
    try:
        yield
    except TableError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        if isinstance(error, MemoryError):
            reason = "it does not fit into memory"
        raise TableError(f"{path} must be an Excel file (.xlsx), got another one ({reason}). Save it again.") from error


UNSEEN = (b"<f>", b"<f ", b"<mergeCell ")  # formulas and merged cells in the XML of a sheet


def _refuse_unseen(path: Path, title: str, openpyxl: Any) -> None:
    """Raise an error for formulas without a saved result, and for merged cells of several rows: they would be missing.

    Raises:
        TableError: The sheet has some.
    """
    with zipfile.ZipFile(path) as archive:
        sheets = [name for name in archive.namelist() if name.startswith("xl/worksheets/")]
        contents = [archive.read(name) for name in sheets]
    if not any(mark in content for content in contents for mark in UNSEEN):
        return
    sheet, results = openpyxl.load_workbook(path)[title], openpyxl.load_workbook(path, data_only=True)[title]
    merged = [str(cells) for cells in sheet.merged_cells.ranges if cells.max_row > cells.min_row]
    if merged:
        raise TableError(
            f"{path}, sheet {title!r}: each cell must have a value of its own, got the merged cells {listing(merged)}. "
            "Unmerge them, and fill their values."
        )
    for cell in (cell for row in sheet.iter_rows() for cell in row):
        if cell.data_type == "f" and results[cell.coordinate].value is None:
            raise TableError(
                f"{path}, sheet {title!r}: formulas must have results, got one without in {cell.coordinate}. Open and "
                "save the file in Excel or LibreOffice, or write the values."
            )


def required() -> Any:
    """Return openpyxl.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        import openpyxl
    except ImportError as error:
        raise ConfigurationError("Excel files need openpyxl. Install synthvae[files].") from error
    return openpyxl


def _chosen(path: Path, book: Any, wanted: str | int | None) -> tuple[str, list[tuple[Any, ...]]]:
    """The name and the rows of the wanted sheet, by name or number from 1; of the only one with values if none is."""
    names = [sheet.title for sheet in book.worksheets]
    if wanted is not None:
        number = int(wanted) if str(wanted).isdecimal() and wanted not in names else None
        if wanted not in names and not (number and number <= len(names)):
            raise TableError(f"{path} must have the sheet {wanted!r}, got {listing(names)}. Choose among them.")
        sheet = book.worksheets[number - 1] if number else book[wanted]
        return sheet.title, _rows(sheet)
    filled = {sheet.title: rows for sheet in book.worksheets if (rows := _rows(sheet))}
    if len(filled) > 1:
        raise TableError(f"{path} must have one sheet with values, got {listing(filled)}. Name one (`--sheet`).")
    return next(iter(filled.items()), (names[0], []))


def _rows(sheet: Any) -> list[tuple[Any, ...]]:
    """The rows of a sheet, without what the file states of its size, which may be wrong."""
    sheet.reset_dimensions()
    return list(sheet.iter_rows(values_only=True))


def _filled(rows: list[tuple[Any, ...]]) -> tuple[list[str], list[list[Any]]]:
    """The names of the columns, and their values, without columns that have neither."""
    width = max(map(len, rows))
    columns = [[row[place] if place < len(row) else None for row in rows] for place in range(width)]
    kept = [column for column in columns if any(cell not in (None, "") for cell in column)]
    names = ["" if column[0] is None else str(column[0]) for column in kept]
    return names, [[None if cell == "" else cell for cell in column[1:]] for column in kept]


def _table(names: list[str], columns: list[list[Any]]) -> pa.Table:
    """The columns as a table; of a column with text, all cells are text."""
    return pa.table([_array(name, cells) for name, cells in zip(names, columns, strict=True)], names)


def _array(name: str, cells: list[Any]) -> pa.Array:
    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds == {dt.datetime} and all(cell is None or cell.time() == dt.time() for cell in cells):
        cells = [None if cell is None else cell.date() for cell in cells]
    elif str in kinds and len(kinds) > 1:
        cells = [None if cell is None else _text(cell) for cell in cells]
    elif kinds & TIMES and len(kinds) > 1 and not kinds <= {dt.date, dt.datetime}:
        raise _several_types(name, kinds)  # Arrow would read a number as microseconds
    try:
        return pa.array(cells, from_pandas=True)
    except (pa.ArrowException, OverflowError) as error:
        raise _several_types(name, kinds) from error


def _several_types(name: str, kinds: set[type]) -> TableError:
    found = listing(sorted(kind.__name__ for kind in kinds))
    return TableError(
        f"Column {name!r}: all cells must have one type, got {found}. Give the column one format in the sheet."
    )


def _text(cell: Any) -> str:
    if isinstance(cell, dt.datetime) and cell.time() == dt.time():
        cell = cell.date()
    return str(cell).upper() if isinstance(cell, bool) else str(cell)


def write(batches: Iterable[pa.RecordBatch], names: list[str]) -> bytes:
    """Return an Excel file with one sheet; text is never evaluated as a formula.

    Raises:
        RequestError: A sheet cannot hold so many rows, or a text has control characters.
        ConfigurationError: openpyxl is not installed.
    """
    openpyxl = required()
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("synthetic")
    for number, row in enumerate(_written(names, batches)):
        if number >= MOST_ROWS:
            raise RequestError(
                f"An Excel sheet holds at most {MOST_ROWS - 1:,} rows, got more. Write .csv or .parquet."
            )
        try:
            sheet.append([_cell(openpyxl, sheet, value) for value in row])
        except openpyxl.utils.exceptions.IllegalCharacterError as error:
            raise RequestError("An Excel file cannot hold control characters. Write .csv or .parquet.") from error
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def _written(names: list[str], batches: Iterable[pa.RecordBatch]) -> Iterator[Iterable[Any]]:
    yield names
    for batch in batches:
        columns = [column.to_pylist() for column in batch.columns]
        yield from zip(*columns, strict=True)


def _cell(openpyxl: Any, sheet: Any, value: Any) -> Any:
    """A value as the cell of a sheet; what Excel would change is text."""
    if value is None or isinstance(value, (bool, float, dt.time, dt.timedelta)):
        return None if isinstance(value, float) and value != value else value  # noqa: PLR0124 (NaN)
    if isinstance(value, (int, decimal.Decimal)) and abs(float(value)) < EXACT:
        return value
    if isinstance(value, dt.date) and getattr(value, "tzinfo", None) is None and value.year >= 1900:
        return value
    cell = openpyxl.cell.WriteOnlyCell(sheet, value.isoformat(" ") if isinstance(value, pd.Timestamp) else str(value))
    cell.data_type = TEXT
    return cell
