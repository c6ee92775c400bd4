"""The coded rows of a private fit, of which each step takes a Poisson sample."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import safetensors.numpy
import torch
from torch import Tensor

from synthvae import atomic
from synthvae.model import Rows
from synthvae.privacy import mechanisms

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PrivateRows:
    """Coded rows, and whose each is.

    Args:
        digits: The digits (rows, J) of the rows.
        labels: Their conditions (rows,).
        units: Whose row each is (rows,), numbers from 0 on.
    """

    digits: npt.NDArray[np.int8]
    labels: Counts
    units: Counts

    @classmethod
    def of(cls, digits: npt.NDArray[np.int8], labels: Counts, units: Counts | None) -> Self:
        """Take units by any whole numbers; None: each row is a unit."""
        numbers = np.arange(len(labels)) if units is None else np.unique(units, return_inverse=True)[1]
        return cls(digits, labels, numbers)

    def samples(self, rate: float, times: int, micro: int) -> Iterator[Iterator[tuple[Rows, Tensor]]]:
        """Return Poisson samples of the units, with all their rows, each in parts of at most `micro` rows."""
        return (self._sample(rate, micro) for _ in range(times))

    def _sample(self, rate: float, micro: int) -> Iterator[tuple[Rows, Tensor]]:
        taken = mechanisms.uniform(int(self.units.max(initial=-1)) + 1) < rate
        places = np.flatnonzero(taken[self.units])
        yield from (self.take(places[start : start + micro]) for start in range(0, len(places), micro))

    def take(self, places: Counts) -> tuple[Rows, Tensor]:
        """Return some rows and their conditions."""
        rows = Rows(torch.from_numpy(self.digits[places]), torch.empty(len(places), 0))
        return rows, torch.from_numpy(self.labels[places])

    def share(self, rank: int, size: int) -> PrivateRows:
        """The rows of every n-th unit: samples of all shares, put together, are a sample of all rows."""
        mine = self.units % size == rank
        return PrivateRows.of(self.digits[mine], self.labels[mine], self.units[mine])

    def save(self, path: Path) -> None:
        """Write the rows to a file."""
        fields = {"digits": self.digits, "labels": self.labels, "units": self.units}
        atomic.write(path, safetensors.numpy.save({name: np.ascontiguousarray(of) for name, of in fields.items()}))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        return cls(**safetensors.numpy.load_file(path))
