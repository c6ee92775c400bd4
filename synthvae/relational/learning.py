"""Fit a model to the tables of a database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from synthvae import progress
from synthvae.codes import Slots
from synthvae.devices import find_device, own_modes
from synthvae.encoding import kinds
from synthvae.errors import listing, warn_user
from synthvae.relational.child_encoding import Ancestor, ChildEncoding, Ruled, joined, joined_slots, nothing
from synthvae.relational.descent import train_sequences
from synthvae.relational.fitted_database import (
    FittedChild,
    FittedDatabase,
    FittedRoot,
    FittedTable,
    distinct_keys,
    first_ones,
)
from synthvae.relational.limits import limited
from synthvae.relational.lineage import LinkedTable, link, refuse_empty
from synthvae.relational.linked_rules import with_unique_rules
from synthvae.relational.network import SequenceConfig, build_sequences
from synthvae.relational.planning import Plan, naming, plan_tables, ranks_of
from synthvae.relational.relative_dates import (
    Protected,
    RelativeDate,
    Surroundings,
    as_numbers,
    learn_relative,
    only_dates,
    to_differences,
)
from synthvae.relational.sequences import Sequences
from synthvae.schema.column import TEMPORAL
from synthvae.schema.database import Database
from synthvae.schema.linkage import read
from synthvae.schema.protection import protect
from synthvae.schema.protection_rules import Subjects
from synthvae.schema.schema import Schema
from synthvae.synthesizer import Synthesizer
from synthvae.training.config import SMALL, EffortName, TrainingConfig, effort_of

REDRAWN = 71  # the stream of random numbers that replace rare categories
SMALL_DROPOUT = 0.1  # of tables of few rows, as in single tables


@dataclass(frozen=True)
class Options:
    """How the models of a database are fitted.

    Args:
        seed: The seed of all draws.
        max_steps: Most steps of the training of each table; None: by its rows.
        protect: The smallest number of subjects of a value; 0: nothing is protected.
        device: The device of the networks.
        verbose: Whether progress is shown.
        effort: How much the fit of each table may cost, see `synthvae.training.config.effort_of`.
    """

    seed: int
    max_steps: int | None = None
    protect: int = 5
    device: str = "auto"
    verbose: bool = False
    effort: EffortName = "balanced"


def learn_database(database: Database, tables: Mapping[str, object] | None, options: Options) -> FittedDatabase:
    """Fit a model to the tables of a database.

    Args:
        database: The keys.
        tables: The tables by name; None: those of the database.
        options: How to fit.

    Raises:
        TableError: A key is broken, or a table cannot be modelled; the message names it.
    """
    database = with_unique_rules(database)
    read_tables = read(database, tables)
    linked = link(database, read_tables, ranks_of(database, read_tables))
    refuse_empty(linked)
    learner = _Learner(database, linked, plan_tables(database, linked, options.protect), options)
    for name in linked:
        with naming(name):
            learner.add(name)
    public = {name: read_tables[name] for name in database.public}
    return FittedDatabase(database.model_copy(update={"tables": dict.fromkeys(database.tables)}), learner.found, public)


class _Learner:
    """Tables that are fitted one after the other."""

    def __init__(
        self, database: Database, linked: Mapping[str, LinkedTable], plans: Mapping[str, Plan], options: Options
    ) -> None:
        self.database, self.linked, self.plans, self.options = database, linked, plans, options
        self.found: dict[str, FittedTable] = {}
        self.ancestors: dict[str, Ancestor] = {}

    def add(self, name: str) -> None:
        """Fit the model of a table."""
        own, plan = self.linked[name], self.plans[name]
        seed = int(np.random.SeedSequence([self.options.seed, len(self.found)]).generate_state(1, np.uint64)[0] >> 1)
        fit = self._root if own.family is None else self._child
        model = fit(name, plan, seed)
        unique, within = self._unique(name, plan)
        arrow = own.rows.select(plan.names).schema
        self.found[name] = FittedTable(arrow, plan.keys, plan.counts, model, unique, within, plan.totals)

    def _unique(self, name: str, plan: Plan) -> tuple[tuple[str, ...], bool]:
        """The columns in which rows of a child table differ, and whether it is the rows of one parent that do."""
        own, link = self.linked[name], self.database.parents.get(name)
        if link is None or own.family is None or distinct_keys(self.database, name, plan.keys):
            return (), True
        unique = self.database.unique.get(name, ())
        if any(column.how == "position" and column.name in unique for column in plan.keys.columns):
            return (), True
        declared = tuple(c for c in unique if c not in plan.keys.names)
        if declared:
            _warn_of_repeated(name, own, declared)
            return declared, True
        primary = self.database.primary_keys.get(name, ())
        modelled = tuple(column for column in primary if column not in plan.keys.names)
        return modelled, set(link.columns) <= set(primary)

    def _root(self, name: str, plan: Plan, seed: int) -> FittedRoot:
        table, options = plan.table, self.options
        if plan.schema is None:
            self.ancestors[name] = Ancestor(table, nothing(table.num_rows), Slots(()), {})
            return FittedRoot(None, self.linked[name].rows.num_rows)
        ruled = () if plan.rules is None else plan.rules.names
        dated = [column.name for column in plan.schema.columns if column.kind in TEMPORAL and column.name not in ruled]
        dates: tuple[RelativeDate, ...] = ()
        schema, whole = plan.schema, table
        if dated:
            times = Schema(columns=[plan.schema[n].model_dump(exclude_unset=True) for n in dated], inferred=True)
            protected = self._protected(name, table.select(dated), times, seed)
            dates = learn_relative(table, protected, Surroundings(), None)
            encodings = {n: kinds.learn(protected.schema[n], protected.rows.column(n)) for n in dated}
            table = to_differences(table, dates, Surroundings(), only_dates(encodings), protected.ends)
            schema = as_numbers(schema, dates)
        rules = () if plan.rules is None else plan.rules.constraints
        synthesizer = Synthesizer(
            schema=schema.model_copy(update={"constraints": rules}),
            random_state=seed,
            effort=options.effort,
            max_steps=options.max_steps,
            protect=options.protect,
            device=options.device,
            verbose=options.verbose,
        ).fit(table)
        model = synthesizer.learned_
        rows = table.select(model.encoding.names)
        root = FittedRoot(model, table.num_rows, dates)
        shown = whole.select(model.encoding.names)
        self.ancestors[name] = Ancestor(shown, model.encode(rows), model.encoding.layout.slots, root.encodings)
        return root

    @own_modes()
    def _child(self, name: str, plan: Plan, seed: int) -> FittedChild:
        own, options = self.linked[name], self.options
        assert own.family is not None
        order = self.database.order.get(name)
        if order in plan.keys.names:
            order = None  # the rows are numbered
        ancestors = [self.ancestors[other] for other in own.ancestors]
        table, schema, encoding = plan.table, plan.schema, ChildEncoding(rows=None, timeline=None, dates=())
        if schema is not None:
            protected = self._protected(name, plan.table, schema, seed)
            schema = protected.schema
            encoding = ChildEncoding.learn(table, protected, order, own.family, ancestors, own.lines, ruled_by(plan))
            table = with_times(protected, table, encoding)
        rng = np.random.default_rng(seed)
        sequences = encoding.encode(table, own.family, ancestors, own.lines, rng)
        size = effort_of(options.effort, len(own.family))
        dropout = SMALL_DROPOUT if len(own.family) < SMALL else 0.0
        config = SequenceConfig(size.width, (size.hidden, size.value_hidden), size.width, dropout)
        network = build_sequences(encoding.sequence_slots([one.slots for one in ancestors]), config, seed)
        network = network.to(find_device(options.device))
        with progress.fitting(show=options.verbose) as report:
            training = TrainingConfig(max_steps=options.max_steps, effort=options.effort)
            history = train_sequences(network, sequences, training, seed, report)
        self.ancestors[name] = as_ancestor(table, encoding, sequences)
        return FittedChild(schema, encoding, network, history)

    def _protected(self, name: str, table: pa.Table, schema: Schema, seed: int) -> Protected:
        """The rows, checked, with rare values replaced; a subject counts once for all its rows."""
        checked = schema.check(table).select(table.column_names)
        units, least = self.linked[name].subjects, self.options.protect
        protection = protect(checked, schema, None, Subjects(least, units), None)
        rows = protection.apply(checked, np.random.default_rng([seed, REDRAWN]))
        return Protected(protection.schema, rows, lambda numbers: limited(numbers, units, least))


def _warn_of_repeated(name: str, own: LinkedTable, columns: tuple[str, ...]) -> None:
    assert own.family is not None
    again = own.rows.num_rows - len(first_ones(own.rows.select(columns), own.family.parents))
    if again:
        warn_user(
            f"table {name!r}: {again:,} of {own.rows.num_rows:,} rows are equal to an earlier row of their parent in "
            f"{listing(columns)}, in which synthetic rows will differ. Remove it from `unique` if that is not intended."
        )


def ruled_by(plan: Plan) -> Ruled | None:
    """Return the rules of a child table, with the rows that they are learned from; None without any."""
    if plan.rules is None:
        return None
    assert plan.ruled is not None
    return Ruled(plan.rules, plan.ancestors, plan.ruled)


def with_times(protected: Protected, table: pa.Table, encoding: ChildEncoding) -> pa.Table:
    """Return protected rows with the times as they are whose differences are protected instead."""
    rows = protected.rows
    dates = [date.name for date in encoding.dates]
    for name in (*dates, *(() if encoding.timeline is None else (encoding.timeline.name,))):
        rows = rows.set_column(rows.column_names.index(name), name, table.column(name))
    return rows


def as_ancestor(table: pa.Table, encoding: ChildEncoding, sequences: Sequences) -> Ancestor:
    """Return the rows of a fitted child table as the rows of its own children depend on them."""
    timeline = encoding.timeline
    if timeline is None:
        return Ancestor(table, sequences.rows, encoding.slots, encoding.encodings)
    slots: Slots = joined_slots(encoding.slots, timeline.clock.slots)
    return Ancestor(table, joined(sequences.rows, sequences.clock), slots, encoding.encodings)
