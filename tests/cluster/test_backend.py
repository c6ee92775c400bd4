"""Jobs on a real Ray cluster of several nodes, of which workers and nodes are killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import pytest
from fabricated import RULES, hospital
from sklearn.datasets import load_breast_cancer

from synthvae import Column, PrivacyBudget, Schema, Synthesizer, cluster
from synthvae.cluster import data_parallel, jobs, private
from synthvae.cluster.jobs import Job
from synthvae.errors import ClusterError, ConfigurationError, PrivacyError
from synthvae.generation import request
from synthvae.generation.workers import Each, FunctionBackend
from synthvae.model import CVAE
from synthvae.privacy import Journal
from synthvae.privacy import fit as private_fit
from synthvae.training import checkpoint
from synthvae.training.history import History

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cluster")]


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """Three nodes of one CPU each."""
    from ray.cluster_utils import Cluster

    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    for _ in range(2):
        started.add_node(num_cpus=1)
    ray.init(address=started.address, log_to_driver=False)
    yield started
    ray.shutdown()
    started.shutdown()  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Tumours, and whether they are malignant."""
    table: pd.DataFrame = load_breast_cancer(as_frame=True).frame.iloc[:, -8:].astype({"target": "string"})
    return table


FEW: dict[str, Any] = {"target": "target", "max_steps": 40, "validation_fraction": 0.2, "random_state": 0}


STEPS = 60  # of private descent


# What processes of the cluster do is defined inside of functions: such goes there whole, not as a name in a module.


def killing(place: Path, number: int = signal.SIGKILL) -> Callable[..., None]:
    """What kills a process once, whoever calls it how often: the folder `place` says that it did, and keeps `files`."""

    def kill(process: int, files: Iterable[Path] = ()) -> None:
        try:
            place.mkdir()
        except FileExistsError:
            return
        for file in files:
            shutil.copy(file, place)
        os.kill(process, number)
        signal.pause()

    return kill


@pytest.fixture(scope="module")
def alone(table: pd.DataFrame) -> Synthesizer:
    """Learned by one process."""
    return Synthesizer(**FEW).fit(table)


def test_no_cluster_at_an_address_is_told() -> None:
    if ray.is_initialized():
        pytest.skip("this process is connected to a cluster")
    with pytest.raises(ClusterError, match="There is no cluster"), cluster.connected("127.0.0.1:1", 1):
        pass


def shell(*words: object) -> None:
    """Run a command in a process of its own."""
    subprocess.run([sys.executable, "-m", "synthvae", *map(str, words), "-q"], check=True)


def learning_until(step: int, place: Path) -> Callable[[CVAE, Path, Job], History]:
    """What workers do, of whom the second is killed once it has kept the state of a step."""
    kill = killing(place)

    def learn(model: CVAE, folder: Path, job: Job) -> History:
        save = checkpoint.Checkpoint.save

        def saved(self: checkpoint.Checkpoint, snapshot: checkpoint.Snapshot) -> None:
            save(self, snapshot)
            if (self.rank, snapshot.values["done"]) == (1, step):
                kill(os.getpid())

        with patch.object(checkpoint.Checkpoint, "save", saved):
            return data_parallel._train_process(model, folder, job)

    return learn


def test_workers_together_learn_what_one_does_though_one_is_killed(
    nodes: Any, table: pd.DataFrame, alone: Synthesizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.to_parquet(tmp_path / "t.parquet")
    (tmp_path / "few.yaml").write_text("max_steps: 40\nvalidation_fraction: 0.2\n", encoding="utf-8")
    place = ["--ray", nodes.address]
    given = ["--target", "target", "--config", tmp_path / "few.yaml", "--seed", 0]
    shell("fit", tmp_path / "t.parquet", *given, "-o", tmp_path / "m", *place)
    assert not list(tmp_path.glob(".m.*"))
    undisturbed = Synthesizer.load(tmp_path / "m")
    assert undisturbed.score(table) > alone.score(table) - 0.5
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    monkeypatch.setattr(data_parallel, "_train_process", learning_until(6, tmp_path / "killed"))
    disturbed = cluster.fit(Synthesizer(**FEW, journal=tmp_path / "kept"), tmp_path / "t.parquet", workers=2)
    assert (tmp_path / "killed").exists()
    assert disturbed.learned_.fingerprint == undisturbed.learned_.fingerprint
    assert disturbed.history_ == undisturbed.history_
    shell("generate", tmp_path / "m", "--rows", 50, "-o", tmp_path / "out", "--seed", 1, *place)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out"), disturbed.sample(50, random_state=1))


def buying_until(step: int, place: Path) -> Callable[[CVAE, Path, Job], History]:
    """What workers do, of whom the first is killed once it has kept the gradient of a step, before others have it."""
    kill = killing(place)

    def learn(model: CVAE, folder: Path, job: Job) -> History:
        write = Journal._write

        def written(self: Journal, release: Any) -> Any:
            kept = write(self, release)
            if self.folder is not None and self.passed + 1 == job["passed"] + step:
                kill(os.getpid(), self.folder.glob("*.safetensors"))
            return kept

        with patch.object(Journal, "_write", written):
            return private._train_process(model, folder, job)

    return learn


def test_private_rows_cost_several_workers_what_they_cost_one_though_one_is_killed(
    nodes: Any, table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del nodes
    monkeypatch.setattr(private_fit, "DRAWN_ROWS", (2100, 2200))
    told = Column(name="target", kind="categorical", categories=["0", "1"], nullable=False)
    schema = Schema(columns=[*(_declared(name) for name in table.columns[-4:-1]), told])
    budget = PrivacyBudget(epsilon=5.0, delta=1e-4)
    options = {**FEW, "schema": schema, "privacy": budget, "strategy": "gradients", "max_steps": STEPS}
    rows = table[schema.names]
    alone = Synthesizer(**options, journal=tmp_path / "alone").fit(rows)
    shutil.copytree(tmp_path / "alone", tmp_path / "kept")
    releases = sorted((tmp_path / "kept").glob("*.safetensors"))
    for gradient in releases[-STEPS:]:
        gradient.unlink()
    monkeypatch.setattr(private, "_train_process", buying_until(4, tmp_path / "killed"))
    together = cluster.fit(Synthesizer(**options, journal=tmp_path / "kept"), rows, workers=2)
    before, after = (
        {file.name: file.read_bytes() for file in (tmp_path / name).glob("*.safetensors")}
        for name in ("killed", "kept")
    )
    assert (len(before), len(after)) == (len(releases) - STEPS + 4, len(releases))
    assert before.items() <= after.items()
    assert together.ledger_ == alone.ledger_
    assert not (tmp_path / "kept" / ".private-rows").exists()
    assert len(together.sample(20)) == 20


def _declared(name: str) -> Column:
    return Column(name=name, kind="continuous", bounds=(0.0, 1.5), bins=[0.1, 0.2, 0.3, 0.4], decimals=4)


def test_a_cluster_of_nobody_is_refused(table: pd.DataFrame) -> None:
    with pytest.raises(ConfigurationError, match="`workers` must be at least 1"):
        cluster.fit(Synthesizer(), table, workers=0)


def test_a_refusal_of_a_worker_is_raised_as_its_own_class(tmp_path: Path) -> None:
    jobs._raise_error_of_worker(tmp_path)
    told = {"error": "PrivacyError", "message": "releases must be kept"}
    (tmp_path / jobs.ERROR).write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(PrivacyError, match=r"^releases must be kept$"):
        jobs._raise_error_of_worker(tmp_path)


def test_who_interrupts_the_keyboard_is_heard_as_before() -> None:
    def trained() -> None:
        with jobs._retained_interrupts():
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # as Ray Train leaves a handler of its own
            sys.exit(0)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        trained()
    assert signal.getsignal(signal.SIGINT) is before


def files(folder: Path) -> dict[str, bytes]:
    """All files of a dataset but its manifest, which lists them."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.parquet")}


def drawing_until(part: int, later: int, place: Path) -> Each:
    """What has parts drawn: who drew one is killed, and so is a node, though not the first, on which a later one was.

    Until it is gone, all who drew later parts wait: the first node alone could draw them all.
    """
    first, gone = ray.get_runtime_context().get_node_id(), place / "node"
    kill, remove = killing(place / "task"), killing(gone, signal.SIGTERM)

    def each(work: Any, *how: Any) -> Any:
        def draw(number: int) -> Any:
            files = work(number)
            if number == part:
                kill(os.getpid())
            if number >= later and ray.get_runtime_context().get_node_id() != first:
                remove(os.getppid())
            while number >= later and not gone.exists():
                time.sleep(0.01)
            return files

        return cluster.RayBackend().map_parts(draw, *how)

    return each


def test_parts_are_the_same_bytes_though_a_worker_and_a_node_are_killed(
    nodes: Any, alone: Synthesizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request, "PART_ROWS", 2_000)
    nodes.add_node(num_cpus=1)
    here = alone.generate(tmp_path / "here", rows=40_000, random_state=1)
    each = drawing_until(3, 8, tmp_path)
    there = alone.generate(tmp_path / "there", rows=40_000, random_state=1, workers=3, backend=FunctionBackend(each))
    assert (tmp_path / "task").exists()
    assert (tmp_path / "node").exists()
    assert len(here["parts"]) == 20
    assert there == here
    assert files(tmp_path / "there") == files(tmp_path / "here")
    assert not (tmp_path / "there" / ".incomplete").exists()


def test_rows_with_rules_and_conditions_are_the_same_bytes_on_a_cluster(
    nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del nodes
    monkeypatch.setattr(request, "PART_ROWS", 500)
    stays = hospital(800)
    fitted = Synthesizer(schema=Schema(constraints=RULES), conditions=True, max_steps=20, random_state=0).fit(stays)
    given: dict[str, Any] = {"sex": "m", "systolic": (110, None)}
    for name, how in {"here": {}, "workers": {"workers": 2}, "there": {"backend": cluster.RayBackend()}}.items():
        fitted.generate(tmp_path / name, rows=1_500, given=given, random_state=1, **how)
    assert files(tmp_path / "there") == files(tmp_path / "workers") == files(tmp_path / "here")
    rows = pd.read_parquet(tmp_path / "there")
    assert all(rule.learned(stays).holds(rows).all() for rule in RULES)
    assert (rows["sex"] == "m").all()
    assert (rows["systolic"] >= 110).all()
