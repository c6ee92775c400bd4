"""Sample a table that does not fit into memory in one pass, before its encoding is fitted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from synthvae.errors import TableError, brief
from synthvae.tables.arrow import are_sentinels, countable, in_one_chunk, is_text
from synthvae.tables.number_format import is_number
from synthvae.tables.subjects import ValueCounter

# A quantile of so many rows is off by less than 0.2 % of the rows (Dvoretzky-Kiefer-Wolfowitz inequality, 95 %).
SAMPLE_ROWS = 500_000
MAX_TEXTS = 200_000  # distinct texts of a column; with more they are not categories
MAX_BESIDE = 64  # texts among numbers, that is, sentinel values; with more they are other texts
MAX_NUMBERS = 1_000  # distinct whole numbers; with more they are modelled by a density

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Survey:
    """The result of one pass over a table.

    Args:
        sample: Random rows, or all if there are few, and below them rows that contain, for each column, its smallest,
            largest and longest value, a missing one, and one value of each category. Kinds, categories, bounds and
            quantiles inferred from the sample are valid for the table.
        rows: Number of rows of the table.
        missing: Number of missing values of each column.
        rare: Values of fewer subjects than asked for, by column of few distinct texts or numbers.
        frequent: Of the other columns, the sentinel values of at least so many subjects.
    """

    __repr__ = brief

    sample: pa.Table
    rows: int
    missing: dict[str, int]
    rare: dict[str, pa.Array] = field(default_factory=dict)
    frequent: dict[str, pa.Array] = field(default_factory=dict)

    @classmethod
    def from_batches(
        cls,
        batches: Iterable[pa.Table],
        seed: int,
        most: int = SAMPLE_ROWS,
        *,
        least: int = 0,
        unit: str | None = None,
        sentinels: Mapping[str, Sequence[Any]] | None = None,
    ) -> Survey:
        """Read each batch once.

        Args:
            batches: The table.
            seed: Seed of the random rows.
            most: Maximum number of random rows.
            least: Values of fewer subjects are rare; 0: none is.
            unit: The column that identifies subjects; None: each row is one.
            sentinels: The declared sentinel values by column; texts among numbers are found without.

        Raises:
            TableError: There are fewer than 2 rows.
        """
        drawn, extremes = (
            _RandomRows(most, np.random.default_rng([seed, 60])),
            _ExtremeRows(least, unit, sentinels or {}),
        )
        rows, missing = 0, dict[str, int]()
        for table in batches:
            drawn.add(table, rows)
            extremes.add(table, rows)
            rows += table.num_rows
            for name in table.column_names:
                missing[name] = missing.get(name, 0) + table.column(name).null_count
        if rows < 2:
            raise TableError(f"A table must have at least 2 rows, got {rows}. Add rows.")
        places, sample = drawn.result()
        others, found = extremes.result()
        new = ~np.isin(others, places)
        joined = pa.concat_tables([sample, *([found.filter(new)] if found is not None and new.any() else [])])
        return cls(joined.unify_dictionaries().combine_chunks(), rows, missing, extremes.rare, extremes.frequent)

    @property
    def sequences(self) -> list[str]:
        """Columns of whole numbers that enumerate the rows: their range equals the number of rows.

        That all numbers are distinct is checked in the sample only; random numbers would have duplicates there.
        """
        return [name for name in self.sample.column_names if self._is_sequence(name)]

    def _is_sequence(self, name: str) -> bool:
        values = self.sample.column(name)
        if not pa.types.is_integer(values.type) or self.missing[name] or self.rows == self.sample.num_rows:
            return False
        span = pc.min_max(values).as_py()
        return bool(span["max"] - span["min"] == self.rows - 1 and pc.count_distinct(values).as_py() == len(values))


class _RandomRows:
    """A random sample of at most `most` rows: those with the smallest of random numbers, one per row."""

    def __init__(self, most: int, rng: np.random.Generator) -> None:
        self.most, self.rng, self.limit = most, rng, 1.0
        self.kept: list[tuple[npt.NDArray[np.float64], Rows, pa.Table]] = []

    def add(self, table: pa.Table, first: int) -> None:
        numbers = self.rng.random(table.num_rows)
        chosen = np.flatnonzero(numbers < self.limit)
        self.kept.append((numbers[chosen], first + chosen, table.take(chosen)))
        if sum(len(part[0]) for part in self.kept) > 2 * self.most:
            self._thin()

    def _thin(self) -> None:
        numbers, places = (np.concatenate([part[i] for part in self.kept]) for i in (0, 1))
        table = pa.concat_tables([part[2] for part in self.kept])
        if len(numbers) > self.most:
            stay = np.sort(np.argpartition(numbers, self.most)[: self.most])
            numbers, places, table = numbers[stay], places[stay], table.take(stay)
            self.limit = float(numbers.max())
        self.kept = [(numbers, places, table.combine_chunks())]

    def result(self) -> tuple[Rows, pa.Table]:
        if not self.kept:
            return np.empty(0, np.int64), pa.table({})
        self._thin()
        return self.kept[0][1], self.kept[0][2]


class _ExtremeRows:
    """Rows with values that a random sample may not contain."""

    def __init__(self, least: int, unit: str | None, sentinels: Mapping[str, Sequence[Any]]) -> None:
        self.least, self.unit, self.sentinels = least, unit, sentinels
        self.columns: dict[str, _Column] = {}
        self.kept: list[tuple[Rows, pa.Table]] = []

    @property
    def rare(self) -> dict[str, pa.Array]:
        counted = {name: column.counter for name, column in self.columns.items() if not column.many}
        return {name: counter.rare for name, counter in counted.items() if self.least and counter.known is not None}

    @property
    def frequent(self) -> dict[str, pa.Array]:
        counted = {name: column.counter for name, column in self.columns.items() if column.many and self.least}
        return {name: counter.frequent for name, counter in counted.items() if counter.size}

    def add(self, table: pa.Table, first: int) -> None:
        here: list[Rows] = []
        units = in_one_chunk(table.column(self.unit)) if self.least and self.unit in table.column_names else None
        for name in table.column_names:
            column = self.columns.setdefault(name, _Column(ValueCounter(self.least), self.sentinels.get(name, ())))
            found, labels = column.update(table.column(name).combine_chunks(), units)
            column.places += [first + place for place in found]
            column.labels += [first + place for place in labels]
            here.append(np.array(found + labels, np.int64))
        places = np.unique(np.concatenate(here)) if here else np.empty(0, np.int64)
        if len(places):
            self.kept.append((first + places, table.take(places)))

    def result(self) -> tuple[Rows, pa.Table | None]:
        if not self.kept:
            return np.empty(0, np.int64), None
        places, table = np.concatenate([p for p, _ in self.kept]), pa.concat_tables([t for _, t in self.kept])
        # The rows of a column with too many values to be categories are not needed.
        needed = np.isin(places, [place for c in self.columns.values() for place in c.places + c.labels])
        return places[needed], table.filter(needed)


@dataclass
class _Column:
    """Values of a column that have occurred, and the first rows with them."""

    counter: ValueCounter
    sentinels: Sequence[Any] = ()
    places: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    has_missing: bool = False
    span: dict[str, Any] = field(default_factory=dict)
    longest: int = -1
    many: bool = False

    def update(self, values: pa.Array, units: pa.Array | None) -> tuple[list[int], list[int]]:
        """Return the rows of a batch with a new extreme or a first missing value, and those with a new category."""
        values = in_one_chunk(values)
        found = self._first_missing(values) + self._span(values)
        if is_text(values.type):
            return found + self._longest(values), self._distinct(values, units, MAX_TEXTS)
        values = countable(values)
        if pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_boolean(values.type):
            return found, self._distinct(values, units, MAX_NUMBERS)
        return found, []

    def _first_missing(self, values: pa.Array) -> list[int]:
        if self.has_missing or not values.null_count:
            return []
        self.has_missing = True
        return [pc.index(values.is_null(), value=True).as_py()]

    def _span(self, values: pa.Array) -> list[int]:
        try:
            span = pc.min_max(values)
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
            return []
        found = []
        for end, outside in (("min", pc.less), ("max", pc.greater)):
            value, known = span[end], self.span.get(end)
            if value.is_valid and (known is None or outside(value, known).as_py()):
                self.span[end] = value
                found.append(pc.index(values, value).as_py())
        return found

    def _longest(self, values: pa.Array) -> list[int]:
        """The longest text that is last in order: the largest number, if the texts are numbers after a prefix."""
        lengths = pc.utf8_length(values)
        longest = pc.max(lengths).as_py()
        if longest is None or longest < self.longest:
            return []
        self.longest = longest
        largest = pc.max(values.filter(pc.equal(lengths, longest)))
        return [pc.index(values, largest).as_py()]

    def _distinct(self, values: pa.Array, units: pa.Array | None, most: int) -> list[int]:
        if self.many and not self.counter.size:
            return []
        new = self.counter.add(values, units)
        if not self.many and self.counter.size > most:
            self.many = True
            known = self.counter.known
            assert known is not None
            watched = self._sentinels(known)
            kept = pc.is_in(known.slice(0, len(self.labels)), value_set=watched)
            self.labels = [label for label, keep in zip(self.labels, kept.to_pylist(), strict=True) if keep]
            new = new.filter(pc.is_in(new, value_set=watched))
            self.counter.watch(watched)
        return list(pc.index_in(new, value_set=values).to_pylist())

    def _sentinels(self, known: pa.Array) -> pa.Array:
        """The declared sentinel values of a column of many values, and the known texts that are not numbers."""
        kind = known.type
        beside = are_sentinels(pa.chunked_array([known]), self.sentinels).combine_chunks()
        if is_text(kind):
            texts = pa.array([not is_number(text) for text in known.to_pylist()], pa.bool_())
            beside = pc.or_(beside, texts) if pc.sum(texts).as_py() <= MAX_BESIDE else beside
        stated = self.sentinels if is_text(kind) else [s for s in self.sentinels if not isinstance(s, str)]
        later = pa.array([str(s) for s in stated] if is_text(kind) else [float(s) for s in stated])
        later = later.cast(kind, safe=False)
        return pc.unique(pa.concat_arrays([known.filter(beside), later]))
