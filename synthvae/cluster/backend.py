"""Data-parallel training of a synthesizer on a Ray cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthvae.cluster.connection import LOCAL, connected
from synthvae.cluster.data_parallel import DataParallelTrainer
from synthvae.cluster.executor import on
from synthvae.cluster.private import PrivateDataParallelTrainer
from synthvae.errors import ConfigurationError
from synthvae.generation.workers import Each
from synthvae.synthesizer.synthesizer import Synthesizer
from synthvae.training import Trainer

if TYPE_CHECKING:
    from synthvae.privacy.dpsgd.trainer import Descender


@dataclass(frozen=True)
class RayBackend:
    """Data-parallel training on the Ray cluster to which this process is connected, and generation on a Ray cluster.

    Args:
        workers: The number of processes that train; `Synthesizer.generate` has a parameter of its own.
        address: The address of the head node of the cluster that generates, or "local", if this process is not
            connected to one.

    Example:
        >>> RayBackend(workers=2)  # for `Synthesizer.fit(table, backend=...)` within `connected(address, 2)`
        RayBackend(workers=2, address='local')
    """

    workers: int = 2
    address: str = LOCAL

    def trainer(self, folder: Path) -> Trainer:
        """Return the function that trains without differential privacy, with a folder to work in."""
        return DataParallelTrainer(self.workers, folder)

    def descender(self, folder: Path) -> Descender:
        """Return the function that trains with differential privacy, with a folder to work in."""
        return PrivateDataParallelTrainer(self.workers, folder)

    @property
    def map_parts(self) -> Each:
        """The function that writes the parts of a dataset by tasks of the cluster; see `PartsBackend.map_parts`."""
        return on(self.address)


def fit(synthesizer: Synthesizer, table: Any, *, address: str = LOCAL, workers: int = 2) -> Synthesizer:
    """Fit a synthesizer to a table on a Ray cluster: synchronous data-parallel SGD.

    Each worker trains on its share of the rows. The batches of all workers together are as large as those of one
    process, and the number of steps is the same. The codes of the rows and the checkpoints are stored in the
    synthesizer's `journal`, which must be a shared folder if there are several nodes. A worker that fails is replaced,
    and all continue from the last checkpoint. A private fit spends as much budget as in one process. Counts are
    measured in this process, which needs all rows in memory; the workers are idle with strategy="tables".

    Args:
        synthesizer: The synthesizer, fitted in place.
        table: Any table that `Synthesizer.fit` accepts.
        address: The address of the head node, or "local".
        workers: The number of workers.

    Returns:
        The synthesizer.

    Raises:
        ConfigurationError: `workers` is less than 1, or as of `Synthesizer.fit`.
        ClusterError: Ray is not installed, there is no cluster, or workers failed repeatedly.

    Example:
        >>> from sklearn.datasets import load_wine
        >>> table = load_wine(as_frame=True).frame
        >>> fit(Synthesizer(target="target"), table, workers=2)  # doctest: +SKIP
    """
    if workers < 1:
        raise ConfigurationError(f"`workers` must be at least 1, got {workers}.")
    with connected(address, workers):  # before anything is read, written or spent
        return synthesizer.fit(table, backend=RayBackend(workers))
