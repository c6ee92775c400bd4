"""Measures of pairs of columns: similarity of their relationship in two tables, and associations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats.contingency import association

from synthvae.evaluation.comparison import Comparison, Matrix, subsample

MOST_PAIRS = 5_000
MOST_ROWS = 50_000  # for joint distributions, as in SDMetrics' report
MOST_PRODUCTS = 2e9  # multiplications for all correlations of a table
BINS = 10
MOST_JOINT = 1_000_000  # cells of a joint distribution that are counted without sorting

Pair = tuple[str, str]
Codes = npt.NDArray[np.int64]


def column_pairs(names: Sequence[str], rng: np.random.Generator, most: int = MOST_PAIRS) -> list[Pair]:
    """Return all pairs of names in order, or `most` pairs drawn at random if there are more."""
    first, second = np.triu_indices(len(names), 1)
    if len(first) > most:
        chosen = np.sort(rng.choice(len(first), most, replace=False))
        first, second = first[chosen], second[chosen]
    return [(names[int(a)], names[int(b)]) for a, b in zip(first, second, strict=True)]


def similarities(comparison: Comparison, pairs: Sequence[Pair], rng: np.random.Generator) -> pd.DataFrame:
    """Return the similarity of the relationship of each pair of columns in two tables (P, 6).

    The columns are first, second, kind ("numbers", "categories" or "mixed"), score (1: the same relationship),
    correlation_real and correlation_synthetic (Pearson; NaN unless both columns are numeric).

    Two numeric columns: 1 - |r - r'| / 2, SDMetrics' CorrelationSimilarity. Other pairs: 1 - total variation distance
    of the joint distributions, with numbers in ten bins of equal width over the range of the real column, SDMetrics'
    ContingencySimilarity (https://docs.sdv.dev/sdmetrics/data-metrics/quality/correlationsimilarity and
    .../contingencysimilarity). Missing values are left out of correlations and are a category of joint distributions.
    Where only the synthetic rows have no correlation, since a column is constant or empty, it counts as 0: SDMetrics
    leaves the pair out, which would reward a generator that writes constants. The score is NaN where the real rows have
    no correlation.

    The mean score equals SDMetrics' "Column Pair Trends" of numeric and of categorical columns with both thresholds of
    its report at 0 (by default it leaves out weakly related pairs). For mixed pairs, that property, unlike its own
    metric, bins each table over its own range, so that a shifted column would seem similar; this is not followed.
    """
    real, other = _correlations_of(comparison, rng)
    numbers, binned = _places(comparison.numeric), _Binned.from_comparison(comparison, rng)
    lines = []
    for first, second in pairs:
        if first in numbers and second in numbers:
            here, there = (float(matrix[numbers[first], numbers[second]]) for matrix in (real, other))
            there = 0.0 if np.isnan(there) else there
            lines.append((first, second, "numbers", 1 - abs(here - there) / 2, here, there))
        else:
            kind = "mixed" if first in numbers or second in numbers else "categories"
            lines.append((first, second, kind, binned.overlap(first, second), np.nan, np.nan))
    names = ["first", "second", "kind", "score", "correlation_real", "correlation_synthetic"]
    return pd.DataFrame(lines, columns=names)


def _correlations_of(comparison: Comparison, rng: np.random.Generator) -> list[Matrix]:
    names = comparison.numeric
    most = max(int(MOST_PRODUCTS / max(len(names), 1) ** 2), 2)
    return [correlations(subsample(frame[names], most, rng)) for frame in (comparison.real, comparison.synthetic)]


def _places(names: Sequence[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(names)}


def correlations(rows: pd.DataFrame) -> Matrix:
    """Return the Pearson correlations (C, C) of numeric columns, over the rows in which both are present.

    Equal to `pandas.DataFrame.corr`, but computed by a few matrix products instead of pair by pair. NaN where a column
    is constant over those rows.
    """
    with np.errstate(all="ignore"):
        values = _standardised(rows.to_numpy(np.float64))
        known = np.isfinite(values)
        values = np.where(known, values, 0.0)
        whole = bool(known.all())
        found = values.T @ values / max(len(values), 1) if whole else _pairwise(values, known.astype(np.float64))
    return np.asarray(np.clip(found, -1, 1), np.float64)


def _standardised(values: Matrix) -> Matrix:
    """Standardise columns, without which sums of squares lose digits; constant columns become NaN."""
    frame = pd.DataFrame(values)
    deviations = frame.std(ddof=0).mask(frame.max() == frame.min()).mask(lambda d: d == 0)
    return np.asarray((frame - frame.mean()) / deviations, np.float64)


def _pairwise(values: Matrix, known: Matrix) -> Matrix:
    counts = known.T @ known
    means = values.T @ known / counts  # of a column (row of the matrix) where another is present
    squares = values.T**2 @ known / counts
    variances = squares - means**2
    # A column that is constant where the other one is present has a variance of rounding errors.
    variances[variances <= 1e-12 * np.maximum(squares, 1)] = np.nan
    covariances = values.T @ values / counts - means * means.T
    return np.asarray(covariances / np.sqrt(variances * variances.T), np.float64)


@dataclass(frozen=True)
class _Binned:
    """Columns of two tables as codes from 0, missing values among them, and the number of codes of each column."""

    real: dict[str, Codes]
    other: dict[str, Codes]
    sizes: dict[str, int]

    @classmethod
    def from_comparison(cls, comparison: Comparison, rng: np.random.Generator) -> _Binned:
        frames = [subsample(frame, MOST_ROWS, rng) for frame in (comparison.real, comparison.synthetic)]
        edges = {name: _inner_edges(comparison.real[name]) for name in comparison.numeric}
        real, other = ({name: _bin_codes(f[name], edges.get(name)) for name in comparison.kinds} for f in frames)
        return cls(real, other, {name: int(max(real[name].max(), other[name].max())) + 1 for name in real})

    def overlap(self, first: str, second: str) -> float:
        """Return 1 - total variation distance of the joint distributions of two columns."""
        size = self.sizes[second]
        here = self.real[first] * size + self.real[second]
        there = self.other[first] * size + self.other[second]
        if self.sizes[first] * size > MOST_JOINT:
            places = np.unique(np.concatenate([here, there]), return_inverse=True)[1]
            here, there = places[: len(here)], places[len(here) :]
        cells = max(here.max(), there.max()) + 1
        shares = [np.bincount(codes, minlength=cells) / len(codes) for codes in (here, there)]
        return float(np.minimum(*shares).sum())


def _inner_edges(values: pd.Series[Any]) -> Matrix:
    known = values.dropna().to_numpy(np.float64)
    return np.asarray(np.histogram_bin_edges(known, BINS)[1:-1] if len(known) else [], np.float64)


def _bin_codes(values: pd.Series[Any], edges: Matrix | None) -> Codes:
    if edges is None:
        codes = values.cat.codes.to_numpy(np.int64)
        return np.where(codes < 0, len(values.cat.categories), codes)
    found = np.searchsorted(edges, values.to_numpy(np.float64), side="right").astype(np.int64)
    return np.where(values.isna(), len(edges) + 1, found)


def associations(comparison: Comparison, names: Sequence[str], rng: np.random.Generator) -> pd.DataFrame:
    """Return the association of each pair of columns in either table: first, second, real, synthetic.

    Pearson correlation of two numbers (-1 to 1), Cramér's V of two categories (0 to 1; Cramér 1946, Mathematical
    Methods of Statistics, section 21.9), correlation ratio of a number given a category (0 to 1; Fisher 1925,
    Statistical Methods for Research Workers, section 45), over the rows in which both are present. NaN where it is
    undefined.
    """
    frames = [subsample(frame[list(names)], MOST_ROWS, rng) for frame in (comparison.real, comparison.synthetic)]
    numbers = _places([name for name in names if name in comparison.numeric])
    matrices = [correlations(frame[list(numbers)]) for frame in frames]
    lines = []
    for first, second in combinations(names, 2):
        if first in numbers and second in numbers:
            found = [float(matrix[numbers[first], numbers[second]]) for matrix in matrices]
        else:
            found = [_association(frame[[first, second]].dropna(), first, second) for frame in frames]
        lines.append((first, second, *found))
    return pd.DataFrame(lines, columns=["first", "second", "real", "synthetic"])


def _association(both: pd.DataFrame, first: str, second: str) -> float:
    categories = [isinstance(both[name].dtype, pd.CategoricalDtype) for name in (first, second)]
    if not categories[0]:
        return correlation_ratio(both[second].cat.codes.to_numpy(), both[first].to_numpy())
    if not categories[1]:
        return correlation_ratio(both[first].cat.codes.to_numpy(), both[second].to_numpy())
    return cramers_v(both[first].cat.codes.to_numpy(), both[second].cat.codes.to_numpy())


def cramers_v(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> float:
    """Return Cramér's V of two columns of codes (N,); NaN if either is constant."""
    rows, columns = (np.unique(codes, return_inverse=True)[1] for codes in (first, second))
    if not len(rows) or not rows.max() or not columns.max():
        return float("nan")
    width = columns.max() + 1
    table = np.bincount(rows * width + columns, minlength=(rows.max() + 1) * width).reshape(-1, width)
    return float(association(table, method="cramer"))


def correlation_ratio(groups: npt.NDArray[Any], values: npt.NDArray[Any]) -> float:
    """Return the correlation ratio of values (N,) given groups (N,); NaN if either is constant.

    The square root of the variance between groups divided by the total variance.
    """
    places = np.unique(groups, return_inverse=True)[1]
    if not len(places) or not places.max() or values.max() == values.min():
        return float("nan")
    centred = values - values.mean()
    sums, counts = np.bincount(places, centred), np.bincount(places)
    return float(np.sqrt(min(np.sum(sums**2 / counts) / np.sum(centred**2), 1.0)))
