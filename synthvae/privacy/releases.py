"""What leaves the private rows: noisy counts and noisy gradients, each in the ledger before it is drawn."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from synthvae.model import Rows
from synthvae.privacy import mechanisms
from synthvae.privacy.journal import Journal
from synthvae.privacy.ledger import Event, Ledger

Counts = npt.NDArray[np.int64]


class Curator:
    """The only one who holds the rows. What is to leave goes into the ledger first.

    Args:
        cells: The cells (rows, T) of tables of counts that rows belong to.
        digits: The digits (rows, J) of the rows.
        labels: Their conditions (rows,).
        units: Whose row each is (rows,), any whole numbers; None: each row is a unit.
        ledger: Where everything is written down.
        journal: Where noisy numbers are kept.
    """

    def __init__(
        self,
        cells: Counts,
        digits: npt.NDArray[np.int8],
        labels: Counts,
        units: Counts | None,
        ledger: Ledger,
        *,
        journal: Journal | None = None,
    ) -> None:
        kept = np.arange(len(labels)) if units is None else some_of_each(units, ledger.budget.rows_per_unit)
        self._cells, self._labels = cells[kept], torch.from_numpy(labels[kept])
        self._rows = Rows(torch.from_numpy(digits[kept]), torch.empty(len(kept), 0))
        self._units = None if units is None else np.unique(units[kept], return_inverse=True)[1]
        self.ledger, self.journal = ledger, journal or Journal(None, 0)

    @property
    def rows_per_unit(self) -> int:
        """How many rows a unit has at most: public."""
        return 1 if self._units is None else self.ledger.budget.rows_per_unit

    def counts(self, event: Event, tables: slice, sizes: list[int]) -> list[Counts]:
        """Return noisy counts (cells,) of some tables; one unit moves each by the event's sensitivity at most.

        Args:
            event: What it costs.
            tables: Which tables.
            sizes: How many cells each has.
        """
        self.ledger = self.ledger.record(event)
        (noisy,) = self.journal.keep(lambda: [self._noisy(event, tables, sizes)])
        return np.split(noisy.numpy(), np.cumsum(sizes)[:-1])

    def _noisy(self, event: Event, tables: slice, sizes: list[int]) -> Tensor:
        noise = mechanisms.discrete_gaussian(event.noise_multiplier * event.sensitivity, sum(sizes))
        exact = [
            np.bincount(cells, minlength=size) for cells, size in zip(self._cells[:, tables].T, sizes, strict=True)
        ]
        return torch.from_numpy(np.concatenate(exact) + noise)

    def batches(self, event: Event, micro: int) -> Iterator[Iterator[tuple[Rows, Tensor]]]:
        """Return Poisson samples of the rows, each in parts of at most `micro` rows, for gradients that get noise.

        All rows of a unit are in a sample or none is.
        """
        self.ledger = self.ledger.record(event)
        return (self._sample(event.sampling_rate, micro) for _ in range(event.times))

    def _sample(self, rate: float, micro: int) -> Iterator[tuple[Rows, Tensor]]:
        units = len(self._labels) if self._units is None else int(self._units.max(initial=-1)) + 1
        taken = mechanisms.uniform(units) < rate
        rows = torch.from_numpy(np.flatnonzero(taken if self._units is None else taken[self._units]))
        for part in rows.split(micro):
            yield self._rows.take(part), self._labels[part]


def some_of_each(units: Counts, limit: int) -> Counts:
    """Choose rows: `limit` of each unit at random, all where there are no more; sorted."""
    order = np.lexsort((mechanisms.uniform(len(units)), units))
    first = np.searchsorted(units[order], units[order])
    return np.sort(order[np.arange(len(units)) - first < limit])
