"""What estimators share that learn from synthetic rows beside the real ones."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils import Tags, _safe_indexing, get_tags
from sklearn.utils._metadata_requests import _routing_enabled
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
)

from synthvae.errors import ConfigurationError
from synthvae.estimators import containers
from synthvae.estimators.amounts import Amount, Asked, Choice, candidates, is_nothing, rows_asked
from synthvae.estimators.containers import Labels, Mask
from synthvae.estimators.generator import Maker
from synthvae.random_state import Seed, as_seed
from synthvae.synthesizer.synthesizer import Synthesizer
from synthvae.tables.features import read_features

Places = npt.NDArray[np.intp]
Weights = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """Real rows.

    Args:
        X: As the user has it (rows, columns).
        features: The same as a table.
        y: Their targets (rows,).
        weights: Their weights (rows,), if there are.
        others: Rows without a target (others, columns), from which the generator learns, too.
        others_rows: The same as the user has them.
    """

    X: Any
    features: pa.Table
    y: Labels
    weights: Weights | None
    others: pa.Table
    others_rows: Any

    def take(self, places: Places) -> Sample:
        """Return some of the rows, and all others."""
        weights = None if self.weights is None else self.weights[places]
        X, features, y = _safe_indexing(self.X, places), self.features.take(places), self.y[places]
        return replace(self, X=X, features=features, y=y, weights=weights)

    @property
    def times(self) -> float:
        """How many rows there are for each that has a target."""
        return 1 + float(self.others.num_rows / len(self.y))


@dataclass(frozen=True)
class Training:
    """What an estimator learns: rows X (rows, columns), their y (rows,) and, if there are, weights (rows,)."""

    X: Any
    y: Labels
    weights: Weights | None

    def shares(self, classes: Labels) -> Weights:
        """Return the share (classes,) of each class, rows weighing what they do."""
        totals = np.array(
            [np.sum((self.y == label) * (1.0 if self.weights is None else self.weights)) for label in classes]
        )
        return np.asarray(totals / totals.sum())

    def under(self, X: Any, y: Labels, weights: Weights | None) -> Training:
        """Return it with more rows under it: a table of those made, or a container as its own."""
        joined = None
        if self.weights is not None or weights is not None:
            parts = ((self.weights, self.y), (weights, y))
            joined = np.concatenate([np.ones(len(t)) if w is None else w for w, t in parts])
        return Training(containers.stack(self.X, X), containers.stack_labels(self.y, y), joined)


@dataclass(frozen=True)
class Stock:
    """Real rows, what learned them, and rows without a label with the labels that were guessed for them."""

    sample: Sample
    maker: Maker | None = None
    guessed: Training | None = None


def has(method: str) -> Callable[[Any], bool]:
    """Whether the estimator has a method, for `available_if`."""

    def check(self: Augmented) -> bool:
        getattr(self.estimator_ if hasattr(self, "estimator_") else self._unfitted(), method)
        return True

    return check


class Augmented(MetaEstimatorMixin, BaseEstimator):
    """What classifiers and regressors share."""

    estimator: Any
    amount: Amount
    generator: Synthesizer | None
    cv: Any
    scoring: Any
    random_state: Seed
    _classes = False

    @abstractmethod
    def _unfitted(self) -> Any:
        """The estimator that learns."""

    def _fit(
        self, X: Any, y: Labels, sample_weight: Any, params: dict[str, Any], known: Mask
    ) -> tuple[Sample, Training]:
        """Learn rows X (rows, columns), of which those that are `known` (rows,) have targets y (known rows,).

        Returns the rows that have a target and weigh anything, and all that the estimator learned.
        """
        seed = as_seed(self.random_state)
        X = containers.indexable(X, get_tags(self._unfitted()).input_tags)
        features = read_features(self, containers.dense(X), reset=True)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        if weights is not None and not weights.any():
            raise ConfigurationError("Sample weights must not all be zero: give some rows a weight")
        check_consistent_length(features.column(0), known)
        first, others = np.flatnonzero(known), np.flatnonzero(~known)
        sample = Sample(
            X=_safe_indexing(X, first),
            features=features.take(first),
            y=y,
            weights=None if weights is None else weights[first],
            others=features.take(others),
            others_rows=_safe_indexing(X, others),
        )
        fixed = self._routed(weights, params)
        if sample.weights is not None:  # a row without weight is not there
            sample = sample.take(np.flatnonzero(sample.weights))
        self.choice_ = self._chosen(sample, fixed, seed) if self._is_auto else None
        self.amount_ = self.amount if self.choice_ is None else self.choice_.best
        stock = self._stock(sample, [self.amount_], fixed, seed)
        self.generator_ = None if stock.maker is None else stock.maker.synthesizer
        training = self._training(stock, self.amount_, seed)
        self.estimator_ = self._fitted(training, fixed)
        return sample, training

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

        scores, ratios = [], []
        for fold in self._folds(sample):
            train, test = (sample.take(places) for places in fold)
            stock = self._stock(train, amounts, fixed, seed)
            ratios.append(len(test.y) / len(train.y))
            fitted = (self._fitted(self._training(stock, amount, seed), fixed) for amount in amounts)
            scores.append([float(score(each, test.X, test.y)) for each in fitted])
        return Choice(amounts, np.array(scores).reshape(-1, len(amounts)).T, float(np.mean(ratios or 0.5)))

    def _folds(self, sample: Sample) -> Any:
        return check_cv(self.cv, sample.y, classifier=self._classes).split(np.zeros(len(sample.y)), sample.y)

    def _scoring(self, y: Labels) -> Any:
        """The score that "auto" maximises."""
        del y
        return self.scoring

    def _stock(self, sample: Sample, amounts: list[Amount], fixed: dict[str, Any], seed: int) -> Stock:
        """Learn the rows, if one of the amounts needs rows, or there are rows without a label."""
        if not len(sample.others) and all(is_nothing(self._asked(amount, sample)) for amount in amounts):
            return Stock(sample)
        features = pa.concat_tables([sample.features, sample.others])
        y = self._learned(sample.y).reindex(range(len(features)))
        maker = Maker.learn(self.generator, features, y, seed)
        return Stock(sample, maker, self._guessed(sample, maker, fixed, seed) if len(sample.others) else None)

    def _guessed(self, sample: Sample, maker: Maker, fixed: dict[str, Any], seed: int) -> Training | None:
        """The rows without a label, with the labels that are guessed for them; None: they are left to the generator."""
        del sample, maker, fixed, seed
        return None

    def _asked(self, amount: Amount, sample: Sample) -> Asked:
        """How many rows are to be made for a sample."""
        return rows_asked(amount, sample.y, classes=self._classes, times=sample.times)

    def _learned(self, y: Labels) -> pd.Series:
        """What the generator learns of y (rows,)."""
        return pd.Series(y)

    def _training(self, stock: Stock, amount: Amount, seed: int) -> Training:
        """Real rows, an amount of those made, and those whose labels were guessed.

        Rows with a label weigh as much, all together, as those without: few would be lost among many.
        """
        sample, asked, guessed = stock.sample, self._asked(amount, stock.sample), stock.guessed
        training = Training(sample.X, sample.y, sample.weights)
        if guessed is not None and guessed.weights is not None:
            usual = np.ones(len(sample.y)) if sample.weights is None else sample.weights
            training = replace(training, weights=usual * len(sample.others) / len(sample.y))
        if guessed is not None:
            training = training.under(guessed.X, guessed.y, guessed.weights)
        if stock.maker is None or is_nothing(asked):
            return training
        made, their = self._made(sample, stock.maker, asked, seed)
        return training.under(
            made, their, None if sample.weights is None else _usual(sample, their, by_class=self._classes)
        )

    def _fitted(self, training: Training, fixed: dict[str, Any]) -> Any:
        """Fit a copy of the estimator."""
        weighed = {} if training.weights is None else {"sample_weight": training.weights}
        return clone(self._unfitted()).fit(training.X, training.y, **fixed, **weighed)

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
