"""Joint distributions of pairs of columns, for charts: shares of rows in cells of few values each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthvae.evaluation.comparison import Comparison
from synthvae.evaluation.fidelity.pairs import Pair

MOST_LEVELS = 8  # values, or intervals, of a column; then all others, and missing values
OTHER, MISSING = "other", "missing"

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Levels:
    """The levels of a column: their labels, and the level of each row of both tables."""

    labels: list[str]
    real: Codes
    synthetic: Codes


def joint_shares(comparison: Comparison, pairs: Sequence[Pair]) -> pd.DataFrame:
    """Return the share of rows in each cell of the joint distribution of pairs of columns.

    Numbers are in intervals between the octiles of the real column; all categories but the eight most frequent ones
    are one level.

    Args:
        comparison: The tables.
        pairs: Names of two columns each.

    Returns:
        One row per cell: first, second (names), first_level, second_level (places), first_label, second_label, real and
        synthetic (shares of the rows of either table, which add up to one for each pair).
    """
    names = {name for pair in pairs for name in pair}
    levels = {name: _levels(comparison, name) for name in names}
    parts = [_cells(first, second, levels[first], levels[second]) for first, second in pairs]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _cells(first: str, second: str, rows: _Levels, columns: _Levels) -> pd.DataFrame:
    size = len(rows.labels) * len(columns.labels)
    places = np.arange(size)
    above, beside = places // len(columns.labels), places % len(columns.labels)
    shares = {
        who: np.bincount(here * len(columns.labels) + there, minlength=size) / len(here)
        for who, here, there in (
            ("real", rows.real, columns.real),
            ("synthetic", rows.synthetic, columns.synthetic),
        )
    }
    labels = {
        "first_label": [rows.labels[k] for k in above],
        "second_label": [columns.labels[k] for k in beside],
    }
    keys = {"first": first, "second": second, "first_level": above, "second_level": beside}
    return pd.DataFrame({**keys, **labels, **shares})


def _levels(comparison: Comparison, name: str) -> _Levels:
    real, synthetic = comparison.real[name], comparison.synthetic[name]
    labels, coded = _numeric(real) if name in comparison.numeric else _categorical(real)
    codes = [np.where(values.isna(), len(labels), coded(values)) for values in (real, synthetic)]
    if any((code == len(labels)).any() for code in codes):
        labels = [*labels, MISSING]
    return _Levels(labels, codes[0], codes[1])


def _categorical(real: pd.Series[Any]) -> tuple[list[str], Any]:
    order = real.cat.categories  # by frequency in the real table
    labels = [str(label) for label in order[:MOST_LEVELS]] + [OTHER] * (len(order) > MOST_LEVELS)
    return labels, lambda values: np.minimum(values.cat.codes.to_numpy(np.int64), MOST_LEVELS)


def _numeric(real: pd.Series[Any]) -> tuple[list[str], Any]:
    known = real.dropna().to_numpy(np.float64)
    if not len(known):
        return [], lambda values: np.zeros(len(values), np.int64)
    edges = np.unique(np.quantile(known, np.linspace(0, 1, MOST_LEVELS + 1)[1:-1]))
    texts = [f"{edge:.4g}" for edge in edges]
    between = [f"{low} to {high}" for low, high in pairwise(texts)]
    return [f"≤ {texts[0]}", *between, f"> {texts[-1]}"], lambda values: np.searchsorted(edges, values)
