"""Fit a model to the tables of a database under a privacy budget, whose unit is a subject with all its rows.

The root table is fitted as a single private table is, with the number of rows in each child table as columns. Each
child table takes counts of one random row of each subject, for bins and initial weights, and a descent on noisy sums of
clipped gradients of subjects. All events are in one ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from synthvae import progress
from synthvae.devices import own_modes
from synthvae.encoding import TableEncoding
from synthvae.encoding.layout import Layout
from synthvae.privacy import Descending, Event, Journal, Ledger, PrivacyBudget
from synthvae.privacy.accounting import calibrated, spent
from synthvae.privacy.allocation import ROWS, ROWS_SHARE, refuse_delta
from synthvae.privacy.counts import binning, postprocessing
from synthvae.privacy.curator import Curator
from synthvae.privacy.dpsgd.poisson import some_of_each
from synthvae.privacy.dpsgd.trainer import Spending
from synthvae.privacy.fit import binned, bisections_of
from synthvae.privacy.ledger import RecordedEvent
from synthvae.relational.child_encoding import Ancestor, ChildEncoding
from synthvae.relational.fitted_database import FittedChild, FittedDatabase, FittedRoot, FittedTable, distinct_keys
from synthvae.relational.learning import Options, as_ancestor
from synthvae.relational.lineage import LinkedTable
from synthvae.relational.network import SequenceConfig, SequenceNetwork, build_sequences
from synthvae.relational.private_descent import descend, start_decoder
from synthvae.relational.private_planning import (
    PrivatePlan,
    Tables,
    link_privately,
    plan_privately,
    read_privately,
    with_counts,
)
from synthvae.relational.private_timeline import declared_timeline
from synthvae.relational.repeats import mark, with_repeats
from synthvae.relational.sequences import Places, Sequences
from synthvae.schema.database import Database
from synthvae.schema.domain import arrow_schema
from synthvae.schema.schema import Schema
from synthvae.synthesizer import Synthesizer
from synthvae.tables.arrow import split_sentinels

ROOT_SHARE = 0.35  # of epsilon, for the root table; the rest is for the child tables
COUNTS_SHARE = 0.1  # of the epsilon of a child table, for bins, and again for initial weights
DESCENT = Descending(batch=1024, steps=300, learning_rate=1e-2)
CONFIG = SequenceConfig(width=32, hidden=(0, 0), memory=32)  # noise harms a model with few parameters less


def learn_privately(
    database: Database, tables: Mapping[str, Any] | None, budget: PrivacyBudget, options: Options
) -> FittedDatabase:
    """Fit a model to the tables of a database, of which it reveals nothing but what the budget was spent on.

    Args:
        database: The keys and the schemas.
        tables: The tables by name; None: those of the database.
        budget: The budget.
        options: How to fit.

    Raises:
        PrivacyError: Something is not declared, the tables break their keys, or the budget does not suffice.
    """
    read = read_privately(database, tables)
    plans = plan_privately(database, read, budget)
    linked = link_privately(database, read, plans, budget.rows_of_tables or {})
    curator = Curator(Ledger(budget=budget), Journal(None, options.seed))
    with curator.reporting_failures():
        learner = _PrivateLearner(database, read, linked, plans, curator, options)
        for name in plans:
            learner.add(name)
    public = {name: read[name] for name in database.public}
    keys = database.model_copy(update={"tables": dict.fromkeys(database.tables)})
    return FittedDatabase(keys, learner.found, public, curator.ledger)


@dataclass(frozen=True)
class _Allocated:
    """The recorded events of a child table; None: nothing of the kind is released."""

    halvings: RecordedEvent | None
    singles: RecordedEvent | None
    gradients: RecordedEvent


class _PrivateLearner:
    """Tables that are fitted one after the other."""

    def __init__(  # noqa: PLR0917 (the inputs of a fit)
        self,
        database: Database,
        read: Tables,
        linked: Mapping[str, LinkedTable],
        plans: Mapping[str, PrivatePlan],
        curator: Curator,
        options: Options,
    ) -> None:
        self.database, self.read, self.linked, self.plans = database, read, linked, plans
        self.curator, self.options, self.budget = curator, options, curator.ledger.budget
        self.found: dict[str, FittedTable] = {}
        self.ancestors: dict[str, Ancestor] = {}
        steps = DESCENT.steps if options.max_steps is None else min(options.max_steps, DESCENT.steps)
        self.descent = DESCENT.model_copy(update={"steps": steps})
        self.rows = self._number_of_subjects()
        refuse_delta(self.budget.delta, self.rows)

    def _number_of_subjects(self) -> int:
        """The number of subjects, as far as it is public: declared, or a noisy upper bound."""
        if self.budget.rows is not None:
            return self.budget.rows
        event = Event(
            name=ROWS,
            mechanism="discrete Laplace",
            noise_multiplier=1 / (ROWS_SHARE * self.budget.epsilon),
            sensitivity=1.0,
            purpose="noise and sampling rate of the other events",
        )
        root = next(iter(self.plans))
        return self.curator.row_bound(self.curator.record(event), lambda: self.linked[root].rows.num_rows)

    def add(self, name: str) -> None:
        """Fit the model of a table."""
        plan, number = self.plans[name], len(self.found)
        seed = int(np.random.SeedSequence([self.options.seed, number]).generate_state(1, np.uint64)[0] >> 1)
        table = with_counts(plan, name, self.linked)
        model = (self._root if self.linked[name].family is None else self._child)(name, plan, table, seed)
        unique, within = self._unique(name, plan)
        self.found[name] = FittedTable(self._arrow(name, plan), plan.keys, plan.counts, model, unique, within)

    def _arrow(self, name: str, plan: PrivatePlan) -> pa.Schema:
        """The types of a table: those of the keys as they were read, of other columns as they were declared."""
        declared, own = arrow_schema(plan.schema), self.read[name].schema
        return pa.schema([own.field(c) if c in plan.keys.names else declared.field(c) for c in plan.names])

    def _unique(self, name: str, plan: PrivatePlan) -> tuple[tuple[str, ...], bool]:
        """The columns in which rows of a child table differ, and whether it is the rows of one parent that do."""
        link = self.database.parents.get(name)
        if link is None or distinct_keys(self.database, name, plan.keys):
            return (), True
        declared = tuple(c for c in self.database.unique.get(name, ()) if c not in plan.keys.names)
        primary = self.database.primary_keys.get(name, ())
        modelled = tuple(column for column in primary if column not in plan.keys.names)
        return (declared, True) if declared else (modelled, set(link.columns) <= set(primary))

    def _root(self, name: str, plan: PrivatePlan, table: pa.Table, seed: int) -> FittedRoot:
        """Fit a single private table, and add its events to the ledger."""
        share = ROOT_SHARE if len(self.plans) > 1 else 1.0
        counted = 0.0 if self.budget.rows is not None else ROWS_SHARE
        budget = PrivacyBudget(
            epsilon=share * (1 - counted) * self.budget.epsilon, delta=self.budget.delta, rows=self.rows
        )
        synthesizer = Synthesizer(
            schema=plan.schema,
            privacy=budget,
            random_state=seed,
            max_steps=self.options.max_steps,
            device=self.options.device,
            verbose=self.options.verbose,
        ).fit(table)
        model = synthesizer.learned_
        assert model.ledger is not None
        for event in model.ledger.events:
            self.curator.record(event.model_copy(update={"name": f"{event.name} of {name}"}))
        self.curator.drawn |= {event.name for event in self.curator.ledger.events}
        rows = table.select(model.encoding.names)
        root = FittedRoot(model, self.rows)
        self.ancestors[name] = Ancestor(rows, model.encode(rows), model.encoding.layout.slots, root.encodings)
        return root

    @own_modes()
    def _child(self, name: str, plan: PrivatePlan, table: pa.Table, seed: int) -> FittedChild:
        own, order = self.linked[name], self.database.order.get(name)
        assert own.family is not None
        timeline = None if order is None else declared_timeline(plan.schema[order])
        columns = [c for c in plan.schema.columns if c.name != order]
        states: dict[str, Any] = {}
        if order is not None:
            columns, states = with_repeats(columns)
            table = mark(table, own.family, states)
        schema = Schema(columns=[c.model_dump(exclude_unset=True) for c in columns]) if columns else None
        allocated = self._allocated(name, schema, timed=timeline is not None)
        if schema is not None:
            schema = self._with_bins(schema, table, own.family.subjects, allocated.halvings)
        rows = None if schema is None else TableEncoding.declare(schema, None)
        encoding = ChildEncoding(rows=rows, timeline=timeline, dates=(), repeats=states)
        above = [self.ancestors[other] for other in own.ancestors]
        sequences = encoding.encode(table, own.family, above, own.lines, np.random.default_rng(seed))
        network = build_sequences(encoding.sequence_slots([one.slots for one in above]), CONFIG, seed)
        self._start(network, encoding, sequences, allocated.singles)
        spending = Spending(allocated.gradients, self.descent, self.rows, 1)
        with progress.fitting(show=self.options.verbose) as report:
            self.curator.lend(allocated.gradients)
            history = descend(network, sequences, spending, self.curator.journal, report)
        self.ancestors[name] = as_ancestor(table, encoding, sequences)
        return FittedChild(schema, encoding, network, history)

    def _allocated(self, name: str, schema: Schema | None, *, timed: bool) -> _Allocated:
        """Record the events of a child table, by public numbers alone; the last table takes the rest of the budget."""
        budget, ledger = self.budget, self.curator.ledger
        before = spent(ledger.events, budget.delta, budget.epsilon)
        left = len(self.plans) - len(self.found)
        granted = (budget.epsilon - before) / left
        depth = 0 if schema is None else sum(one.depth for one in bisections_of(schema, None).values())
        columns = (0 if schema is None else len(schema.columns)) + 2 * timed

        def counts(what: str, times: int, purpose: str) -> RecordedEvent | None:
            if not times:
                return None

            def event(noise: float) -> Event:
                return Event.of_counts(f"{what} of {name}", 1, noise, times=times, purpose=purpose)

            noise = calibrated(lambda noise: [event(noise)], COUNTS_SHARE * granted, budget.delta)
            return self.curator.record(event(noise))

        halvings = counts(binning.HALVES, depth, "bins of numeric columns, by one row of each subject")
        singles = counts("marginals", columns, "initial weights, by one row of each subject")
        events = self.curator.ledger.events
        noise = calibrated(lambda noise: [*events, self._gradients(name, noise)], before + granted, budget.delta)
        return _Allocated(halvings, singles, self.curator.record(self._gradients(name, noise)))

    def _gradients(self, name: str, noise: float) -> Event:
        return Event(
            name=f"gradients of {name}",
            mechanism="Poisson-sampled Gaussian",
            noise_multiplier=noise,
            sensitivity=self.descent.clip,
            sampling_rate=min(self.descent.batch / self.rows, 1.0),
            times=self.descent.steps,
            purpose="dependence of rows on their ancestors and on earlier rows",
        )

    def _with_bins(self, schema: Schema, table: pa.Table, subjects: Places, recorded: RecordedEvent | None) -> Schema:
        """The schema with bins for numeric columns, by one random row of each subject."""
        bisections = bisections_of(schema, None)
        if recorded is None or not bisections:
            return schema
        some = table.take(some_of_each(subjects, 1))
        numbers = {
            name: split_sentinels(some.column(name), schema[name].sentinels)[0].to_numpy().astype(np.float64)
            for name in bisections
        }
        binning.bisect(bisections, numbers, self.curator, recorded)
        columns = [binned(c, bisections[c.name], None) if c.name in bisections else c for c in schema.columns]
        return schema.model_copy(update={"columns": tuple(columns)})

    def _start(
        self,
        network: SequenceNetwork,
        encoding: ChildEncoding,
        sequences: Sequences,
        recorded: RecordedEvent | None,
    ) -> None:
        """Set the biases of all heads to noisy frequencies, by one random row of each subject."""
        family = sequences.family
        everywhere, first = np.arange(len(family)), family.places[:, 0] == 0
        if encoding.rows is not None and recorded is not None:
            layout = encoding.rows.layout
            chosen = everywhere[some_of_each(family.subjects, 1)]
            states = dict(zip(layout.names, layout.join(sequences.rows.digits[chosen]), strict=True))
            start_decoder(network.decoder, self._frequencies(layout, states, recorded))
        if encoding.timeline is not None and recorded is not None:
            parts = (first, np.zeros_like(first), ~first)
            for number, layout in enumerate(encoding.timeline.layouts):
                rows = everywhere[parts[number]]
                if layout.width:
                    rows = rows[some_of_each(family.subjects[rows], 1)]
                    states = dict(zip(layout.names, layout.join(sequences.timings[number].digits[rows]), strict=True))
                    start_decoder(network.timings[number], self._frequencies(layout, states, recorded))

    def _frequencies(self, layout: Layout, states: Mapping[str, Places], recorded: RecordedEvent) -> Any:
        """The initial weights of a decoder, from one noisy table of each column that has digits."""
        found, rows = {}, 1.0
        for name, levels, digits in zip(layout.names, layout.levels, layout.digits, strict=True):
            if digits:
                noisy = self.curator.counts(recorded, _counted(states[name], levels)).astype(np.float64)
                rows = max(float(noisy.sum()), 1.0)
                found[name] = postprocessing.frequencies(noisy[None], np.array([rows]))
        return postprocessing.start(layout, found, np.array([rows]))


def _counted(states: Places, levels: int) -> Callable[[], Places]:
    return lambda: np.bincount(states[states >= 0], minlength=levels).astype(np.int64)
