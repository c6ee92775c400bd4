"""The rows of linked tables in the order in which they are drawn, and the ancestors of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from synthvae.errors import TableError, brief
from synthvae.relational.sequences import Family, Places
from synthvae.schema.database import Database
from synthvae.schema.link_evidence import parent_rows
from synthvae.schema.schema import Schema
from synthvae.tables.arrow import dense, unit_numbers

MIN_STATIC_ROWS = 20  # rows that have a sibling, from which on a column is taken to be static


@dataclass(frozen=True)
class LinkedTable:
    """A table whose rows are sorted by subject, parent and order.

    Args:
        name: The table.
        rows: Its rows.
        subjects: The subject (rows,) of each: a row of the root table.
        family: To which parents and subjects the rows belong; None for a root.
        ancestors: The names of the parent, its parent, and so on up to the root.
        lines: For each of them the place (rows,) of each row's ancestor.
    """

    __repr__ = brief

    name: str
    rows: pa.Table
    subjects: Places
    family: Family | None = None
    ancestors: tuple[str, ...] = ()
    lines: tuple[Places, ...] = ()


def link(database: Database, tables: Mapping[str, pa.Table], ranks: Mapping[str, Places]) -> dict[str, LinkedTable]:
    """Return the tables that are modelled, each after its parent, with their rows sorted.

    Args:
        database: The keys.
        tables: The tables, which obey them.
        ranks: For tables with an order column, the rank (rows,) of each row; equal ranks keep their order.
    """
    found: dict[str, LinkedTable] = {}
    orders: dict[str, Places] = {}
    parents = database.parents
    for name in database.modelled:
        rows = tables[name].num_rows
        if name not in parents:
            orders[name] = np.arange(rows)
            found[name] = LinkedTable(name, tables[name], np.arange(rows))
            continue
        above = found[parents[name].parent]
        places = _inverse(orders[above.name])[parent_rows(parents[name], tables)]
        order = np.lexsort((np.arange(rows), ranks.get(name, np.zeros(rows, np.int64)), places))
        orders[name], places = order, places[order]
        family = Family(places, above.subjects[places])
        lines = (places, *(line[places] for line in above.lines))
        ancestors = (above.name, *above.ancestors)
        found[name] = LinkedTable(name, tables[name].take(order), family.subjects, family, ancestors, lines)
    return found


def _inverse(order: Places) -> Places:
    inverse = np.empty_like(order)
    inverse[order] = np.arange(len(order))
    return inverse


def children_counts(name: str, linked: Mapping[str, LinkedTable]) -> dict[str, Places]:
    """Return the number (rows,) of rows that each row of a table has in each of its child tables."""
    rows = linked[name].rows.num_rows
    return {
        child.name: np.bincount(child.family.parents, minlength=rows)
        for child in linked.values()
        if child.family is not None and child.ancestors[0] == name
    }


def refuse_empty(linked: Mapping[str, LinkedTable]) -> None:
    """Refuse root tables of fewer than two rows, and child tables without rows.

    Raises:
        TableError: There is one.
    """
    for name, table in linked.items():
        least = 2 if table.family is None else 1
        if table.rows.num_rows < least:
            raise TableError(
                f"Table {name!r} must have at least {least} row{'s' * (least - 1)}, got {table.rows.num_rows}. Add "
                "rows, or leave it out of the database."
            )


def is_position(values: pa.ChunkedArray, family: Family) -> bool:
    """Whether a column numbers the rows of each parent from 1 on."""
    if not pa.types.is_integer(values.type) or values.null_count or not len(family):
        return False
    return bool((values.to_numpy() == family.places[:, 0] + 1).all())


def is_numbered(order: str, table: LinkedTable, given: Schema | None) -> bool:
    """Whether an order column numbers the rows of each parent, and no rule needs its values."""
    if table.family is None or not is_position(table.rows.column(order), table.family):
        return False
    return given is None or (order not in given.drop and all(order not in rule.touches for rule in given.constraints))


def static_columns(table: LinkedTable, columns: Sequence[str]) -> list[str]:
    """Return the columns that vary, but never among the rows of one parent, if enough parents have several rows."""
    family = table.family
    if family is None or (family.places.sum(1) > 0).sum() < MIN_STATIC_ROWS:
        return []
    same = np.diff(family.parents) == 0
    found = []
    for column in columns:
        if pa.types.is_nested(table.rows.column(column).type):
            continue  # refused later, with a way out
        codes = unit_numbers(table.rows.column(column))
        differs = np.diff(codes) != 0
        if differs.any() and not differs[same].any():
            found.append(column)
    return found


def carried(table: LinkedTable, column: str, parents: int) -> pa.Array:
    """Return the value (parents,) of a static column of each parent; missing for one without rows."""
    assert table.family is not None
    first = np.flatnonzero(table.family.places[:, 0] == 0)
    places = np.full(parents, -1)
    places[table.family.parents[first]] = first
    values = dense(table.rows.column(column))
    return values.take(pa.array(places, mask=places < 0)).combine_chunks()
