"""The encoding of a child table: its order column as differences, dates relative to it, other columns as usual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from synthvae.codes import Codes, Slots
from synthvae.encoding import TableEncoding, kinds
from synthvae.encoding.arrays import Floats
from synthvae.encoding.protocol import CodedColumn
from synthvae.encoding.temporal import TemporalEncoding
from synthvae.errors import brief
from synthvae.relational.network import SequenceSlots
from synthvae.relational.sequences import Family, Places, Sequences
from synthvae.relational.timeline import Ends, Timeline, comparable, in_units
from synthvae.schema.column import Column
from synthvae.schema.schema import Schema


@dataclass(frozen=True)
class Ancestor:
    """The rows of an ancestor table as child rows depend on them.

    Args:
        rows: The rows, without keys.
        codes: Their codes.
        slots: The digits and values of these.
        encodings: The encodings of the columns.
    """

    __repr__ = brief

    rows: pa.Table
    codes: Codes
    slots: Slots
    encodings: Mapping[str, Any]


@dataclass(frozen=True)
class Protected:
    """Rows in which values of few subjects are replaced.

    Args:
        schema: The schema of the rows.
        rows: The rows.
        ends: Limits numbers (rows,) to those that enough subjects have at or beyond.
    """

    __repr__ = brief

    schema: Schema
    rows: pa.Table
    ends: Ends


class ChildEncoding(BaseModel):
    """How the rows of a child table are encoded.

    Args:
        rows: The encoding of the other columns; None without any.
        timeline: That of the order column; None without one.
        offsets: Dates that are modelled as differences from the order column, and their own encodings.
    """

    model_config = ConfigDict(frozen=True)
    __repr__ = __str__ = brief

    rows: TableEncoding | None
    timeline: Timeline | None
    offsets: dict[str, TemporalEncoding]

    @classmethod
    def learn(
        cls,
        table: pa.Table,
        protected: Protected,
        order: str | None,
        family: Family,
        ancestors: Sequence[Ancestor],
        lines: Sequence[Places],
    ) -> Self:
        """Find the encodings of sorted rows that obey a schema.

        Args:
            table: The rows, without keys; times as they are, other columns protected.
            protected: The schema, and the rows in which times are protected, too.
            order: The order column; None without one.
            family: To which parents they belong.
            ancestors: The rows of the ancestor tables.
            lines: The place of each row's ancestor in each.

        Raises:
            TableError: A column cannot be encoded.
        """
        schema, timeline, offsets = protected.schema, None, dict[str, TemporalEncoding]()
        if order is not None:
            own = kinds.learn(schema[order], protected.rows.column(order))
            known = [(one.rows, one.encodings) for one in ancestors]
            timeline = Timeline.learn(order, own, table, family, known, lines, protected.ends)
            offsets = _offsets(timeline, schema, protected.rows)
        self = cls(rows=None, timeline=timeline, offsets=offsets)
        plain = self.plain(table)
        for name in offsets:
            numbers = protected.ends(plain.column(name).to_numpy().astype(np.float64))
            array = pa.array(np.nan_to_num(numbers).astype(np.int64), mask=np.isnan(numbers))
            plain = plain.set_column(plain.column_names.index(name), name, array)
        for name in set(plain.column_names) - offsets.keys():
            plain = plain.set_column(plain.column_names.index(name), name, protected.rows.column(name))
        if not plain.num_columns:
            return self
        columns = [
            Column(name=name, kind="integer") if name in offsets else schema[name] for name in plain.column_names
        ]
        reduced = Schema(columns=[column.model_dump(exclude_unset=True) for column in columns])
        return self.model_copy(update={"rows": TableEncoding.learn(plain, reduced, None)})

    def plain(self, table: pa.Table) -> pa.Table:
        """Return rows without the order column, with dates as differences from it."""
        if self.timeline is None:
            return table
        own, numbers = self.timeline.encoding, self.timeline.encoding.numbers_of(table.column(self.timeline.name))
        for name, encoding in self.offsets.items():
            assert isinstance(own, TemporalEncoding)
            difference = (in_units(own, encoding, table.column(name)) - numbers) * own.step  # in ticks
            array = pa.array(np.round(np.nan_to_num(difference)).astype(np.int64), mask=np.isnan(difference))
            table = table.set_column(table.column_names.index(name), name, array)
        return table.drop_columns([self.timeline.name])

    @property
    def slots(self) -> Slots:
        """The digits and values of the columns other than the order column."""
        return Slots(()) if self.rows is None else self.rows.layout.slots

    @property
    def encodings(self) -> dict[str, Any]:
        """The encodings of all columns as they are, from which those of descendants may be differences."""
        own = {} if self.rows is None else {n: e for n, e in self.rows.columns.items() if n not in self.offsets}
        time = {} if self.timeline is None else {self.timeline.name: self.timeline.encoding}
        return {**own, **self.offsets, **time}

    def sequence_slots(self, ancestors: Sequence[Slots]) -> SequenceSlots:
        """Return the digits and values of the network of the table."""
        if self.timeline is None:
            return SequenceSlots(self.slots, Slots(()), (), tuple(ancestors))
        timings = tuple(layout.slots for layout in self.timeline.layouts)
        return SequenceSlots(self.slots, self.timeline.clock.slots, timings, tuple(ancestors))

    def encode(
        self,
        table: pa.Table,
        family: Family,
        ancestors: Sequence[Ancestor],
        lines: Sequence[Places],
        rng: np.random.Generator,
    ) -> Sequences:
        """Return the coded rows of a table; parameters as of `learn`, `rng` draws scores within rounded numbers."""
        rows = self.encode_rows(table, rng)
        codes, places = tuple(one.codes for one in ancestors), tuple(lines)
        if self.timeline is None:
            return Sequences(family, rows, nothing(len(family)), (), codes, places)
        numbers = self.timeline.encoding.numbers_of(table.column(self.timeline.name))
        bases = self.timeline.bases([one.rows for one in ancestors], lines, len(family))
        clock = self.timeline.clock_codes(numbers, bases, rng)
        timings = self.timeline.timing_codes(numbers, bases[0], family, rng)
        return Sequences(family, rows, clock, timings, codes, places)

    def encode_rows(self, table: pa.Table, rng: np.random.Generator | None) -> Codes:
        """Return the codes of the columns other than the order column."""
        if self.rows is None:
            return nothing(table.num_rows)
        return self.rows.encode(self.plain(table).select(self.rows.names), rng)

    def decode(
        self, codes: Codes, numbers: Floats, kinds_of: Mapping[str, pa.DataType], rng: np.random.Generator, seed: int
    ) -> dict[str, pa.Array]:
        """Return the columns of drawn rows.

        Args:
            codes: The codes of the columns other than the order column.
            numbers: The numbers (rows,) of the order column.
            kinds_of: The types of columns.
            rng: Draws what codes leave open.
            seed: The seed of the request, on which fake values depend.
        """
        found: dict[str, pa.Array] = {}
        if self.rows is not None:
            plain = self.rows.decode(codes, rng, seed=seed)
            found = {name: plain.column(name).combine_chunks() for name in plain.column_names}
        if self.timeline is None:
            return found
        own = self.timeline.encoding
        for name, encoding in self.offsets.items():
            assert isinstance(own, TemporalEncoding)
            differences = found[name].cast(pa.float64()).to_numpy(zero_copy_only=False)
            ticks = own.origin + numbers * own.step + differences
            steps = (ticks - encoding.origin) / encoding.step
            states = np.where(np.isnan(steps), encoding.levels - 1, 0)
            found[name] = encoding.decode(CodedColumn(states, rng, numbers=np.round(steps)), kinds_of[name])
        found[self.timeline.name] = self.timeline.decode(numbers, kinds_of[self.timeline.name], rng)
        return found


def _offsets(timeline: Timeline, schema: Schema, table: pa.Table) -> dict[str, TemporalEncoding]:
    """The dates that are modelled as differences from the order column, which must then be known in all rows."""
    found = {}
    own, kind = timeline.encoding, table.schema.field(timeline.name).type
    if isinstance(own, TemporalEncoding) and not table.column(timeline.name).null_count and not own.column.sentinels:
        for column in schema.columns:
            if column.name == timeline.name or column.kind not in {"date", "datetime"} or column.sentinels:
                continue
            encoding = kinds.learn(column, table.column(column.name))
            if comparable(own, encoding, kind, table.schema.field(column.name).type):
                assert isinstance(encoding, TemporalEncoding)
                found[column.name] = encoding
    return found


def nothing(rows: int) -> Codes:
    """Return codes without digits and values."""
    return Codes(np.empty((rows, 0), np.int8), np.empty((rows, 0), np.float32), np.zeros(rows, np.int64))


def joined(first: Codes, second: Codes) -> Codes:
    """Return the digits and values of both for each row."""
    digits = np.concatenate([first.digits, second.digits], 1)
    return Codes(digits, np.concatenate([first.values, second.values], 1), first.labels)


def joined_slots(first: Slots, second: Slots) -> Slots:
    """Return the digits and values of both, of which only numbers and sizes matter."""
    return Slots((*first.sizes, *second.sizes), (*first.values, *second.values))
