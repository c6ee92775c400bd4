"""Commands take the same options for how a table is written; a model is replaced only if asked."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from synthvae.cli.main import app

GERMAN = "betrag;datum;y\n" + "".join(
    f"1.{i % 97 + 100},{i % 90 + 10};{i % 28 + 1:02d}.12.2020;{'ab'[i % 2]}\n" for i in range(300)
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
    made = pd.read_csv(home / "s.csv", parse_dates=["datum"])
    assert made["betrag"].between(1100, 1200).all()
    assert (made["datum"].dt.month == 12).all()
    done = run("evaluate", home / "g.csv", home / "s.csv", *OPTIONS, "--no-attacks")
    assert done.exit_code == 0, done.stderr
    words = ["augment", home / "g.csv", *OPTIONS, "--target", "y", "--config", home / "quick.yaml"]
    done = run(*words, "--strategy", "a=160", "-o", home / "more.csv")
    assert done.exit_code == 0, done.stderr
    assert len(pd.read_csv(home / "more.csv")) == 310


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
