"""Bins of numeric columns with declared bounds: intervals are halved again and again where many rows lie."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from synthvae.privacy.accounting import calibrated
from synthvae.privacy.curator import Counts, Curator
from synthvae.privacy.events import Event
from synthvae.privacy.ledger import Ledger, RecordedEvent

SHARE = 0.1  # of epsilon, for all columns together
HALVES = "interval bisections"
DEPTH = 20  # halvings at most
BINS = 20  # bins aimed at
FULL = 1.25  # a bin is closed at this multiple of an equal share

Numbers = npt.NDArray[np.float64]


@dataclass
class Bisection:
    """The bounds of a column as 2**depth pieces of one width, and a binary tree of intervals of these pieces.

    Args:
        low: The start of the first piece.
        width: The width of each piece.
        depth: The number of times that the bounds can be halved.
        last: The last piece that is not past the bounds.
        leaves: Intervals that are not split: first piece, number of pieces, noisy count.
        nodes: Intervals of the current level that may be split.
        rows: The noisy number of rows with a number.
    """

    low: float
    width: float
    depth: int
    last: int
    leaves: list[tuple[int, int, int]] = field(default_factory=list)
    nodes: Counts = field(default_factory=lambda: np.zeros(1, np.int64))
    rows: int = 0

    @classmethod
    def between(cls, low: float, high: float, decimals: int | None) -> Bisection:
        """Return the bisection of bounds; no piece is narrower than the step between numbers."""
        most = 2**DEPTH
        steps = most if decimals is None else (high / 2 - low / 2) * 2 * 10.0**decimals + 1  # no difference overflows
        width = high / most - low / most
        if low == high or (width == 0 and decimals is None):  # no number lies between them
            return cls(low, 1.0, 0, 0)
        if not steps < most:
            return cls(low, width, DEPTH, most - 1)
        depth = math.ceil(math.log2(round(steps)))
        return cls(low, 10.0 ** -(decimals or 0), depth, round(steps) - 1)

    def pieces(self, numbers: Numbers) -> Counts:
        """Return the piece in which each number (rows,) lies; missing numbers are left out."""
        present = numbers[~np.isnan(numbers)]
        place = np.floor(np.round(present / self.width - self.low / self.width, 6))
        return np.clip(place, 0, self.last).astype(np.int64)

    @property
    def children(self) -> Counts:
        """The halves of all nodes."""
        return np.stack([2 * self.nodes, 2 * self.nodes + 1], 1).ravel()

    def split(self, level: int, counts: Counts) -> None:
        """Use the noisy `counts` of the halves of all nodes: halves with a large count are split further."""
        children = self.children
        if level == 1:
            self.rows = max(int(counts.sum()), 1)
        split = (counts > self.rows / BINS) & (level < self.depth)
        pieces = 2 ** (self.depth - level)
        for node, count in zip(children[~split].tolist(), counts[~split].tolist(), strict=True):
            self.leaves.append((node * pieces, pieces, count))
        self.nodes = children[split]

    def cuts(self, decimals: int | None) -> tuple[float, ...]:
        """Return the cuts between bins, which are neighbouring leaves that together hold an equal share of the rows."""
        found, filled = [], 0.0
        for first, _, count in sorted(self.leaves):
            if first > self.last:
                break
            if filled > 0 and filled + max(count, 0) > FULL * self.rows / BINS:
                cut = self.low + first * self.width
                found.append(cut if decimals is None else round(cut, decimals))
                filled = 0.0
            filled += max(count, 0)
        return tuple(found)

    def trimmed(self, sure: float, decimals: int | None) -> tuple[float, float]:
        """Return the bounds of the leaves that have more than `sure` rows, or of all leaves if none has."""
        full = [leaf for leaf in self.leaves if leaf[2] > sure] or [(0, self.last + 1, 0)]
        first, past = min(leaf[0] for leaf in full), max(leaf[0] + leaf[1] for leaf in full)
        step = 0.0 if decimals is None else 10.0**-decimals
        low, high = self.low + first * self.width, self.low + min(past, self.last + 1) * self.width - step
        return (low, high) if decimals is None else (round(low, decimals), round(high, decimals))


def halvings(ledger: Ledger, times: int) -> Event:
    """Return the event of `times` halvings, each of one column."""
    budget = ledger.budget

    def event(noise: float) -> Event:
        return Event.of_counts(HALVES, budget.max_rows_of_unit, noise, times=times, purpose="bins of numeric columns")

    return event(calibrated(lambda noise: [event(noise)], SHARE * budget.epsilon, budget.delta))


def bisect(
    bisections: dict[str, Bisection], numbers: dict[str, Numbers], curator: Curator, recorded: RecordedEvent
) -> None:
    """Split intervals by private `numbers` (rows,) of columns; each halving of a column is one release of an event.

    Only halves of nodes that are split are counted: nothing is released of intervals with few rows.
    """
    for name, bisection in bisections.items():
        pieces = bisection.pieces(numbers[name])
        for level in range(1, bisection.depth + 1):
            if not len(bisection.nodes):
                break
            halves = pieces >> (bisection.depth - level)
            exact = functools.partial(_counted, halves, bisection.children)
            bisection.split(level, curator.counts(recorded, exact))


def _counted(halves: Counts, children: Counts) -> Counts:
    return np.bincount(halves, minlength=int(children.max()) + 1)[children]
