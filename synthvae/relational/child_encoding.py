"""The encoding of a child table: its order column as differences, dates relative to it, other columns as usual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from synthvae.codes import Codes, Slots
from synthvae.encoding import TableEncoding, kinds
from synthvae.encoding.arrays import Floats
from synthvae.encoding.rules import CompiledRules, Rules
from synthvae.encoding.temporal import TemporalEncoding
from synthvae.errors import brief
from synthvae.relational.across_tables import AcrossRules
from synthvae.relational.keys import Numbering
from synthvae.relational.linked_rules import inside
from synthvae.relational.network import SequenceSlots
from synthvae.relational.relative_dates import (
    OWN,
    Protected,
    RelativeDate,
    Surroundings,
    as_numbers,
    from_differences,
    learn_relative,
    only_dates,
    to_differences,
)
from synthvae.relational.sequences import Family, Places, Sequences
from synthvae.relational.timeline import Ends, Timeline
from synthvae.schema.ancestor_columns import AncestorColumn
from synthvae.schema.column import Column, Value
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
class Ruled:
    """The rules of a child table.

    Args:
        rules: The rules.
        ancestors: The columns of ancestors that they are on, by the names that they give them.
        rows: The training rows, with these columns.
    """

    __repr__ = brief

    rules: Rules
    ancestors: Mapping[str, AncestorColumn]
    rows: pa.Table


class ChildEncoding(BaseModel):
    """How the rows of a child table are encoded.

    Args:
        rows: The encoding of the other columns; None without any.
        timeline: That of the order column; None without one.
        dates: Dates that are modelled as differences.
        across: The rules that rows keep, with columns of ancestors among theirs; None without any.
        repeats: The category that stands for that of the row before, by column; see `relational.repeats`.
    """

    model_config = ConfigDict(frozen=True)
    __repr__ = __str__ = brief

    rows: TableEncoding | None
    timeline: Timeline | None
    dates: tuple[RelativeDate, ...]
    across: AcrossRules | None = None
    repeats: dict[str, Value] = Field(default_factory=dict)

    @classmethod
    def learn(  # noqa: PLR0917 (the inputs of a fit)
        cls,
        table: pa.Table,
        protected: Protected,
        order: str | None,
        family: Family,
        ancestors: Sequence[Ancestor],
        lines: Sequence[Places],
        ruled: Ruled | None = None,
    ) -> Self:
        """Find the encodings of sorted rows that obey a schema.

        Args:
            table: The rows, without keys; times as they are, other columns protected.
            protected: The schema, and the rows in which times are protected, too.
            order: The order column; None without one.
            family: To which parents they belong.
            ancestors: The rows of the ancestor tables.
            lines: The place of each row's ancestor in each.
            ruled: The rules that rows keep; None without any.

        Raises:
            TableError: A column cannot be encoded.
            SchemaError: A rule cannot be kept.
        """
        schema, timeline = protected.schema, None
        around = surroundings(ancestors, lines)
        if order is not None:
            own = kinds.learn(schema[order], protected.rows.column(order))
            known = [(one.rows, one.encodings) for one in ancestors]
            timeline = Timeline.learn(order, own, table, family, known, lines, protected.ends)
        first = None if timeline is None else (timeline.name, timeline.wide)
        dates = learn_relative(table, protected, around, first)
        self = cls(rows=None, timeline=timeline, dates=dates)
        relative = {date.name for date in dates}
        near = {date.base for date in dates if date.ancestor == OWN} - set(self.encodings)
        bases = {base: kinds.learn(schema[base], protected.rows.column(base)) for base in sorted(near)}
        plain = self.plain(table, around, protected.ends, bases)
        for name in set(plain.column_names) - relative:
            plain = plain.set_column(plain.column_names.index(name), name, protected.rows.column(name))
        rules, as_they_are = None if ruled is None else ruled.rules, set(plain.column_names) - relative
        if ruled is not None:
            across = AcrossRules.learn(ruled.rules, ruled.ancestors, as_they_are, ruled.rows)
            self = self.model_copy(update={"across": across})
        if not plain.num_columns:
            return self
        reduced = as_numbers(schema, dates)
        columns = [reduced[name].model_dump(exclude_unset=True) for name in plain.column_names]
        kept = inside(rules, as_they_are)
        return self.model_copy(update={"rows": TableEncoding.learn(plain, Schema(columns=columns), None, rules=kept)})

    def plain(
        self, table: pa.Table, around: Surroundings, ends: Ends | None = None, bases: Mapping[str, Any] | None = None
    ) -> pa.Table:
        """Return rows without the order column, with dates as differences.

        Args:
            table: The rows.
            around: Their ancestors.
            ends: As of `to_differences`.
            bases: The encodings of dates of the rows that are not among `encodings` yet.
        """
        table = to_differences(table, self.dates, around, {**self._dated, **only_dates(bases or {})}, ends)
        return table if self.timeline is None else table.drop_columns([self.timeline.name])

    @property
    def _dated(self) -> dict[str, TemporalEncoding]:
        """The encodings of dates that are modelled as they are."""
        return only_dates(self.encodings)

    @property
    def rules(self) -> Rules | None:
        """All rules that rows keep; None without any."""
        return None if self.across is None else self.across.rules

    @cached_property
    def compiled_rules(self) -> CompiledRules | None:
        """The rules, as draws of rows keep them, and the columns of others; None: there are none."""
        if self.rows is None or self.across is None:
            return None
        drawn = self.across.drawn(self.rows.names)
        if not drawn:
            return self.rows.compiled_rules
        relative = {date.name for date in self.dates}
        columns = [Column(name=c.name, kind="integer") if c.name in relative else c for c in drawn]
        rules = self.rows.rules or Rules(constraints=(), columns=())
        return CompiledRules(rules, self.rows.columns, self.rows.arrow_schema, columns)

    @property
    def slots(self) -> Slots:
        """The digits and values of the columns other than the order column."""
        return Slots(()) if self.rows is None else self.rows.layout.slots

    @property
    def encodings(self) -> dict[str, Any]:
        """The encodings of all columns as they are, from which those of descendants may be differences."""
        own = {} if self.rows is None else dict(self.rows.columns)
        time = {} if self.timeline is None else {self.timeline.name: self.timeline.wide}
        return {**own, **{date.name: date.encoding for date in self.dates}, **time}

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
        plain = self.plain(table, surroundings(ancestors, lines))
        rows = nothing(len(family)) if self.rows is None else self.rows.encode(plain.select(self.rows.names), rng)
        codes, places = tuple(one.codes for one in ancestors), tuple(lines)
        if self.timeline is None:
            return Sequences(family, rows, nothing(len(family)), (), codes, places)
        numbers = self.timeline.encoding.numbers_of(table.column(self.timeline.name))
        bases = self.timeline.bases([one.rows for one in ancestors], lines, len(family))
        clock = self.timeline.clock_codes(numbers, bases, rng)
        timings = self.timeline.timing_codes(numbers, bases[0], family, rng)
        return Sequences(family, rows, clock, timings, codes, places)

    def decode(  # noqa: PLR0917 (what a draw depends on)
        self,
        codes: Codes,
        numbers: Floats,
        around: Surroundings,
        types: Mapping[str, pa.DataType],
        rng: np.random.Generator,
        seed: int,
        numbering: Numbering,
        ruled: Mapping[str, Floats] | None = None,
    ) -> dict[str, pa.Array]:
        """Return the columns of drawn rows.

        Args:
            codes: The codes of the columns other than the order column.
            numbers: The numbers (rows,) of the order column.
            around: The ancestors of the rows.
            types: The types of columns.
            rng: Draws what codes leave open.
            seed: The seed of the request, on which fake values depend.
            numbering: The numbers of the rows in the request, on which ids depend.
            ruled: Numbers (rows,) of columns that rules have determined; NaN: those of the codes.
        """
        found: dict[str, pa.Array] = {}
        if self.rows is not None:
            plain = self.rows.decode(codes, rng, rows=numbering.rows(len(codes)), seed=seed, known=ruled)
            found = {name: plain.column(name).combine_chunks() for name in plain.column_names}
        if self.timeline is not None:
            found[self.timeline.name] = self.timeline.decode(numbers, types[self.timeline.name], rng)
        return from_differences(found, self.dates, around, self._dated, types, rng)


def surroundings(ancestors: Sequence[Ancestor], lines: Sequence[Places]) -> Surroundings:
    """Return the ancestors of some rows, given the place of the ancestor of each."""
    return Surroundings([one.rows for one in ancestors], [one.encodings for one in ancestors], lines)


def nothing(rows: int) -> Codes:
    """Return codes without digits and values."""
    return Codes(np.empty((rows, 0), np.int8), np.empty((rows, 0), np.float32), np.zeros(rows, np.int64))


def taken(codes: Codes, places: Places) -> Codes:
    """Return some rows of codes."""
    return Codes(codes.digits[places], codes.values[places], codes.labels[places])


def joined(first: Codes, second: Codes) -> Codes:
    """Return the digits and values of both for each row."""
    digits = np.concatenate([first.digits, second.digits], 1)
    return Codes(digits, np.concatenate([first.values, second.values], 1), first.labels)


def joined_slots(first: Slots, second: Slots) -> Slots:
    """Return the digits and values of both, of which only numbers and sizes matter."""
    return Slots((*first.sizes, *second.sizes), (*first.values, *second.values))
