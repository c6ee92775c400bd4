"""Rows as points in a Euclidean space, and nearest neighbours among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from synthvae.evaluation.comparison import Matrix

Points = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]

BEYOND = 1.0  # widths of the range


def as_points(frames: Sequence[pd.DataFrame]) -> list[Points]:
    """Return the rows of each frame as points (N, D) of a Euclidean space.

    Numbers are scaled to the range of the first frame, beyond which they lie at most `BEYOND`: differences in other
    columns would be lost in the rounding of a larger distance. Missing values become the median, with an indicator
    column.
    Categories are one-hot encoded and scaled so that two different categories are as far apart as the ends of a
    number's range.
    """
    parts = [_points([frame[name] for frame in frames]) for name in frames[0]]
    return [np.hstack([part[place] for part in parts]) for place in range(len(frames))]


def _points(columns: Sequence[pd.Series[Any]]) -> list[Points]:
    if isinstance(columns[0].dtype, pd.CategoricalDtype):
        kinds = np.arange(-1, len(columns[0].cat.categories))
        return [
            (c.cat.codes.to_numpy()[:, None] == kinds).astype(np.float32) / np.sqrt(2, dtype=np.float32)
            for c in columns
        ]
    first = columns[0].dropna()
    low, high, middle = (first.min(), first.max(), first.median()) if len(first) else (0.0, 1.0, 0.0)
    any_missing = any(c.isna().any() for c in columns)
    places = [((c.fillna(middle) - low) / ((high - low) or 1)).clip(-BEYOND, 1 + BEYOND) for c in columns]
    scaled = [place.to_numpy(np.float32)[:, None] for place in places]
    if not any_missing:
        return scaled
    return [np.hstack([s, c.isna().to_numpy(np.float32)[:, None]]) for s, c in zip(scaled, columns, strict=True)]


@dataclass(frozen=True)
class Neighbours:
    """Nearest rows of each query.

    Args:
        distances: Their distances (queries, k), nearest first.
        rows: Their indices (queries, k).
    """

    distances: Matrix
    rows: Places

    @property
    def ratio(self) -> Matrix:
        """Distance to the nearest row divided by that to the second nearest (queries,); 1 where both are 0."""
        first, second = self.distances[:, 0], self.distances[:, -1]
        return np.divide(first, second, out=np.ones_like(first), where=second > 0)


def nearest(points: Points, queries: Points, k: int) -> Neighbours:
    """Return the k nearest points (N, D) of each query (Q, D) by Euclidean distance, or all if there are fewer."""
    search = NearestNeighbors(n_neighbors=min(k, len(points)), algorithm="brute").fit(points)
    distances, rows = search.kneighbors(queries)
    # Rounding makes distances equal that differ only by the order of summation.
    exact = np.asarray(distances, np.float64)
    return Neighbours(np.round(exact, 6), rows)
