"""Trees of columns: the distribution of each column within classes, given at most one other column.

Source: Friedman, Geiger, Goldszmidt 1997, Bayesian network classifiers, https://doi.org/10.1023/A:1007465528199 (tree
augmented naive Bayes).

Shapes: C classes, K levels of a column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse.csgraph import minimum_spanning_tree

from synthvae.encoding import Layout
from synthvae.model import Rows

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Pair = tuple[str, str]


@dataclass(frozen=True)
class Tree:
    """Frequencies of columns within classes, of some columns given another one.

    Args:
        singles: The frequencies (C, K) of each column within classes.
        given: For each column with a parent, the parent and the frequencies (C, parent's K, K), in an
            order in which columns come after their parents.
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
    """A tree with the interface of a model that draws rows."""

    tree: Tree
    layout: Layout

    def sample(self, label: int, rows: int, generator: torch.Generator, *, stratified: bool = False) -> Rows:
        """Draw rows of one condition; draws are always stratified."""
        del stratified
        seed = int(torch.randint(2**62, (), generator=generator))
        drawn = self.tree.draw(np.full(rows, label), np.random.default_rng(seed))
        constant = np.zeros(rows, np.int64)
        digits = self.layout.split([drawn.get(name, constant) for name in self.layout.names])
        return Rows(torch.from_numpy(digits.reshape(rows, -1)), torch.empty(rows, 0, dtype=torch.float32))


def evenly(chances: Floats, count: int, rng: np.random.Generator) -> Counts:
    """Return shuffled stratified draws: the share of each level is as near as possible to its probability."""
    places = (rng.permutation(count) + rng.random()) / max(count, 1)
    steps = np.cumsum(chances) / chances.sum()
    return np.minimum(np.searchsorted(steps, places, side="right"), len(chances) - 1).astype(np.int64)


def grouped(chances: Floats, groups: Counts, rng: np.random.Generator) -> Counts:
    """Return draws (rows,) by the probabilities (G, K) of each row's group."""
    order = np.argsort(groups, kind="stable")
    found, counts = np.unique(groups, return_counts=True)
    drawn = np.empty(len(groups), np.int64)
    parts = [evenly(chances[group], count, rng) for group, count in zip(found, counts, strict=True)]
    drawn[order] = np.concatenate(parts) if parts else drawn
    return drawn


def expected(first: Floats, second: Floats, totals: Floats) -> Floats:
    """Return the table (C, K1, K2) of two columns that are independent within classes (C,)."""
    return totals[:, None, None] * first[:, :, None] * second[:, None]


def spanning_forest(scores: Mapping[Pair, float]) -> list[Pair]:
    """Return the edges of the forest with the largest sum of positive scores, by falling score."""
    names = list(dict.fromkeys(name for pair in scores for name in pair))
    places = {name: place for place, name in enumerate(names)}
    weights = np.zeros((len(names), len(names)))  # 0 stands for no edge
    for (first, second), score in scores.items():
        weights[places[first], places[second]] = -max(score, 0.0)
    edges = [(names[i], names[j]) for i, j in zip(*minimum_spanning_tree(weights).nonzero(), strict=True)]
    return sorted(edges, key=lambda edge: -scores[edge])


def rooted(edges: Iterable[Pair]) -> list[Pair]:
    """Return the edges as (parent, child), each after the edge that leads to its parent."""
    left, ordered, reached = list(edges), list[Pair](), set[str]()
    while left:
        here = next((pair for pair in left if reached & set(pair)), left[0])
        ordered.append(here if here[1] not in reached else (here[1], here[0]))
        reached |= set(here)
        left.remove(here)
    return ordered


def matched(joint: Floats, shares: Floats) -> Floats:
    """Scale positive tables (C, K1, K2) so that the second column has its shares (C, K2), which are less noisy.

    This is done once, and not repeated until the first column's shares agree as well: where the tables of one and of
    two columns contradict each other, raking moves mass to cells of pure noise (three rounds were measured to be worse
    than none).
    """
    scaled = joint * (shares / joint.sum(1))[:, None, :]
    # A value of the first column without any mass left still needs a distribution to be drawn from.
    return np.where(scaled.sum(2, keepdims=True) > 0, scaled, shares[:, None, :])
