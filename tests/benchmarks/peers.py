"""The generators of other people, each as its package gives it: default settings, the target among the columns.

SMOTE (imbalanced-learn), TVAE and CTGAN (ctgan) take no missing value. Missing text becomes a category of its own and
is missing again in the rows drawn; a missing number becomes the column's median and stays one, which `null` shows.
"""

from __future__ import annotations

import logging
from importlib import import_module, metadata
from typing import Any

import numpy as np
import pandas as pd

GAP = "?missing"
NEIGHBOURS = 5
TRAINING_SHARE = 0.8  # of the budget: the engine's limit is on its training loop, not on analysis and encoding


def version(*packages: str) -> dict[str, str]:
    """Return the installed versions of some packages."""
    return {name: metadata.version(name) for name in packages}


class Filler:
    """Fills gaps for generators that take none."""

    def __init__(self, table: pd.DataFrame) -> None:
        self.numbers = [str(name) for name in table.select_dtypes("number")]
        self.text = [str(name) for name in table if name not in self.numbers]
        self.medians = table[self.numbers].median().fillna(0.0)
        self.gaps = [name for name in self.numbers if table[name].isna().any()]

    @property
    def notes(self) -> list[str]:
        """What was filled and stays filled."""
        return [f"missing numbers filled with the median in {len(self.gaps)} columns"] if self.gaps else []

    def fill(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return a table without gaps."""
        text = {name: table[name].astype(object).where(table[name].notna(), GAP).astype(str) for name in self.text}
        return table.assign(**text).fillna(self.medians[self.gaps].to_dict())

    def empty(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return a table whose missing text is missing again."""
        text = {name: table[name].astype(object).where(table[name] != GAP, None) for name in self.text}
        return table.assign(**text)


class Ctgan:
    """`ctgan.TVAE` or `ctgan.CTGAN` with their defaults (300 epochs)."""

    def __init__(self, model: str, target: str, seed: int) -> None:
        self.target = target
        self.versions = version("ctgan", "torch")
        self.notes: list[str] = []
        self.model: Any = getattr(import_module("ctgan"), model)(enable_gpu=False)
        self.model.set_random_state(seed)

    def fit(self, train: pd.DataFrame) -> None:
        """Learn the table; text and the target are discrete."""
        self.filler = Filler(train)
        self.notes += self.filler.notes
        discrete = list(dict.fromkeys([*self.filler.text, self.target]))
        self.model.fit(self.filler.fill(train), discrete_columns=discrete)

    def sample(self, rows: int) -> pd.DataFrame:
        """Draw rows."""
        return self.filler.empty(self.model.sample(rows))


class Smote:
    """`imblearn`'s SMOTE, SMOTENC or SMOTEN, asked for new rows of every class in the shares of training.

    It has no model to fit: fitting fills the gaps, and sampling looks for the neighbours each time anew.
    """

    def __init__(self, target: str, seed: int) -> None:
        self.target = target
        self.seed = seed
        self.draws = 0
        self.versions = version("imbalanced-learn", "scikit-learn")
        self.notes: list[str] = []
        self.package = import_module("imblearn.over_sampling")

    def fit(self, train: pd.DataFrame) -> None:
        """Fill the gaps and count the classes."""
        self.filler = Filler(train)
        self.notes += self.filler.notes
        filled = self.filler.fill(train)
        self.labels = train[self.target]
        self.features = filled.drop(columns=self.target)
        self.columns, self.dtypes = list(train.columns), train.dtypes
        numbers = [name for name in self.filler.numbers if name != self.target]
        # Whole numbers would be cut, not rounded, to whole numbers again.
        self.features[numbers] = self.features[numbers].astype(float)
        self.categories = [name for name in self.features if name not in numbers]
        self.neighbours = min(NEIGHBOURS, int(self.labels.value_counts().min()) - 1)
        if self.neighbours < NEIGHBOURS:
            self.notes.append(f"{self.neighbours} neighbours, since a class has {self.neighbours + 1} rows")

    def sample(self, rows: int) -> pd.DataFrame:
        """Interpolate between rows of a class and keep the new rows alone."""
        counts = self.labels.value_counts()
        asked = counts + shares(counts, rows)
        sampler = self._sampler(asked[asked > counts].to_dict())
        features, labels = sampler.fit_resample(self.features, self.labels)
        new = features.iloc[len(self.features) :].assign(**{self.target: labels.iloc[len(self.labels) :]})
        whole = [name for name in self.filler.numbers if pd.api.types.is_integer_dtype(self.dtypes[name])]
        new[whole] = new[whole].round().astype(self.dtypes[whole])
        drawn = self.filler.empty(new[self.columns])
        return drawn.sample(frac=1, random_state=self.seed, ignore_index=True)

    def _sampler(self, asked: dict[Any, int]) -> Any:
        common = {"sampling_strategy": asked, "k_neighbors": self.neighbours, "random_state": self.seed + self.draws}
        self.draws += 1
        if not self.categories:
            return self.package.SMOTE(**common)
        if len(self.categories) == self.features.shape[1]:
            return self.package.SMOTEN(**common)
        return self.package.SMOTENC(self.categories, **common)


class Mostlyai:
    """`mostlyai.engine.TabularARGN` with its defaults; its own limit of time is set from the budget.

    With `privacy`, its settings of differential privacy: DP-SGD that stops when epsilon is spent; delta, and an epsilon
    of its own for the ranges of values.
    """

    def __init__(self, seed: int, budget: float, privacy: dict[str, float] | None = None) -> None:
        engine = import_module("mostlyai.engine")
        config = import_module("mostlyai.engine.domain").DifferentialPrivacyConfig
        logging.disable(logging.WARNING)
        self.versions = version("mostlyai-engine", "torch")
        self.limit = TRAINING_SHARE * budget / 60
        self.notes = [f"training limited to {60 * self.limit:.0f} s, as the engine counts them (wall)"]
        self.model: Any = engine.TabularARGN(
            max_training_time=self.limit,
            random_state=seed,
            device="cpu",
            differential_privacy=None if privacy is None else config(**privacy),
        )

    def fit(self, train: pd.DataFrame) -> None:
        """Learn the table as it is."""
        self.model.fit(train)

    def sample(self, rows: int) -> pd.DataFrame:
        """Draw rows."""
        return plain(self.model.sample(n_samples=rows))


def plain(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with NumPy's types, missing values as None or NaN."""
    return pd.DataFrame({name: _plain(table[name]) for name in table})


def _plain(column: pd.Series) -> pd.Series:
    if not pd.api.types.is_numeric_dtype(column):
        return column.astype(object).where(column.notna(), None)
    return column.astype(float) if column.isna().any() else column.astype(column.to_numpy().dtype)


def shares(counts: pd.Series, rows: int) -> pd.Series:
    """Return `rows` divided over the classes in the shares of `counts`; the largest remainders get what is left."""
    exact = counts / counts.sum() * rows
    whole: pd.Series = np.floor(exact).astype(int)
    last = (exact - whole).sort_values(ascending=False).index[: rows - int(whole.sum())]
    whole.loc[last] += 1
    return whole
