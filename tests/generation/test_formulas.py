"""Text that looks like a formula stays text in every file that spreadsheets open."""

from __future__ import annotations

import csv
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from synthvae import Synthesizer
from synthvae.cli.main import app
from synthvae.errors import RequestError
from synthvae.tables import export

FORMULAS = ["=1+1", "+SUM(A1)", "-cmd|'/c calc'!A1", "@now", '=HYPERLINK("http://x")', "\t=1", "\uff1d1"]
NAME = "=name"


def table() -> pd.DataFrame:
    return pd.DataFrame({NAME: FORMULAS * 10, "n": [-5, 2, 3, 4, 5, 6, 7] * 10})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("formulas") / "model"
    Synthesizer(max_steps=5, width=8, latent_dim=2, random_state=0).fit(table()).save(folder)
    return folder


def assert_no_formula(path: Path) -> None:
    book = openpyxl.load_workbook(path)
    cells = [cell for row in book.active.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} == {"s", "n"}  # none is "f"
    assert any(str(cell.value).startswith("=") for cell in cells)
    with_quote = [cell for cell in cells if str(cell.value).startswith("'")]
    assert not with_quote


def test_in_excel_files(tmp_path: Path, model: Path) -> None:
    export.write(pa.Table.from_pandas(table()), tmp_path / "a.xlsx")
    Synthesizer.load(model).generate(tmp_path / "b.xlsx", rows=40, random_state=0)
    for name in ("a", "b"):
        assert_no_formula(tmp_path / f"{name}.xlsx")
        assert set(pd.read_excel(tmp_path / f"{name}.xlsx")[NAME]) <= set(FORMULAS)


def test_in_csv_files(tmp_path: Path, model: Path) -> None:
    words = ["generate", str(model), "--rows", "40", "--seed", "0", "-o"]
    plain, safe = tmp_path / "plain.csv", tmp_path / "safe.csv"
    assert CliRunner().invoke(app, [*words, str(plain)]).exit_code == 0
    assert CliRunner().invoke(app, [*words, str(safe), "--escape-formulas"]).exit_code == 0
    with safe.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["'" + NAME, "n"]
    assert all(text.startswith("'") and text[1:] in FORMULAS for text, _ in rows[1:])
    assert [number for _, number in rows[1:]] == pd.read_csv(plain, dtype=str)["n"].tolist()


@pytest.mark.parametrize("out", ["rows", "rows.parquet", "rows.xlsx"])
def test_other_files_need_no_escapes(tmp_path: Path, model: Path, out: str) -> None:
    with pytest.raises(RequestError, match=r"requires a \.csv file"):
        Synthesizer.load(model).generate(tmp_path / out, rows=5, escape_formulas=True)
    assert not (tmp_path / out).exists()
