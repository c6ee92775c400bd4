"""`synthvae augment`: real rows, synthetic ones under them, and a column that tells them apart."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer
from typer.testing import CliRunner, Result

from synthvae.cli.main import app
from synthvae.tables import convert, export

CONFIG = "max_steps: 20\nwidth: 16\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    frame = load_breast_cancer(as_frame=True).frame.iloc[:150, [0, 1, 2, 30]]
    frame["target"] = frame["target"].map({0: "malignant", 1: "benign"})
    frame.loc[::9, "mean texture"] = None
    frame.to_csv(tmp_path / "table.csv", index=False)
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path / "table.csv"


def run(table: Path, *arguments: str, out: str = "more.parquet") -> Result:
    common = ["--target", "target", "--config", str(table.parent / "config.yaml"), "--seed", "0", "--quiet"]
    return CliRunner().invoke(app, ["augment", str(table), "-o", str(table.parent / out), *common, *arguments])


@pytest.mark.parametrize("out", ["more.parquet", "more.csv"])
def test_real_rows_come_first_and_classes_are_balanced(table: Path, out: str) -> None:
    result = run(table, "--json", out=out)
    assert result.exit_code == 0, result.output
    real = pd.read_csv(table)
    more = pd.read_csv(table.parent / out) if out.endswith("csv") else pd.read_parquet(table.parent / out)
    assert list(more) == [*real, "synthetic"]
    assert more["synthetic"].tolist() == [False] * len(real) + [True] * (len(more) - len(real))
    pd.testing.assert_frame_equal(more[: len(real)].drop(columns="synthetic"), real, check_dtype=False)
    assert more["target"].value_counts().nunique() == 1
    assert json.loads(result.stdout)["synthetic"] == len(more) - len(real)


def test_strategies_and_names(table: Path) -> None:
    counts = pd.read_csv(table)["target"].value_counts()
    assert run(table, "--strategy", "benign=200", "--strategy", "malignant=120", "--column", "made").exit_code == 0
    more = pd.read_parquet(table.parent / "more.parquet")
    assert more["target"].value_counts().to_dict() == {"benign": 200, "malignant": 120}
    assert run(table, "--strategy", "not-majority", "--synthetic-only", out="only.parquet").exit_code == 0
    only = pd.read_parquet(table.parent / "only.parquet")
    assert len(only) == counts.max() - counts.min()
    assert only["synthetic"].all()
    assert run(table, "--strategy", "1.0", out="share.csv").exit_code == 0


def test_the_same_seed_writes_the_same_bytes(table: Path) -> None:
    assert run(table).exit_code == run(table, out="again.parquet").exit_code == 0
    assert (table.parent / "more.parquet").read_bytes() == (table.parent / "again.parquet").read_bytes()


@pytest.mark.parametrize(("arguments", "out", "message"), [
    (["--strategy", "unknown=400"], "a.csv", "'unknown'"), (["--strategy", "benign=1"], "a.csv", "greater or equal"),
    (["--strategy", "some"], "a.csv", "needs to be one of"), ([], "a.txt", ".parquet, .csv, .xlsx"),
    ([], "absent/a.csv", "Create it"), (["--column", "target"], "a.csv", "of a new column"),
    ([], "table.csv", "--overwrite"),
])  # fmt: skip
def test_bad_requests_are_refused_in_one_line(table: Path, arguments: list[str], out: str, message: str) -> None:
    before = table.read_bytes()
    result = run(table, *arguments, out=out)
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert table.read_bytes() == before
    assert not (table.parent / out).exists() or out == "table.csv"


@pytest.mark.parametrize(
    ("target", "message"), [("mean radius", "is continuous"), ("absent", "is not a column of the table")]
)
def test_a_target_without_classes_is_refused_before_anything_is_learned(
    table: Path, target: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synthvae.synthesizer.synthesizer.Synthesizer.fit", None)
    result = CliRunner().invoke(app, ["augment", str(table), "--target", target, "-o", str(table.parent / "a.csv")])
    assert result.exit_code == 1
    assert message in result.stderr


def test_rows_without_a_label_are_learned_and_told(table: Path) -> None:
    frame = pd.read_csv(table)
    frame.loc[::2, "target"] = None
    frame.to_csv(table, index=False)
    done = CliRunner().invoke(app, ["augment", str(table), "--target", "target", "-o", str(table.parent / "a.csv"),
                                    "--config", str(table.parent / "config.yaml")])  # fmt: skip
    assert done.exit_code == 0
    assert "75 of 150 rows have no label" in done.stderr
    more = pd.read_csv(table.parent / "a.csv")
    assert more["target"][:150].isna().sum() == 75
    assert more["target"][150:].notna().all()


def test_a_budget_is_refused(table: Path) -> None:
    (table.parent / "config.yaml").write_text("privacy: {epsilon: 1.0, delta: 0.00001}")
    result = run(table)
    assert result.exit_code == 1
    assert "A privacy budget does not cover augmentation" in result.stderr


FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1+1", "'=1", "''@x"]
HARMLESS = ["a", "-5", "+1e3", "'", "it's", "1-1", "a;=1+1", 'say "=1"', "", " ", "é"]


def test_no_cell_of_text_is_a_formula_and_each_can_be_told_again(tmp_path: Path) -> None:
    texts = [*FORMULAS, *HARMLESS]
    numbers = [float(-i) for i in range(len(texts))]
    table = convert.read(pd.DataFrame({"=name": texts, "number": numbers, "code": pd.Categorical(texts)}))
    export.write(table, tmp_path / "safe.csv", escape_formulas=True)
    read = pd.read_csv(tmp_path / "safe.csv", keep_default_na=False)
    assert list(read) == ["'=name", "number", "code"]
    assert read["number"].tolist() == numbers
    for column in ("'=name", "code"):
        cells = read[column].tolist()
        assert cells == [f"'{text}" for text in FORMULAS] + HARMLESS
        assert not [cell for cell in cells if cell.startswith(export.FORMULA) and cell not in {"-5", "+1e3"}]
    export.write(table, tmp_path / "plain.csv")
    assert pd.read_csv(tmp_path / "plain.csv", keep_default_na=False)["=name"].tolist() == texts


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_escaping_is_undone_by_taking_one_mark_away(texts: list[str]) -> None:
    for text in texts:
        escaped = export._escaped(text)
        if escaped != text:
            assert escaped == f"'{text}"
        assert export._escaped(escaped)[1:] == escaped or escaped == text  # what is escaped is known by its look


def test_the_command_escapes_formulas_of_csv_only(table: Path) -> None:
    frame = pd.read_csv(table)
    frame["target"] = frame["target"].map({"malignant": "=1+1", "benign": "-"})
    frame.to_csv(table, index=False)
    assert run(table, "--escape-formulas", out="more.csv").exit_code == 0
    assert set(pd.read_csv(table.parent / "more.csv")["target"]) == {"'=1+1", "'-"}
    refused = run(table, "--escape-formulas", out="more.parquet")
    assert refused.exit_code == 1
    assert "write .csv" in refused.stderr
