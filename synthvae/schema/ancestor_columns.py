"""Columns of ancestors in the rules of a child table: `patients.born` in a rule of admissions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from synthvae.schema.constraints.rule import Constraint
from synthvae.schema.database import Database


class AncestorColumn(NamedTuple):
    """A column of the parent of a table, of its parent, and so on.

    Args:
        table: The ancestor.
        column: Its column.
    """

    table: str
    column: str


def ancestor_columns(
    database: Database, name: str, rules: Iterable[Constraint], columns: Mapping[str, Collection[str]]
) -> dict[str, AncestorColumn]:
    """Return the columns of ancestors that rules of a table are on, by the names that the rules give them.

    A rule names such a column as `ancestor.column`. A column of the table itself that has this name comes first.

    Args:
        database: The keys.
        name: The table.
        rules: Its rules.
        columns: The columns of the table and of its ancestors, by table.

    Example:
        >>> from synthvae.schema import Inequality
        >>> database = Database(tables=["patients", "stays"], foreign_keys=[("stays", "patient", "patients", "id")])
        >>> rule = Inequality(columns=["patients.born", "admitted"])
        >>> columns = {"patients": ["id", "born"], "stays": ["patient", "admitted"]}
        >>> ancestor_columns(database, "stays", [rule], columns)
        {'patients.born': AncestorColumn(table='patients', column='born')}
    """
    touched = dict.fromkeys(column for rule in rules for column in rule.touches)
    found: dict[str, AncestorColumn] = {}
    for other in database.ancestors(name):
        for column in touched:
            own = column.removeprefix(f"{other}.")
            if own != column and own in columns[other] and column not in columns[name]:
                found.setdefault(column, AncestorColumn(other, own))
    return found
