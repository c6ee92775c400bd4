"""Jobs on a real Ray cluster of several nodes, of which workers and nodes are killed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
from sklearn.datasets import load_breast_cancer

from synthvae import Column, PrivacyBudget, Schema, Synthesizer, checkpoint, cluster, generation, private
from synthvae.errors import ClusterError, ConfigurationError

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.xdist_group("cluster")


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


def workers() -> list[psutil.Process]:
    """The processes that train."""
    found = [p for p in psutil.process_iter(["cmdline"]) if "TrainWorker" in " ".join(p.info["cmdline"] or [])]
    return [process for process in found if process.status() != psutil.STATUS_ZOMBIE]


def once(ready: Callable[[], bool], act: Callable[[], object]) -> threading.Thread:
    """Act in a while, as soon as something is so."""

    def wait() -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not ready():
            time.sleep(0.02)
        act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


@pytest.fixture(scope="module")
def alone(table: pd.DataFrame) -> Synthesizer:
    """Learned by one process."""
    return Synthesizer(**FEW).fit(table)


def test_no_cluster_at_an_address_is_told() -> None:
    if ray.is_initialized():
        pytest.skip("this process is connected to a cluster")
    with pytest.raises(ClusterError, match="there must be a cluster"), cluster.connected("127.0.0.1:1", 1):
        pass


def shell(*words: object) -> None:
    """Run a command in a process of its own."""
    subprocess.run([sys.executable, "-m", "synthvae", *map(str, words), "-q"], check=True, timeout=400)


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
    folder, seen = tmp_path / "kept", list[int]()

    def killed() -> None:
        seen.append(workers()[-1].pid)
        psutil.Process(seen[0]).kill()

    thread = once(lambda: any(int(f.stem[-9:]) > 5 for f in folder.glob("state-1-*.safetensors")), killed)
    disturbed = cluster.fit(Synthesizer(**FEW, journal=folder), tmp_path / "t.parquet", workers=2)
    thread.join()
    assert seen
    assert disturbed.learned_.fingerprint == undisturbed.learned_.fingerprint
    assert disturbed.history_ == undisturbed.history_
    shell("generate", tmp_path / "m", "--rows", 50, "-o", tmp_path / "out", "--seed", 1, *place)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out"), disturbed.sample(50, random_state=1))


def test_private_rows_cost_several_workers_what_they_cost_one_though_one_is_killed(
    nodes: Any, table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del nodes
    monkeypatch.setattr(private, "DRAWN_ROWS", (2100, 2200))
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
    seen: dict[str, Any] = {}

    def found() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (tmp_path / "kept").glob("*.safetensors")}

    def kill() -> None:
        seen["before"] = found()
        workers()[-1].kill()

    thread = once(lambda: len(found()) > len(releases) - STEPS + 3, kill)
    together = cluster.fit(Synthesizer(**options, journal=tmp_path / "kept"), rows, workers=2)
    thread.join()
    assert len(seen["before"]) < len(releases) == len(found())
    assert seen["before"].items() <= found().items()
    assert together.ledger_ == alone.ledger_
    assert not (tmp_path / "kept" / "gradients").exists()
    assert len(together.sample(20)) == 20


def _declared(name: str) -> Column:
    return Column(name=name, kind="continuous", bounds=(0.0, 1.5), bins=[0.1, 0.2, 0.3, 0.4], decimals=4)


def test_a_cluster_of_nobody_is_refused(table: pd.DataFrame) -> None:
    with pytest.raises(ConfigurationError, match="`workers` must be at least 1"):
        cluster.fit(Synthesizer(), table, workers=0)


def tasks() -> list[psutil.Process]:
    """The processes that draw parts."""
    found = psutil.process_iter(["cmdline"])
    return [process for process in found if "ray::Map" in " ".join(process.info["cmdline"] or [])]


def files(folder: Path) -> dict[str, bytes]:
    """All files of a dataset but its manifest, which lists them."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.parquet")}


def test_parts_are_the_same_bytes_though_a_worker_and_a_node_are_killed(
    nodes: Any, alone: Synthesizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "PART_ROWS", 2_000)
    here = alone.generate(tmp_path / "here", rows=40_000, random_state=1)
    seen: list[int] = []

    def parts() -> int:
        return len(list((tmp_path / "there").rglob("part-*.parquet")))

    def kill() -> None:
        for _ in range(2_000):  # between two parts a worker is idle
            if found := tasks():
                seen.append(found[0].pid)
                found[0].kill()
                return
            time.sleep(0.01)

    extra = nodes.add_node(num_cpus=1)
    threads = [once(lambda: parts() > 2, kill), once(lambda: parts() > 8, lambda: nodes.remove_node(extra))]
    there = alone.generate(tmp_path / "there", rows=40_000, random_state=1, workers=3, each=cluster.on())
    for thread in threads:
        thread.join()
    assert seen
    assert len(here["parts"]) == 20
    assert there == here
    assert files(tmp_path / "there") == files(tmp_path / "here")
    assert not (tmp_path / "there" / ".incomplete").exists()
