"""Over-sampling with a VAE, on its own or in imbalanced-learn's pipelines."""

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
from synthvae.estimators.filters import FILTER, fit_filter
from synthvae.estimators.generator import GENERATOR, JointGenerator
from synthvae.estimators.sampling_strategy import Strategy, rows_to_make, warn_of_few_rows
from synthvae.random_state import Seed, as_seed
from synthvae.synthesizer.parameters import documented
from synthvae.synthesizer.synthesizer import Synthesizer
from synthvae.tables.features import read_features


@documented(generator=GENERATOR, filter=FILTER)
class VAEOverSampler(OneToOneFeatureMixin, BaseEstimator):
    """Over-sampling of small classes with a conditional VAE that is fitted to all classes together.

    It has imbalanced-learn's interface and works in its pipelines, but does not need it. X may have numbers, strings,
    categories, timestamps and missing values. The real rows come first and do not change. A column that numbers the
    rows goes on in the synthetic ones.

    Args:
        sampling_strategy: The classes that get synthetic rows, as in imbalanced-learn: "auto" or "not majority" (all
            but the largest, up to its number of rows), "minority", "not minority", "all", or a list of classes; for two
            classes a number in (0, 1], the ratio of the smaller to the larger one in the result; a mapping from class
            to its number of rows in the result; or a function that returns one for y.
        {generator, filter, random_state}

    Attributes:
        sampling_strategy_: The number of synthetic rows of each class.
        sample_indices_: The indices (rows,) in X of the first rows of the result: all rows, in their order.
        generator_: The fitted `Synthesizer`.
        n_features_in_, feature_names_in_: Number and, for a table, names of the columns.

    Example:
        >>> from sklearn.datasets import load_wine
        >>> from synthvae import Synthesizer
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
        filter: str | None = None,  # noqa: A002 (the term of the field)
        random_state: Seed = None,
    ) -> None:
        self.sampling_strategy = sampling_strategy
        self.generator = generator
        self.filter = filter
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Validate X (rows, columns) and y (rows,), and compute the number of synthetic rows of each class."""
        self._validated(X, y)
        return self

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Return X (rows, columns) and y (rows,) followed by synthetic rows, in their containers and dtypes.

        Args:
            X: The rows.
            y: Their classes.

        Raises:
            ValueError: X or y is invalid, or the sampling strategy is.
        """
        seed = as_seed(self.random_state)
        features, labels = self._validated(X, y)
        warn_of_few_rows(self.sampling_strategy_, labels)
        generator = JointGenerator.fit(self.generator, features, pd.Series(labels).astype("category"), seed, ids=True)
        self.generator_ = generator.synthesizer
        accept = fit_filter(self.filter, generator, features, labels, seed)
        drawn, drawn_labels = generator.sample_filtered(self.sampling_strategy_, seed, accept)
        self.sample_indices_ = np.arange(len(labels))
        return containers.stack(X, drawn), containers.stack_labels(y, drawn_labels)

    def _validated(self, X: Any, y: Any) -> tuple[Any, npt.NDArray[Any]]:
        labels = containers.class_labels(y)
        features = read_features(self, containers.dense(X), reset=True)
        check_consistent_length(labels, features.column(0))
        self.sampling_strategy_ = rows_to_make(self.sampling_strategy, labels)
        return features, labels

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "sampling_strategy_")

    def __sklearn_tags__(self) -> Tags:
        inputs = _SamplerInputTags(sparse=True, allow_nan=True, string=True, categorical=True)
        return _TagsWithSampler(
            estimator_type="sampler", target_tags=TargetTags(required=True), input_tags=inputs, transformer_tags=None
        )


@dataclass(slots=True)
class _SamplerInputTags(InputTags):
    """scikit-learn's tags of inputs, and the one that imbalanced-learn adds."""

    dataframe: bool = True


@dataclass(slots=True)
class _SamplerTags:
    """imbalanced-learn's tags of a sampler."""

    sample_indices: bool = True


@dataclass(slots=True)
class _TagsWithSampler(Tags):
    """scikit-learn's tags, and those that imbalanced-learn adds."""

    sampler_tags: _SamplerTags = field(default_factory=_SamplerTags)
