"""Bins of numbers of which only bounds are declared: bounds are halved again and again, where many rows lie."""

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
HALVES = "halves of bins"
DEPTH = 20  # halvings at most
BINS = 20  # about so many are aimed at
FULL = 1.25  # times an equal share, at which a bin is closed

Numbers = npt.NDArray[np.float64]


@dataclass
class Ruler:
    """The bounds of a column, in 2**depth pieces of one width.

    Args:
        low: Where the first piece starts.
        width: The width of each.
        depth: How often the whole can be halved.
        last: The last piece that is not past the bounds.
        leaves: Nodes that are not split: first piece, number of pieces, noisy count.
        nodes: Nodes of this level that may be split.
        rows: About how many rows have a number.
    """

    low: float
    width: float
    depth: int
    last: int
    leaves: list[tuple[int, int, int]] = field(default_factory=list)
    nodes: Counts = field(default_factory=lambda: np.zeros(1, np.int64))
    rows: int = 0

    @classmethod
    def over(cls, low: float, high: float, decimals: int | None) -> Ruler:
        """The ruler of bounds; no piece is narrower than the step between numbers."""
        most = 2**DEPTH
        steps = most if decimals is None else (high / 2 - low / 2) * 2 * 10.0**decimals + 1  # no difference overflows
        width = high / most - low / most
        if low == high or (width == 0 and decimals is None):  # nothing lies between
            return cls(low, 1.0, 0, 0)
        if not steps < most:
            return cls(low, width, DEPTH, most - 1)
        depth = math.ceil(math.log2(round(steps)))
        return cls(low, 10.0 ** -(decimals or 0), depth, round(steps) - 1)

    def pieces(self, numbers: Numbers) -> Counts:
        """In which piece each number (rows,) lies, those that are missing left out."""
        present = numbers[~np.isnan(numbers)]
        place = np.floor(np.round(present / self.width - self.low / self.width, 6))
        return np.clip(place, 0, self.last).astype(np.int64)

    @property
    def children(self) -> Counts:
        """The halves of all nodes."""
        return np.stack([2 * self.nodes, 2 * self.nodes + 1], 1).ravel()

    def grow(self, level: int, counts: Counts) -> None:
        """Take the noisy `counts` of the children of all nodes: split on where they are large."""
        children = self.children
        if level == 1:
            self.rows = max(int(counts.sum()), 1)
        split = (counts > self.rows / BINS) & (level < self.depth)
        pieces = 2 ** (self.depth - level)
        for node, count in zip(children[~split].tolist(), counts[~split].tolist(), strict=True):
            self.leaves.append((node * pieces, pieces, count))
        self.nodes = children[split]

    def cuts(self, decimals: int | None) -> tuple[float, ...]:
        """The cuts between bins of neighbouring leaves that together hold an equal share of the rows."""
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
        """The smallest and the largest number of the leaves that have more than `sure` rows; of all if none has."""
        full = [leaf for leaf in self.leaves if leaf[2] > sure] or [(0, self.last + 1, 0)]
        first, past = min(leaf[0] for leaf in full), max(leaf[0] + leaf[1] for leaf in full)
        step = 0.0 if decimals is None else 10.0**-decimals
        low, high = self.low + first * self.width, self.low + min(past, self.last + 1) * self.width - step
        return (low, high) if decimals is None else (round(low, decimals), round(high, decimals))


def halvings(ledger: Ledger, times: int) -> Event:
    """What so many halvings cost, one of one column each."""
    budget = ledger.budget

    def event(noise: float) -> Event:
        return Event.of_counts(HALVES, budget.rows_of_one, noise, times=times, bought="bins of numbers")

    return event(calibrated(lambda noise: [event(noise)], SHARE * budget.epsilon, budget.delta))


def grow(rulers: dict[str, Ruler], numbers: dict[str, Numbers], curator: Curator, recorded: RecordedEvent) -> None:
    """Let rulers grow over private `numbers` (rows,) of columns, each halving one release of an event.

    Only nodes that are split are asked for more: where nothing is, nothing is asked.
    """
    for name, ruler in rulers.items():
        pieces = ruler.pieces(numbers[name])
        for level in range(1, ruler.depth + 1):
            if not len(ruler.nodes):
                break
            halves = pieces >> (ruler.depth - level)
            ruler.grow(level, curator.counts(recorded, functools.partial(_counted, halves, ruler.children)))


def _counted(halves: Counts, children: Counts) -> Counts:
    return np.bincount(halves, minlength=int(children.max()) + 1)[children]
