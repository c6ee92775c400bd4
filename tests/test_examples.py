"""Examples are short, listed, and say what is true; `test_readme` runs every one of them as a user would."""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.dataset as ds
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
PICTURES = EXAMPLES / "pictures"
CLUSTER = EXAMPLES.parent / "docs" / "tutorials" / "cluster.md"
MOST_LINES = 85


def run(name: str, *arguments: Any) -> None:
    runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"](*arguments)


def test_the_index_lists_every_script_once() -> None:
    listed = re.findall(r"^\| \[(\w+\.py)\]\((\w+\.py)\) \|", (EXAMPLES / "README.md").read_text("utf-8"), re.MULTILINE)
    assert all(shown == linked for shown, linked in listed)
    assert sorted(shown for shown, _ in listed) == [path.name for path in SCRIPTS]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_is_short_says_what_it_shows_and_runs_only_when_asked(path: Path) -> None:
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree)
    assert len(text.splitlines()) <= MOST_LINES
    assert isinstance(tree.body[-1], ast.If)
    assert ast.unparse(tree.body[-1].test) == "__name__ == '__main__'"


def test_readme_shows_pictures_that_the_gallery_draws() -> None:
    drawn = set(re.findall(r'FOLDER / "(\w+\.png)"', (EXAMPLES / "gallery.py").read_text("utf-8")))
    measured = set(re.findall(r"pictures/(\w+\.png)", CLUSTER.read_text("utf-8")))
    assert drawn | measured == {path.name for path in PICTURES.iterdir()}
    shown = set(re.findall(r"examples/pictures/(\w+\.png)", (EXAMPLES.parent / "README.md").read_text("utf-8")))
    assert shown <= drawn
    makefile = (EXAMPLES.parent / "Makefile").read_text("utf-8")
    assert re.search(r"^figures:.*\n\tcd examples && .*gallery\.py$", makefile, re.MULTILINE)


@pytest.mark.slow
def test_a_small_dataset_larger_than_memory_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("larger_than_memory", 3000)
    made = ds.dataset("many", format="parquet")
    assert made.count_rows() == 3000
    assert made.schema.names == ds.dataset("wine", format="parquet").schema.names


@pytest.mark.slow
def test_what_is_tracked_is_one_story(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run("tracking")
    told = [int(step) for step in re.findall(r"^step +(\d+)", capsys.readouterr().out, re.MULTILINE)]
    logged = pd.read_csv("runs/first/history.csv")
    assert told == logged["step"].tolist()
    assert told[-1] < 200  # a callback asked to stop
