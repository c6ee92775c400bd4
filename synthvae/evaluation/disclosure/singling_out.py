"""Singling out: predicates that hold for one synthetic row alone, and perhaps for one real row alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthvae.evaluation.comparison import Comparison, Matrix, codes, some
from synthvae.evaluation.disclosure.risk import Guesses, Outcome

GUESSES = 1_000  # of predicates on one column, and of those on several
ATTEMPTS = 8  # times as many predicates are tried
ROWS = 50_000
MOST = 8  # columns of a predicate

Predicate = tuple[tuple[int, float, float], ...]
"""Of each column that it speaks of: its place, and the least and the greatest value for which it holds."""

ABSENT = -np.inf  # stands for a missing value: below every number
LOWEST, HIGHEST = -np.finfo(np.float64).max, np.inf


def singling_out(comparison: Comparison, holdout: pd.DataFrame, rng: np.random.Generator) -> Outcome | None:
    """Guess predicates that hold for exactly one real row, from those that hold for exactly one synthetic row.

    After Giomi et al. 2023 (arXiv 2211.10459), "singling out": half of the predicates name a value of one column that
    is unique among the synthetic rows, or its least or greatest; half combine two to eight columns of a synthetic row,
    numbers as "at least" above the median and "at most" below it. A guess is right if the predicate holds for exactly
    one row of the table. Whether it does depends on the number of rows, therefore as many learned rows are taken as
    there are in the holdout. The naive guess combines values of unrelated rows, with either sign.

    Args:
        comparison: The tables.
        holdout: The control group.
        rng: Draws the predicates.

    Returns:
        What came of it; None if no predicate holds for one synthetic row alone, as where all rows are the same.
    """
    size = min(len(comparison.real), len(holdout), ROWS)
    learned, control = (_filled(some(rows, size, rng)) for rows in (comparison.real, holdout))
    made = _filled(some(comparison.synthetic, ROWS, rng))
    numeric = np.array([name in comparison.numeric for name in comparison.real])
    guesses = [*_univariate(made, numeric, rng), *_multivariate(made, numeric, rng)]
    if not guesses:
        return None
    naive = [_random(made, numeric, rng) for _ in guesses]
    return Outcome("singling_out", _tried(learned, guesses), _tried(control, guesses), _tried(learned, naive))


def _filled(rows: pd.DataFrame) -> Matrix:
    """Rows as numbers, column after column in memory, with a value that stands for a missing one."""
    found = codes(rows)
    return np.asfortranarray(np.where(np.isnan(found), ABSENT, found))


def _matching(rows: Matrix, predicate: Predicate) -> npt.NDArray[np.int64]:
    """The places of the rows for which a predicate holds."""
    (column, low, high), *rest = predicate
    places = np.flatnonzero((rows[:, column] >= low) & (rows[:, column] <= high))
    for column, low, high in rest:
        values = rows[places, column]
        places = places[(values >= low) & (values <= high)]
    return places


def _tried(rows: Matrix, predicates: list[Predicate]) -> Guesses:
    """Whether each predicate holds for one row alone; those that hold for the same one stand together."""
    places = [_matching(rows, predicate) for predicate in predicates]
    hit = np.array([len(found) == 1 for found in places])
    cluster = [int(found[0]) if len(found) == 1 else len(rows) + guess for guess, found in enumerate(places)]
    return Guesses(hit.astype(np.float64), np.array(cluster))


def _unique(rows: Matrix, predicates: Iterator[Predicate]) -> Iterator[Predicate]:
    """Those that hold for one row alone, each once."""
    seen: set[Predicate] = set()
    for predicate in predicates:
        if predicate not in seen and len(_matching(rows, predicate)) == 1:
            seen.add(predicate)
            yield predicate


def _univariate(rows: Matrix, numeric: npt.NDArray[np.bool_], rng: np.random.Generator) -> Iterator[Predicate]:
    """Values that occur once, and the ends of the columns of numbers."""
    found: list[tuple[int, float, float]] = []
    for column in range(rows.shape[1]):
        values, counts = np.unique(rows[:, column], return_counts=True)
        found += [(column, value, value) for value in values[counts == 1].tolist()]
        known = values[values > ABSENT].tolist()
        if numeric[column] and known:
            found += [(column, LOWEST, known[0]), (column, known[-1], HIGHEST)]
    order = rng.permutation(len(found))[:GUESSES]
    return _unique(rows, ((found[place],) for place in order))


def _multivariate(rows: Matrix, numeric: npt.NDArray[np.bool_], rng: np.random.Generator) -> Iterator[Predicate]:
    """Several values of one row, drawn until there are enough."""
    if rows.shape[1] < 2:
        return
    known = np.where(rows > ABSENT, rows, np.nan)
    middles = [float(np.nanmedian(column)) if np.isfinite(column).any() else 0.0 for column in known.T]
    drawn = (_combined(rows, numeric, middles, rng) for _ in range(ATTEMPTS * GUESSES))
    for count, predicate in enumerate(_unique(rows, drawn), start=1):
        yield predicate
        if count == GUESSES:
            return


def _combined(
    rows: Matrix, numeric: npt.NDArray[np.bool_], middles: list[float], rng: np.random.Generator
) -> Predicate:
    row = rows[rng.integers(len(rows))]
    return tuple(_about(c, row[c], row[c] > middles[c], numeric[c]) for c in _columns(rows, rng))


def _random(rows: Matrix, numeric: npt.NDArray[np.bool_], rng: np.random.Generator) -> Predicate:
    """Values of unrelated rows, at least or at most by chance."""
    columns = _columns(rows, rng)
    places = rng.integers(len(rows), size=len(columns))
    return tuple(
        _about(c, rows[place, c], rng.random() < 0.5, numeric[c]) for c, place in zip(columns, places, strict=True)
    )


def _columns(rows: Matrix, rng: np.random.Generator) -> list[int]:
    most = min(rows.shape[1], MOST)
    width = int(rng.integers(min(2, most), most + 1))
    return sorted(rng.choice(rows.shape[1], width, replace=False).tolist())


def _about(column: int, value: float, upward: bool, numeric: bool) -> tuple[int, float, float]:  # noqa: FBT001
    """What a predicate says of a column, of which a row has this value."""
    if not numeric or value == ABSENT:
        return column, float(value), float(value)
    return (column, float(value), HIGHEST) if upward else (column, LOWEST, float(value))
