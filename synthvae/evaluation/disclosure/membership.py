"""Membership inference: was this person's row among those that were learned?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from synthvae.evaluation.comparison import Comparison, some
from synthvae.evaluation.disclosure.points import Points, as_points, nearest
from synthvae.evaluation.disclosure.risk import Interval, Shares, auc

TARGETS = 2_000
ROWS = 20_000
TINY = 1e-6  # far below any distance that means something; two distances of zero are equal


def membership(comparison: Comparison, holdout: pd.DataFrame, rng: np.random.Generator) -> tuple[float, Interval]:
    """Tell learned rows from others by how much denser synthetic rows lie around them than real rows do.

    DOMIAS: a row x counts as learned if p_synthetic(x) / p_reference(x) is high (van Breugel et al. 2023,
    arXiv 2302.12580). One half of the holdout is the reference, the other half is to be told from learned rows.

    Both densities are estimated by the nearest neighbour: in d dimensions p(x) is as 1 / (n r^d), r being the distance
    to the nearest of n rows (Loftsgaarden and Quesenberry 1965, Annals of Mathematical Statistics 36), so that the
    ratio ranks rows as r_reference / r_synthetic does, whatever d and n. A kernel estimate smooths copies away: where
    all rows are copies it tells 60 to 85 of 100 pairs of rows right, the nearest neighbour all.

    Args:
        comparison: The tables.
        holdout: Rows that were not learned.
        rng: Halves the holdout, and draws the rows.

    Returns:
        The area under the ROC curve, and its interval.
    """
    mixed = holdout.iloc[rng.permutation(len(holdout))]
    half = len(mixed) // 2
    learned, others = some(comparison.real, TARGETS, rng), some(mixed[half:], TARGETS, rng)
    made, known = some(comparison.synthetic, ROWS, rng), some(mixed[:half], ROWS, rng)
    ours, reference, *asked = as_points([made, known, learned, others])
    points = np.vstack(asked)
    score = _log_nearest(reference, points) - _log_nearest(ours, points)
    return auc(score[: len(learned)], score[len(learned) :])


def _log_nearest(rows: Points, points: Points) -> Shares:
    """The logarithm of the distance of each point to the nearest row (points,)."""
    return np.log(nearest(rows, points, 1).distances[:, 0] + TINY)
