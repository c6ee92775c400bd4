"""Dates of a row that are modelled as differences from another date of the row or of one of its ancestors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from synthvae.encoding import kinds
from synthvae.encoding.arrays import Floats
from synthvae.encoding.protocol import CodedColumn
from synthvae.encoding.temporal import TemporalEncoding
from synthvae.errors import brief
from synthvae.relational.limits import range_of, refuse_outside
from synthvae.relational.sequences import Places
from synthvae.relational.timeline import NEARER, Ends, comparable, covering, relative_spread, widened
from synthvae.schema.column import TEMPORAL, Column
from synthvae.schema.schema import Schema

OWN = -1  # the number of the row itself among its ancestors


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


@dataclass(frozen=True)
class Surroundings:
    """The rows of the ancestors of some rows.

    Args:
        tables: The rows of each ancestor table.
        encodings: The encodings of their columns.
        lines: The place of the ancestor of each row.
    """

    __repr__ = brief

    tables: Sequence[pa.Table] = ()
    encodings: Sequence[Mapping[str, Any]] = ()
    lines: Sequence[Places] = ()

    def ticks(self, ancestor: int, column: str) -> Floats:
        """Return the ticks (rows,) of a date of an ancestor; NaN where it is missing."""
        encoding = self.encodings[ancestor][column]
        return ticks_of(encoding, self.tables[ancestor].column(column))[self.lines[ancestor]]


class RelativeDate(BaseModel):
    """A date that is modelled as a difference from another one, which is known wherever it is.

    Args:
        name: The column.
        encoding: Its encoding, which ends where it is protected.
        ancestor: The number of the ancestor that has the other date; -1: the row itself.
        base: The column of the other date.
        unit: The unit of the differences, in ticks.
    """

    model_config = ConfigDict(frozen=True)
    __repr__ = __str__ = brief

    name: str
    encoding: TemporalEncoding
    ancestor: int
    base: str
    unit: int

    def difference(self, ticks: Floats, base: Floats, ends: Ends | None = None) -> pa.Array:
        """Return the differences (rows,) of ticks as whole numbers, missing where one of the dates is."""
        numbers = (ticks - base) / self.unit
        numbers = numbers if ends is None else ends(numbers)
        missing = np.isnan(numbers)
        return pa.array(np.round(np.where(missing, 0, numbers)).astype(np.int64), mask=missing)

    def decode(self, differences: pa.Array, base: Floats, kind: pa.DataType, rng: np.random.Generator) -> pa.Array:
        """Return the dates (rows,) of drawn differences.

        Raises:
            TableError: A date that differs from a given one is not one of the type.
        """
        numbers = differences.cast(pa.float64()).to_numpy(zero_copy_only=False)
        steps = np.round((base + numbers * self.unit - self.encoding.origin) / self.encoding.step)
        states = np.where(np.isnan(steps), self.encoding.levels - 1, 0)
        low, high = range_of(kind, self.encoding)
        last = (self.encoding.last - self.encoding.origin) / self.encoding.step
        refuse_outside(self.name, kind, ((steps < 0) | (steps > last)) & ((steps <= low - 1) | (steps >= high + 1)))
        encoding, steps = covering(self.encoding, 0.0, 0.0, steps)
        values = encoding.decode(CodedColumn(states, rng, numbers=steps), kind)
        return without(values, np.isnan(steps))


def learn_relative(
    table: pa.Table, protected: Protected, around: Surroundings, order: tuple[str, Any] | None
) -> tuple[RelativeDate, ...]:
    """Find the dates that differ little from another date, each from one before it or from one of an ancestor.

    Args:
        table: The rows as they are.
        protected: Their schema, and the same rows protected.
        around: The ancestors of the rows.
        order: The order column and its encoding, which comes before all others; None without one.
    """
    encodings = dict([order] if order is not None else [])
    found = []
    for column in protected.schema.columns:
        if column.kind not in TEMPORAL or column.sentinels or column.name in encodings:
            continue
        encoding = kinds.learn(column, protected.rows.column(column.name))
        if isinstance(encoding, TemporalEncoding):
            relative = _nearest(column, encoding, table, around, encodings, protected.ends)
            encodings[column.name] = encoding
            found += [] if relative is None else [relative]
    return tuple(found)


def _nearest(  # noqa: PLR0917 (the inputs of a fit)
    column: Column,
    encoding: TemporalEncoding,
    table: pa.Table,
    around: Surroundings,
    before: Mapping[str, Any],
    ends: Ends,
) -> RelativeDate | None:
    """The best date from which a column is a difference; None if there is none."""
    ticks, kind = ticks_of(encoding, table.column(column.name)), table.schema.field(column.name).type
    everywhere = np.arange(table.num_rows)
    bases = {(OWN, name): (own, table, everywhere) for name, own in before.items()}
    for place, (rows, columns, line) in enumerate(zip(around.tables, around.encodings, around.lines, strict=True)):
        bases |= {(place, name): (theirs, rows, line) for name, theirs in columns.items()}
    best: tuple[float, int, str, Floats, TemporalEncoding] | None = None
    for (place, name), (other, rows, line) in bases.items():
        if not comparable(encoding, other, kind, rows.schema.field(name).type):
            continue
        theirs = ticks_of(other, rows.column(name))[line]
        spread = relative_spread(ticks, theirs)
        if (
            spread is None
            or spread - np.isnan(ticks - theirs).mean() >= NEARER
            or (np.isnan(theirs) > np.isnan(ticks)).any()
        ):
            continue
        if best is None or spread < best[0]:
            best = (spread, place, name, ticks - theirs, other)
    if best is None:
        return None
    differences = best[3][~np.isnan(best[3])].astype(np.int64)
    unit = int(np.gcd.reduce(differences)) or 1
    usual, other = ends(best[3]), best[4]
    if not np.isnan(usual).all():
        low = (other.origin + float(np.nanmin(usual)) - encoding.origin) / encoding.step
        high = (other.last + float(np.nanmax(usual)) - encoding.origin) / encoding.step
        encoding, _ = widened(encoding, low, high, usual)
    return RelativeDate(name=column.name, encoding=encoding, ancestor=best[1], base=best[2], unit=unit)


def ticks_of(encoding: TemporalEncoding, values: pa.ChunkedArray) -> Floats:
    """Return the ticks (rows,) of a column of dates; NaN where it is missing."""
    return np.asarray(encoding.origin + encoding.numbers_of(values) * encoding.step)


def without(values: pa.Array, missing: npt.NDArray[np.bool_]) -> pa.Array:
    """Return values (rows,) that are missing where a mask says so."""
    return values.take(pa.array(np.arange(len(values)), mask=missing))


def to_differences(
    table: pa.Table,
    dates: Sequence[RelativeDate],
    around: Surroundings,
    encodings: Mapping[str, TemporalEncoding],
    ends: Ends | None = None,
) -> pa.Table:
    """Return rows in which dates are differences, as whole numbers.

    Args:
        table: The rows.
        dates: The dates.
        around: The ancestors of the rows.
        encodings: Those of other dates of the rows.
        ends: Limits differences to those of enough subjects; None: all are as they are.
    """
    known = {**encodings, **{date.name: date.encoding for date in dates}}
    found = table
    for date in dates:
        own = date.ancestor == OWN
        base = ticks_of(known[date.base], table.column(date.base)) if own else around.ticks(date.ancestor, date.base)
        array = date.difference(ticks_of(date.encoding, table.column(date.name)), base, ends)
        found = found.set_column(found.column_names.index(date.name), date.name, array)
    return found


def from_differences(  # noqa: PLR0917 (what a draw depends on)
    columns: Mapping[str, pa.Array],
    dates: Sequence[RelativeDate],
    around: Surroundings,
    encodings: Mapping[str, TemporalEncoding],
    types: Mapping[str, pa.DataType],
    rng: np.random.Generator,
) -> dict[str, pa.Array]:
    """Return columns in which differences are dates; parameters as of `to_differences`, and the types of the table."""
    found, known = dict(columns), {**encodings, **{date.name: date.encoding for date in dates}}
    for date in dates:
        own = date.ancestor == OWN
        base = ticks_of(known[date.base], pa.chunked_array([found[date.base]])) if own else None
        base = around.ticks(date.ancestor, date.base) if base is None else base
        found[date.name] = date.decode(found[date.name], base, types[date.name], rng)
    return found


def only_dates(encodings: Mapping[str, Any]) -> dict[str, TemporalEncoding]:
    """Return the encodings of dates among those of all columns."""
    return {name: encoding for name, encoding in encodings.items() if isinstance(encoding, TemporalEncoding)}


def as_numbers(schema: Schema, dates: Sequence[RelativeDate]) -> Schema:
    """Return a schema in which dates are whole numbers."""
    names = {date.name for date in dates}
    columns = [Column(name=c.name, kind="integer") if c.name in names else c for c in schema.columns]
    fields = [column.model_dump(exclude_unset=True) for column in columns]
    declared = tuple(dict.fromkeys((*schema.declared, *names))) if schema.inferred else ()
    return Schema(columns=fields, inferred=schema.inferred, declared=declared)
