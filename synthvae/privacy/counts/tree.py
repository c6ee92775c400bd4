"""Columns within classes, each given at most one other: what noisy tables alone can say.

Source: Friedman, Geiger, Goldszmidt 1997, Bayesian network classifiers, https://doi.org/10.1023/A:1007465528199 (trees
augment a naive Bayes classifier).

Shapes: C classes, K levels of a column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from synthvae.encoding import Layout
from synthvae.model import Rows

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Pair = tuple[str, str]


@dataclass(frozen=True)
class Tree:
    """Columns within classes, some given another one.

    Args:
        singles: The frequencies (C, K) of each column within classes.
        given: For each column with an edge, the column that it hangs on and the frequencies (C, parent's K, K); a
            column comes after the one that it hangs on.
    """

    singles: dict[str, Floats]
    given: dict[str, tuple[str, Floats]] = field(default_factory=dict)

    def draw(self, labels: Counts, rng: np.random.Generator) -> dict[str, Counts]:
        """Return states (rows,) of each column for the classes (rows,)."""
        drawn: dict[str, Counts] = {}
        for name in [*(name for name in self.singles if name not in self.given), *self.given]:
            parent, table = self.given.get(name, ("", self.singles[name][:, None]))
            places = drawn[parent] if parent else np.zeros(len(labels), np.int64)
            drawn[name] = grouped(table.reshape(-1, table.shape[2]), labels * table.shape[1] + places, rng)
        return drawn


@dataclass(frozen=True)
class CodedTree:
    """A tree that draws rows as a model does."""

    tree: Tree
    layout: Layout

    def sample(self, label: int, rows: int, generator: torch.Generator, *, stratified: bool = False) -> Rows:
        """Draw rows of one condition; they are always spread evenly."""
        del stratified
        seed = int(torch.randint(2**62, (), generator=generator))
        drawn = self.tree.draw(np.full(rows, label), np.random.default_rng(seed))
        nothing = np.zeros(rows, np.int64)
        digits = self.layout.split([drawn.get(name, nothing) for name in self.layout.names])
        return Rows(torch.from_numpy(digits.reshape(rows, -1)), torch.empty(rows, 0))


def evenly(chances: Floats, count: int, rng: np.random.Generator) -> Counts:
    """Return draws whose shares are the chances as nearly as can be, shuffled."""
    places = (rng.permutation(count) + rng.random()) / max(count, 1)
    steps = np.cumsum(chances) / chances.sum()
    return np.minimum(np.searchsorted(steps, places, side="right"), len(chances) - 1).astype(np.int64)


def grouped(chances: Floats, groups: Counts, rng: np.random.Generator) -> Counts:
    """Return draws (rows,) by the chances (G, K) of each row's group."""
    order = np.argsort(groups, kind="stable")
    found, counts = np.unique(groups, return_counts=True)
    drawn = np.empty(len(groups), np.int64)
    parts = [evenly(chances[group], count, rng) for group, count in zip(found, counts, strict=True)]
    drawn[order] = np.concatenate(parts) if parts else drawn
    return drawn


def expected(first: Floats, second: Floats, totals: Floats) -> Floats:
    """The table (C, K1, K2) of two columns that are independent within classes (C,)."""
    return totals[:, None, None] * first[:, :, None] * second[:, None]


def forest(scores: Mapping[Pair, float]) -> list[Pair]:
    """The edges without a circle whose scores together are largest; none that is not positive (Kruskal)."""
    part_of = {name: name for pair in scores for name in pair}
    edges = []
    for pair in sorted(scores, key=lambda pair: -scores[pair]):
        first, second = (part_of[name] for name in pair)
        if scores[pair] > 0 and first != second:
            part_of = {name: first if part == second else part for name, part in part_of.items()}
            edges.append(pair)
    return edges


def rooted(edges: Iterable[Pair]) -> list[Pair]:
    """The edges as (parent, child), each after the one that leads to its parent."""
    left, ordered, reached = list(edges), list[Pair](), set[str]()
    while left:
        here = next((pair for pair in left if reached & set(pair)), left[0])
        ordered.append(here if here[1] not in reached else (here[1], here[0]))
        reached |= set(here)
        left.remove(here)
    return ordered


def matched(joint: Floats, shares: Floats) -> Floats:
    """Scale positive tables (C, K1, K2) so that the second column has its shares (C, K2), which are less noisy.

    Once, not until the first column's shares agree, too: where the tables of one and of two columns contradict each
    other, raking moves mass to cells that are all noise (three rounds were measured to be worse than none).
    """
    scaled = joint * (shares / joint.sum(1))[:, None, :]
    # A value of the first column that has no chance left still needs some to be drawn from.
    return np.where(scaled.sum(2, keepdims=True) > 0, scaled, shares[:, None, :])
