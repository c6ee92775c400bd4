"""The tables of a database, read, and what breaks their keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from synthvae.errors import TableError, listing
from synthvae.schema.database import Database
from synthvae.schema.link_evidence import MISSING, ORPHAN, codes_of, parent_rows

MAX_STATED = 5  # problems that one message states


def read(database: Database, tables: Mapping[str, Any] | None = None) -> dict[str, pa.Table]:
    """Return the tables of a database, read as `synthvae.tables.convert.read` reads them, and checked.

    Args:
        database: The database.
        tables: The tables by name; None: those of the database.

    Raises:
        TableError: A table is not given or cannot be read, or a key is broken; the message has the number of rows.
    """
    from synthvae.tables import convert

    given = {**database.tables, **dict(tables or {})}
    if unknown := [name for name in given if name not in database.tables]:
        raise TableError(
            f"`tables` must be those of the database, got {listing(unknown)} beside {listing(database.tables)}. Leave "
            "them out, or add them to the database."
        )
    if absent := [name for name, source in given.items() if source is None]:
        raise TableError(f"`tables` must have all tables of the database, got none named {listing(absent)}. Pass them.")
    found = {name: convert.read(source) for name, source in given.items()}
    check(database, found)
    return found


def check(database: Database, tables: Mapping[str, pa.Table]) -> None:
    """Refuse tables that break the keys of a database.

    Raises:
        TableError: A column is missing, a primary key is missing or repeated, or a foreign key names no row.
    """
    problems: list[str] = []
    for find in (_absent, _broken_keys, _orphans):  # each needs that the ones before find nothing
        problems = problems or list(find(database, tables))
    if problems:
        more = f" {len(problems) - MAX_STATED} more problems follow." if len(problems) > MAX_STATED else ""
        raise TableError(" ".join(problems[:MAX_STATED]) + more)


def _absent(database: Database, tables: Mapping[str, pa.Table]) -> Iterator[str]:
    needed: dict[str, list[str]] = {name: list(key) for name, key in database.primary_keys.items()}
    for key in database.foreign_keys:
        needed.setdefault(key.child, []).extend(key.columns)
        needed.setdefault(key.parent, []).extend(key.parent_columns)
    for name, column in database.order.items():
        needed.setdefault(name, []).append(column)
    for name, unique in database.unique.items():
        needed.setdefault(name, []).extend(unique)
    for name, schema in database.schemas.items():
        needed.setdefault(name, []).extend([*schema.names, *schema.drop])
    for name, columns in needed.items():
        have = tables[name].column_names
        if absent := [column for column in dict.fromkeys(columns) if column not in have]:
            yield (
                f"Table {name!r} must have the columns of its keys, order and schema, got none named "
                f"{listing(absent)}. Choose among {listing(have)}."
            )


def _broken_keys(database: Database, tables: Mapping[str, pa.Table]) -> Iterator[str]:
    keys = [(name, columns) for name, columns in database.primary_keys.items()]
    keys += [(key.parent, key.parent_columns) for key in database.foreign_keys]
    for name, columns in dict.fromkeys(keys):
        table, shown = tables[name], ", ".join(columns)
        codes = codes_of([table.column(c) for c in columns], [table.column(c) for c in columns])[0]
        if missing := int((codes == MISSING).sum()):
            yield (
                f"The key {shown!r} of table {name!r} must be present, got {missing:,} of {len(codes):,} rows without "
                "one. Fill it in, or remove these rows."
            )
        present = codes[codes >= 0]
        if again := len(present) - len(np.unique(present)):
            yield (
                f"The key {shown!r} of table {name!r} must be unique, got {again:,} of {len(codes):,} rows that repeat "
                "an earlier one. Remove them, or declare a key of more columns."
            )


def _orphans(database: Database, tables: Mapping[str, pa.Table]) -> Iterator[str]:
    for key in database.foreign_keys:
        try:
            places = parent_rows(key, tables)
        except TableError as error:
            yield str(error)
            continue
        shown = f"{', '.join(key.columns)!r} of table {key.child!r}"
        if orphans := int((places == ORPHAN).sum()):
            yield (
                f"The key {shown} must be one of {key.parent!r}, got {orphans:,} of {len(places):,} rows with another. "
                f"Remove these rows, add their rows of {key.parent!r}, or make the key missing."
            )
        if key == database.parents.get(key.child) and (alone := int((places == MISSING).sum())):
            yield (
                f"The key {shown} must be present, since the rows of {key.parent!r} have these rows, got {alone:,} of "
                f"{len(places):,} rows without one. Remove them, or put another link of the table first."
            )
