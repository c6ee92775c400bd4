"""Poisson sampling: the coded rows of a private fit, of which each step of DP-SGD takes a sample."""

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

from synthvae.errors import PrivacyError
from synthvae.filesystem import Folder
from synthvae.model import Rows
from synthvae.privacy import mechanisms

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PrivateRows:
    """Coded rows and their units.

    Args:
        digits: The digits (rows, J) of the rows.
        labels: Their conditions (rows,).
        units: The unit (rows,) of each row, numbered from 0.
        rows_per_unit: The largest number of rows of one unit, for which the noise is calibrated.

    Raises:
        PrivacyError: A unit has more rows.
    """

    digits: npt.NDArray[np.int8]
    labels: Counts
    units: Counts
    rows_per_unit: int = 1

    def __post_init__(self) -> None:
        # The message does not say how many, which is private. Rows that were capped are never refused.
        if np.bincount(self.units, minlength=1).max() > self.rows_per_unit:
            raise PrivacyError(
                f"A unit must have at most {self.rows_per_unit} rows, for which noise is calibrated, got a unit with "
                "more. Drop rows beyond the cap before the fit."
            )

    @classmethod
    def of(cls, digits: npt.NDArray[np.int8], labels: Counts, units: Counts | None, rows_per_unit: int = 1) -> Self:
        """Return rows whose units are any whole numbers; None: each row is a unit."""
        numbers = np.arange(len(labels)) if units is None else np.unique(units, return_inverse=True)[1]
        return cls(digits, labels, numbers, rows_per_unit)

    def samples(self, rate: float, times: int, micro: int) -> Iterator[Iterator[tuple[Rows, Tensor]]]:
        """Return `times` Poisson samples of units with all their rows, each in batches of at most `micro` rows."""
        return (self._sample(rate, micro) for _ in range(times))

    def _sample(self, rate: float, micro: int) -> Iterator[tuple[Rows, Tensor]]:
        taken = mechanisms.uniform(int(self.units.max(initial=-1)) + 1) < rate
        places = np.flatnonzero(taken[self.units])
        yield from (self.take(places[start : start + micro]) for start in range(0, len(places), micro))

    def take(self, places: Counts) -> tuple[Rows, Tensor]:
        """Return some rows and their conditions."""
        rows = Rows(torch.from_numpy(self.digits[places]), torch.empty(len(places), 0, dtype=torch.float32))
        return rows, torch.from_numpy(self.labels[places])

    def share(self, rank: int, size: int) -> PrivateRows:
        """Return the rows of every `size`-th unit: the samples of all shares together are a sample of all rows."""
        mine = self.units % size == rank
        return PrivateRows.of(self.digits[mine], self.labels[mine], self.units[mine], self.rows_per_unit)

    def save(self, path: Path) -> None:
        """Write the rows to a file."""
        cap = np.array([self.rows_per_unit])
        fields = {"digits": self.digits, "labels": self.labels, "units": self.units, "rows_per_unit": cap}
        content = safetensors.numpy.save({name: np.ascontiguousarray(of) for name, of in fields.items()})
        Folder(path.parent, private=True).write(path.name, content)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Load rows that `save` wrote."""
        fields = safetensors.numpy.load_file(path)
        return cls(fields["digits"], fields["labels"], fields["units"], int(fields["rows_per_unit"][0]))


def some_of_each(units: Counts, limit: int) -> Counts:
    """Return the sorted positions of up to `limit` rows of each unit, chosen at random."""
    order = np.lexsort((mechanisms.uniform(len(units)), units))
    first = np.searchsorted(units[order], units[order])
    return np.sort(order[np.arange(len(units)) - first < limit])
