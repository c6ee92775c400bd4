"""Histograms of links and times: numbers of rows of a parent, times between rows, and ages."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthvae.evaluation.fidelity.column_shapes import histogram, similarity
from synthvae.evaluation.linked.linked_rows import LinkedComparison, LinkedRows, Side
from synthvae.schema.column import TEMPORAL, Column

Floats = npt.NDArray[np.float64]

ROLES = ("real", "synthetic")
MOST_AGES = 4  # columns of ancestors from which the time of a row is counted
NARROWER = 0.5  # the spread of ages, over that of times, up to which a number of an ancestor is taken for a time
DAYS_A_YEAR = 365.25
LONG, SHORT = 3 * DAYS_A_YEAR, 3.0  # days from which on times are in years, and below which they are in hours


def drawn_links(comparison: LinkedComparison, name: str) -> pd.DataFrame:
    """Return the histogram of the number of rows of a parent, and those of times if the table has an order column.

    Times are those between rows, those since the first row of the parent, and those since a date of an ancestor, such
    as an age: in hours, days or years, by the real ones. Numbers of ancestors count as times if rows are within a
    shorter time of them than all rows are of each other.

    Args:
        comparison: The tables.
        name: The child table.

    Returns:
        The columns of `column_shapes.histograms`, with score (similarity) and of (what the shares are of).
    """
    counted = {role: _children(comparison, side, name) for role, side in comparison.sides.items() if role in ROLES}
    found = [_drawn(f"{name}: number of rows", counted, "parents")]
    order = comparison.kinds(name).get(comparison.database.order.get(name, ""))
    if order is not None:
        dated = order.kind in TEMPORAL
        found += [_timed(title, times, dated=dated) for title, times in _times(comparison, name, order)]
    return pd.concat([table for table in found if len(table)], ignore_index=True)


def _children(comparison: LinkedComparison, side: Side, name: str) -> Floats:
    """The number of rows (P,) of each parent."""
    parent = comparison.database.parents[name].parent
    return np.bincount(side[name].parents, minlength=len(side[parent])).astype(np.float64)


Times = dict[str, Floats]
"""Times of real and of synthetic rows."""


def _times(comparison: LinkedComparison, name: str, order: Column) -> Iterator[tuple[str, Times]]:
    """Yield titles, and times without missing ones; none whose real values are all equal."""
    rows = {role: comparison.sides[role][name] for role in ROLES}
    kinds = [
        ("since the row before", {role: _since(own, own.later - 1) for role, own in rows.items()}),
        ("since the first row", {role: _since(own, own.later - own.position[own.later]) for role, own in rows.items()}),
        *_ages(comparison, name, order),
    ]
    for title, found in kinds:
        known = {role: times[np.isfinite(times)] for role, times in found.items()}
        if all(map(len, known.values())) and np.ptp(known["real"]) > 0:
            yield f"{order.name} {title}", known


def _since(rows: LinkedRows, places: npt.NDArray[np.int64]) -> Floats:
    """The time from other rows to each row that comes after one of the same parent."""
    return np.asarray(rows.numbers[rows.later] - rows.numbers[places], np.float64)


def _ages(comparison: LinkedComparison, name: str, order: Column) -> list[tuple[str, Times]]:
    """Times since columns of ancestors, those with the smallest spread first."""
    found = []
    for ancestor in comparison.database.ancestors(name):
        for column in comparison.kinds(ancestor).values():
            if (column.kind in TEMPORAL) != (order.kind in TEMPORAL) or ancestor not in comparison.tables:
                continue
            if column.name not in comparison.tables[ancestor].numeric:
                continue
            times = {role: _age(comparison, comparison.sides[role], name, ancestor, column.name) for role in ROLES}
            spread = _spread(times["real"]) / max(_spread(comparison.sides["real"][name].numbers), np.finfo(float).tiny)
            if order.kind in TEMPORAL or spread <= NARROWER:
                found.append((spread, f"since {ancestor}.{column.name}", times))
    found.sort(key=lambda one: one[0])
    return [(title, times) for _, title, times in found[:MOST_AGES]]


def _age(comparison: LinkedComparison, side: Side, name: str, ancestor: str, column: str) -> Floats:
    values = side[ancestor].frame[column].to_numpy(np.float64)
    return np.asarray(side[name].numbers - values[comparison.lines(name, side)[ancestor]], np.float64)


def _spread(times: Floats) -> float:
    """The distance of the first and the ninth decile; infinite without a known time."""
    known = times[np.isfinite(times)]
    return float(np.subtract(*np.quantile(known, (0.9, 0.1)))) if len(known) else np.inf


def _timed(title: str, times: Times, *, dated: bool) -> pd.DataFrame:
    if not dated:
        return _drawn(title, times, "rows")
    largest = float(np.quantile(np.abs(times["real"]), 0.95))
    unit, days = ("years", DAYS_A_YEAR) if largest >= LONG else ("days", 1.0) if largest >= SHORT else ("hours", 1 / 24)
    return _drawn(f"{title}, {unit}", {role: np.round(own / days, 6) for role, own in times.items()}, "rows")


def _drawn(title: str, numbers: Times, of: str) -> pd.DataFrame:
    real, synthetic = (pd.Series(numbers[role]) for role in ROLES)
    whole = all((own % 1 == 0).all() for own in numbers.values())
    column = Column(name=title, kind="integer" if whole else "continuous")
    return histogram(column, real, synthetic).assign(score=similarity(real, synthetic), of=of)
