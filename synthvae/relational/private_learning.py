"""Fit a model to the tables of a database under a privacy budget, whose unit is a subject with all its rows.

The root table is fitted as a single private table is, with the number of rows in each child table as columns. Each
child table takes counts of one random row of each subject, for bins and initial weights, and a descent on noisy sums of
clipped gradients of subjects. All events are in one ledger.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from synthvae import progress
from synthvae._version import __version__
from synthvae.devices import own_modes
from synthvae.encoding import TableEncoding
from synthvae.privacy import Descending, Event, Journal, Ledger, PrivacyBudget
from synthvae.privacy.accounting import calibrated, spent
from synthvae.privacy.allocation import GRADIENTS, ROWS, ROWS_SHARE, refuse_delta
from synthvae.privacy.counts import binning
from synthvae.privacy.counts.residues import RESIDUES, rounded_columns, with_residues
from synthvae.privacy.curator import Curator, PartCurator, named
from synthvae.privacy.dpsgd.poisson import some_of_each
from synthvae.privacy.dpsgd.trainer import Spending, descend
from synthvae.privacy.fit import bisections_of
from synthvae.privacy.ledger import RecordedEvent
from synthvae.relational.across_tables import AcrossRules
from synthvae.relational.child_encoding import Ancestor, ChildEncoding
from synthvae.relational.fitted_database import FittedChild, FittedDatabase, FittedRoot, FittedTable, distinct_keys
from synthvae.relational.learning import Options, as_ancestor
from synthvae.relational.lineage import LinkedTable
from synthvae.relational.linked_rules import with_unique_rules
from synthvae.relational.network import SequenceConfig, build_sequences
from synthvae.relational.private_counts import MARGINALS, start, with_bins
from synthvae.relational.private_descent import PrivateSequenceDescent
from synthvae.relational.private_planning import (
    PrivatePlan,
    Tables,
    link_privately,
    plan_privately,
    read_privately,
    with_counts,
)
from synthvae.relational.private_rules import with_rules
from synthvae.relational.private_timeline import declared_timeline
from synthvae.relational.repeats import mark, with_repeats
from synthvae.relational.writing import table_hash
from synthvae.schema.database import Database
from synthvae.schema.domain import arrow_schema
from synthvae.schema.schema import Schema
from synthvae.synthesizer import Synthesizer
from synthvae.synthesizer.fitted_model import FittedModel
from synthvae.synthesizer.private_fitting import fit_by_curator
from synthvae.training.history import History

ROOT_SHARE = 0.5  # of epsilon, for the root table; the rest is for the child tables
# Of the epsilon of a child table, for bins and for initial weights: squared, as noise counts, a small part of it.
BINS_SHARE, WEIGHTS_SHARE = 0.2, 0.4
RESIDUES_SHARE = 0.15  # of epsilon, for the last digits of numbers of the root table
DESCENT = Descending(batch=1024, steps=300, learning_rate=1e-2)
CONFIG = SequenceConfig(width=32, hidden=(0, 0), memory=32)  # noise harms a model with few parameters less


def learn_privately(
    database: Database,
    tables: Mapping[str, Any] | None,
    budget: PrivacyBudget,
    options: Options,
    journal: str | os.PathLike[str] | None = None,
    *,
    seeded: bool = True,
) -> FittedDatabase:
    """Fit a model to the tables of a database, of which it reveals nothing but what the budget was spent on.

    Args:
        database: The keys and the schemas.
        tables: The tables by name; None: those of the database.
        budget: The budget.
        options: How to fit.
        journal: The folder in which releases are stored before they are used, and from which an interrupted fit goes
            on; None: nothing is stored.
        seeded: Whether the seed of the options was given; if not, an interrupted fit goes on with that of its journal.

    Raises:
        PrivacyError: Something is not declared, the tables break their keys, or the budget does not suffice; or the
            journal is of another fit, or cannot be written. If something was spent before, the error says so and
            carries the `ledger`.
        KeyboardInterrupt: The fit was interrupted; it has no model, since later tables depend on earlier ones.
    """
    database = with_unique_rules(database)
    read = read_privately(database, tables)
    plans = with_rules(
        database, plan_privately(database, read, budget), {name: table.column_names for name, table in read.items()}
    )
    kept = _open_journal(journal, database, read, budget, options, seeded=seeded)
    options = replace(options, seed=kept.seed)
    linked = link_privately(database, read, plans, budget.rows_of_tables or {})
    curator = Curator(Ledger(budget=budget), kept)
    with curator.reporting_failures():
        learner = _PrivateLearner(database, read, linked, plans, curator, options)
        for name in plans:
            learner.add(name)
    public = {name: read[name] for name in database.public}
    keys = database.model_copy(update={"tables": dict.fromkeys(database.tables)})
    return FittedDatabase(keys, learner.found, public, curator.ledger)


def _open_journal(
    folder: str | os.PathLike[str] | None,
    database: Database,
    read: Tables,
    budget: PrivacyBudget,
    options: Options,
    *,
    seeded: bool,
) -> Journal:
    """The journal of a fit, which another fit must not use; nothing in it depends on a private row."""
    inputs = {
        "database": database.model_copy(update={"tables": dict.fromkeys(database.tables)}).to_dict(),
        "columns": {name: table.column_names for name, table in read.items()},
        "public": {name: table_hash(read[name]) for name in database.public},
        "budget": budget.model_dump(mode="json"),
        "max_steps": options.max_steps,
        "shares": [ROOT_SHARE, BINS_SHARE, WEIGHTS_SHARE, RESIDUES_SHARE],
        "descent": DESCENT.model_dump(mode="json"),
        "network": CONFIG._asdict(),
        "synthvae": __version__,
    }
    return Journal.open(folder, inputs, options.seed if seeded else None, options.seed)


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
        model = (
            self._root(name, plan, table) if self.linked[name].family is None else self._child(name, plan, table, seed)
        )
        unique, within = self._unique(name, plan)
        arrow = self._arrow(name, plan)
        self.found[name] = FittedTable(arrow, plan.keys, plan.counts, model, unique, within, plan.totals)

    def _arrow(self, name: str, plan: PrivatePlan) -> pa.Schema:
        """The types of a table: those of the keys as they were read, of other columns as they were declared."""
        given, own = self.database.schemas.get(name), self.read[name].schema
        declared = pa.schema([]) if given is None or not given.columns else arrow_schema(given)
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

    def _root(self, name: str, plan: PrivatePlan, table: pa.Table) -> FittedRoot:
        """Fit a single private table, whose events are in the ledger, too; its seed is that of the journal."""
        share = ROOT_SHARE if len(self.plans) > 1 else 1.0
        counted = 0.0 if self.budget.rows is not None else ROWS_SHARE
        budget = PrivacyBudget(
            epsilon=share * (1 - counted) * self.budget.epsilon, delta=self.budget.delta, rows=self.rows
        )
        parameters = Synthesizer(
            max_steps=self.options.max_steps, device=self.options.device, verbose=self.options.verbose
        )
        model = fit_by_curator(parameters, table, plan.schema, PartCurator(self.curator, budget, name), descend)
        _refuse_part(model.history)
        model = self._with_residues(name, model, plan.schema, table)
        rows = table.select(model.encoding.names)
        root = FittedRoot(model, self.rows)
        self.ancestors[name] = Ancestor(rows, model.encode(rows), model.encoding.layout.slots, root.encodings)
        return root

    def _with_residues(self, name: str, model: FittedModel, schema: Schema, table: pa.Table) -> FittedModel:
        """The model of the root table, with the residues of its binned numbers."""
        if not (names := rounded_columns(schema)):
            return model

        def event(noise: float) -> Event:
            what = "last digits of numbers within their bins"
            return Event.of_counts(named(RESIDUES, name), 1, noise, times=len(names), purpose=what)

        share = RESIDUES_SHARE * self.budget.epsilon
        recorded = self.curator.record(event(calibrated(lambda noise: [event(noise)], share, self.budget.delta)))
        columns = with_residues(model.encoding.columns, names, table, self.curator, recorded)
        return replace(model, encoding=model.encoding.model_copy(update={"columns": columns}))

    @own_modes()
    def _child(self, name: str, plan: PrivatePlan, table: pa.Table, seed: int) -> FittedChild:
        own, order = self.linked[name], self.database.order.get(name)
        assert own.family is not None
        timeline = None if order is None else declared_timeline(plan.schema[order])
        columns = [c for c in plan.schema.columns if c.name != order]
        states: dict[str, Any] = {}
        if order is not None:
            columns, states = with_repeats(columns, but=() if plan.rules is None else plan.rules.names)
            table = mark(table, own.family, states)
        fields = [c.model_dump(exclude_unset=True) for c in columns]
        schema = Schema(columns=fields, constraints=plan.schema.constraints) if fields else None
        allocated = self._allocated(name, schema, timed=timeline is not None)
        rounded = [] if schema is None else rounded_columns(schema)
        if schema is not None:
            schema = with_bins(schema, table, own.family.subjects, self.curator, allocated.halvings)
        rows = None if schema is None else TableEncoding.declare(schema, None)
        if rows is not None and allocated.singles is not None:
            one = table.take(some_of_each(own.family.subjects, 1))
            coded = with_residues(rows.columns, rounded, one, self.curator, allocated.singles)
            rows = rows.model_copy(update={"columns": coded})
        across = None
        if plan.rules is not None:
            across = AcrossRules.learn(plan.rules, plan.ancestors, [column.name for column in columns], None)
        encoding = ChildEncoding(rows=rows, timeline=timeline, dates=(), across=across, repeats=states)
        above = [self.ancestors[other] for other in own.ancestors]
        sequences = encoding.encode(table, own.family, above, own.lines, np.random.default_rng(seed))
        network = build_sequences(encoding.sequence_slots([one.slots for one in above]), CONFIG, seed)
        if allocated.singles is not None:
            start(network, encoding, sequences, self.curator, allocated.singles)
        spending = Spending(allocated.gradients, self.descent, self.rows, 1)
        with progress.fitting(show=self.options.verbose) as report:
            self.curator.lend(allocated.gradients)
            history = PrivateSequenceDescent(network, sequences, spending, self.curator.journal).train(report)
        _refuse_part(history)
        self.ancestors[name] = as_ancestor(table, encoding, sequences)
        return FittedChild(schema, encoding, network, history)

    def _allocated(self, name: str, schema: Schema | None, *, timed: bool) -> _Allocated:
        """Record the events of a child table, by public numbers alone; the last table takes the rest of the budget."""
        budget, ledger = self.budget, self.curator.ledger
        before = spent(ledger.events, budget.delta, budget.epsilon)
        left = len(self.plans) - len(self.found)
        granted = (budget.epsilon - before) / left
        depth = 0 if schema is None else sum(one.depth for one in bisections_of(schema, None).values())
        columns = (0 if schema is None else len(schema.columns) + len(rounded_columns(schema))) + 2 * timed

        def counts(what: str, share: float, times: int, purpose: str) -> RecordedEvent | None:
            if not times:
                return None

            def event(noise: float) -> Event:
                return Event.of_counts(named(what, name), 1, noise, times=times, purpose=purpose)

            noise = calibrated(lambda noise: [event(noise)], share * granted, budget.delta)
            return self.curator.record(event(noise))

        halvings = counts(binning.HALVES, BINS_SHARE, depth, "bins of numeric columns, by one row of each subject")
        singles = counts(MARGINALS, WEIGHTS_SHARE, columns, "initial weights, by one row of each subject")
        events = self.curator.ledger.events
        noise = calibrated(lambda noise: [*events, self._gradients(name, noise)], before + granted, budget.delta)
        return _Allocated(halvings, singles, self.curator.record(self._gradients(name, noise)))

    def _gradients(self, name: str, noise: float) -> Event:
        return Event(
            name=named(GRADIENTS, name),
            mechanism="Poisson-sampled Gaussian",
            noise_multiplier=noise,
            sensitivity=self.descent.clip,
            sampling_rate=min(self.descent.batch / self.rows, 1.0),
            times=self.descent.steps,
            purpose="dependence of rows on their ancestors and on earlier rows",
        )


def _refuse_part(history: History) -> None:
    """Interrupt a fit of which a table was interrupted, so that later releases of a journal stay those of later tables.

    Raises:
        KeyboardInterrupt: Training was interrupted.
    """
    if history.stopped == "interrupted":
        raise KeyboardInterrupt
