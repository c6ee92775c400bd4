"""What a private generator must at least be better than: noisy tables of counts, sampled from directly.

Each is a tree of columns within classes: none of the class either (independent columns), no edge (naive Bayes), or
edges between the columns that say most of each other (TAN: Friedman, Geiger, Goldszmidt 1997, Bayesian network
classifiers, https://doi.org/10.1023/A:1007465528199). Noise, accountant and adjacency are those of the package, so that
nothing differs but what the budget buys. The noise comes from the operating system's entropy; a seed decides only which
rows are drawn.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthvae.privacy import Event, Ledger, Plan, PrivacyBudget
from synthvae.privacy.accounting import calibrated
from synthvae.privacy.allocation import Allocation, Scope
from synthvae.privacy.counts import marginals
from synthvae.privacy.counts.postprocessing import frequencies
from synthvae.privacy.counts.tree import Tree, evenly
from synthvae.privacy.curator import Curator, Tables

CLASS_SHARE = 0.02  # of the squared budget, for the counts of the classes

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Purse:
    """A budget out of which noisy counts are paid.

    Args:
        budget: What may be spent.
    """

    def __init__(self, budget: PrivacyBudget) -> None:
        self.curator = Curator(Ledger(budget=budget))
        # The noise of one release of counts that costs all.
        self.noise = calibrated(lambda noise: [_event("all", 1, noise)], budget.epsilon, budget.delta)

    @property
    def ledger(self) -> Ledger:
        """What was spent."""
        return self.curator.ledger

    def buy(self, name: str, tables: list[Counts], share: float | None = None) -> list[Floats]:
        """Return noisy tables; a row changes each by one in one cell.

        Args:
            name: What they are.
            tables: The exact ones.
            share: Of the squared budget; None: all that is left.
        """
        times = len(tables)
        noise = self._left(name, times) if share is None else self.noise * (times / share) ** 0.5
        recorded = self.curator.record(_event(name, times, noise))
        noisy = self.curator.counts(recorded, lambda: np.concatenate([table.ravel() for table in tables]), times)
        parts = np.split(noisy, np.cumsum([table.size for table in tables])[:-1])
        return [part.reshape(table.shape).astype(float) for part, table in zip(parts, tables, strict=True)]

    def _left(self, name: str, times: int) -> float:
        """The noise of tables that cost all that is left."""
        budget, before = self.ledger.budget, self.ledger.events
        return calibrated(lambda noise: [*before, _event(name, times, noise)], budget.epsilon, budget.delta)


def _event(name: str, times: int, noise: float) -> Event:
    return Event.of_counts(name, 1, noise, times=times)


class Control:
    """A generator whose rows come from a tree of noisy tables.

    Args:
        levels: How many codes each column has.
        target: The column of the class.
        budget: What may be spent.
        seed: Of the rows drawn.
    """

    def __init__(self, levels: dict[str, int], target: str, budget: PrivacyBudget, seed: int) -> None:
        self.levels = {name: count for name, count in levels.items() if name != target}
        self.target, self.conditions = target, levels[target]
        self.purse = Purse(budget)
        self.rng = np.random.default_rng(seed)
        self.shares = np.ones(1)
        self.versions: dict[str, str] = {}
        self.notes: list[str] = []

    def fit(self, codes: pd.DataFrame) -> None:
        """Buy tables."""
        self.tree = self._grown(codes)
        self.notes.append(f"epsilon spent: {self.purse.ledger.epsilon:.3f}")

    def _grown(self, codes: pd.DataFrame) -> Tree:
        raise NotImplementedError

    def sample(self, rows: int) -> pd.DataFrame:
        """Draw codes."""
        labels = evenly(self.shares, rows, self.rng)
        return pd.DataFrame({**self.tree.draw(labels, self.rng), self.target: labels})

    def _counts(self, codes: pd.DataFrame, names: tuple[str, ...]) -> Counts:
        """The exact table (C, K, ...) of some columns within classes."""
        shape = (self.conditions, *(self.levels[name] for name in names))
        cells = np.ravel_multi_index([codes[name].to_numpy() for name in (self.target, *names)], shape)
        return np.bincount(cells, minlength=int(np.prod(shape))).reshape(shape).astype(np.int64)

    def _classes(self, codes: pd.DataFrame) -> Floats:
        """The noisy count (C,) of each class, at least 1."""
        (counts,) = self.purse.buy("rows of each class", [self._counts(codes, ())], CLASS_SHARE)
        self.shares = np.maximum(counts, 1.0)
        return self.shares

    def _singles(self, codes: pd.DataFrame, totals: Floats, share: float | None) -> dict[str, Floats]:
        """The frequencies (C, K) of each column within classes."""
        noisy = self.purse.buy("one column", [self._counts(codes, (name,)) for name in self.levels], share)
        return {name: frequencies(table, totals) for name, table in zip(self.levels, noisy, strict=True)}


class Independent(Control):
    """Each column on its own."""

    def __init__(self, levels: dict[str, int], target: str, budget: PrivacyBudget, seed: int) -> None:
        del target  # one column among the others: the only class is nobody's
        super().__init__({**levels, "": 1}, "", budget, seed)

    def _grown(self, codes: pd.DataFrame) -> Tree:
        whole = codes.assign(**{"": 0})
        tables = [self._counts(whole, (name,)) for name in self.levels]
        noisy = dict(zip(self.levels, self.purse.buy("one column", tables), strict=True))
        return Tree({name: frequencies(t, np.maximum(t.sum(1), 1)) for name, t in noisy.items()})

    def sample(self, rows: int) -> pd.DataFrame:
        """Draw codes."""
        return super().sample(rows).drop(columns="")


class NaiveBayes(Control):
    """Each column given the class."""

    def _grown(self, codes: pd.DataFrame) -> Tree:
        totals = self._classes(codes)
        return Tree(self._singles(codes, totals, None))


class Tan(Control):
    """Each column given the class and at most one other: what `strategy="tables"` buys, drawn from directly."""

    def _grown(self, codes: pd.DataFrame) -> Tree:
        states = codes[[self.target, *self.levels]].to_numpy(np.int64)
        curator = self.purse.curator
        scope, plan = Scope(0, 0, len(self.levels)), Plan(strategy="tables")
        allocation = Allocation.record(curator, scope, plan, lambda: len(codes))
        tables = Tables(curator, states, [self.conditions, *self.levels.values()])
        self.shares = np.maximum(tables.release(allocation.classes, [(0,)])[0], 1.0)
        tree = marginals.release_tree(tables, list(self.levels), self.shares, allocation)
        self.notes.append(f"{len(tree.given)} edges")
        return tree
