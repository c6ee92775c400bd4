"""Filters of synthetic rows, fitted to the real rows to which the generator was fitted, and to no others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from synthvae.errors import ConfigurationError
from synthvae.estimators.containers import Labels, Mask
from synthvae.estimators.generator import JointGenerator
from synthvae.tables import convert

QUANTILE = 0.05  # of the likelihoods of real rows, below which synthetic rows are rejected
FILTERS = ("agreement", "likelihood")

FILTER = (
    'Which synthetic rows are used: None (all), "agreement" (those that a classifier of the real rows assigns to their '
    'class) or "likelihood" (those with a likelihood above the 5 % quantile of the real rows). A filter makes classes '
    "more distinct than they are: read the guide in examples/augmentation.py first."
)
"""Description of the parameter `filter` of estimators."""

Filter = Callable[[pd.DataFrame, Labels], Mask]
"""From synthetic rows (rows, columns) and their labels (rows,) to whether each is accepted (rows,)."""


def fit_filter(name: str | None, generator: JointGenerator, features: pa.Table, y: Labels, seed: int) -> Filter | None:
    """Return a filter that is fitted to real features (rows, columns) and labels (rows,); None accepts all rows.

    Raises:
        ConfigurationError: There is no filter of that name.
    """
    if name is None:
        return None
    if name not in FILTERS:
        raise ConfigurationError(f"`filter` must be one of {FILTERS} or None, got {name!r}.")
    frame = convert.to_pandas(features)
    return _by_agreement(frame, y, seed) if name == "agreement" else _by_likelihood(generator, frame, y)


def _by_agreement(frame: pd.DataFrame, y: Labels, seed: int) -> Filter:
    """Accepts rows that gradient boosting, fitted to the real rows, assigns to their class."""
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    numbers = make_column_selector(dtype_include="number")
    classifier = make_pipeline(
        make_column_transformer(("passthrough", numbers), remainder=codes),
        HistGradientBoostingClassifier(random_state=seed % 2**32, class_weight="balanced"),
    ).fit(frame, y)
    return lambda rows, labels: np.asarray(classifier.predict(rows) == labels)


def _by_likelihood(generator: JointGenerator, frame: pd.DataFrame, y: Labels) -> Filter:
    """Accepts rows whose bound on log p(x | y) is at least a low quantile of that of the real rows of their class."""
    real = generator.log_likelihood(frame, y)
    least = {label: np.quantile(real[y == label], QUANTILE) for label in np.unique(y)}
    return lambda rows, labels: generator.log_likelihood(rows, labels) >= np.array([least[label] for label in labels])
