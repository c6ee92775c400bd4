"""Hostile files of the readers beside CSV and Parquet: Excel, Stata, SPSS, SAS, Feather, JSON lines and SQLite."""

from __future__ import annotations

import functools
import gzip
import io
import json
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyreadstat

GOOD = 24  # files of each format that are harmed
SHORT = 200  # letters of a text that every format holds
NUMBERS: list[Any] = [0, 1, -1, 1.5, 2**31 - 1, 1e300, None]
DAYS = [pd.Timestamp("2020-02-29"), pd.Timestamp("1700-01-01"), pd.NaT]

Flip = Callable[[Random, bytes], bytes]


def frame(random: Random, cells: list[str]) -> pd.DataFrame:
    """A small table with odd cells, of types that statistical packages hold."""
    rows = random.choice([1, 3, 8])
    texts = [cell[:SHORT].replace("\0", "") for cell in cells]
    pools: dict[str, Callable[[], Any]] = {
        "text": lambda: pd.Series([random.choice(texts) for _ in range(rows)], dtype=object),
        "number": lambda: pd.Series([random.choice(NUMBERS) for _ in range(rows)], dtype=float),
        "whole": lambda: pd.Series([random.choice([0, 1, -5, 2**31 - 99]) for _ in range(rows)]).astype("int32"),
        "day": lambda: pd.Series([random.choice(DAYS) for _ in range(rows)], dtype="datetime64[ns]"),
        "kind": lambda: pd.Series([random.choice("ab") for _ in range(rows)]).astype("category"),
    }
    chosen = random.sample(sorted(pools), random.choice([1, 2, 5]))
    return pd.DataFrame({name: pools[name]() for name in chosen})


def stata(table: pd.DataFrame, random: Random) -> bytes:
    """A Stata file of some version."""
    buffer = io.BytesIO()
    if "text" in table:
        table = table.assign(text=[text.encode("latin-1", "ignore").decode("latin-1") for text in table["text"]])
    table.to_stata(buffer, write_index=False, version=random.choice([114, 117, 118, 119]))
    return buffer.getvalue()


def excel(table: pd.DataFrame, random: Random) -> bytes:
    """An Excel file, sometimes with a formula or merged cells."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(list(table.columns))
    for row in table.astype(object).where(table.notna(), None).itertuples(index=False):
        sheet.append([_printable(cell) for cell in row])
    if random.random() < 0.2:
        sheet["A2"] = "=1+1"
    if random.random() < 0.2:
        sheet.merge_cells("A2:B3")
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def _printable(cell: Any) -> Any:
    if isinstance(cell, pd.Timestamp):
        return cell.to_pydatetime()
    return "".join(letter for letter in cell if letter.isprintable()) if isinstance(cell, str) else cell


def feather(table: pd.DataFrame, random: Random) -> bytes:
    """A Feather file."""
    buffer = io.BytesIO()
    how = random.choice(["uncompressed", "lz4", "zstd"])
    pa.feather.write_feather(pa.Table.from_pandas(table), buffer, compression=how)
    return buffer.getvalue()


def _on_disk(suffix: str, write: Callable[[Path], Any]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"table{suffix}"
        write(path)
        return path.read_bytes()


def spss(table: pd.DataFrame, random: Random) -> bytes:
    """An SPSS file."""
    labels: Any = {"whole": {0: "none", 1: "one"}} if "whole" in table else {}
    packed = random.random() < 0.5
    plain = table.astype({"kind": str}) if "kind" in table else table
    write = functools.partial(pyreadstat.write_sav, plain, variable_value_labels=labels, compress=packed)
    return _on_disk(".sav", lambda path: write(str(path)))


def sas(table: pd.DataFrame, random: Random) -> bytes:
    """A transport file of SAS."""
    plain = table.astype({"kind": str}) if "kind" in table else table
    version: Any = random.choice([5, 8])
    return _on_disk(".xpt", lambda path: pyreadstat.write_xport(plain, str(path), file_format_version=version))


def sqlite(table: pd.DataFrame, random: Random) -> bytes:
    """An SQLite database with one table."""
    cells: list[Any] = [None, 1, 2**63 - 1, 1.5, "x", b"\xff", "2020-01-01"]
    mixed = [random.choice(cells) for _ in range(len(table))]
    plain = table.astype({"kind": str}) if "kind" in table else table

    def write(path: Path) -> None:
        with sqlite3.connect(path) as connection:
            plain.assign(mixed=mixed).to_sql("t", connection, index=False)
        connection.close()

    return _on_disk(".db", write)


def json_lines(table: pd.DataFrame, random: Random) -> bytes:
    """JSON lines with odd values."""
    values: list[Any] = [None, True, 0, -1, 2**53 + 1, 2**64, 10**30, 1e308, "", "2020-01-01", [1], {"a": 1}, "\ud800"]
    rows = json.loads(table.to_json(orient="records", date_format="iso"))
    for row in rows:
        if random.random() < 0.3:
            row[random.choice([*row, "other"])] = random.choice(values)
    text = "\n".join(map(json.dumps, rows)).encode()
    return gzip.compress(text, 1) if random.random() < 0.1 else text


WRITERS = {
    "excel": excel,
    "stata": stata,
    "spss": spss,
    "sas": sas,
    "feather": feather,
    "json": json_lines,
    "sqlite": sqlite,
}
SUFFIX = {
    "excel": ".xlsx",
    "stata": ".dta",
    "spss": ".sav",
    "sas": ".xpt",
    "feather": ".feather",
    "json": ".jsonl",
    "sqlite": ".db",
}


@functools.cache
def good(name: str, cells: tuple[str, ...]) -> list[bytes]:
    """Whole files of a format."""
    found = []
    for seed in range(GOOD):
        random = Random(seed)
        found.append(WRITERS[name](frame(random, list(cells)), random))
    return found


def maker(name: str, cells: list[str], flip: Flip) -> Callable[[Random], bytes]:
    """The harmed files of a format."""

    def make(random: Random) -> bytes:
        if name == "json" and random.random() < 0.5:  # cheap to write anew
            data = json_lines(frame(random, cells), random)
            return data if random.random() < 0.5 else flip(random, data)
        data = random.choice(good(name, tuple(cells)))
        return _within(random, data, flip) if name == "excel" and random.random() < 0.8 else flip(random, data)

    return make


def _within(random: Random, data: bytes, flip: Flip) -> bytes:
    """A zip archive with a harmed entry, as a stranger would write it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        names = old.namelist()
        harmed = random.choice([*names, *(name for name in names if "sheet" in name.lower()), "xl/styles.xml"])
        for name in names:
            new.writestr(name, flip(random, old.read(name)) if name == harmed else old.read(name))
    return buffer.getvalue()
