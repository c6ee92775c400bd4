"""Rules of child rows with columns of their ancestors: what they leave of the columns that are drawn."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from synthvae.encoding.arrays import Floats, Mask
from synthvae.encoding.computed import ComputedEncoding
from synthvae.encoding.protocol import CodedColumn
from synthvae.encoding.rules import Rules
from synthvae.encoding.rules.allowed import Part
from synthvae.encoding.rules.enforced import following
from synthvae.encoding.rules.predicate import Predicate
from synthvae.encoding.rules.view import Grid, View
from synthvae.errors import SchemaError, brief
from synthvae.relational.relative_dates import OWN, RelativeDate, Surroundings
from synthvae.relational.sequences import Places
from synthvae.relational.timeline import Timeline
from synthvae.schema.ancestor_columns import AncestorColumn
from synthvae.schema.column import Column
from synthvae.schema.constraints.comparable import frame_of, numbers
from synthvae.schema.constraints.implications import If, ImpliesMissing, RequiredIf
from synthvae.schema.constraints.inequality import Inequality
from synthvae.schema.constraints.rule import Constraint
from synthvae.schema.domain import decimals_of

Ends = tuple[Floats, Floats]
WHOLE = Grid(1.0)


class AcrossRules(BaseModel):
    """The rules of a child table that are not on columns of the row encoding alone.

    Their other columns are known before the row is drawn: those of ancestors, those that all rows of a parent share,
    and the order column; or they are dates that are modelled as differences.

    Args:
        rules: All rules of the table.
        ancestors: The columns of ancestors, by the names that the rules give them.
        computed: How columns are written that are computed once all others of their row are known.
    """

    model_config = ConfigDict(frozen=True)
    __repr__ = __str__ = brief

    rules: Rules
    ancestors: dict[str, AncestorColumn] = Field(default_factory=dict)
    computed: dict[str, ComputedEncoding] = Field(default_factory=dict)

    @classmethod
    def learn(
        cls, rules: Rules, ancestors: Mapping[str, AncestorColumn], names: Collection[str], table: pa.Table | None
    ) -> AcrossRules:
        """Find how columns are computed and written.

        Args:
            rules: All rules of the table.
            ancestors: The columns of ancestors.
            names: The columns that are encoded as they are, among which the row encoding keeps rules itself.
            table: The training rows, with the columns of ancestors; None under a budget.

        Raises:
            SchemaError: A computed column has sentinel values.
        """
        computed = {}
        for name, rule in rules.computing.items():
            if set(rule.touches) <= set(names):
                continue
            if rules[name].sentinels:
                raise SchemaError(
                    f"The rule `{rule}` must compute a column without sentinel values, got some in {name!r}. Make them "
                    "missing, or remove the rule."
                )
            given = tuple(other for other in rule.touches if other != name)
            computed[name] = (
                ComputedEncoding.declare(rules[name], given)
                if table is None
                else ComputedEncoding.learn(rules[name], table.column(name), given)
            )
        return cls(rules=rules, ancestors=dict(ancestors), computed=computed)

    def drawn(self, names: Collection[str]) -> list[Column]:
        """Return those of the columns that rules are on: their numbers are drawn, and drawn again, with the row."""
        return [column for column in self.rules.columns if column.name in names]

    @property
    def chains(self) -> list[Inequality]:
        """The rules of the order of columns."""
        return [rule for rule in self.rules.constraints if isinstance(rule, Inequality)]

    def with_computed(self, rows: pa.Table) -> pa.Table:
        """Return decoded rows, with the columns of ancestors, in which computed columns have their numbers.

        A value that was drawn as missing stays so, and one that cannot be computed stays as it was drawn.
        """
        for name in (name for name in self.rules.computing if name in self.computed):
            drawn = rows.column(name)
            own = numbers(frame_of(rows, self.rules, [name])[name]).astype(np.float64)
            decoded = {other: rows.column(other).combine_chunks() for other in rows.column_names}
            found = CodedColumn(
                np.zeros(rows.num_rows, np.int64),
                np.random.default_rng(0),
                numbers=self.rules.compute(name, decoded, own),
            )
            written = self.computed[name].decode(found, drawn.type)
            rows = rows.set_column(rows.column_names.index(name), rows.field(name).with_type(written.type), written)
        return rows


@dataclass(frozen=True)
class RowLimits:
    """What is known of child rows before they are drawn, and the limits of their columns that follow.

    Args:
        across: The rules.
        known: The columns of ancestors, and those that all rows of a parent share.
        count: The number of rows.
        types: The types of all columns of the table.
        timeline: The encoding of the order column; None without one.
        dates: The dates that are modelled as differences.
        around: The ancestors of the rows.
        views: The columns of the row encoding that rules are on.
    """

    __repr__ = brief

    across: AcrossRules
    known: pa.Table
    count: int
    types: Mapping[str, pa.DataType]
    timeline: Timeline | None
    dates: Sequence[RelativeDate]
    around: Surroundings
    views: Mapping[str, View]

    @cached_property
    def _frame(self) -> pd.DataFrame:
        """The known columns, as rules compare them."""
        found = frame_of(self.known, self.across.rules, self.known.column_names)
        return found if len(found.columns) else pd.DataFrame(index=np.arange(self.count))

    @cached_property
    def _numbers(self) -> dict[str, Floats]:
        """The numbers (rows,) of the known columns; NaN: they have none."""
        touched = {name for rule in self.across.chains for name in rule.columns}
        names = [name for name in self.known.column_names if name in touched]
        return {name: numbers(self._frame[name]).astype(np.float64) for name in names}

    def order(self, rows: Places) -> Ends | None:
        """Return the smallest and the largest number (n,) of the order column of some rows; None: it has no limits."""
        if self.timeline is None or self.timeline.name not in self.across.rules.names:
            return None
        name = self.timeline.name
        view = View.of(self.across.rules[name], self.timeline.encoding, self.types[name])
        known = {other: own[rows] for other, own in self._numbers.items()}
        return self._own_ends(view, name, known)

    def columns(self, rows: Places, order: Floats) -> dict[str, Ends]:
        """Return the smallest and the largest compared number (n,) of the columns of some rows.

        Args:
            rows: The rows (n,).
            order: The numbers (n,) of their order column.
        """
        frame, known = self._known_of(rows, order)
        found = dict(self._computed(frame))
        relative = {date.name: date for date in self.dates}
        for column in self.across.drawn(self.views):
            if column.name in found:
                continue
            if column.name in relative:
                ends = self._differences(relative[column.name], known, rows, order)
            else:
                ends = self._compared_ends(column.name, known)
            if ends is not None:
                found[column.name] = ends
        return found

    def parts(self, rows: Places, order: Floats) -> dict[str, list[tuple[Part, Mask]]]:
        """Return what implications leave of the columns of some rows, by conditions on columns that are known.

        Args:
            rows: The rows (n,).
            order: The numbers (n,) of their order column.
        """
        frame, _ = self._known_of(rows, order)
        found: dict[str, list[tuple[Part, Mask]]] = {}
        plain = {name: view for name, view in self.views.items() if name not in {date.name for date in self.dates}}
        for rule in self.across.rules.constraints:
            if not isinstance(rule, (If, ImpliesMissing, RequiredIf)):
                continue
            if rule.condition.column in frame:
                met = rule.condition.meets(frame)
                for name in plain.keys() & ({rule.then.column} if isinstance(rule, If) else {*rule.columns}):
                    found.setdefault(name, []).append((following(rule, plain[name]), met))
            elif isinstance(rule, If) and rule.then.column in frame and rule.condition.column in plain:
                refuted = frame[rule.then.column].notna().to_numpy() & ~rule.then.meets(frame)
                name = rule.condition.column
                found.setdefault(name, []).append((Predicate(plain[name], rule.condition).failed, refuted))
        return found

    def _known_of(self, rows: Places, order: Floats) -> tuple[pd.DataFrame, dict[str, Floats]]:
        """The known columns of some rows, their order column among them, and their numbers (n,)."""
        known = {other: own[rows] for other, own in self._numbers.items()}
        frame, timeline = self._frame.iloc[rows].reset_index(drop=True), self.timeline
        if timeline is not None and timeline.name in self.across.rules.names:
            decoded = timeline.decode(order, self.types[timeline.name], np.random.default_rng(0))
            own = frame_of(pa.table({timeline.name: decoded}), self.across.rules, [timeline.name])[timeline.name]
            frame[timeline.name] = own
            known[timeline.name] = numbers(own).astype(np.float64)
        return frame, known

    def _computed(self, frame: pd.DataFrame) -> Iterator[tuple[str, Ends]]:
        """The columns that are computed from known ones, as limits that leave one number."""
        for name, rule in self.across.rules.computing.items():
            given = [other for other in rule.touches if other != name]
            if name in self.across.computed and set(given) <= set(frame) and name in self.views:
                found = rule.compute(frame).to_numpy(np.float64)
                decimals = decimals_of(self.across.rules[name])
                found = found if decimals is None else np.round(found, decimals) + 0.0
                yield name, (found, found)

    def _compared_ends(self, name: str, known: Mapping[str, Floats]) -> Ends | None:
        """The compared numbers between which the chains of a column leave it."""
        view = self.views[name]
        ends = self._own_ends(view, name, known)
        return None if ends is None else (view.compared(ends[0]), view.compared(ends[1]))

    def _own_ends(self, view: View, name: str, known: Mapping[str, Floats]) -> Ends | None:
        """The same in the column's unit, on its grid."""
        low = high = None
        for rule in self.across.chains:
            if name in rule.columns:
                place = rule.columns.index(name)
                own_low = _nearest(np.fmax, None, known, rule.columns[:place])
                own_high = _nearest(np.fmin, None, known, rule.columns[place + 1 :])
                if own_low is not None:
                    least = view.grid.above(view.own(own_low), strict=rule.strict)
                    low = least if low is None else np.fmax(low, least)
                if own_high is not None:
                    most = view.grid.below(view.own(own_high), strict=rule.strict)
                    high = most if high is None else np.fmin(high, most)
        return _filled(low, high)

    def _differences(self, date: RelativeDate, known: Mapping[str, Floats], rows: Places, order: Floats) -> Ends | None:
        """The limits of a date as its difference from another one; None: none, or the other one is drawn later."""
        view = View.of(self.across.rules[date.name], date.encoding, self.types[date.name])
        ends = self._own_ends(view, date.name, known)
        if ends is None:
            return None
        if date.ancestor != OWN:
            base = self._ticks(date)[rows]
        elif self.timeline is not None and date.base == self.timeline.name:
            own = self.timeline.encoding
            base = getattr(own, "origin", 0) + order * getattr(own, "step", 1)
        else:
            return None
        low, high = ((date.encoding.origin + end * date.encoding.step - base) / date.unit for end in ends)
        return WHOLE.above(low, strict=False), WHOLE.below(high, strict=False)

    @cached_property
    def _of_dates(self) -> dict[str, Floats]:
        """The ticks that `_ticks` has found."""
        return {}

    def _ticks(self, date: RelativeDate) -> Floats:
        """The ticks (rows,) of the date of an ancestor from which a date is a difference."""
        if date.name not in self._of_dates:
            self._of_dates[date.name] = self.around.ticks(date.ancestor, date.base)
        return self._of_dates[date.name]


def _nearest(
    nearest: np.ufunc, found: Floats | None, known: Mapping[str, Floats], names: Sequence[str]
) -> Floats | None:
    """The largest or the smallest of known numbers (n,); None: none is known."""
    for name in names:
        if name in known:
            found = known[name] if found is None else nearest(found, known[name])
    return found


def _filled(low: Floats | None, high: Floats | None) -> Ends | None:
    """Both ends (n,), NaN where there is none; None: there are none at all."""
    if low is None and high is None:
        return None
    some = low if low is not None else high
    assert some is not None
    none = np.full(len(some), np.nan)
    return (none if low is None else low), (none if high is None else high)


def implied(rules: Sequence[Constraint], ancestors: Mapping[str, AncestorColumn]) -> list[list[str]]:
    """Return the pairs of columns of ancestors whose order follows from chains of rules of their descendants.

    Without it, a row of an ancestor could leave no value for its descendants.

    Example:
        >>> rule = Inequality(columns=["stays.admitted", "given", "stays.left"])
        >>> names = {name: AncestorColumn("stays", name[6:]) for name in ("stays.admitted", "stays.left")}
        >>> implied([rule], names)
        [['stays.admitted', 'stays.left']]
    """
    found = []
    for rule in rules:
        if isinstance(rule, Inequality):
            known = [name for name in rule.columns if name in ancestors]
            found += [list(pair) for pair in itertools.pairwise(known)]
    return found
