"""`synthvae evaluate` of linked tables."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from synthvae.cli.main import app

sys.path.append(str(Path(__file__).parents[1] / "evaluation" / "linked"))
from seasons import database, renumbered, tables

PATHS = {name: f"{name}.csv" for name in ("players", "seasons", "games")}


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seasons")
    for where, frames in (("real", tables(60, 0)), ("copied", renumbered(tables(60, 0)))):
        (folder / where).mkdir()
        for name, table in frames.items():
            table.to_csv(folder / where / f"{name}.csv", index=False)
    database(tables(60, 0)).model_copy(update={"tables": PATHS}).to_yaml(folder / "real" / "keys.yaml")
    return folder


def test_a_folder_is_compared_with_the_tables_of_a_file(home: Path, tmp_path: Path) -> None:
    where = tmp_path / "found.json", tmp_path / "found.html"
    bounds = ["--fail-over", "players.subject_copies=0.01", "--fail-under", "seasons.shape=0.9"]
    files = ["--json-file", where[0], "-o", where[1]]
    found = run("evaluate", home / "real/keys.yaml", home / "copied", "--no-attacks", "--quiet", *bounds, *files)
    assert found.exit_code == 1
    assert "`players.subject_copies` must be at most 0.01, got 1." in found.stderr
    assert "sequences of seasons lag: 0.0000" in found.stdout
    assert json.loads(where[0].read_text("utf-8"))["verdict"]["share"]["grade"] == "poor"
    assert "seasons, sequences: do rows depend on their parent" in where[1].read_text("utf-8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--target", "team"], "must not be given: --target"),
        (["--fail-under", "lag=1"], "No figure 'lag' was measured"),
    ],
)
def test_options_that_linked_tables_do_not_have_are_refused(home: Path, options: list[str], message: str) -> None:
    found = run("evaluate", home / "real/keys.yaml", home / "copied", "--no-attacks", "--quiet", *options)
    assert found.exit_code == 1
    assert message in found.stderr


def test_a_folder_without_the_tables_is_refused(home: Path, tmp_path: Path) -> None:
    found = run("evaluate", home / "real/keys.yaml", tmp_path, "--quiet")
    assert found.exit_code == 1
    assert "got none named" in found.stderr
