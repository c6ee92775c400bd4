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

from synthvae import filesystem
from synthvae.errors import PrivacyError
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
        rows_per_unit: How many rows of one unit there may be: what noise is reckoned for.

    Raises:
        PrivacyError: A unit has more rows.
    """

    digits: npt.NDArray[np.int8]
    labels: Counts
    units: Counts
    rows_per_unit: int = 1

    def __post_init__(self) -> None:
        # How many is not said: who capped the rows as is promised is never refused, whatever they are.
        if np.bincount(self.units, minlength=1).max() > self.rows_per_unit:
            raise PrivacyError(
                f"noise hides at most {self.rows_per_unit} rows of a unit, however, one has more: drop those beyond it "
                "before anything is learned"
            )

    @classmethod
    def of(cls, digits: npt.NDArray[np.int8], labels: Counts, units: Counts | None, rows_per_unit: int = 1) -> Self:
        """Take units by any whole numbers; None: each row is a unit."""
        numbers = np.arange(len(labels)) if units is None else np.unique(units, return_inverse=True)[1]
        return cls(digits, labels, numbers, rows_per_unit)

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
        return PrivateRows.of(self.digits[mine], self.labels[mine], self.units[mine], self.rows_per_unit)

    def save(self, path: Path) -> None:
        """Write the rows to a file."""
        cap = np.array([self.rows_per_unit])
        fields = {"digits": self.digits, "labels": self.labels, "units": self.units, "rows_per_unit": cap}
        filesystem.write(path, safetensors.numpy.save({name: np.ascontiguousarray(of) for name, of in fields.items()}))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        fields = safetensors.numpy.load_file(path)
        return cls(fields["digits"], fields["labels"], fields["units"], int(fields["rows_per_unit"][0]))


def some_of_each(units: Counts, limit: int) -> Counts:
    """Choose rows: `limit` of each unit at random, all where there are no more; sorted."""
    order = np.lexsort((mechanisms.uniform(len(units)), units))
    first = np.searchsorted(units[order], units[order])
    return np.sort(order[np.arange(len(units)) - first < limit])
