"""Rows and labels in the containers that users pass: made ones are put under real ones, which stay as they are."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from sklearn.preprocessing import label_binarize
from sklearn.utils import InputTags, check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from synthvae.errors import RequestError, TableError
from synthvae.tables import convert
from synthvae.tables.arrow import MAX_NUMBER_CLASSES
from synthvae.tables.features import is_array

Labels = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


def dense(X: Any) -> Any:
    """Return X with all its zeros written out."""
    if sparse.issparse(X):
        return X.toarray()
    if isinstance(X, pd.DataFrame) and any(isinstance(kind, pd.SparseDtype) for kind in X.dtypes):
        return X.astype({name: kind.subtype for name, kind in X.dtypes.items() if isinstance(kind, pd.SparseDtype)})
    return X


def indexable(X: Any, tags: InputTags) -> Any:
    """Return X as a DataFrame, array or CSR matrix, if an estimator with such tags can learn it.

    Raises:
        ValueError: The estimator takes no strings, gaps or sparse matrices, however, X has them.
    """
    if isinstance(X, pd.DataFrame):
        return X
    if not sparse.issparse(X) and not is_array(X):
        return convert.to_pandas(convert.read(X))
    finite = "allow-nan" if tags.allow_nan else True
    kind = None if tags.string else "numeric"
    return check_array(X, accept_sparse=["csr"] if tags.sparse else False, dtype=kind, ensure_all_finite=finite)


def stack(X: Any, made: Any) -> Any:
    """Return the rows of X and under them those `made` (rows, columns of X), in the container and dtype of X.

    Args:
        X: Real rows.
        made: A table, or a container as X.
    """
    if isinstance(X, pd.DataFrame):
        return pd.concat([X, made.set_axis(X.columns, axis=1).astype(X.dtypes)], ignore_index=True)
    if sparse.issparse(X):
        more = made if sparse.issparse(made) else sparse.csr_array(made.to_numpy(X.dtype))
        return sparse.vstack([X, more], format=X.format, dtype=X.dtype)
    if isinstance(X, list):
        return X + made.to_numpy().tolist()
    if isinstance(X, np.ndarray):
        return np.concatenate([X, made if isinstance(made, np.ndarray) else made.to_numpy(X.dtype)])
    whole = convert.to_pandas(convert.read(X))
    return stack(whole, made)


def class_labels(y: Any, *, warn: bool = False) -> Labels:
    """Return the classes (rows,) of y: an array, list, Series, DataFrame of one column, or one-vs-rest indicators.

    Args:
        y: The classes.
        warn: Whether a column where a row is usual is worth a warning.

    Raises:
        RequestError: y has more than one label in a row.
        ValueError: y is not of classes.
    """
    check_classification_targets(y)
    if type_of_target(y).startswith("multilabel") or type_of_target(y) == "multiclass-multioutput":
        indicators = np.asarray(y)
        if type_of_target(y) != "multilabel-indicator" or (indicators.sum(1) != 1).any():
            raise RequestError("Multilabel and multioutput targets are not supported.")
        return np.asarray(indicators.argmax(1))
    return np.asarray(column_or_1d(y, warn=warn))


def unlabelled(y: Any, mark: Any) -> Mask:
    """Return which rows (rows,) of y have no label.

    Args:
        y: The labels; missing ones, None or NaN, are none.
        mark: The value that says so, too; None: there is none; "auto": -1, as scikit-learn's semi-supervised estimators
            have it, where all other labels are numbers from 0, and there are two of them at least.
    """
    array = np.asarray(y)
    flat = pd.Series(array.ravel() if array.ndim < 2 or array.shape[1] == 1 else np.zeros(len(array)))
    missing = np.asarray(flat.isna())
    if mark is None:
        return missing
    if not (isinstance(mark, str) and mark == "auto"):
        return np.asarray(missing | (flat == mark))
    marked = np.asarray(flat == -1)
    others = flat[~missing & ~marked]
    if not pd.api.types.is_numeric_dtype(flat) or others.nunique() < 2 or (others < 0).any() or not marked.any():
        return missing
    warnings.warn(
        f"the {int(marked.sum())} rows of class -1 are taken for rows without a label: if it is a class, pass "
        "`unlabeled=None`",
        stacklevel=4,
    )
    return np.asarray(missing | marked)


def stack_labels(y: Any, made: Labels) -> Any:
    """Return the labels y and under them those `made` (rows,), in the container and dtype of y."""
    if isinstance(y, pd.DataFrame):
        return stack(y, pd.DataFrame(dict.fromkeys(y, made)))
    if isinstance(y, pd.Series):
        return pd.concat([y, pd.Series(made, name=y.name).astype(y.dtype)], ignore_index=True)
    if isinstance(y, list):
        return y + made.tolist()
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] > 1:
        return np.concatenate([labels, label_binarize(made, classes=np.arange(labels.shape[1])).astype(labels.dtype)])
    return np.concatenate([labels.ravel(), made.astype(labels.dtype)])


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
