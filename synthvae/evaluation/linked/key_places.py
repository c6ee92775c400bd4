"""Rows to which the keys of linked tables lead, also where synthetic tables break their keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from synthvae.schema.database import Database
from synthvae.schema.foreign_keys import ForeignKey
from synthvae.schema.link_evidence import codes_of, parent_rows

Places = npt.NDArray[np.int64]


def key_codes(table: pa.Table, columns: Sequence[str]) -> Places:
    """Return a number (rows,) for each key, equal for equal keys; negative where a column of it is missing."""
    keys = [table.column(name) for name in columns]
    return codes_of(keys, keys)[0]


def places_of(key: ForeignKey, tables: Mapping[str, pa.Table]) -> Places:
    """Return the place (rows,) of the row to which each row of the child leads; negative without one.

    Of several rows with one key, the first one counts. See `synthvae.schema.link_evidence.parent_rows`.

    Raises:
        TableError: The columns have different types.
    """
    parent = tables[key.parent]
    first = np.sort(np.unique(key_codes(parent, key.parent_columns), return_index=True)[1])
    found = parent_rows(key, {key.child: tables[key.child], key.parent: parent.take(first)})
    return np.where(found >= 0, first[np.maximum(found, 0)] if len(first) else found, found)


def key_columns(database: Database, name: str) -> set[str]:
    """Return the columns of a table that only identify rows: links to modelled tables, and keys of one column."""
    links = [key for key in database.foreign_keys if key.parent not in database.public]
    own = {column for key in links if key.child == name for column in key.columns}
    primary = database.primary_keys.get(name, ())
    referred = {c for key in links if key.parent == name and len(key.parent_columns) == 1 for c in key.parent_columns}
    return own | referred | (set(primary) if len(primary) == 1 else set())


def coded_columns(database: Database, name: str) -> set[str]:
    """Return the columns of a table that refer to public tables: codes, whose values are categories."""
    return {
        column
        for key in database.foreign_keys
        if key.child == name and key.parent in database.public
        for column in key.columns
    }
