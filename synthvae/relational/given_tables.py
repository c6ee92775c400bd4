"""Tables that a request gives: parents whose children are drawn, and begun sequences that are continued."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from synthvae.encoding.arrays import in_dictionary
from synthvae.errors import RequestError, TableError, listing
from synthvae.relational.fitted_database import FittedChild, FittedDatabase
from synthvae.relational.keys import Keys
from synthvae.relational.lineage import LinkedTable, link
from synthvae.relational.planning import naming
from synthvae.relational.sequences import Places
from synthvae.relational.totals import refuse_given
from synthvae.schema import linkage
from synthvae.schema.column import Column
from synthvae.schema.constraints import checking
from synthvae.schema.database import Database
from synthvae.schema.link_evidence import codes_of
from synthvae.schema.schema import Schema
from synthvae.tables import convert
from synthvae.tables.arrow import plain_type


def read_given(fitted: FittedDatabase, given: Any) -> dict[str, pa.Table]:
    """Return the given tables by name, in the columns and types of the training tables, in their own order.

    Args:
        fitted: The models.
        given: A mapping from names to tables, or the table of the only root.

    Raises:
        RequestError: A table is unknown, has other columns or types, or one that its rows belong to is not given.
        TableError: A table cannot be read, a key is broken, or rows break a rule.
    """
    tables = _by_name(fitted, given)
    found = {name: _as_trained(fitted, name, convert.read(table)) for name, table in tables.items()}
    linkage.check(_of_given(fitted, found), {**fitted.public, **found})
    for name, rows in found.items():
        refuse_given(name, fitted.tables[name].totals, rows)
    for name, table in link(_of_given(fitted, found), {**fitted.public, **found}, {}).items():
        with naming(name):
            _refuse_broken(fitted, name, _with_ancestors(fitted, table, found))
    return found


def _with_ancestors(fitted: FittedDatabase, own: LinkedTable, tables: Mapping[str, pa.Table]) -> pa.Table:
    """Given rows, with the columns of ancestors that rules of their table are on."""
    model, rows = fitted.tables[own.name].model, own.rows
    across = model.encoding.across if isinstance(model, FittedChild) else None
    for column, (table, other) in ({} if across is None else across.ancestors).items():
        values = tables[table].column(other).take(own.lines[own.ancestors.index(table)])
        rows = rows.append_column(column, values)
    return rows


def link_given(fitted: FittedDatabase, tables: Mapping[str, pa.Table]) -> dict[str, LinkedTable]:
    """Return given tables with their rows sorted by subject, parent and order; roots keep their order.

    Raises:
        TableError: A column that repeats one of an ancestor has another value than that.
    """
    ranks = {name: _ranks(fitted, name, tables[name]) for name in fitted.database.order if name in tables}
    found = link(_of_given(fitted, tables), {**fitted.public, **tables}, ranks)
    for name, table in found.items():
        _refuse_contradictions(fitted.tables[name].keys, table, found)
    return found


def _refuse_contradictions(keys: Keys, table: LinkedTable, linked: Mapping[str, LinkedTable]) -> None:
    """Refuse given rows with another value of an ancestor's column than the ancestor, which no training row had."""
    for column in keys.columns:
        if column.how != "inherited":
            continue
        line = table.lines[table.ancestors.index(column.table)]
        theirs = linked[column.table].rows.column(column.column).take(line)
        own, known = codes_of([table.rows.column(column.name)], [theirs])
        if others := int((own != known).sum()):
            raise TableError(
                f"Column {column.name!r} of given rows of {table.name!r} must be {column.column!r} of their row of "
                f"{column.table!r}, got {others:,} of {len(own):,} rows with another. Correct these rows."
            )


def _refuse_broken(fitted: FittedDatabase, name: str, rows: pa.Table) -> None:
    """Refuse given rows that break a declared rule."""
    schema, model = fitted.database.schemas.get(name), fitted.tables[name].model
    if schema is None or not schema.constraints:
        return
    if isinstance(model, FittedChild):
        rules = model.encoding.rules
    else:
        rules = None if model.model is None else model.model.encoding.rules
    known = {} if rules is None else {column.name: column for column in rules.columns}
    touched = dict.fromkeys(column for rule in schema.constraints for column in rule.touches)
    columns = [known.get(column, Column(name=column, kind="id")) for column in touched]  # keys are of distinct rows
    fields = [column.model_dump(exclude_unset=True) for column in columns]
    checking.refuse_broken(rows, schema.constraints, Schema(columns=fields))


def _by_name(fitted: FittedDatabase, given: Any) -> dict[str, Any]:
    database, roots = fitted.database, list(fitted.roots)
    if not isinstance(given, Mapping):
        if len(roots) > 1:
            raise RequestError(
                "`given` must be a mapping from tables to rows where there are several root tables, got one table for "
                f"{listing(roots)}. Name its table."
            )
        given = {roots[0]: given}
    if not given:
        raise RequestError(f"`given` must have at least one table, got none. Give rows of {listing(roots)}.")
    if unknown := [str(name) for name in given if name not in fitted.tables]:
        raise RequestError(
            f"`given` must name tables that are modelled, got {listing(unknown)}. Choose among "
            f"{listing(fitted.tables)}."
        )
    for key in database.foreign_keys:
        if key.child in given and key.parent in fitted.tables and key.parent not in given:
            raise RequestError(
                f"`given` must have the rows that its rows belong or are linked to, got {key.child!r} without "
                f"{key.parent!r}. Add them."
            )
    return {name: given[name] for name in fitted.tables if name in given}


def _as_trained(fitted: FittedDatabase, name: str, table: pa.Table) -> pa.Table:
    """A given table with the columns and types of its training table."""
    schema = fitted.tables[name].arrow
    if sorted(table.column_names) != sorted(schema.names):
        raise RequestError(
            f"Given rows of {name!r} must have the columns {listing(schema.names)}, got {listing(table.column_names)}. "
            "Add what is missing, and leave out what else there is."
        )
    arrays = []
    for field in schema:
        values = table.column(field.name)
        try:
            arrays.append(_cast(values, field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise RequestError(
                f"Column {field.name!r} of given rows of {name!r} must have the type {field.type} of the training "
                f"table, got {values.type}. Convert it."
            ) from error
    fields = [field.with_type(array.type) for field, array in zip(schema, arrays, strict=True)]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=schema.metadata))


def _cast(values: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    """Values as an array of a type; the categories of a dictionary stay in their order."""
    if not pa.types.is_dictionary(kind):
        return values.cast(plain_type(values.type)).combine_chunks().cast(kind)
    if pa.types.is_dictionary(values.type):
        wide = pa.dictionary(pa.int32(), kind.value_type, ordered=kind.ordered)
        return values.unify_dictionaries().combine_chunks().cast(wide)
    return in_dictionary(values.combine_chunks(), kind)


def _of_given(fitted: FittedDatabase, tables: Mapping[str, pa.Table]) -> Database:
    """The database of given tables and public ones alone."""
    whole, names = fitted.database, {*tables, *fitted.public}
    return Database(
        tables=[name for name in whole.tables if name in names],
        primary_keys={name: key for name, key in whole.primary_keys.items() if name in names},
        foreign_keys=[key for key in whole.foreign_keys if key.child in names],
        order={name: column for name, column in whole.order.items() if name in tables},
        public=list(whole.public),
    )


def _ranks(fitted: FittedDatabase, name: str, table: pa.Table) -> Places:
    """The rank (rows,) of each given row by the order column; missing values come last.

    Raises:
        TableError: A value is neither a number nor a date.
    """
    model, column = fitted.tables[name].model, fitted.database.order[name]
    assert isinstance(model, FittedChild)
    values = table.column(column)
    if model.encoding.timeline is not None:
        numbers = model.encoding.timeline.encoding.numbers_of(values)
    elif pa.types.is_integer(values.type):  # positions
        numbers = values.to_numpy().astype(np.float64)
    else:
        raise TableError(f"The order column {column!r} of given rows must have numbers, got {values.type}. Convert it.")
    return np.argsort(np.argsort(np.where(np.isnan(numbers), np.inf, numbers), kind="stable"))
