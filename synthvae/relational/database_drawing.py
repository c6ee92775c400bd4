"""Drawing a part of linked tables: a share of the subjects, with all their rows in all tables."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from synthvae.codes import Slots
from synthvae.encoding.arrays import Mask
from synthvae.relational.across_tables import RowLimits
from synthvae.relational.child_drawing import REDRAWS, ChildDraw, DrawnRows, Unique
from synthvae.relational.child_encoding import Ancestor, joined, joined_slots, nothing, surroundings, taken
from synthvae.relational.fitted_database import (
    FittedChild,
    FittedDatabase,
    FittedRoot,
    distinct_keys,
    first_ones,
)
from synthvae.relational.given_parents import complete_root
from synthvae.relational.keys import ChosenLink, Keys, Numbering, choose, draw_degrees, fill
from synthvae.relational.lineage import LinkedTable
from synthvae.relational.linked_rules import decode_kept
from synthvae.relational.planning import naming
from synthvae.relational.portions import GivenInPart, Portion
from synthvae.relational.relative_dates import Surroundings, from_differences, only_dates
from synthvae.relational.repeats import restore
from synthvae.relational.sequences import Family, Places
from synthvae.relational.totals import fill_totals

DECODED = 79  # the stream of random numbers that codes leave open
OUTSIDE = 83  # the stream of random numbers that weigh the rows of other trees


def draw_portion(fitted: FittedDatabase, portion: Portion, names: Collection[str] | None = None) -> dict[str, pa.Table]:
    """Draw tables of a part.

    Args:
        fitted: The models.
        portion: The part.
        names: The tables, with all that they depend on; None: all that are modelled.
    """
    drawing = _PartDrawing(fitted, portion)
    for number, name in enumerate(fitted.tables):
        if names is None or name in names:
            drawing.add(name, number)
    done = fill_totals(fitted.database, fitted.totals, drawing.done)
    return {name: drawing.given.first(name, table) for name, table in done.items()}


class _PartDrawing:
    """Tables that are drawn one after the other."""

    def __init__(self, fitted: FittedDatabase, portion: Portion) -> None:
        self.fitted, self.portion = fitted, portion
        self.done: dict[str, pa.Table] = {}
        self.linked: dict[str, LinkedTable] = {}
        self.modelled: dict[str, Ancestor] = {}  # the rows without keys, with counts of children
        self.counts: dict[tuple[str, str], Places] = {}
        self.given = GivenInPart(portion)

    def add(self, name: str, number: int) -> None:
        """Draw a table."""
        table, portion = self.fitted.tables[name], self.portion
        whole = [portion.seed, number]
        seed, later = np.random.SeedSequence([*whole, portion.number]).generate_state(2, np.uint64).tolist()
        rng = np.random.default_rng(later)
        if name in portion.given and isinstance(table.model, FittedRoot):
            self._add_given_root(name, table.model, seed >> 1)
            return
        if isinstance(table.model, FittedRoot):
            rows = self._add_root(name, table.model, rng)
        else:
            rows = self._add_child(name, table.model, seed >> 1)
        choices = self._choices(name, rng)
        if distinct_keys(self.fitted.database, name, table.keys):
            choices = self._distinct(name, rows, choices, rng)
        kept = np.ones(rows.num_rows, bool)
        for link in table.keys.links:  # a row that must be linked cannot be without a row to be linked to
            kept &= (choices[link.link] >= 0) | (link.missing > 0) | self.given.mask(name, rows.num_rows)
        rows, choices = self._keep(name, rows, choices, kept)
        for columns in distinct_keys(self.fitted.database, name, table.keys):
            keys = self._with_keys(name, rows, choices).select(columns)
            first = self.given.mask(name, rows.num_rows).copy()
            first[first_ones(keys, np.zeros(rows.num_rows, np.int64))] = True
            rows, choices = self._keep(name, rows, choices, first)
        self._count_children(name, rows)
        self.done[name] = self._with_keys(name, rows, choices)

    def _count_children(self, name: str, rows: pa.Table) -> None:
        """Take note of the number of rows that each row has in each child table, at least those that are given."""
        for child, column in self.fitted.tables[name].counts.items():
            drawn = rows.column(column).to_numpy().astype(np.int64)
            self.counts[name, child] = np.maximum(drawn, self.given.least(child, rows.num_rows))

    def _choices(self, name: str, rng: np.random.Generator) -> dict[int, Places]:
        """Choose the rows to which the links of a table lead."""
        found = {}
        for one in self.fitted.tables[name].keys.links:
            key = self.fitted.database.foreign_keys[one.link]
            found[one.link] = self._chosen(name, one, rng)
            self.given.put_links(key, found[one.link], {**self.done, **self._others(name)}[key.parent])
        return found

    def _chosen(self, name: str, link: ChosenLink, rng: np.random.Generator) -> Places:
        """Choose the rows to which a link leads: of this part, or of all parts of another tree."""
        other, own = self.fitted.database.foreign_keys[link.link].parent, self.linked[name]
        if other not in self.portion.outside or self.fitted.database.root(other) == self.fitted.database.root(name):
            rows = self.linked[other]
            return choose(link, own, rows, draw_degrees(link, rows.rows.num_rows, rng), rng)
        keys = self.portion.outside[other]
        degrees = draw_degrees(link, keys.num_rows, np.random.default_rng([self.portion.seed, OUTSIDE, link.link]))
        share = self.portion.share(keys.num_rows) if self.fitted.is_divided(name, link) else slice(0, keys.num_rows)
        rows = keys.slice(share.start, share.stop - share.start)
        found = choose(link, own, LinkedTable(other, rows, np.arange(rows.num_rows)), degrees[share], rng)
        return np.where(found < 0, found, found + share.start)

    def _distinct(
        self, name: str, rows: pa.Table, choices: dict[int, Places], rng: np.random.Generator
    ) -> dict[int, Places]:
        """Choose again for rows that repeat a key, a limited number of times."""
        whole = np.zeros(rows.num_rows, np.int64)
        for _ in range(REDRAWS if choices else 0):
            table = self._with_keys(name, rows, choices)
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
        self.given.keep(name, places)
        return rows, {link: one[places] for link, one in choices.items()}

    def _add_root(self, name: str, root: FittedRoot, rng: np.random.Generator) -> pa.Table:
        total, portion = self.portion.roots[name], self.portion
        share = portion.share(total)
        count = share.stop - share.start
        places = np.arange(count)
        if root.model is None:
            rows = pa.table({"": pa.nulls(count)})
            self.modelled[name] = Ancestor(rows, nothing(count), Slots(()), {})
        else:
            model = root.model
            seed = self._seed(name)
            request = replace(model.request(total, seed), part_rows=max(total, 1), least_parts=portion.parts)
            drawn = model.draw(request, portion.number)
            columns = {n: drawn.column(n).combine_chunks() for n in drawn.column_names}
            types = self.fitted.types_of(name)
            around = Surroundings()
            rows = pa.table(from_differences(columns, root.dates, around, only_dates(root.encodings), types, rng))
            self.modelled[name] = Ancestor(rows, model.encode(drawn), model.encoding.layout.slots, root.encodings)
        self.linked[name] = LinkedTable(name, rows, places)
        return rows

    def _add_given_root(self, name: str, root: FittedRoot, seed: int) -> None:
        """Add given rows, for which the numbers of their children are drawn, and what they carry for these."""
        given = self.portion.given_rows(name)
        self.done[name], self.given.masks[name] = given, np.ones(given.num_rows, bool)
        rows, codes, slots = given, nothing(given.num_rows), Slots(())
        if root.model is not None:
            hidden = self.given.hidden(self.fitted, name, root.model.encoding.names)
            with naming(name):
                rows, codes = complete_root(root, given, hidden, self.fitted.types_of(name), seed)
            slots = root.model.encoding.layout.slots
        self.modelled[name] = Ancestor(rows, codes, slots, root.encodings)
        self.linked[name] = LinkedTable(name, rows, np.arange(given.num_rows))
        self._count_children(name, rows)

    def _add_child(self, name: str, child: FittedChild, seed: int) -> pa.Table:
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
        given = self.given.start(name, self.fitted, family, known, lines)
        empty = pa.table({"": pa.nulls(len(family))})
        self.linked[name] = LinkedTable(name, empty, family.subjects, family, ancestors, lines)
        around = surroundings(known, lines)
        limits = self._limits(name, child, lines, around)
        draw = ChildDraw(child.network, child.encoding, family, codes, bases, seed, unique, given, limits)
        found = draw.draw()
        rows = self._decoded(name, child, draw, found, around, seed)
        drawn, numbers = found.codes, found.numbers
        if unique is not None:
            kept = first_ones(rows.select(self.fitted.tables[name].unique), unique.scopes)
            kept = np.union1d(kept, np.flatnonzero(self.given.mask(name, rows.num_rows)))
            self.given.keep(name, kept)
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

    def _decoded(  # noqa: PLR0917 (what rows depend on)
        self, name: str, child: FittedChild, draw: ChildDraw, found: DrawnRows, around: Surroundings, seed: int
    ) -> pa.Table:
        """The rows of a child table, those drawn again that break a rule."""
        kinds, rules = self.fitted.types_of(name), child.encoding.rules
        numbering, rounds = Numbering(self.portion.number, self.portion.parts), itertools.count()
        across = child.encoding.across
        shared = pa.table({}) if draw.limits is None else draw.limits.known

        def decode() -> pa.Table:
            rng = np.random.default_rng([seed, DECODED])
            with naming(name):
                arrays = child.encoding.decode(
                    found.codes, found.numbers, around, kinds, rng, self._seed(name), numbering, found.ruled
                )
            arrays = restore(arrays, draw.family, child.encoding.repeats)
            rows = pa.table(arrays) if arrays else pa.table({"": pa.nulls(len(draw.family))})
            for column in shared.column_names:
                rows = rows.append_column(column, shared.column(column))
            return self.given.put(name, rows if across is None else across.with_computed(rows))

        if rules is None:
            return decode()
        given = self.given.mask(name, len(draw.family))
        rows = decode_kept(rules, decode, lambda again: draw.redraw(again, found, next(rounds)), given)
        return rows.drop_columns(shared.column_names)

    def _limits(self, name: str, child: FittedChild, lines: Sequence[Places], around: Surroundings) -> RowLimits | None:
        """What is known of the rows of a child table before they are drawn, under its rules; None without any."""
        encoding, across = child.encoding, child.encoding.across
        if across is None:
            return None
        known = self._shared(name, across.rules.names)
        ancestors = self.fitted.database.ancestors(name)
        for column, (table, other) in across.ancestors.items():
            known[column] = self.done[table].column(other).take(lines[ancestors.index(table)]).combine_chunks()
        views = {} if encoding.compiled_rules is None else encoding.compiled_rules.views
        types = self.fitted.types_of(name)
        return RowLimits(
            across, pa.table(known), len(lines[0]), types, encoding.timeline, encoding.dates, around, views
        )

    def _shared(self, name: str, names: Collection[str]) -> dict[str, pa.Array]:
        """Those of some columns of a child table that all rows of a parent share."""
        table, parent = self.fitted.tables[name], self.fitted.database.parents[name].parent
        columns = [c for c in table.keys.columns if c.how in {"carried", "inherited"} and c.name in names]
        keys = Keys(columns=tuple(columns), links=())
        return self._filled(name, keys, {}, self.linked[parent].rows)

    def _filled(
        self, name: str, keys: Keys, chosen: Mapping[int, Places], above: pa.Table | None
    ) -> dict[str, pa.Array]:
        """Key columns of a table."""
        done, seed = {**self.done, **self._others(name)}, self._seed(name) + self.portion.number
        known = self.portion.given[name].rows if name in self.portion.given else None
        arrow, numbering = self.fitted.tables[name].arrow, self._numbering(name)
        found = fill(keys, self.linked[name], done, chosen, above, arrow, seed, numbering, known)
        numbered = [column.name for column in keys.columns if column.how == "position"]
        return found | {n: self.given.go_on(name, n, found[n], self.linked[name].family) for n in numbered}

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

    def _with_keys(self, name: str, rows: pa.Table, chosen: Mapping[int, Places]) -> pa.Table:
        """The rows with their keys, without counts, and with the columns of the table in order."""
        table = self.fitted.tables[name]
        parent = self.fitted.database.parents.get(name)
        above = None if parent is None else self.linked[parent.parent].rows
        keys = self._filled(name, table.keys, chosen, above)
        for one in table.totals:  # filled in once the rows of child tables are drawn
            keys[one.total.column] = pa.nulls(rows.num_rows, table.arrow.field(one.total.column).type)
        arrays = [keys[n] if n in keys else rows.column(n).combine_chunks() for n in table.arrow.names]
        fields = [field.with_type(array.type) for field, array in zip(table.arrow, arrays, strict=True)]
        whole = pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=table.arrow.metadata))
        return self.given.put(name, whole)

    def _seed(self, name: str) -> int:
        """The seed of a table that all parts share."""
        number = list(self.fitted.tables).index(name)
        return int(np.random.SeedSequence([self.portion.seed, number]).generate_state(1, np.uint64)[0] >> 1)

    def _others(self, name: str) -> dict[str, pa.Table]:
        """The keys of all parts of tables of other trees."""
        root = self.fitted.database.root
        return {other: keys for other, keys in self.portion.outside.items() if root(other) != root(name)}

    def _numbering(self, name: str) -> Numbering:
        """The numbers of new ids: those of root rows follow each other, and rows of other tables take turns."""
        if name in self.portion.roots:
            return Numbering(self.portion.rows_before(self.portion.roots[name]), 1)
        return Numbering(self.portion.number, self.portion.parts)
