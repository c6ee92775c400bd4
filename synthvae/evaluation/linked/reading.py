"""Linked tables in the forms in which an evaluation takes them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from synthvae import filesystem
from synthvae.errors import TableError, listing
from synthvae.schema.database import Database
from synthvae.tables import convert

KEYS = "_database.yaml"  # in a folder of linked tables that this package wrote
SUFFIXES = ("", ".parquet", ".csv", ".csv.gz", ".xlsx")  # of tables in other folders


def as_database(given: Database | str | os.PathLike[str]) -> Database:
    """Return a database, which may be given as the path of its YAML file.

    Raises:
        SchemaError: The file does not describe a database.
    """
    if isinstance(given, Database):
        return given
    return Database.from_yaml(filesystem.local_path(given, "A database"))


def read_synthetic(database: Database, given: Any) -> dict[str, pa.Table]:
    """Return the tables of a database from a mapping, another database, its YAML file, or a folder.

    Their keys are not checked, since an evaluation measures them.

    Raises:
        TableError: A table is absent, or lacks a column of a key.
    """
    sources = _sources(database, given)
    needed = [name for name in database.tables if name not in database.public]
    if absent := [name for name in needed if sources.get(name) is None]:
        raise TableError(
            f"The tables must be those of the database, got none named {listing(absent)}. Pass a table for each name."
        )
    found = {name: convert.read(source) for name, source in sources.items() if source is not None}
    for name in (name for name in database.public if name not in found):
        found[name] = convert.read(database.tables[name])  # public tables are copied
    for name in database.tables:
        if lacking := [column for column in _needed(database, name) if column not in found[name].column_names]:
            raise TableError(f"Table {name!r} must have the columns of its keys, got none named {listing(lacking)}.")
    return found


def _needed(database: Database, name: str) -> list[str]:
    own = [*database.primary_keys.get(name, ()), *database.unique.get(name, ())]
    own += [column for key in database.foreign_keys if key.child == name for column in key.columns]
    own += [column for key in database.foreign_keys if key.parent == name for column in key.parent_columns]
    return list(dict.fromkeys(own))


def _sources(database: Database, given: Any) -> Mapping[str, Any]:
    if isinstance(given, Database):
        return given.tables
    if isinstance(given, Mapping):
        return {name: source for name, source in given.items() if name in database.tables}
    place = filesystem.local_path(given, "Linked tables")
    if not place.is_dir():
        return Database.from_yaml(place).tables
    if (place / KEYS).is_file():
        return Database.from_yaml(place / KEYS).tables
    return {name: _file(place, name) for name in database.tables}


def _file(folder: Path, name: str) -> Path | None:
    """The file or folder of a table in a folder; None without one."""
    return next((path for suffix in SUFFIXES if (path := folder / f"{name}{suffix}").exists()), None)
