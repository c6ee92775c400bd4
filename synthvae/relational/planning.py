"""What is known of linked tables before a model is fitted: their keys, their schemas, and what a parent carries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from synthvae.encoding import kinds
from synthvae.encoding.rules import Rules
from synthvae.errors import TableError
from synthvae.relational.keys import KeyColumn, Keys, learn_keys
from synthvae.relational.lineage import LinkedTable, carried, children_counts, static_columns
from synthvae.relational.linked_rules import plan_rules
from synthvae.relational.sequences import Places
from synthvae.relational.timeline import timed
from synthvae.schema import decisions
from synthvae.schema.database import Database
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
    """

    keys: Keys
    names: list[str]
    counts: dict[str, str]
    table: pa.Table
    schema: Schema | None
    rules: Rules | None = None


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
        least: The smallest number of rows of a number of links; 0: any.

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
    for name, given in database.schemas.items():
        if name in plans and given.constraints:
            with naming(name):
                plans[name] = replace(plans[name], rules=_rules(database, linked[name], given, plans[name].keys))
    return plans


def _plan(database: Database, name: str, linked: Mapping[str, LinkedTable], least: int) -> Plan:
    own, given = linked[name], database.schemas.get(name)
    keys = learn_keys(database, name, linked, least)
    keys = keys.model_copy(update={"columns": (*keys.columns, *_static(database, name, linked, keys))})
    names = [n for n in own.rows.column_names if given is None or n not in given.drop or n in keys.names]
    table = own.rows.select([n for n in names if n not in keys.names])
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
    left_out = {*keys.names, database.order.get(name), *(() if given is None else given.drop)}
    found = []
    for column in static_columns(own, [c for c in own.rows.column_names if c not in left_out]):
        values = own.rows.column(column)
        if column in parent.rows.column_names and parent.rows.column(column).take(own.family.parents).equals(values):
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


def _rules(database: Database, own: LinkedTable, given: Schema, keys: Keys) -> Rules | None:
    """The rules of a table, which its rows keep.

    Raises:
        TableError: Rows break a rule.
        SchemaError: A rule cannot be kept.
    """
    stated = Schema(columns=[c.model_dump(exclude_unset=True) for c in given.columns], constraints=given.constraints)
    kept = [column for column in own.rows.column_names if column not in given.drop]
    decisions.draft(stated, own.rows.select(kept)).check(own.rows.select(kept))
    shared = [column.name for column in keys.columns if column.how in {"carried", "inherited"}]
    linked = {column for key in database.foreign_keys for column in key.columns if key.child == own.name}
    usable = [n for n in kept if n not in keys.names or (n in shared and n not in linked)]
    drawn = [n for n in usable if n not in shared and n != database.order.get(own.name)]
    schema = _schema(database, own.rows.select(usable), own.name, {})
    return plan_rules(own.name, given.constraints, schema, own.rows, drawn)


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
