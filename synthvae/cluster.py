"""The same two jobs on Ray: training of several processes together, and parts of a dataset as tasks."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch

from synthvae import atomic
from synthvae import checkpoint as checkpoints
from synthvae.checkpoint import Checkpoint
from synthvae.dataset import Done, Each, Part, Work
from synthvae.descent import Progress
from synthvae.encoding import Codes
from synthvae.errors import ClusterError, ConfigurationError
from synthvae.history import Callback, History, Record
from synthvae.model import CVAE, ModelConfig
from synthvae.shards import Shards
from synthvae.slots import Slots, Value
from synthvae.synthesizer import Synthesizer
from synthvae.training import Parts, TrainingConfig, train

LOCAL = "local"  # in an address' place: a cluster on this machine, for as long as the job takes
MOST_FAILURES = 3  # of a job, of which each is taken up from the last state that was kept
PATIENCE = 10.0  # seconds in which the head node must answer
START, LEARNED = "start.safetensors", "learned.safetensors"


@contextmanager
def connected(address: str, cpus: int) -> Iterator[Any]:
    """Connect to a cluster, unless this process is connected to one already.

    Args:
        address: That of the head node, or "local": a cluster of so many CPUs on this machine.
        cpus: How many.

    Raises:
        ClusterError: Ray is not installed, or there is no cluster.
    """
    try:
        import ray
    except ImportError as error:
        raise ClusterError("a cluster needs Ray, however, it is absent: `pip install 'synthvae[ray]'`") from error
    if ray.is_initialized():
        yield ray
        return
    _reach(address)
    where: dict[str, Any] = {"num_cpus": cpus, "include_dashboard": False} if address == LOCAL else {}
    try:
        ray.init(address=address, log_to_driver=False, **where)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ClusterError(f"there must be a cluster at the address, however, {address!r}: {reason}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Refuse an address at which nobody listens, for which Ray waits ten minutes before it ends the process."""
    named = re.fullmatch(r"(?:ray://)?([^:/]+):(\d+)", address)
    if named is None:  # "local", "auto"
        return
    try:
        socket.create_connection((named[1], int(named[2])), PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(f"there must be a cluster at the address, however, {address!r}: {error}") from error


@dataclass(frozen=True)
class Share:
    """Every n-th shard: what one of n processes learns."""

    shards: Shards
    rank: int
    size: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many rows each has."""
        return self.shards.sizes[self.rank :: self.size]

    def __getitem__(self, part: int, /) -> Codes:
        """Read one of them."""
        return self.shards[self.rank + part * self.size]


@dataclass(frozen=True)
class Together:
    """Training by several workers of a cluster, as `training.train` does it alone.

    Args:
        address: That of the cluster; "local": one on this machine.
        workers: How many learn together.
        folder: Where the codes, the states in between and the result are: a folder that all nodes see.
    """

    address: str
    workers: int
    folder: Path

    def __call__(
        self,
        model: CVAE,
        codes: Codes | Parts,
        config: TrainingConfig,
        seed: int,
        progress: Progress | None = None,
        *,
        callback: Callback | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> History:
        """Fit the model in place; see `training.train`. Nobody sees the looks before the end.

        Raises:
            ClusterError: There is no cluster, or workers failed again and again.
        """
        del progress, checkpoint
        shards = self._shards(codes, seed)
        job = {
            "folder": str(self.folder.resolve()),
            "shards": {"folder": str(shards.folder.resolve()), **_facts(shards)},
            "slots": asdict(model.decoder.slots),
            "conditions": model.conditions,
            "model": model.config.model_dump(mode="json"),
            "training": config.model_dump(mode="json"),
            "seed": seed,
            "every": checkpoints.EVERY,
        }
        (self.folder / LEARNED).unlink(missing_ok=True)
        with connected(self.address, self.workers):
            atomic.write(self.folder / START, _saved(model))
            self._run(job)
        history = _taken(model, self.folder / LEARNED)
        for record in history.records if callback else ():
            callback(record)  # type: ignore[misc]
        return history

    def _shards(self, codes: Codes | Parts, seed: int) -> Shards:
        """The rows in at least as many shards as there are workers."""
        if isinstance(codes, Shards) and len(codes.sizes) >= self.workers:
            return codes
        parts = [codes] if isinstance(codes, Codes) else (codes[part] for part in range(len(codes.sizes)))
        rows = len(codes) if isinstance(codes, Codes) else sum(codes.sizes)
        return Shards.write(self.folder / "shares", parts, rows, np.random.default_rng([seed, 62]), self.workers)

    def _run(self, job: dict[str, Any]) -> None:
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer

        place = self.folder / "ray"
        run = RunConfig(
            name="fit", storage_path=str(place.resolve()), failure_config=FailureConfig(max_failures=MOST_FAILURES)
        )
        scaling = ScalingConfig(num_workers=self.workers, use_gpu=False)
        try:
            TorchTrainer(_learn, train_loop_config=job, scaling_config=scaling, run_config=run).fit()
        except Exception as error:
            reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
            raise ClusterError(f"training on a cluster failed ({reason}): repeat it with `--resume`") from error


def _facts(shards: Shards) -> dict[str, Any]:
    return {"sizes": shards.sizes, "width": shards.width, "values": shards.values}


def _learn(job: dict[str, Any]) -> None:
    """What each worker does."""
    import ray.train

    from synthvae.training.world import Together as World

    folder, world = Path(job["folder"]), World()
    if not folder.exists():
        raise ClusterError(f"all nodes must see one folder, however, {folder} is not on {os.uname().nodename}")
    found = job["shards"]
    shards = Shards(Path(found["folder"]), tuple(found["sizes"]), found["width"], found["values"])
    slots = job["slots"]
    model = CVAE(
        Slots(tuple(slots["sizes"]), tuple(Value(*value) for value in slots["values"]), tuple(slots["coarser"])),
        job["conditions"],
        ModelConfig(**job["model"]),
    )
    model.load_state_dict(safetensors.torch.load_file(folder / START))
    checkpoint = Checkpoint(folder, job["seed"], world.rank, job["every"])
    share = Share(shards, world.rank, world.size)
    config = TrainingConfig(**job["training"])
    history = train(model, share, config, job["seed"], checkpoint=checkpoint, world=world)
    if world.rank == 0:
        atomic.write(folder / LEARNED, _saved(model, history=json.dumps(asdict(history))))
    ray.train.report({})


def _saved(model: CVAE, **told: str) -> bytes:
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    return safetensors.torch.save(weights, metadata=told)


def _taken(model: CVAE, path: Path) -> History:
    """Load what was learned into a model."""
    with safetensors.safe_open(path, "pt") as file:
        told = json.loads(file.metadata()["history"])
        model.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 (no mapping)
    model.eval()
    return History(**{**told, "records": [Record(**record) for record in told["records"]]})


def fit(synthesizer: Synthesizer, table: Any, *, address: str = LOCAL, workers: int = 2) -> Synthesizer:
    """Fit a synthesizer to a table by several workers of a Ray cluster together: synchronous data-parallel SGD.

    Each worker learns its share of the rows; batches, together, are as large as those of one process, and so is the
    number of steps. Codes of the rows and states of training lie in the synthesizer's `journal`, which must be a folder
    that all nodes see if there is more than one. A worker that fails is replaced, and all go on from the last state.

    Args:
        synthesizer: What is fitted, in place.
        table: As `Synthesizer.fit` takes it.
        address: Of the head node, or "local".
        workers: How many.

    Raises:
        ConfigurationError: There is a privacy budget, or less than one worker.
        ClusterError: Ray is not installed, there is no cluster, or workers failed again and again.
    """
    if synthesizer.privacy is not None:
        raise ConfigurationError(
            "a private fit learns in one process, however, `privacy` is given: leave the cluster out"
        )
    if workers < 1:
        raise ConfigurationError(f"`workers` must be at least 1, however, {workers=}")
    return synthesizer._fit_openly(table, lambda folder: Together(address, workers, folder))  # noqa: SLF001 (one class in two rooms)


def on(address: str = LOCAL) -> Each:
    """Return what has the parts of a dataset written by tasks of a Ray cluster: Ray Data schedules and repeats them.

    The parts are those of one process, byte for byte. Pass it to `Synthesizer.generate(..., each=on(address))`. The
    dataset must lie in a folder that all nodes see, by an absolute path, or in an object store.

    Args:
        address: Of the head node, or "local".
    """

    def each(work: Work, numbers: int, workers: int, begin: Callable[[], None], done: Done) -> list[list[Part]]:
        del begin  # this process holds the folder, and Ray ends the tasks of one that is gone
        found: dict[int, list[Part]] = {}
        with connected(address, workers) as ray:
            for number, files in _written(ray, work, numbers, workers):
                found[number] = files
                done(files)
        return [found[number] for number in range(numbers)]

    return each


def _written(ray: Any, work: Work, numbers: int, workers: int) -> Iterator[tuple[int, list[Part]]]:
    """The files of each part, as they are written."""
    shared = ray.put(work)

    def write(row: dict[str, Any]) -> dict[str, Any]:
        return {"number": row["id"], "files": json.dumps(ray.get(shared)(int(row["id"])))}

    rows = ray.data.range(numbers, override_num_blocks=max(numbers, 1)).map(write, concurrency=workers)
    try:
        for row in rows.iter_rows():
            yield int(row["number"]), json.loads(row["files"])
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise BrokenProcessPool(reason) from error
