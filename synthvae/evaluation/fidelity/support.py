"""Whether rows lie where the others lie, and everywhere they lie: precision and recall of a distribution.

Shapes: n rows of each kind, D dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors

from synthvae.evaluation.comparison import Matrix, some
from synthvae.evaluation.disclosure.points import as_points

MOST_ROWS = 8_000
MOST_PRODUCTS = 1e10  # of two coordinates: of points of many dimensions fewer are taken
NEIGHBOURS = 5
LEVELS = np.linspace(0, 1, 30)
# Distances are differences of large sums: equal ones differ in their last digits.
SAME = 1e-6
MEMORY = 128  # MiB of distances at once

Places = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Support:
    """What was found, each of (about) 0 to 1.

    Args:
        alpha_precision: How typical the synthetic rows are of the real ones, integrated over quantiles of the distance
            from the real centre.
        beta_recall: How much of the real rows has a synthetic one as near as the nearest other real one, integrated
            over quantiles of the distance from the synthetic centre; about one half for fresh real rows.
        density: How many real neighbourhoods a synthetic row lies in, over how many are to be expected: about 1 for
            fresh real rows, and more if synthetic rows crowd where the real ones do.
        coverage: The share of real neighbourhoods with a synthetic row in them.
    """

    alpha_precision: float
    beta_recall: float
    density: float
    coverage: float


def support(
    real: pd.DataFrame, synthetic: pd.DataFrame, rng: np.random.Generator, most: int = MOST_ROWS
) -> Support | None:
    """Return precision and recall of as many rows of each table, at most `most`; None if there are less than two.

    Alpha-precision and beta-recall: Alaa et al. 2022, sections 3 and 4 (https://arxiv.org/abs/2102.08921), on the
    points themselves (no embedding is learned) and 30 quantiles, as synthcity has them; density and coverage of k = 5
    neighbours: Naeem et al. 2020, equations 4 and 5 (https://arxiv.org/abs/2002.09797).

    Args:
        real: Rows (N, C), as `Comparison` has them.
        synthetic: Rows (M, C) of the same columns.
        rng: What rows are drawn with.
        most: The most rows of each; fewer are taken of points of many dimensions.
    """
    rows = min(len(real), len(synthetic), most, max(int(np.sqrt(MOST_PRODUCTS / _dimensions(real))), 2))
    if rows < 2:
        return None
    points = as_points([some(frame, rows, rng) for frame in (real, synthetic)])
    return of_points(*(part.astype(np.float64) for part in points))


def _dimensions(rows: pd.DataFrame) -> int:
    kinds = [dtype for dtype in rows.dtypes if isinstance(dtype, pd.CategoricalDtype)]
    return max(len(rows.columns) + sum(len(dtype.categories) for dtype in kinds), 1)


def of_points(real: Matrix, synthetic: Matrix) -> Support:
    """Return precision and recall of points (n, D) and (n, D), n being at least two; see `support`."""
    k = min(NEIGHBOURS, len(real) - 1)
    own = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(real).kneighbors()[0]
    nearest, place, inside = _across(real, synthetic, own[:, -1] + SAME)
    return Support(
        alpha_precision=_alpha_precision(real, synthetic),
        beta_recall=_beta_recall(nearest <= own[:, 0] + SAME, synthetic, place),
        density=inside / (k * len(synthetic)),
        coverage=float(np.mean(nearest <= own[:, -1] + SAME)),
    )


def _across(real: Matrix, synthetic: Matrix, radii: Matrix) -> tuple[Matrix, Places, float]:
    """How far the nearest synthetic point of each real one is, which it is, and how many lie within the radii."""
    nearest, places, inside, start = [], [], 0.0, 0
    for part in pairwise_distances_chunked(real, synthetic, working_memory=MEMORY):
        stop = start + len(part)
        places.append(part.argmin(axis=1))
        nearest.append(part.min(axis=1))
        inside += float(np.count_nonzero(part <= radii[start:stop, None]))
        start = stop
    return np.concatenate(nearest), np.concatenate(places), inside


def _alpha_precision(real: Matrix, synthetic: Matrix) -> float:
    centre = real.mean(axis=0)
    radii = np.quantile(np.linalg.norm(real - centre, axis=1), LEVELS)
    distances = np.sort(np.linalg.norm(synthetic - centre, axis=1))
    return _integrated(np.searchsorted(distances, radii + SAME, side="right") / len(distances))


def _beta_recall(reached: npt.NDArray[np.bool_], synthetic: Matrix, place: Places) -> float:
    """Integrate over how central the synthetic point is that is nearest to each real one."""
    distances = np.linalg.norm(synthetic[place] - synthetic.mean(axis=0), axis=1)
    radii = np.quantile(distances, LEVELS)
    return _integrated(np.array([np.mean(reached & (distances <= radius + SAME)) for radius in radii]))


def _integrated(shares: Matrix) -> float:
    """One less the area between shares and levels, relative to the largest there can be under the levels."""
    return float(1 - np.abs(LEVELS - shares).sum() / LEVELS.sum())
