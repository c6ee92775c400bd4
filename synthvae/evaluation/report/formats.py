"""Formats of numbers and cells in the report."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import pandas as pd


def number(value: float | None) -> str:
    """Format a figure; a dash where it was not measured."""
    if value is None or not math.isfinite(value):
        return "—"
    if value != 0 and abs(value) < 0.001:
        return f"{value:.2g}"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:,.6g}"


def cell(value: Any) -> str:
    """Format a cell of a table."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return f"{int(value):,}"
    if isinstance(value, Real):
        return number(float(value))
    return "—" if value is None or pd.isna(value) else str(value)


def is_number(value: Any) -> bool:
    """Whether a cell is sorted as a number."""
    return isinstance(value, Real)
