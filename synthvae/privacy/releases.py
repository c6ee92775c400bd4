"""What leaves the private rows: noisy counts and noisy gradients, each in the ledger before it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator

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
    """Who holds the coded rows. What is to leave goes into the ledger first.

    Args:
        cells: The cells (rows, T) of tables of counts that rows belong to.
        digits: The digits (rows, J) of the rows.
        labels: Their conditions (rows,).
        units: Whose row each is (rows,), any whole numbers, none with more rows than the budget says; None: each row is
            a unit.
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
        self._cells, self._labels = cells, torch.from_numpy(labels)
        self._rows = Rows(torch.from_numpy(digits), torch.empty(len(labels), 0))
        self._units = None if units is None else np.unique(units, return_inverse=True)[1]
        self.ledger, self.journal = ledger, journal or Journal(None, 0)

    def counts(self, event: Event, tables: slice, sizes: list[int]) -> list[Counts]:
        """Return noisy counts (cells,) of some tables; one unit moves each by the event's sensitivity at most.

        Args:
            event: What it costs.
            tables: Which tables.
            sizes: How many cells each has.
        """
        self.ledger = self.ledger.record(event)

        def exact() -> Counts:
            cells = self._cells[:, tables].T
            return np.concatenate([np.bincount(places, minlength=k) for places, k in zip(cells, sizes, strict=True)])

        return np.split(noisy(exact, event, self.journal), np.cumsum(sizes)[:-1])

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


def noisy(exact: Callable[[], Counts], event: Event, journal: Journal) -> Counts:
    """Return counts (cells,) with the noise of an event, or as they were released before."""

    def draw() -> list[Tensor]:
        counts = exact()
        scale = event.noise_multiplier * event.sensitivity
        return [torch.from_numpy(counts + mechanisms.discrete_gaussian(scale, len(counts)))]

    (released,) = journal.keep(draw)
    return released.numpy()


def some_of_each(units: Counts, limit: int) -> Counts:
    """Choose rows: `limit` of each unit at random, all where there are no more; sorted."""
    order = np.lexsort((mechanisms.uniform(len(units)), units))
    first = np.searchsorted(units[order], units[order])
    return np.sort(order[np.arange(len(units)) - first < limit])
