"""Estimators that learn from synthetic rows beside the real ones, as scikit-learn's meta-estimators."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils import Tags, _safe_indexing, get_tags
from sklearn.utils._metadata_requests import _routing_enabled
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
)

from synthvae.errors import ConfigurationError, TableError
from synthvae.estimators import containers
from synthvae.estimators.amounts import Amount, Asked, Choice, candidates, choose, is_nothing, rows_asked
from synthvae.estimators.filters import filtered
from synthvae.estimators.making import Maker
from synthvae.features import read_features
from synthvae.seeds import Seed, as_seed
from synthvae.synthesizer import Synthesizer

Labels = npt.NDArray[Any]
Places = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Sample:
    """Real rows.

    Args:
        X: As the user has it (rows, columns).
        features: The same as a table.
        y: Their targets (rows,).
        weights: Their weights (rows,), if there are.
        others: Rows without a target (others, columns), from which the generator learns, too.
    """

    X: Any
    features: pa.Table
    y: Labels
    weights: npt.NDArray[np.float64] | None
    others: pa.Table

    def take(self, places: Places) -> Sample:
        """Return some of the rows, and all others."""
        weights = None if self.weights is None else self.weights[places]
        return Sample(_safe_indexing(self.X, places), self.features.take(places), self.y[places], weights, self.others)

    @property
    def times(self) -> float:
        """How many rows there are for each that has a target."""
        return 1 + float(self.others.num_rows / len(self.y))


def _has(method: str) -> Callable[[Any], bool]:
    def check(self: _Augmented) -> bool:
        getattr(self.estimator_ if hasattr(self, "estimator_") else self._unfitted(), method)
        return True

    return check


class _Augmented(MetaEstimatorMixin, BaseEstimator):
    """What classifiers and regressors share."""

    estimator: Any
    amount: Amount
    generator: Synthesizer | None
    filter: str | None
    cv: Any
    scoring: Any
    random_state: Seed
    _classes = False

    @abstractmethod
    def _unfitted(self) -> Any:
        """The estimator that learns."""

    def _fit(self, X: Any, y: Labels, sample_weight: Any, params: dict[str, Any], known: Mask) -> Self:
        """Learn rows X (rows, columns), of which those that are `known` (rows,) have targets y (known rows,)."""
        seed = as_seed(self.random_state)
        X = containers.indexable(X, get_tags(self._unfitted()).input_tags)
        features = read_features(self, containers.dense(X), reset=True)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        if weights is not None and not weights.any():
            raise ConfigurationError("Sample weights must not all be zero: give some rows a weight")
        check_consistent_length(features.column(0), known)
        whole = Sample(X, features, known, weights, features.filter(~known))
        sample, fixed = replace(whole.take(np.flatnonzero(known)), y=y), self._routed(weights, params)
        self.choice_ = self._chosen(sample, fixed, seed) if self._is_auto else None
        self.amount_ = self.amount if self.choice_ is None else self.choice_.best
        maker = self._maker(sample, [self.amount_], seed)
        self.generator_ = None if maker is None else maker.synthesizer
        self.estimator_ = self._fitted(sample, maker, self.amount_, fixed, seed)
        return self

    @property
    def _is_auto(self) -> bool:
        return isinstance(self.amount, str) and self.amount == "auto"

    def _routed(self, weights: Any, params: dict[str, Any]) -> dict[str, Any]:
        """What the estimator's `fit` is passed beside X, y and weights."""
        if _routing_enabled():
            routed = process_routing(self, "fit", sample_weight=weights, **params)
            return {name: value for name, value in routed.estimator.fit.items() if name != "sample_weight"}
        return params

    def _chosen(self, sample: Sample, fixed: dict[str, Any], seed: int) -> Choice:
        """Score amounts by cross-validation: each fold's generator learns from its training rows alone."""
        score = check_scoring(self._unfitted(), self._scoring(sample.y))
        amounts = candidates(sample.y, classes=self._classes)

        def scored(fold: tuple[Places, Places], amounts: list[Amount]) -> list[float]:
            train, test = (sample.take(places) for places in fold)
            maker = self._maker(train, amounts, seed)
            return [float(score(self._fitted(train, maker, a, fixed, seed), test.X, test.y)) for a in amounts]

        return choose(amounts, list(self._folds(sample)), scored)

    def _folds(self, sample: Sample) -> Any:
        return check_cv(self.cv, sample.y, classifier=self._classes).split(np.zeros(len(sample.y)), sample.y)

    def _scoring(self, y: Labels) -> Any:
        """The score that "auto" maximises."""
        del y
        return self.scoring

    def _maker(self, sample: Sample, amounts: list[Amount], seed: int) -> Maker | None:
        """What learned the rows that weigh anything, if one of the amounts needs rows."""
        used = sample if sample.weights is None else sample.take(np.flatnonzero(sample.weights > 0))
        if all(is_nothing(self._asked(amount, used)) for amount in amounts):
            return None
        features = pa.concat_tables([used.features, used.others])
        return Maker.learn(self.generator, features, self._learned(used.y).reindex(range(len(features))), seed)

    def _asked(self, amount: Amount, sample: Sample) -> Asked:
        """How many rows are to be made for a sample."""
        return rows_asked(amount, sample.y, classes=self._classes, times=sample.times)

    def _learned(self, y: Labels) -> pd.Series:
        """What the generator learns of y (rows,)."""
        return pd.Series(y)

    def _fitted(self, sample: Sample, maker: Maker | None, amount: Amount, fixed: dict[str, Any], seed: int) -> Any:
        """Fit a copy of the estimator to real rows and an amount of those made."""
        asked = self._asked(amount, sample)
        X, y, weights = sample.X, sample.y, sample.weights
        if maker is not None and not is_nothing(asked):
            made, their = self._made(sample, maker, asked, seed)
            X, y = containers.stack(X, made), containers.stack_labels(y, their)
            weights = None if weights is None else np.append(weights, _usual(sample, their, by_class=self._classes))
        return clone(self._unfitted()).fit(X, y, **fixed, **({} if weights is None else {"sample_weight": weights}))

    def _made(self, sample: Sample, maker: Maker, asked: Any, seed: int) -> tuple[pd.DataFrame, Labels]:
        """Rows made (rows, columns) and their y (rows,)."""
        del sample
        return maker.make(asked, seed)

    def predict(self, X: Any, **params: Any) -> Any:
        """Return what the estimator predicts (rows,) of X (rows, columns)."""
        check_is_fitted(self)
        return self.estimator_.predict(X, **self._passed("predict", params))

    def _passed(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """What the estimator's `method` is passed beside X."""
        if params and _routing_enabled():
            return dict(process_routing(self, method, **params).estimator[method])
        return params

    def get_metadata_routing(self) -> MetadataRouter:
        """Return how metadata are routed: what the estimator asks for goes there; `sample_weight` is used here, too."""
        mapping = MethodMapping()
        for method in ("fit", "predict", "predict_proba", "predict_log_proba", "decision_function"):
            mapping.add(caller=method, callee=method)
        router = MetadataRouter(owner=type(self).__name__)
        return router.add_self_request(self).add(estimator=self._unfitted(), method_mapping=mapping)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimator_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inner = get_tags(self._unfitted()).input_tags
        tags.input_tags.allow_nan, tags.input_tags.sparse = inner.allow_nan, inner.sparse
        tags.input_tags.string, tags.input_tags.categorical = inner.string, inner.categorical
        return tags


def _usual(sample: Sample, made: Labels, *, by_class: bool) -> npt.NDArray[np.float64]:
    """The weights (rows,) of rows made: the mean of the real ones of their class."""
    assert sample.weights is not None
    if not by_class:
        return np.full(len(made), sample.weights.mean())
    means = {label: sample.weights[sample.y == label].mean() for label in np.unique(sample.y)}
    return np.array([means[label] for label in made], np.float64)


class AugmentedClassifier(ClassifierMixin, _Augmented):
    """A classifier that learns from synthetic rows beside the real ones.

    The generator learns the rows that `fit` is given, and no others, so that cross-validation stays honest. Whether
    rows that were made help is a matter of table and classifier; "auto" tries it, and takes none where they do not.

    Args:
        estimator: The classifier; None: histogram gradient boosting.
        amount: How many rows are made: "auto" (chosen by cross-validation among none, "balance" and 1.0), "balance" (as
            many as bring each class to the largest), a number (so many for each real row) or a mapping from class to
            number of rows.
        generator: The `Synthesizer` whose settings are used; None: the usual ones, of at most 200 steps, or 500
            from 2048 rows.
        filter: Which rows made are kept, see `VAEOverSampler`.
        calibration: "prior": probabilities and predictions are corrected for the classes' shares, which rows made have
            changed; None: they are those of the estimator. Either way, `CalibratedClassifierCV` can be put around it.
        unlabeled: The value of y that says that a row has no label, as do None and NaN: such rows are learned by the
            generator, and the amounts above are then meant for all rows. "auto": -1, as scikit-learn has it, where the
            other labels are two or more numbers from 0; None: there is no such value.
        cv: Folds of "auto": a number, or a splitter of scikit-learn.
        scoring: What "auto" maximises, as scikit-learn names it; None: ROC AUC, of one class against the rest each, or
            balanced accuracy where there are no scores.
        random_state: Seed of everything that is drawn.

    Attributes:
        estimator_: The fitted classifier.
        generator_: The fitted `Synthesizer`; None if no row was made.
        amount_: The amount of rows made.
        choice_: What cross-validation said of amounts, if it was asked: `amounts` and their `scores`.
        classes_: The classes.
        n_features_in_, feature_names_in_: Number and, for a table, names of the columns.

    Example:
        >>> from sklearn.datasets import load_wine
        >>> X, y = load_wine(return_X_y=True)
        >>> generator = Synthesizer(max_steps=50)
        >>> AugmentedClassifier(amount="balance", generator=generator, random_state=0).fit(X, y).score(X, y)
        1.0

    Source of the correction: Saerens, Latinne, Decaestecker 2002, Adjusting the outputs of a classifier to new a priori
    probabilities, equation 2.4, https://doi.org/10.1162/089976602753284446.
    """

    _classes = True

    def __init__(
        self,
        estimator: Any = None,
        *,
        amount: Amount = "auto",
        generator: Synthesizer | None = None,
        filter: str | None = None,  # noqa: A002 (the field's name for it)
        calibration: str | None = None,
        unlabeled: Any = "auto",
        cv: Any = 3,
        scoring: Any = None,
        random_state: Seed = None,
    ) -> None:
        self.estimator = estimator
        self.amount = amount
        self.generator = generator
        self.filter = filter
        self.calibration = calibration
        self.unlabeled = unlabeled
        self.cv = cv
        self.scoring = scoring
        self.random_state = random_state

    def _unfitted(self) -> Any:
        return HistGradientBoostingClassifier(random_state=0) if self.estimator is None else self.estimator

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> Self:
        """Learn X (rows, columns) and the classes y (rows,).

        Args:
            X: The rows.
            y: Their classes; rows without one are learned, too, by the generator alone.
            sample_weight: Weights (rows,) for the classifier; rows made weigh what those of their class do on average,
                and the generator learns all rows that weigh anything alike.
            **params: What the classifier's own `fit` takes.

        Raises:
            ValueError: X or y cannot be learned.
        """
        if self.calibration not in (None, "prior"):
            raise ConfigurationError(f'`calibration` must be None or "prior", however, it is {self.calibration!r}')
        known = ~containers.unlabelled(y, self.unlabeled)
        if not known.any():
            raise TableError("y: some rows must have a label, however, none has: label some")
        labels = containers.class_labels(y if known.all() else _safe_indexing(y, np.flatnonzero(known)), warn=True)
        self.classes_ = np.unique(labels)
        self._fit(X, labels, sample_weight, params, known)
        self._ratios = self._shares(labels, len(known) / len(labels))
        return self

    def _shares(self, y: Labels, times: float) -> npt.NDArray[np.float64]:
        """The share (classes,) of each class among real rows over that among those learned."""
        real = np.array([np.sum(y == label) for label in self.classes_], float)
        asked = rows_asked(self.amount_, y, classes=True, times=times)
        assert isinstance(asked, dict)
        learned = real + [asked.get(label, 0) for label in self.classes_.tolist()]
        return np.asarray((real / real.sum()) / (learned / learned.sum()))

    def _learned(self, y: Labels) -> pd.Series:
        return pd.Series(y).astype("category")

    def _made(self, sample: Sample, maker: Maker, asked: Any, seed: int) -> tuple[pd.DataFrame, Labels]:
        keep = filtered(self.filter, maker, sample.features, sample.y, seed)
        return maker.make_exactly(asked, seed, keep)

    def _folds(self, sample: Sample) -> Any:
        _, counts = np.unique(sample.y, return_counts=True)
        if isinstance(self.cv, int) and counts.min() < self.cv:
            return []
        return super()._folds(sample)

    def _scoring(self, y: Labels) -> Any:
        if self.scoring is not None:
            return self.scoring
        if len(np.unique(y)) == 2 and any(hasattr(self._unfitted(), m) for m in ("predict_proba", "decision_function")):
            return "roc_auc"
        return "roc_auc_ovr" if hasattr(self._unfitted(), "predict_proba") else "balanced_accuracy"

    @available_if(_has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any, **params: Any) -> npt.NDArray[np.float64]:
        """Return the probabilities (rows, classes) of X (rows, columns)."""
        check_is_fitted(self)
        found = np.asarray(self.estimator_.predict_proba(X, **self._passed("predict_proba", params)))
        if self.calibration is None:
            return found
        weighed = found * self._ratios
        return np.asarray(weighed / weighed.sum(1, keepdims=True))

    @available_if(_has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: Any, **params: Any) -> npt.NDArray[np.float64]:
        """Return the log of `predict_proba`."""
        return np.asarray(np.log(self.predict_proba(X, **params)))

    @available_if(_has("decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any, **params: Any) -> Any:
        """Return the scores of the estimator for X (rows, columns)."""
        check_is_fitted(self)
        return self.estimator_.decision_function(X, **self._passed("decision_function", params))

    def predict(self, X: Any, **params: Any) -> Any:
        """Return the classes (rows,) of X (rows, columns)."""
        check_is_fitted(self)
        if self.calibration is None:
            return super().predict(X, **params)
        return self.classes_[self.predict_proba(X, **params).argmax(1)]


class AugmentedRegressor(RegressorMixin, _Augmented):
    """A regressor that learns from synthetic rows beside the real ones; see `AugmentedClassifier`.

    Args:
        estimator: The regressor; None: histogram gradient boosting.
        amount: How many rows are made: "auto" (chosen by cross-validation between none and 1.0) or a number (so many
            for each real row).
        generator: The `Synthesizer` whose settings are used; None: the usual ones, of at most 200 steps, or 500
            from 2048 rows.
        cv: Folds of "auto": a number, or a splitter of scikit-learn.
        scoring: What "auto" maximises, as scikit-learn names it; None: the coefficient of determination.
        random_state: Seed of everything that is drawn.

    Attributes:
        estimator_: The fitted regressor.
        generator_, amount_, choice_, n_features_in_, feature_names_in_: As of `AugmentedClassifier`.
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        amount: Amount = "auto",
        generator: Synthesizer | None = None,
        cv: Any = 3,
        scoring: Any = None,
        random_state: Seed = None,
    ) -> None:
        self.estimator = estimator
        self.amount = amount
        self.generator = generator
        self.cv = cv
        self.scoring = scoring
        self.random_state = random_state

    def _unfitted(self) -> Any:
        return HistGradientBoostingRegressor(random_state=0) if self.estimator is None else self.estimator

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> Self:
        """Learn X (rows, columns) and the numbers y (rows,); `sample_weight` and `params` as `AugmentedClassifier`.

        Raises:
            ValueError: X or y cannot be learned.
        """
        numbers = np.asarray(column_or_1d(y, warn=True), np.float64)
        return self._fit(X, numbers, sample_weight, params, np.ones(len(numbers), bool))
