"""Section "utility": predictive models trained on synthetic rows and tested on real rows.

Shapes: N test rows, C features, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.inspection import permutation_importance
from sklearn.metrics import log_loss, mean_absolute_error, roc_curve

from synthvae.evaluation.comparison import Comparison, Matrix, split_rows, subsample
from synthvae.evaluation.metric import Metric
from synthvae.evaluation.metrics import CALIBRATION, IMPORTANCE, TSTR, UTILITY
from synthvae.evaluation.results import Figure, Section
from synthvae.evaluation.utility.learners import (
    Mask,
    PredictionTask,
    Score,
    TrainTestData,
    Vector,
    boosting,
    forest,
    interval,
    linear,
)

FOREST_ROWS = 10_000
BINS = 10
POINTS = 100  # of a plotted curve
DRAWN = 500  # plotted predictions of numbers
IMPORTANCE_ROWS = 2000
IMPORTANCE_CELLS = 120_000  # values that are shuffled, so fewer rows of many columns
LEAST_COLUMNS = 4  # for the interval of a rank correlation


def utility(comparison: Comparison, seed: int) -> Section | None:
    """Train models on synthetic rows and test them on real rows.

    The test rows are the holdout or, without one, a third of the training rows.

    Args:
        comparison: The tables.
        seed: Random seed.

    Returns:
        Figures "tstr", "utility", "importance" and, for classes, "calibration", see `synthvae.evaluation.METRICS`;
        details "models", "importances", and "drawn_roc" and "drawn_calibration" for classes or "drawn_predictions" for
        numbers. None if there is no target.
    """
    if comparison.target is None:
        return None
    trial = TrainTestData.from_comparison(comparison, seed)
    if trial.obstacle is not None:
        return Section("utility", notes=(*trial.notes, trial.obstacle))
    return _measured(_Results(trial.task, trial, seed))


@dataclass(frozen=True)
class _Results:
    """Models trained on each kind of rows, and their predictions for the test rows."""

    task: PredictionTask
    trial: TrainTestData
    seed: int

    @cached_property
    def answers(self) -> Vector:
        return self.task.answers(self.trial.test)

    @cached_property
    def features(self) -> Matrix:
        return self.task.features(self.trial.test)

    @cached_property
    def boosted(self) -> dict[str, Any]:
        return {kind: self.learn(rows) for kind, rows in self.trial.training.items()}

    def learn(self, rows: pd.DataFrame) -> Any:
        return self.task.fit(boosting(self.task, self.seed), rows)

    @cached_property
    def predicted(self) -> dict[tuple[str, str], Matrix]:
        """Predictions by model and by the kind of rows it was trained on."""
        found = {("gradient boosting", kind): model for kind, model in self.boosted.items()}
        others = {"logistic regression" if self.task.labels else "ridge regression": linear, "random forest": forest}
        rng = np.random.default_rng([self.seed, 12])
        for kind, rows in self.trial.training.items():
            for name, maker in others.items():
                used = subsample(rows, FOREST_ROWS, rng) if maker is forest else rows
                found[name, kind] = self.task.fit(maker(self.task, self.seed), used)
        return {key: self.task.predict(model, self.features) for key, model in found.items()}

    def score(self, kind: str) -> Score:
        """Return the mean score of the models trained on a kind of rows."""
        return Score.mean([self.task.score(self.answers, p) for (_, of), p in self.predicted.items() if of == kind])

    def calibration(self, kind: str) -> Score:
        """Return the calibration error of gradient boosting trained on a kind of rows."""
        return expected_calibration_error(*self.probabilities(self.predicted["gradient boosting", kind]))

    def probabilities(self, predicted: Matrix) -> tuple[Vector, Mask]:
        """Return a predicted probability of each row (N,), and whether that class is right (N,).

        Of two classes the rarer one, of more classes the predicted one.
        """
        if len(self.task.labels) == 2:
            return predicted[:, self.rarer], self.answers == self.rarer
        return predicted.max(axis=1), predicted.argmax(axis=1) == self.answers

    @property
    def rarer(self) -> int:
        return int(np.argmin(np.bincount(self.answers.astype(int), minlength=len(self.task.labels))))


def _measured(results: _Results) -> Section:
    scores = {kind: results.score(kind) for kind in results.trial.training}
    notes = list(results.trial.notes)
    figures = [_figure(TSTR, scores, 0 if results.task.labels else -np.inf), *_relative(scores, notes)]
    if results.task.labels:
        figures.append(_figure(CALIBRATION, {kind: results.calibration(kind) for kind in scores}))
    importances = _importances(results)
    figures += _agreement(importances, notes)
    details = {"models": _models(results), "importances": importances[["column", "real", "synthetic"]]}
    return Section("utility", tuple(figures), details | _drawn(results), tuple(notes))


def _figure(metric: Metric, scores: Mapping[str, Score], low: float = 0, high: float = 1) -> Figure:
    ends = interval(scores["synthetic"].value, scores["synthetic"].deviation, low, high)
    return Figure(metric, scores["synthetic"].value, ends, scores["real"].value, scores["independent"].value)


def _relative(scores: Mapping[str, Score], notes: list[str]) -> list[Figure]:
    real = scores["real"]
    if real.value <= 0:
        notes.append("Models trained on real rows predict no better than the mean, so relative utility is not defined.")
        return []
    return [_figure(UTILITY, {kind: score.over(real) for kind, score in scores.items()}, -np.inf, np.inf)]


def expected_calibration_error(predicted: Vector, observed: Mask) -> Score:
    """Return the mean difference between probabilities (N,) and outcomes (N,) in ten bins of equal size.

    Source: Naeini et al. 2015, https://doi.org/10.1609/aaai.v29i1.9602, with the bins of Nixon et al. 2019,
    https://arxiv.org/abs/1904.01685. The influence treats the sign of each bin's difference as fixed.
    """
    places = bins(predicted)
    gaps = predicted - observed
    signs = np.sign(np.bincount(places, gaps))[places]
    error = float(np.mean(signs * gaps))
    return Score(error, signs * gaps - error)


def bins(predicted: Vector) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the bin of each probability (N,), of ten bins of equal size; equal probabilities share a bin."""
    edges = np.quantile(predicted, np.linspace(0, 1, BINS + 1)[1:-1])
    return np.asarray(np.searchsorted(np.unique(edges), predicted), np.int64)


def _importances(results: _Results) -> pd.DataFrame:
    """Return permutation importances (C rows) of gradient boosting by kind of rows, and of halves of the real rows."""
    rng = np.random.default_rng([results.seed, 13])
    each = IMPORTANCE_CELLS // len(results.task.columns)
    rows = subsample(results.trial.test, int(np.clip(each, IMPORTANCE_ROWS // 4, IMPORTANCE_ROWS)), rng)
    halves = split_rows(results.trial.training["real"], 1 / 2, rng)
    repeats = int(np.clip(each // len(rows), 1, 3))
    models = results.boosted | {f"half {place}": results.learn(half) for place, half in enumerate(halves)}
    found = {kind: _importance(results, model, rows, repeats) for kind, model in models.items()}
    table = pd.DataFrame({"column": results.task.columns, **found})
    return table.sort_values("real", ascending=False, kind="stable", ignore_index=True)


def _importance(results: _Results, model: Any, rows: pd.DataFrame, repeats: int) -> Vector:
    task = results.task
    features, answers = task.features(rows), task.answers(rows)

    def scored(fitted: Any, shuffled: Matrix, truth: Vector) -> float:
        return task.score(truth, task.predict(fitted, shuffled)).value

    state = results.seed % 2**32
    found = permutation_importance(model, features, answers, scoring=scored, n_repeats=repeats, random_state=state)
    return np.asarray(found.importances_mean)


def _agreement(importances: pd.DataFrame, notes: list[str]) -> list[Figure]:
    if len(importances) < LEAST_COLUMNS:
        notes.append(f"Agreement of feature importances needs {LEAST_COLUMNS} columns besides the target.")
        return []
    found = _rank_correlation(importances, "real", "synthetic")
    # artanh of a rank correlation is approximately normal with this deviation: Bonett and Wright 2000.
    deviation = np.sqrt((1 + found**2 / 2) / (len(importances) - 3))
    low, high = interval(np.arctanh(np.clip(found, -0.999, 0.999)), deviation, -np.inf, np.inf)
    ends = (float(np.tanh(low)), float(np.tanh(high)))
    pairs = (("half 0", "half 1"), ("real", "independent"))
    return [Figure(IMPORTANCE, found, ends, *(_rank_correlation(importances, *pair) for pair in pairs))]


def _rank_correlation(importances: pd.DataFrame, one: str, other: str) -> float:
    """Return Spearman's correlation; 0 if all importances of a model are equal."""
    if importances[one].nunique() < 2 or importances[other].nunique() < 2:
        return 0.0
    return float(spearmanr(importances[one], importances[other]).statistic)


def _models(results: _Results) -> pd.DataFrame:
    rows = []
    for (name, kind), predicted in results.predicted.items():
        score = results.task.score(results.answers, predicted).value
        rest = _class_scores(results, predicted) if results.task.labels else _number_scores(results, predicted)
        rows.append({"model": name, "trained_on": kind, "score": score, **rest})
    return pd.DataFrame(rows)


def _class_scores(results: _Results, predicted: Matrix) -> dict[str, float]:
    """Return scores of classes. Brier's score (1950) is halved: the squared error of one class if there are two."""
    places = np.arange(len(results.task.labels))
    ones = results.answers[:, None] == places
    return {
        "log_loss": float(log_loss(results.answers, predicted, labels=places)),
        "brier": float(np.mean(np.sum((predicted - ones) ** 2, axis=1)) / 2),
        "calibration": expected_calibration_error(*results.probabilities(predicted)).value,
    }


def _number_scores(results: _Results, predicted: Matrix) -> dict[str, float]:
    return {"mean_absolute_error": float(mean_absolute_error(results.answers, predicted))}


def _drawn(results: _Results) -> dict[str, pd.DataFrame]:
    """Return the data for charts of gradient boosting."""
    found = {kind: results.predicted["gradient boosting", kind] for kind in results.trial.training}
    draws = {"drawn_predictions": _predictions}
    if results.task.labels:
        draws = {"drawn_roc": _roc, "drawn_calibration": _reliability}
    return {name: _stacked({kind: draw(results, p) for kind, p in found.items()}) for name, draw in draws.items()}


def _stacked(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(tables, names=["trained_on"]).reset_index("trained_on").reset_index(drop=True)


def _roc(results: _Results, predicted: Matrix) -> pd.DataFrame:
    """Return the ROC curve of the rarer of two classes, or the mean curve of more (Fawcett 2006, section 8.1)."""
    two = len(results.task.labels) == 2
    classes = [results.rarer] if two else np.unique(results.answers).astype(int).tolist()
    grid = np.linspace(0, 1, POINTS - 1)
    curves = [roc_curve(results.answers == k, predicted[:, k]) for k in classes]
    heights = np.mean([np.interp(grid, false, true) for false, true, _ in curves], axis=0)
    label = f"class {results.task.labels[classes[0]]}" if two else "mean over the classes"
    points = {"false_positive_rate": np.r_[0.0, grid], "true_positive_rate": np.r_[0.0, heights]}
    return pd.DataFrame({"label": label, **points})


def _reliability(results: _Results, predicted: Matrix) -> pd.DataFrame:
    probabilities, true = results.probabilities(predicted)
    rows = pd.DataFrame({"predicted": probabilities, "observed": true.astype(float), "rows": 1})
    how = {"predicted": "mean", "observed": "mean", "rows": "sum"}
    return rows.groupby(bins(probabilities)).agg(how).reset_index(drop=True)


def _predictions(results: _Results, predicted: Matrix) -> pd.DataFrame:
    rng = np.random.default_rng([results.seed, 14])
    return subsample(pd.DataFrame({"actual": results.answers, "predicted": predicted}), DRAWN, rng)
