"""Linked tables prepared for comparison: columns without keys, rows sorted by subject, parent and order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from synthvae.errors import TableError, brief
from synthvae.evaluation.comparison import Comparison
from synthvae.evaluation.linked.key_places import coded_columns, key_columns, places_of
from synthvae.schema.column import Column
from synthvae.schema.database import Database
from synthvae.schema.schema import Schema

Places = npt.NDArray[np.int64]
Tables = Mapping[str, pa.Table]


@dataclass(frozen=True)
class LinkedRows:
    """The rows (N) of a table that have a parent, or of a root table, sorted by subject, parent and order.

    Args:
        frame: The compared columns, as in `Comparison`.
        parents: The place of the parent's row; of a root table, the place of the row itself.
        subjects: The place of the subject among the rows of the root table; ascending.
        numbers: The order column as numbers; NaN without one.
        source: The place of each row in the table as it was read.
    """

    __repr__ = brief

    frame: pd.DataFrame
    parents: Places
    subjects: Places
    numbers: npt.NDArray[np.float64]
    source: Places

    def __len__(self) -> int:
        return len(self.parents)

    def take(self, rows: Places) -> LinkedRows:
        """Return some rows."""
        frame = self.frame.iloc[rows].reset_index(drop=True)
        return LinkedRows(frame, self.parents[rows], self.subjects[rows], self.numbers[rows], self.source[rows])

    def sorted(self) -> LinkedRows:
        """Return the rows sorted by subject, parent and order; rows of equal order keep theirs."""
        numbers = np.where(np.isnan(self.numbers), np.inf, self.numbers)
        return self.take(np.lexsort((numbers, self.parents, self.subjects)))

    @property
    def later(self) -> Places:
        """The places of the rows that come after another one of the same parent."""
        return np.flatnonzero(np.diff(self.parents, prepend=-1) == 0)

    @property
    def position(self) -> Places:
        """The number (N,) of rows before each one that have the same parent."""
        first = np.flatnonzero(np.diff(self.parents, prepend=-1))
        return np.arange(len(self)) - np.repeat(first, np.diff(np.append(first, len(self))))


Side = Mapping[str, LinkedRows]
"""The rows of each modelled table: real, synthetic or withheld ones."""


@dataclass(frozen=True)
class LinkedComparison:
    """Linked tables with the same columns in the same order.

    Args:
        database: The keys.
        tables: For each table with columns that are not keys, the comparison of its rows.
        sides: The rows of each modelled table by role: "real", "synthetic" and, if given, "holdout".
        read: The tables as they were read, by the same roles.
    """

    __repr__ = brief

    database: Database
    tables: Mapping[str, Comparison]
    sides: Mapping[str, Side]
    read: Mapping[str, Tables]

    @classmethod
    def from_tables(cls, database: Database, read: Mapping[str, Tables]) -> LinkedComparison:
        """Prepare tables.

        Args:
            database: The keys.
            read: The tables by role; the real ones obey the keys.

        Raises:
            TableError: A table cannot be compared; the message names it.
        """
        sides: dict[str, dict[str, LinkedRows]] = {role: {} for role in read}
        tables = {}
        for name in database.modelled:
            linked = {role: _linked(database, name, read[role], sides[role]) for role in read}
            found = _compared(database, name, {role: read[role][name].take(linked[role].source) for role in read})
            for role, rows in linked.items():
                sides[role][name] = _with_columns(rows, database.order.get(name), found, role).sorted()
            if found is not None:
                tables[name] = _sorted_comparison(found, {role: side[name] for role, side in sides.items()})
        return cls(database, tables, sides, read)

    @property
    def roots(self) -> list[str]:
        """The root tables."""
        return [name for name in self.database.modelled if name not in self.database.parents]

    def kinds(self, name: str) -> dict[str, Column]:
        """Return the compared columns of a table."""
        return self.tables[name].kinds if name in self.tables else {}

    def root(self, name: str) -> str:
        """Return the root table of a table."""
        return [name, *self.database.ancestors(name)][-1]

    def family(self, root: str) -> list[str]:
        """Return a root table and the tables below it, each after its parent."""
        return [name for name in self.database.modelled if self.root(name) == root]

    def lines(self, name: str, side: Side) -> dict[str, Places]:
        """Return the place (N,) of each row's ancestor in each ancestor table, the parent first."""
        places, found, ancestors = np.arange(len(side[name])), {}, self.database.ancestors(name)
        for child, parent in zip([name, *ancestors], ancestors, strict=False):
            places = side[child].parents[places]
            found[parent] = places
        return found

    def of_subjects(self, side: Side, root: str, chosen: npt.NDArray[np.bool_]) -> Side:
        """Return the rows of some subjects (a mask) of a root table, in all tables below it."""
        found: dict[str, LinkedRows] = {}
        places: dict[str, Places] = {}  # the new place of each row
        for name in self.family(root):
            kept = chosen[side[name].subjects]
            places[name] = np.cumsum(kept) - 1
            rows = side[name].take(np.flatnonzero(kept))
            above = name if name == root else self.database.parents[name].parent
            subjects = places[root][rows.subjects]
            found[name] = replace(rows, parents=places[above][rows.parents], subjects=subjects)
        return found

    def shuffled(self, side: Side, root: str, rng: np.random.Generator) -> Side:
        """Return the rows of a root table and, dealt to parents at random, of those below; numbers of rows stay."""
        found = {root: side[root]}
        for name in self.family(root)[1:]:
            rows, order = side[name], rng.permutation(len(side[name]))
            frame = rows.frame.iloc[order].reset_index(drop=True)
            found[name] = replace(rows, frame=frame, numbers=rows.numbers[order]).sorted()
        return found


def _linked(database: Database, name: str, tables: Tables, done: Side) -> LinkedRows:
    """The rows of a table that have a parent, so far without columns."""
    rows, key = tables[name].num_rows, database.parents.get(name)
    if key is None:
        places = np.arange(rows)
        return LinkedRows(pd.DataFrame(index=places), places, places, np.full(rows, np.nan), places)
    above = done[key.parent]
    where = np.full(tables[key.parent].num_rows, -1)
    where[above.source] = np.arange(len(above))
    places = places_of(key, tables)
    parents = np.where(places >= 0, where[np.maximum(places, 0)] if len(where) else -1, -1)
    source = np.flatnonzero(parents >= 0)
    parents = parents[source]
    frame = pd.DataFrame(index=np.arange(len(source)))
    return LinkedRows(frame, parents, above.subjects[parents], np.full(len(source), np.nan), source)


def _compared(database: Database, name: str, tables: Tables) -> Comparison | None:
    """The comparison of the columns of a table that are not keys; None without any."""
    given, keys = database.schemas.get(name), key_columns(database, name)
    left_out = keys | set(() if given is None else given.drop)
    names = [column for column in tables["real"].column_names if column not in left_out]
    if not names:
        return None
    shown = {role: t.select([c for c in t.column_names if c not in left_out]) for role, t in tables.items()}
    try:
        return Comparison.from_tables(
            shown["real"],
            shown["synthetic"],
            holdout=shown.get("holdout"),
            schema=_schema(given, names, coded_columns(database, name)),
        )
    except TableError as error:
        way = "Rows without a parent are not compared; to leave out columns, name them in `drop` of its schema."
        raise TableError(f"Table {name!r}: {error} {way}") from error


def _schema(given: Schema | None, names: list[str], coded: set[str]) -> Schema | None:
    """What is declared of some columns; columns of codes are categories."""
    declared = {} if given is None else {c.name: c for c in given.columns if c.name in names}
    columns = [c.model_dump(exclude_unset=True) for c in declared.values()]
    columns += [{"name": c, "kind": "categorical"} for c in sorted(coded & set(names)) if c not in declared]
    if not columns:
        return None
    rules = [r for r in (() if given is None else given.constraints) if set(r.touches) <= declared.keys()]
    return Schema(columns=columns, constraints=rules)


def _with_columns(rows: LinkedRows, order: str | None, found: Comparison | None, role: str) -> LinkedRows:
    """Rows with the columns of a comparison, and the numbers of the order column."""
    if found is None:
        return rows
    frame = {"real": found.real, "synthetic": found.synthetic, "holdout": found.holdout}[role]
    assert frame is not None
    numbers = frame[order].to_numpy(np.float64) if order in found.numeric else rows.numbers
    return replace(rows, frame=frame, numbers=numbers)


def _sorted_comparison(found: Comparison, rows: Side) -> Comparison:
    """The comparison of sorted rows; those of a subject are on one side of every split."""
    held = rows["holdout"].frame if "holdout" in rows else None
    real, synthetic = rows["real"], rows["synthetic"]
    units = real.subjects if len(np.unique(real.subjects)) > 1 else None  # the rows of one subject must be split
    return replace(found, real=real.frame, synthetic=synthetic.frame, holdout=held, units=units)
