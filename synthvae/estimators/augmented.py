"""A classifier and a regressor that are fitted to synthetic rows together with the real ones."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from synthvae.errors import ConfigurationError, TableError
from synthvae.estimators import containers, pseudo_labels
from synthvae.estimators._sklearn_compat import take_rows
from synthvae.estimators.containers import Labels, Mask
from synthvae.estimators.filters import FILTER, fit_filter
from synthvae.estimators.generator import GENERATOR, JointGenerator
from synthvae.estimators.meta_estimator import (
    CV,
    Augmentation,
    AugmentedEstimator,
    RealRows,
    TrainingSet,
    Weights,
    has,
)
from synthvae.estimators.sampling_strategy import (
    NO_ROWS,
    Amount,
    class_amounts,
    rows_in_total,
    rows_per_class,
    warn_of_few_rows,
)
from synthvae.random_state import Seed
from synthvae.synthesizer.parameters import documented
from synthvae.synthesizer.synthesizer import Synthesizer


@documented(generator=GENERATOR, filter=FILTER, cv=CV)
class AugmentedClassifier(ClassifierMixin, AugmentedEstimator):
    """A classifier that is fitted to synthetic rows together with the real ones.

    The generator is fitted to the rows that `fit` is given and to no others, so that cross-validation remains valid.
    Whether synthetic rows help depends on table and classifier; "auto" tries it, and adds none where they do not.

    Args:
        estimator: The classifier. None: histogram gradient boosting.
        amount: The number of synthetic rows: "auto" (chosen by cross-validation among none, "balance" and 1.0),
            "balance" (as many as bring each class to the largest one), a number (so many per real row) or a mapping
            from class to number of rows.
        {generator, filter}
        calibration: "prior": probabilities and predictions are corrected for the class shares that synthetic rows have
            changed. None: they are those of the estimator. In both cases `CalibratedClassifierCV` can wrap it.
        unlabeled: The value of y that marks a row without a label, in addition to None and NaN. The generator is fitted
            to such rows; the classifier is fitted to each of them once per class, weighted by the probabilities of
            generator and classifier (or, if it has no `sample_weight`, with a label drawn from them). All rows with a
            label together weigh as much as all without, and `amount` refers to both. "auto": -1, as in scikit-learn,
            if the other labels are at least two numbers of at least 0. None: there is no such value.
        {cv}
        scoring: The score that "auto" maximises, by scikit-learn's name. None: ROC AUC (one class against the rest if
            there are several), or balanced accuracy if the estimator has no scores.
        {random_state}

    Attributes:
        estimator_: The fitted classifier.
        generator_: The fitted `Synthesizer`; None if there are no synthetic rows.
        amount_: The amount of synthetic rows.
        choice_: The cross-validation of "auto": `amounts` and their `scores`; None if `amount` was given.
        classes_: The classes.
        n_features_in_, feature_names_in_: Number and, for a table, names of the columns.

    Example:
        >>> from sklearn.datasets import load_wine
        >>> from synthvae import Synthesizer
        >>> X, y = load_wine(return_X_y=True)
        >>> generator = Synthesizer(max_steps=50)
        >>> AugmentedClassifier(amount="balance", generator=generator, random_state=0).fit(X, y).score(X, y)
        1.0

    Source of the correction: Saerens, Latinne, Decaestecker 2002, Adjusting the outputs of a classifier to new a priori
    probabilities, equation 2.4, https://doi.org/10.1162/089976602753284446.
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        amount: Amount = "auto",
        generator: Synthesizer | None = None,
        filter: str | None = None,  # noqa: A002 (the term of the field)
        calibration: str | None = None,
        unlabeled: Any = "auto",
        cv: Any = 3,
        scoring: Any = None,
        random_state: Seed = None,
    ) -> None:
        self.estimator, self.amount, self.generator, self.filter = estimator, amount, generator, filter
        self.calibration, self.unlabeled = calibration, unlabeled
        self.cv, self.scoring, self.random_state = cv, scoring, random_state

    def _unfitted(self) -> Any:
        return HistGradientBoostingClassifier(random_state=0) if self.estimator is None else self.estimator

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> Self:
        """Fit to X (rows, columns) and the classes y (rows,).

        Args:
            X: The rows.
            y: Their classes; rows without one are used, too.
            sample_weight: Weights (rows,) for the classifier and the generator, so that synthetic rows of a class are
                drawn as from its weighted rows. Each has the mean weight of its class.
            **params: Parameters of the classifier's `fit`.

        Raises:
            ValueError: X or y is invalid.
        """
        if self.calibration not in (None, "prior"):
            raise ConfigurationError(f'`calibration` must be None or "prior", got {self.calibration!r}.')
        if y is None:
            raise TableError("AugmentedClassifier requires y to be passed, but the target y is None.")
        labelled = ~containers.unlabelled(y, self.unlabeled)
        if not labelled.any():
            raise TableError("y must have a label in at least one row, got none.")
        labels = containers.class_labels(y if labelled.all() else _rows_of(y, labelled), warn=True)
        real, training_set = self._fit(X, labels, sample_weight, params, labelled)
        warn_of_few_rows(self._synthetic_rows(self.amount_, real), real.y)
        self.classes_ = self.estimator_.classes_
        self._ratios = real.training_set.shares(self.classes_) / training_set.shares(self.classes_)
        return self

    def _candidates(self, y: Labels) -> list[Amount]:
        return class_amounts(y)

    def _synthetic_rows(self, amount: Amount, real: RealRows) -> dict[Any, int]:
        return rows_per_class(amount, real.y, real.expansion)

    def _pseudo_labelled(
        self, real: RealRows, generator: JointGenerator, fit_params: dict[str, Any], seed: int
    ) -> TrainingSet:
        """Each row once per class, with weights; for an estimator without weights, with a label that is drawn."""
        classes = np.unique(real.y)
        classifier = self._fit_estimator(real.training_set, fit_params)
        logs = [
            generator.log_posterior(real.unlabelled, real.y),
            pseudo_labels.log_probabilities_of(classifier, real.unlabelled_rows, classes),
        ]
        probabilities = pseudo_labels.pooled([each for each in logs if each is not None])
        if not has_fit_parameter(self._unfitted(), "sample_weight"):
            labels = pseudo_labels.drawn(probabilities, classes, np.random.default_rng(seed))
            return TrainingSet(real.unlabelled_rows, labels, None)
        indices, labels, weights = pseudo_labels.spread(probabilities, classes)
        mean = 1.0 if real.weights is None else real.weights.mean()
        return TrainingSet(take_rows(real.unlabelled_rows, indices), labels, mean * weights)

    def _generator_target(self, y: Labels) -> pd.Series:
        return pd.Series(y).astype("category")

    def _draw(self, augmentation: Augmentation, rows: Any, seed: int) -> tuple[pd.DataFrame, Labels, Weights | None]:
        real, generator = augmentation.real, augmentation.generator
        assert generator is not None
        accept = fit_filter(self.filter, generator, real.features, real.y, seed)
        drawn, labels = generator.sample_filtered(rows, seed, accept)
        if real.weights is None:
            return drawn, labels, None
        means = {label: real.weights[real.y == label].mean() for label in np.unique(real.y)}
        return drawn, labels, np.array([means[label] for label in labels], np.float64)

    def _folds(self, real: RealRows) -> Any:
        _, counts = np.unique(real.y, return_counts=True)
        if isinstance(self.cv, int) and counts.min() < self.cv:
            return []
        return super()._folds(real)

    def _scoring(self, y: Labels) -> Any:
        if self.scoring is not None:
            return self.scoring
        if len(np.unique(y)) == 2 and any(hasattr(self._unfitted(), m) for m in ("predict_proba", "decision_function")):
            return "roc_auc"
        return "roc_auc_ovr" if hasattr(self._unfitted(), "predict_proba") else "balanced_accuracy"

    @available_if(has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any, **params: Any) -> npt.NDArray[np.float64]:
        """Return the class probabilities (rows, classes) of X (rows, columns)."""
        check_is_fitted(self)
        found = np.asarray(self.estimator_.predict_proba(X, **self._params_of("predict_proba", params)))
        if self.calibration is None:
            return found
        weighted = found * self._ratios
        return np.asarray(weighted / weighted.sum(1, keepdims=True))

    @available_if(has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: Any, **params: Any) -> npt.NDArray[np.float64]:
        """Return the log of `predict_proba`."""
        return np.asarray(np.log(self.predict_proba(X, **params)))

    @available_if(has("decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any, **params: Any) -> Any:
        """Return the scores of the estimator for X (rows, columns)."""
        check_is_fitted(self)
        return self.estimator_.decision_function(X, **self._params_of("decision_function", params))

    def predict(self, X: Any, **params: Any) -> Any:
        """Return the classes (rows,) of X (rows, columns)."""
        check_is_fitted(self)
        if self.calibration is None:
            return super().predict(X, **params)
        return self.classes_[self.predict_proba(X, **params).argmax(1)]


@documented(generator=GENERATOR, cv=CV)
class AugmentedRegressor(RegressorMixin, AugmentedEstimator):
    """A regressor that is fitted to synthetic rows together with the real ones; see `AugmentedClassifier`.

    Args:
        estimator: The regressor. None: histogram gradient boosting.
        amount: The number of synthetic rows: "auto" (chosen by cross-validation between none and 1.0) or a number (so
            many per real row).
        {generator, cv}
        scoring: The score that "auto" maximises, by scikit-learn's name. None: the coefficient of determination.
        {random_state}

    Attributes:
        estimator_: The fitted regressor.
        generator_, amount_, choice_, n_features_in_, feature_names_in_: As of `AugmentedClassifier`.

    Example:
        >>> from sklearn.datasets import load_diabetes
        >>> from synthvae import Synthesizer
        >>> X, y = load_diabetes(return_X_y=True)
        >>> model = AugmentedRegressor(amount=0.5, generator=Synthesizer(max_steps=50), random_state=0)
        >>> model.fit(X, y).predict(X[:3]).shape
        (3,)
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
        self.estimator, self.amount, self.generator = estimator, amount, generator
        self.cv, self.scoring, self.random_state = cv, scoring, random_state

    def _unfitted(self) -> Any:
        return HistGradientBoostingRegressor(random_state=0) if self.estimator is None else self.estimator

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> Self:
        """Fit to X (rows, columns) and the numbers y (rows,).

        Args:
            X: The rows.
            y: Their targets.
            sample_weight: Weights (rows,) for the regressor and the generator; each synthetic row has their mean.
            **params: Parameters of the regressor's `fit`.

        Raises:
            ValueError: X or y is invalid.
        """
        numbers = containers.target_numbers(y)
        self._fit(X, numbers, sample_weight, params, np.ones(len(numbers), bool))
        return self

    def _candidates(self, y: Labels) -> list[Amount]:
        del y
        return [NO_ROWS, 1.0]

    def _synthetic_rows(self, amount: Amount, real: RealRows) -> int:
        return rows_in_total(amount, real.y)

    def _draw(self, augmentation: Augmentation, rows: Any, seed: int) -> tuple[pd.DataFrame, Labels, Weights | None]:
        assert augmentation.generator is not None
        drawn, y = augmentation.generator.sample(rows, seed)
        weights = augmentation.real.weights
        return drawn, y, None if weights is None else np.full(len(y), weights.mean())


def _rows_of(y: Any, labelled: Mask) -> Labels:
    """The labels of some rows, in the dtype that they have without the missing ones."""
    return np.asarray(take_rows(containers.plain(y), np.flatnonzero(labelled)))
