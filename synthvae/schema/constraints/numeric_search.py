"""Search for rules of numbers: sums, multiples, inequalities and steps.

Equations are found by fingerprints: the product of each column with random weights is equal where columns are.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from synthvae.schema.constraints.comparable import BoolArray, truths
from synthvae.schema.constraints.computed import Formula, Sum
from synthvae.schema.constraints.expression import can_be_named, quoted
from synthvae.schema.constraints.inequality import Increments, Inequality
from synthvae.schema.constraints.rule import Constraint
from synthvae.schema.constraints.sample import Floats, Sample, share_words, shuffled_breaks
from synthvae.schema.constraints.time_search import calendar
from synthvae.tables.arrow import count_decimals

FEW = 400  # rows of fingerprints and of first comparisons
CLOSE = 1e-6  # relative distance of fingerprints; what passes is verified
LONGEST = 12  # neighbouring columns of a sum
WIDEST = 80  # columns up to which sums of any three or more are searched
MATTERS = 0.01  # share of rows in which each part of a sum is not zero
BREAKS = 0.02  # share of pairs of shuffled values that break an inequality
BROKEN = 0.001  # share of rows that break it
EXPECTED = 30  # rows of the sample that shuffled columns would break
LEAST_DISTINCT = 10  # values of a column that has steps
STEPS = (10_000, 5_000, 1_000, 500, 250, 100, 60, 50, 30, 25, 20, 15, 12, 10, 5, 2)  # tried if a few are no multiples
COARSER = 0.9  # share of the values that may be multiples of twice or five times the step


def sums(sample: Sample) -> Iterator[Constraint]:
    """Yield totals that are sums of neighbouring columns, of any two, or in narrow tables of any columns.

    Args:
        sample: The rows.
    """
    names, values = _addends(sample)
    if len(names) < 3:
        return
    found: dict[int, tuple[int, ...]] = {}
    for total, parts in itertools.chain(*(_candidates(rows, sample.rng) for rows in _batches(values))):
        fits = total not in parts and names[total] in sample.numeric
        if fits and (total not in found or len(parts) < len(found[total])) and _adds_up(values, total, parts):
            found[total] = parts
    for total, parts in found.items():
        yield Sum(total=names[total], parts=[names[place] for place in parts])


def _addends(sample: Sample) -> tuple[list[str], Floats]:
    """Numbers and flags in the order of the table."""
    columns: dict[str, Any] = dict(zip(sample.numeric, sample.numbers.T, strict=True))
    flags = [name for name in sample.discrete if sample.columns[name].kind == "boolean"]
    columns |= {name: truths(sample.frame[name]) for name in flags}
    names = [name for name in sample.frame if name in columns]
    return names, np.column_stack([columns[name] for name in names]) if names else np.empty((sample.n, 0))


def _batches(values: Floats) -> Iterator[Floats]:
    """Rows (few, c) without a missing value, if there are enough; in three batches, as a few rows may break a rule."""
    complete = values[~np.isnan(values).any(axis=1)]
    rows = complete if len(complete) >= 3 * EXPECTED else np.nan_to_num(values)
    few = max(FEW // 6, 3 * values.shape[1] if values.shape[1] <= WIDEST else 0)
    for batch in range(3):
        yield rows[batch * few : (batch + 1) * few] if len(rows) >= 3 * few else rows[batch::3]


def _candidates(rows: Floats, rng: np.random.Generator) -> Iterator[tuple[int, tuple[int, ...]]]:
    yield from _by_fingerprint(rows, rng)
    if rows.shape[1] <= WIDEST:
        yield from _by_regression(rows)


def _by_fingerprint(rows: Floats, rng: np.random.Generator) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Totals and parts that may add up in some rows (n, c)."""
    weights = rng.uniform(0.5, 1.5, (2, len(rows)))
    prints = weights @ rows
    width = rows.shape[1]
    before = np.concatenate([np.zeros((2, 1)), np.cumsum(prints, axis=1)], axis=1)
    for length in range(2, min(LONGEST, width - 1) + 1):
        ends = before[:, length:] - before[:, :-length]
        for start, total in _matches(ends, prints):
            yield total, tuple(range(start, start + length))
    first, second = np.triu_indices(width, 2)  # neighbours were tried
    for place, total in _matches(prints[:, first] + prints[:, second], prints):
        yield total, (int(first[place]), int(second[place]))


def _matches(wanted: Floats, prints: Floats) -> Iterator[tuple[int, int]]:
    """Pairs of a wanted fingerprint and a column that has it."""
    order = np.argsort(prints[0])
    known = prints[0][order]
    for shift in (-1, 0):
        places = np.clip(np.searchsorted(known, wanted[0]) + shift, 0, len(known) - 1)
        columns = order[places]
        size = CLOSE * (np.abs(prints[:, columns]) + 1e-300)
        for place in np.flatnonzero((np.abs(prints[:, columns] - wanted) <= size).all(axis=0)):
            yield int(place), int(columns[place])


def _by_regression(rows: Floats) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Totals whose regression on columns that never exceed them has the coefficients 0 and 1."""
    for total in range(rows.shape[1]):
        below: BoolArray = np.asarray((np.abs(rows) <= np.abs(rows[:, [total]]) + 1e-9).all(axis=0))
        below[total] = False
        places = np.flatnonzero(below & (rows != 0).any(axis=0))
        if len(places) < 3:
            continue
        factors = np.linalg.lstsq(rows[:, places], rows[:, total], rcond=None)[0]
        if (np.abs(factors - np.rint(factors)) < 1e-3).all() and set(np.rint(factors)) <= {0.0, 1.0}:
            yield total, tuple(int(place) for place in places[np.rint(factors) == 1])


def _adds_up(values: Floats, total: int, parts: Iterable[int]) -> bool:
    """Whether parts add up to a total in nearly all rows, and each of them matters."""
    chosen = values[:, list(parts)]
    if chosen.shape[1] < 2:
        return False
    judged = ~np.isnan(chosen).any(axis=1) & ~np.isnan(values[:, total])
    apart = np.abs(chosen.sum(axis=1) - values[:, total])[judged]
    size = np.abs(values[judged, total])
    if judged.sum() < EXPECTED or (apart > 1e-6 * np.maximum(size, 1)).mean() > BROKEN:
        return False
    matters = (chosen[judged] != 0).mean(axis=0) >= MATTERS
    return bool(matters.all() and len(np.unique(values[judged, total])) >= 3)


def multiples(sample: Sample) -> Iterator[Constraint]:
    """Yield columns that are another one, or a simple multiple of it.

    Args:
        sample: The rows.
    """
    rows = np.nan_to_num(sample.numbers[:FEW])
    weights = sample.rng.uniform(0.5, 1.5, (2, len(rows)))
    prints = weights @ rows
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = prints[0] / prints[1]
    order = [place for place in np.argsort(ratios) if np.isfinite(ratios[place])]
    first: dict[int, int] = {}
    for one, other in itertools.pairwise(order):
        if abs(ratios[one] - ratios[other]) <= 1e-9 * abs(ratios[one]):
            first[other] = first.get(one, one)
    for place, base in first.items():
        low, high = sorted((place, base))
        factor = _simple(sample.numbers[:, high], sample.numbers[:, low])
        if factor is not None and can_be_named(sample.numeric[low]):
            times = "" if factor == 1 else f" * {factor:.9g}" if factor > 1 else f" / {1 / factor:.9g}"
            yield Formula(column=sample.numeric[high], expression=f"{quoted(sample.numeric[low])}{times}")


def _simple(values: Floats, of: Floats) -> float | None:
    """The factor between two columns, if it or its inverse has few digits."""
    known = ~np.isnan(values) & ~np.isnan(of) & (of != 0)
    if known.sum() < EXPECTED or len(np.unique(of[known])) < LEAST_DISTINCT:
        return None
    factor = float(np.median(values[known] / of[known]))
    near = [n for n in (factor, 1 / factor if factor else 0) if n > 0 and abs(round(n, 4) - n) <= 1e-9 * n]
    return None if not near else float(f"{factor:.9g}")


def inequalities(sample: Sample) -> Iterator[Constraint]:
    """Yield chains of columns that ascend in nearly all rows, and would not if they were shuffled.

    Numbers must have a unit in common: a word of their names, or equal values at many places.

    Args:
        sample: The rows.
    """
    dates = calendar(sample)
    times = sample.times[:, [sample.temporal.index(name) for name in dates]]
    yield from _chains(_ordered(dates, times, sample, numbers=False))
    yield from _chains(_ordered(sample.numeric, sample.numbers, sample, numbers=True))


def _ordered(names: list[str], values: Floats, sample: Sample, *, numbers: bool) -> dict[str, list[str]]:
    """For each column, those that are larger."""
    graph: dict[str, list[str]] = {}
    if len(names) < 2:
        return graph
    with np.errstate(all="ignore"):
        low, high = np.nanquantile(values[:FEW], [BREAKS / 2, 1 - BREAKS / 2], axis=0)
    for place, name in enumerate(names):
        column = values[:, [place]]
        with np.errstate(invalid="ignore"):
            fits = (column[:FEW] > values[:FEW]).mean(axis=0) <= 2 / FEW
        fits &= high[place] > low  # otherwise the ranges do not overlap
        fits[place] = False
        for other in np.flatnonzero(fits):
            related = not numbers or share_words(name, names[other]) or _touch(column[:, 0], values[:, other], sample)
            if related and _is_rule(column[:, 0], values[:, other]):
                graph.setdefault(name, []).append(names[other])
    return graph


def _is_rule(low: Floats, high: Floats) -> bool:
    """Whether values (n,) are in order in nearly all rows, although shuffled ones would not be."""
    judged = ~np.isnan(low) & ~np.isnan(high)
    low, high = low[judged], high[judged]
    if len(low) < EXPECTED or (low > high).mean() > BROKEN or (low == high).mean() >= 1 - BROKEN:
        return False
    breaks = shuffled_breaks(low, high)
    return breaks >= BREAKS and breaks * len(low) >= EXPECTED


def _touch(low: Floats, high: Floats, sample: Sample) -> bool:
    """Whether two columns are equal in more rows, and at more values, than chance explains."""
    equal = low == high
    values, counts = np.unique(low[equal], return_counts=True)
    if len(values) < 5 or equal.mean() < 0.02:
        return False
    by_chance = np.mean(low == high[sample.rng.permutation(len(high))])
    return bool(counts.max() < 0.6 * counts.sum() and equal.mean() >= 3 * by_chance)


def _chains(graph: Mapping[str, list[str]]) -> Iterator[Constraint]:
    """Chains that contain each relation which no others imply."""
    reduced = {
        low: [h for h in highs if not any(h in graph.get(between, ()) for between in highs if between != h)]
        for low, highs in graph.items()
    }
    left = {(low, high) for low, highs in reduced.items() for high in highs}
    starts = [low for low in graph if not any(low in highs for highs in graph.values())]
    for start in [*starts, *graph]:
        while following := [high for high in reduced.get(start, ()) if (start, high) in left]:
            chain = [start, following[0]]
            left.discard((start, following[0]))
            while after := [h for h in reduced.get(chain[-1], ()) if (chain[-1], h) in left and h not in chain]:
                left.discard((chain[-1], after[0]))
                chain.append(after[0])
            yield Inequality(columns=chain)


def increments(sample: Sample) -> Iterator[Constraint]:
    """Yield columns whose values are multiples of a step of more than one unit of their last decimal.

    Args:
        sample: The rows.
    """
    for name, values in zip(sample.numeric, sample.numbers.T, strict=True):
        known = values[~np.isnan(values)]
        decimals = count_decimals(known)
        if decimals is None or decimals > 6 or len(np.unique(known)) < LEAST_DISTINCT or np.abs(known).max() > 1e12:
            continue
        whole = np.rint(known * 10.0**decimals).astype(np.int64)
        step, offset = _step(whole, STEPS if decimals == 0 else ())
        if step > 1:
            yield Increments(column=name, step=_unscaled(step, decimals), offset=_unscaled(offset, decimals))


def _step(whole: Any, steps: Iterable[int]) -> tuple[int, int]:
    """The step and the offset of whole numbers (n,); the step is 1 if there is none."""
    step, apart = int(np.gcd.reduce(whole)), int(np.gcd.reduce(whole - whole.min()))
    exact = (step, 0) if step > 1 else (apart, int(whole.min()) % max(apart, 1))
    for candidate, offset in ((n, m) for n, m in (exact, *((n, 0) for n in steps)) if n > 1):
        counts = (whole - offset) // candidate
        near = ((whole - offset) % candidate != 0).mean() <= BROKEN and len(np.unique(counts)) >= LEAST_DISTINCT
        if near and max((counts % 2 == 0).mean(), (counts % 5 == 0).mean()) <= COARSER:
            return candidate, offset
    return 1, 0


def _unscaled(number: int, decimals: int) -> float | int:
    return number if decimals == 0 else round(number / 10**decimals, decimals)
