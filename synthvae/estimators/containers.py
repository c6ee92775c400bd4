"""Rows and labels in the containers that users pass: synthetic ones are appended to real ones, which do not change."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pandas.api.extensions import ExtensionArray
from scipy import sparse
from sklearn.utils import InputTags, check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from synthvae.errors import RequestError, TableError, listing, warn_user
from synthvae.tables import convert
from synthvae.tables.arrow import MAX_NUMBER_CLASSES
from synthvae.tables.features import is_array

Labels = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


def dense(X: Any) -> Any:
    """Return X in a dense container."""
    if sparse.issparse(X):
        return X.toarray()
    if isinstance(X, pd.DataFrame) and any(isinstance(kind, pd.SparseDtype) for kind in X.dtypes):
        return X.astype({name: kind.subtype for name, kind in X.dtypes.items() if isinstance(kind, pd.SparseDtype)})
    return X


def indexable(X: Any, tags: InputTags) -> Any:
    """Return X as a DataFrame, array or CSR matrix, validated by the tags of an estimator.

    Raises:
        ValueError: X has strings, missing values or is sparse, and the estimator does not support that.
    """
    if isinstance(X, pd.DataFrame):
        return X
    if not sparse.issparse(X) and not is_array(X):
        return convert.to_pandas(convert.read(X))
    finite = "allow-nan" if tags.allow_nan else True
    kind = None if tags.string else "numeric"
    return check_array(X, accept_sparse=["csr"] if tags.sparse else False, dtype=kind, ensure_all_finite=finite)


def stack(X: Any, synthetic: Any) -> Any:
    """Return the rows of X followed by synthetic rows, in the container and dtype of X.

    Args:
        X: Real rows (rows, columns).
        synthetic: Rows (more rows, columns), in a DataFrame or in the container of X.
    """
    if isinstance(X, pd.DataFrame):
        return pd.concat([X, synthetic.set_axis(X.columns, axis=1).astype(X.dtypes)], ignore_index=True)
    if sparse.issparse(X):
        more = synthetic if sparse.issparse(synthetic) else sparse.csr_array(synthetic.to_numpy(X.dtype))
        return sparse.vstack([X, more], format=X.format, dtype=X.dtype)
    if isinstance(X, list):
        return X + synthetic.to_numpy().tolist()
    if isinstance(X, np.ndarray):
        return np.concatenate([X, synthetic if isinstance(synthetic, np.ndarray) else synthetic.to_numpy(X.dtype)])
    if isinstance(X, pa.Table):
        return pa.concat_tables([X, pa.Table.from_pandas(synthetic, preserve_index=False).cast(X.schema)])
    joined = stack(convert.to_pandas(convert.read(X)), synthetic)
    return type(X)(pa.Table.from_pandas(joined, preserve_index=False)).cast(X.schema) if _is_polars(X) else joined


def plain(y: Any) -> Any:
    """Return y with the NumPy dtype of its values: lists and object, nullable and Arrow dtypes hide what they hold.

    Args:
        y: The targets of rows: an array, list, Series or DataFrame. More than one column is returned as it is.
    """
    columns = _columns(y)
    if columns.ndim > 1 and columns.shape[1] != 1:
        return y
    values = columns.iloc[:, 0] if isinstance(columns, pd.DataFrame) else pd.Series(columns.ravel())
    whole = isinstance(values.dtype, np.dtype) and values.dtype != object
    return (values.to_numpy() if whole else _narrowed(values)).reshape(columns.shape)


def _columns(y: Any) -> Any:
    """Return y as an array, ExtensionArray or DataFrame, none of which changes its values."""
    if isinstance(y, (pd.Series, pd.Index)):
        return y.array if isinstance(y.array, ExtensionArray) else y.to_numpy()
    if isinstance(y, (pa.Array, pa.ChunkedArray)):
        return _listed(y.to_pylist())
    if _is_polars(y):  # whose conversion to an array turns whole numbers beside missing ones into floats
        return _listed(y.to_list()) if hasattr(y, "to_list") else pd.DataFrame(y.to_dict(as_series=False), dtype=object)
    if isinstance(y, (list, tuple)):
        return _listed(y)
    return y if isinstance(y, (pd.DataFrame, ExtensionArray)) or sparse.issparse(y) else np.asarray(y)


def _is_polars(values: Any) -> bool:
    """Whether values are a Series or DataFrame of polars, which need not be installed."""
    return type(values).__module__.partition(".")[0] == "polars"


def _listed(y: Any) -> npt.NDArray[Any]:
    """A list as an array; NumPy alone would turn the NaN beside texts into the text "nan"."""
    if any(isinstance(value, (list, tuple, np.ndarray)) for value in y):
        return np.asarray(y)
    array = np.empty(len(y), object)
    array[:] = y
    return array


def _narrowed(values: pd.Series) -> Labels:
    """Values (rows,) in NumPy's dtype of those that are not missing; an object array if some are missing."""
    missing = np.asarray(values.isna())
    found = values[~missing].infer_objects().to_numpy()
    if not missing.any():
        return np.asarray(found)
    array = np.full(len(values), np.nan, object)
    array[~missing] = found
    return array


def class_labels(y: Any, *, warn: bool = False) -> Labels:
    """Return the classes (rows,) of y: an array, list, Series, DataFrame of one column, or one-vs-rest indicators.

    Args:
        y: The classes; none is missing.
        warn: Whether to warn of a y with two dimensions and one column, as scikit-learn does.

    Raises:
        RequestError: y has more than one label in a row.
        TableError: A label is missing.
        ValueError: y is not categorical.
    """
    y = plain(y)
    _refuse_missing(y)
    shape = np.shape(y)
    if len(shape) == 2 and shape[1] > 1:
        indicators = np.asarray(y)
        known = indicators.dtype != object and type_of_target(indicators) == "multilabel-indicator"
        if not known or (indicators.sum(1) != 1).any():
            _refuse_columns(shape[1])
        return np.asarray(indicators.argmax(1))
    _refuse_other_labels(y)
    check_classification_targets(y)
    return np.asarray(column_or_1d(y, warn=warn))


def _refuse_columns(count: int) -> None:
    """Refuse a y of several columns.

    Raises:
        RequestError: Always.
    """
    raise RequestError(
        f"y must have one label in each row, got {count} columns: multilabel and multioutput targets are not "
        "supported. Fit one estimator per column, as sklearn.multioutput.MultiOutputClassifier does."
    )


def _refuse_other_labels(y: Any) -> None:
    """Refuse labels that are neither texts nor numbers nor booleans, or of several of these types.

    Raises:
        TableError: That is the case.
    """
    array = np.asarray(y)
    if array.dtype.kind in "mM":
        found = {str(array.dtype)}
    elif array.dtype == object:
        present = array.ravel()[~pd.isna(array.ravel())]
        found = {type(label).__name__ for label in present}
        if len(found) == 1 and isinstance(present[0], (str, bytes, bool, int, float, np.generic)):
            return
    else:
        return
    if found:
        raise TableError(
            f"The labels in y must be texts, numbers or booleans of one type, got {listing(sorted(found))}. Convert "
            "them, for example with `astype(str)`."
        )


def target_numbers(y: Any) -> npt.NDArray[np.float64]:
    """Return the numbers (rows,) of a continuous y: an array, list, Series or DataFrame of one column.

    Raises:
        RequestError: y has more than one column.
        TableError: A number is missing.
        ValueError: y holds something else than numbers.
    """
    array = plain(y)
    shape = np.shape(array)
    if len(shape) > 1 and shape[1] != 1:
        raise RequestError(
            f"y must have one number in each row, got {shape[1]} columns. Fit one estimator per column, as "
            "sklearn.multioutput.MultiOutputRegressor does."
        )
    _refuse_missing(array)
    numbers = np.asarray(column_or_1d(array, warn=True), np.float64)
    if not np.isfinite(numbers).all():
        raise TableError("y must be finite, got an infinite number. Clip it, or drop its row.")
    return numbers


def _refuse_missing(y: Any) -> None:
    """Refuse a y of one column with missing values.

    Raises:
        TableError: That is the case.
    """
    array = np.asarray(y)
    if array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1):
        count = int(pd.isna(array).sum())
        if count:
            raise TableError(f"y must have a label in every row, and {count} are missing (NaN). Drop these rows.")


def unlabelled(y: Any, sentinel: Any) -> Mask:
    """Return which rows (rows,) of y have no label.

    Args:
        y: The labels; None and NaN are missing.
        sentinel: The value that means a missing label, too. None: there is none. "auto": -1, as for scikit-learn's
            semi-supervised estimators, if all other labels are numbers of at least 0, and there are at least two.
    """
    array = np.asarray(plain(y))
    flat = pd.Series(array.ravel() if array.ndim < 2 or array.shape[1] == 1 else np.zeros(len(array)))
    missing = np.asarray(flat.isna())
    if sentinel is None:
        return missing
    if not (isinstance(sentinel, str) and sentinel == "auto"):
        return np.asarray(missing | (flat == sentinel))
    negative = np.asarray(flat == -1)
    others = flat[~missing & ~negative].infer_objects()
    if not pd.api.types.is_numeric_dtype(others) or others.nunique() < 2 or (others < 0).any() or not negative.any():
        return missing
    warn_user(
        f"{int(negative.sum())} rows of class -1 are treated as rows without a label. If -1 is a class, pass "
        "unlabeled=None."
    )
    return np.asarray(missing | negative)


def stack_labels(y: Any, synthetic: Labels) -> Any:
    """Return the labels y followed by synthetic ones (rows,), in the container and dtype of y."""
    if isinstance(y, pd.DataFrame):
        return stack(y, pd.DataFrame(dict.fromkeys(y, synthetic)))
    if isinstance(y, pd.Series):
        return pd.concat([y, pd.Series(synthetic, name=y.name).astype(y.dtype)], ignore_index=True)
    if isinstance(y, (list, tuple)):
        return type(y)([*y, *synthetic.tolist()])
    if not isinstance(y, np.ndarray) and (joined := _appended(y, synthetic)) is not None:
        return joined
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] > 1:
        return np.concatenate([labels, np.eye(labels.shape[1])[synthetic].astype(labels.dtype)])
    return np.concatenate([labels.ravel(), synthetic.astype(labels.dtype)])


def _appended(y: Any, synthetic: Labels) -> Any:
    """Labels of an index, of categories, of Arrow or polars, with synthetic ones behind; None: y is none of them."""
    if isinstance(y, (pd.Index, pd.Categorical)):
        joined = pd.concat([pd.Series(y), pd.Series(synthetic).astype(y.dtype)], ignore_index=True)
        return pd.Index(joined, name=y.name) if isinstance(y, pd.Index) else joined.array
    if isinstance(y, (pa.Array, pa.ChunkedArray)):
        more = pa.array(synthetic.tolist()).cast(y.type)
        return pa.concat_arrays([y, more]) if isinstance(y, pa.Array) else pa.chunked_array([*y.chunks, more])
    if _is_polars(y) and hasattr(y, "to_list"):
        return y.clone().append(type(y)(y.name, synthetic.tolist(), dtype=y.dtype))  # `append` changes the Series
    return None


CONDITION, WEIGHT = "y", "weight"
QUANTILES = 10  # classes of a continuous y


def free_name(names: list[str], name: str = CONDITION) -> str:
    """A name for y, or for weights, that is not among the names of columns."""
    while name in names:
        name += "_"
    return name


def classes(y: Any) -> pd.Series:
    """Return the labels (rows,) of y; of a continuous y its deciles.

    Raises:
        TableError: A label is missing.
        ValueError: y has several columns.
    """
    array = plain(y)
    if np.ndim(array) == 2 and np.shape(array)[1] > 1:
        raise RequestError(f"y must be a 1d array, got {np.shape(array)[1]} columns. Pass one of them, or no y.")
    _refuse_missing(array)
    _refuse_other_labels(array)
    labels = pd.Series(column_or_1d(array, warn=True))
    few = labels.nunique() <= MAX_NUMBER_CLASSES or not pd.api.types.is_numeric_dtype(labels)
    if few and type_of_target(labels.to_numpy(), input_name="y") in ("binary", "multiclass"):
        return labels.astype("category")
    return pd.qcut(labels, QUANTILES, labels=False, duplicates="drop").astype("category")
