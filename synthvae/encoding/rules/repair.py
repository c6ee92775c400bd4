"""Repair of training rows that break the rules of their schema, or its bounds.

A column that a rule computes gets the value that follows from the others. Of any other rule, the cells of which one
must be wrong, and it is not known which, become missing where their column allows missing values. A row that breaks a
rule even then is left out, and so is one that repeats another although both must be distinct. Rows that keep all rules
stay as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from synthvae.encoding.arrays import Mask
from synthvae.encoding.computed import ComputedEncoding
from synthvae.encoding.protocol import CodedColumn
from synthvae.errors import brief
from synthvae.schema import validation
from synthvae.schema.coercion import conform
from synthvae.schema.column import NUMERIC, Column
from synthvae.schema.constraints.checking import MAX_STATED, hashed
from synthvae.schema.constraints.combinations import Unique
from synthvae.schema.constraints.comparable import frame_of, numbers
from synthvae.schema.constraints.consistency import in_order
from synthvae.schema.constraints.rule import Constraint
from synthvae.schema.domain import categories, limits
from synthvae.schema.schema import Schema
from synthvae.tables.arrow import are_sentinels, as_array, plain_type

BROKEN, RECOMPUTED, EMPTIED, LEFT_OUT = "broken", "computed anew", "emptied", "left out"


@dataclass(frozen=True)
class Within:
    """The bounds of a column as a rule.

    Args:
        column: A column of numbers or dates that has bounds.
    """

    column: Column

    def __str__(self) -> str:
        assert self.column.bounds is not None
        low, high = self.column.bounds
        return f"{low} <= {self.column.name} <= {high}"

    @property
    def touches(self) -> tuple[str, ...]:
        """The column."""
        return (self.column.name,)

    def breaks(self, table: pa.Table) -> Mask:
        """Return which rows (rows,) of a table are outside the bounds."""
        return np.asarray(validation.outside_bounds(self.column, table.column(self.column.name)).to_numpy(), bool)


Declared = Constraint | Within


@dataclass
class _Marks:
    """What is done to the rows (rows,) of a batch because of one rule."""

    broken: Mask
    recomputed: Mask
    emptied: Mask

    @classmethod
    def of(cls, rows: int) -> Self:
        return cls(*(np.zeros(rows, bool) for _ in range(3)))


@dataclass
class Tally:
    """The numbers of rows that a repair has seen.

    Args:
        rows: All of them.
        broken: Those that broke a rule.
        left_out: Those that were left out.
        by_rule: What was done to those that broke each rule, with the number of rows.
    """

    rows: int = 0
    broken: int = 0
    left_out: int = 0
    by_rule: dict[Declared, Counter[str]] = field(default_factory=dict)

    def add(self, marks: Mapping[Declared, _Marks], out: Mask) -> None:
        """Count the rows of a batch; those of `out` (rows,) are left out."""
        broken = np.zeros(len(out), bool)
        for rule, own in marks.items():
            broken |= own.broken
            done = {RECOMPUTED: own.recomputed & ~out, EMPTIED: own.emptied & ~out, LEFT_OUT: own.broken & out}
            counts = self.by_rule.setdefault(rule, Counter())
            counts.update({BROKEN: int(own.broken.sum()), **{what: int(rows.sum()) for what, rows in done.items()}})
        self.rows += len(out)
        self.broken += int(broken.sum())
        self.left_out += int(out.sum())

    def __str__(self) -> str:
        """The numbers as one sentence; empty if no row broke a rule."""
        if not self.broken:
            return ""
        found = [(rule, counts) for rule, counts in self.by_rule.items() if counts[BROKEN]]
        shown = "; ".join(f"`{rule}` in {_described(counts)}" for rule, counts in found[:MAX_STATED])
        rest = f"; and {len(found) - MAX_STATED} more rules" if len(found) > MAX_STATED else ""
        return (
            f"{self.broken:,} of {self.rows:,} rows broke rules of the schema and were repaired, of which "
            f"{self.left_out:,} were left out: {shown}{rest}."
        )


def _described(counts: Counter[str]) -> str:
    done = [f"{counts[what]:,} {what}" for what in (RECOMPUTED, EMPTIED, LEFT_OUT) if counts[what]]
    return f"{counts[BROKEN]:,}" + (f" ({', '.join(done)})" if done else "")  # another rule may have emptied a cell


class Repair:
    """Repairs a table, which may come in several batches.

    Args:
        schema: The schema of all columns, with the rules.
        written: How the numbers of computed columns are written, by column.
        bounded: The columns whose bounds are rules, too; they have some.
        exact: Whether each computed number must be the one that is written, so that a row is judged without all others;
            else it may differ in what rounding to the decimals of its column hides.

    Attributes:
        tally: What was done to the rows so far.
    """

    __repr__ = brief

    def __init__(
        self,
        schema: Schema,
        written: Mapping[str, ComputedEncoding],
        bounded: Iterable[str] = (),
        *,
        exact: bool = False,
    ) -> None:
        self.schema, self.written, self.exact, self.tally = schema, written, exact, Tally()
        within = [Within(schema[name]) for name in bounded]
        limited = {rule.column.name for rule in within}
        self._unbounded = [c.model_copy(update={"bounds": None}) if c.name in limited else c for c in schema.columns]
        self._computing = in_order(schema.constraints)
        self._keys = {rule: _Keys() for rule in schema.constraints if isinstance(rule, Unique)}
        rules = [*within, *(rule for rule in schema.constraints if not rule.computed and rule not in self._keys)]
        # Rules on computed columns come last: a value that is computed anew may keep them.
        computed = {name for rule in self._computing for name in rule.computed}
        self._before = [rule for rule in rules if not computed & set(rule.touches)]
        self._after = [rule for rule in rules if computed & set(rule.touches)]

    @classmethod
    def learn(cls, schema: Schema, rows: pa.Table, bounded: Iterable[str] = ()) -> Self:
        """Return a repair of a table, by some of its rows.

        Args:
            schema: The schema of all columns.
            rows: The rows, which show how numbers are written.
            bounded: The columns whose bounds are rules, too.
        """
        written = {}
        for name in (name for rule in schema.constraints for name in rule.computed):
            values = rows.column(name)
            plain = pc.if_else(are_sentinels(values, schema[name].sentinels), pa.scalar(None, values.type), values)
            written[name] = ComputedEncoding.learn(schema[name], plain, ())
        return cls(schema, written, bounded)

    def check_values(self, table: pa.Table) -> None:
        """Refuse what is not repaired: values that are none of their column, but not those outside its bounds.

        Raises:
            TableError: There is one.
        """
        names = set(self.schema.names)
        validation.check_table(self._unbounded, table.select([name for name in table.column_names if name in names]))

    def apply(self, table: pa.Table) -> tuple[pa.Table, Mask]:
        """Return the repaired rows of a batch, and which of its rows (rows,) these are.

        Args:
            table: A batch whose values were checked. Columns that the schema does not have stay as they are.
        """
        marks = {rule: _Marks.of(table.num_rows) for rule in (*self._before, *self._computing, *self._after)}
        repaired = self._settled(table, marks)
        out = np.zeros(table.num_rows, bool)
        for rule in list(marks):
            out |= self._breaks(rule, repaired)
        for key, seen in self._keys.items():
            marks[key] = _Marks.of(table.num_rows)
            marks[key].broken = seen.repeated(frame_of(repaired, self.schema, key.touches), ~out)
            out |= marks[key].broken
        self.tally.add(marks, out)
        return (repaired.filter(pa.array(~out)) if out.any() else repaired), ~out

    def _settled(self, table: pa.Table, marks: Mapping[Declared, _Marks]) -> pa.Table:
        """The rows once none keeps more rules after a further change. Each round but the last two empties a cell."""
        while True:
            before = table
            for rule in self._before:
                table = self._emptied(rule, table, marks[rule])
            for computing in self._computing:
                table = self._recomputed(computing, table, marks[computing])
            for rule in self._after:
                table = self._emptied(rule, table, marks[rule])
            if table is before:
                return table

    def _breaks(self, rule: Declared, table: pa.Table) -> Mask:
        """Which rows (rows,) break a rule."""
        if isinstance(rule, Within):
            return rule.breaks(table)
        if rule.computed and self.exact:
            return self._differ(rule.computed[0], table, self._values(rule, table))
        return ~rule.holds(frame_of(table, self.schema, rule.touches), self.schema)

    def _emptied(self, rule: Declared, table: pa.Table, marks: _Marks) -> pa.Table:
        """The rows without the suspected cells of those that break a rule, where columns allow missing values."""
        broken = self._breaks(rule, table)
        marks.broken |= broken
        if not broken.any():
            return table
        if isinstance(rule, Within):
            suspects = {rule.column.name: broken}
        else:
            suspects = rule.suspects(frame_of(table, self.schema, rule.touches), self.schema)
        for name, suspected in suspects.items():
            cells = suspected & table.column(name).is_valid().to_numpy()
            if self.schema[name].nullable and cells.any():
                marks.emptied |= cells
                table = _with(table, name, pa.nulls(1, table.schema.field(name).type), cells)
        return table

    def _recomputed(self, rule: Constraint, table: pa.Table, marks: _Marks) -> pa.Table:
        """The rows with the computed value in those that have another one."""
        broken = self._breaks(rule, table)
        marks.broken |= broken
        if not broken.any():
            return table
        (name,) = rule.computed
        new = self._values(rule, table)
        changed = broken & self._differ(name, table, new)
        marks.recomputed |= changed
        return _with(table, name, new, changed) if changed.any() else table

    def _values(self, rule: Constraint, table: pa.Table) -> pa.Array:
        """The values (rows,) of a computed column, as they are written in it."""
        (name,) = rule.computed
        found = rule.compute(frame_of(table, self.schema, set(rule.touches) - {name})).to_numpy(np.float64)
        codes = CodedColumn(np.zeros(len(found), np.int64), np.random.default_rng(0), numbers=found)
        return self.written[name].decode(codes, plain_type(table.schema.field(name).type))

    def _differ(self, name: str, table: pa.Table, new: pa.Array) -> Mask:
        """In which rows (rows,) the numbers of a column are others than new ones, and neither is missing."""
        old, other = (numbers(frame_of(rows, self.schema, [name])[name]) for rows in (table, pa.table({name: new})))
        unknown = pd.isna(old) | pd.isna(other)
        return np.asarray(~unknown & np.asarray(old != other, bool))


class _Keys:
    """The keys of rows that must be distinct, of which 64 bits of a hash are kept."""

    def __init__(self) -> None:
        self._sorted: list[npt.NDArray[np.uint64]] = []  # each at least twice as long as the next

    def repeated(self, frame: pd.DataFrame, among: Mask) -> Mask:
        """Return which rows (rows,), among those that are left, repeat an earlier one; their keys are remembered."""
        complete = among & frame.notna().all(axis=1).to_numpy()
        keys = hashed(frame[complete])
        new = ~pd.Series(keys).duplicated().to_numpy()
        for known in self._sorted:
            new &= known[np.searchsorted(known, keys).clip(max=len(known) - 1)] != keys
        self._remember(np.sort(keys[new]))
        found = np.zeros(len(frame), bool)
        found[complete] = ~new
        return found

    def _remember(self, keys: npt.NDArray[np.uint64]) -> None:
        while self._sorted and len(self._sorted[-1]) < 2 * len(keys):
            keys = np.sort(np.concatenate([self._sorted.pop(), keys]))
        if len(keys):
            self._sorted.append(keys)


def repaired_alone(table: pa.Table, schema: Schema, target: str | None) -> tuple[pa.Table, Mask]:
    """Return repaired rows and which of the rows (rows,) of a table these are, each by its own values alone.

    What becomes of a row depends on no other row, so that a private fit may use the result in place of the table.
    Nothing is counted.

    Args:
        table: Rows with the values that their schema allows, see `synthvae.schema.coercion.conform`.
        schema: The declared schema; its rules do not compare rows.
        target: The column that has a value in all rows, and in those that are left; None: there is none.
    """
    if target is not None:
        columns = [c.model_copy(update={"nullable": c.nullable and c.name != target}) for c in schema.columns]
        schema = schema.model_copy(update={"columns": tuple(columns)})

    declared = {
        name: ComputedEncoding.declare(schema[name], ()) for rule in schema.constraints for name in rule.computed
    }
    bounded = [column.name for column in schema.columns if column.bounds is not None]
    # Whether 1 means true depends on the other values of a column, so that those of its domain are added.
    rows = pa.concat_tables([table, conform(_domain(schema), schema)])
    repaired, kept = Repair(schema, declared, bounded, exact=True).apply(rows)
    own = kept[: table.num_rows]
    return repaired.slice(0, int(own.sum())), own


def _domain(schema: Schema) -> pa.Table:
    """Rows with all categories of each column, and with the ends and the middle of its bounds."""
    found: dict[str, list[Any]] = {}
    for column in schema.columns:
        if column.kind in NUMERIC:
            ends = limits(column)
            found[column.name] = [str(value) for value in (*column.sentinels, *ends, sum(ends) / 2)]
        else:
            found[column.name] = [*(column.bounds or ()), *categories(column)]
    rows = max(map(len, found.values()))
    return pa.table({name: as_array(list(islice(cycle(values or [None]), rows))) for name, values in found.items()})


def _with(table: pa.Table, name: str, new: pa.Array, rows: Mask) -> pa.Table:
    """The table with values in the place of those of some rows (rows,): `new` has one for each row, or one for all."""
    place = table.schema.get_field_index(name)
    old = table.column(place)
    both = pa.chunked_array([*old.chunks, new.cast(old.type)]).unify_dictionaries()
    others = len(old) + (np.arange(len(old)) if len(new) > 1 else 0)
    return table.set_column(
        place, table.schema.field(place), both.take(pa.array(np.where(rows, others, np.arange(len(old)))))
    )
