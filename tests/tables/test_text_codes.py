"""Fields of CSV files stay as they are written."""

from __future__ import annotations

import contextlib
import csv
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from synthvae import Column, Schema, Synthesizer
from synthvae.errors import TableError
from synthvae.tables import convert, databases, files, streaming, text_codes
from synthvae.tables.read_options import ReadOptions

TEXT = [
    ["02116", "00501"],
    ["501", "02116"],
    ["+49151", "+49152"],
    ["-007", "12"],
    ["00.5", "1.5"],
    ["0123", ""],
    ["\t0123", "12"],
    [" 0123", " \t12"],
    ["\t+1", "12"],
    ["\t-0x1F", "12"],
    ["1E5", "2E3"],
    ["12e3", ""],
    ["1E5", "200"],
    ["123456789012345678901234567890", "1"],
]
NUMBERS = [
    ["0", "10"],
    ["0.5", "-0.5"],
    ["-1", "0"],
    ["1e+05", "2"],
    ["1e5", "2.5"],
    ["1.0E5", "2.0E3"],
    ["10", ""],
    ["7", " 12"],
]


def _csv(folder: Path, cells: list[str], name: str = "t.csv") -> Path:
    path = folder / name
    path.write_text("code,n\n" + "".join(f"{cell},{i}\n" for i, cell in enumerate(cells * 20)))
    return path


@pytest.mark.parametrize("cells", TEXT)
def test_codes_are_text(tmp_path: Path, cells: list[str]) -> None:
    path = _csv(tmp_path, cells)
    table = convert.read(path)
    assert table.column("code").to_pylist() == [cell or None for cell in cells] * 20
    assert table.schema.field("n").type == pa.int64()


@pytest.mark.parametrize("cells", TEXT[:-1])
def test_codes_of_a_stream_are_text(tmp_path: Path, cells: list[str]) -> None:
    batches = list(streaming.Stream.from_source(_csv(tmp_path, cells)).batches())
    assert [c for batch in batches for c in batch.column("code").to_pylist()] == [c or None for c in cells] * 20


@pytest.mark.parametrize("cells", NUMBERS)
def test_numbers_are_numbers(tmp_path: Path, cells: list[str]) -> None:
    kind = convert.read(_csv(tmp_path, cells)).schema.field("code").type
    assert pa.types.is_integer(kind) or pa.types.is_floating(kind)


@pytest.mark.parametrize(("name", "encoding"), [("t.csv", "utf-16"), ("t.csv.gz", "utf-8"), ("t.tsv", "utf-8")])
def test_codes_of_any_file(tmp_path: Path, name: str, encoding: str) -> None:
    frame = pd.DataFrame({"n": [1, 2], "zip": ["02116", "12345"]})
    frame.to_csv(tmp_path / name, index=False, encoding=encoding, sep="\t" if "tsv" in name else ",")
    read = convert.read(tmp_path / name, options=ReadOptions(encoding=encoding))
    assert read.column("zip").to_pylist() == ["02116", "12345"]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [([2**63 - 1, -(2**63)], pa.int64()), ([2**64 - 1, 1], pa.uint64()), ([2**63 - 1, None], pa.int64())],
)
def test_whole_numbers_are_not_rounded(tmp_path: Path, cells: list[int | None], kind: pa.DataType) -> None:
    values = convert.read(_csv(tmp_path, ["" if cell is None else str(cell) for cell in cells])).column("code")
    assert values.type == kind
    assert values.to_pylist() == cells * 20


def test_a_code_at_the_border_of_two_blocks_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _csv(tmp_path, ["12", "0777"])
    for size in range(64, 96):
        monkeypatch.setattr(text_codes, "BLOCK_BYTES", size)
        assert convert.read(path).schema.field("code").type == pa.string()


def test_declared_text_categories_are_text(tmp_path: Path) -> None:
    path = _csv(tmp_path, ["10", "20"])
    codes = Column(name="code", kind="categorical", categories=["10", "20"])
    schema = Schema(columns=[codes, Column(name="n", kind="integer")])
    fitted = Synthesizer(schema=schema, max_steps=2, random_state=0).fit(path)
    assert set(fitted.sample(20)["code"]) <= {"10", "20"}
    assert len(fitted.transform(path)) == 40


def test_a_file_of_codes_without_zeros_is_encoded_as_the_training_table(tmp_path: Path) -> None:
    fitted = Synthesizer(max_steps=2, random_state=0).fit(_csv(tmp_path, ["02116", "12345"]))
    assert len(fitted.transform(_csv(tmp_path, ["12345"], "other.csv"))) == 20


def test_augment_copies_real_cells(tmp_path: Path) -> None:
    from synthvae.cli.main import app

    path, out = tmp_path / "t.csv", tmp_path / "more.csv"
    rows = "".join(f"007,{i % 9}.50,{'TRUE' if i % 3 else 'false'},,{'ab'[i > 30]},1e{i % 3}\n" for i in range(40))
    path.write_text("dept,x,flag,none,y,e\n" + rows)
    config = tmp_path / "c.yaml"
    config.write_text("max_steps: 2\n")
    result = CliRunner().invoke(app, ["augment", str(path), "--target", "y", "-o", str(out), "--config", str(config)])
    assert result.exit_code == 0, result.output
    fields = files.read_fields(out, ReadOptions())
    assert fields is not None
    assert fields.slice(0, 40).drop_columns(["synthetic"]).equals(files.read_fields(path, ReadOptions()))
    assert fields.num_rows > 40


def test_the_fields_of_a_folder_whose_files_have_unlike_columns(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,b\n007,x\n")
    (tmp_path / "2.csv").write_text("b,a,c\ny,1.50,\n")
    (tmp_path / "3.csv").write_text("b\nz\n")
    fields = files.read_fields(tmp_path, ReadOptions())
    assert fields is not None
    assert fields.to_pydict() == {"a": ["007", "1.50", None], "b": ["x", "y", "z"], "c": [None, "", None]}


def test_only_files_of_text_have_fields(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1]})
    frame.to_parquet(tmp_path / "t.parquet")
    url = "sqlite:///t.db"
    for source in (url, databases.DatabaseUrl.parse(url), frame, pa.table(frame), tmp_path / "t.parquet"):
        assert files.read_fields(source, ReadOptions()) is None


def _augment(table: str, out: Path, *options: str) -> Any:
    from synthvae.cli.main import app

    config = out.parent / "c.yaml"
    config.write_text("max_steps: 2\n")
    return CliRunner().invoke(app, ["augment", table, "-o", str(out), "--config", str(config), *options])


def test_a_query_is_augmented_to_a_csv_file(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "t.db")) as base:
        base.execute("CREATE TABLE t (x REAL, y TEXT)")
        base.executemany("INSERT INTO t VALUES (?, ?)", [(i % 9 / 2, "ab"[i > 30]) for i in range(40)])
        base.commit()
    out, url = tmp_path / "more.csv", f"sqlite:///{tmp_path / 't.db'}"
    result = _augment(url, out, "--query", "SELECT * FROM t", "--target", "y")
    assert result.exit_code == 0, result.output
    assert len(pd.read_csv(out)) > 40


def test_real_cells_of_a_folder_of_unlike_files_are_copied(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    lines = "".join(f"007,{i % 9}.50,{'ab'[i > 14]}\n" for i in range(20))
    (tmp_path / "parts/1.csv").write_text("dept,x,y\n" + lines)
    turned = (line.split(",")[::-1] for line in lines.splitlines())
    (tmp_path / "parts/2.csv").write_text("y,x,dept\n" + "".join(",".join(line) + "\n" for line in turned))
    out = tmp_path / "more.csv"
    result = _augment(str(tmp_path / "parts"), out, "--target", "y")
    assert result.exit_code == 0, result.output
    expected = [line.split(",") for line in lines.splitlines()] * 2
    found = pd.read_csv(out, dtype=str, usecols=["dept", "x", "y"])[["dept", "x", "y"]]
    assert found.iloc[:40].to_numpy().tolist() == expected


@pytest.mark.parametrize("kind", ["continuous", "integer"])
def test_powers_are_numbers_where_numbers_are_declared(tmp_path: Path, kind: str) -> None:
    path = _csv(tmp_path, ["1E5", "2e3", "700"])
    schema = Schema(columns=[Column(name="code", kind=kind)])
    for table in (convert.read(path), *streaming.Stream.from_source(path).batches()):
        assert schema.check(table.select(["code"]))["code"].to_pylist() == [1e5, 2e3, 700] * 20
    model = Synthesizer(schema=schema, max_steps=3, width=8, random_state=0).fit(path)
    assert set(model.sample(50)["code"]) <= {1e5, 2e3, 700}


def test_codes_are_no_numbers_where_numbers_are_declared(tmp_path: Path) -> None:
    table = convert.read(_csv(tmp_path, ["007", "12"])).select(["code"])
    with pytest.raises(TableError, match="one format"):
        Schema(columns=[Column(name="code", kind="integer")]).check(table)


FIELDS = st.lists(st.text(st.sampled_from(" \t+-01.xe"), max_size=5), min_size=1, max_size=3)


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@given(FIELDS, st.sampled_from(",;\t"))
def test_a_column_of_a_file_has_one_type_in_memory_and_in_batches(fields: list[str], sep: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        with path.open("w", newline="") as stream:
            csv.writer(stream, delimiter=sep).writerows([["code", "n"], *([field, 1] for field in fields)])
        (batch,) = streaming.Stream.from_source(path).batches()
        assert batch.equals(convert.read(path))
