"""Rules that protect the subjects of one column: where numbers and dates end, and what replaces rare categories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from synthvae.errors import brief
from synthvae.schema.column import NUMERIC, TEMPORAL, Column
from synthvae.tables.arrow import are_sentinels, split_sentinels, temporal_type
from synthvae.tables.subjects import Units, ends, subjects_by_value
from synthvae.tables.time_format import to_timestamps

Mask = npt.NDArray[np.bool_]
Counted = Mapping[str, pa.Array]


@dataclass(frozen=True)
class Subjects:
    """The subjects of a table, and how many of them a value must have.

    Args:
        least: The number of subjects; 0: nothing is protected.
        units: The unit (rows,) of each row of a table in memory; None: each row is a subject.
        rare: Values of fewer subjects by column, where all values of the whole table were counted; those of other
            columns are counted here.
        frequent: Values beside many others that have enough subjects in the whole table, by column.
    """

    __repr__ = brief

    least: int
    units: Units | None = None
    rare: Counted = field(default_factory=dict)
    frequent: Counted = field(default_factory=dict)

    def are_rare(self, name: str, known: pa.Array, counts: npt.NDArray[np.int64]) -> Mask:
        """Return which distinct values of a column have too few subjects, by their numbers in the rows at hand."""
        if name in self.rare:
            return np.asarray(
                pc.is_in(known, value_set=self.rare[name].cast(known.type)).to_numpy(zero_copy_only=False)
            )
        few = counts < self.least
        if name in self.frequent:
            enough = pc.is_in(known, value_set=self.frequent[name].cast(known.type))
            few &= ~enough.to_numpy(zero_copy_only=False)
        return few


@dataclass(frozen=True)
class Ends:
    """The smallest and the largest cell of a column of numbers or dates; cells beyond are replaced by them.

    Args:
        low: The smallest cell. None: too few subjects have a value, so that all become missing.
        high: The largest cell.
    """

    __repr__ = brief

    low: pa.Scalar | None
    high: pa.Scalar | None

    def apply(self, column: Column, values: pa.Array, rng: np.random.Generator) -> tuple[pa.Array, Mask]:
        """Return the protected cells (rows,), and which of them (rows,) were changed."""
        del rng
        keys, present = sort_keys(column, values)
        if self.low is None or self.high is None:
            return pc.if_else(pa.array(present), pa.scalar(None, values.type), values), present
        low, high = (sort_keys(column, pa.array([end], values.type))[0][0] for end in (self.low, self.high))
        below, above = present & (keys < low), present & (keys > high)
        if below.any():
            values = pc.if_else(pa.array(below), self.low, values)
        if above.any():
            values = pc.if_else(pa.array(above), self.high, values)
        return values, below | above


@dataclass(frozen=True)
class Frequent:
    """The categories, or the values beside numbers, that enough subjects have; others are replaced.

    Args:
        rare: The values that are replaced.
        instead: What replaces each of them. None: it is drawn from the other rows.
        frequent: A value that many rows have, where no row can be drawn; None: the cell becomes missing.
    """

    __repr__ = brief

    rare: pa.Array
    instead: pa.Array | None
    frequent: pa.Scalar | None

    def apply(self, column: Column, values: pa.Array, rng: np.random.Generator) -> tuple[pa.Array, Mask]:
        """Return the protected cells (rows,), and which of them (rows,) were changed."""
        del column
        places = pc.index_in(values, value_set=self.rare.cast(values.type))
        hit = places.is_valid().to_numpy(zero_copy_only=False)
        if not hit.any():
            return values, hit
        if self.instead is not None:
            return pc.if_else(pa.array(hit), self.instead.cast(values.type).take(places), values), hit
        donors = np.flatnonzero(~hit & values.is_valid().to_numpy(zero_copy_only=False))
        if self.frequent is None or not len(donors):
            return pc.if_else(
                pa.array(hit), pa.scalar(self.frequent and self.frequent.as_py(), values.type), values
            ), hit
        rows = np.arange(len(values))
        rows[hit] = donors[rng.integers(len(donors), size=int(hit.sum()))]
        return values.take(pa.array(rows)), hit


def rules_of(column: Column, values: pa.Array, subjects: Subjects) -> list[Ends | Frequent]:
    """The rules of a column; none where every value has enough subjects."""
    if column.kind not in (*NUMERIC, *TEMPORAL):
        frequent = _frequent(column, values, subjects)
        return [] if frequent is None else [frequent]
    keys, present = sort_keys(column, values)
    beside = _beside_numbers(column.name, values, present, subjects)
    within = None if subjects.units is None else subjects.units[present]
    found = ends(keys[present], within, subjects.least)
    if found is None:
        return [Ends(None, None), *beside] if present.any() else [*beside]
    rows = np.flatnonzero(present)
    cells = [values[int(rows[np.argmax(keys[present] == end)])] for end in found]
    return [Ends(*cells), *beside]  # what is drawn for rare ones is inside the ends


def _frequent(column: Column, values: pa.Array, subjects: Subjects) -> Frequent | None:
    """The rule of a column of categories; None if each has enough subjects."""
    known, counts = subjects_by_value(pa.chunked_array([values]), subjects.units)
    rare = subjects.are_rare(column.name, known, counts)
    other = column.other_category
    if other is not None:
        rare &= np.array(known.to_pylist(), object) != other
    if not rare.any():
        return None
    few, enough = known.filter(pa.array(rare)), known.filter(pa.array(~rare))
    most = known[int(np.argmax(np.where(rare, -1, counts)))] if len(enough) else None
    if other is not None:
        return Frequent(few, pa.array([other] * len(few)).cast(known.type), pa.scalar(other).cast(known.type))
    if column.ordered and column.categories is not None and len(enough):
        return Frequent(few, _nearest(column.categories, few, enough), most)
    return Frequent(few, None, most)


def _nearest(order: tuple[Any, ...], few: pa.Array, enough: pa.Array) -> pa.Array:
    """The nearest category with enough subjects of each one with few; of two, the lower one."""
    places = {value: place for place, value in enumerate(order)}
    kept = sorted(enough.to_pylist(), key=places.__getitem__)
    at = np.array([places[value] for value in kept])
    nearest = [kept[int(np.abs(at - places[value]).argmin())] for value in few.to_pylist()]
    return pa.array(nearest, few.type)


def _beside_numbers(name: str, values: pa.Array, present: Mask, subjects: Subjects) -> list[Frequent]:
    """The rule for sentinel values of few subjects, which are replaced by numbers and sentinels of other rows."""
    beside = values.filter(pa.array(~present)).drop_null()
    if not len(beside) or pa.types.is_temporal(values.type):
        return []
    others = pa.chunked_array([pc.if_else(pa.array(present), pa.scalar(None, values.type), values)])
    known, counts = subjects_by_value(others, subjects.units)
    few = subjects.are_rare(name, known, counts)
    if pa.types.is_floating(values.type):
        few &= ~np.isnan(known.to_numpy(zero_copy_only=False).astype(np.float64))
    if not few.any():
        return []
    frequent = values.filter(pa.array(present)).slice(0, 1)
    return [Frequent(known.filter(pa.array(few)), None, frequent[0] if len(frequent) else None)]


def sort_keys(column: Column, values: pa.Array) -> tuple[npt.NDArray[Any], Mask]:
    """Return numbers (rows,) in the order of the values of a column, and which rows (rows,) have one.

    Numbers stand for themselves and dates for their ticks; sentinel values have none.
    """
    if column.kind in TEMPORAL:
        stamps = timestamps(column, values)
        narrow = pa.types.is_date32(stamps.type) or pa.types.is_time32(stamps.type)
        ticks = stamps.cast(pa.int32() if narrow else pa.int64())
        dated = pc.and_not(
            stamps.is_valid(), are_sentinels(pa.chunked_array([values]), column.sentinels).combine_chunks()
        )
        return ticks.fill_null(0).to_numpy(), dated.to_numpy(zero_copy_only=False)
    if pa.types.is_integer(values.type):  # exact beyond 2**53
        beside = are_sentinels(pa.chunked_array([values]), column.sentinels)
        known = pc.and_not(values.is_valid(), beside.combine_chunks()).to_numpy(zero_copy_only=False)
        return values.fill_null(0).to_numpy(), known
    numbers = (
        split_sentinels(pa.chunked_array([values]), column.sentinels, column.format)[0].to_numpy().astype(np.float64)
    )
    return numbers, ~np.isnan(numbers)


def timestamps(column: Column, values: pa.Array) -> pa.Array:
    """The dates or times of a column, in microseconds if they have a format of their own."""
    if column.format is not None and not pa.types.is_temporal(values.type):
        return to_timestamps(pa.chunked_array([values]), column.format).combine_chunks()
    return values.cast(temporal_type(values.type, date=column.kind == "date"))
