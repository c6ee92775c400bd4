"""What `fit` and `info` print for people: short aligned lines, the next command, no raw numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from sklearn.datasets import load_wine
from typer.testing import CliRunner, Result

from synthvae import Synthesizer
from synthvae.cli import summary
from synthvae.cli.main import app

WIDEST = 100


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table and a quick configuration."""
    folder = tmp_path_factory.mktemp("summary")
    wine = load_wine(as_frame=True).frame.assign(kind=lambda f: f["target"].map({0: "a", 1: "b", 2: "c"}))
    wine.drop(columns="target").to_csv(folder / "wine.csv", index=False)
    (folder / "quick.yaml").write_text("max_steps: 4\nwidth: 8\nlatent_dim: 2\n")
    assert fit(folder, "first", "--seed", 0).exit_code == 0
    assert fit(folder, "second", "--seed", 1, "--drop", "hue").exit_code == 0
    return folder


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "80"})


def fit(home: Path, out: str, *more: object) -> Result:
    words = ["fit", home / "wine.csv", "--target", "kind", "--config", home / "quick.yaml", "-o", home / out]
    return run(*words, *more)


def test_a_fit_is_summarised(home: Path) -> None:
    done = fit(home, "third")
    lines = dict(re.findall(r"^(\S[\w -]*?)  +(.*)", done.stdout, re.MULTILINE))
    assert list(lines) == ["model", "rows", "columns", "target", "protected", "training", "held-out loss", "privacy",
                           "effort", "time", "seed", "next"]  # fmt: skip
    assert lines["rows"] == "178"
    assert lines["columns"] == "14: 11 continuous, 2 integer, 1 categorical"
    assert re.fullmatch(r"-?\d+\.\d\d nats per row \(negative ELBO; lower is better\)", lines["held-out loss"])
    assert max(map(len, done.stdout.splitlines())) <= WIDEST or str(home) in done.stdout
    assert not re.search(r"\d\.\d{4}", done.stdout)


def test_the_next_command_runs(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = fit(home, "fourth", "--seed", 0)
    words = done.stdout.splitlines()[-1].split()
    assert words[:2] == ["next", "synthvae"]
    assert run(*words[2:]).exit_code == 0
    assert len(pd.read_parquet("synthetic")) == 178


def test_a_drawn_seed_is_short_and_repeats_the_fit(home: Path) -> None:
    seed = re.search(r"^seed +(\d{1,9}) ", fit(home, "drawn").stdout, re.MULTILINE)
    assert seed
    assert fit(home, "again", "--seed", seed[1]).exit_code == 0
    first, second = ((home / name / "model.safetensors").read_bytes() for name in ("drawn", "again"))
    assert first == second
    assert Synthesizer.load(home / "drawn").random_state is None  # its rows differ from run to run


def test_quiet_prints_nothing(home: Path) -> None:
    done = fit(home, "silent", "--quiet")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("command", ["generate", "augment"])
def test_quiet_commands_that_write_print_what_json_asks_for_and_nothing_else(
    command: str, home: Path, tmp_path: Path
) -> None:
    words: list[object] = ["generate", home / "first", "--rows", 5]
    if command == "augment":
        words = ["augment", home / "wine.csv", "--target", "kind", "--config", home / "quick.yaml"]
    done = run(*words, "-o", tmp_path / "a.parquet", "--quiet")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
    done = run(*words, "-o", tmp_path / "b.parquet", "--quiet", "--json")
    assert json.loads(done.stdout)
    assert done.stderr == ""


def test_a_fit_that_was_cut_short_is_said(home: Path) -> None:
    done = fit(home, "short", "--seed", 0)
    assert "warning: training ended at step 4, the most that `max_steps` allows" in done.stderr
    synthesizer = Synthesizer.load(home / "short")
    assert summary.too_short(synthesizer) is not None
    synthesizer.history_.stopped = "early"
    assert summary.too_short(synthesizer) is None


def test_info_lists_what_the_summary_counts(home: Path) -> None:
    text = run("info", home / "first").stdout
    assert "columns:\n  - continuous: alcohol, malic_acid" in text
    assert "protection:\n  - Protected before training" in text


def test_models_are_compared(home: Path) -> None:
    done = run("info", home / "first", home / "second")
    assert done.exit_code == 0, done.stderr
    assert re.search(r"^rows +178 +178$", done.stdout, re.MULTILINE)
    assert "  - hue: continuous / none" in done.stdout
    assert "  - random_state: 0 / 1" in done.stdout
    models = json.loads(run("info", home / "first", home / "second", "--json").stdout)["models"]
    assert [model["model"] for model in models] == [str(home / "first"), str(home / "second")]
    assert run("info", home / "first", home / "second", "--card").exit_code == 2


def test_an_unknown_class_is_named_with_the_most_similar_one(home: Path, tmp_path: Path) -> None:
    done = run("generate", home / "first", "--class", "A=3", "-o", tmp_path / "out")
    assert "Did you mean 'a'?" in done.stderr
