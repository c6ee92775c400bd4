"""Joint distributions of three columns: similarity in two tables."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthvae.evaluation.comparison import Comparison, subsample

MOST_TRIPLES = 200
MOST_ROWS = 50_000
BINS = 5  # of a number, or most frequent categories; all other ones, and missing values, have a bin each
WIDTH = BINS + 2

Triple = tuple[str, str, str]
Codes = npt.NDArray[np.int64]


def column_triples(names: Sequence[str], rng: np.random.Generator, most: int = MOST_TRIPLES) -> list[Triple]:
    """Return all triples of names in order, or about `most` different ones, drawn at random, if there are more."""
    if comb(len(names), 3) <= most:
        return list(combinations(names, 3))
    drawn = {tuple(sorted(rng.choice(len(names), 3, replace=False).tolist())) for _ in range(most)}
    return [(names[a], names[b], names[c]) for a, b, c in sorted(drawn)]


def similarity(comparison: Comparison, triples: Sequence[Triple], rng: np.random.Generator) -> float:
    """Return the mean over triples of 1 - total variation distance of the joint distributions; NaN without a triple.

    Numbers and dates are in `BINS` bins, between quantiles of the real column; of categories the most frequent ones of
    the real column are apart.

    Source: three-way marginals as in Platzer and Reutterer 2021, https://doi.org/10.3389/fdata.2021.679939.
    """
    if not triples:
        return float("nan")
    names = sorted({name for triple in triples for name in triple})
    frames = [subsample(frame, MOST_ROWS, rng) for frame in (comparison.real, comparison.synthetic)]
    edges = {name: _edges(comparison.real[name]) for name in names if name in comparison.numeric}
    real, other = ({name: _bin_codes(frame[name], edges.get(name)) for name in names} for frame in frames)
    return float(np.mean([np.minimum(_shares(real, triple), _shares(other, triple)).sum() for triple in triples]))


def _edges(values: pd.Series[float]) -> npt.NDArray[np.float64]:
    """The inner edges of bins: fewer where quantiles are equal."""
    known = values.dropna().to_numpy(np.float64)
    inner = np.arange(1, BINS) / BINS
    return np.unique(np.quantile(known, inner)) if len(known) else np.empty(0)


def _bin_codes(values: pd.Series[float], edges: npt.NDArray[np.float64] | None) -> Codes:
    if edges is None:  # categories are in the order of their frequency in the real column
        codes = values.cat.codes.to_numpy(np.int64)
        return np.where(codes < 0, BINS + 1, np.minimum(codes, BINS))
    found = np.searchsorted(edges, values.to_numpy(np.float64), side="right").astype(np.int64)
    return np.where(values.isna(), BINS + 1, found)


def _shares(columns: dict[str, Codes], triple: Triple) -> npt.NDArray[np.float64]:
    """The share of the rows in each cell (WIDTH ** 3,)."""
    first, second, third = (columns[name] for name in triple)
    cells = (first * WIDTH + second) * WIDTH + third
    return np.bincount(cells, minlength=WIDTH**3) / len(cells)
