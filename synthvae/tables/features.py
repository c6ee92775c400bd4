"""Convert the features X of a scikit-learn estimator to a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, validate_data

from synthvae.errors import TableError, listing, warn_user
from synthvae.tables import convert, rowwise


def read_features(estimator: BaseEstimator, X: Any, *, reset: bool, aside: str | None = None) -> pa.Table:
    """Return X as an Arrow table; store (`reset`) or check the number and names of its columns.

    Columns of arrays are named x0, x1, ...; columns of tables are matched by name, in any order. The column `aside` of
    a table is dropped.

    Raises:
        ValueError: X is not two-dimensional, has no rows or columns, or its columns are not those of `fit`.
    """
    if is_array(X):
        array = check_array(X, dtype=None, ensure_all_finite="allow-nan", ensure_min_samples=2 if reset else 1)
        table = convert.read(_frame(array, _names_of_columns(estimator, array, reset=reset)))
        return table.drop_columns([aside]) if aside in table.column_names else table
    table = convert.read(X)
    return _matched(estimator, table.drop_columns([aside]) if aside in table.column_names else table, reset=reset)


def read_private_features(estimator: BaseEstimator, X: Any, *, reset: bool, aside: str | None) -> pa.Table:
    """Return a private X as `read_features` does, but row by row; no row and no number of rows is an error.

    The column `aside` is not a feature: it is part of the result if `reset`, and dropped otherwise.

    Raises:
        ValueError: X is not a table with the columns of `fit`.
    """
    table = rowwise.read(X)
    if is_array(X):
        names = _names_of_columns(estimator, np.empty((1, table.num_columns)), reset=reset)
        return table if names is None else table.rename_columns(list(names))
    features = table.drop_columns([aside]) if aside in table.column_names else table
    matched = _matched(estimator, features, reset=reset)
    return table if reset else matched


def _names_of_columns(estimator: BaseEstimator, array: np.ndarray, *, reset: bool) -> np.ndarray | None:
    """The names that the columns of an array have in `fit`; None: it had none."""
    validate_data(estimator, array, reset=reset, skip_check_array=True)
    return None if reset else getattr(estimator, "feature_names_in_", None)


def _matched(estimator: BaseEstimator, table: pa.Table, *, reset: bool) -> pa.Table:
    """The columns of a table in the order of `fit`."""
    if reset:
        estimator.n_features_in_ = table.num_columns
        estimator.feature_names_in_ = np.array(table.column_names, dtype=object)
        return table
    if hasattr(estimator, "feature_names_in_"):
        return select(table, list(estimator.feature_names_in_))
    if table.num_columns != estimator.n_features_in_:
        raise TableError(
            f"X has {table.num_columns} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input"
        )
    warn_user(f"X has feature names, but {type(estimator).__name__} was fitted without feature names")
    return table.rename_columns([f"x{i}" for i in range(table.num_columns)])


def select(table: pa.Table, names: list[str]) -> pa.Table:
    """Return the columns `names` of `table`, in that order.

    Raises:
        TableError: A column is missing, or there are others.
    """
    absent = [name for name in names if name not in table.column_names]
    unknown = [name for name in table.column_names if name not in names]
    if absent or unknown:
        problems = [f"{listing(absent)} are missing"] * bool(absent) + [f"{listing(unknown)} are new"] * bool(unknown)
        raise TableError(
            f"The feature names should match those that were passed during fit: {' and '.join(problems)}. "
            "Add, drop or rename columns."
        )
    return table.select(names)


def is_array(X: Any) -> bool:
    """Whether NumPy converts X: an array, a list of rows, or a sparse matrix (which is not supported)."""
    table = isinstance(X, (pd.DataFrame, pa.dataset.Dataset, str))
    return not table and not hasattr(X, "__arrow_c_stream__") and not hasattr(X, "__fspath__")


def _frame(array: np.ndarray, names: np.ndarray | None) -> pd.DataFrame:
    columns = [f"x{i}" for i in range(array.shape[1])] if names is None else list(names)
    frame = pd.DataFrame(array, columns=columns)
    return frame.infer_objects() if array.dtype == object else frame
