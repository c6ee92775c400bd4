"""Limits of text files are ours: what they allow is read by each reader, and what is beyond has one error."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from synthvae.errors import TableError
from synthvae.tables import arrow, convert, rowwise, streaming, untrusted


def streamed(path: Path) -> pa.Table:
    return pa.concat_tables(streaming.Stream.from_source(path).batches())


READERS: dict[str, Callable[[Any], pa.Table]] = {"whole": convert.read, "stream": streamed, "rows": rowwise.read}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("quoted", [False, True])
def test_a_cell_of_a_csv_file(tmp_path: Path, name: str, *, quoted: bool) -> None:
    for beyond in (0, 1):
        cell = "y" * (untrusted.MAX_CELL + beyond)
        path = tmp_path / f"{beyond}.csv"
        path.write_text("a,b\n1,x\n2," + (f'"{cell}"' if quoted else cell) + "\n3,z\n")
        if name == "rows":  # no row is an error under a budget, and none changes another one
            read = READERS[name](path)
            assert read.column("b").to_pylist() == (["x", "z"] if quoted else ["x", cell, "z"])
        elif beyond:
            with pytest.raises(TableError, match=r"at most 3,145,728 bytes, got 3,145,729 in column 'b'"):
                READERS[name](path)
        else:
            assert READERS[name](path).column("b").to_pylist() == ["x", cell, "z"]


@pytest.mark.parametrize("name", ["whole", "stream"])
def test_a_row_of_a_csv_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b,c,d\n1,2,3,4\n" + ",".join(["y" * untrusted.MAX_CELL] * 4) + "\n")
    with pytest.raises(TableError, match=r"a row must have at most 8,388,608 bytes"):
        READERS[name](path)


@pytest.mark.parametrize("name", READERS)
def test_a_header(tmp_path: Path, name: str) -> None:
    path, names = tmp_path / "t.csv", [f"{k:0100000}" for k in range(10)]
    path.write_text(",".join(names) + "\n" + ",".join("1" * 10) + "\n")
    assert READERS[name](path).column_names == names
    path.write_text("a" * (untrusted.MAX_HEADER + 1) + ",b\n1,2\n")
    with pytest.raises(TableError, match=r"a header must have at most 1,048,576 bytes"):
        READERS[name](path)


def test_a_quoted_name_that_no_reader_takes_is_one_error(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('"' + "a" * 200_000 + '",b\n1,2\n')
    with pytest.raises(TableError, match="Shorten them"):
        rowwise.read(path)


def test_a_cell_of_a_sheet(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1, 2], "b": ["x", "marker"]}).to_excel(tmp_path / "t.xlsx", index=False)
    for beyond in (0, 1):
        cell = b"y" * (untrusted.MAX_CELL + beyond)
        path = tmp_path / f"{beyond}.xlsx"
        with zipfile.ZipFile(tmp_path / "t.xlsx") as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
            for name in old.namelist():
                new.writestr(name, old.read(name).replace(b"marker", cell))
        if beyond:
            with pytest.raises(TableError, match=r"a cell must have at most 3,145,728 bytes, got 3,145,729"):
                convert.read(path)
        else:
            assert convert.read(path).column("b").to_pylist() == ["x", cell.decode()]


def test_a_line_of_json(tmp_path: Path) -> None:
    for beyond in (0, 1):
        path = tmp_path / "t.jsonl"
        path.write_text('{"a": "' + "y" * (untrusted.MAX_CELL + beyond) + '"}\n')
        if beyond:
            with pytest.raises(TableError, match="a cell must have at most"):
                convert.read(path)
        else:
            assert convert.read(path).num_rows == 1


@pytest.mark.parametrize("read", [convert.read, rowwise.read])
def test_the_number_of_columns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, read: Callable[[Any], Any]) -> None:
    assert arrow.MAX_COLUMNS == 100_000
    monkeypatch.setattr(arrow, "MAX_COLUMNS", 3)
    frame = pd.DataFrame([[1, 2, 3, 4]], columns=list("abcd"))
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    for source in (frame, tmp_path / "t.csv", tmp_path / "t.parquet"):
        with pytest.raises(TableError, match="at most 3 columns, got 4"):
            read(source)
    assert read(frame[["a", "b", "c"]]).num_columns == 3
