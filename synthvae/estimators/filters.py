"""Which of the rows made are kept: a filter is fitted to the real rows that the generator learned, to no others."""

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
from synthvae.estimators.generator import Maker
from synthvae.tables import convert

LEAST_LIKELY = 0.05  # of the real rows: what is less likely than they is not kept
FILTERS = ("agreement", "likelihood")

Filter = Callable[[pd.DataFrame, Labels], Mask]
"""From rows made (rows, columns) and their labels (rows,) to whether each is kept (rows,)."""


def filtered(name: str | None, maker: Maker, features: pa.Table, labels: Labels, seed: int) -> Filter | None:
    """Return the filter `name`, fitted to real features (rows, columns) and their labels (rows,); None keeps all.

    Raises:
        ConfigurationError: There is no such filter.
    """
    if name is None:
        return None
    if name not in FILTERS:
        raise ConfigurationError(f"`filter` must be one of {FILTERS} or None, however, it is {name!r}")
    frame = convert.to_pandas(features)
    return _agreeing(frame, labels, seed) if name == "agreement" else _likely(maker, frame, labels)


def _agreeing(frame: pd.DataFrame, labels: Labels, seed: int) -> Filter:
    """Those that boosting, which learned the real rows, takes for their class."""
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    numbers = make_column_selector(dtype_include="number")
    judge = make_pipeline(
        make_column_transformer(("passthrough", numbers), remainder=codes),
        HistGradientBoostingClassifier(random_state=seed % 2**32, class_weight="balanced"),
    ).fit(frame, labels)
    return lambda made, their: np.asarray(judge.predict(made) == their)


def _likely(maker: Maker, frame: pd.DataFrame, labels: Labels) -> Filter:
    """Those whose bound on log p(x | y) is not below that of all but a few real rows of their class."""
    real = maker.log_likelihood(frame, labels)
    least = {label: np.quantile(real[labels == label], LEAST_LIKELY) for label in np.unique(labels)}
    return lambda made, their: maker.log_likelihood(made, their) >= np.array([least[label] for label in their])
