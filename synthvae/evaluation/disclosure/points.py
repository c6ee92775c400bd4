"""Rows as points, between which distances have a meaning, and the points that are nearest to others."""

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


def as_points(frames: Sequence[pd.DataFrame]) -> list[Points]:
    """Return rows as points (rows, dimensions), between which distances have a meaning.

    A number is scaled to the range of the first frame (missing: its median, and a one beside it where any is missing),
    a category is one of as many ones as there are categories, weighed so that two rows of different categories are as
    far apart as the ends of a number's range.
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
    gaps = any(c.isna().any() for c in columns)
    scaled = [((c.fillna(middle) - low) / ((high - low) or 1)).to_numpy(np.float32)[:, None] for c in columns]
    if not gaps:
        return scaled
    return [np.hstack([s, c.isna().to_numpy(np.float32)[:, None]]) for s, c in zip(scaled, columns, strict=True)]


@dataclass(frozen=True)
class Neighbours:
    """The nearest rows of each query.

    Args:
        distances: To them (queries, k), nearest first.
        rows: Their places (queries, k).
    """

    distances: Matrix
    rows: Places

    @property
    def ratio(self) -> Matrix:
        """Distance of the nearest over that of the second nearest (queries,); one where both are zero."""
        first, second = self.distances[:, 0], self.distances[:, -1]
        return np.divide(first, second, out=np.ones_like(first), where=second > 0)


def nearest(points: Points, queries: Points, k: int) -> Neighbours:
    """Return the k nearest points (rows, D) of each query (queries, D), by Euclidean distance; all of fewer ones."""
    search = NearestNeighbors(n_neighbors=min(k, len(points)), algorithm="brute").fit(points)
    distances, rows = search.kneighbors(queries)
    # Rounding makes equal what differs by the order of a sum alone.
    exact = np.asarray(distances, np.float64)
    return Neighbours(np.round(exact, 6), rows)
