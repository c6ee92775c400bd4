"""Columns of Python objects that Arrow does not hold as they are: as text, and back."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from pandas.api.types import is_extension_array_dtype, is_object_dtype

from synthvae.errors import TableError, listing

Form = Literal["mixed", "uuid"]

LITERAL = re.compile(r"-?\d+|-?(\d+\.\d*|\.\d+)(e[+-]?\d+)?|-?\d+e[+-]?\d+|True|False|-?inf")


def as_text(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Form]]:
    """Return a table with its columns of UUIDs, and of numbers and texts, as text, and how each is to be restored.

    Raises:
        TableError: Datetimes of a column have several UTC offsets, which Arrow would drop.
    """
    changed: dict[Any, Any] = {}
    forms: dict[str, Form] = {}
    for name, given in frame.items():
        if not is_object_dtype(given.dtype):
            continue
        values, types = _unwrapped(given)
        if types == {uuid.UUID}:
            forms[str(name)] = "uuid"
        elif _are_mixed(types) and not _has_literal(values):
            forms[str(name)] = "mixed"
        else:
            _refuse_zones(name, values, types)
            continue
        changed[name] = values.map(str, na_action="ignore")
    return frame.assign(**changed) if all(isinstance(n, str) for n in changed) else _replaced(frame, changed), forms


def _replaced(frame: pd.DataFrame, changed: Mapping[Any, Any]) -> pd.DataFrame:
    frame = frame.copy()
    for name, values in changed.items():
        frame[name] = values
    return frame


def origins(frame: pd.DataFrame) -> dict[str, Any]:
    """Return what Arrow does not keep of a table, for `as_given`.

    Returns:
        `nan`: columns of objects whose missing values are NaN, not None; `timestamp`: columns of objects whose values
        are `pd.Timestamp`, not `datetime`; `categories`: by column, the name of the extension type of pandas that its
        categories have.
    """
    known = {str(name): values for name, values in frame.items() if is_object_dtype(values.dtype)}
    missing = {name: values[values.isna()] for name, values in known.items()}
    dtypes = {str(n): v.dtype.categories.dtype for n, v in frame.items() if isinstance(v.dtype, pd.CategoricalDtype)}
    return {
        "nan": [name for name, gaps in missing.items() if len(gaps) and all(type(gap) is float for gap in gaps)],
        "timestamp": [
            name
            for name, values in known.items()
            if len(values) > len(missing[name]) and set(map(type, values[values.notna()])) == {pd.Timestamp}
        ],
        "categories": {name: _name_of(dtype) for name, dtype in dtypes.items() if is_extension_array_dtype(dtype)},
    }


def _name_of(dtype: Any) -> str:
    """The name by which pandas finds an extension type again."""
    return f"string[{dtype.storage}]" if isinstance(dtype, pd.StringDtype) and dtype.na_value is pd.NA else str(dtype)


def as_given(frame: pd.DataFrame, origin: Mapping[str, Any]) -> pd.DataFrame:
    """Return a table with what `origins` found, by the texts of its columns."""
    for name in origin.get("timestamp", ()):
        stamps = [None if pd.isna(value) else pd.Timestamp(value) for value in frame[name]]
        frame[name] = pd.Series(stamps, dtype=object, index=frame.index)
    for name in origin.get("nan", ()):
        frame[name] = frame[name].astype(object).where(frame[name].notna(), np.nan)
    for name, dtype in origin.get("categories", {}).items():
        if isinstance(known := frame[name].dtype, pd.CategoricalDtype):
            frame[name] = frame[name].astype(pd.CategoricalDtype(known.categories.astype(dtype), known.ordered))
    return frame


def restored(values: list[str | None], form: Form) -> list[Any]:
    """Return texts as the objects that `as_text` found.

    >>> restored(["12", "1.5", "unknown", None, "True"], "mixed")
    [12, 1.5, 'unknown', None, True]
    """
    of = uuid.UUID if form == "uuid" else _object
    return [None if value is None else of(value) for value in values]


def _object(text: str) -> Any:
    if LITERAL.fullmatch(text) is None:
        return text
    if text in ("True", "False"):
        return text == "True"
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _unwrapped(values: pd.Series[Any]) -> tuple[pd.Series[Any], set[type]]:
    """A column with scalars of NumPy, but for datetimes, as those of Python, and the types of its values."""
    types = set(map(type, values[values.notna()]))
    if any(issubclass(kind, np.generic) and not issubclass(kind, np.datetime64) for kind in types):
        values = values.map(lambda v: v.item() if isinstance(v, np.generic) else v, na_action="ignore").astype(object)
        types = set(map(type, values[values.notna()]))
    return values, types


def _are_mixed(types: set[type]) -> bool:
    """Whether the values of a column are texts, and numbers or booleans."""
    return str in types and len(types) > 1 and types <= {str, int, float, bool}


def _has_literal(values: pd.Series[Any]) -> bool:
    """Whether a text is written as one of the other values, so that the two could not be distinguished."""
    return any(isinstance(value, str) and LITERAL.fullmatch(value) for value in values)


def _refuse_zones(name: Any, values: pd.Series[Any], types: set[type]) -> None:
    """Refuse datetimes of several UTC offsets, and times of day with one, which Arrow would drop."""
    zones = {value.tzinfo for value in values[values.notna()] if isinstance(value, (dt.datetime, dt.time))}
    if dt.time in types and zones - {None}:
        raise TableError(
            f"Column {str(name)!r}: times of day must have no time zone, got {listing(sorted(map(str, zones)))}. Use "
            f"`frame[{name!r}].map(lambda t: t.replace(tzinfo=None))`, and keep the zone in a column of its own."
        )
    if len(zones) > 1:
        raise TableError(
            f"Column {str(name)!r}: datetimes must have one time zone, got {listing(sorted(map(str, zones)))}. Convert "
            "them with `pd.to_datetime(..., utc=True)`, and keep the offset in a column of its own."
        )
