"""Whether a classifier can tell two kinds of rows apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from synthvae.evaluation.comparison import Matrix, codes, some

MOST_ROWS = 10_000  # of each kind
MOST_CELLS = 1_000_000  # of each kind: of a wide table fewer rows
LEAST_ROWS = 30  # of each kind: with fewer boosting has no leaf to grow
LARGE = 200_000  # cells of each kind, from which on boosting stops when it no longer learns
MOST_CATEGORIES = 250  # that boosting takes as such; more are taken as numbers, the commonest first
FOLDS = 3


def told_apart(first: pd.DataFrame, second: pd.DataFrame, seed: int, most: int = MOST_ROWS) -> float:
    """Return how well gradient boosting tells rows of one table from those of another: the ROC AUC.

    0.5: not at all; 1: always. The classifier two-sample test of Lopez-Paz and Oquab 2017, section 3
    (https://arxiv.org/abs/1610.06545), with the area under the curve in the place of the accuracy, over the scores that
    rows are given by three models which did not see them. As many rows of either are used, at most `most`.

    Args:
        first: Rows (N, C), as `Comparison` has them.
        second: Rows (M, C) of the same columns.
        seed: Of the rows that are drawn, of the folds and of the models.
        most: The most rows of each.

    Returns:
        The area; NaN where there are too few rows.
    """
    rows = min(len(first), len(second), most, max(MOST_CELLS // max(first.shape[1], 1), LEAST_ROWS))
    if rows < LEAST_ROWS:
        return float("nan")
    rng = np.random.default_rng([seed, 3])
    parts = [some(frame, rows, rng) for frame in (first, second)]
    features, native = _features(parts)
    made = np.repeat([False, True], rows)
    if not features.shape[1]:
        return 0.5
    stopping = True if features.size > 2 * LARGE else "auto"
    model = HistGradientBoostingClassifier(
        categorical_features=native, early_stopping=stopping, random_state=seed % 2**32
    )
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed % 2**32)
    found = cross_val_predict(model, features, made, cv=folds, method="predict_proba")
    return float(roc_auc_score(made, found[:, 1]))


def _features(parts: list[pd.DataFrame]) -> tuple[Matrix, npt.NDArray[np.bool_]]:
    """Rows under each other as numbers, and which columns are categories; columns without a value are left out."""
    values = np.vstack([codes(part) for part in parts])
    native = np.array([_is_native(parts[0][name].dtype) for name in parts[0]], dtype=np.bool_)
    known = ~np.isnan(values).all(axis=0)
    return values[:, known], native[known]


def _is_native(dtype: object) -> bool:
    return isinstance(dtype, pd.CategoricalDtype) and len(dtype.categories) <= MOST_CATEGORIES
