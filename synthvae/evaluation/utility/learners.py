"""Prediction tasks, predictive models, and scores with standard errors.

Shapes: N rows, C features, K classes.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from synthvae.errors import listing
from synthvae.evaluation.comparison import Comparison, Matrix, codes, shuffle_columns, subsample
from synthvae.evaluation.disclosure.risk import Z

MOST_ROWS = 20_000  # to train a model; a forest uses half as many
MOST_TESTED = 10_000
MOST_CELLS = 600_000  # to train a model, so fewer rows of wide tables
MOST_CLASSES = 30
MOST_CATEGORIES = 255  # of a column, the limit of gradient boosting; the rarest are combined
WIDE = 100  # columns; of wider tables, each split of boosting considers so many columns
LEAST_ROWS = 10  # to train or test a model

Vector = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def interval(value: float, deviation: float, low: float = 0.0, high: float = 1.0) -> tuple[float, float]:
    """Return the normal 95% confidence interval, clipped to the range of the metric."""
    return max(value - Z * deviation, low), min(value + Z * deviation, high)


@dataclass(frozen=True)
class Score:
    """A score with the influence of each test row.

    Args:
        value: The score.
        influence: Influence of each test row (N,), with mean zero. The variance of the score is their mean square
            divided by N (infinitesimal jackknife: Efron 1982, The Jackknife, the Bootstrap and Other Resampling Plans,
            chapter 6, https://doi.org/10.1137/1.9781611970319).
    """

    value: float
    influence: Vector

    @property
    def deviation(self) -> float:
        """Standard error."""
        return float(np.sqrt(np.sum(self.influence**2)) / max(len(self.influence), 1))

    @classmethod
    def mean(cls, scores: Sequence[Score]) -> Score:
        """Return the mean of scores on the same rows."""
        return cls(float(np.mean([s.value for s in scores])), np.mean([s.influence for s in scores], axis=0))

    def minus(self, other: Score) -> Score:
        """Return the difference of two scores on the same rows."""
        return Score(self.value - other.value, self.influence - other.influence)

    def over(self, other: Score) -> Score:
        """Return the ratio of two scores on the same rows, by the delta method."""
        ratio = self.value / other.value
        return Score(ratio, (self.influence - ratio * other.influence) / other.value)


def roc_auc(positive: Mask, predicted: Vector) -> Score:
    """Return the area under the ROC curve of predictions (N,) for positive rows (N,); ties count one half.

    Source: DeLong, DeLong and Clarke-Pearson 1988, https://doi.org/10.2307/2531595; by ranks as in Sun and Xu 2014,
    https://doi.org/10.1109/LSP.2014.2337313.
    """
    places = np.empty(len(predicted))
    ranks = rankdata(predicted)
    for of, others in ((positive, ~positive), (~positive, positive)):
        places[of] = (ranks[of] - rankdata(predicted[of])) / others.sum()
    places[~positive] = 1 - places[~positive]
    area = float(places[positive].mean())
    shares = np.where(positive, positive.mean(), 1 - positive.mean())
    return Score(area, (places - area) / shares)


def r_squared(actual: Vector, predicted: Vector) -> Score:
    """Return R2: the share of the variance of numbers (N,) that predictions (N,) explain."""
    errors, spread = (actual - predicted) ** 2, (actual - actual.mean()) ** 2
    left = errors.mean() / spread.mean()
    return Score(float(1 - left), (left * spread - errors) / spread.mean())


@dataclass(frozen=True)
class PredictionTask:
    """Prediction of a target from the other columns.

    Args:
        target: Name of the target.
        labels: Classes of the target, most frequent first; empty for a number.
        columns: Names of the features.
        categorical: Whether each feature is categorical.
    """

    target: str
    labels: tuple[str, ...]
    columns: tuple[str, ...]
    categorical: tuple[bool, ...]

    @classmethod
    def from_comparison(cls, comparison: Comparison) -> PredictionTask:
        """Return the prediction task of the comparison's target."""
        target = comparison.target
        assert target is not None
        columns = tuple(name for name in comparison.kinds if name != target)
        labels: tuple[str, ...] = ()
        if comparison.has_classes:
            counts = comparison.real[target].value_counts(sort=False)
            labels = tuple(map(str, counts.index[counts > 0][:MOST_CLASSES]))
        return cls(target, labels, columns, tuple(name in comparison.categorical for name in columns))

    def labelled(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows whose target is one of the classes, or a finite number."""
        values = rows[self.target]
        classes = isinstance(values.dtype, pd.CategoricalDtype)
        return rows[values.isin(self.labels) if classes else np.isfinite(values)].reset_index(drop=True)

    def features(self, rows: pd.DataFrame) -> Matrix:
        """Return the features (N, C) of rows: codes of categories, NaN for missing values."""
        values = codes(rows[list(self.columns)])
        values[~np.isfinite(values)] = np.nan
        return np.where(self.categorical, np.minimum(values, MOST_CATEGORIES - 1), values)

    def answers(self, rows: pd.DataFrame) -> Vector:
        """Return the target (N,) of labelled rows: codes of classes, or numbers."""
        values = rows[self.target]
        return np.asarray(values.cat.set_categories(self.labels).cat.codes if self.labels else values, np.float64)

    def fit(self, model: Any, rows: pd.DataFrame) -> Any:
        """Fit a model to labelled rows; if there is only one class, it predicts that class."""
        features, answers = self.features(rows), self.answers(rows)
        features[:, np.isnan(features).all(axis=0)] = 0  # boosting cannot bin a column without a value
        if self.labels and len(np.unique(answers)) < 2:
            model = DummyClassifier()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # an approximate optimum suffices to compare models
            return model.fit(features, answers)

    def predict(self, model: Any, features: Matrix) -> Matrix:
        """Return class probabilities (N, K), zero for classes that are not in training; or numbers (N,)."""
        if not self.labels:
            return np.asarray(model.predict(features), np.float64)
        probabilities = np.zeros((len(features), len(self.labels)))
        probabilities[:, model.classes_.astype(int)] = model.predict_proba(features)
        return probabilities

    def score(self, answers: Vector, predicted: Matrix) -> Score:
        """Return the mean one-vs-rest ROC AUC over the classes, or R2; higher is better.

        Only classes among the answers (N,) count; a class that is never predicted has an area of one half.
        """
        if not self.labels:
            return r_squared(answers, predicted)
        return Score.mean([roc_auc(answers == k, predicted[:, int(k)]) for k in np.unique(answers)])

    def can_score(self, rows: pd.DataFrame) -> bool:
        """Return whether the rows have at least two different values of the target."""
        return len(np.unique(self.answers(rows))) > 1


def boosting(task: PredictionTask, seed: int) -> Any:
    """Return histogram gradient boosting with native categorical splits."""
    kind = HistGradientBoostingClassifier if task.labels else HistGradientBoostingRegressor
    # Each prediction encodes the categories again, which takes longer than the trees if there are many columns.
    categories = list(task.categorical) if len(task.columns) <= WIDE else None
    rounds = int(np.clip(200 // max(len(task.labels), 1), 10, 100))  # one tree per class in each
    # Early stopping needs a validation split with each class twice, which rare classes do not have.
    steps = {"max_iter": rounds, "early_stopping": False, "max_features": min(1.0, WIDE / max(len(task.columns), 1))}
    return kind(categorical_features=categories, random_state=seed % 2**32, **steps)


def linear(task: PredictionTask, seed: int) -> Any:
    """Return logistic or ridge regression."""
    model = LogisticRegression(max_iter=200, tol=1e-3) if task.labels else Ridge(random_state=seed % 2**32)
    return make_pipeline(design(task.categorical), model)


def forest(task: PredictionTask, seed: int) -> Any:
    """Return a random forest of a hundred trees."""
    kind = RandomForestClassifier if task.labels else RandomForestRegressor
    features = "sqrt" if task.labels else 1 / 3
    return kind(n_estimators=100, min_samples_leaf=5, max_features=features, random_state=seed % 2**32)


def design(categorical: Sequence[bool]) -> ColumnTransformer:
    """Return an encoder of features (N, C): one-hot categories; numbers imputed, scaled, with missing indicators."""
    places = np.arange(len(categorical))
    kinds = np.asarray(categorical, bool)
    ones = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=50)
    numbers = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True), StandardScaler()
    )
    return ColumnTransformer([("categories", ones, places[kinds]), ("numbers", numbers, places[~kinds])])


def split(comparison: Comparison, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame, tuple[str, ...]]:
    """Return real rows to train on, real rows to test on, and a note if the generator was trained on the latter."""
    if comparison.holdout is not None:
        return comparison.real, comparison.holdout, ()
    test, training = comparison.split(1 / 3, rng)
    note = "There is no holdout: models were tested on a third of the real rows, which the generator was trained on."
    return training, test, (note,)


@dataclass(frozen=True)
class TrainTestData:
    """A prediction task with training and test rows.

    Args:
        task: The task.
        test: Labelled real rows.
        training: Labelled rows to train on: "real", "synthetic" and "independent" (shuffled columns).
        notes: Limitations of the rows.
    """

    task: PredictionTask
    test: pd.DataFrame
    training: Mapping[str, pd.DataFrame]
    notes: tuple[str, ...]

    @classmethod
    def from_comparison(cls, comparison: Comparison, seed: int, most: int = MOST_ROWS) -> TrainTestData:
        """Return the data for a comparison's target, with at most `most` rows to train on."""
        rng = np.random.default_rng([seed, 11])
        task = PredictionTask.from_comparison(comparison)
        real, test, notes = split(comparison, rng)
        real, synthetic = task.labelled(real), task.labelled(comparison.synthetic)
        most = max(min(most, MOST_CELLS // max(len(task.columns), 1)), LEAST_ROWS)
        shuffled = shuffle_columns(real, min(len(synthetic), most) if len(real) else 0, rng)
        training = {
            "real": subsample(real, most, rng),
            "synthetic": subsample(synthetic, most, rng),
            "independent": shuffled,
        }
        test = subsample(task.labelled(test), MOST_TESTED, rng)
        return cls(task, test, training, (*notes, *_class_notes(task, comparison)))

    @property
    def obstacle(self) -> str | None:
        """Reason why no model can be trained or tested, in one sentence; None: there is none."""
        sizes = {"real": self.training["real"], "synthetic": self.training["synthetic"], "test": self.test}
        few = [name for name, rows in sizes.items() if len(rows) < LEAST_ROWS]
        named = f"the target {self.task.target!r}"
        if few:
            return f"Utility was not measured: less than {LEAST_ROWS} {' and '.join(few)} rows have a value of {named}."
        if not self.task.columns:
            return f"Utility was not measured: there is no column besides {named}."
        flat = [name for name in ("real", "test") if not self.task.can_score(sizes[name])]
        if flat:
            return f"Utility was not measured: all {' and all '.join(flat)} rows have the same value of {named}."
        return None


def _class_notes(task: PredictionTask, comparison: Comparison) -> tuple[str, ...]:
    """Return notes on classes that are not in all of the tables."""
    if not task.labels:
        return ()
    notes = []
    found = set(comparison.synthetic[task.target].dropna())
    absent = [label for label in task.labels if label not in found]
    if found and absent:
        notes.append(f"The synthetic rows have none of the classes {listing(absent)}, which are scored as chance.")
    rest = comparison.real[task.target].nunique() - len(task.labels)
    if rest:
        notes.append(
            f"Only the {MOST_CLASSES} most frequent classes were predicted; {rest} rarer classes were left out."
        )
    return tuple(notes)
