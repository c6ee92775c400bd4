"""Bins of numbers of which only bounds are declared: bounds are halved again and again, where many rows lie."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from synthvae.privacy.journal import Journal
from synthvae.privacy.ledger import Event, Ledger, calibrated
from synthvae.privacy.releases import Counts, noisy

SHARE = 0.1  # of epsilon, for all columns together; what is not needed is left for gradients
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


def event(rulers: dict[str, Ruler], ledger: Ledger) -> Event:
    """What one halving costs: little enough for all that there may be."""
    budget = ledger.budget

    def halvings(noise: float) -> Event:
        times = sum(ruler.depth for ruler in rulers.values())
        return Event.of_counts("halves of bins", budget.rows_of_one, noise, times=times, bought="bins of numbers")

    return halvings(calibrated(lambda noise: [halvings(noise)], SHARE * budget.epsilon, budget.delta))


def foresee(rulers: dict[str, Ruler], ledger: Ledger) -> Ledger:
    """Return the ledger with the most that bins may cost."""
    return ledger.record(event(rulers, ledger)) if rulers else ledger


def buy(rulers: dict[str, Ruler], numbers: dict[str, Numbers], ledger: Ledger, journal: Journal) -> Ledger:
    """Let rulers grow over private `numbers` (rows,) of columns; return the ledger with what that cost.

    Only nodes that are split are asked for more: where nothing is, nothing is bought.
    """
    once = event(rulers, ledger)
    pieces = {name: ruler.pieces(numbers[name]) for name, ruler in rulers.items()}
    for level in range(1, DEPTH + 1):
        growing = {name: ruler for name, ruler in rulers.items() if ruler.depth >= level and len(ruler.nodes)}
        if not growing:
            break
        ledger = ledger.record(once.model_copy(update={"times": len(growing)}))
        for name, ruler in growing.items():
            halves = pieces[name] >> (ruler.depth - level)
            exact = functools.partial(_counted, halves, ruler.children)
            ruler.grow(level, noisy(exact, once, journal))
    return ledger


def _counted(halves: Counts, children: Counts) -> Counts:
    return np.bincount(halves, minlength=int(children.max()) + 1)[children]
