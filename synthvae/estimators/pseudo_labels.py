"""Probabilistic labels for rows without one, from the generator and a classifier together."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from synthvae.estimators.containers import Labels

LEAST = 1e-4  # smallest probability before pooling: certainty of one model would override the other

Matrix = npt.NDArray[np.float64]


def pooled(log_probabilities: list[Matrix]) -> Matrix:
    """Return the probabilities (rows, classes) of the logarithmic pool with equal weights.

    Args:
        log_probabilities: Log probabilities (rows, classes) of each model, up to a constant per row.

    Source: Genest, Zidek 1986, Combining probability distributions: a critique and an annotated bibliography,
    section 3.3, https://doi.org/10.1214/ss/1177013825.
    """
    bounded = [np.log(np.maximum(softmax(logs, 1), LEAST)) for logs in log_probabilities]
    return np.asarray(softmax(np.mean(bounded, 0), 1))


def spread(probabilities: Matrix, classes: Labels) -> tuple[npt.NDArray[np.intp], Labels, Matrix]:
    """Return each row once per class: indices of rows, labels and weights, each of shape (rows x classes,)."""
    rows, kinds = probabilities.shape
    return np.tile(np.arange(rows), kinds), np.repeat(classes, rows), probabilities.T.ravel()


def drawn(probabilities: Matrix, classes: Labels, rng: np.random.Generator) -> Labels:
    """Return a label (rows,) per row, drawn with its probabilities (rows, classes)."""
    reached = probabilities.cumsum(1) > rng.random((len(probabilities), 1)) * probabilities.sum(1, keepdims=True)
    return np.asarray(np.asarray(classes)[reached.argmax(1)])


def log_probabilities_of(classifier: Any, X: Any, classes: Labels) -> Matrix | None:
    """Return the log probabilities (rows, classes) of a fitted classifier; None if it has none."""
    if not hasattr(classifier, "predict_proba") or len(classifier.classes_) != len(classes):
        return None
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(classifier.predict_proba(X)))
