"""Rows without a label, which what learned them and a classifier label together: each is every class, weighed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from synthvae.estimators.containers import Labels

LEAST = 1e-4  # of a probability: none is so sure that the other has no say

Matrix = npt.NDArray[np.float64]


def pooled(opinions: list[Matrix]) -> Matrix:
    """Return the probabilities (rows, classes) that the logarithmic pool of some, equally weighed, has.

    Args:
        opinions: Log probabilities (rows, classes), each up to a constant a row.

    Source: Genest, Zidek 1986, Combining probability distributions: a critique and an annotated bibliography,
    section 3.3, https://doi.org/10.1214/ss/1177013825.
    """
    sure = [np.log(np.maximum(softmax(opinion, 1), LEAST)) for opinion in opinions]
    return np.asarray(softmax(np.mean(sure, 0), 1))


def spread(chances: Matrix, classes: Labels) -> tuple[npt.NDArray[np.intp], Labels, Matrix]:
    """Return each row once for every class: places of rows, labels and weights, (rows x classes,) each."""
    rows, kinds = chances.shape
    return np.tile(np.arange(rows), kinds), np.repeat(classes, rows), chances.T.ravel()


def drawn(chances: Matrix, classes: Labels, rng: np.random.Generator) -> Labels:
    """Return a label (rows,) for each row, drawn by its chances."""
    reached = chances.cumsum(1) > rng.random((len(chances), 1)) * chances.sum(1, keepdims=True)
    return np.asarray(np.asarray(classes)[reached.argmax(1)])


def opinion(classifier: Any, X: Any, classes: Labels) -> Matrix | None:
    """Return the log probabilities (rows, classes) of a fitted classifier; None where it has none."""
    if not hasattr(classifier, "predict_proba") or len(classifier.classes_) != len(classes):
        return None
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(classifier.predict_proba(X)))
