"""Copies of a dataset: independent rows, the same bytes in every way, nothing of others replaced."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from synthvae import Synthesizer
from synthvae.cli.main import app
from synthvae.errors import DatasetError, RequestError
from synthvae.generation import request
from synthvae.generation.request import Request


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_each_copy_is_a_dataset_of_its_own(fitted: Synthesizer, tmp_path: Path) -> None:
    manifest = fitted.generate(tmp_path / "out", rows=50, copies=3, random_state=5)
    assert [copy["folder"] for copy in manifest["copies"]] == ["copy_1", "copy_2", "copy_3"]
    tables = [pd.read_parquet(tmp_path / "out" / copy["folder"]) for copy in manifest["copies"]]
    assert [len(table) for table in tables] == [50] * 3
    rows = [set(table.itertuples(index=False)) for table in tables]
    assert not rows[0] & rows[1]
    assert len({copy["seed"] for copy in manifest["copies"]}) == 3
    assert manifest["training_rows"] == 178
    own = json.loads((tmp_path / "out" / "copy_2" / "_manifest.json").read_text())
    assert (own["copy"], own["seed"]) == (2, manifest["copies"][1]["seed"])


def test_workers_interruptions_and_more_copies_leave_the_bytes_the_same(
    fitted: Synthesizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request, "PART_ROWS", 10)
    fitted.generate(tmp_path / "all", rows=45, copies=2)
    fitted.generate(tmp_path / "out", rows=45, copies=1, workers=2)
    before = (tmp_path / "out" / "copy_1" / "part-00000.parquet").stat().st_mtime_ns
    fitted.generate(tmp_path / "out", rows=45, copies=2, resume=True)
    assert tree(tmp_path / "out") == tree(tmp_path / "all")
    assert (tmp_path / "out" / "copy_1" / "part-00000.parquet").stat().st_mtime_ns == before


def test_an_unseeded_run_is_resumed_with_its_own_seed(fitted: Synthesizer, tmp_path: Path) -> None:
    unseeded = Synthesizer()
    unseeded.learned_ = fitted.learned_
    first = unseeded.generate(tmp_path / "out", rows=20, copies=2)
    again = unseeded.generate(tmp_path / "out", rows=20, copies=3, resume=True)
    assert again["copies"][:2] == first["copies"]


def test_counts_of_classes_vary_as_those_of_independent_rows(fitted: Synthesizer) -> None:
    shares = fitted.encoding_.frequencies
    asked = Request.from_total(100, shares, 0)
    counts = np.array([asked.independently(seed, shares).counts for seed in range(2000)])
    assert (counts.sum(1) == 100).all()
    assert np.abs(counts.mean(0) - 100 * shares).max() < 0.5
    assert np.allclose(counts.var(0), 100 * shares * (1 - shares), rtol=0.12)


def test_counts_that_were_asked_for_are_kept(fitted: Synthesizer, tmp_path: Path) -> None:
    manifest = fitted.generate(tmp_path / "out", rows_per_class=7, copies=2)
    for copy in manifest["copies"]:
        table = pd.read_parquet(tmp_path / "out" / copy["folder"])
        assert table["target"].value_counts().to_dict() == {0: 7, 1: 7, 2: 7}
    assert manifest["class_counts"] == "requested"


@pytest.mark.parametrize("copies", [0, -1, 1.5, True])
def test_a_number_of_copies_is_a_whole_number(fitted: Synthesizer, tmp_path: Path, copies: int) -> None:
    with pytest.raises(RequestError, match="`copies` must be a whole number"):
        fitted.generate(tmp_path / "out", rows=5, copies=copies)
    assert not (tmp_path / "out").exists()


def test_what_is_there_is_refused(fitted: Synthesizer, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"got the file .*rows\.csv"):
        fitted.generate(tmp_path / "rows.csv", rows=5, copies=2)
    fitted.generate(tmp_path / "out", rows=5, copies=3)
    before = tree(tmp_path / "out")
    with pytest.raises(DatasetError, match=r"2 copies, got .*'copy_3'"):
        fitted.generate(tmp_path / "out", rows=5, copies=2, overwrite=True)
    with pytest.raises(DatasetError, match="overwrite"):
        fitted.generate(tmp_path / "out", rows=5, copies=3)
    assert tree(tmp_path / "out") == before
    fitted.generate(tmp_path / "out", rows=6, copies=3, overwrite=True)
    assert len(pd.read_parquet(tmp_path / "out" / "copy_3")) == 6


def test_copies_in_the_shell(saved: Path, tmp_path: Path) -> None:
    words = ["generate", str(saved), "--rows", "9", "--copies", "2", "-o", str(tmp_path / "out"), "--seed", "1"]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["copy_1", "copy_2"]
    shown = CliRunner().invoke(app, [*words, "--resume", "--json"])
    assert len(json.loads(shown.stdout)["copies"]) == 2
