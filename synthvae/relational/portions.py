"""A part of the subjects of a request, and the given rows in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from synthvae.codes import Codes
from synthvae.encoding.arrays import Mask
from synthvae.errors import brief
from synthvae.relational.child_drawing import GivenRows
from synthvae.relational.child_encoding import Ancestor
from synthvae.relational.fitted_database import FittedChild
from synthvae.relational.lineage import LinkedTable
from synthvae.relational.planning import naming
from synthvae.relational.sequences import Family, Places
from synthvae.schema.foreign_keys import ForeignKey
from synthvae.schema.link_evidence import parent_rows


@dataclass(frozen=True)
class Portion:
    """A part of the subjects.

    Args:
        number: Its number.
        parts: The number of parts.
        roots: The number of rows of each root table in all parts together.
        seed: The seed of all parts.
        outside: The keys of all parts of tables to which rows of other trees are linked.
        given: The rows of all parts that are given, by table.
    """

    __repr__ = brief

    number: int
    parts: int
    roots: Mapping[str, int]
    seed: int
    outside: Mapping[str, pa.Table]
    given: Mapping[str, LinkedTable] = field(default_factory=dict)

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
        given = self.portion.given[name]
        assert given.family is not None
        parent = given.ancestors[0]
        places = given.family.parents[self.portion.given_share(name)] - self.portion.given_share(parent).start
        return np.asarray(np.flatnonzero(self.masks[parent])[places])

    def least(self, child: str, rows: int) -> Places:
        """Return how many given rows of a child table each row (rows,) of its parent has."""
        parents = self.parents(child) if child in self.portion.given else np.empty(0, np.int64)
        return np.bincount(parents, minlength=rows)

    def keep(self, name: str, places: Places) -> None:
        """Leave out all rows but those at some places."""
        if name in self.masks:
            self.masks[name] = self.masks[name][places]

    def start(  # noqa: PLR0917 (what codes depend on)
        self,
        name: str,
        child: FittedChild,
        family: Family,
        types: Mapping[str, pa.DataType],
        known: Sequence[Ancestor],
        lines: Sequence[Places],
    ) -> GivenRows | None:
        """Take note of the given rows of a child table, the first ones of their parents, and return their codes.

        Args:
            name: The table.
            child: Its model.
            family: To which parents all its rows in this part belong.
            types: The types of columns.
            known: The rows of the ancestor tables.
            lines: The place of the ancestor of each row.
        """
        if name not in self.portion.given:
            return None
        parents = self.parents(name)
        places = np.searchsorted(family.parents, parents) + np.arange(len(parents)) - np.searchsorted(parents, parents)
        self.masks[name] = np.zeros(len(family), bool)
        self.masks[name][places] = True
        rows = self.portion.given_rows(name)
        names = [] if child.schema is None else child.schema.names
        hidden = {n: pa.nulls(rows.num_rows, types.get(n, pa.int64())) for n in names if n not in rows.column_names}
        table = pa.table({n: hidden[n] if n in hidden else rows.column(n) for n in names})
        own = [line[places] for line in lines]
        with naming(name):
            found = child.encoding.encode(table, family.take(places), known, own, np.random.default_rng(0)).rows
        codes = _spread(found, places, len(family))
        numbers, timeline = np.full(len(family), np.nan), child.encoding.timeline
        if timeline is not None:
            numbers[places] = timeline.encoding.numbers_of(table.column(timeline.name))
        modelled = () if child.encoding.rows is None else child.encoding.rows.names
        return GivenRows(self.masks[name], codes, numbers, tuple(n for n in hidden if n in modelled))

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
