"""Synthetic rows of known quality: real ones, copies, noise, shuffled columns, and a chain of CART trees."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from synthvae.evaluation.verdict_aspects import CONTENT

NOISES = (0.05, 0.25, 0.5, 1.0, 2.0)
TARGET = "ill"
GRADES = ("poor", "fair", "good")
ORDERS = (
    ("fresh", *(f"noise {strength}" for strength in NOISES)),
    ("fresh", "cart", "within classes", "shuffled"),
    ("bootstrap", "half shuffled", "shuffled", "one row"),
)
"""Tables that are known to become worse, or not better, from one to the next."""

Points = tuple[int, int, int]


def population(rows: int, seed: int) -> pd.DataFrame:
    """People with correlated measurements, categories and a diagnosis."""
    rng = np.random.default_rng(seed)
    age = rng.gamma(9, 5, rows).clip(18, 95)
    ward = rng.choice(["a", "b", "c"], rows, p=[0.5, 0.3, 0.2])
    pressure = 90 + 0.6 * age + 12 * (ward == "c") + rng.normal(0, 8, rows)
    sugar = np.exp(1.3 + 0.004 * pressure + rng.normal(0, 0.15, rows))
    weight = 50 + 4 * sugar + rng.normal(0, 8, rows)
    sex = np.where(rng.random(rows) < 1 / (1 + np.exp(-(weight - 74) / 6)), "m", "f")
    risk = 0.08 * (age - 45) + 0.5 * (sugar - 6.3) + 1.2 * (ward == "c")
    ill = np.where(rng.random(rows) < 1 / (1 + np.exp(-2 * risk)), "yes", "no")
    return pd.DataFrame({"age": age, "ward": ward, "pressure": pressure, "sugar": sugar, "weight": weight, "sex": sex,
                         TARGET: ill})  # fmt: skip


def noisy(rows: pd.DataFrame, strength: float, rng: np.random.Generator) -> pd.DataFrame:
    """Add noise of so many standard deviations to numbers; draw a share of the categories anew."""
    found: dict[str, Any] = {}
    for name, values in rows.items():
        if values.dtype.kind == "f":
            found[str(name)] = values + rng.normal(0, strength * values.std(), len(rows))
        else:
            anew = rng.random(len(rows)) < strength / (1 + strength)
            found[str(name)] = np.where(anew, rng.permutation(values.to_numpy()), values)
    return pd.DataFrame(found)


def shuffled(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Permute each column by itself."""
    return pd.DataFrame({name: rng.permutation(values.to_numpy()) for name, values in rows.items()})


def within_classes(rows: pd.DataFrame, rng: np.random.Generator, target: str = TARGET) -> pd.DataFrame:
    """Permute each column by itself within each class: naive Bayes."""
    return pd.concat([shuffled(part, rng) for _, part in rows.groupby(target)], ignore_index=True)


def cart_chain(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw each column from the leaves of a tree of the columns before it, as synthpop does."""
    drawn = pd.DataFrame({rows.columns[0]: rng.choice(rows.iloc[:, 0], len(rows))})
    for place in range(1, rows.shape[1]):
        name = str(rows.columns[place])
        known, new = (pd.get_dummies(table.iloc[:, :place]).astype(float) for table in (rows, drawn))
        new = new.reindex(columns=known.columns, fill_value=0.0)
        tree: Any = DecisionTreeRegressor if rows[name].dtype.kind == "f" else DecisionTreeClassifier
        fitted = tree(min_samples_leaf=8, random_state=0).fit(known, rows[name])
        leaves = pd.Series(fitted.apply(known)).groupby(fitted.apply(known)).groups
        values = rows[name].to_numpy()
        drawn[name] = [values[rng.choice(leaves[leaf])] for leaf in fitted.apply(new)]
    return drawn


def pairs(real: pd.DataFrame, fresh: pd.DataFrame, seed: int = 0, target: str = TARGET) -> dict[str, pd.DataFrame]:
    """Return synthetic rows of known quality, by what they are."""
    rng = np.random.default_rng(seed)
    makers: dict[str, Callable[[], pd.DataFrame]] = {
        "fresh": lambda: fresh,
        "bootstrap": lambda: real.iloc[rng.integers(len(real), size=len(real))],
        "copy": lambda: real,
        "cart": lambda: cart_chain(real, rng),
        **{f"noise {strength}": lambda strength=strength: noisy(real, strength, rng) for strength in NOISES},  # type: ignore[misc]
        "within classes": lambda: within_classes(real, rng, target),
        "half shuffled": lambda: pd.concat([fresh[: len(fresh) // 2], shuffled(real, rng)[: len(real) // 2]]),
        "shuffled": lambda: shuffled(real, rng),
        "one row": lambda: pd.concat([real[:1]] * len(real)),
    }
    return {name: make().reset_index(drop=True) for name, make in makers.items()}


def points(use: str, aspects: Mapping[str, str]) -> Points:
    """Rank an answer: its grade, the sum of the grades of what users rely on, and that of the other aspects."""
    content = [GRADES.index(grade) for name, grade in aspects.items() if name in CONTENT]
    others = [GRADES.index(grade) for name, grade in aspects.items() if name not in CONTENT]
    return GRADES.index(use), sum(content), sum(others)


def inverted(found: Mapping[str, Points], orders: tuple[tuple[str, ...], ...] = ORDERS) -> tuple[int, list[str]]:
    """Compare the ranks of all pairs of an order; return their number, and those whose worse one is ranked higher."""
    known = [[name for name in order if name in found] for order in orders]
    compared = {pair for order in known for pair in itertools.combinations(order, 2)}
    return len(compared), [f"{better} < {worse}" for better, worse in sorted(compared) if found[better] < found[worse]]
