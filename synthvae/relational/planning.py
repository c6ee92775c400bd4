"""What is known of linked tables before a model is fitted: their keys, their schemas, and what a parent carries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from synthvae.encoding import kinds
from synthvae.encoding.rules import Rules
from synthvae.errors import TableError
from synthvae.relational.across_tables import implied
from synthvae.relational.keys import KeyColumn, Keys, learn_keys
from synthvae.relational.lineage import LinkedTable, carried, children_counts, static_columns
from synthvae.relational.linked_rules import plan_rules, without_computed_bounds
from synthvae.relational.sequences import Places
from synthvae.relational.timeline import timed
from synthvae.relational.totals import FittedTotal, learn_totals
from synthvae.schema import decisions
from synthvae.schema.ancestor_columns import AncestorColumn, ancestor_columns
from synthvae.schema.constraints.comparable import frame_of
from synthvae.schema.constraints.inequality import Inequality
from synthvae.schema.constraints.rule import Constraint
from synthvae.schema.database import Database
from synthvae.schema.protection_rules import Subjects
from synthvae.schema.schema import Schema


@dataclass(frozen=True)
class Plan:
    """What is known of a table before it is fitted.

    Args:
        keys: How its key columns are filled.
        names: The columns that synthetic rows have.
        counts: The columns with the number of rows in each child table, by child.
        table: The rows without keys, with these numbers.
        schema: The schema of this table; None if it has no column.
        rules: The rules that synthetic rows keep; None without any.
        ancestors: The columns of ancestors that they are on, by the names that they give them.
        ruled: The rows with these columns; None without rules.
        totals: The columns that are computed from child tables.
    """

    keys: Keys
    names: list[str]
    counts: dict[str, str]
    table: pa.Table
    schema: Schema | None
    rules: Rules | None = None
    ancestors: Mapping[str, AncestorColumn] = field(default_factory=dict)
    ruled: pa.Table | None = None
    totals: tuple[FittedTotal, ...] = ()


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Name the table in the message of an error."""
    try:
        yield
    except TableError as error:
        raise TableError(f"Table {name!r}: {error}") from error


def ranks_of(database: Database, tables: Mapping[str, pa.Table]) -> dict[str, Places]:
    """Return the rank (rows,) of each row of the tables with an order column; missing values come last."""
    found = {}
    for name, column in database.order.items():
        with naming(name):
            schema = _schema(database, tables[name].select([column]), name, {column: {}})
            values = tables[name].column(column)
            numbers = timed(column, kinds.learn(schema[column], values)).numbers_of(values)
            found[name] = np.argsort(np.argsort(np.where(np.isnan(numbers), np.inf, numbers), kind="stable"))
    return found


def plan_tables(database: Database, linked: Mapping[str, LinkedTable], least: int) -> dict[str, Plan]:
    """Find the keys and the schema of each table, before anything is fitted.

    Args:
        database: The keys.
        linked: The rows of all tables that are modelled.
        least: The smallest number of rows of a number of links, and of subjects of a combination of values; 0: any.

    Raises:
        TableError: Columns need a decision; the message is about all tables. Or rows break a rule.
        SchemaError: A rule cannot be kept.
    """
    plans, problems = {}, []
    for name in linked:
        try:
            with naming(name):
                plans[name] = _plan(database, name, linked, least)
        except TableError as error:
            problems.append(str(error))
    if problems:
        raise TableError(f"{' '.join(problems)} Declare these columns in `schemas` of the database.")
    rows = {name: table.rows for name, table in linked.items()}
    for name in linked:
        try:
            with naming(name):
                plans[name] = replace(plans[name], totals=learn_totals(database, name, rows))
        except TableError as error:
            problems.append(str(error))
    if problems:
        raise TableError(" ".join(problems))
    planner = _RulePlanner(database, linked, plans, least)
    for name in reversed(list(linked)):  # rules of descendants imply some of their ancestors
        with naming(name):
            plans[name] = planner.plan(name)
    return plans


def _plan(database: Database, name: str, linked: Mapping[str, LinkedTable], least: int) -> Plan:
    own, given = linked[name], database.schemas.get(name)
    keys = learn_keys(database, name, linked, least)
    keys = keys.model_copy(update={"columns": (*keys.columns, *_static(database, name, linked, keys))})
    names = [n for n in own.rows.column_names if given is None or n not in given.drop or n in keys.names]
    computed = {total.column for total in database.totals if total.table == name}
    table = own.rows.select([n for n in names if n not in keys.names and n not in computed])
    counts = {}
    for child, numbers in children_counts(name, linked).items():
        counts[child] = _free_name(f"rows of {child}", own.rows.column_names)
        table = table.append_column(counts[child], pa.array(numbers, pa.int64()))
    carried_columns: dict[str, dict[str, object]] = {}
    for child in counts:
        for column in _static(database, child, linked, learn_keys(database, child, linked, 0)):
            if column.how == "carried":
                values = carried(linked[child], column.name, table.num_rows)
                table = table.append_column(column.column, values)
                carried_columns[column.column] = _declared(database, child, column.name)
    table = table.replace_schema_metadata(None)
    declared: dict[str, dict[str, object]] = dict(carried_columns)
    declared |= {column: {"kind": "integer", "nullable": False} for column in counts.values()}
    schema = _schema(database, table, name, declared) if table.num_columns else None
    return Plan(keys, names, counts, table, schema)


def _static(database: Database, name: str, linked: Mapping[str, LinkedTable], keys: Keys) -> list[KeyColumn]:
    """The columns of a child table that are constant among the rows of a parent: the parent has or carries them."""
    own = linked[name]
    if own.family is None:
        return []
    parent, given = linked[own.ancestors[0]], database.schemas.get(name)
    computed = {total[:2] for total in database.totals}
    left_out = {*keys.names, database.order.get(name), *(() if given is None else given.drop)}
    left_out |= {column for table, column in computed if table == name}
    known = [column for column in parent.rows.column_names if (parent.name, column) not in computed]
    found = []
    for column in static_columns(own, [c for c in own.rows.column_names if c not in left_out]):
        values = own.rows.column(column)
        if column in known and parent.rows.column(column).take(own.family.parents).equals(values):
            found.append(KeyColumn(name=column, how="inherited", table=parent.name, column=column))
            continue
        hidden = _free_name(f"{column} of {name}", parent.rows.column_names)
        nullable = values.null_count > 0
        found.append(KeyColumn(name=column, how="carried", column=hidden, nullable=nullable))
    return found


def _declared(database: Database, name: str, column: str) -> dict[str, object]:
    """What the database declares of a column."""
    given = database.schemas.get(name)
    if given is None or column not in given.names:
        return {}
    fields: dict[str, object] = given[column].model_dump(exclude_unset=True, exclude={"name", "nullable"})
    return fields


class _RulePlanner:
    """The rules of tables, each before its ancestors.

    Args:
        database: The keys.
        linked: The rows of all tables that are modelled.
        plans: What else is known of them.
        least: The smallest number of subjects of a combination of values; 0: any.
    """

    def __init__(
        self, database: Database, linked: Mapping[str, LinkedTable], plans: Mapping[str, Plan], least: int
    ) -> None:
        self.database, self.linked, self.plans, self.least = database, linked, plans, least
        self.implied: dict[str, list[Inequality]] = {}  # by the rules of descendants

    def plan(self, name: str) -> Plan:
        """Return the plan of a table with its rules.

        Raises:
            TableError: Rows break a rule.
            SchemaError: A rule cannot be kept.
        """
        own, given = self.linked[name], self.database.schemas.get(name)
        declared = () if given is None else given.constraints
        implied = [rule for rule in dict.fromkeys(self.implied.get(name, [])) if rule not in declared]
        if not declared and not implied:
            return self.plans[name]
        columns = {other: self.linked[other].rows.column_names for other in (name, *own.ancestors)}
        ancestors = ancestor_columns(self.database, name, (*declared, *implied), columns)
        whole = own.rows
        for column, (table, other) in ancestors.items():
            values = self.linked[table].rows.column(other).take(own.lines[own.ancestors.index(table)])
            whole = whole.append_column(column, values)
        stated = {c: _declared(self.database, table, other) for c, (table, other) in ancestors.items()}
        dropped = () if given is None else given.drop
        kept = [column for column in whole.column_names if column not in dropped]
        fields = [c.model_dump(exclude_unset=True) for c in (() if given is None else given.columns)]
        fields += [{"name": column, **known} for column, known in stated.items() if known]
        checked = Schema(columns=fields, constraints=declared) if fields or declared else None
        decisions.draft(checked, whole.select(kept)).check(whole.select(kept))
        usable = [n for n in kept if n in self._with_values(name)]
        usable += [n for n, (table, other) in ancestors.items() if other in self._with_values(table)]
        drawn = [
            n for n in usable if n not in self._shared(name) and n not in {self.database.order.get(name), *ancestors}
        ]
        schema = _schema(self.database, whole.select(usable), name, stated)
        constraints = [*declared, *(rule for rule in implied if self._is_kept(rule, whole, usable, drawn))]
        subjects = Subjects(self.least, own.subjects)
        rows = None if own.family is None else whole
        rules = plan_rules(name, constraints, schema, rows, drawn, subjects, self.database.order.get(name))
        self._imply(constraints, ancestors)
        if rules is not None:
            rules = without_computed_bounds(rules, drawn, () if given is None else given.names)
        return replace(self.plans[name], rules=rules, ancestors=ancestors, ruled=whole)

    def _shared(self, name: str) -> list[str]:
        """The columns of a table that all rows of a parent share."""
        return [column.name for column in self.plans[name].keys.columns if column.how in {"carried", "inherited"}]

    def _with_values(self, name: str) -> set[str]:
        """The columns of a table with learned values, which are neither keys nor dropped nor totals."""
        plan = self.plans[name]
        linked = {column for key in self.database.foreign_keys for column in key.columns if key.child == name}
        computed = {one.total.column for one in plan.totals}
        shared = {column for column in self._shared(name) if column not in linked}
        return {n for n in plan.names if n not in computed and (n not in plan.keys.names or n in shared)}

    def _is_kept(self, rule: Inequality, whole: pa.Table, usable: Sequence[str], drawn: Sequence[str]) -> bool:
        """Whether an implied rule can be kept, and all rows keep it, those without descendants, too."""
        if not set(rule.touches) <= set(usable) or not set(rule.touches) & set(drawn):
            return False
        kinds = decisions.draft(None, whole.select(list(rule.touches)))
        return bool(rule.holds(frame_of(whole, kinds, rule.touches)).all())

    def _imply(self, rules: Sequence[Constraint], ancestors: Mapping[str, AncestorColumn]) -> None:
        """Take note of the order of columns of ancestors that follows from rules."""
        for pair in implied(rules, ancestors):
            places = [ancestors[column] for column in pair]
            nearest = max((place.table for place in places), key=lambda table: len(self.database.ancestors(table)))
            names = [place.column if place.table == nearest else f"{place.table}.{place.column}" for place in places]
            self.implied.setdefault(nearest, []).append(Inequality(columns=names))


def _schema(database: Database, table: pa.Table, name: str, declared: Mapping[str, Mapping[str, object]]) -> Schema:
    """The schema of columns of a table: what the database declares, then what is inferred."""
    given = database.schemas.get(name)
    if given is not None:
        columns = [c.model_dump(exclude_unset=True) for c in given.columns if c.name in table.column_names]
        given = Schema(columns=columns) if columns else None
    stated = {n: dict(fields) for n, fields in declared.items() if fields}
    given = decisions.with_columns(given, stated, table.column_names)
    return decisions.complete(given, table)


def _free_name(name: str, taken: Sequence[str]) -> str:
    """A name that no column has."""
    while name in taken:
        name += "_"
    return name
