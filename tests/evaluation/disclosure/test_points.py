"""Rows as points: distances of numbers, categories and missing values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synthvae.evaluation.disclosure.points import BEYOND, as_points, nearest


def frame(rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"a": rng.normal(size=rows), "b": rng.random(rows), "c": rng.gamma(2.0, size=rows)})


@pytest.mark.parametrize("wild", [1e3, 1e9, 1e16, -1e16, 1e300])
def test_a_wild_column_does_not_hide_whose_copies_the_others_are(wild: float) -> None:
    real = frame(200, 0)
    points, queries = as_points([real, real.assign(c=real["c"].mean() + wild)])
    assert nearest(points, queries, 1).distances.max() <= 2 + BEYOND
    found = nearest(points[:, :2], queries[:, :2], 1).rows[:, 0]
    assert (found == np.arange(200)).all()
    # All queries are at one place in the wild column, so that the row nearest to it may be nearer than the copy.
    expected = np.argmin(((points[None] - queries[:, None]) ** 2).sum(2), 1)
    assert (nearest(points, queries, 1).rows[:, 0] == expected).mean() > 0.99
    assert len(np.unique(expected)) > 1


def test_points_are_scaled_to_the_range_of_the_first_frame() -> None:
    first = pd.DataFrame({"a": [0.0, 10.0, np.nan], "b": pd.Categorical(["x", "y", "x"])})
    second = pd.DataFrame({"a": [5.0, 15.0, 1000.0], "b": pd.Categorical(["y", "y", "x"], categories=["x", "y"])})
    one, other = as_points([first, second])
    assert one[:, 0].tolist() == [0.0, 1.0, 0.5]  # the median in place of the missing value
    assert other[:, 0].tolist() == [0.5, 1.5, 1 + BEYOND]
    assert one[:, 1].tolist() == [0.0, 0.0, 1.0]
    distance = np.sqrt(((one[0, 2:] - one[1, 2:]) ** 2).sum())
    assert distance == pytest.approx(1.0)  # two categories are as far apart as the ends of a range
