"""The CART chain: each column drawn from the leaves of a tree on the columns before it.

The oldest good idea of synthetic tables (Reiter, "Using CART to generate partially synthetic public use microdata",
Journal of Official Statistics 21, 2005; R's synthpop) and the anchor of fidelity here. It keeps nothing back: its
leaves hold real values, so that it may repeat real rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import sklearn
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

LEAF_ROWS = 5

Values = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Leaves:
    """A tree and the training rows (n,) sorted by leaf; each leaf's rows begin at `starts[leaf]`."""

    tree: Any
    rows: Rows
    starts: Rows
    counts: Rows

    def draw(self, known: Values, rng: np.random.Generator) -> Rows:
        """Return, for each row of `known`, a training row of the leaf that it falls into."""
        leaf = self.tree.apply(known)
        place = (rng.random(len(known)) * self.counts[leaf]).astype(np.int64)
        drawn: Rows = self.rows[self.starts[leaf] + place]
        return drawn


class CartChain:
    """The chain over the columns in the order of the table; the first one is bootstrapped."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = np.random.default_rng(seed)
        self.versions = {"scikit-learn": str(sklearn.__version__)}
        self.notes: list[str] = []

    def fit(self, train: pd.DataFrame) -> None:
        """Grow a tree for every column but the first."""
        self.train = train
        self.codes = np.column_stack([ordinal(train[name]) for name in train])
        self.leaves = [self._grow(place, train.iloc[:, place]) for place in range(1, train.shape[1])]

    def sample(self, rows: int) -> pd.DataFrame:
        """Draw column after column; every value, missing ones too, is one of a real row of the leaf."""
        known = np.empty((rows, self.train.shape[1]))
        columns = {}
        for place, name in enumerate(self.train):
            drawn = self._draw(place, known[:, :place])
            known[:, place] = self.codes[drawn, place]
            columns[name] = self.train[name].array.take(drawn)
        return pd.DataFrame(columns)

    def _draw(self, place: int, known: Values) -> Rows:
        if place == 0:
            return self.rng.integers(len(self.train), size=len(known))
        return self.leaves[place - 1].draw(known, self.rng)

    def _grow(self, place: int, column: pd.Series) -> Leaves:
        kind = DecisionTreeRegressor if is_number(column) else DecisionTreeClassifier
        before = self.codes[:, :place]
        tree = kind(min_samples_leaf=LEAF_ROWS, random_state=self.seed).fit(before, self.codes[:, place])
        leaf = tree.apply(before)
        counts = np.bincount(leaf, minlength=tree.tree_.node_count)
        return Leaves(tree, np.argsort(leaf, kind="stable"), np.cumsum(counts) - counts, counts)


def is_number(column: pd.Series) -> bool:
    """Whether a column is numeric; truth values are categories."""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def ordinal(column: pd.Series) -> Values:
    """Return a column as finite numbers (n,): numbers as they are, categories by rank.

    A missing number lies one range below the smallest: far enough for a single split to part it from the others.
    """
    if not is_number(column):
        return pd.factorize(column, sort=True)[0].astype(float)
    values = column.to_numpy(dtype=float, na_value=np.nan)
    present = values[~np.isnan(values)]
    low, high = (present.min(), present.max()) if len(present) else (0.0, 0.0)
    return np.where(np.isnan(values), low - (high - low) - 1.0, values)
