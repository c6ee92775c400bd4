"""The operations of expressions, for all rows at once; NaN is a missing value, and stays one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from synthvae.schema.constraints.comparable import Numbers


def whole(found: Numbers) -> Numbers:
    """Return whole doubles (n,) as Python integers, whose sums are exact."""
    values = [v if isinstance(v, int) or not float(v).is_integer() else int(v) for v in found]
    return np.array(values, object)


def _compared(compare: Callable[..., Any]) -> Callable[..., Numbers]:
    """A comparison as 1 and 0; NaN where a value is missing."""

    def compared(first: Numbers, second: Numbers) -> Numbers:
        return np.where(pd.isna(first) | pd.isna(second), np.nan, compare(first, second))

    return compared


def _rounded(values: Numbers, digits: Numbers | None = None) -> Numbers:
    """Numbers, rounded half to even as Python rounds."""
    return np.round(values, 0 if digits is None or not len(digits) else int(digits[0]))


def _where(condition: Numbers, value: Numbers, otherwise: Numbers) -> Numbers:
    return np.where(np.isnan(condition), np.nan, np.where(condition != 0, value, otherwise))


def _every(ufunc: np.ufunc) -> Callable[..., Numbers]:
    return lambda *arguments: functools.reduce(ufunc, arguments)


def _truth(values: Numbers) -> Numbers:
    return np.where(np.isnan(values), np.nan, values != 0)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "//": np.floor_divide,
    "%": np.mod,
    "**": np.power,
    "negative": np.negative,
    "positive": lambda values: values,
    "<": _compared(np.less),
    "<=": _compared(np.less_equal),
    ">": _compared(np.greater),
    ">=": _compared(np.greater_equal),
    "==": _compared(np.equal),
    "!=": _compared(np.not_equal),
    "and": lambda *values: _every(np.minimum)(*map(_truth, values)),
    "or": lambda *values: _every(np.maximum)(*map(_truth, values)),
    "not": lambda values: 1 - _truth(values),
    "min": _every(np.minimum),
    "max": _every(np.maximum),
    "abs": np.abs,
    "round": _rounded,
    "floor": np.floor,
    "ceil": np.ceil,
    "where": _where,
}
EXACT = {"+", "-", "*", "negative", "positive"}  # of whole numbers of any size
