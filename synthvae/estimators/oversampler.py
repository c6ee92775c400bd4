"""Over-sampling with a VAE, for imbalanced-learn's pipelines and on its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin
from sklearn.utils import InputTags, Tags, TargetTags
from sklearn.utils.validation import check_consistent_length

from synthvae.estimators import containers
from synthvae.estimators.filters import Filter, filtered
from synthvae.estimators.generator import Maker
from synthvae.estimators.strategy import Strategy, rows_to_make
from synthvae.random_state import Seed, as_seed
from synthvae.synthesizer.synthesizer import Synthesizer
from synthvae.tables.features import read_features


class VAEOverSampler(OneToOneFeatureMixin, BaseEstimator):
    """Makes rows of scarce classes with a conditional VAE that learns all classes together.

    It has imbalanced-learn's interface, stands in its pipelines, and needs it not. Numbers, strings, categories, dates
    and missing values are taken as they come. The real rows come first and stay as they are.

    Args:
        sampling_strategy: Which classes get rows, as imbalanced-learn has it: "auto" and "not majority" (all but the
            largest, up to its number of rows), "minority", "not minority", "all", or a list of classes; of two
            classes, a number in (0, 1]: the share of the larger that the smaller is brought to; a mapping from class
            to the number of rows it is to have; or a function that returns one for y.
        generator: The `Synthesizer` whose settings are used; None: the usual ones, of at most 200 steps, or 500
            from 2048 rows.
        filter: Which rows made are kept: None (all), "agreement" (those that a classifier of the real rows takes for
            their class) or "likelihood" (those that are no less likely than 95 % of the real rows). A filter makes
            classes sharper than they are: see the guide in examples/augmentation.py before you take one.
        random_state: Seed of everything that is drawn.

    Attributes:
        sampling_strategy_: How many rows were made of which class.
        sample_indices_: Which rows (rows,) of X the first rows of the result are: all of them, in their order.
        generator_: The fitted `Synthesizer`.
        n_features_in_, feature_names_in_: Number and, for a table, names of the columns.

    Example:
        >>> from sklearn.datasets import load_wine
        >>> X, y = load_wine(return_X_y=True)
        >>> sampler = VAEOverSampler(sampling_strategy={0: 100}, generator=Synthesizer(max_steps=50), random_state=0)
        >>> sampler.fit_resample(X, y)[0].shape
        (219, 13)
    """

    def __init__(
        self,
        *,
        sampling_strategy: Strategy = "auto",
        generator: Synthesizer | None = None,
        filter: str | None = None,  # noqa: A002 (the field's name for it)
        random_state: Seed = None,
    ) -> None:
        self.sampling_strategy = sampling_strategy
        self.generator = generator
        self.filter = filter
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Check X (rows, columns) and y (rows,), and find how many rows of each class are to be made."""
        self._checked(X, y)
        return self

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Return X (rows, columns) and y (rows,) with rows made under them, in their containers and dtypes.

        Raises:
            ValueError: X or y cannot be learned, or no such rows can be asked for.
        """
        seed = as_seed(self.random_state)
        features, labels = self._checked(X, y)
        maker = Maker.learn(self.generator, features, pd.Series(labels).astype("category"), seed)
        self.generator_ = maker.synthesizer
        keep: Filter | None = filtered(self.filter, maker, features, labels, seed)
        made, their = maker.make_exactly(self.sampling_strategy_, seed, keep)
        self.sample_indices_ = np.arange(len(labels))
        return containers.stack(X, made), containers.stack_labels(y, their)

    def _checked(self, X: Any, y: Any) -> tuple[Any, npt.NDArray[Any]]:
        labels = containers.class_labels(y)
        features = read_features(self, containers.dense(X), reset=True)
        check_consistent_length(labels, features.column(0))
        self.sampling_strategy_ = rows_to_make(self.sampling_strategy, labels)
        return features, labels

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "sampling_strategy_")

    def __sklearn_tags__(self) -> Tags:
        inputs = _SamplerInputTags(sparse=True, allow_nan=True, string=True, categorical=True)
        return _TagsOfSampler(
            estimator_type="sampler", target_tags=TargetTags(required=True), input_tags=inputs, transformer_tags=None
        )


@dataclass(slots=True)
class _SamplerInputTags(InputTags):
    """What imbalanced-learn asks of the inputs beside what scikit-learn does."""

    dataframe: bool = True


@dataclass(slots=True)
class _SamplerTags:
    """What imbalanced-learn asks of a sampler."""

    sample_indices: bool = True


@dataclass(slots=True)
class _TagsOfSampler(Tags):
    """scikit-learn's tags, and those that imbalanced-learn asks for."""

    sampler_tags: _SamplerTags = field(default_factory=_SamplerTags)
