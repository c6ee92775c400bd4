"""Support of distributions: precision, recall, density and coverage.

Shapes: n rows of each kind, D dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors

from synthvae.evaluation.comparison import Matrix, subsample
from synthvae.evaluation.disclosure.points import as_points

MOST_ROWS = 8_000
MOST_PRODUCTS = 1e10  # multiplications for all distances, so fewer points of many dimensions
NEIGHBOURS = 5
LEVELS = np.linspace(0, 1, 30)
SAME = 1e-6  # Equal distances differ in their last digits, since they are differences of large sums.
MEMORY = 128  # MiB of distances at once

Places = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Support:
    """Precision and recall of a distribution, see `synthvae.evaluation.METRICS`.

    Args:
        alpha_precision: How typical the synthetic rows are, integrated over quantiles of the distance from the centre
            of the training rows.
        beta_recall: Share of training rows with a synthetic row as near as the nearest other training row, integrated
            over quantiles of the distance from the centre of the synthetic rows.
        density: Number of neighbourhoods of training rows that contain a synthetic row, relative to the expected
            number.
        coverage: Share of neighbourhoods of training rows with a synthetic row in them.
    """

    alpha_precision: float
    beta_recall: float
    density: float
    coverage: float


def support(
    real: pd.DataFrame, synthetic: pd.DataFrame, rng: np.random.Generator, most: int = MOST_ROWS
) -> Support | None:
    """Return precision and recall of a sample of the same number of rows of each table.

    Alpha-precision and beta-recall: Alaa et al. 2022, sections 3 and 4 (https://arxiv.org/abs/2102.08921), on the
    points themselves instead of a trained embedding, with 30 quantiles, as in synthcity. Density and coverage with
    k = 5 neighbours: Naeem et al. 2020, equations 4 and 5 (https://arxiv.org/abs/2002.09797).

    Args:
        real: Rows (N, C), as in `Comparison`.
        synthetic: Rows (M, C) of the same columns.
        rng: Draws the sample.
        most: Maximum number of rows of each table; fewer are used in many dimensions.

    Returns:
        The figures; None if there are less than two rows.
    """
    rows = min(len(real), len(synthetic), most, max(int(np.sqrt(MOST_PRODUCTS / _dimensions(real))), 2))
    if rows < 2:
        return None
    points = as_points([subsample(frame, rows, rng) for frame in (real, synthetic)])
    return of_points(*(part.astype(np.float64) for part in points))


def _dimensions(rows: pd.DataFrame) -> int:
    kinds = [dtype for dtype in rows.dtypes if isinstance(dtype, pd.CategoricalDtype)]
    return max(len(rows.columns) + sum(len(dtype.categories) for dtype in kinds), 1)


def of_points(real: Matrix, synthetic: Matrix) -> Support:
    """Return precision and recall of two sets of points (n, D), n being at least two; see `support`."""
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
    """Return the distance and index of the nearest synthetic point of each real point, and the count within radii."""
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
    """Integrate over the distance from the centre of the synthetic point nearest to each real point."""
    distances = np.linalg.norm(synthetic[place] - synthetic.mean(axis=0), axis=1)
    radii = np.quantile(distances, LEVELS)
    return _integrated(np.array([np.mean(reached & (distances <= radius + SAME)) for radius in radii]))


def _integrated(shares: Matrix) -> float:
    """Return 1 - the area between shares and levels, relative to the area under the levels."""
    return float(1 - np.abs(LEVELS - shares).sum() / LEVELS.sum())
