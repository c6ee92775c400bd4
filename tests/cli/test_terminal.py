"""Text of files on a terminal: labels, names of columns, units, paths and ledgers cannot steer it or add a line."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from synthvae import Synthesizer
from synthvae.cli.main import app
from synthvae.errors import STEERING
from synthvae.evaluation import evaluate

FORGED = "privacy: (0.1, 1e-9)-differentially private"
LABEL = f"ok\n{FORGED}"
TITLE = "\x1b]0;x\x07b\u202e\u2028\u200b\x9b2J\ue000"
NAME = f"a{TITLE}\r{FORGED}"
CONFIG = "max_steps: 5\nwidth: 8\nlatent_dim: 2\n"


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({NAME: rng.normal(size=60), "y": [LABEL, TITLE] * 30})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose path has a line break, with a table, parameters and a fitted model."""
    folder = tmp_path_factory.mktemp("terminal") / f"x\n{FORGED}\x1b[2J"
    folder.mkdir()
    frame().to_parquet(folder / "table.parquet")
    (folder / "quick.yaml").write_text(CONFIG)
    Synthesizer(target="y", max_steps=5, width=8, latent_dim=2, random_state=0).fit(frame()).save(folder / "model")
    return folder


def run(*words: object) -> tuple[str, str, int]:
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done.stdout, done.stderr, done.exit_code


def assert_harmless(text: str) -> None:
    assert not {letter for letter in text if letter != "\n" and unicodedata.category(letter) in STEERING}
    assert not [line for line in text.split("\n") if line.strip(" -").startswith(FORGED)], text


def test_a_model_is_described(home: Path) -> None:
    for more in ([], ["--card"]):
        out, errors, code = run("info", home / "model", *more)
        assert code == 0, errors
        assert_harmless(out + errors)
    assert_harmless((home / "model" / "README.md").read_text(encoding="utf-8"))
    assert json.loads(run("info", home / "model", "--json")[0])["target"] == "y"  # JSON has escapes of its own


def test_rows_are_generated(home: Path) -> None:
    out, errors, code = run("generate", home / "model", "--rows", 30, "-o", home / "rows", "--overwrite")
    assert code == 0, errors
    assert "\\n" in out
    assert_harmless(out + errors)
    assert_harmless("".join(run("generate", home / "model", "--rows", 5, "-o", home / "rows")[:2]))  # exists


@pytest.mark.parametrize("more", [[], ["--debug"]])
def test_errors_and_warnings(home: Path, more: list[str]) -> None:
    fails: list[list[Any]] = [
        ["generate", home / "model", "--class", "c\x1b[2J=3", "-o", home / "none"],
        ["fit", home / "table.parquet", "--target", "no", "-o", home / "new"],
        ["fit", home / f"{TITLE}.csv", "-o", home / "new"],
        ["fit", home / "table.parquet", "--target", "y", "--config", home / "quick.yaml", "-o", home / "table.parquet"],
        ["info", home / "table.parquet"],
        ["evaluate", home / "table.parquet", home / "table.parquet", "--target", TITLE],
    ]
    for words in fails:
        out, errors, code = run(*words, *more)
        assert code == 1, (words, errors)
        assert_harmless(out + errors)
        assert ("Traceback" in errors or "File " in errors) == bool(more)
    out, errors, code = run("fit", home / "table.parquet", "--target", "y", "--config", home / "quick.yaml", "-o",
                            home / "again", "--overwrite", "--log-dir", home / "log", *more)  # fmt: skip
    assert code == 0, errors
    assert_harmless(out + errors)


def test_a_schema_for_review_is_read_again(home: Path) -> None:
    from synthvae import Schema

    for more in ([], ["--declare"]):
        out, errors, code = run("schema", home / "table.parquet", *more)
        assert code == 0, errors
        assert_harmless(out)
        assert set(Schema.from_yaml(out)["y"].categories or ()) >= ({LABEL, TITLE} if more else set())
        assert NAME in Schema.from_yaml(out).names


def test_tables_are_compared(home: Path) -> None:
    report = home / "report.html"
    out, errors, code = run("evaluate", home / "table.parquet", home / "table.parquet", "--target", "y",
                            "--no-attacks", "-o", report, "--group", "y")  # fmt: skip
    assert code == 0, errors
    assert_harmless(out + errors)
    html = report.read_text(encoding="utf-8")
    ours = html[: html.index("<script>")] + html[html.index('id="charts"') : html.index("</script>")]
    assert "a\\x1b]0;x" in ours
    assert_harmless(ours.replace("\\\\", ""))
    assert not any(code in ours for code in ("\\u202e", "\\u001b")) or "\\\\u202e" in ours


def test_a_study_is_run(home: Path) -> None:
    recipe = home / "study.yaml"
    recipe.write_text(
        "input: table.parquet\ntarget: y\nmodel: {max_steps: 5, width: 8, latent_dim: 2}\ngeneration: {rows: 40}\n"
        "evaluation: {attacks: false}\nreport: {fail_under: {shape: 0.9999}}\n"
    )
    for more in (["--dry-run"], []):
        out, errors, _ = run("run", recipe, "-o", home / "study", *more)
        assert "generate" in out
        assert_harmless(out + errors)


LEDGER = {"epsilon": 1.0, "delta": 1e-6, "unit": "one row", "events": ["counts"]}
FORGERIES: list[dict[str, Any]] = [
    {"epsilon": float("nan")}, {"epsilon": float("inf")}, {"epsilon": -1.0}, {"epsilon": True}, {"epsilon": "0.1"},
    {"delta": 1.0}, {"delta": -1e-9}, {"delta": None}, {"unit": ["one row"]}, {"unit": "x" * 5000},
    {"events": "counts"}, {"events": [1]}, {"budget": 0}, {"budget": [3]}, {"accountant": {"x": 1}},
]  # fmt: skip


@pytest.mark.parametrize("change", FORGERIES, ids=str)
def test_a_forged_ledger_is_not_believed(home: Path, change: dict[str, Any]) -> None:
    rows = home / "rows-with-ledger"
    rows.mkdir(exist_ok=True)
    frame().to_parquet(rows / "part-0.parquet")
    (rows / "_manifest.json").write_text(json.dumps({"ledger": {**LEDGER, **change}}), encoding="utf-8")
    out, errors, code = run("evaluate", home / "table.parquet", rows, "--no-attacks")
    assert (code, out) == (1, "")
    assert errors.count("\n") == 1
    with pytest.raises(ValueError, match="ledger"):
        evaluate(frame(), frame(), attacks=False, ledger={**LEDGER, **change})


def test_a_unit_in_a_ledger_is_one_line() -> None:
    found = evaluate(frame(), frame(), attacks=False, ledger={**LEDGER, "unit": NAME, "note\n": "x"})
    assert_harmless(str(found))
    assert_harmless(found._html().partition("<script>")[0])
    assert "note" not in found.to_dict()["ledger"]
