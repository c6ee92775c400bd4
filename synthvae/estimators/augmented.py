"""Estimators that learn from synthetic rows beside the real ones, as scikit-learn's meta-estimators."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.utils import _safe_indexing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, column_or_1d, has_fit_parameter

from synthvae.errors import ConfigurationError, TableError
from synthvae.estimators import containers, pseudo_labels
from synthvae.estimators.amounts import Amount
from synthvae.estimators.containers import Labels
from synthvae.estimators.filters import filtered
from synthvae.estimators.generator import Maker
from synthvae.estimators.meta import Augmented, Sample, Training, has
from synthvae.random_state import Seed
from synthvae.synthesizer.synthesizer import Synthesizer


class AugmentedClassifier(ClassifierMixin, Augmented):
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
        unlabeled: The value of y that says that a row has no label, as do None and NaN. Such rows are learned by the
            generator, and by the classifier as every class at once, weighed by what generator and classifier say of
            them (one that takes no `sample_weight` is given a label drawn so); all rows with a label weigh as much as
            all without, and the amounts above are meant for both. "auto": -1, as scikit-learn has it, where the other
            labels are two or more numbers from 0; None: there is no such value.
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
            y: Their classes; rows without one are learned, too.
            sample_weight: Weights (rows,) for the classifier; rows made weigh what those of their class do on average,
                and the generator learns all rows that weigh anything alike.
            **params: What the classifier's own `fit` takes.

        Raises:
            ValueError: X or y cannot be learned.
        """
        if self.calibration not in (None, "prior"):
            raise ConfigurationError(f'`calibration` must be None or "prior", however, it is {self.calibration!r}')
        if y is None:
            raise TableError("AugmentedClassifier requires y to be passed, but the target y is None: pass the labels")
        known = ~containers.unlabelled(y, self.unlabeled)
        if not known.any():
            raise TableError("y: some rows must have a label, however, none has: label some")
        labels = containers.class_labels(y if known.all() else _safe_indexing(y, np.flatnonzero(known)), warn=True)
        sample, training = self._fit(X, labels, sample_weight, params, known)
        self.classes_ = self.estimator_.classes_
        real = Training(sample.X, sample.y, sample.weights)
        self._ratios = real.shares(self.classes_) / training.shares(self.classes_)
        return self

    def _guessed(self, sample: Sample, maker: Maker, fixed: dict[str, Any], seed: int) -> Training:
        """Each row as every class, weighed; of an estimator that takes no weights, with a label drawn."""
        classes = np.unique(sample.y)
        alone = self._fitted(Training(sample.X, sample.y, sample.weights), fixed)
        opinions = [
            maker.log_posterior(sample.others, sample.y),
            pseudo_labels.opinion(alone, sample.others_rows, classes),
        ]
        chances = pseudo_labels.pooled([opinion for opinion in opinions if opinion is not None])
        if not has_fit_parameter(self._unfitted(), "sample_weight"):
            return Training(
                sample.others_rows, pseudo_labels.drawn(chances, classes, np.random.default_rng(seed)), None
            )
        places, labels, weights = pseudo_labels.spread(chances, classes)
        usual = 1.0 if sample.weights is None else sample.weights.mean()
        return Training(_safe_indexing(sample.others_rows, places), labels, usual * weights)

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

    @available_if(has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any, **params: Any) -> npt.NDArray[np.float64]:
        """Return the probabilities (rows, classes) of X (rows, columns)."""
        check_is_fitted(self)
        found = np.asarray(self.estimator_.predict_proba(X, **self._passed("predict_proba", params)))
        if self.calibration is None:
            return found
        weighed = found * self._ratios
        return np.asarray(weighed / weighed.sum(1, keepdims=True))

    @available_if(has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: Any, **params: Any) -> npt.NDArray[np.float64]:
        """Return the log of `predict_proba`."""
        return np.asarray(np.log(self.predict_proba(X, **params)))

    @available_if(has("decision_function"))  # type: ignore[untyped-decorator]
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


class AugmentedRegressor(RegressorMixin, Augmented):
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
        self._fit(X, numbers, sample_weight, params, np.ones(len(numbers), bool))
        return self
