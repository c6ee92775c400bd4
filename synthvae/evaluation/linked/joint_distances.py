"""Distances of distributions of columns: joint distributions, transitions, and shares of variance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthvae.evaluation.comparison import Matrix

BINS = 20  # quantiles of a number
LABELS = 60  # categories; the rest are one
LEAST_BINS = 4
ROWS_A_CELL = 20  # of a joint distribution of two numbers; in smaller tables, numbers and categories have fewer bins
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Binning:
    """How the columns of a table become codes: numbers by quantiles of real ones, categories by their frequency.

    Args:
        cuts: The cuts of each numeric column.
        labels: The number of categories that are distinguished.
    """

    cuts: Mapping[str, Matrix]
    labels: int

    @classmethod
    def from_rows(cls, real: pd.DataFrame, least: int) -> Self:
        """Return the bins of real rows (N, C), as in `Comparison`, of tables of which the smallest has `least` rows.

        With many cells for few rows, a distance is the noise of the sample.
        """
        bins = int(np.clip((least / ROWS_A_CELL) ** 0.5, LEAST_BINS, BINS))
        numbers = [name for name in real if not isinstance(real[name].dtype, pd.CategoricalDtype)]
        cuts = {str(name): _cuts(real[name].dropna().to_numpy(np.float64), bins) for name in numbers}
        return cls(cuts, LABELS * bins // BINS)

    def codes(self, values: pd.Series[Any]) -> Codes:
        """Return the code (N,) of each value of a column; missing values have one of their own."""
        cuts = self.cuts.get(str(values.name))
        if cuts is None:  # categories are in the order of their frequency among the real rows
            found = values.cat.codes.to_numpy(np.int64)
            return np.where(found < 0, self.labels + 1, np.minimum(found, self.labels))
        found = np.searchsorted(cuts, values.to_numpy(np.float64), side="right").astype(np.int64)
        return np.where(values.isna(), len(cuts) + 1, found)


WIDTH = max(BINS, LABELS) + 2
"""More than the largest code."""


def _cuts(values: Matrix, bins: int) -> Matrix:
    return np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1])) if len(values) else np.empty(0)


def total_variation(first: Codes, second: Codes) -> float:
    """Return the total variation distance of the distributions of two sets of codes; NaN if one is empty.

    Example:
        >>> total_variation(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1]))
        0.25
    """
    if not len(first) or not len(second):
        return float("nan")
    size = int(max(first.max(), second.max())) + 1
    shares = [np.bincount(codes, minlength=size) / len(codes) for codes in (first, second)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def joint(first: Codes, second: Codes) -> Codes:
    """Return the code (N,) of each pair of codes."""
    return first * WIDTH + second


def transition_distance(real: tuple[Codes, Codes], other: tuple[Codes, Codes]) -> float:
    """Return the mean total variation distance of the next code given the one before; NaN without real pairs.

    Each code before weighs as its share of the real pairs; where the other rows never have it, the distance is 1.

    Args:
        real: The codes before and after (N,).
        other: Those of the other rows.
    """
    if not len(real[0]):
        return float("nan")
    total = 0.0
    for state, count in zip(*np.unique(real[0], return_counts=True), strict=True):
        after = [pair[1][pair[0] == state] for pair in (real, other)]
        total += count * (total_variation(*after) if len(after[1]) else 1.0)
    return float(total / len(real[0]))


def variance_share(values: pd.Series[Any], subjects: Codes) -> float:
    """Return the share of a column's variance that lies between subjects, 0 to 1; NaN if the column is constant.

    1 - variance within subjects / variance of all rows, both unbiased (analysis of variance: Searle, Casella and
    McCulloch 1992, section 3.6); categories count as the sum of their indicator columns (Light and Margolin 1971).

    Args:
        values: The column (N,); missing values are left out.
        subjects: The subject (N,) of each row.
    """
    known = values.notna().to_numpy()
    groups = np.unique(subjects[known], return_inverse=True)[1].astype(np.int64)
    rows, count = len(groups), int(groups.max(initial=-1)) + 1
    if rows <= count or rows < 2:
        return float("nan")
    if isinstance(values.dtype, pd.CategoricalDtype):
        within, total = _category_squares(np.asarray(values.cat.codes, np.int64)[known], groups)
    else:
        within, total = _number_squares(values.to_numpy(np.float64)[known], groups)
    if total <= 0:
        return float("nan")
    return float(np.clip(1 - within / (rows - count) * (rows - 1) / total, 0.0, 1.0))


def _number_squares(numbers: Matrix, groups: Codes) -> tuple[float, float]:
    centred = numbers - numbers.mean()
    means = np.bincount(groups, centred) / np.bincount(groups)
    total = float(np.square(centred).sum())
    return float(np.square(centred - means[groups]).sum()), total if np.ptp(numbers) else 0.0


def _category_squares(codes: Codes, groups: Codes) -> tuple[float, float]:
    """Sums over the indicator columns: rows - sum over groups of (counts of categories)^2 / rows of the group."""
    width = int(codes.max()) + 1
    pairs, counts = np.unique(groups * width + codes, return_counts=True)
    sizes = np.bincount(groups)
    within = len(codes) - float((counts.astype(np.float64) ** 2 / sizes[pairs // width]).sum())
    return within, len(codes) - float(np.square(np.bincount(codes)).sum() / len(codes))


def counts_distance(first: Codes, second: Codes) -> float:
    """Return the Kolmogorov-Smirnov distance of two sets of whole numbers from 0 on; NaN if one is empty."""
    if not len(first) or not len(second):
        return float("nan")
    size = int(max(first.max(), second.max())) + 1
    steps = [np.cumsum(np.bincount(counts, minlength=size) / len(counts)) for counts in (first, second)]
    return float(np.abs(steps[0] - steps[1]).max())
