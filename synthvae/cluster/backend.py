"""The same two jobs on Ray: training of several processes together, and parts of a dataset as tasks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthvae.cluster.connection import LOCAL, connected
from synthvae.cluster.dataset import on
from synthvae.cluster.private import PrivatelyTogether
from synthvae.cluster.training import Together
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
    """

    workers: int = 2
    address: str = LOCAL

    def trainer(self, folder: Path) -> Trainer:
        """What trains on rows that nobody hides, with a folder to work in."""
        return Together(self.workers, folder)

    def descender(self, folder: Path) -> Descender:
        """What trains on private rows."""
        return PrivatelyTogether(self.workers, folder)

    @property
    def map_parts(self) -> Each:
        """The function that writes the parts of a dataset by tasks of the cluster; see `PartsBackend.map_parts`."""
        return on(self.address)


def fit(synthesizer: Synthesizer, table: Any, *, address: str = LOCAL, workers: int = 2) -> Synthesizer:
    """Fit a synthesizer to a table by several workers of a Ray cluster together: synchronous data-parallel SGD.

    Each worker learns its share of the rows; batches, together, are as large as those of one process, and so is the
    number of steps. Codes of the rows and states of training lie in the synthesizer's `journal`, which must be a folder
    that all nodes see if there is more than one. A worker that fails is replaced, and all go on from the last state. A
    private fit costs what it costs one process; counts are taken by this one, which needs all rows in memory. Where all
    of a budget buys counts (`strategy="tables"`), the workers have nothing to do.

    Args:
        synthesizer: What is fitted, in place.
        table: As `Synthesizer.fit` takes it.
        address: Of the head node, or "local".
        workers: How many.

    Raises:
        ConfigurationError: There is less than one worker, or other errors of `Synthesizer.fit`.
        ClusterError: Ray is not installed, there is no cluster, or workers failed again and again.
    """
    if workers < 1:
        raise ConfigurationError(f"`workers` must be at least 1, however, {workers=}")
    with connected(address, workers):  # before anything is read, written or bought
        return synthesizer.fit(table, backend=RayBackend(workers))
