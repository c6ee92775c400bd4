"""The key columns of synthetic tables: fresh ones, those of ancestors, positions, and links that are chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from synthvae.encoding.arrays import Floats, in_dictionary
from synthvae.encoding.identifier import IdEncoding
from synthvae.encoding.protocol import CodedColumn
from synthvae.errors import TableError, brief
from synthvae.relational.limits import limited
from synthvae.relational.lineage import LinkedTable, is_numbered, is_position
from synthvae.relational.sequences import Places
from synthvae.schema.column import Column
from synthvae.schema.database import Database
from synthvae.schema.foreign_keys import ForeignKey
from synthvae.schema.link_evidence import parent_rows
from synthvae.tables.arrow import plain_type, unit_numbers

ONCE = 2  # shares of degrees 0 and 1: no row is chosen twice


class KeyColumn(BaseModel):
    """How a key column of a table is filled.

    Args:
        name: The column.
        how: "carried": a value that all rows of a parent share, modelled with the parent; "fresh": new ids;
            "inherited": the value of an ancestor; "position": the number of the row among those of its parent, from 1
            on; "chosen": the value of a row that a link chooses.
        table: The table of the ancestor or of the chosen row.
        column: The column there.
        link: The number of the link among those of the database.
        ids: The pattern of fresh ids.
        nullable: Whether a carried value may be missing.
    """

    model_config = ConfigDict(frozen=True)
    __repr__ = __str__ = brief

    name: str
    how: Literal["fresh", "inherited", "position", "chosen", "carried"]
    table: str = ""
    column: str = ""
    link: int = 0
    ids: IdEncoding | None = None
    nullable: bool = True


class ChosenLink(BaseModel):
    """How the rows of a table are chosen to which a link leads that is not that of its parent.

    Args:
        link: The number of the link among those of the database.
        missing: The share of rows without a key.
        shared: The ancestor tables, by name, whose row is always that of the chosen row, too; the nearest one.
        degrees: How many rows of the other table are chosen 0, 1, ... times, as shares.
    """

    model_config = ConfigDict(frozen=True)
    __repr__ = __str__ = brief

    link: int
    missing: float
    shared: str | None
    degrees: tuple[float, ...]

    @property
    def once(self) -> bool:
        """Whether no row is chosen twice."""
        return len(self.degrees) <= ONCE


class Numbering(NamedTuple):
    """The numbers of new ids, which differ in all parts of a request.

    Args:
        first: The number of the first row.
        step: The distance of the numbers of two rows.
    """

    first: int
    step: int

    def rows(self, count: int) -> range:
        """Return the numbers of so many rows."""
        return range(self.first, self.first + count * self.step, self.step)


class Keys(BaseModel):
    """The key columns of a table, and the links that are chosen.

    Args:
        columns: The columns.
        links: The links.
    """

    model_config = ConfigDict(frozen=True)
    __repr__ = __str__ = brief

    columns: tuple[KeyColumn, ...]
    links: tuple[ChosenLink, ...]

    @property
    def names(self) -> list[str]:
        """The key columns."""
        return [column.name for column in self.columns]


def learn_keys(database: Database, name: str, linked: Mapping[str, LinkedTable], least: int) -> Keys:
    """Find how the key columns of a table are filled.

    Args:
        database: The keys.
        name: The table.
        linked: The rows of all tables that are modelled.
        least: The smallest number of rows of a number of links; 0: any.
    """
    table, parent = linked[name], database.parents.get(name)
    rows = {other: one.rows for other, one in linked.items()}
    columns: dict[str, KeyColumn] = {}
    links = []
    own = [(i, key) for i, key in enumerate(database.foreign_keys) if key.child == name and key.parent in linked]
    own.sort(key=lambda one: one[1] != parent)
    for number, key in own:
        places = parent_rows(key, rows)
        inherited = key.parent in table.ancestors and bool(
            (places == table.lines[table.ancestors.index(key.parent)]).all()
        )
        how: Literal["inherited", "chosen"] = "inherited" if inherited else "chosen"
        if how == "chosen":
            links.append(_chosen(number, key, places, table, linked, least))
        for mine, theirs in zip(key.columns, key.parent_columns, strict=True):
            columns.setdefault(mine, KeyColumn(name=mine, how=how, table=key.parent, column=theirs, link=number))
    referred = [c for key in database.foreign_keys if key.parent == name for c in key.parent_columns]
    for column in dict.fromkeys((*database.primary_keys.get(name, ()), *referred)):
        if column not in columns and (found := _own_key(column, table, database.primary_keys.get(name, ()))):
            columns[column] = found
    order = database.order.get(name)
    if order is not None and order not in columns and is_numbered(order, table, database.schemas.get(name)):
        columns[order] = KeyColumn(name=order, how="position")
    return Keys(columns=tuple(columns.values()), links=tuple(links))


def _own_key(column: str, table: LinkedTable, primary: Sequence[str]) -> KeyColumn | None:
    """How a key column that refers to no other table is filled; None if it is modelled as others are."""
    values = table.rows.column(column)
    if table.family is not None and is_position(values, table.family):
        return KeyColumn(name=column, how="position")
    if column in primary and len(primary) > 1 and column != _fresh_one(table, primary):
        return None
    if not _has_ids(values.type):
        raise TableError(
            f"The key {column!r} must have integers or texts, from which new ones are made, got {values.type}. Convert "
            "it, or add a column of numbers as the key."
        )
    return KeyColumn(name=column, how="fresh", ids=IdEncoding.learn(Column(name=column, kind="id"), values))


def _fresh_one(table: LinkedTable, primary: Sequence[str]) -> str | None:
    """The column of a root table's key of several columns in which all synthetic rows differ; None without one."""
    usable = [c for c in primary if _has_ids(table.rows.column(c).type)]
    if table.family is not None or not usable:
        return None
    return max(usable, key=lambda c: len(np.unique(unit_numbers(table.rows.column(c)))))


def _has_ids(kind: pa.DataType) -> bool:
    """Whether new values can be made of a type."""
    plain = plain_type(kind)
    return any(
        is_a(plain)
        for is_a in (pa.types.is_integer, pa.types.is_floating, pa.types.is_string, pa.types.is_large_string)
    )


def _chosen(  # noqa: PLR0917 (what a link depends on)
    number: int,
    key: ForeignKey,
    places: Places,
    table: LinkedTable,
    linked: Mapping[str, LinkedTable],
    least: int,
) -> ChosenLink:
    other, present = linked[key.parent], places >= 0
    shared = None
    for ancestor, line in zip(table.ancestors, table.lines, strict=True):
        theirs = _line(other, ancestor)
        if theirs is not None and present.any() and (theirs[places[present]] == line[present]).all():
            shared = ancestor
            break
    times = np.bincount(places[present], minlength=other.rows.num_rows)
    usual = limited(times.astype(np.float64), None, least)
    counts = np.bincount(times if np.isnan(usual).any() else usual.astype(np.int64))
    missing = 1 - float(present.mean()) if len(present) else 0.0
    return ChosenLink(link=number, missing=missing, shared=shared, degrees=tuple((counts / counts.sum()).tolist()))


def _line(table: LinkedTable, ancestor: str) -> Places | None:
    """The place (rows,) of the ancestor of each row of a table, which may be the table itself."""
    if ancestor == table.name:
        return np.arange(table.rows.num_rows)
    return table.lines[table.ancestors.index(ancestor)] if ancestor in table.ancestors else None


def draw_degrees(chosen: ChosenLink, rows: int, rng: np.random.Generator) -> Floats:
    """Return how many times each row (rows,) of a table is to be chosen, drawn from the real numbers of times."""
    return rng.choice(len(chosen.degrees), rows, p=chosen.degrees).astype(float)


def choose(
    chosen: ChosenLink, table: LinkedTable, other: LinkedTable, degrees: Floats, rng: np.random.Generator
) -> Places:
    """Return the place (rows,) of the row of the other table for each row of a table; -1 without one.

    A row of the other table is chosen in proportion to its degree; if the real rows share an ancestor with those to
    which they are linked, only rows with the same ancestor are chosen. If no real row is chosen twice, no synthetic one
    is.
    """
    rows, most = table.rows.num_rows, other.rows.num_rows
    if not most:
        return np.full(rows, -1)
    if chosen.once:
        return _choose_once(chosen, table, other, degrees, rng)
    weights = np.cumsum(np.maximum(degrees, 1e-6))
    low, high = np.zeros(rows), np.full(rows, weights[-1])
    last = np.full(rows, most - 1)
    if chosen.shared is not None:
        mine, theirs = _line(table, chosen.shared), _line(other, chosen.shared)
        assert mine is not None
        assert theirs is not None
        first = np.searchsorted(theirs, mine)
        last = np.searchsorted(theirs, mine, side="right") - 1
        before = np.concatenate([[0.0], weights])
        low, high = before[first], before[last + 1]
    found = np.searchsorted(weights, low + rng.random(rows) * (high - low), side="right")
    found = np.minimum(found, last)
    return np.where((rng.random(rows) < chosen.missing) | (high <= low), -1, found)


def _choose_once(
    chosen: ChosenLink, table: LinkedTable, other: LinkedTable, degrees: Floats, rng: np.random.Generator
) -> Places:
    """Return choices as `choose` does, each row of the other table at most once, those of degree 1 first."""
    rows = table.rows.num_rows
    mine, theirs = np.zeros(rows, np.int64), np.zeros(other.rows.num_rows, np.int64)
    if chosen.shared is not None:
        line, other_line = _line(table, chosen.shared), _line(other, chosen.shared)
        assert line is not None
        assert other_line is not None
        mine, theirs = line, other_line
    without = rng.random(rows) < chosen.missing
    order = np.lexsort((rng.random(rows), without, mine))
    ranks = np.empty(rows, np.int64)
    ranks[order] = np.arange(rows) - np.searchsorted(mine[order], mine[order])
    free = np.lexsort((rng.random(len(theirs)), -degrees, theirs))
    places = np.searchsorted(theirs, mine) + ranks
    found = free[np.minimum(places, len(free) - 1)]
    return np.where(without | (places >= np.searchsorted(theirs, mine, side="right")), -1, found)


def fill(  # noqa: PLR0917 (what a draw depends on)
    keys: Keys,
    table: LinkedTable,
    done: Mapping[str, pa.Table],
    choices: Mapping[int, Places],
    parents: pa.Table | None,
    schema: pa.Schema,
    seed: int,
    numbering: Numbering,
    given: pa.Table | None = None,
) -> dict[str, pa.Array]:
    """Return the key columns of synthetic rows.

    Args:
        keys: How they are filled.
        table: The synthetic rows, sorted, so far without keys.
        done: The synthetic tables before, with their keys.
        parents: The rows of the parent with the values that it carries; None for a root.
        choices: For each chosen link the place (rows,) of the chosen row; -1 without one.
        schema: The Arrow schema of the table.
        seed: The seed of what ids leave open, and of values in place of missing ones.
        numbering: The numbers of new ids.
        given: Rows of the table that are given, whose ids no new one repeats; None without any.
    """
    found = {}
    rows = table.rows.num_rows
    rng, donors = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1])
    for column in keys.columns:
        kind = schema.field(column.name).type
        if column.how == "fresh":
            assert column.ids is not None
            known = None if given is None else given.column(column.name)
            found[column.name] = _fresh(column.ids, rows, kind, rng, numbering, known)
        elif column.how == "position":
            assert table.family is not None
            found[column.name] = pa.array(table.family.places[:, 0] + 1).cast(kind)
        elif column.how == "carried":
            assert table.family is not None
            assert parents is not None
            values = parents.column(column.column)
            whole = whole_where_needed(values, table.family.parents, donors) if column.nullable is False else values
            found[column.name] = _taken(whole, table.family.parents, kind)
        else:
            places = choices[column.link] if column.how == "chosen" else _line(table, column.table)
            assert places is not None
            found[column.name] = _taken(done[column.table].column(column.column), places, kind)
    return found


def _fresh(  # noqa: PLR0917 (what a draw depends on)
    ids: IdEncoding,
    rows: int,
    kind: pa.DataType,
    rng: np.random.Generator,
    numbering: Numbering,
    known: pa.ChunkedArray | None,
) -> pa.Array:
    """New ids (rows,), none of which is known."""
    more = 0 if known is None else len(known)
    coded = CodedColumn(np.zeros(rows + more, np.int64), rng, rows=numbering.rows(rows + more))
    found = ids.decode(coded, kind)
    if known is None:
        return found
    plain = plain_type(kind)
    is_known = pc.is_in(found.cast(plain), value_set=known.cast(plain).combine_chunks())
    return found.filter(pc.invert(is_known)).slice(0, rows)


def whole_where_needed(values: pa.ChunkedArray, needed: Places, rng: np.random.Generator) -> pa.ChunkedArray:
    """Return values (rows,) of which none at the needed places is missing: it is that of another row."""
    missing = values.is_null().to_numpy()
    donors = np.flatnonzero(~missing)
    if not missing[needed].any() or not len(donors):
        return values
    places = np.where(missing, donors[rng.integers(len(donors), size=len(values))], np.arange(len(values)))
    return values.take(pa.array(places))


def _taken(values: pa.ChunkedArray, places: Places, kind: pa.DataType) -> pa.Array:
    """The values at some places, missing at -1, as an array of a type."""
    plain = values.cast(plain_type(values.type)).take(pa.array(places, mask=places < 0)).combine_chunks()
    return in_dictionary(plain, kind) if pa.types.is_dictionary(kind) else plain.cast(kind)
