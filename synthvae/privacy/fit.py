"""Fitting under a privacy budget: from private rows to a model that may be published."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from synthvae._version import __version__
from synthvae.encoding import Codes, Order, TableEncoding
from synthvae.encoding.binned import EACH
from synthvae.encoding.rules.repair import repaired_alone
from synthvae.errors import PrivacyError, brief, listing
from synthvae.generation import drawing
from synthvae.generation.drawing import RowSampler
from synthvae.generation.request import Request
from synthvae.model import CVAE, ModelConfig
from synthvae.model.build import build
from synthvae.privacy.allocation import Allocation, Scope
from synthvae.privacy.budget import PrivacyBudget
from synthvae.privacy.counts import binning, schema_discovery
from synthvae.privacy.counts.binning import Bisection
from synthvae.privacy.curator import Curator, DryRun
from synthvae.privacy.dpsgd.poisson import PrivateRows, some_of_each
from synthvae.privacy.journal import Journal
from synthvae.privacy.ledger import Ledger
from synthvae.privacy.plan import Plan
from synthvae.random_state import as_seed
from synthvae.schema.coercion import conform, labelled, refuse_other_columns
from synthvae.schema.column import NUMERIC, Column
from synthvae.schema.domain import decimals_of, limits
from synthvae.schema.schema import Schema
from synthvae.tables.arrow import split_sentinels, unit_numbers
from synthvae.training import TrainingConfig, train
from synthvae.training.history import History
from synthvae.training.loop import Progress

if TYPE_CHECKING:
    from synthvae.privacy.dpsgd.trainer import Descender
    from synthvae.privacy.measure import Measurement


Units = npt.NDArray[np.int64] | None

SURE = 4.0  # standard deviations above which a count is more than noise
DRAWN_ROWS = 30_000, 100_000  # the fewest and the most synthetic rows on which the saved model is trained


@dataclass(frozen=True)
class Setup:
    """The configuration of a private fit; nothing in it depends on a row.

    Args:
        plan: How the budget is spent.
        model: The configuration of the model that is saved.
        training: How that model is trained, on rows that a private decoder draws.
        descender: What runs DP-SGD, in this process or elsewhere.
        progress: Called with step, last step and NaN in place of a loss after each step.
        order: The order in which columns are modelled.
        repair: Whether rows that break a rule of the schema are repaired, see `synthvae.encoding.rules.repair`.
    """

    __repr__ = brief

    plan: Plan
    model: ModelConfig
    training: TrainingConfig
    descender: Descender
    progress: Progress | None = None
    order: Order = "auto"
    repair: bool = False


class PrivateFit(NamedTuple):
    """The result of a private fit.

    Args:
        schema: The schema, declared or measured.
        encoding: The encoding of the columns.
        network: The fitted network.
        history: The history of training, without losses.
        ledger: What was spent.
    """

    schema: Schema
    encoding: TableEncoding
    network: CVAE
    history: History
    ledger: Ledger


@dataclass(frozen=True)
class _Prepared:
    """Private rows before they are encoded.

    Args:
        table: The rows, which obey the schema.
        units: The unit of each row (rows,); None: each row is a unit of its own.
        schema: The schema, declared or measured.
        allocation: The recorded events of the fit.
    """

    __repr__ = brief

    table: pa.Table
    units: Units
    schema: Schema
    allocation: Allocation


def learn(table: pa.Table, schema: Schema | None, target: str | None, curator: Curator, setup: Setup) -> PrivateFit:
    """Fit a model to a table, of which it reveals nothing but what the budget of the curator was spent on.

    Only this package reads the rows, and trains a private decoder on them. The model is fitted to rows that this
    decoder draws, so that its encoder and z cost nothing. Without a schema, one is measured as well.

    Args:
        table: The rows.
        schema: The declared schema; None: one is measured.
        target: The column to condition on.
        curator: Releases counts and gradients of the rows; nothing is recorded in its ledger before.
        setup: How to fit.

    Raises:
        PrivacyError: The table does not have the columns of the schema, or the budget does not suffice. If something
            was spent before, the error says so and carries the `ledger`.
    """
    from synthvae.privacy.measure import match, measure

    budget, seed = curator.ledger.budget, curator.journal.seed
    if budget.rows_of_tables is not None:
        raise PrivacyError(
            "`rows_of_tables` must not be given for a single table. Name the `unit` and its `rows_per_unit`."
        )
    with curator.reporting_failures():
        prepared = _prepared(table, schema, target, curator, setup)
        full = _with_bins(prepared, target, curator, trim=schema is None)
        encoding = TableEncoding.declare(full, target, setup.order)
        network = build(encoding.layout.slots, encoding.conditions, setup.model, seed)
        codes = encoding.encode(prepared.table)
        measurement = measure(
            encoding,
            PrivateRows.of(codes.digits, codes.labels, prepared.units, budget.max_rows_of_unit),
            curator,
            prepared.allocation,
            plan=setup.plan,
            descender=setup.descender,
            progress=setup.progress,
        )
        encoding = encoding.counted(measurement.totals)
        trained = _train(network, encoding, measurement, setup, seed)
        match(network, encoding, measurement, seed)
    history = measurement.history or History(best_step=trained.best_step)
    if history.stopped == "finished" and trained.stopped != "early":
        history.stopped = trained.stopped
    return PrivateFit(full, encoding, network, history, curator.ledger)


def _train(network: CVAE, encoding: TableEncoding, measurement: Measurement, setup: Setup, seed: int) -> History:
    """Train a network on rows that are drawn from the source of a measurement."""
    drawn = _synthetic(measurement.source, encoding, int(np.clip(measurement.totals.sum(), *DRAWN_ROWS)), seed)
    # What the source draws is smooth, so that half the steps suffice.
    steps = setup.training.max_steps or setup.training.schedule(len(drawn), network.config.decoder).steps // 2
    shown = None if measurement.history else _without_loss(setup.progress)
    return train(network, drawn, setup.training.model_copy(update={"max_steps": steps}), seed, shown)


def _without_loss(progress: Progress | None) -> Progress | None:
    """Progress with NaN in place of a loss on synthetic rows, which would be mistaken for one on the private rows."""
    return progress and (lambda step, steps, _: progress(step, steps, math.nan))


def dry_run(
    schema: Schema | Sequence[str],
    target: str | None,
    budget: PrivacyBudget,
    *,
    plan: Plan,
    rows: int,
    order: Order = "auto",
) -> Ledger:
    """Return the ledger of a fit to about `rows` rows, by the code that allocates the budget of a fit; no row is read.

    Args:
        schema: The schema, or the names of the columns for which one is to be measured.
        target: The column to condition on.
        budget: What may be spent.
        plan: How the budget is spent.
        rows: The number of rows, roughly, unless the budget declares it.
        order: The order in which columns are modelled.

    Raises:
        PrivacyError: The budget does not suffice.
    """
    curator = DryRun(Ledger(budget=budget), rows)
    Allocation.record(curator, _scope(schema, target, budget.unit, order), plan, lambda: rows)
    return curator.ledger


def _scope(schema: Schema | Sequence[str], target: str | None, unit: str | None, order: Order) -> Scope:
    """The scope of a table with a schema, or with columns for which one is to be measured.

    Raises:
        SchemaError: The columns cannot be modelled.
    """
    from synthvae.privacy.measure import modelled

    if isinstance(schema, Schema):
        return Scope(0, _depth(schema, target), len(modelled(TableEncoding.declare(schema, target, order))))
    names = [name for name in schema if name != unit]
    assumed = schema_discovery.assumed_schema(names, target)
    TableEncoding.declare(assumed, target, order)
    # Whether a measured target has classes is not public: the events suffice for a numeric one, which is modelled.
    return Scope(len(names), _depth(assumed, target), len(names))


def _depth(schema: Schema, target: str | None) -> int:
    return sum(bisection.depth for bisection in bisections_of(schema, target).values())


def open_journal(
    folder: str | os.PathLike[str] | None,
    schema: Schema | None,
    budget: PrivacyBudget,
    seed: int | None,
    **metadata: Any,
) -> Journal:
    """Return the journal of a fit, a new one if `folder` holds none; `seed` is None if none was given.

    Raises:
        PrivacyError: It is of another fit, or cannot be written.
    """
    declared = None if schema is None else schema.model_dump(mode="json")
    fit = {"schema": declared, "budget": budget.model_dump(mode="json"), "synthvae": __version__, **metadata}
    return Journal.open(folder, fit, seed, as_seed(None))


def bisections_of(schema: Schema, target: str | None) -> dict[str, Bisection]:
    """The bisections of the bounds of all numeric columns without declared bins."""
    unknown = [c for c in schema.columns if c.kind in NUMERIC and c.bins is None and c.name != target]
    found = {column.name: Bisection.between(*limits(column), decimals_of(column)) for column in unknown}
    return {name: bisection for name, bisection in found.items() if bisection.last >= EACH}


def _with_bins(prepared: _Prepared, target: str | None, curator: Curator, *, trim: bool) -> Schema:
    """The schema with bins for all numeric columns, in bounds that are `trim`med if they were measured."""
    schema, recorded = prepared.schema, prepared.allocation.halvings
    bisections = bisections_of(schema, target)
    if not bisections or recorded is None:
        return schema
    numbers = {
        name: split_sentinels(prepared.table.column(name), schema[name].sentinels)[0].to_numpy() for name in bisections
    }
    binning.bisect(bisections, numbers, curator, recorded)
    sure = SURE * recorded.event.scale if trim else None
    columns = [binned(c, bisections[c.name], sure) if c.name in bisections else c for c in schema.columns]
    return schema.model_copy(update={"columns": tuple(columns)})


def binned(column: Column, bisection: Bisection, sure: float | None) -> Column:
    """The column with measured bins, within the bounds where intervals hold more than `sure` rows, if given."""
    decimals = decimals_of(column)
    cuts = bisection.cuts(decimals)
    if sure is None:
        return column.model_copy(update={"bins": cuts})
    low, high = bisection.trimmed(sure, decimals)
    bounds = (int(low), int(high)) if column.kind == "integer" else (low, high)
    return column.model_copy(update={"bounds": bounds, "bins": tuple(cut for cut in cuts if low < cut <= high)})


def _prepared(table: pa.Table, schema: Schema | None, target: str | None, curator: Curator, setup: Setup) -> _Prepared:
    """Record all events, measure the schema if none is declared, and make the rows obey it.

    Rows without a unit or without an allowed class are left out, and rows of a unit beyond its cap are dropped before
    anything is released.
    """
    budget = curator.ledger.budget
    table = _owned(table, budget)
    # Columns that cannot be modelled are refused before anything is released.
    scope = _scope(table.column_names if schema is None else schema, target, budget.unit, setup.order)
    features = [name for name in table.column_names if name != budget.unit]
    if schema is not None:
        refuse_other_columns([name for name in table.column_names if name in {*schema.names, *features}], schema)
        table = labelled(table, schema, target)
    table = _some_of_each(table, budget)
    allocation = Allocation.record(curator, scope, setup.plan, lambda: table.num_rows)
    if schema is None:
        assert allocation.schema is not None, "there are columns whose schema is measured"
        schema = schema_discovery.discover(table.select(features), target, curator, allocation.schema)
        TableEncoding.declare(schema, target, setup.order)
        table = labelled(table, schema, target)
    units, table = _units(table, budget), conform(table, schema)
    if setup.repair and schema.constraints:
        table, kept = repaired_alone(table, schema, target)
        units = None if units is None else units[kept]
    return _Prepared(table, units, schema, allocation)


def _owned(table: pa.Table, budget: PrivacyBudget) -> pa.Table:
    """The rows whose unit is not missing."""
    if budget.unit is None:
        return table
    if budget.unit not in table.column_names:
        raise PrivacyError(
            f"The unit must be a column of the table, got {budget.unit!r}, which is not among "
            f"{listing(table.column_names)}. Name the column that identifies the unit of each row."
        )
    return table.take(np.flatnonzero(unit_numbers(table.column(budget.unit)) >= 0))


def _units(table: pa.Table, budget: PrivacyBudget) -> Units:
    """The unit of each row (rows,) as a number; None: each row is a unit of its own."""
    if budget.unit is None:
        return None
    return unit_numbers(table.column(budget.unit))


def _some_of_each(table: pa.Table, budget: PrivacyBudget) -> pa.Table:
    """The table without the rows of units beyond their cap."""
    units = _units(table, budget)
    return table if units is None else table.take(some_of_each(units, budget.rows_per_unit))


def _synthetic(source: RowSampler, encoding: TableEncoding, rows: int, seed: int) -> Codes:
    """Rows drawn from a source, with the class frequencies of the encoding."""
    counts = Request.from_total(rows, encoding.frequencies, seed).counts
    return drawing.draw_codes(source, counts, encoding.layout.slots, torch.Generator().manual_seed(seed))
