"""Tables whose missing values are filled, in the form of the table that a user passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pandas.api.types import is_float_dtype, is_integer_dtype, is_object_dtype

from synthvae.encoding.arrays import Mask
from synthvae.tables import convert

IMPUTED = "missingindicator_"  # as scikit-learn names such columns


def random_weights(rows: int, seed: int, weights: npt.NDArray[np.float32] | None = None) -> npt.NDArray[np.float32]:
    """Return weights (rows,) of mean 1, with which a fit is one of those that other samples of rows might have given.

    Unlike rows that are drawn again, they leave no copies of held-out rows among the training rows.

    Source: Rubin 1981, The Bayesian bootstrap, Annals of Statistics 9(1).

    Args:
        rows: The number of rows.
        seed: The seed of the weights.
        weights: Weights that the rows have anyway; None: all weigh the same.

    Example:
        >>> random_weights(3, 0).shape
        (3,)
    """
    drawn = np.random.default_rng([seed, rows]).exponential(size=rows).astype(np.float32)
    return drawn if weights is None else drawn * weights


def completed_table(frame: pd.DataFrame, known: pa.Table, drawn: pa.Table, *, indicator: bool) -> pd.DataFrame:
    """Return a table with its own columns, order, index and present values, and drawn values where one is missing.

    Args:
        frame: The table; its columns that the model does not have stay as they are.
        known: All columns of the model, in the rows of the table.
        drawn: The same with values drawn for those that are missing; a value that is missing here stays missing.
        indicator: Whether to add a column `missingindicator_NAME` for each column with imputed values.
    """
    found, flags = frame.copy(), {}
    for place, label in enumerate(frame.columns):
        name = str(label)
        if name not in known.column_names or not known.column(name).null_count:
            continue
        values = drawn.column(name)
        filled = known.column(name).is_null().to_numpy() & values.is_valid().to_numpy()
        if filled.any():
            some = convert.to_pandas(drawn.select([name]).filter(pa.array(filled)).combine_chunks()).iloc[:, 0]
            found[label] = completed(frame.iloc[:, place], filled, some.reset_index(drop=True))
            flags[IMPUTED + name] = filled
    return found.assign(**flags) if indicator else found


def completed(given: pd.Series[Any], missing: Mask, values: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column with its missing values filled, in its dtype if that can hold them.

    Args:
        given: The column.
        missing: Which of its values (rows,) are missing.
        values: What fills them, as many as are missing.
    """
    kind: Any = given.dtype
    if isinstance(kind, pd.SparseDtype):
        return completed(pd.Series(np.asarray(given), given.index), missing, values).astype(kind)
    if missing.all() and (is_object_dtype(kind) or is_float_dtype(kind)) and values.dtype != kind:
        return values.set_axis(given.index)  # a column without values has no dtype of its own
    if is_integer_dtype(kind) and is_float_dtype(values.dtype):
        values = values.round()
    if isinstance(kind, pd.CategoricalDtype):
        given = given.cat.add_categories([one for one in values.unique() if one not in kind.categories])
    found = given.copy()
    try:
        found.iloc[np.flatnonzero(missing)] = values.astype(found.dtype).array
    except (TypeError, ValueError):  # the column has another type than in training
        found = given.astype(object)
        found.iloc[np.flatnonzero(missing)] = values.astype(object).array
    return found
