"""A fitted database: a model of each root table, a network of each child table, and rows that are drawn from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from synthvae.codes import Slots
from synthvae.encoding.arrays import Mask
from synthvae.encoding.temporal import TemporalEncoding
from synthvae.errors import brief
from synthvae.privacy.ledger import Ledger
from synthvae.relational.child_drawing import REDRAWS, Unique, draw_children
from synthvae.relational.child_encoding import (
    Ancestor,
    ChildEncoding,
    joined,
    joined_slots,
    nothing,
    surroundings,
    taken,
)
from synthvae.relational.keys import Keys, choose, fill
from synthvae.relational.lineage import LinkedTable
from synthvae.relational.network import SequenceNetwork
from synthvae.relational.relative_dates import RelativeDate, Surroundings, from_differences
from synthvae.relational.repeats import restore
from synthvae.relational.sequences import Family, Places
from synthvae.schema.database import Database
from synthvae.schema.schema import Schema
from synthvae.synthesizer.card import NOT_PRIVATE
from synthvae.synthesizer.fitted_model import FittedModel
from synthvae.tables.arrow import plain_type
from synthvae.training.history import History


@dataclass(frozen=True)
class FittedRoot:
    """The model of a table without a parent.

    Args:
        model: The model of its rows, with the numbers of their children as columns; None if it has only keys.
        rows: The number of training rows.
        dates: Dates that are modelled as differences.
    """

    __repr__ = brief

    model: FittedModel | None
    rows: int
    dates: tuple[RelativeDate, ...] = ()

    @property
    def encodings(self) -> dict[str, Any]:
        """The encodings of all columns as they are, from which those of descendants may be differences."""
        columns = {} if self.model is None else dict(self.model.encoding.columns)
        return {**columns, **{date.name: date.encoding for date in self.dates}}


@dataclass(frozen=True)
class FittedChild:
    """The model of a child table.

    Args:
        schema: The schema of the columns that are modelled; None without any.
        encoding: Their encoding.
        network: The fitted network, in evaluation mode.
        history: Its training history; the bound is in nats per row.
    """

    __repr__ = brief

    schema: Schema | None
    encoding: ChildEncoding
    network: SequenceNetwork
    history: History


@dataclass(frozen=True)
class FittedTable:
    """What is known of one table.

    Args:
        arrow: The Arrow schema of the table, with all columns that synthetic rows have.
        keys: How its key columns are filled.
        counts: The columns with the number of rows in each child table, by child.
        model: The model of a root or of a child table.
        unique: Columns that are modelled in which no two rows are equal; () if they may be.
        within: Whether this holds for the rows of one parent; otherwise for all.
    """

    __repr__ = brief

    arrow: pa.Schema
    keys: Keys
    counts: Mapping[str, str]
    model: FittedRoot | FittedChild
    unique: tuple[str, ...] = ()
    within: bool = True


@dataclass(frozen=True)
class FittedDatabase:
    """The models of all tables, each after the tables that it refers to.

    Args:
        database: The keys.
        tables: The models by table.
        public: The public tables, as they are.
        ledger: What was spent of a privacy budget; None: the fit had none.
    """

    __repr__ = brief

    database: Database
    tables: Mapping[str, FittedTable]
    public: Mapping[str, pa.Table]
    ledger: Ledger | None = None

    def sample(self, roots: Mapping[str, int], seed: int) -> dict[str, pa.Table]:
        """Draw all tables.

        Args:
            roots: The number of rows of each root table.
            seed: The seed of all draws.
        """
        drawing = _Drawing(self, seed)
        for number, name in enumerate(self.tables):
            drawing.add(name, number, roots)
        return {
            name: drawing.done[name] if name in drawing.done else self.public[name] for name in self.database.tables
        }

    def describe(self) -> dict[str, Any]:
        """Return what the model is as values of JSON; none of it is a value of a training row."""
        columns = {name: list(table.arrow.names) for name, table in self.tables.items()}
        columns |= {name: list(table.column_names) for name, table in self.public.items()}
        roots = {n: {"rows": t.model.rows} for n, t in self.tables.items() if isinstance(t.model, FittedRoot)}
        return {
            "tables": {name: columns[name] for name in self.database.tables},
            "roots": roots,
            "links": [str(key) for key in self.database.foreign_keys],
            "order": dict(self.database.order),
            "public": list(self.database.public),
            "privacy": NOT_PRIVATE if self.ledger is None else self.ledger.statement(),
        }

    def types_of(self, name: str) -> dict[str, pa.DataType]:
        """Return the types of the columns of a table, also of those that it carries for its child tables."""
        found = {field.name: field.type for field in self.tables[name].arrow}
        for child, key in self.database.parents.items():
            if key.parent == name:
                carried = [column for column in self.tables[child].keys.columns if column.how == "carried"]
                found |= {c.column: plain_type(self.tables[child].arrow.field(c.name).type) for c in carried}
        return found


class _Drawing:
    """Tables that are drawn one after the other."""

    def __init__(self, fitted: FittedDatabase, seed: int) -> None:
        self.fitted, self.seed = fitted, seed
        self.done: dict[str, pa.Table] = {}
        self.linked: dict[str, LinkedTable] = {}
        self.modelled: dict[str, Ancestor] = {}  # the rows without keys, with counts of children
        self.counts: dict[tuple[str, str], Places] = {}

    def add(self, name: str, number: int, roots: Mapping[str, int]) -> None:
        """Draw a table."""
        table = self.fitted.tables[name]
        seed, later = np.random.SeedSequence([self.seed, number]).generate_state(2, np.uint64).tolist()
        rng = np.random.default_rng(later)
        if isinstance(table.model, FittedRoot):
            rows = self._add_root(name, table.model, roots[name], seed >> 1, rng)
        else:
            rows = self._add_child(name, table.model, seed >> 1, rng)
        choices = self._choices(name, rng)
        if distinct_keys(self.fitted.database, name, table.keys):
            choices = self._distinct(name, rows, choices, rng)
        kept = np.ones(rows.num_rows, bool)
        for link in table.keys.links:  # a row that must be linked cannot be without a row to be linked to
            kept &= (choices[link.link] >= 0) | (link.missing > 0)
        rows, choices = self._keep(name, rows, choices, kept)
        for columns in distinct_keys(self.fitted.database, name, table.keys):
            keys = self._with_keys(name, rows, choices, rng).select(columns)
            first = np.zeros(rows.num_rows, bool)
            first[first_ones(keys, np.zeros(rows.num_rows, np.int64))] = True
            rows, choices = self._keep(name, rows, choices, first)
        for child, column in table.counts.items():
            self.counts[name, child] = np.maximum(rows.column(column).to_numpy().astype(np.int64), 0)
        self.done[name] = self._with_keys(name, rows, choices, rng)

    def _choices(self, name: str, rng: np.random.Generator) -> dict[int, Places]:
        """Choose the rows to which the links of a table lead."""
        keys, links = self.fitted.tables[name].keys, self.fitted.database.foreign_keys
        own = self.linked[name]
        return {one.link: choose(one, own, self.linked[links[one.link].parent], rng) for one in keys.links}

    def _distinct(
        self, name: str, rows: pa.Table, choices: dict[int, Places], rng: np.random.Generator
    ) -> dict[int, Places]:
        """Choose again for rows that repeat a key, a limited number of times."""
        whole = np.zeros(rows.num_rows, np.int64)
        for _ in range(REDRAWS if choices else 0):
            table = self._with_keys(name, rows, choices, rng)
            again = np.zeros(rows.num_rows, bool)
            for columns in distinct_keys(self.fitted.database, name, self.fitted.tables[name].keys):
                again |= ~np.isin(np.arange(rows.num_rows), first_ones(table.select(columns), whole))
            if not again.any():
                break
            fresh = self._choices(name, rng)
            choices = {link: np.where(again, fresh[link], places) for link, places in choices.items()}
        return choices

    def _keep(
        self, name: str, rows: pa.Table, choices: dict[int, Places], kept: Mask
    ) -> tuple[pa.Table, dict[int, Places]]:
        """Leave out rows that cannot have the keys that they need."""
        if kept.all():
            return rows, choices
        places, own, modelled = np.flatnonzero(kept), self.linked[name], self.modelled[name]
        rows = rows.take(places)
        family = None if own.family is None else own.family.take(places)
        subjects = np.arange(len(places)) if family is None else family.subjects
        lines = tuple(line[places] for line in own.lines)
        self.linked[name] = LinkedTable(name, rows, subjects, family, own.ancestors, lines)
        codes = taken(modelled.codes, places)
        self.modelled[name] = replace(modelled, rows=modelled.rows.take(places), codes=codes)
        return rows, {link: one[places] for link, one in choices.items()}

    def _add_root(self, name: str, root: FittedRoot, count: int, seed: int, rng: np.random.Generator) -> pa.Table:
        places = np.arange(count)
        if root.model is None:
            rows = pa.table({"": pa.nulls(count)})
            self.modelled[name] = Ancestor(rows, nothing(count), Slots(()), {})
        else:
            model = root.model
            drawn = model.sample(model.request(count, seed))
            columns = {n: drawn.column(n).combine_chunks() for n in drawn.column_names}
            types = self.fitted.types_of(name)
            around = Surroundings()
            rows = pa.table(from_differences(columns, root.dates, around, only_dates(root.encodings), types, rng))
            self.modelled[name] = Ancestor(rows, model.encode(drawn), model.encoding.layout.slots, root.encodings)
        self.linked[name] = LinkedTable(name, rows, places)
        return rows

    def _add_child(self, name: str, child: FittedChild, seed: int, rng: np.random.Generator) -> pa.Table:
        parent = self.fitted.database.parents[name].parent
        above = self.linked[parent]
        places = np.repeat(np.arange(above.rows.num_rows), self.counts[parent, name])
        family = Family(places, above.subjects[places])
        lines = (places, *(line[places] for line in above.lines))
        ancestors = (parent, *above.ancestors)
        known = [self.modelled[other] for other in ancestors]
        timeline = child.encoding.timeline
        bases = [] if timeline is None else timeline.bases([one.rows for one in known], lines, len(family))
        codes = tuple((one.codes, line) for one, line in zip(known, lines, strict=True))
        unique = self._unique(name, child, family)
        drawn, numbers = draw_children(child.network, child.encoding, family, codes, bases, seed, unique)
        kinds = self.fitted.types_of(name)
        columns = child.encoding.decode(drawn, numbers, surroundings(known, lines), kinds, rng, seed)
        columns = restore(columns, family, child.encoding.repeats)
        rows = pa.table(columns) if columns else pa.table({"": pa.nulls(len(family))})
        if unique is not None:
            kept = first_ones(rows.select(self.fitted.tables[name].unique), unique.scopes)
            family, lines = family.take(kept), tuple(line[kept] for line in lines)
            rows, drawn, numbers = rows.take(kept), taken(drawn, kept), numbers[kept]
            bases = [base[kept] for base in bases]
        self.linked[name] = LinkedTable(name, rows, family.subjects, family, ancestors, lines)
        whole, slots = drawn, child.encoding.slots
        if timeline is not None:
            whole = joined(drawn, timeline.clock_codes(numbers, bases, None))
            slots = joined_slots(slots, timeline.clock.slots)
        self.modelled[name] = Ancestor(rows, whole, slots, child.encoding.encodings)
        return rows

    def _unique(self, name: str, child: FittedChild, family: Family) -> Unique | None:
        """The columns of a child table in which rows of a parent differ."""
        table, timeline = self.fitted.tables[name], child.encoding.timeline
        if not table.unique:
            return None
        timed = timeline is not None and timeline.name in table.unique
        scopes = family.parents if table.within else np.zeros(len(family), np.int64)
        if child.encoding.rows is None:
            return Unique(scopes, [], [], timed)
        layout = child.encoding.rows.layout
        own = [column for column in table.unique if column in layout.names]
        digits = [place for column in own for place in range(layout.spans[column].start, layout.spans[column].stop)]
        values = [layout.valued_names.index(column) for column in own if column in layout.valued_names]
        return Unique(scopes, digits, values, timed)

    def _with_keys(self, name: str, rows: pa.Table, chosen: Mapping[int, Places], rng: np.random.Generator) -> pa.Table:
        """The rows with their keys, without counts, and with the columns of the table in order."""
        table, own = self.fitted.tables[name], self.linked[name]
        parent = self.fitted.database.parents.get(name)
        above = None if parent is None else self.linked[parent.parent].rows
        keys = fill(table.keys, own, self.done, chosen, above, table.arrow, rng)
        arrays = [keys[n] if n in keys else rows.column(n).combine_chunks() for n in table.arrow.names]
        fields = [field.with_type(array.type) for field, array in zip(table.arrow, arrays, strict=True)]
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=table.arrow.metadata))


def distinct_keys(database: Database, name: str, keys: Keys) -> list[list[str]]:
    """Return the columns in which no two rows of a table are equal, where that depends on links that are chosen.

    The same holds for the key of a root table if none of its columns has new ids in all rows.
    """
    primary, unique = database.primary_keys.get(name, ()), database.unique.get(name, ())
    fresh = {column.name for column in keys.columns if column.how == "fresh"}
    chosen = {column.name for column in keys.columns if column.how == "chosen"}
    link = database.parents.get(name)
    found = []
    if primary and not fresh & set(primary) and (link is None or chosen & set(primary)):
        found.append(list(primary))
    if link is not None and chosen & set(unique):
        found.append(list(dict.fromkeys((*link.columns, *unique))))
    return found


def only_dates(encodings: Mapping[str, Any]) -> dict[str, TemporalEncoding]:
    """Return the encodings of dates among those of all columns."""
    return {name: encoding for name, encoding in encodings.items() if isinstance(encoding, TemporalEncoding)}


def first_ones(rows: pa.Table, scopes: Places) -> Places:
    """Return the places of the rows that are equal to no earlier row of the same scope."""
    keys = {str(place): column.combine_chunks() for place, column in enumerate(rows.columns)}
    frame = pa.table({**keys, "scope": pa.array(scopes)}).to_pandas()
    return np.flatnonzero(~frame.duplicated().to_numpy())
