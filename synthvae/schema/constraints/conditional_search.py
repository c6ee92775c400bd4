"""Search for rules of the kind "if this value, then that one", and for values that are missing together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from synthvae.schema.constraints.categorical_search import (
    BREAKS,
    BROKEN,
    EXPECTED,
    FEW,
    MOST_DECIDING,
    MOST_VALUES,
    Flags,
    condition_of,
)
from synthvae.schema.constraints.condition import Condition
from synthvae.schema.constraints.implications import If, ImpliesMissing, RequiredIf
from synthvae.schema.constraints.rule import Constraint
from synthvae.schema.constraints.sample import Floats, Sample

EXCLUDED = 60  # rows that would have another value if the columns were independent; fewer may have none by chance

Values = tuple[str, frozenset[int]]  # a column and the codes of some of its values


def implied_values(sample: Sample) -> Iterator[Constraint]:
    """Yield values of a category under which another category or flag has one value, but not otherwise.

    A rule that follows from those before it is not yielded: the contraposition of one, or a rule on wards where there
    is the same one on their departments.

    Args:
        sample: The rows.
    """
    names = sorted((n for n in sample.discrete if _is_class(sample, n)), key=lambda name: len(sample.values[name]))
    names = names[:MOST_DECIDING]
    known: list[tuple[Values, Values]] = []  # values that do not occur together
    for given, other in _candidates(sample, names):
        table = _table(sample, given, other)
        for value, conditions in _implied(table).items():
            then = np.arange(table.shape[1]) == value
            first, second = (given, _codes(conditions)), (other, _codes(~then))
            if not _follows(sample, first, second, known):
                known += [(first, second), (second, first)]
                yield If(
                    condition=condition_of(given, sample.values[given], conditions),
                    then=condition_of(other, sample.values[other], then),
                )


def _codes(chosen: Flags) -> frozenset[int]:
    return frozenset(np.flatnonzero(chosen).tolist())


def _follows(sample: Sample, first: Values, second: Values, known: list[tuple[Values, Values]]) -> bool:
    """Whether it is known that values do not occur together: those of a column that the first ones determine do not."""
    return any(other == second and _is_within(sample, first, some) for some, other in known)


def _is_within(sample: Sample, first: Values, second: Values) -> bool:
    """Whether all rows with some values of a column have some of another, or the same, column."""
    if first[0] == second[0]:
        return first[1] <= second[1]
    table = _table(sample, first[0], second[0])[sorted(first[1])]
    return bool(table[:, sorted(second[1])].sum() >= (1 - BROKEN) * table.sum())


def _is_class(sample: Sample, name: str) -> bool:
    """Whether a column has few values that are classes or flags, and no counts."""
    count = len(sample.values[name])
    return count <= MOST_VALUES and (count == 2 or sample.columns[name].kind != "integer")


def _candidates(sample: Sample, names: list[str]) -> Iterator[tuple[str, str]]:
    """The pairs of columns of which the first has a value that determines the second, in a few rows."""
    places = [sample.discrete.index(name) for name in names]
    sizes = [len(sample.values[name]) for name in names]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    few = sample.codes[:FEW]
    chosen = np.zeros((len(few), int(starts[-1])), np.float32)
    for place, start in zip(places, starts[:-1].tolist(), strict=True):
        rows = np.flatnonzero(few[:, place] >= 0)
        chosen[rows, start + few[rows, place]] = 1
    joint = (chosen.T @ chosen).astype(np.float64)
    if not names:
        return
    most = np.maximum.reduceat(joint, starts[:-1], axis=1)  # of the rows with a value, by the other column
    rows_of = np.add.reduceat(joint, starts[:-1], axis=1)
    follows = (rows_of > 0) & (most >= (1 - 4 * BROKEN) * rows_of)
    least = EXCLUDED / len(sample.codes) * len(few) / 2
    for first, second in np.argwhere(np.logical_or.reduceat(follows, starts[:-1], axis=0)).tolist():
        table = joint[starts[first] : starts[first + 1], starts[second] : starts[second + 1]]
        if first != second and _implied(table, 4 * BROKEN, least):
            yield names[first], names[second]


def _table(sample: Sample, given: str, other: str) -> Floats:
    """The numbers of rows with each value of two columns."""
    first, second = (sample.codes[:, sample.discrete.index(name)] for name in (given, other))
    shape = len(sample.values[given]), len(sample.values[other])
    known = (first >= 0) & (second >= 0)
    joint = np.bincount(first[known] * shape[1] + second[known], minlength=shape[0] * shape[1])
    return joint.reshape(shape).astype(np.float64)


def _implied(table: Floats, broken: float = BROKEN, least: float = EXCLUDED) -> dict[int, Flags]:
    """The values of the second column that follow from values of the first, and which (first values,) these are.

    Args:
        table: The numbers of rows with each value of two columns.
        broken: The largest share of rows with another value.
        least: The smallest number of rows that would have another value if the columns were independent.
    """
    rows, total = table.sum(1), table.sum()
    if not total:
        return {}
    most = table.argmax(1)
    other = 1 - table.sum(0)[most] / total  # the share of other values among all rows
    follows = (table.max(1) >= (1 - broken) * rows) & (other >= BREAKS) & (other * rows >= least)
    if follows[rows > 0].all():  # the first column determines the second
        return {}
    return {int(value): follows & (most == value) for value in np.unique(most[follows])}


def missing_together(sample: Sample) -> Iterator[Constraint]:
    """Yield columns whose values are missing in the same rows.

    Args:
        sample: The rows.
    """
    names, missing = sample.missing()
    masks = missing.astype(np.float32)
    gone = masks.sum(0)
    apart = gone[:, None] + gone - 2 * (masks.T @ masks)
    rarer = np.minimum(gone, sample.n - gone)
    together = apart <= BROKEN * np.minimum(rarer[:, None], rarer)
    by_chance = gone * (sample.n - gone) / sample.n  # rows that shuffled columns would part
    left = list(np.flatnonzero(by_chance >= EXPECTED))
    while left:
        first = left.pop(0)
        group = [other for other in left if together[first, other]]
        left = [other for other in left if other not in group]
        if group:
            columns = [names[other] for other in group]
            yield ImpliesMissing(condition=Condition(column=names[first], is_missing=True), columns=columns)
            yield RequiredIf(condition=Condition(column=names[first], is_missing=False), columns=columns)
