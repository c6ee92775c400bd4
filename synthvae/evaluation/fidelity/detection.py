"""Classifier two-sample test: whether a classifier can separate two kinds of rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict

from synthvae.evaluation.comparison import Matrix, codes, subsample

MOST_ROWS = 10_000  # of each kind
MOST_CELLS = 1_000_000  # of each kind, so fewer rows of wide tables
LEAST_ROWS = 30  # of each kind; with fewer, boosting cannot split a leaf
LARGE = 200_000  # cells of each kind, above which boosting stops early
MOST_CATEGORIES = 250  # for native splits; columns with more are treated as numbers, most frequent first
FOLDS = 3
Z = 1.96  # of a 95% interval
UNITS = "\0unit"  # the units of rows, under a name that no column of a file has

Places = npt.NDArray[np.int64]


def detection_auc(
    first: pd.DataFrame,
    second: pd.DataFrame,
    seed: int,
    most: int = MOST_ROWS,
    units: Sequence[Places] | None = None,
) -> float:
    """Return the ROC AUC of gradient boosting that separates the rows of two tables: 0.5 is chance, 1 is perfect.

    The classifier two-sample test of Lopez-Paz and Oquab 2017, section 3 (https://arxiv.org/abs/1610.06545), with the
    area under the ROC curve in place of the accuracy, by cross-validation with three folds. The same number of rows of
    both tables is used.

    Args:
        first: Rows (N, C), as in `Comparison`.
        second: Rows (M, C) of the same columns.
        seed: Random seed of the sample, the folds and the models.
        most: Maximum number of rows of each table.
        units: The unit of each row, such as a patient, of both tables, whose rows are in one fold; None: each row is a
            unit.

    Returns:
        The area; NaN if there are too few rows.
    """
    rows = compared_rows(first, second, most)
    if rows < LEAST_ROWS:
        return float("nan")
    rng = np.random.default_rng([seed, 3])
    parts = [subsample(frame, rows, rng) for frame in _with_units((first, second), units)]
    folds, groups = _folds(parts, seed)
    is_second = np.repeat([False, True], rows)
    splits = list(folds.split(is_second, is_second, groups))
    features, native = _features(parts, [training for training, _ in splits])
    if not features.shape[1]:
        return 0.5
    stopping = True if features.size > 2 * LARGE else "auto"
    model = HistGradientBoostingClassifier(
        categorical_features=native, early_stopping=stopping, random_state=seed % 2**32
    )
    found = cross_val_predict(model, features, is_second, cv=splits, method="predict_proba")
    return float(roc_auc_score(is_second, found[:, 1]))


def compared_rows(first: pd.DataFrame, second: pd.DataFrame, most: int = MOST_ROWS) -> int:
    """Return how many rows of each table the test uses."""
    return min(len(first), len(second), most, max(MOST_CELLS // max(first.shape[1], 1), LEAST_ROWS))


def auc_interval(area: float, rows: int) -> tuple[float, float]:
    """Return the 95% interval of an area under the ROC curve of `rows` rows of either kind.

    Source: Hanley and McNeil 1982, The meaning and use of the area under a ROC curve, equation 1.

    >>> auc_interval(0.5, 1000)
    (0.4747, 0.5253)
    """
    larger, both = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (area * (1 - area) + (rows - 1) * (larger + both - 2 * area**2)) / rows**2
    half = Z * math.sqrt(max(variance, 0.0))
    return round(max(area - half, 0.0), 4), round(min(area + half, 1.0), 4)


def _with_units(frames: Sequence[pd.DataFrame], units: Sequence[Places] | None) -> list[pd.DataFrame]:
    if units is None:
        return list(frames)
    return [frame.assign(**{UNITS: own}) for frame, own in zip(frames, units, strict=True)]


def _folds(parts: list[pd.DataFrame], seed: int) -> tuple[StratifiedKFold | StratifiedGroupKFold, Places | None]:
    """The folds of a test, and the unit of each row, which is taken out of the tables."""
    options = {"n_splits": FOLDS, "shuffle": True, "random_state": seed % 2**32}
    if UNITS not in parts[0]:
        return StratifiedKFold(**options), None
    first, second = (part.pop(UNITS).to_numpy() for part in parts)
    groups = np.concatenate([2 * first, 2 * second + 1])  # units of the two tables differ
    fewest = min(len(np.unique(own)) for own in (first, second))
    if fewest < FOLDS:
        return StratifiedKFold(**options), None
    return StratifiedGroupKFold(**options), groups


def _features(parts: list[pd.DataFrame], trained: list[Places]) -> tuple[Matrix, npt.NDArray[np.bool_]]:
    """Return the stacked rows as numbers, and which columns are categorical.

    Columns are dropped that have no value in the rows on which one of the models is trained, which boosting refuses.
    """
    values = np.vstack([codes(part) for part in parts])
    native = np.array([_is_native(parts[0][name].dtype) for name in parts[0]], dtype=np.bool_)
    known = np.all([~np.isnan(values[rows]).all(axis=0) for rows in trained], axis=0)
    return values[:, known], native[known]


def _is_native(dtype: object) -> bool:
    return isinstance(dtype, pd.CategoricalDtype) and len(dtype.categories) <= MOST_CATEGORIES
