"""Data-parallel training on a Ray cluster, without differential privacy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synthvae.cluster.jobs import Job, train_on_cluster
from synthvae.encoding import Codes
from synthvae.model import CVAE
from synthvae.training import Parts, TrainingConfig, train_in_group
from synthvae.training import checkpoint as checkpoints
from synthvae.training.checkpoint import Checkpoint
from synthvae.training.history import Callback, History
from synthvae.training.loop import Progress
from synthvae.training.shards import Shards


@dataclass(frozen=True)
class ShardSubset:
    """Every n-th shard: the training rows of one of n processes."""

    shards: Shards
    rank: int
    size: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of rows of each shard."""
        return self.shards.sizes[self.rank :: self.size]

    def __getitem__(self, part: int, /) -> Codes:
        """Read one shard."""
        return self.shards[self.rank + part * self.size]


@dataclass(frozen=True)
class DataParallelTrainer:
    """Training by several processes of the cluster with the interface of `training.train`.

    Args:
        workers: The number of processes.
        folder: A folder that all nodes share, for the codes, the checkpoints and the result.
    """

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
        """Train the model in place; see `training.train`. Callbacks are called after training.

        Raises:
            ClusterError: Processes failed repeatedly.
        """
        del progress, checkpoint
        shards = self._shards(codes, seed)
        job = {
            "shards": {"folder": str(shards.folder.resolve()), **_describe(shards)},
            "training": config.model_dump(mode="json"),
            "seed": seed,
            "every": checkpoints.EVERY,
        }
        history = train_on_cluster(_train_process, model, self.folder, job, self.workers)
        for record in history.records if callback else ():
            callback(record)  # type: ignore[misc]
        return history

    def _shards(self, codes: Codes | Parts, seed: int) -> Shards:
        """The rows in at least as many shards as there are processes."""
        if isinstance(codes, Shards) and len(codes.sizes) >= self.workers:
            return codes
        parts = [codes] if isinstance(codes, Codes) else (codes[part] for part in range(len(codes.sizes)))
        rows = len(codes) if isinstance(codes, Codes) else sum(codes.sizes)
        return Shards.write(self.folder / "shares", parts, rows, np.random.default_rng([seed, 62]), self.workers)


def _describe(shards: Shards) -> dict[str, Any]:
    return {"sizes": shards.sizes, "width": shards.width, "values": shards.values, "weighted": shards.weighted}


def _train_process(model: CVAE, folder: Path, job: Job) -> History:
    from synthvae.training.distributed import TorchProcessGroup

    group, found = TorchProcessGroup(), job["shards"]
    shards = Shards(Path(found["folder"]), tuple(found["sizes"]), found["width"], found["values"], found["weighted"])
    checkpoint = Checkpoint(folder, job["seed"], group.rank, job["every"])
    subset, config = ShardSubset(shards, group.rank, group.size), TrainingConfig(**job["training"])
    return train_in_group(model, subset, config, checkpoint, group)
