"""A part of the subjects of a request, and the given rows in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from synthvae.codes import Codes
from synthvae.encoding.arrays import Mask
from synthvae.errors import brief
from synthvae.relational.child_drawing import GivenRows
from synthvae.relational.child_encoding import Ancestor
from synthvae.relational.fitted_database import FittedChild, FittedDatabase
from synthvae.relational.given_parents import Hidden, hide
from synthvae.relational.limits import range_of, refuse_outside
from synthvae.relational.lineage import LinkedTable
from synthvae.relational.planning import naming
from synthvae.relational.sequences import Family, Places
from synthvae.schema.foreign_keys import ForeignKey
from synthvae.schema.link_evidence import parent_rows
from synthvae.tables.arrow import dense


@dataclass(frozen=True)
class LinkedRequest:
    """How many subjects are drawn, in how many parts.

    Args:
        parts: The number of parts.
        roots: The number of rows of each root table in all parts together.
        seed: The seed of all parts.
        outside: The keys of all parts of tables to which rows of other trees are linked.
        given: The rows of all parts that are given, by table.
    """

    __repr__ = brief

    parts: int
    roots: Mapping[str, int]
    seed: int
    outside: Mapping[str, pa.Table] = field(default_factory=dict)
    given: Mapping[str, LinkedTable] = field(default_factory=dict)

    def portion(self, number: int) -> Portion:
        """Return a part by its number."""
        return Portion(self.parts, self.roots, self.seed, self.outside, self.given, number)


@dataclass(frozen=True)
class Portion(LinkedRequest):
    """A part of the subjects of a request.

    Args:
        number: Its number; the others are as of `LinkedRequest`.
    """

    __repr__ = brief

    number: int = 0

    def rows_before(self, count: int, number: int | None = None) -> int:
        """Return how many of `count` rows, of which each part has the same share, are in the parts before one."""
        return (self.number if number is None else number) * count // self.parts

    def share(self, count: int) -> slice:
        """Return the places of those of `count` rows that are in this part."""
        return slice(self.rows_before(count), self.rows_before(count, self.number + 1))

    def given_share(self, name: str) -> slice:
        """Return the places of the given rows of this part among all given rows of a table."""
        if name not in self.given:
            return slice(0, 0)
        table, root = self.given[name], [name, *self.given[name].ancestors][-1]
        share = self.share(self.given[root].rows.num_rows)
        start, stop = np.searchsorted(table.subjects, [share.start, share.stop]).tolist()
        return slice(start, stop)

    def given_rows(self, name: str) -> pa.Table:
        """Return the given rows of this part of a table, sorted by subject, parent and order."""
        share = self.given_share(name)
        return self.given[name].rows.slice(share.start, share.stop - share.start)


class GivenInPart:
    """Which rows of the tables of a part are given, as the tables are drawn one after the other.

    Args:
        portion: The part.
    """

    def __init__(self, portion: Portion) -> None:
        self.portion = portion
        self.masks: dict[str, Mask] = {}  # which rows of a table are given, in the order in which they are drawn

    def mask(self, name: str, rows: int) -> Mask:
        """Return which rows (rows,) of a table are given."""
        return self.masks[name] if name in self.masks else np.zeros(rows, bool)

    def parents(self, name: str) -> Places:
        """Return the places, in this part, of the parents of the given rows of a child table."""
        parent = self.portion.given[name].ancestors[0]
        return np.asarray(np.flatnonzero(self.masks[parent])[self._given_parents(name)])

    def least(self, child: str, rows: int) -> Places:
        """Return how many given rows of a child table each row (rows,) of its parent has."""
        parents = self.parents(child) if child in self.portion.given else np.empty(0, np.int64)
        return np.bincount(parents, minlength=rows)

    def hidden(self, fitted: FittedDatabase, name: str, columns: Sequence[str]) -> dict[str, Hidden]:
        """Return what is known of the columns of given rows that are modelled beside their own.

        Args:
            fitted: The models.
            name: The table.
            columns: All columns that are modelled.
        """
        rows, types = self.portion.given_rows(name), fitted.types_of(name)
        none = np.zeros(rows.num_rows, bool)
        found = {
            column: Hidden(pa.nulls(rows.num_rows, types.get(column, pa.int64())), none, none.astype(np.int64))
            for column in columns
            if column not in rows.column_names
        }
        for child, count in fitted.tables[name].counts.items():
            if child not in self.portion.given:
                continue
            parents = self._given_parents(child)
            numbers = np.bincount(parents, minlength=rows.num_rows)
            found[count] = replace(found[count], least=numbers)
            first = np.searchsorted(parents, np.arange(rows.num_rows))
            for key in fitted.tables[child].keys.columns:
                if key.how == "carried" and key.column in found:
                    values = self.portion.given_rows(child).column(key.name).combine_chunks()
                    taken = values.take(pa.array(first, mask=numbers == 0))
                    own = found[key.column]
                    found[key.column] = replace(own, values=dense(taken).cast(own.values.type), known=numbers > 0)
        return found

    def _given_parents(self, child: str) -> Places:
        """The places of the parents of the given rows of a child table among the given rows of their table."""
        given = self.portion.given[child]
        assert given.family is not None
        share, parents = self.portion.given_share(child), self.portion.given_share(given.ancestors[0])
        return np.asarray(given.family.parents[share] - parents.start)

    def keep(self, name: str, places: Places) -> None:
        """Leave out all rows but those at some places."""
        if name in self.masks:
            self.masks[name] = self.masks[name][places]

    def start(
        self,
        name: str,
        fitted: FittedDatabase,
        family: Family,
        known: Sequence[Ancestor],
        lines: Sequence[Places],
    ) -> GivenRows | None:
        """Take note of the given rows of a child table, the first ones of their parents, and return their codes.

        Args:
            name: The table.
            fitted: The models.
            family: To which parents all its rows in this part belong.
            known: The rows of the ancestor tables.
            lines: The place of the ancestor of each row.
        """
        if name not in self.portion.given:
            return None
        parents = self.parents(name)
        places = np.searchsorted(family.parents, parents) + np.arange(len(parents)) - np.searchsorted(parents, parents)
        self.masks[name] = np.zeros(len(family), bool)
        self.masks[name][places] = True
        rows, child = self.portion.given_rows(name), fitted.tables[name].model
        assert isinstance(child, FittedChild)
        names = [] if child.schema is None else child.schema.names
        hidden = self.hidden(fitted, name, names)
        table = pa.table({n: hidden[n].values if n in hidden else rows.column(n) for n in names})
        own = [line[places] for line in lines]
        with naming(name):
            found = child.encoding.encode(table, family.take(places), known, own, np.random.default_rng(0)).rows
        if child.encoding.rows is not None:
            found = hide(found, child.encoding.rows.layout, hidden)
        codes = _spread(found, places, len(family))
        numbers, timeline = np.full(len(family), np.nan), child.encoding.timeline
        if timeline is not None:
            numbers[places] = timeline.encoding.numbers_of(table.column(timeline.name))
        return GivenRows(self.masks[name], codes, numbers, bool(hidden))

    def put(self, name: str, rows: pa.Table) -> pa.Table:
        """Return rows of a table in which given ones are as they are given."""
        if name not in self.masks or not self.masks[name].any():
            return rows
        given = self.portion.given_rows(name)
        order = np.arange(rows.num_rows) + given.num_rows
        order[self.masks[name]] = np.arange(given.num_rows)
        for place, column in enumerate(rows.column_names):
            if column in given.column_names:
                drawn = rows.column(column)
                both = pa.chunked_array([given.column(column).combine_chunks().cast(drawn.type), *drawn.chunks])
                rows = rows.set_column(place, rows.field(place), both.unify_dictionaries().combine_chunks().take(order))
        return rows

    def go_on(self, name: str, column: str, positions: pa.Array, family: Family | None) -> pa.Array:
        """Return positions (rows,) that go on from the largest given one of each parent, which need not be a count.

        Args:
            name: The table.
            column: The column of positions.
            positions: The number of each row among those of its parent, from 1 on.
            family: To which parents the rows belong.

        Raises:
            TableError: A position is not one of the type.
        """
        if name not in self.masks or family is None or not self.masks[name].any():
            return positions
        given = self.portion.given_rows(name).column(column)
        known = given.is_valid().to_numpy()
        parents = family.parents[self.masks[name]]
        largest = np.full(int(family.parents.max()) + 1, np.iinfo(np.int64).min)
        np.maximum.at(largest, parents[known], given.drop_null().cast(pa.int64()).to_numpy())
        counts = np.bincount(parents, minlength=len(largest))
        shifts = np.where(largest > np.iinfo(np.int64).min, largest - counts, 0)
        numbers, shift = positions.cast(pa.int64()).to_numpy(), shifts[family.parents]
        high = int(min(range_of(positions.type)[1], 2**63 - 1))
        with naming(name):
            refuse_outside(column, positions.type, shift > high - numbers)
        return pa.array(numbers + shift).cast(positions.type)

    def put_links(self, key: ForeignKey, choices: Places, other: pa.Table) -> None:
        """Replace the choices (rows,) of given rows, in place, by the rows of the other table to which they link."""
        if key.child in self.masks:
            tables = {key.child: self.portion.given_rows(key.child), key.parent: other}
            choices[self.masks[key.child]] = np.maximum(parent_rows(key, tables), -1)

    def first(self, name: str, rows: pa.Table) -> pa.Table:
        """Return rows of a table, given ones before those that were drawn."""
        if name not in self.masks or self.masks[name].all():
            return rows
        return rows.take(np.argsort(~self.masks[name], kind="stable"))


def _spread(codes: Codes, places: Places, rows: int) -> Codes:
    """Codes of so many rows, unknown but for those at some places."""
    digits = np.full((rows, codes.digits.shape[1]), -1, np.int8)
    values = np.full((rows, codes.values.shape[1]), np.nan, np.float32)
    digits[places], values[places] = codes.digits, codes.values
    return Codes(digits, values, np.zeros(rows, np.int64))
