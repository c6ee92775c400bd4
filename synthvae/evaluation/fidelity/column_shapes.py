"""Measures of single columns: similarity of distributions, bounds, missing values, and histograms."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp, wasserstein_distance

from synthvae.evaluation.comparison import Comparison, Matrix
from synthvae.schema.column import NUMERIC, TEMPORAL, Column

MOST_BINS = 30
MOST_CATEGORIES = 20
CLIPPED = 0.005  # share of values at either end that fall into the outermost bins
MOST_WHOLE = 9  # distinct whole numbers that are shown one by one
FREQUENT = 0.5  # share of the real values from which on a number that many rows have is apart from the bins
LONG_TAIL, LEAST_RATIO = 0.1, 20  # bins are logarithmic if the median is within so much of a range of such a ratio
SECONDS_A_DAY = 86_400

Kind = Literal["number", "date", "category"]


def kind_of(column: Column) -> Kind:
    """Return how a column is compared."""
    if column.kind in TEMPORAL:
        return "date"
    return "number" if column.kind in NUMERIC else "category"


def similarities(comparison: Comparison) -> pd.Series[float]:
    """Return the similarity of the distribution of each column (C,): 1 if it is the same, 0 if nothing overlaps.

    1 - Kolmogorov-Smirnov statistic for numbers and dates, 1 - total variation distance for categories, without missing
    values: SDMetrics' KSComplement and TVComplement
    (https://docs.sdv.dev/sdmetrics/data-metrics/quality/kscomplement and .../tvcomplement), with two differences. Where
    only the synthetic column has no value, the similarity is 0: SDMetrics leaves the column out, which would reward a
    generator that writes nothing. Numbers are not rounded to 14 decimals, since a column of tiny units would become
    constant. It is NaN where the real column has no value.
    """
    return column_scores(comparison.real, comparison.synthetic)


def column_scores(real: pd.DataFrame, synthetic: pd.DataFrame) -> pd.Series[float]:
    """Return the similarity of each column of two tables (C,), see `similarities`."""
    return pd.Series({name: similarity(real[name], synthetic[name]) for name in real}, dtype=np.float64)


def similarity(real: pd.Series[Any], synthetic: pd.Series[Any]) -> float:
    """Return the similarity of two columns, see `similarities`."""
    first, second = real.dropna(), synthetic.dropna()
    if not len(first):
        return float("nan")
    if not len(second):
        return 0.0
    if isinstance(first.dtype, pd.CategoricalDtype):
        return float(np.minimum(_frequencies(first), _frequencies(second)).sum())
    with warnings.catch_warnings():  # about the p-value, which is not used
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(1 - ks_2samp(first, second, method="asymp").statistic)


def _frequencies(values: pd.Series[Any]) -> Matrix:
    counts = np.bincount(values.cat.codes, minlength=len(values.cat.categories))
    return np.asarray(counts / len(values), np.float64)


def wasserstein(comparison: Comparison) -> pd.Series[float]:
    """Return the first Wasserstein distance of each column (C,) in standard deviations of the real column.

    NaN for categories, for columns without a value, and for constant real columns. Source: Villani 2009, Optimal
    Transport, definition 6.1 (https://doi.org/10.1007/978-3-540-71050-9).
    """
    return _each(comparison, _wasserstein)


def _wasserstein(real: pd.Series[Any], synthetic: pd.Series[Any]) -> float:
    first, second = real.dropna(), synthetic.dropna()
    if isinstance(real.dtype, pd.CategoricalDtype) or not len(second) or first.nunique() < 2:
        return float("nan")
    return float(wasserstein_distance(first, second) / first.std(ddof=0))


def adherence(comparison: Comparison) -> pd.Series[float]:
    """Return the share of each synthetic column's values (C,) inside the real range, or among the real categories.

    Missing values are ignored. NaN where either table has no value. Source: SDMetrics' BoundaryAdherence and
    CategoryAdherence (https://docs.sdv.dev/sdmetrics/data-metrics/diagnostic/boundaryadherence).
    """
    return _each(comparison, _adherence)


def _adherence(real: pd.Series[Any], synthetic: pd.Series[Any]) -> float:
    values = synthetic.dropna()
    if not len(values) or not real.notna().any():
        return float("nan")
    if isinstance(real.dtype, pd.CategoricalDtype):
        return float(np.isin(values.cat.codes, real.cat.codes.unique()).mean())
    return float(values.between(real.min(), real.max()).mean())


def _each(comparison: Comparison, measure: Any) -> pd.Series[float]:
    real, synthetic = comparison.real, comparison.synthetic
    return pd.Series({name: measure(real[name], synthetic[name]) for name in comparison.kinds}, dtype=np.float64)


def histograms(comparison: Comparison) -> pd.DataFrame:
    """Return the histogram of each column: one row per bin or category, and one for missing values.

    A number that most real values equal, such as zero, has a row of its own. Bins of numbers that are positive and
    have a long tail are of equal width on a logarithmic scale.

    The columns are column, kind, label, low, high (edges of the bin, for dates in days since 1970; NaN for categories,
    missing values and a frequent number), real and synthetic (shares of all rows of either table, which add up to one
    for each column), and logarithmic (whether the bins of the column are).
    """
    real, synthetic = comparison.real, comparison.synthetic
    found = [histogram(column, real[name], synthetic[name]) for name, column in comparison.kinds.items()]
    return pd.concat(found, ignore_index=True) if found else _histogram([])


def histogram(column: Column, real: pd.Series[Any], synthetic: pd.Series[Any]) -> pd.DataFrame:
    """Return the histogram of one column, see `histograms`; the two tables may have any numbers of rows."""
    return _histogram(list(_lines(column, real, synthetic)))


def _histogram(lines: list[tuple[Any, ...]]) -> pd.DataFrame:
    found = pd.DataFrame(lines, columns=["column", "kind", "label", "low", "high", "real", "synthetic"])
    return found.assign(logarithmic=_is_logarithmic(found["low"]))


def _lines(column: Column, real: pd.Series[Any], synthetic: pd.Series[Any]) -> Iterator[tuple[Any, ...]]:
    name, kind = column.name, kind_of(column)
    shown = _categories(real, synthetic) if kind == "category" else _bins(real, synthetic, column)
    for label, low, high, first, second in shown:
        yield name, kind, label, low, high, first / len(real), second / len(synthetic)
    missing = real.isna().mean(), synthetic.isna().mean()
    if any(missing):
        yield name, kind, "missing", np.nan, np.nan, *missing


Line = tuple[str, float, float, float, float]


def _categories(real: pd.Series[Any], synthetic: pd.Series[Any]) -> Iterator[Line]:
    """Yield categories by their frequency in the real column; the least frequent ones are combined."""
    counts = [frame.value_counts().reindex(real.cat.categories).to_numpy() for frame in (real, synthetic)]
    order = np.argsort(-counts[0], kind="stable")
    for place in order[:MOST_CATEGORIES]:
        yield str(real.cat.categories[place]), np.nan, np.nan, counts[0][place], counts[1][place]
    rest = order[MOST_CATEGORIES:]
    if len(rest):
        yield "other", np.nan, np.nan, counts[0][rest].sum(), counts[1][rest].sum()


def _bins(real: pd.Series[Any], synthetic: pd.Series[Any], column: Column) -> Iterator[Line]:
    values = [real.dropna().to_numpy(), synthetic.dropna().to_numpy()]
    distinct = np.unique(np.concatenate(values))
    if column.kind == "integer" and len(distinct) <= MOST_WHOLE:
        for number in distinct:
            first, second = (float((v == number).sum()) for v in values)
            yield f"{number:.0f}", np.nan, np.nan, first, second
        return
    frequent = _frequent(values, column) if kind_of(column) == "number" else None
    if frequent is not None:
        first, second = (float((v == frequent).sum()) for v in values)
        yield f"{frequent:.4g}", np.nan, np.nan, first, second
        values = [v[v != frequent] for v in values]
    if not any(map(len, values)):
        return
    whole = column.kind in {"integer", "date"}
    edges = (_long_tailed(values, whole=whole) if kind_of(column) == "number" else None) or _edges(values, whole=whole)
    counts = [np.histogram(np.clip(v, edges[0], edges[-1]), edges)[0] for v in values]
    for low, high, first, second in zip(edges[:-1], edges[1:], *counts, strict=True):
        yield _label(low, high, column), low, high, first, second


def _frequent(values: list[Matrix], column: Column) -> float | None:
    """Return the number that is shown apart from the bins: one that most values equal, or zero before a long tail."""
    found, counts = np.unique(values[0], return_counts=True)
    if len(found) <= MOST_BINS:
        return None
    if counts.max() >= FREQUENT * len(values[0]):
        return float(found[counts.argmax()])
    positive = [v[v > 0] for v in values]
    whole = column.kind == "integer"
    return 0.0 if found[0] == 0 and _long_tailed(positive, whole=whole) is not None else None


def _long_tailed(values: list[Matrix], *, whole: bool) -> list[float] | None:
    """Return edges of equal width on a logarithmic scale, if bins of equal width would leave most of them empty."""
    every = np.concatenate(values)
    if len(np.unique(every)) <= MOST_BINS:
        return None
    (low, high), median = _ends(values), np.median(every)
    if low <= 0 or high / low < LEAST_RATIO or median - low > LONG_TAIL * (high - low):
        return None
    edges = np.geomspace(low, high + whole, MOST_BINS + 1)
    return list(np.unique(np.floor(edges)) - 0.5 if whole else edges)


def _is_logarithmic(low: pd.Series[float]) -> bool:
    """Whether edges of bins have equal ratios rather than equal distances."""
    known = low.dropna().to_numpy()
    if len(known) < MOST_BINS // 2 or known[0] <= 0:
        return False
    widths = np.diff(known)
    return bool(widths[-1] > 2 * widths[0])


def _ends(values: list[Matrix]) -> tuple[float, float]:
    """Return the least and the greatest value of both tables, without outliers."""
    ends = np.array([np.quantile(v, [CLIPPED, 1 - CLIPPED]) for v in values if len(v)])
    return float(ends[:, 0].min()), float(ends[:, 1].max())


def _edges(values: list[Matrix], *, whole: bool) -> Matrix:
    """Return edges of bins of equal width, between quantiles, so that outliers do not determine the width."""
    low, high = _ends(values)
    if whole:
        # Bins of equally many whole numbers, since others would show artificial peaks.
        first = np.floor(low)
        width = np.ceil((np.ceil(high) - first + 1) / MOST_BINS)
        bins = int(np.ceil((np.ceil(high) - first + 1) / width))
        return np.asarray(first - 0.5 + width * np.arange(bins + 1), np.float64)
    return np.asarray(np.histogram_bin_edges([low, high], MOST_BINS if high > low else 1), np.float64)


def _label(low: float, high: float, column: Column) -> str:
    if column.kind == "integer":
        ends = [f"{low + 0.5:.0f}", f"{high - 0.5:.0f}"]
    elif column.kind == "date":
        ends = [str(_timestamp(low + 0.5, "D")), str(_timestamp(high - 0.5, "D"))]
    elif column.kind == "datetime":
        unit: Literal["D", "s"] = "D" if high - low >= 1 else "s"
        ends = [str(_timestamp(low, unit)), str(_timestamp(high, unit))]
    else:
        ends = [f"{low:.4g}", f"{high:.4g}"]
    return " to ".join(dict.fromkeys(ends))


def _timestamp(days: float, unit: Literal["D", "s"]) -> np.datetime64:
    """Return a timestamp of any year, beyond the range of nanoseconds."""
    return np.datetime64(round(days * (1 if unit == "D" else SECONDS_A_DAY)), unit)
