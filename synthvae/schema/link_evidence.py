"""Which row of a parent table a foreign key names, and keys drafted from tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from synthvae.errors import TableError
from synthvae.schema.foreign_keys import ForeignKey, find_cycle
from synthvae.schema.identifiers import is_named_as_key
from synthvae.tables.arrow import is_text, plain_type

Places = npt.NDArray[np.int64]
MISSING, ORPHAN = -1, -2


def parent_rows(key: ForeignKey, tables: Mapping[str, pa.Table]) -> Places:
    """Return the place (rows,) of the parent of each child row; `MISSING` without a key, `ORPHAN` without a parent.

    Raises:
        TableError: The columns have different types.
    """
    child = [tables[key.child].column(name) for name in key.columns]
    parent = [tables[key.parent].column(name) for name in key.parent_columns]
    for name, mine, theirs in zip(key.columns, child, parent, strict=True):
        if _family(mine.type) != _family(theirs.type) and not pa.types.is_null(mine.type):
            raise TableError(
                f"The key {name!r} of table {key.child!r} must have the type of {key.parent!r}, got {mine.type} and "
                f"{theirs.type}. Convert one of them."
            )
    codes, known = codes_of(child, parent)
    places = pd.Index(known).get_indexer(pd.Index(np.where(codes < 0, ORPHAN, codes)))
    return np.where(codes == MISSING, MISSING, np.where(places < 0, ORPHAN, places)).astype(np.int64)


def codes_of(keys: Sequence[pa.ChunkedArray], known: Sequence[pa.ChunkedArray]) -> tuple[Places, Places]:
    """Return a number for each key (rows,), equal for equal keys, and those of the known keys.

    A key of which a column is missing has `MISSING`, one with a value that is not known `ORPHAN`.
    """
    total = [np.zeros(len(columns[0]), np.int64) for columns in (keys, known)]
    for mine, theirs in zip(keys, known, strict=True):
        kind = plain_type(theirs.type)
        values = pc.unique(theirs.cast(kind)).drop_null()
        for place, column in enumerate((mine, theirs)):
            plain = column.cast(kind)
            index = pc.index_in(plain, value_set=values).fill_null(ORPHAN).to_numpy()
            index = np.where(column.is_null().to_numpy(), MISSING, index)
            before = total[place]
            bad = np.where((before == MISSING) | (index == MISSING), MISSING, ORPHAN)
            total[place] = np.where((before < 0) | (index < 0), bad, before * max(len(values), 1) + index)
        total = _dense(*total)
    return total[0], total[1]


def _dense(first: Places, second: Places) -> list[Places]:
    """Small numbers for the same keys, so that products of more columns do not overflow."""
    both = np.concatenate([first, second])
    values, inverse = np.unique(both[both >= 0], return_inverse=True)
    del values
    both = both.copy()
    both[both >= 0] = inverse
    return [both[: len(first)], both[len(first) :]]


def _family(kind: pa.DataType) -> str:
    plain = plain_type(kind)
    if is_text(plain):
        return "text"
    return "number" if pa.types.is_integer(plain) or pa.types.is_floating(plain) else str(plain)


class Evidence(NamedTuple):
    """Why a link was drafted.

    Args:
        key: The link.
        share: The share of the child's keys that are keys of the parent.
        rows: The number of rows of the child that have a key.
    """

    key: ForeignKey
    share: float
    rows: int

    def __str__(self) -> str:
        return f"{self.key}: {self.share:.1%} of {self.rows:,} keys are keys of {self.key.parent!r}"


def draft(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the drafted keys of tables, as `Database` takes them; see `evidence`."""
    from synthvae.tables import convert

    read_tables = {name: convert.read(source) for name, source in tables.items()}
    keys = {name: key for name, table in read_tables.items() if (key := _primary_key(name, table)) is not None}
    links = [one.key for one in _evidence(read_tables, keys) if one.share == 1]
    return {"primary_keys": keys, "foreign_keys": links}


def evidence(tables: Mapping[str, Any]) -> list[Evidence]:
    """Return all links that tables suggest, with the share of keys that are keys of the parent.

    A column suggests a link if it has the name of the primary key of another table, or the name of that table in it.

    Example:
        >>> frames = {"a": pd.DataFrame({"a_id": [1, 2, 3]}), "b": pd.DataFrame({"a_id": [1, 1, 2]})}
        >>> print(evidence(frames)[0])
        b(a_id) -> a(a_id): 100.0% of 3 keys are keys of 'a'
    """
    from synthvae.tables import convert

    read_tables = {name: convert.read(source) for name, source in tables.items()}
    keys = {name: key for name, table in read_tables.items() if (key := _primary_key(name, table)) is not None}
    return _evidence(read_tables, keys)


def _primary_key(name: str, table: pa.Table) -> str | None:
    """The first column of unique values that is named as a key, or like the table."""
    for column in table.column_names:
        values = table.column(column)
        simple = is_text(plain_type(values.type)) or pa.types.is_integer(plain_type(values.type))
        if not simple or values.null_count or not len(values):
            continue
        named = is_named_as_key(column) or column.lower().startswith(name.lower().rstrip("s"))
        if named and pc.count_distinct(values).as_py() == len(values):
            return str(column)
    return None


def _evidence(tables: Mapping[str, pa.Table], keys: Mapping[str, str]) -> list[Evidence]:
    found = []
    for child, table in tables.items():
        for parent, key in keys.items():
            if child == parent:
                continue
            for column in table.column_names:
                likely = column.lower() in {
                    key.lower(),
                    f"{parent}_{key}".lower(),
                    f"{parent.rstrip('s')}_{key}".lower(),
                }
                link = ForeignKey(child, (column,), parent, (key,))
                if not likely or (keys.get(child) == column and key != column):
                    continue
                try:
                    places = parent_rows(link, tables)
                except (TableError, pa.ArrowException):
                    continue
                present = places != MISSING
                if present.any():
                    found.append(Evidence(link, float((places[present] >= 0).mean()), int(present.sum())))
    return _without_circles(found)


def _without_circles(found: list[Evidence]) -> list[Evidence]:
    """The links whose parent has a key that is unique there and repeats in the child, the most certain first."""
    kept: list[Evidence] = []
    for one in sorted(found, key=lambda one: -one.share):
        if not find_cycle([(k.key.child, k.key.parent) for k in [*kept, one]]):
            kept.append(one)
    return kept
