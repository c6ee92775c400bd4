"""The base class of estimators that are fitted to synthetic rows together with the real ones."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, check_cv
from sklearn.utils import Tags, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from synthvae.errors import ConfigurationError, brief
from synthvae.estimators import containers
from synthvae.estimators._sklearn_compat import check_sample_weight, take_rows
from synthvae.estimators.containers import Labels, Mask
from synthvae.estimators.generator import JointGenerator
from synthvae.estimators.sampling_strategy import Amount, AmountSelection
from synthvae.random_state import Seed, as_seed
from synthvae.synthesizer.roles import unit_in
from synthvae.synthesizer.synthesizer import Synthesizer
from synthvae.tables.features import read_features
from synthvae.tables.subjects import units_of

Indices = npt.NDArray[np.intp]
Weights = npt.NDArray[np.float64]

CV = (
    'Folds of the cross-validation with amount="auto": a number, or a splitter of scikit-learn. Rows of one `unit` of '
    "the generator are in one fold."
)
"""Description of the parameter `cv` of estimators."""


@dataclass(frozen=True)
class RealRows:
    """Real rows with a target, and rows without one.

    Args:
        X: The rows with a target in the user's container (rows, columns).
        features: The same as a table.
        y: Their targets (rows,).
        weights: Their weights (rows,); None: all are equal.
        unlabelled: The rows without a target as a table (others, columns); only the generator is fitted to them.
        unlabelled_rows: The same in the user's container.
        unlabelled_weights: The weights (others,) of those; None: all are equal.
    """

    __repr__ = brief

    X: Any
    features: pa.Table
    y: Labels
    weights: Weights | None
    unlabelled: pa.Table
    unlabelled_rows: Any
    unlabelled_weights: Weights | None = None

    def take(self, indices: Indices) -> RealRows:
        """Return some of the rows with a target, and all without."""
        weights = None if self.weights is None else self.weights[indices]
        X, features, y = take_rows(self.X, indices), self.features.take(indices), self.y[indices]
        return replace(self, X=X, features=features, y=y, weights=weights)

    @property
    def generator_weights(self) -> Weights | None:
        """The weights of all rows for the generator; None if they are equal, as most are."""
        if self.weights is None or self.unlabelled_weights is None:
            return None
        weights = np.concatenate([self.weights, self.unlabelled_weights])
        return None if (weights == weights[0]).all() else weights

    @property
    def expansion(self) -> float:
        """The number of rows per row with a target."""
        return 1 + float(self.unlabelled.num_rows / len(self.y))

    @property
    def training_set(self) -> TrainingSet:
        """The rows with a target."""
        return TrainingSet(self.X, self.y, self.weights)


@dataclass(frozen=True)
class TrainingSet:
    """What an estimator is fitted to: X (rows, columns), y (rows,) and, unless None, weights (rows,)."""

    __repr__ = brief

    X: Any
    y: Labels
    weights: Weights | None

    def shares(self, classes: Labels) -> Weights:
        """Return the weighted share (classes,) of each class."""
        totals = np.array(
            [np.sum((self.y == label) * (1.0 if self.weights is None else self.weights)) for label in classes]
        )
        return np.asarray(totals / totals.sum())

    def extended(self, X: Any, y: Labels, weights: Weights | None) -> TrainingSet:
        """Return it with more rows appended; X is a table of synthetic rows, or has the container of `self.X`."""
        joined = None
        if self.weights is not None or weights is not None:
            parts = ((self.weights, self.y), (weights, y))
            joined = np.concatenate([np.ones(len(t)) if w is None else w for w, t in parts])
        return TrainingSet(containers.stack(self.X, X), containers.stack_labels(self.y, y), joined)


@dataclass(frozen=True)
class Augmentation:
    """Real rows, the generator that was fitted to them, and rows without a label with their pseudo-labels."""

    __repr__ = brief

    real: RealRows
    generator: JointGenerator | None = None
    pseudo_labelled: TrainingSet | None = None


def has(method: str) -> Callable[[Any], bool]:
    """Return a check, for `available_if`, that the wrapped estimator has a method."""

    def check(self: AugmentedEstimator) -> bool:
        getattr(self.estimator_ if hasattr(self, "estimator_") else self._unfitted(), method)
        return True

    return check


class AugmentedEstimator(MetaEstimatorMixin, BaseEstimator):
    """A meta-estimator that fits an estimator to real and synthetic rows."""

    estimator: Any
    amount: Amount
    generator: Synthesizer | None
    cv: Any
    scoring: Any
    random_state: Seed

    @abstractmethod
    def _unfitted(self) -> Any:
        """The estimator that is fitted."""

    @abstractmethod
    def _candidates(self, y: Labels) -> list[Amount]:
        """The amounts among which "auto" chooses."""

    @abstractmethod
    def _synthetic_rows(self, amount: Amount, real: RealRows) -> int | dict[Any, int]:
        """The number of synthetic rows, in total or per class."""

    @abstractmethod
    def _draw(self, augmentation: Augmentation, rows: Any, seed: int) -> tuple[pd.DataFrame, Labels, Weights | None]:
        """Synthetic rows (rows, columns), their y (rows,) and, if real rows have any, their weights (rows,)."""

    def _fit(
        self, X: Any, y: Labels, sample_weight: Any, params: dict[str, Any], labelled: Mask
    ) -> tuple[RealRows, TrainingSet]:
        """Fit to X (rows, columns), of which the rows that are `labelled` (rows,) have targets y (labelled rows,).

        Returns the rows with a target and a positive weight, and everything that the estimator was fitted to.
        """
        seed = as_seed(self.random_state)
        X = containers.indexable(X, get_tags(self._unfitted()).input_tags)
        features = read_features(self, containers.dense(X), reset=True)
        weights = self._weights(sample_weight, X)
        check_consistent_length(features.column(0), labelled)
        first, others = np.flatnonzero(labelled), np.flatnonzero(~labelled)
        real = RealRows(
            X=take_rows(X, first),
            features=features.take(first),
            y=y,
            weights=None if weights is None else weights[first],
            unlabelled=features.take(others),
            unlabelled_rows=take_rows(X, others),
            unlabelled_weights=None if weights is None else weights[others],
        )
        fit_params = self._fit_params(weights, params)
        if real.weights is not None:  # rows without weight are excluded, from the generator, too
            real = real.take(np.flatnonzero(real.weights))
        self.choice_ = self._select_amount(real, fit_params, seed) if self._is_auto else None
        self.amount_ = self.amount if self.choice_ is None else self.choice_.best
        augmentation = self._augmentation(real, [self.amount_], fit_params, seed)
        self.generator_ = None if augmentation.generator is None else augmentation.generator.synthesizer
        training_set = self._training_set(augmentation, self.amount_, seed)
        self.estimator_ = self._fit_estimator(training_set, fit_params)
        return real, training_set

    @staticmethod
    def _weights(sample_weight: Any, X: Any) -> Weights | None:
        """Validated weights (rows,).

        Raises:
            ConfigurationError: All of them are zero.
        """
        if sample_weight is None:
            return None
        weights: Weights = check_sample_weight(sample_weight, X, ensure_non_negative=True)
        if not weights.any():
            raise ConfigurationError("Sample weights must not all be zero.")
        return weights

    @property
    def _is_auto(self) -> bool:
        return isinstance(self.amount, str) and self.amount == "auto"

    def _fit_params(self, weights: Any, params: dict[str, Any]) -> dict[str, Any]:
        """Parameters of the estimator's `fit` other than X, y and weights."""
        if _is_routing():
            routed = process_routing(self, "fit", sample_weight=weights, **params)
            return {name: value for name, value in routed.estimator.fit.items() if name != "sample_weight"}
        return params

    def _select_amount(self, real: RealRows, fit_params: dict[str, Any], seed: int) -> AmountSelection:
        """Score amounts by cross-validation; the generator of each fold is fitted to its training rows alone."""
        score = check_scoring(self._unfitted(), self._scoring(real.y))
        amounts = self._candidates(real.y)

        scores, ratios = [], []
        for fold in self._folds(real):
            train, test = (real.take(indices) for indices in fold)
            augmentation = self._augmentation(train, amounts, fit_params, seed)
            ratios.append(len(test.y) / len(train.y))
            fitted = (
                self._fit_estimator(self._training_set(augmentation, amount, seed), fit_params) for amount in amounts
            )
            scores.append([float(score(each, test.X, test.y)) for each in fitted])
        return AmountSelection(amounts, np.array(scores).reshape(-1, len(amounts)).T, float(np.mean(ratios or 0.5)))

    def _folds(self, real: RealRows) -> Any:
        """The folds of the cross-validation; rows of one unit of the generator are in one of them."""
        unit = None if self.generator is None else unit_in(self.generator, real.features)
        groups = None if unit is None else units_of(real.features.column(unit))
        folds = self.cv
        if groups is not None and isinstance(folds, int):
            folds = StratifiedGroupKFold(folds) if is_classifier(self) else GroupKFold(folds)
        return check_cv(folds, real.y, classifier=is_classifier(self)).split(np.zeros(len(real.y)), real.y, groups)

    def _scoring(self, y: Labels) -> Any:
        """The score that "auto" maximises."""
        del y
        return self.scoring

    def _augmentation(
        self, real: RealRows, amounts: list[Amount], fit_params: dict[str, Any], seed: int
    ) -> Augmentation:
        """Fit the generator if an amount needs synthetic rows or there are rows without a label."""
        unlabelled = real.unlabelled.num_rows > 0
        if not unlabelled and not any(_total(self._synthetic_rows(amount, real)) for amount in amounts):
            return Augmentation(real)
        features = pa.concat_tables([real.features, real.unlabelled])
        y = self._generator_target(real.y).reindex(range(len(features)))
        generator = JointGenerator.fit(self.generator, features, y, seed, real.generator_weights)
        return Augmentation(
            real, generator, self._pseudo_labelled(real, generator, fit_params, seed) if unlabelled else None
        )

    def _pseudo_labelled(
        self, real: RealRows, generator: JointGenerator, fit_params: dict[str, Any], seed: int
    ) -> TrainingSet | None:
        """The rows without a label, with pseudo-labels; None: only the generator is fitted to them."""
        del real, generator, fit_params, seed
        return None

    def _generator_target(self, y: Labels) -> pd.Series:
        """The target y (rows,) as the generator models it."""
        return pd.Series(y)

    def _training_set(self, augmentation: Augmentation, amount: Amount, seed: int) -> TrainingSet:
        """Real rows, an amount of synthetic rows, and rows with pseudo-labels.

        If pseudo-labels are weighted, all rows with a label together weigh as much as all rows without: otherwise few
        labels would have little influence.
        """
        real, pseudo_labelled = augmentation.real, augmentation.pseudo_labelled
        rows = self._synthetic_rows(amount, real)
        training_set = real.training_set
        if pseudo_labelled is not None and pseudo_labelled.weights is not None:
            weights = np.ones(len(real.y)) if real.weights is None else real.weights
            training_set = replace(training_set, weights=weights * len(real.unlabelled) / len(real.y))
        if pseudo_labelled is not None:
            training_set = training_set.extended(pseudo_labelled.X, pseudo_labelled.y, pseudo_labelled.weights)
        if augmentation.generator is None or not _total(rows):
            return training_set
        return training_set.extended(*self._draw(augmentation, rows, seed))

    def _fit_estimator(self, training_set: TrainingSet, fit_params: dict[str, Any]) -> Any:
        """Fit a clone of the estimator."""
        weights = {} if training_set.weights is None else {"sample_weight": training_set.weights}
        return clone(self._unfitted()).fit(training_set.X, training_set.y, **fit_params, **weights)

    def predict(self, X: Any, **params: Any) -> Any:
        """Return the predictions (rows,) of the estimator for X (rows, columns)."""
        check_is_fitted(self)
        return self.estimator_.predict(X, **self._params_of("predict", params))

    def _params_of(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Parameters of a method of the estimator other than X."""
        if params and _is_routing():
            return dict(process_routing(self, method, **params).estimator[method])
        return params

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the routing of metadata: to the estimator, and `sample_weight` to this class, too."""
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


def _is_routing() -> bool:
    return bool(get_config()["enable_metadata_routing"])


def _total(rows: int | dict[Any, int]) -> int:
    return sum(rows.values()) if isinstance(rows, dict) else rows
