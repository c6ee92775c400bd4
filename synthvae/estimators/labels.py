"""Classes of a y that scikit-learn passes."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import type_of_target

from synthvae.columns import MAX_NUMBER_CLASSES
from synthvae.errors import TableError

CONDITION = "y"
QUANTILES = 10  # classes made of a continuous y


def free_name(names: list[str]) -> str:
    """A name for y that no column has."""
    name = CONDITION
    while name in names:
        name += "_"
    return name


def classes(y: Any) -> pd.Series:
    """The labels (rows,) of y; of a continuous one, its tenths.

    Raises:
        TableError: A label is missing, or y has several columns.
    """
    labels = pd.Series(column_or_1d(y, warn=True))
    if labels.isna().any():
        raise TableError(
            f"y must have a label in every row, however, {int(labels.isna().sum())} are missing: drop them"
        )
    few = labels.nunique() <= MAX_NUMBER_CLASSES or not pd.api.types.is_numeric_dtype(labels)
    if few and type_of_target(labels.to_numpy(), input_name="y") in ("binary", "multiclass"):
        return labels.astype("category")
    return pd.qcut(labels, QUANTILES, labels=False, duplicates="drop").astype("category")
