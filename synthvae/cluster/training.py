"""Training by several processes of a cluster together, on rows that nobody hides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synthvae.cluster.jobs import Job, train_there
from synthvae.encoding import Codes
from synthvae.model import CVAE
from synthvae.training import Parts, TrainingConfig, train_in_group
from synthvae.training import checkpoint as checkpoints
from synthvae.training.checkpoint import Checkpoint
from synthvae.training.history import Callback, History
from synthvae.training.loop import Progress
from synthvae.training.shards import Shards


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
    """Training by several workers of the cluster, as `training.train` does it alone.

    Args:
        workers: How many learn together.
        folder: Where the codes, the states in between and the result are: a folder that all nodes see.
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
        """Fit the model in place; see `training.train`. Nobody sees the looks before the end.

        Raises:
            ClusterError: Workers failed again and again.
        """
        del progress, checkpoint
        shards = self._shards(codes, seed)
        job = {
            "shards": {"folder": str(shards.folder.resolve()), **_facts(shards)},
            "training": config.model_dump(mode="json"),
            "seed": seed,
            "every": checkpoints.EVERY,
        }
        history = train_there(_learn, model, self.folder, job, self.workers)
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


def _facts(shards: Shards) -> dict[str, Any]:
    return {"sizes": shards.sizes, "width": shards.width, "values": shards.values}


def _learn(model: CVAE, folder: Path, job: Job) -> History:
    from synthvae.training.distributed import TorchProcessGroup

    group, found = TorchProcessGroup(), job["shards"]
    shards = Shards(Path(found["folder"]), tuple(found["sizes"]), found["width"], found["values"])
    checkpoint = Checkpoint(folder, job["seed"], group.rank, job["every"])
    share, config = Share(shards, group.rank, group.size), TrainingConfig(**job["training"])
    return train_in_group(model, share, config, checkpoint, group)
