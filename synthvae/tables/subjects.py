"""Count the subjects (rows, or the units of a column such as patients) that have a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from synthvae.errors import brief
from synthvae.tables.arrow import countable, in_one_chunk, plain_type, unit_numbers

Units = npt.NDArray[np.int64]


def units_of(values: pa.ChunkedArray) -> Units:
    """Return the unit (rows,) of each row; each row without one is a unit of its own.

    Example:
        >>> units_of(pa.chunked_array([["ann", None, "ann", None]])).tolist()
        [0, 1, 0, 2]
    """
    numbers = unit_numbers(values).copy()
    alone = numbers < 0
    numbers[alone] = numbers.max(initial=-1) + 1 + np.arange(alone.sum())
    return numbers


def subjects_by_value(values: pa.ChunkedArray, units: Units | None) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """Return the distinct values of a column, and the number of subjects of each.

    Args:
        values: The column (rows,).
        units: The unit (rows,) of each row; None: each row is a subject.

    Example:
        >>> values = pa.chunked_array([["a", "b", "a", "a"]])
        >>> found, counts = subjects_by_value(values, np.array([0, 0, 1, 1]))
        >>> dict(zip(found.to_pylist(), counts.tolist(), strict=True))
        {'a': 2, 'b': 1}
    """
    coded = countable(in_one_chunk(values)).dictionary_encode()
    distinct = coded.dictionary.cast(plain_type(values.type))
    places = np.asarray(coded.indices.fill_null(-1).to_numpy(zero_copy_only=False), np.int64)
    known = places >= 0
    if units is None:
        return distinct, np.bincount(places[known], minlength=len(distinct))
    pairs = pd.DataFrame({"value": places[known], "unit": units[known]}).drop_duplicates()
    return distinct, np.bincount(pairs["value"].to_numpy(), minlength=len(distinct))


def count_subjects(units: Units | None, rows: int) -> int:
    """Return the number of subjects of a table of so many rows."""
    return rows if units is None else len(np.unique(units))


def ends(keys: npt.NDArray[Any], units: Units | None, least: int) -> tuple[Any, Any] | None:
    """Return the numbers at which so many subjects lie at or beyond, on either side.

    A subject lies at or below a number if its smallest number does, and at or above it if its largest one does.

    Args:
        keys: Numbers (rows,) of one column, none missing.
        units: The unit (rows,) of each; None: each row is a subject.
        least: The number of subjects.

    Returns:
        The lower and the upper end; None if there are none, because there are too few subjects.

    Example:
        >>> ends(np.array([1, 2, 3, 4, 5]), None, 2)
        (2, 4)
        >>> ends(np.array([1, 2, 3, 4, 5]), np.array([0, 0, 1, 2, 2]), 2)
        (3, 3)
    """
    lowest, highest = keys, keys
    if units is not None and len(keys):
        by_unit = pd.Series(keys).groupby(units)
        lowest, highest = by_unit.min().to_numpy(), by_unit.max().to_numpy()
    if len(lowest) < least:
        return None
    low = np.partition(lowest, least - 1)[least - 1]
    high = np.partition(highest, len(highest) - least)[len(highest) - least]
    return (low.item(), high.item()) if low <= high else None


@dataclass
class ValueCounter:
    """Counts the subjects of each value of a column that comes in batches.

    Args:
        least: A value of fewer subjects is rare.

    Example:
        >>> counter = ValueCounter(2)
        >>> counter.add(pa.array(["a", "b"]), None).to_pylist(), counter.add(pa.array(["a"]), None).to_pylist()
        (['a', 'b'], [])
        >>> counter.rare.to_pylist()
        ['b']
    """

    __repr__ = brief

    least: int
    known: pa.Array | None = None
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    seen: dict[int, set[Any]] = field(default_factory=dict)
    closed: bool = False

    def watch(self, values: pa.Array) -> None:
        """Count no other values than these from now on; what was counted of them is kept.

        Those that have not occurred are new when they do.
        """
        places = self._places(values)
        known = np.flatnonzero(places >= 0)
        counts = np.zeros(len(values), np.int64)
        counts[known] = self.counts[places[known]]
        seen = {place: self.seen[old] for place, old in enumerate(places.tolist()) if old in self.seen}
        self.known, self.counts, self.seen, self.closed = values, counts, seen, True

    def _places(self, values: pa.Array) -> npt.NDArray[np.int64]:
        """The places of values (rows,) among the known ones; -1 where one is not known."""
        places = pc.index_in(values, value_set=self.known)
        return np.asarray(places.fill_null(-1).to_numpy(zero_copy_only=False), np.int64)

    def add(self, values: pa.Array, units: pa.Array | None) -> pa.Array:
        """Count the values (rows,) of a batch, which are not a dictionary, and return those that are new."""
        if self.closed:
            return self._add_watched(values, units)
        return self._add(values, units)

    def _add_watched(self, values: pa.Array, units: pa.Array | None) -> pa.Array:
        assert self.known is not None
        watched, absent = pc.is_in(values, value_set=self.known), self.counts == 0
        self._add(values.filter(watched), None if units is None else units.filter(watched))
        return self.known.filter(pa.array(absent & (self.counts > 0)))

    def _add(self, values: pa.Array, units: pa.Array | None) -> pa.Array:
        here = pc.value_counts(values.drop_null())
        distinct, counts = here.field("values"), here.field("counts").to_numpy()
        if self.known is None:
            self.known = distinct.slice(0, 0)
        places = pc.index_in(distinct, value_set=self.known)
        new = distinct.filter(places.is_null())
        if len(new):
            self.known = pa.concat_arrays([self.known, new])
            self.counts = np.concatenate([self.counts, np.zeros(len(new), np.int64)])
            places = pc.index_in(distinct, value_set=self.known)
        if units is None:
            self.counts[places.to_numpy()] += counts
        else:
            self._add_units(values, units)
        return new

    def _add_units(self, values: pa.Array, units: pa.Array) -> None:
        """Note the units of the values that have too few so far; rows without a unit count each on their own."""
        if not self.size:
            return
        places = self._places(values)
        open_rows = np.flatnonzero((places >= 0) & (self.counts[places] < self.least))
        labels = units.take(pa.array(open_rows)).to_pylist()
        for place, label in zip(places[open_rows].tolist(), labels, strict=True):
            if self.counts[place] < self.least:
                seen = self.seen.setdefault(place, set())
                seen.add(object() if label is None else label)  # an object of its own equals no other
                self.counts[place] = len(seen)

    @property
    def size(self) -> int:
        """The number of distinct values so far."""
        return len(self.counts)

    @property
    def rare(self) -> pa.Array:
        """The values of fewer than `least` subjects."""
        if self.known is None:
            return pa.array([])
        return self.known.filter(pa.array(self.counts < self.least))

    @property
    def frequent(self) -> pa.Array:
        """The values of at least `least` subjects."""
        return pa.array([]) if self.known is None else self.known.filter(pa.array(self.counts >= self.least))
