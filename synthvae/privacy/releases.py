"""What leaves the private rows: noisy counts and noisy gradients, each in the ledger before it is drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from synthvae.privacy import mechanisms
from synthvae.privacy.journal import Journal
from synthvae.privacy.ledger import Event, Ledger
from synthvae.privacy.sampling import PrivateRows

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
        self._states, self.levels = states.T, levels
        self._rows = PrivateRows.of(digits, labels, units)
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

    def sampled(self, event: Event) -> PrivateRows:
        """Return the rows, for gradients of their samples that get the noise of an event."""
        self.ledger = self.ledger.record(event)
        return self._rows


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
