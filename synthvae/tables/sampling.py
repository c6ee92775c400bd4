"""One pass over a table that does not fit into memory: what must be known of it before its rows can be coded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from synthvae.errors import TableError
from synthvae.tables.arrow import is_text

SAMPLE_ROWS = 500_000  # a quantile of so many is off by less than .2 % of the rows (Dvoretzky-Kiefer-Wolfowitz, 95 %)
MOST_TEXTS = 200_000  # distinct ones of a column; with more they are no categories
MOST_NUMBERS = 1_000  # distinct whole ones; with more they are points of a density

Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Survey:
    """What one pass found.

    Args:
        sample: Rows drawn at random, and under them witnesses: of each column its smallest, largest and longest value,
            a missing one, and one of each category. What is learned from it (kinds, categories, bounds, quantiles)
            holds for the table. All rows, if there are few.
        rows: How many rows there are.
        missing: How many values of each column are missing.
    """

    sample: pa.Table
    rows: int
    missing: dict[str, int]

    @classmethod
    def of(cls, batches: Iterable[pa.Table], seed: int, most: int = SAMPLE_ROWS) -> Survey:
        """Look at each batch once.

        Raises:
            TableError: There are fewer than 2 rows.
        """
        drawn, witnesses = _Drawn(most, np.random.default_rng([seed, 60])), _Witnesses()
        rows, missing = 0, dict[str, int]()
        for table in batches:
            drawn.add(table, rows)
            witnesses.add(table, rows)
            rows += table.num_rows
            for name in table.column_names:
                missing[name] = missing.get(name, 0) + table.column(name).null_count
        if rows < 2:
            raise TableError(f"a table must have at least 2 rows, however, it has {rows}: add rows")
        places, sample = drawn.result()
        others, found = witnesses.result()
        new = ~np.isin(others, places)
        joined = pa.concat_tables([sample, *([found.filter(new)] if found is not None and new.any() else [])])
        return cls(joined.unify_dictionaries().combine_chunks(), rows, missing)

    @property
    def sequences(self) -> list[str]:
        """Columns of whole numbers that count the rows: as many as there are from the smallest to the largest.

        That each occurs once is known of the sample only; of numbers drawn at random some would be twice in it.
        """
        return [name for name in self.sample.column_names if self._is_sequence(name)]

    def _is_sequence(self, name: str) -> bool:
        values = self.sample.column(name)
        if not pa.types.is_integer(values.type) or self.missing[name] or self.rows == self.sample.num_rows:
            return False
        span = pc.min_max(values).as_py()
        return bool(span["max"] - span["min"] == self.rows - 1 and pc.count_distinct(values).as_py() == len(values))


class _Drawn:
    """Rows drawn at random, as many of them as asked: each row gets a number, and those with the smallest stay."""

    def __init__(self, most: int, rng: np.random.Generator) -> None:
        self.most, self.rng, self.limit = most, rng, 1.0
        self.kept: list[tuple[npt.NDArray[np.float64], Places, pa.Table]] = []

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

    def result(self) -> tuple[Places, pa.Table]:
        if not self.kept:
            return np.empty(0, np.int64), pa.table({})
        self._thin()
        return self.kept[0][1], self.kept[0][2]


class _Witnesses:
    """Rows that show what a sample may miss."""

    def __init__(self) -> None:
        self.columns: dict[str, _Column] = {}
        self.kept: list[tuple[Places, pa.Table]] = []

    def add(self, table: pa.Table, first: int) -> None:
        here: list[Places] = []
        for name in table.column_names:
            column = self.columns.setdefault(name, _Column())
            found, labels = column.look(table.column(name).combine_chunks())
            column.places += [first + place for place in found]
            column.labels += [first + place for place in labels]
            here.append(np.array(found + labels, np.int64))
        places = np.unique(np.concatenate(here)) if here else np.empty(0, np.int64)
        if len(places):
            self.kept.append((first + places, table.take(places)))

    def result(self) -> tuple[Places, pa.Table | None]:
        if not self.kept:
            return np.empty(0, np.int64), None
        places, table = np.concatenate([p for p, _ in self.kept]), pa.concat_tables([t for _, t in self.kept])
        # Of a column with too many values to be categories, what was kept of them is not needed.
        needed = np.isin(places, [place for c in self.columns.values() for place in c.places + c.labels])
        return places[needed], table.filter(needed)


@dataclass
class _Column:
    """What was seen of a column, and the rows that showed it first."""

    places: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    gap: bool = False
    span: dict[str, Any] = field(default_factory=dict)
    longest: int = -1
    known: pa.Array | None = None
    many: bool = False

    def look(self, values: pa.Array) -> tuple[list[int], list[int]]:
        """The rows of a batch that show something new, and those that show a new category."""
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        found = self._gap(values) + self._span(values)
        if is_text(values.type):
            return found + self._longest(values), self._distinct(values, MOST_TEXTS)
        if pa.types.is_integer(values.type) or pa.types.is_boolean(values.type):
            return found, self._distinct(values, MOST_NUMBERS)
        return found, []

    def _gap(self, values: pa.Array) -> list[int]:
        if self.gap or not values.null_count:
            return []
        self.gap = True
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
        """The last one of the longest texts: the largest, if they are numbers behind a prefix."""
        lengths = pc.utf8_length(values)
        longest = pc.max(lengths).as_py()
        if longest is None or longest < self.longest:
            return []
        self.longest = longest
        largest = pc.max(values.filter(pc.equal(lengths, longest)))
        return [pc.index(values, largest).as_py()]

    def _distinct(self, values: pa.Array, most: int) -> list[int]:
        if self.many:
            return []
        here = pc.unique(values.drop_null())
        new = here if self.known is None else here.filter(pc.invert(pc.is_in(here, value_set=self.known)))
        self.known = new if self.known is None else pa.concat_arrays([self.known, new])
        if len(self.known) > most:
            self.many, self.known = True, None
            self.labels.clear()
            return []
        return list(pc.index_in(new, value_set=values).to_pylist())
