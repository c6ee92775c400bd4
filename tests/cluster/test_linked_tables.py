"""Linked tables are written on a real Ray cluster as one process writes them, though workers or the run are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from synthvae import cluster
from synthvae.generation.workers import FunctionBackend
from synthvae.relational import Database, DatabaseSynthesizer, SequenceSynthesizer, linked_draw

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cluster")]

SUBJECTS = 400
SMALL_PARTS = "from synthvae.relational import linked_draw; linked_draw.PART_ROWS, linked_draw.PILOT_SUBJECTS = 150, 20"
TWO_PARTS = """
import time
from synthvae import cluster
from synthvae.generation.workers import FunctionBackend
from synthvae.relational import DatabaseSynthesizer

def each(work, *how):
    def draw(number):
        if number > 1:
            time.sleep(600)
        return work(number)
    return cluster.RayBackend().map_parts(draw, *how)

DatabaseSynthesizer.load({model!r}).generate({folder!r}, **{how!r}, workers=1, backend=FunctionBackend(each))
"""


def visits() -> pd.DataFrame:
    """Visits of patients, whose sex is repeated in each."""
    rows = pd.DataFrame(
        {"patient": np.arange(240) % 60 + 1, "day": 7 * (np.arange(240) // 60), "x": np.arange(240) % 5}
    )
    return rows.assign(sex=np.where(rows["patient"] % 2, "f", "m"))


@pytest.fixture(scope="module")
def fitted() -> DatabaseSynthesizer:
    """Patients, their visits, and a public table."""
    rows = visits()
    tables = {
        "patients": rows[["patient", "sex"]].drop_duplicates().reset_index(drop=True),
        "visits": rows.drop(columns="sex").assign(x=rows["x"].astype(str)),
        "codes": pd.DataFrame({"code": [str(x) for x in range(5)], "name": list("abcde")}),
    }
    database = Database(
        tables=tables,
        primary_keys={"patients": "patient", "codes": "code"},
        foreign_keys=[("visits", "patient", "patients", "patient"), ("visits", "x", "codes", "code")],
        order={"visits": "day"},
        public=["codes"],
    )
    return DatabaseSynthesizer(database, max_steps=5, random_state=0).fit()


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linked_draw, "PART_ROWS", 150)
    monkeypatch.setattr(linked_draw, "PILOT_SUBJECTS", 20)


@pytest.fixture(scope="module")
def connected() -> Iterator[Any]:
    """A cluster of this machine, to which this process is connected."""
    with cluster.connected(cluster.LOCAL, 2) as module:
        yield module


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("small_parts", "connected")
def test_linked_tables_are_the_same_bytes_though_a_worker_is_killed(
    fitted: DatabaseSynthesizer, tmp_path: Path
) -> None:
    mark = tmp_path / "killed"

    def each(work: Any, *how: Any) -> Any:
        def draw(number: int) -> Any:
            files = work(number)
            if number == 2 and not mark.exists():
                mark.mkdir()
                os.kill(os.getpid(), 9)
            return files

        return cluster.RayBackend().map_parts(draw, *how)

    here = fitted.generate(tmp_path / "here", subjects=SUBJECTS, random_state=3)
    how: dict[str, Any] = {"subjects": SUBJECTS, "random_state": 3, "workers": 2}
    assert fitted.generate(tmp_path / "there", **how, backend=cluster.RayBackend()) == here
    assert fitted.generate(tmp_path / "again", **how, backend=FunctionBackend(each)) == here
    assert mark.exists()
    assert len({part["file"].split("/")[-1] for part in here["parts"]}) > 4
    assert content(tmp_path / "there") == content(tmp_path / "again") == content(tmp_path / "here")


@pytest.mark.usefixtures("small_parts", "connected")
def test_children_of_given_parents_and_sequences_are_the_same_bytes(
    fitted: DatabaseSynthesizer, tmp_path: Path
) -> None:
    parents = fitted.sample(subjects=200, random_state=1)["patients"]
    sequences = SequenceSynthesizer("patient", time="day", max_steps=5, random_state=0).fit(visits())
    for place, how in (("here", {}), ("there", {"backend": cluster.RayBackend(), "workers": 2})):
        fitted.generate(tmp_path / place / "given", given=parents, random_state=2, **how)  # type: ignore[arg-type]
        sequences.generate(tmp_path / place / "long", SUBJECTS, random_state=2, **how)  # type: ignore[arg-type]
    assert content(tmp_path / "there") == content(tmp_path / "here")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "there" / "given" / "patients"), parents)


@pytest.mark.usefixtures("small_parts")
def test_a_killed_run_is_resumed_on_a_cluster_with_the_same_bytes(
    fitted: DatabaseSynthesizer, connected: Any, tmp_path: Path
) -> None:
    """The killed run has a cluster of its own, which ends with it; the other one is this process's."""
    del connected
    fitted.save(tmp_path / "model")
    folder, how = tmp_path / "killed", dict[str, Any](subjects=700, random_state=3)
    command = TWO_PARTS.format(model=str(tmp_path / "model"), folder=str(folder), how=how)
    run = subprocess.Popen([sys.executable, "-c", f"{SMALL_PARTS}\n{command}"])
    while run.poll() is None and not (folder / ".incomplete" / "part-00001.json").exists():
        time.sleep(0.02)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert list(folder.rglob("*.parquet"))
    assert not (folder / "_manifest.json").exists()
    loaded = DatabaseSynthesizer.load(tmp_path / "model")
    resumed = loaded.generate(folder, **how, workers=2, resume=True, backend=cluster.RayBackend())
    assert resumed == loaded.generate(tmp_path / "whole", **how)
    assert content(folder) == content(tmp_path / "whole")
