"""Search for numbers that are the time between two dates."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from synthvae.schema.constraints.computed import Difference
from synthvae.schema.constraints.rule import Constraint
from synthvae.schema.constraints.sample import Floats, Sample
from synthvae.tables.arrow import count_decimals

MOST_DATES = 40  # columns whose pairs are tried
FEW = 64  # rows in which all pairs are tried
LEAST = 10  # of these, with all three values
LEAST_DISTINCT = 5  # values of a difference
WAYS: tuple[tuple[Any, Any], ...] = (
    ("days", "nearest"),
    ("years", "nearest"),
    ("hours", "nearest"),
    ("minutes", "nearest"),
    ("seconds", "nearest"),
    ("weeks", "nearest"),
    ("days", "down"),
    ("hours", "down"),
    ("minutes", "down"),
    ("weeks", "down"),
)


def calendar(sample: Sample) -> list[str]:
    """Return the columns of dates and datetimes that have a year, unlike times of day and durations.

    Args:
        sample: The rows.
    """
    forms = {name: sample.columns[name].format for name in sample.temporal}
    return [name for name, form in forms.items() if form is None or "%Y" in form or "%y" in form]


def differences(sample: Sample) -> Iterator[Constraint]:
    """Yield the numbers that are the time between two dates in some rows, one rule for each.

    Args:
        sample: The rows.
    """
    tolerance = np.array([_tolerance(sample.numbers[:, place]) for place in range(len(sample.numeric))])
    distinct = np.array([len(np.unique(column[~np.isnan(column)])) for column in sample.numbers.T])
    usable = (distinct >= LEAST_DISTINCT) if len(distinct) else np.empty(0, bool)
    found: set[str] = set()
    for high, low in itertools.permutations(calendar(sample)[:MOST_DATES], 2):
        known = np.flatnonzero(sample.frame[[high, low]].notna().all(axis=1).to_numpy())[:FEW]
        rows = sample.frame.iloc[known].reset_index(drop=True)
        for unit, rounding in WAYS if usable.any() and len(rows) >= LEAST else ():
            rule = Difference(result=_unused(rows), high=high, low=low, unit=unit, rounding=rounding)
            times = rule.compute(rows).to_numpy(np.float64)
            for place in np.flatnonzero(usable & _agrees(sample.numbers[known], times, tolerance)):
                name = sample.numeric[place]
                if name not in found:
                    found.add(name)
                    yield Difference(result=name, high=high, low=low, unit=unit, rounding=rounding)


def _unused(rows: pd.DataFrame) -> str:
    return "".join(map(str, rows.columns)) + "_"


def _tolerance(values: Floats) -> float:
    decimals = count_decimals(values[~np.isnan(values)])
    return 1e-6 if decimals is None else 0.5 * 10.0**-decimals + 1e-9


def _agrees(numbers: Floats, times: Floats, tolerance: Floats) -> Any:
    """Which columns of numbers (n, c) are the times (n,) in nearly all rows."""
    judged = ~np.isnan(numbers) & ~np.isnan(times)[:, None]
    with np.errstate(invalid="ignore"):
        wrong = judged & (np.abs(numbers - times[:, None]) > tolerance)
    return (wrong.sum(axis=0) <= 1) & (judged.sum(axis=0) >= LEAST)
