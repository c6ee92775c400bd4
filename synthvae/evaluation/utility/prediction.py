"""Utility: what models that learned synthetic rows predict of real ones (N test rows, C features, K classes)."""

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

from synthvae.evaluation.comparison import Comparison, Matrix, parts, some
from synthvae.evaluation.results import Figure, Metric, Section
from synthvae.evaluation.utility.learners import Mask, Score, Task, Trial, Vector, boosting, forest, interval, linear

FOREST_ROWS = 10_000
BINS = 10
POINTS = 100  # of a curve that is drawn
DRAWN = 500  # predictions of numbers that are drawn
IMPORTANCE_ROWS = 2000
IMPORTANCE_CELLS = 120_000  # how many values are shuffled, of many columns in fewer rows
LEAST_COLUMNS = 4  # of which a rank correlation has an interval

TSTR = Metric(
    "tstr",
    "Trained on synthetic, tested on real rows",
    "higher",
    "How well three models that learned synthetic rows predict the target of real ones: the mean area under the ROC "
    "curve of each class against the others (0.5 is chance), or R2 of a number (0 is chance, 1 perfect).",
    "Esteban, Hyland & Rätsch 2017, https://arxiv.org/abs/1706.02633; area: Fawcett 2006, sections 7 "
    "and 9, https://doi.org/10.1016/j.patrec.2005.10.010; interval: DeLong et al. 1988, "
    "https://doi.org/10.2307/2531595",
    "It is about this target only, and about the models that were tried.",
)
UTILITY = Metric(
    "utility",
    "Utility kept",
    "higher",
    "The share of the score of models that learned real rows which models that learned synthetic rows reach; 1: all.",
    "Esteban, Hyland & Rätsch 2017, https://arxiv.org/abs/1706.02633",
    "Where chance scores 0.5 a useless table keeps 0.5 and more: read it beside that of independent columns.",
)
CALIBRATION = Metric(
    "calibration",
    "Calibration error",
    "lower",
    "How far the probabilities that boosting says after learning synthetic rows are from how often it comes true in "
    "real ones, on average, as a fraction: of the rarer of two classes, or of the likeliest of more.",
    "Naeini, Cooper & Hauskrecht 2015, https://doi.org/10.1609/aaai.v29i1.9602; bins of equal size: Nixon et al. 2019, "
    "https://arxiv.org/abs/1904.01685",
    "Of few rows it is above zero though the probabilities are right.",
)
IMPORTANCE = Metric(
    "importance",
    "Agreement on what matters",
    "higher",
    "Rank correlation of how much each column matters to boosting that learned synthetic rows and to boosting that "
    "learned real ones; 1: the same order.",
    "Permutation importance: Breiman 2001, section 10, https://doi.org/10.1023/A:1010933404324; interval: Bonett & "
    "Wright 2000, https://doi.org/10.1007/BF02294183",
    "Columns that say the same stand in for one another, and columns that say nothing are in any order.",
)


def utility(comparison: Comparison, seed: int) -> Section | None:
    """Train on synthetic rows, test on real ones; None if there is no target.

    The test rows are the holdout, or else a third of the real rows.

    Args:
        comparison: The tables.
        seed: Of everything that is drawn.

    Returns:
        Figures "tstr", "utility", "importance", and of classes "calibration"; details "models", "importances",
        "drawn_roc" and "drawn_calibration", or "drawn_predictions" of a number.
    """
    if comparison.target is None:
        return None
    trial = Trial.of(comparison, seed)
    if trial.obstacle is not None:
        return Section("utility", notes=(*trial.notes, trial.obstacle))
    return _measured(_Results(trial.task, trial, seed))


@dataclass(frozen=True)
class _Results:
    """Models that learned each kind of rows, and what they predict of the test rows."""

    task: Task
    trial: Trial
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
        """What each model predicts after it learned each kind of rows."""
        found = {("gradient boosting", kind): model for kind, model in self.boosted.items()}
        others = {"logistic regression" if self.task.labels else "ridge regression": linear, "random forest": forest}
        rng = np.random.default_rng([self.seed, 12])
        for kind, rows in self.trial.training.items():
            for name, maker in others.items():
                learned = some(rows, FOREST_ROWS, rng) if maker is forest else rows
                found[name, kind] = self.task.fit(maker(self.task, self.seed), learned)
        return {key: self.task.predict(model, self.features) for key, model in found.items()}

    def score(self, kind: str) -> Score:
        """The mean score of the models that learned a kind of rows."""
        return Score.mean([self.task.score(self.answers, p) for (_, of), p in self.predicted.items() if of == kind])

    def calibration(self, kind: str) -> Score:
        """The calibration error of boosting that learned a kind of rows."""
        return expected_calibration_error(*self.stated(self.predicted["gradient boosting", kind]))

    def stated(self, predicted: Matrix) -> tuple[Vector, Mask]:
        """A probability that is said of each row (N,), and whether it came true (N,).

        Of two classes that of the rarer one, of more that of the likeliest.
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
    figures = [_figure(TSTR, scores, 0 if results.task.labels else -np.inf), *_kept(scores, notes)]
    if results.task.labels:
        figures.append(_figure(CALIBRATION, {kind: results.calibration(kind) for kind in scores}))
    importances = _importances(results)
    figures += _agreement(importances, notes)
    details = {"models": _models(results), "importances": importances[["column", "real", "synthetic"]]}
    return Section("utility", tuple(figures), details | _drawn(results), tuple(notes))


def _figure(metric: Metric, scores: Mapping[str, Score], low: float = 0, high: float = 1) -> Figure:
    ends = interval(scores["synthetic"].value, scores["synthetic"].deviation, low, high)
    return Figure(metric, scores["synthetic"].value, ends, scores["real"].value, scores["independent"].value)


def _kept(scores: Mapping[str, Score], notes: list[str]) -> list[Figure]:
    real = scores["real"]
    if real.value <= 0:
        notes.append("Models that learned real rows predict no better than the mean, so no share of it can be kept.")
        return []
    return [_figure(UTILITY, {kind: score.over(real) for kind, score in scores.items()}, -np.inf, np.inf)]


def expected_calibration_error(predicted: Vector, observed: Mask) -> Score:
    """Return the mean distance of probabilities (N,) from what came true (N,) in ten bins of as many rows each.

    Source: Naeini et al. 2015, https://doi.org/10.1609/aaai.v29i1.9602, with the bins of Nixon et al. 2019,
    https://arxiv.org/abs/1904.01685. The influence takes the sign of each bin's distance as given.
    """
    places = bins(predicted)
    gaps = predicted - observed
    signs = np.sign(np.bincount(places, gaps))[places]
    error = float(np.mean(signs * gaps))
    return Score(error, signs * gaps - error)


def bins(predicted: Vector) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the bin of each probability (N,), of ten with as many rows each; equal ones are in the same."""
    edges = np.quantile(predicted, np.linspace(0, 1, BINS + 1)[1:-1])
    return np.asarray(np.searchsorted(np.unique(edges), predicted), np.int64)


def _importances(results: _Results) -> pd.DataFrame:
    """Permutation importances (C rows) of boosting that learned each kind of rows, and each half of the real ones."""
    rng = np.random.default_rng([results.seed, 13])
    each = IMPORTANCE_CELLS // len(results.task.columns)
    rows = some(results.trial.test, int(np.clip(each, IMPORTANCE_ROWS // 4, IMPORTANCE_ROWS)), rng)
    halves = parts(results.trial.training["real"], 1 / 2, rng)
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
        notes.append(f"Agreement on what matters needs {LEAST_COLUMNS} columns beside the target: it was left out.")
        return []
    found = _rank_correlation(importances, "real", "synthetic")
    # Of a rank correlation r, artanh(r) is normal with this deviation: Bonett & Wright 2000.
    deviation = np.sqrt((1 + found**2 / 2) / (len(importances) - 3))
    low, high = interval(np.arctanh(np.clip(found, -0.999, 0.999)), deviation, -np.inf, np.inf)
    ends = (float(np.tanh(low)), float(np.tanh(high)))
    pairs = (("half 0", "half 1"), ("real", "independent"))
    return [Figure(IMPORTANCE, found, ends, *(_rank_correlation(importances, *pair) for pair in pairs))]


def _rank_correlation(importances: pd.DataFrame, one: str, other: str) -> float:
    """Spearman's correlation; 0 where nothing matters to a model."""
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
    """Brier's score is halved, so that of two classes it is the square of one's error, 1950."""
    places = np.arange(len(results.task.labels))
    ones = results.answers[:, None] == places
    return {
        "log_loss": float(log_loss(results.answers, predicted, labels=places)),
        "brier": float(np.mean(np.sum((predicted - ones) ** 2, axis=1)) / 2),
        "calibration": expected_calibration_error(*results.stated(predicted)).value,
    }


def _number_scores(results: _Results, predicted: Matrix) -> dict[str, float]:
    return {"mean_absolute_error": float(mean_absolute_error(results.answers, predicted))}


def _drawn(results: _Results) -> dict[str, pd.DataFrame]:
    """What the report draws of boosting."""
    found = {kind: results.predicted["gradient boosting", kind] for kind in results.trial.training}
    draws = {"drawn_predictions": _predictions}
    if results.task.labels:
        draws = {"drawn_roc": _roc, "drawn_calibration": _reliability}
    return {name: _stacked({kind: draw(results, p) for kind, p in found.items()}) for name, draw in draws.items()}


def _stacked(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(tables, names=["trained_on"]).reset_index("trained_on").reset_index(drop=True)


def _roc(results: _Results, predicted: Matrix) -> pd.DataFrame:
    """The ROC curve of the rarer of two classes, or the mean of those of more (Fawcett 2006, section 8.1)."""
    two = len(results.task.labels) == 2
    classes = [results.rarer] if two else np.unique(results.answers).astype(int).tolist()
    grid = np.linspace(0, 1, POINTS - 1)
    curves = [roc_curve(results.answers == k, predicted[:, k]) for k in classes]
    heights = np.mean([np.interp(grid, false, true) for false, true, _ in curves], axis=0)
    label = results.task.labels[classes[0]] if two else "mean of the classes"
    points = {"false_positive_rate": np.r_[0.0, grid], "true_positive_rate": np.r_[0.0, heights]}
    return pd.DataFrame({"label": label, **points})


def _reliability(results: _Results, predicted: Matrix) -> pd.DataFrame:
    stated, true = results.stated(predicted)
    rows = pd.DataFrame({"predicted": stated, "observed": true.astype(float), "rows": 1})
    how = {"predicted": "mean", "observed": "mean", "rows": "sum"}
    return rows.groupby(bins(stated)).agg(how).reset_index(drop=True)


def _predictions(results: _Results, predicted: Matrix) -> pd.DataFrame:
    rng = np.random.default_rng([results.seed, 14])
    return some(pd.DataFrame({"actual": results.answers, "predicted": predicted}), DRAWN, rng)
