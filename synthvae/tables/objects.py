"""Columns of Python objects that Arrow does not hold as they are: as text, and back."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Mapping
from typing import Any, Literal

import pandas as pd
from pandas.api.types import is_object_dtype

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
    for name, values in frame.items():
        if not is_object_dtype(values.dtype):
            continue
        types = set(map(type, values[values.notna()]))
        if types == {uuid.UUID}:
            forms[str(name)] = "uuid"
        elif _are_mixed(types) and not _has_literal(values):
            forms[str(name)] = "mixed"
        else:
            _refuse_several_offsets(name, values, types)
            continue
        changed[name] = values.map(str, na_action="ignore")
    return frame.assign(**changed) if all(isinstance(n, str) for n in changed) else _replaced(frame, changed), forms


def _replaced(frame: pd.DataFrame, changed: Mapping[Any, Any]) -> pd.DataFrame:
    frame = frame.copy()
    for name, values in changed.items():
        frame[name] = values
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


def _are_mixed(types: set[type]) -> bool:
    """Whether the values of a column are texts, and numbers or booleans."""
    return str in types and len(types) > 1 and types <= {str, int, float, bool}


def _has_literal(values: pd.Series[Any]) -> bool:
    """Whether a text is written as one of the other values, so that the two could not be distinguished."""
    return any(isinstance(value, str) and LITERAL.fullmatch(value) for value in values)


def _refuse_several_offsets(name: Any, values: pd.Series[Any], types: set[type]) -> None:
    if not any(issubclass(kind, dt.datetime) for kind in types):
        return
    zones = {value.tzinfo for value in values[values.notna()] if isinstance(value, dt.datetime)}
    if len(zones) > 1:
        raise TableError(
            f"Column {str(name)!r}: datetimes must have one time zone, got {listing(sorted(map(str, zones)))}. Convert "
            "them with `pd.to_datetime(..., utc=True)`, and keep the offset in a column of its own."
        )
