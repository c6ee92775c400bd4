"""Labels of the columns of a DataFrame that are no texts: numbers, None, dates and times."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from synthvae.errors import listing, warn_user


def to_json(columns: pd.Index[Any]) -> dict[str, Any]:
    """Return the labels that are no texts by their text, as JSON data."""
    return {str(label): label_to_json(label) for label in columns if not isinstance(label, str)}


def label_to_json(label: Any) -> Any:
    """Return a label as JSON data; one of another type as its text."""
    label = label.item() if hasattr(label, "item") else label
    if label is pd.NaT:
        return {"timestamp": "NaT"}
    if isinstance(label, pd.Timestamp):
        return {"timestamp": label.isoformat()}
    if isinstance(label, dt.date):
        return {"datetime" if isinstance(label, dt.datetime) else "date": label.isoformat()}
    return label if label is None or isinstance(label, (bool, int, float, str)) else str(label)


def warn_of_others(columns: pd.Index[Any]) -> None:
    """Warn of labels, such as periods and intervals, of which the text alone is kept."""
    kept = (str, bool, int, float, dt.date, type(None), type(pd.NaT))
    lost = [str(label) for label in columns if not isinstance(getattr(label, "item", lambda v=label: v)(), kept)]
    if lost:
        warn_user(
            f"the labels {listing(lost)} of columns come back as texts. Rename the columns (`frame.columns = "
            "frame.columns.astype(str)`) to have the same ones in both tables."
        )


def from_json(names: Sequence[str], origin: Mapping[str, Any]) -> pd.Index[Any]:
    """Return the labels of columns.

    Args:
        names: Their texts.
        origin: What `to_json` returned, under "labels", and the name of the labels, under "columns_name".
    """
    known = {name: _label(label) for name, label in origin.get("labels", {}).items()}
    found = [known.get(name, name) for name in names]
    index: pd.Index[Any] = pd.Index(found, dtype=object) if any(label is None for label in found) else pd.Index(found)
    if "columns_name" in origin:
        index.name = _label(origin["columns_name"])
    return index


def _label(label: Any) -> Any:
    if not isinstance(label, dict):
        return label
    kind, text = next(iter(label.items()))
    return {"timestamp": pd.Timestamp, "date": dt.date.fromisoformat, "datetime": dt.datetime.fromisoformat}[kind](text)
