"""Formats of numbers and cells in the report."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd

LEAST = 1e-5  # least number that is shown with digits


def number(value: float | None) -> str:
    """Format a figure; a dash where it was not measured."""
    if value is None or not math.isfinite(value):
        return "—"
    if value != 0 and abs(value) < 0.001:
        return small(value)
    return f"{value:.3f}" if abs(value) < 100 else f"{value:,.6g}"


def small(value: float) -> str:
    """Format a number near zero with two digits, or as zero with a sign that it is none.

    >>> small(0.000123), small(3.1e-8)
    ('0.00012', '≈ 0')
    """
    return "≈ 0" if abs(value) < LEAST else np.format_float_positional(value, 2, fractional=False, trim="-")


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
