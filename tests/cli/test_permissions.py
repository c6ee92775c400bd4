"""Places that may not be read or written: one line that says so, nothing is lost, and nothing is left behind.

To root nothing is denied, so that what is tried here runs in a process of its own that has given up its privileges.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
import yaml
from sklearn.datasets import load_wine
from typer.testing import CliRunner

from synthvae.cli.main import app
from synthvae.errors import PrivacyError, SynthvaeError
from synthvae.privacy import Journal

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="privileges are those of Linux")

QUICK = {"max_steps": 4, "width": 8, "latent_dim": 2, "device": "cpu"}
CAPABILITIES = 0x20080522  # version 3 of the structures of capset(2)


class Outcome(NamedTuple):
    """What became of an attempt, as it can be told from one process to another."""

    said: str
    error: str
    is_ours: bool


def shell(words: str, home: Path) -> Outcome:
    """Run a command as a user of the shell would, in some folder."""
    with contextlib.chdir(home):
        done = CliRunner().invoke(app, words.split())
    left = done.exception and done.exception.__context__  # the shell's way out, and what it was taken for
    error = left and left.__cause__
    assert done.exit_code == (1 if error else 0), done.output
    return Outcome(done.stderr, repr(error), isinstance(error, SynthvaeError))


def give_up_privileges() -> None:
    """Be one to whom things are denied, though nobody is told so beforehand, as on some network drives."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset((ctypes.c_uint32 * 2)(CAPABILITIES, 0), (ctypes.c_uint32 * 6)()):
        raise OSError(ctypes.get_errno(), "capset")
    pytest.MonkeyPatch().setattr(os, "access", lambda *_, **__: True)


@pytest.fixture(scope="module")
def plain() -> Iterator[ProcessPoolExecutor]:
    """A process without privileges."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), give_up_privileges) as pool:
        yield pool


FIT = "fit in/table.csv --target target --config in/quick.yaml --seed 1 -o"
AUGMENT = "augment in/table.csv --target target --config in/quick.yaml -o"
GENERATE = "generate out/model --rows 9 --seed 1 -o"
EVALUATE = "evaluate in/table.csv out/rows --no-attacks"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of each thing that a command reads or replaces."""
    home = tmp_path_factory.mktemp("made")
    wine = load_wine(as_frame=True).frame.iloc[::3, [0, 6, 12, 13]]
    with contextlib.chdir(home):
        for folder in ("in", "out", "out/empty"):
            Path(folder).mkdir()
        wine.assign(target=wine["target"].map({0: "a", 1: "b", 2: "c"})).to_csv("in/table.csv", index=False)
        Path("in/quick.yaml").write_text(yaml.safe_dump(QUICK))
        study = {"input": "table.csv", "target": "target", "model": QUICK, "generation": {"rows": 9}}
        Path("in/study.yaml").write_text(yaml.safe_dump(study))
        commands = (
            "schema in/table.csv --declare -o in/schema.yaml",
            f"{FIT} out/model",
            f"{GENERATE} out/rows",
            f"{AUGMENT} out/more.csv",
            "run in/study.yaml -o out/study",
        )
        for words in commands:
            assert shell(words, home).error == "None"
        reviewed = Path("in/schema.yaml").read_text().replace("inferred: true\n", "")
        Path("in/schema.yaml").write_text(reviewed)
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(made, tmp_path / "home")
    return tmp_path / "home"


def contents(home: Path) -> dict[Path, bytes | None]:
    """All files and folders, but for the notes of a study that say which stage was broken off."""
    found = [path for path in home.rglob("*") if path.suffix != ".begun"]
    return {path: path.read_bytes() if path.is_file() else None for path in found}


def refused(pool: ProcessPoolExecutor, home: Path, words: str, place: str, mode: int) -> None:
    """Run a command while a place has other permissions, and find one clear error, and all as it was."""
    before, permissions = contents(home), (home / place).stat().st_mode
    (home / place).chmod(mode)
    try:
        outcome = pool.submit(shell, words, home).result()
    finally:
        (home / place).chmod(permissions)
    (line,) = [line for line in outcome.said.splitlines() if line.startswith("error: ")]
    assert outcome.is_ours, outcome.error
    assert "Permission denied" in line
    assert contents(home) == before


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (f"{FIT} out/new", "out"),
        (f"{FIT} out/new --resume", "out"),
        (f"{FIT} out/new --schema in/schema.yaml --epsilon 1 --delta 0.001", "out"),
        (f"{FIT} out/deep/new", "out"),
        (f"{FIT} out/empty", "out/empty"),
        (f"{FIT} out/model", "out"),
        (f"{FIT} out/model", "out/model"),
        (f"{FIT} new --log-dir out/log", "out"),
        (f"{GENERATE} out/new", "out"),
        (f"{GENERATE} out/empty", "out/empty"),
        (f"{GENERATE} out/rows --overwrite", "out/rows"),
        (f"{AUGMENT} out/new.csv", "out"),
        (f"{AUGMENT} out/more.csv --overwrite", "out"),
        ("schema in/table.csv -o out/schema.yaml", "out"),
        ("schema in/table.csv -o in/schema.yaml --overwrite", "in"),
        (f"{EVALUATE} -o out/report.html", "out"),
        (f"{EVALUATE} --json-file out/deep/figures.json", "out"),
        ("demo -o out/new", "out"),
        ("run in/study.yaml -o out/new", "out"),
        ("run in/study.yaml -o out/empty", "out/empty"),
        ("run in/study.yaml -o out/study --force fit", "out/study"),
        ("run in/study.yaml -o out/study --force fit", "out/study/_stages"),
        ("run in/study.yaml -o out/study --force fit", "out/study/model"),
        ("run in/study.yaml -o out/study --force generate", "out/study/synthetic"),
    ],
)
def test_what_may_not_be_written_is_one_error(plain: ProcessPoolExecutor, home: Path, words: str, place: str) -> None:
    refused(plain, home, words, place, 0o500)


@pytest.mark.parametrize(
    ("words", "places"),
    [
        (f"{FIT} new", "in in/table.csv in/quick.yaml"),
        (f"{FIT} new --schema in/schema.yaml", "in/schema.yaml"),
        (f"{FIT} out/model", "out out/model"),
        ("fit in -o new", "in in/table.csv"),
        ("fit out/rows -o new", "out out/rows out/rows/part-00000.parquet"),
        ("schema in/table.csv", "in in/table.csv"),
        (f"{AUGMENT} new.csv", "in/table.csv in/quick.yaml"),
        (f"{GENERATE} new", "out out/model out/model/synthvae.json out/model/model.safetensors"),
        (f"{GENERATE} out/rows --overwrite", "out/rows"),
        ("info out/model", "out out/model"),
        ("info out/model --card --evaluation in/quick.yaml", "in/quick.yaml"),
        (EVALUATE, "in/table.csv out/rows out/rows/part-00000.parquet out/rows/_manifest.json"),
        ("run in/study.yaml -o new", "in in/study.yaml in/table.csv"),
        ("run in/study.yaml -o out/study", "out out/study"),
    ],
)
def test_what_may_not_be_read_is_one_error(plain: ProcessPoolExecutor, home: Path, words: str, places: str) -> None:
    for place in places.split():
        refused(plain, home, words, place, 0o000)


def draw() -> list[torch.Tensor]:
    return [torch.arange(3.0)]


def go_on(folder: Path) -> None:
    """Buy one release more."""
    journal = Journal.open(folder, {}, seed=None, new=0)
    for _ in range(journal.kept + 1):
        journal.keep(draw)


@pytest.mark.parametrize(("place", "mode"), [("", 0o500), ("", 0), ("journal.json", 0), ("000000.safetensors", 0)])
def test_releases_that_may_not_be_kept_or_read_are_one_error(
    plain: ProcessPoolExecutor, tmp_path: Path, place: str, mode: int
) -> None:
    """Nothing is bought twice, and nothing that was bought is lost."""
    go_on(tmp_path / "journal")
    before = contents(tmp_path)
    permissions = (tmp_path / "journal" / place).stat().st_mode
    (tmp_path / "journal" / place).chmod(mode)
    with pytest.raises(PrivacyError, match="Permission denied"):
        plain.submit(go_on, tmp_path / "journal").result()
    (tmp_path / "journal" / place).chmod(permissions)
    assert contents(tmp_path) == before
