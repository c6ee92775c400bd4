"""Commands take the same options for how a table is written; a model is replaced only if asked."""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from synthvae import Schema, Synthesizer
from synthvae.cli.main import app

GERMAN = "betrag;datum;amb;lab;few;y\n" + "".join(
    f"1.{i % 97 + 100},{i % 90 + 10};{i % 28 + 1:02d}.12.2020;{i % 12 + 1:02d}.{i // 12 % 12 + 1:02d}.20{i // 30 + 10};"
    f"{'<0,5' if i % 9 == 0 else f'{i % 7},{i % 10}'};{('1.500', '2.250')[i % 2]};{'ab'[i % 2]}\n"
    for i in range(300)
)
OPTIONS = ["--decimal", ",", "--thousands", ".", "--date-format", "%d.%m.%Y", "--na-values", "-"]


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "g.csv").write_text(GERMAN)
    (tmp_path / "quick.yaml").write_text("max_steps: 3\nwidth: 8\nlatent_dim: 2\n")
    return tmp_path


@pytest.mark.parametrize("command", ["schema", "fit", "augment", "evaluate"])
def test_all_commands_that_read_have_the_options(command: str) -> None:
    shown = CliRunner(env={"COLUMNS": "200", "TERM": "dumb"}).invoke(app, [command, "--help"]).stdout
    for option in ("encoding", "sep", "decimal", "thousands", "date-format", "na-values", "sheet", "query"):
        assert f"--{option}" in shown


def test_a_german_file_is_fitted_augmented_and_evaluated(home: Path) -> None:
    schema = run("schema", home / "g.csv", *OPTIONS)
    assert schema.exit_code == 0, schema.stderr
    assert "kind: continuous" in schema.stdout
    assert "kind: date" in schema.stdout
    fit = ["fit", home / "g.csv", *OPTIONS, "--target", "y", "--config", home / "quick.yaml", "-o", home / "m"]
    assert run(*fit).exit_code == 0
    done = run("generate", home / "m", "--rows", 50, "--seed", 0, "-o", home / "s.csv")
    assert done.exit_code == 0, done.stderr
    check_written(pd.read_csv(home / "s.csv", dtype=str))
    assert run("generate", home / "m", "--rows", 50, "--seed", 0, "-o", home / "s").exit_code == 0
    check_written(pd.read_parquet(home / "s"))
    for rows in ("s.csv", "s"):
        done = run("evaluate", home / "g.csv", home / rows, *OPTIONS, "--no-attacks", "--json-file", home / "f.json")
        assert done.exit_code == 0, done.stderr
        figures = json.loads((home / "f.json").read_text())["sections"]["fidelity"]["figures"]
        assert figures["shape"]["value"] > 0.8
        assert figures["adherence"]["value"] == 1
    words = ["augment", home / "g.csv", *OPTIONS, "--target", "y", "--config", home / "quick.yaml"]
    done = run(*words, "--strategy", "a=160", "-o", home / "more.csv")
    assert done.exit_code == 0, done.stderr
    more = pd.read_csv(home / "more.csv", dtype=str)
    assert len(more) == 310
    real = pd.read_csv(home / "g.csv", dtype=str, sep=";", keep_default_na=False)
    assert more[: len(real)].drop(columns="synthetic").equals(real)
    check_written(more[len(real) :])


def check_written(made: pd.DataFrame) -> None:
    """Check that values are written as in the real table."""
    assert made["betrag"].str.fullmatch(r"1\.1[0-9]{2},[0-9]{2}").all()
    assert made["few"].isin(["1.500", "2.250"]).all()
    assert made["lab"].str.fullmatch(r"[0-9],[0-9]|<0,5").all()
    assert made["datum"].str.fullmatch(r"[0-3][0-9]\.12\.2020").all()
    assert made["amb"].str.fullmatch(r"[0-3][0-9]\.[01][0-9]\.20[12][0-9]").all()


def test_a_large_file_is_fitted_in_batches_with_its_forms(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synthvae.tables.streaming.LARGE", 1)
    fit = ["fit", home / "g.csv", *OPTIONS, "--config", home / "quick.yaml", "-o", home / "m"]
    done = run(*fit)
    assert done.exit_code == 0, done.stderr
    assert run("generate", home / "m", "--rows", 50, "--seed", 0, "-o", home / "s.csv").exit_code == 0
    check_written(pd.read_csv(home / "s.csv", dtype=str))


def test_an_ambiguous_column_is_asked_for_once_and_an_option_answers(home: Path) -> None:
    fit = ["fit", home / "g.csv", "--config", home / "quick.yaml", "-o", home / "m"]
    done = run(*fit)
    assert done.exit_code == 1
    assert "`--date amb=%d.%m.%Y` or `--date amb=%m.%d.%Y`" in done.stderr
    done = run(*fit, "--date-format", "%d.%m.%Y", "--date", "amb=%m.%d.%Y")  # the column wins
    assert done.exit_code == 0, done.stderr
    model = Synthesizer.load(home / "m")
    assert (model.schema_["amb"].format, model.schema_["datum"].format) == ("%m.%d.%Y", "%d.%m.%Y")
    assert model.schema_.names == ["betrag", "datum", "amb", "lab", "few", "y"]


def test_text_in_excel_keeps_its_form_beside_numbers(home: Path) -> None:
    frame = pd.read_csv(home / "g.csv", sep=";", dtype=str).assign(x=[i / 4 for i in range(300)])
    frame.to_excel(home / "g.xlsx", index=False)
    fit = ["fit", home / "g.xlsx", *OPTIONS, "--config", home / "quick.yaml", "-o", home / "m"]
    done = run(*fit)
    assert done.exit_code == 0, done.stderr
    for rows in ("s.csv", "s.xlsx"):
        assert run("generate", home / "m", "--rows", 50, "--seed", 0, "-o", home / rows).exit_code == 0
    check_written(pd.read_excel(home / "s.xlsx", dtype={"few": str}))
    done = run("evaluate", home / "g.xlsx", home / "s.csv", *OPTIONS, "--no-attacks", "--json-file", home / "f.json")
    assert done.exit_code == 0, done.stderr
    figures = json.loads((home / "f.json").read_text())["sections"]["fidelity"]["figures"]
    assert figures["shape"]["value"] > 0.8


def test_a_draft_of_a_private_schema_has_bounds(home: Path) -> None:
    done = run("schema", home / "g.csv", *OPTIONS, "--declare", "-o", home / "draft.yaml")
    assert done.exit_code == 0, done.stderr
    schema = Schema.from_yaml(home / "draft.yaml")
    assert schema["betrag"].bounds == (1100.0, 1200.0)
    assert schema["datum"].bounds == (dt.date(2020, 1, 1), dt.date(2020, 12, 31))
    (home / "schema.yaml").write_text((home / "draft.yaml").read_text().replace("inferred: true\n", ""))
    fit = ["fit", home / "g.csv", "--schema", home / "schema.yaml", "--epsilon", 50, "--delta", 1e-5, "-o", home / "m"]
    refused = run(*fit, *OPTIONS)
    assert refused.exit_code == 1
    assert "one by one under a privacy budget" in refused.stderr
    assert "--date-format" in refused.stderr


def test_a_model_is_replaced_only_if_asked(home: Path) -> None:
    fit = ["fit", home / "g.csv", "--target", "y", *OPTIONS, "--config", home / "quick.yaml", "-o", home / "m"]
    assert run(*fit).exit_code == 0
    before = (home / "m" / "model.safetensors").read_bytes()
    for words in (fit, [*fit, "--resume"]):
        done = run(*words, "--seed", 5)
        assert done.exit_code == 1
        assert "has a model. Pass --overwrite to replace it, or choose another directory" in done.stderr
    assert (home / "m" / "model.safetensors").read_bytes() == before
    (home / ".m.fit").mkdir()  # of an interrupted fit
    assert "pass --resume" in run(*fit).stderr
    assert run(*fit, "--resume").exit_code == 0
    assert run(*fit, "--overwrite", "--seed", 5).exit_code == 0
    assert (home / "m" / "model.safetensors").read_bytes() != before


def test_a_pipe_is_refused_and_does_not_hang(home: Path) -> None:
    os.mkfifo(home / "p.csv")
    done = run("fit", home / "p.csv", "-o", home / "m")
    assert done.exit_code == 1
    assert "got a named pipe" in done.stderr
    assert run("evaluate", home / "g.csv", home / "p.csv").exit_code == 1


def test_a_wrong_option_is_one_line(home: Path) -> None:
    for words in (["--sep", "ab"], ["--thousands", "."], ["--sheet", "a"], ["--query", "SELECT 1"]):
        done = run("schema", home / "g.csv", *words)
        assert done.exit_code == 1
        assert done.stderr.startswith("error: ")
