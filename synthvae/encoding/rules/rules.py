"""The rules between the columns of a table, and how its synthetic rows keep them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from synthvae.encoding import kinds
from synthvae.encoding.arrays import Floats, Mask
from synthvae.encoding.computed import ComputedEncoding
from synthvae.encoding.kinds import StoredEncoding
from synthvae.encoding.layout import Layout
from synthvae.encoding.rules import distances
from synthvae.encoding.rules.allowed import Part
from synthvae.encoding.rules.enforced import enforced
from synthvae.encoding.rules.known import Enforced
from synthvae.encoding.rules.session import Cell, RowsUnderRules, cells
from synthvae.encoding.rules.view import Grid, View, labels_of
from synthvae.errors import TableError, brief
from synthvae.schema.column import NUMERIC, TEMPORAL, Column
from synthvae.schema.constraints import If, ImpliesMissing, Increments, Inequality, RequiredIf, Rule
from synthvae.schema.constraints.combinations import FixedCombinations, OneHot, Unique
from synthvae.schema.constraints.comparable import frame_of, label, numbers, relative_error
from synthvae.schema.constraints.computed import Difference
from synthvae.schema.constraints.consistency import in_order
from synthvae.schema.constraints.rule import Constraint
from synthvae.schema.schema import Schema
from synthvae.tables.arrow import dense
from synthvae.tables.subjects import Units


class Rules(BaseModel):
    """The rules of a table, with the columns that they are on.

    Args:
        constraints: The rules; combinations are filled in.
        columns: The declared columns that they name.

    Example:
        >>> from synthvae.schema import Column, Inequality, Schema
        >>> columns = (Column(name="low", kind="integer"), Column(name="high", kind="integer"))
        >>> Rules.of(Schema(columns=columns, constraints=(Inequality(columns=["low", "high"]),))).order(["high", "low"])
        ['low', 'high']
    """

    model_config = ConfigDict(frozen=True)
    __repr__ = __str__ = brief

    constraints: tuple[Rule, ...]
    columns: tuple[Column, ...]

    @classmethod
    def of(cls, schema: Schema, table: pa.Table | None = None) -> Self | None:
        """Return the rules of a schema; None if it has none.

        Args:
            schema: The schema.
            table: The training rows, whose combinations are allowed where none are declared; None under a budget.
        """
        if not schema.constraints:
            return None
        touched = dict.fromkeys(name for rule in schema.constraints for name in rule.touches)
        rules = list(schema.constraints)
        if table is not None:
            rules = [rule.learned(frame_of(table, schema, rule.touches)) for rule in rules]
        return cls(constraints=tuple(rules), columns=tuple(schema[name] for name in touched))

    def without_unknown(self, encodings: Mapping[str, StoredEncoding]) -> Self:
        """Return the rules without combinations of values that no column has, such as rare ones that are protected.

        Args:
            encodings: The encodings of the columns, that of a target of classes among them.
        """
        return self.model_copy(update={"constraints": tuple(_known(rule, encodings) for rule in self.constraints)})

    def protected(self, schema: Schema, tables: tuple[pa.Table, pa.Table], least: int, units: Units | None) -> Self:
        """Return the rules without learned combinations of fewer than `least` subjects; a warning counts them.

        Args:
            schema: The schema, whose rules these are; combinations that it declares stay.
            tables: The training rows before and after rare values were protected. Combinations of rare values go
                without a warning, as the values do.
            least: The smallest number of subjects.
            units: The unit (rows,) of each row; None: each row is a subject.

        Raises:
            TableError: No combination of a rule has so many subjects.
        """
        rules: list[Rule] = []
        for declared, rule in zip(schema.constraints, self.constraints, strict=True):
            if isinstance(rule, FixedCombinations) and rule != declared:
                before, after = (frame_of(table, schema, rule.columns) for table in tables)
                rules.append(rule.frequent(before, after, least, units))
            else:
                rules.append(rule)
        return self.model_copy(update={"constraints": tuple(rules)})

    @property
    def names(self) -> list[str]:
        """The columns that the rules are on."""
        return [column.name for column in self.columns]

    def __getitem__(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    @cached_property
    def _needs(self) -> dict[str, set[str]]:
        """The columns that should be drawn before each column."""
        found: dict[str, set[str]] = {}
        for rule in self.constraints:
            if isinstance(rule, Difference):
                found.setdefault(rule.high, set()).add(rule.low)
            elif isinstance(rule, Inequality):
                for first, second in rule.pairs:
                    found.setdefault(second, set()).add(first)
            elif isinstance(rule, (If, ImpliesMissing, RequiredIf)):
                for name in set(rule.touches) - {rule.condition.column}:
                    found.setdefault(name, set()).add(rule.condition.column)
        return found

    @cached_property
    def computing(self) -> dict[str, Constraint]:
        """The rules that compute a column, by that column, each after those that it needs."""
        return {rule.computed[0]: rule for rule in in_order(self.constraints)}

    def _given(self, name: str) -> tuple[str, ...]:
        """The columns from which a column is computed."""
        return tuple(other for other in self.computing[name].touches if other != name)

    def encodings(
        self, table: pa.Table, found: Mapping[str, StoredEncoding], target: str | None
    ) -> dict[str, StoredEncoding]:
        """Return the encodings of the columns whose encoding follows from the rules, given those of their kinds.

        A column whose numbers are computed wherever they are present is not modelled. Whole numbers in fixed
        combinations are categories. Of two columns in ascending order, the second is modelled as its distance from the
        first if that spreads less.

        Args:
            table: The training rows.
            found: The encodings of all columns, in the order in which they are modelled.
            target: The target, whose encoding stays.
        """
        own: dict[str, StoredEncoding] = {}
        for rule in self.constraints:
            for name in rule.columns if isinstance(rule, FixedCombinations) else ():
                if name in found and found[name].valued:
                    own[name] = kinds.learn(self[name].model_copy(update={"kind": "categorical"}), table.column(name))
        for name, computing in self.computing.items():
            frame = frame_of(table, self, computing.touches)
            values = [numbers(frame[other]) for other in computing.touches]
            if any(own_values.dtype == object for own_values in values):
                raise TableError(
                    f"The rule `{computing}` must be on numbers within 2**53, beyond which doubles do not hold their "
                    "sums. Scale the columns, declare `kind: id`, or remove the rule."
                )
            unknown = pd.isna(numbers(frame[name])) != pd.isna(computing.compute(frame)).to_numpy()
            if name in found and not self[name].sentinels and not unknown.any():
                own[name] = ComputedEncoding.learn(self[name], table.column(name), self._given(name))
        own.pop(str(target), None)
        fixed = {*own, target, *self._fixed}
        return own | distances.encodings(self, self._pairs, fixed, table, found)

    @property
    def _pairs(self) -> list[tuple[str, str]]:
        """Columns of which the second one often follows closely on the first."""
        chains = [pair for rule in self.constraints if isinstance(rule, Inequality) for pair in rule.pairs]
        return [(rule.low, rule.high) for rule in self.constraints if isinstance(rule, Difference)] + chains

    @property
    def _fixed(self) -> set[str]:
        """The columns whose numbers are limited to some values."""
        found: set[str] = set()
        for rule in self.constraints:
            if isinstance(rule, (FixedCombinations, OneHot, Increments)):
                found.update(rule.touches)
        return found

    def declared(self, found: Mapping[str, StoredEncoding], target: str | None) -> dict[str, StoredEncoding]:
        """Return the same encodings for a declared table, none of whose rows is known.

        Args:
            found: The encodings of all columns, in the order in which they are modelled.
            target: The target, whose encoding stays.
        """

        def is_whole(name: str) -> bool:
            return not self[name].nullable and not self[name].sentinels

        whole = {name for name, rule in self.computing.items() if all(map(is_whole, rule.touches))}
        own: dict[str, StoredEncoding] = {}
        for name in whole & found.keys() - {target}:
            own[name] = ComputedEncoding.declare(self[name], self._given(name))
        for name in own.keys() & self.computing.keys():
            rule, fixed = self.computing[name], {*own, target, *self._fixed}
            if isinstance(rule, Difference) and rule.high not in fixed:
                own |= distances.declared(self, rule, found)
        return own

    def compute(self, name: str, decoded: Mapping[str, pa.Array], drawn: Floats | None) -> Floats:
        """Return the numbers (rows,) of a computed column.

        Args:
            name: The column.
            decoded: The columns from which it is computed.
            drawn: The numbers that were drawn for it, which stay where it cannot be computed, NaN where it is missing;
                None: it is not modelled.
        """
        rule, given = self.computing[name], self._given(name)
        frame = frame_of(pa.table({other: decoded[other] for other in given}), self, given)
        found = rule.compute(frame).to_numpy(np.float64)
        if drawn is None:
            return found
        return np.where(np.isnan(found) | np.isnan(drawn), drawn, found)

    def computed_numbers(self, table: pa.Table) -> dict[str, Floats]:
        """Return the numbers (rows,) of the computed columns of a table; NaN: missing."""
        frames = {name: frame_of(table, self, [name])[name] for name in self.computing}
        return {name: numbers(values).astype(np.float64) for name, values in frames.items()}

    def order(self, names: Sequence[str]) -> list[str]:
        """Return columns in their order, but each after those on which the rules make it depend.

        Args:
            names: The columns.
        """
        waiting, done = list(names), list[str]()
        while waiting:
            ready = (n for n in waiting if not self._needs.get(n, set()) & set(waiting) - {n})
            following = next(ready, waiting[0])  # the first one of a cycle
            waiting.remove(following)
            done.append(following)
        return done

    def refuse_repeats(self) -> None:
        """Refuse rules of distinct rows that are on no column of ids.

        Raises:
            TableError: There is one: learned values repeat.
        """
        for rule in self.constraints:
            if isinstance(rule, Unique) and not any(self[name].kind == "id" for name in rule.columns):
                raise TableError(
                    f"The rule `{rule}` must be on a column of ids, whose synthetic values are distinct; learned ones "
                    "may repeat. Declare `kind: id` for one of its columns, or remove the rule."
                )

    def broken(self, table: pa.Table) -> Mask:
        """Return which rows (rows,) break a rule, or the bounds of a computed column; repeated rows are not counted.

        Args:
            table: Decoded rows.
        """
        found = np.zeros(table.num_rows, bool)
        frame = frame_of(table, self, self.names)
        for name in self.names:
            if self[name].kind not in (*NUMERIC, *TEMPORAL):
                values = dense(table.column(name)).combine_chunks()
                if values.null_count < len(values):  # else it may have no type
                    frame[name] = values.dictionary_encode().to_pandas()  # labels are found once for all rules
        for name in self.computing:
            bounds = self[name].bounds
            if bounds is not None:
                own = numbers(frame[name]).astype(np.float64)
                low, high = (float(end) for end in bounds if isinstance(end, (int, float)))
                room = relative_error(frame[name].dtype) * np.abs(own)
                found |= (own < low - room) | (own > high + room)
        for rule in self.constraints:
            if not isinstance(rule, Unique):
                found |= ~rule.holds(frame, self)
        return found

    def compiled(self, encodings: Mapping[str, StoredEncoding], schema: pa.Schema) -> CompiledRules:
        """Return the rules for the encodings of a table.

        Args:
            encodings: The encodings of the columns, in the order in which they are modelled.
            schema: The Arrow schema of decoded tables.
        """
        return CompiledRules(self, encodings, schema)


def _known(rule: Rule, encodings: Mapping[str, StoredEncoding]) -> Rule:
    """A rule whose combinations have known values alone; any other rule as it is."""
    if not isinstance(rule, FixedCombinations) or rule.combinations is None:
        return rule
    known = [labels_of(encodings[name]) if name in encodings else None for name in rule.columns]
    kept = tuple(
        one
        for one in rule.combinations
        if all(own is None or label(value) in own for value, own in zip(one, known, strict=True))
    )
    return rule.model_copy(update={"combinations": kept}) if kept else rule


class CompiledRules:
    """Rules, compiled for the encodings of a table.

    Args:
        rules: The rules.
        encodings: The encodings of the columns, in the order in which they are modelled.
        schema: The Arrow schema of decoded tables.
        limited: Other columns, which may be limited row by row.
    """

    __repr__ = brief

    def __init__(
        self,
        rules: Rules,
        encodings: Mapping[str, StoredEncoding],
        schema: pa.Schema,
        limited: Sequence[Column] = (),
    ) -> None:
        self.rules = rules
        known = {column.name: column for column in (*limited, *rules.columns)}
        self._cells: dict[tuple[str, ...], dict[int, Cell]] = {}
        grids = {r.column: Grid(float(r.step), float(r.offset)) for r in rules.constraints if isinstance(r, Increments)}
        self.views: dict[str, View] = {}
        wanted = [n for n in known if n in encodings and not isinstance(encodings[n], ComputedEncoding)]
        while wanted:
            name = wanted.pop()
            if name in self.views:
                continue
            column = known.get(name, Column(name=name, kind="continuous"))
            self.views[name] = View.of(column, encodings[name], schema.field(name).type, grids.get(name))
            wanted.extend(self.views[name].links.values())
        floating = (field for field in schema if pa.types.is_floating(field.type))
        errors = {field.name: relative_error(field.type.to_pandas_dtype()) for field in floating}
        found = [(rule, enforced(rule, self.views, rules, errors)) for rule in rules.constraints]
        self.by_column: dict[str, list[Enforced]] = {}
        for rule, own in found:
            for name in set(rule.touches) & set(self.views) if own is not None else ():
                assert own is not None
                self.by_column.setdefault(name, []).append(own)

    def rows(
        self,
        layout: Layout,
        rows: int,
        rng: np.random.Generator,
        limits: Mapping[str, tuple[Floats, Floats]] | None = None,
        parts: Mapping[str, Sequence[tuple[Part, Mask]]] | None = None,
    ) -> RowsUnderRules:
        """Return rows of a layout that are to be drawn; see `RowsUnderRules`."""
        key = layout.names
        if key not in self._cells:
            self._cells[key] = cells(layout, tuple(self.views))
        return RowsUnderRules(self, self._cells[key], rows, rng, limits, parts)
