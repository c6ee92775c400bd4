"""What leaves the private rows: noisy counts and noisy gradients, each in the ledger before it is drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from synthvae.model import Rows
from synthvae.privacy import mechanisms
from synthvae.privacy.journal import Journal
from synthvae.privacy.ledger import Event, Ledger

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Variables = tuple[int, ...]  # which ones a table is of


class Curator:
    """Who holds the coded rows. What is to leave goes into the ledger first.

    Args:
        states: What tables are counted of (rows, T): a row's state in each of T variables.
        levels: How many states each has (T,).
        digits: The digits (rows, J) of the rows.
        labels: Their conditions (rows,).
        units: Whose row each is (rows,), any whole numbers, none with more rows than the budget says; None: each row is
            a unit.
        ledger: Where everything is written down.
        journal: Where noisy numbers are kept.
    """

    def __init__(
        self,
        states: Counts,
        levels: Sequence[int],
        digits: npt.NDArray[np.int8],
        labels: Counts,
        units: Counts | None,
        *,
        ledger: Ledger,
        journal: Journal | None = None,
    ) -> None:
        self._states, self.levels, self._labels = states.T, levels, torch.from_numpy(labels)
        self._rows = Rows(torch.from_numpy(digits), torch.empty(len(labels), 0))
        self._units = None if units is None else np.unique(units, return_inverse=True)[1]
        self.ledger, self.journal = ledger, journal or Journal(None, 0)

    def counts(self, event: Event, tables: Sequence[Variables]) -> list[Counts]:
        """Return noisy tables, each of the levels of its variables; one unit moves each by the event's sensitivity."""
        self.ledger = self.ledger.record(event)
        shapes = [self.shape(table) for table in tables]
        flat = noisy(lambda: np.concatenate([self._exact(t).ravel() for t in tables]), event, self.journal)
        parts = np.split(flat, np.cumsum([math.prod(shape) for shape in shapes])[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def distances(self, event: Event, tables: Sequence[Variables], guessed: Callable[[int], Floats]) -> Counts:
        """Return noisy numbers (tables,): by how many rows each table differs from whole numbers near a guess.

        A row moves the difference in one cell by one, so that a unit moves it by the event's sensitivity at most.

        Args:
            event: What it costs.
            tables: The variables of each.
            guessed: The guess at a table, by its place; it must not depend on rows but by what was bought.
        """
        self.ledger = self.ledger.record(event)

        def exact() -> Counts:
            off = (np.abs(self._exact(t) - np.rint(guessed(i)).astype(np.int64)).sum() for i, t in enumerate(tables))
            return np.fromiter(off, np.int64)

        return noisy(exact, event, self.journal)

    def shape(self, table: Variables) -> tuple[int, ...]:
        """The shape of a table of some variables."""
        return tuple(self.levels[place] for place in table)

    def _exact(self, table: Variables) -> Counts:
        shape = self.shape(table)
        cells = np.ravel_multi_index(tuple(self._states[place] for place in table), shape)
        return np.bincount(cells, minlength=math.prod(shape)).reshape(shape)

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
