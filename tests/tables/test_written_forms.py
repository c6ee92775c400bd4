"""A CSV file writes its numbers and booleans as the file that was read, whatever the path through the package."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from synthvae import Synthesizer
from synthvae.cli.main import app
from synthvae.tables import ReadOptions, convert, export, streaming, written_forms
from synthvae.tables.number_format import find_style, shown_style, write

COLUMNS: dict[str, list[str]] = {
    "mixed": ["7", "1.5", "2"],
    "several": ["7", "1.50", "2.5"],
    "fixed": ["7.50", "1.25", "2.00"],
    "whole": ["7", "-3", "12"],
    "flag": ["TRUE", "FALSE", "TRUE"],
}
SHOWN = {**COLUMNS, "several": ["7", "1.5", "2.5"]}


def _place(path: Path, missing: str | None) -> Path:
    rows = [list(cells) for cells in zip(*COLUMNS.values(), strict=True)]
    if missing is not None:
        rows.append([missing] * len(COLUMNS))
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([[*COLUMNS, "x"], *([*row, "a"] for row in rows)])
    return path


def _fields(path: Path) -> dict[str, list[str]]:
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    return {name: frame[name].tolist()[:3] for name in COLUMNS}


@pytest.mark.parametrize(("missing", "options"), [(None, {}), ("", {}), ("-", {"na_values": "-"}), ("NaN", {})])
@pytest.mark.parametrize("way", ["file", "folder", "stream", "escaped", "parts"])
def test_fields_come_back(tmp_path: Path, missing: str | None, options: dict[str, Any], way: str) -> None:
    path = _place(tmp_path / "in" / "t.csv", missing)
    how = ReadOptions(**options)
    if way == "stream":
        (table,) = streaming.Stream.from_source(path, options=how).batches()
    else:
        table = convert.read(path.parent if way == "folder" else path, options=how)
    out = tmp_path / "out.csv"
    if way == "parts":
        export.write(table, tmp_path / "part.parquet")
        export.write_parts([tmp_path / "part.parquet"], out, escape_formulas=True)
    else:
        export.write(table, out, escape_formulas=way == "escaped")
    assert _fields(out) == SHOWN


def test_both_writers_write_the_same(tmp_path: Path) -> None:
    table = convert.read(_place(tmp_path / "in" / "t.csv", None))
    export.write(table, tmp_path / "part.parquet")
    for safe in (False, True):
        export.write(table, tmp_path / f"{safe}.csv", escape_formulas=safe)
        parts = tmp_path / f"{safe}-parts.csv"
        export.write_parts([tmp_path / "part.parquet"], parts, escape_formulas=safe)
        assert parts.read_bytes() == (tmp_path / f"{safe}.csv").read_bytes()


def _long(folder: Path) -> Path:
    rows = [f"{i % 9 if i % 3 else i % 9 + 0.5},{'=a' if i % 2 else 'b'}\n" for i in range(90)]
    path = folder / "long.csv"
    path.write_text("v,y\n" + "".join(rows))
    return path


@pytest.mark.parametrize("flags", [[], ["--escape-formulas"]])
def test_synthetic_rows_have_the_form_of_the_real_ones(tmp_path: Path, flags: list[str]) -> None:
    path, out = _long(tmp_path), tmp_path / "out.csv"
    Synthesizer(max_steps=2, random_state=0).fit(path).save(tmp_path / "model")
    made = CliRunner().invoke(app, ["generate", str(tmp_path / "model"), "--rows", "60", "-o", str(out), *flags])
    assert made.exit_code == 0, made.output
    more = tmp_path / "more.csv"
    words = ["augment", str(path), "--target", "y", "--strategy", "=a=90", "-o", str(more), "--seed", "0", *flags]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    for written in (out, more):
        values = pd.read_csv(written, dtype=str)["v"]
        assert not values[values.str.endswith(".0")].tolist()
        assert values.str.contains(".", regex=False).any()


def test_a_form_of_an_older_or_a_forged_file_is_taken_or_left() -> None:
    frame = pd.DataFrame({"x": [1.5, 2.0]})
    cases: list[tuple[dict[str, Any], list[Any]]] = [
        ({"decimals": 2}, ["1.50", "2.00"]),
        ({"decimals": 0}, [1.5, 2.0]),
        ({"decimals": 10**9}, [1.5, 2.0]),
        ({"style": "short"}, ["1.5", "2"]),
        ({"style": "99999"}, [1.5, 2.0]),
        ({"style": [1]}, [1.5, 2.0]),
    ]
    for form, texts in cases:
        assert written_forms.as_written(frame, {"x": form})["x"].tolist() == texts


@given(st.lists(st.integers(-(10**7), 10**7), min_size=1, max_size=9), st.sampled_from(["repr", "short", "0", "2"]))
def test_the_style_of_a_file_is_that_of_text(numbers: list[int], style: str) -> None:
    texts = [write(number / (1 if style == "0" else 100), style) for number in numbers]
    found, known = shown_style(pa.array(texts)), find_style(texts)
    assert found == known or {found, known} <= {"repr", "short", "0", "1", "2"}
    assert [write(float(text), found or "") for text in texts] == texts
