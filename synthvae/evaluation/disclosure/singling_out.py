"""Singling-out attack: find predicates that hold for exactly one row of a table."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthvae.evaluation.comparison import Comparison, Matrix, codes, subsample
from synthvae.evaluation.disclosure.risk import AttackResult, Guesses

GUESSES = 1_000  # predicates on one column, and as many on several columns
ATTEMPTS = 8  # candidates per predicate on several columns
ROWS = 50_000  # of each table
MOST_COLUMNS = 8  # in a predicate

Predicate = tuple[tuple[int, float, float], ...]
"""For each of its columns: the column index, and the least and the greatest value for which it holds."""

MISSING = -np.inf  # code of a missing value, below every number
LOWEST, HIGHEST = -np.finfo(np.float64).max, np.inf


def singling_out(comparison: Comparison, holdout: pd.DataFrame, rng: np.random.Generator) -> AttackResult | None:
    """Guess predicates that hold for exactly one real row from those that hold for exactly one synthetic row.

    Half of the predicates give a value of one column that is unique among the synthetic rows, or its minimum or
    maximum; half combine two to eight columns of a synthetic row, numbers as "at least" above the median and "at most"
    below it. A guess is right if the predicate holds for exactly one row of the table. This depends on the number of
    rows, so as many training rows are attacked as there are holdout rows. The random guess combines values of unrelated
    rows. Source: Giomi et al. 2023 (arXiv 2211.10459), "singling out".

    Args:
        comparison: The tables.
        holdout: The control group.
        rng: Draws the predicates.

    Returns:
        The result; None if no predicate holds for exactly one synthetic row, as where all rows are equal.
    """
    size = min(len(comparison.real), len(holdout), ROWS)
    training, control = (_filled(subsample(rows, size, rng)) for rows in (comparison.real, holdout))
    synthetic = _filled(subsample(comparison.synthetic, ROWS, rng))
    numeric = np.array([name in comparison.numeric for name in comparison.real])
    guesses = [*_univariate(synthetic, numeric, rng), *_multivariate(synthetic, numeric, rng)]
    if not guesses:
        return None
    naive = [_random(synthetic, numeric, rng) for _ in guesses]
    return AttackResult("singling_out", _tried(training, guesses), _tried(control, guesses), _tried(training, naive))


def _filled(rows: pd.DataFrame) -> Matrix:
    """Return rows as numbers in column-major order, with a code for missing values."""
    found = codes(rows)
    return np.asfortranarray(np.where(np.isnan(found), MISSING, found))


def _matching(rows: Matrix, predicate: Predicate) -> npt.NDArray[np.int64]:
    """Return the indices of the rows for which a predicate holds."""
    (column, low, high), *rest = predicate
    places = np.flatnonzero((rows[:, column] >= low) & (rows[:, column] <= high))
    for column, low, high in rest:
        values = rows[places, column]
        places = places[(values >= low) & (values <= high)]
    return places


def _tried(rows: Matrix, predicates: list[Predicate]) -> Guesses:
    """Return whether each predicate holds for exactly one row; those of the same row are a cluster."""
    places = [_matching(rows, predicate) for predicate in predicates]
    hit = np.array([len(found) == 1 for found in places])
    cluster = [int(found[0]) if len(found) == 1 else len(rows) + guess for guess, found in enumerate(places)]
    return Guesses(hit.astype(np.float64), np.array(cluster))


def _unique(rows: Matrix, predicates: Iterator[Predicate]) -> Iterator[Predicate]:
    """Yield the distinct predicates that hold for exactly one row."""
    seen: set[Predicate] = set()
    for predicate in predicates:
        if predicate not in seen and len(_matching(rows, predicate)) == 1:
            seen.add(predicate)
            yield predicate


def _univariate(rows: Matrix, numeric: npt.NDArray[np.bool_], rng: np.random.Generator) -> Iterator[Predicate]:
    """Yield predicates on values that occur once, and on the ends of numeric columns."""
    found: list[tuple[int, float, float]] = []
    for column in range(rows.shape[1]):
        values, counts = np.unique(rows[:, column], return_counts=True)
        found += [(column, value, value) for value in values[counts == 1].tolist()]
        known = values[values > MISSING].tolist()
        if numeric[column] and known:
            found += [(column, LOWEST, known[0]), (column, known[-1], HIGHEST)]
    order = rng.permutation(len(found))[:GUESSES]
    return _unique(rows, ((found[place],) for place in order))


def _multivariate(rows: Matrix, numeric: npt.NDArray[np.bool_], rng: np.random.Generator) -> Iterator[Predicate]:
    """Yield predicates on several values of a row, drawn until there are enough."""
    if rows.shape[1] < 2:
        return
    known = np.where(rows > MISSING, rows, np.nan)
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
    return tuple(_condition(c, row[c], upward=row[c] > middles[c], numeric=numeric[c]) for c in _columns(rows, rng))


def _random(rows: Matrix, numeric: npt.NDArray[np.bool_], rng: np.random.Generator) -> Predicate:
    """Combine values of unrelated rows, "at least" or "at most" at random."""
    columns = _columns(rows, rng)
    places = rng.integers(len(rows), size=len(columns))
    return tuple(
        _condition(c, rows[place, c], upward=rng.random() < 0.5, numeric=numeric[c])
        for c, place in zip(columns, places, strict=True)
    )


def _columns(rows: Matrix, rng: np.random.Generator) -> list[int]:
    most = min(rows.shape[1], MOST_COLUMNS)
    width = int(rng.integers(min(2, most), most + 1))
    return sorted(rng.choice(rows.shape[1], width, replace=False).tolist())


def _condition(column: int, value: float, *, upward: bool, numeric: bool) -> tuple[int, float, float]:
    """Return the condition on a column in which a row has this value."""
    if not numeric or value == MISSING:
        return column, float(value), float(value)
    return (column, float(value), HIGHEST) if upward else (column, LOWEST, float(value))
