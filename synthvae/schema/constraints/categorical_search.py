"""Search for rules of categories: hierarchies, flags, values missing under a condition, and keys."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synthvae.schema.column import TEMPORAL
from synthvae.schema.constraints.combinations import FixedCombinations, OneHot, Unique
from synthvae.schema.constraints.comparable import codes
from synthvae.schema.constraints.condition import Condition
from synthvae.schema.constraints.implications import ImpliesMissing, RequiredIf
from synthvae.schema.constraints.rule import Constraint
from synthvae.schema.constraints.sample import Ints, Sample
from synthvae.tables.arrow import LARGEST_EXACT

FEW = 2_000  # rows in which all pairs of columns are compared
BROKEN = 0.001  # share of rows that break a rule
BREAKS = 0.05  # share of rows that shuffled columns would break
EXPECTED = 20  # rows of the sample that they would break
MOST_VALUES = 50  # of a column that decides which values are missing
MOST_DECIDING = 300  # such columns
EXPLAINED = 0.5  # share of a column's missing values that a condition explains
CONTRAST = 0.5  # largest share of missing values where it is not met
RARE = 0.01  # share of the rows in which each of two flags is true
MOST_KEYS = 20  # columns that may be keys together with another

Flags = npt.NDArray[np.bool_]


def combinations(sample: Sample) -> Iterator[Constraint]:
    """Yield groups of columns of which one determines the others, as a ward determines its department.

    Args:
        sample: The rows.
    """
    names = sample.discrete
    determined = {place: _determined(sample, place) for place in range(len(names))}
    determined = {place: others for place, others in determined.items() if others}
    for place, others in determined.items():
        group = {place, *others}
        coarser = [
            finer
            for finer, found in determined.items()
            if finer != place and group <= {finer, *found} and (finer not in others or finer < place)
        ]
        if not coarser:
            yield FixedCombinations(columns=[names[member] for member in sorted(group)])


def _determined(sample: Sample, place: int) -> list[int]:
    """The columns that follow from one, and would not if they were shuffled."""
    few = sample.codes[:FEW]
    order = np.argsort(few[:, place], kind="stable")
    rows = few[order]
    same = (rows[1:, place] == rows[:-1, place]) & (rows[1:, place] >= 0)
    known = same[:, None] & (rows[1:] >= 0) & (rows[:-1] >= 0)
    apart = (known & (rows[1:] != rows[:-1])).sum(axis=0)
    pairs = known.sum(axis=0)
    possible = np.flatnonzero((pairs >= EXPECTED) & (apart <= 4 * BROKEN * pairs))
    return [int(other) for other in possible if other != place and _follows(sample, place, int(other))]


def _follows(sample: Sample, place: int, other: int) -> bool:
    key, value = sample.codes[:, place], sample.codes[:, other]
    known = (key >= 0) & (value >= 0)
    key, value = key[known], value[known]
    if len(key) < EXPECTED or _exceptions(key, value) > BROKEN:
        return False
    breaks = _exceptions(key, sample.rng.permutation(value))
    return breaks >= BREAKS and breaks * len(key) >= EXPECTED


def _exceptions(key: Ints, value: Ints) -> float:
    """The share of rows whose value is not the most frequent one of their key."""
    joined, counts = np.unique(key * (int(value.max()) + 1) + value, return_counts=True)
    most = pd.Series(counts).groupby(joined // (int(value.max()) + 1)).max().sum()
    return 1 - float(most) / len(key)


def flags(sample: Sample) -> Iterator[Constraint]:
    """Yield neighbouring flags, and flags with a common beginning of their names, of which exactly one is true.

    Args:
        sample: The rows.
    """
    names, values = sample.flags()
    found: list[set[int]] = []
    for group in itertools.chain(_neighbours(values), _namesakes(names)):
        share = values[:, group].mean(axis=0)
        exact = (values[:, group].sum(axis=1) != 1).mean() <= BROKEN
        if exact and share.min() >= (RARE if len(group) == 2 else BROKEN) and set(group) not in found:
            found.append(set(group))
            yield OneHot(columns=[names[place] for place in group])


def _neighbours(values: Any) -> Iterator[list[int]]:
    """Runs of columns that may add up to one in each row; the shortest from each start."""
    counts = np.concatenate([[0], np.cumsum(values.sum(axis=0))]) if values.size else np.zeros(1)
    slack = BROKEN * len(values)
    for start in range(len(counts) - 1):
        ends = np.flatnonzero(np.abs(counts - counts[start] - len(values)) <= slack)
        yield from (list(range(start, end)) for end in ends[:3] if end - start >= 2)


def _namesakes(names: list[str]) -> Iterator[list[int]]:
    heads: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        for separator in ("_", ".", "=", " ", "-"):
            if separator in name.strip(separator):
                heads.setdefault(name[: name.rindex(separator) + 1], []).append(place)
                heads.setdefault(name[: name.index(separator) + 1], []).append(place)
    yield from (sorted(set(group)) for group in heads.values() if len(set(group)) >= 2)


def implications(sample: Sample) -> Iterator[Constraint]:
    """Yield conditions on categories, or on the size of whole numbers, under which values are missing.

    Args:
        sample: The rows.
    """
    names, missing = sample.missing()
    best: dict[str, tuple[float, int, Condition, Condition | None]] = {}
    for column in _deciding(sample):
        for place, found in _conditions(sample, column, missing):
            rank = found[:2]
            if names[place] != column and (names[place] not in best or rank > best[names[place]][:2]):
                best[names[place]] = found
    groups: dict[tuple[Condition, Condition | None], list[str]] = {}
    for name, (_, _, condition, required) in best.items():
        groups.setdefault((condition, required), []).append(name)
    for (condition, required), columns in groups.items():
        yield ImpliesMissing(condition=condition, columns=columns)
        if required is not None:
            yield RequiredIf(condition=required, columns=columns)


def _deciding(sample: Sample) -> list[str]:
    """The columns that may decide which values are missing, those with few values first."""
    usable = [name for name in sample.discrete if len(sample.values[name]) <= MOST_VALUES or _is_whole(sample, name)]
    return sorted(usable, key=lambda name: len(sample.values[name]))[:MOST_DECIDING]


def _is_whole(sample: Sample, name: str) -> bool:
    return sample.columns[name].kind == "integer" and name in sample.numeric


Found = tuple[float, int, Condition, Condition | None]


def _conditions(sample: Sample, column: str, missing: Flags) -> Iterator[tuple[int, Found]]:
    """The conditions on a column that explain missing values (n, columns), with the place of each."""
    if len(sample.values[column]) > MOST_VALUES:
        yield from _limits(sample, column, missing)
        return
    places = sample.codes[:, sample.discrete.index(column)]
    count = len(sample.values[column])
    few = _counts(places[:FEW], missing[:FEW], count)
    rows = np.bincount(places[:FEW][places[:FEW] >= 0], minlength=count)[:, None]
    possible = ((few >= (1 - 4 * BROKEN) * rows) & (rows > 0)).any(axis=0)
    for place in np.flatnonzero(possible):
        found = _of_values(sample, column, places, missing[:, place])
        if found is not None:
            yield int(place), found


def _counts(places: Ints, missing: Flags, count: int) -> Any:
    """The number of missing values of each column, by value of another (count, columns)."""
    chosen = np.zeros((len(places), count), np.float32)
    known = np.flatnonzero(places >= 0)
    chosen[known, places[known]] = 1
    return chosen.T @ missing.astype(np.float32)


def _of_values(sample: Sample, column: str, places: Ints, missing: Flags) -> Found | None:
    """The values of a column under which another is missing, and under which it is present."""
    known = places >= 0
    rows = np.bincount(places[known], minlength=len(sample.values[column]))
    gone = np.bincount(places[known & missing], minlength=len(rows))
    always, never = gone >= (1 - BROKEN) * rows, gone <= BROKEN * rows
    inside = always[places] & known
    if not always.any() or always.all() or not _is_telling(inside, missing):
        return None
    values = sample.values[column]
    explained = float(missing[inside].sum() / missing.sum())
    condition = condition_of(column, values, always)
    decided = bool((always | never).all() and missing.mean() * (known & ~inside).sum() >= EXPECTED)
    return explained, -len(values), condition, condition_of(column, values, ~always) if decided else None


def _is_telling(inside: Flags, missing: Flags) -> bool:
    """Whether a condition explains many missing values, which are rarer where it is not met."""
    if not inside.any() or inside.all():
        return False
    expected = inside.sum() * (1 - missing.mean())
    return bool(
        expected >= EXPECTED
        and missing[inside].sum() >= EXPLAINED * missing.sum()
        and missing[~inside].mean() <= CONTRAST
    )


def condition_of(column: str, values: list[object], chosen: Flags) -> Condition:
    """Return the condition that a column has one of some values, with the shorter list of values.

    Args:
        column: The column.
        values: All its values.
        chosen: Which of them (values,) meet the condition.
    """
    inside = [_plain(value) for value, met in zip(values, chosen, strict=True) if met]
    outside = [_plain(value) for value, met in zip(values, chosen, strict=True) if not met]
    if len(inside) <= len(outside):
        return Condition(column=column, is_in=inside)
    return Condition(column=column, not_in=outside)


def _plain(value: Any) -> Any:
    """A value of a frame as a schema holds it: whole numbers without a fraction, and sentinel values as text."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST_EXACT:
        return int(value)
    return value if isinstance(value, (bool, int, float)) else str(value)


def _limits(sample: Sample, column: str, missing: Flags) -> Iterator[tuple[int, Found]]:
    """The smallest or largest whole numbers of a column, at which others are missing."""
    values = sample.numbers[:, sample.numeric.index(column)]
    for sign in (1, -1):
        order = np.argsort(sign * values, kind="stable")
        order = order[~np.isnan(values[order])]
        present = ~missing[order]
        ends = np.where(present.any(axis=0), present.argmax(axis=0), 0)
        for place in np.flatnonzero(ends):
            end = values[order[ends[place]]]
            inside = (sign * values < sign * end) & ~np.isnan(values)
            if _is_telling(inside, missing[:, place]):
                limit = int(values[inside].max() if sign == 1 else values[inside].min())
                between = (None, limit) if sign == 1 else (limit, None)
                explained = float(missing[inside, place].sum() / missing[:, place].sum())
                yield (
                    int(place),
                    (explained, -len(sample.values[column]), Condition(column=column, between=between), None),
                )


def keys(sample: Sample) -> Iterator[Constraint]:
    """Yield whole numbers that never repeat, and pairs of an id that repeats and another column that do not.

    Args:
        sample: The rows.
    """
    n, frame = sample.n, sample.frame
    for name in sample.numeric:
        values = sample.numbers[:, sample.numeric.index(name)]
        whole = sample.columns[name].kind == "integer" and not np.isnan(values).any()
        by_chance = n * (n - 1) / (2 * (np.ptp(values) + 1)) if whole else 0  # rows that would repeat another
        if by_chance >= EXPECTED and len(np.unique(values)) == n:
            yield Unique(columns=[name])
    subjects = [name for name, column in sample.columns.items() if column.kind == "id" and _repeats(frame[name])]
    order = ("integer", *TEMPORAL, "categorical")
    partners = [name for kind in order for name, c in sample.columns.items() if c.kind == kind]
    partners.sort(key=lambda name: bool(frame[name].isna().any()))
    for subject in subjects[:MOST_KEYS]:
        found = (name for name in partners[:MOST_KEYS] if _is_key(frame, subject, name, sample.rng))
        if (partner := next(found, None)) is not None:  # of several keys, others follow from this one
            yield Unique(columns=[subject, partner])


def _repeats(values: pd.Series[Any]) -> bool:
    return bool(values.duplicated().mean() > BREAKS)


def _is_key(frame: pd.DataFrame, subject: str, partner: str, rng: np.random.Generator) -> bool:
    """Whether two columns together never repeat, although they would if one were shuffled."""
    rows = frame[[subject, partner]].dropna()
    if rows.duplicated().any() or len(rows) < EXPECTED:
        return False
    shuffled = rows.assign(**{partner: rng.permutation(rows[partner].to_numpy())})
    return bool(pd.Series(codes(shuffled, [subject, partner])).duplicated().sum() >= EXPECTED)
