"""A table learned under a privacy budget: the way from private rows to a model that may be shown."""

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
from synthvae.errors import PrivacyError, listing
from synthvae.generation import drawing
from synthvae.generation.drawing import Source
from synthvae.generation.request import Request
from synthvae.model import CVAE, ModelConfig
from synthvae.model.build import build
from synthvae.privacy.allocation import Allocation, Scope
from synthvae.privacy.budget import PrivacyBudget
from synthvae.privacy.counts import binning, schema_discovery
from synthvae.privacy.counts.binning import Ruler
from synthvae.privacy.curator import Curator, DryRun
from synthvae.privacy.dpsgd.poisson import some_of_each
from synthvae.privacy.journal import Journal
from synthvae.privacy.ledger import Ledger
from synthvae.privacy.plan import Plan
from synthvae.random_state import as_seed
from synthvae.schema.coercion import conform, labelled, refuse_other_columns
from synthvae.schema.column import NUMERIC, Column
from synthvae.schema.domain import decimals_of, limits
from synthvae.schema.schema import Schema
from synthvae.tables.arrow import split_marks, unit_numbers
from synthvae.training import TrainingConfig, train
from synthvae.training.history import History
from synthvae.training.loop import Progress

if TYPE_CHECKING:
    from synthvae.privacy.dpsgd.trainer import Descender


Units = npt.NDArray[np.int64] | None

SURE = 4.0  # standard deviations above which a count is no noise
DRAWN_ROWS = 30_000, 100_000  # fewest and most that a private decoder draws to be learned from


@dataclass(frozen=True)
class Setup:
    """How a private fit is done; nothing of it depends on a row.

    Args:
        plan: How the budget is spent.
        model: The model that is kept.
        training: How that one is trained, on rows that a private decoder draws.
        journal: Where noisy answers are kept, so that none is paid for twice.
        descender: What follows the gradients, here or elsewhere.
        progress: Called with step, last step and no loss after each step.
        order: In which order columns are modelled.
    """

    plan: Plan
    model: ModelConfig
    training: TrainingConfig
    journal: Journal
    descender: Descender
    progress: Progress | None = None
    order: Order = "auto"


class PrivateFit(NamedTuple):
    """What a private fit found.

    Args:
        schema: The schema, declared or measured.
        encoding: How columns are coded.
        network: The fitted network.
        history: How training went, without losses.
        ledger: What was spent.
    """

    schema: Schema
    encoding: TableEncoding
    network: CVAE
    history: History
    ledger: Ledger


def learn(
    table: pa.Table, schema: Schema | None, target: str | None, budget: PrivacyBudget, setup: Setup
) -> PrivateFit:
    """Fit a model to a table of which nothing is known afterwards but what the budget paid for.

    The rows are seen by this package alone, which trains a private decoder. The model is fitted to rows that this
    decoder draws, so that z and the encoder cost nothing. Without a schema one is measured, too.

    Raises:
        PrivacyError: The table has not the columns of the schema, or the budget does not suffice. If something was
            spent before, the error says so and carries the `ledger`.
    """
    from synthvae.privacy import measure

    seed, declared, order = setup.journal.seed, schema is not None, setup.order
    curator = Curator(Ledger(budget=budget), setup.journal)
    with curator.accountable():
        rows, units, schema, allocation = _prepared(table, schema, target, curator, setup.plan, order)
        schema = _with_bins(rows, schema, target, curator, allocation, trim=not declared)
        encoding = TableEncoding.declare(schema, target, order)
        network = build(encoding.layout.slots, encoding.conditions, setup.model, seed)
        bought = measure.learn(
            encoding,
            encoding.encode(rows),
            units,
            curator,
            allocation,
            plan=setup.plan,
            progress=setup.progress,
            descender=setup.descender,
        )
        encoding = encoding.counted(bought.totals)
        drawn = _synthetic(bought.source, encoding, int(np.clip(bought.totals.sum(), *DRAWN_ROWS)), seed)
        # What is to be learned is smooth, and half the steps will do.
        steps = setup.training.max_steps or setup.training.steps(len(drawn)) // 2
        shown = None if bought.history else _silent(setup.progress)
        learned = train(network, drawn, setup.training.model_copy(update={"max_steps": steps}), seed, shown)
        measure.match(network, encoding, bought, seed)
    history = bought.history or History(best_step=learned.best_step)
    if history.stopped == "finished" and learned.stopped != "early":
        history.stopped = learned.stopped
    return PrivateFit(schema, encoding, network, history, curator.ledger)


def _silent(progress: Progress | None) -> Progress | None:
    """Progress that tells no loss: it is none of the rows'."""
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
    """The number of releases that a schema, or the names of columns for which one is to be measured, settles.

    Raises:
        SchemaError: The columns cannot be modelled.
    """
    from synthvae.privacy import measure

    if isinstance(schema, Schema):
        encoding = TableEncoding.declare(schema, target, order)
        return Scope(0, _depth(schema, target), len(measure.modelled(encoding)))
    names = [name for name in schema if name != unit]
    assumed = schema_discovery.pretended(names, target)
    TableEncoding.declare(assumed, target, order)
    # Whether a measured target has classes is not public: as numbers it is modelled like any other column.
    return Scope(len(names), _depth(assumed, target), len(names))


def _depth(schema: Schema, target: str | None) -> int:
    return sum(ruler.depth for ruler in _rulers(schema, target).values())


def open_journal(
    folder: str | os.PathLike[str] | None,
    schema: Schema | None,
    budget: PrivacyBudget,
    seed: int | None,
    **facts: Any,
) -> Journal:
    """Return the journal of a fit, a new one if `folder` holds none; `seed` is None if none was given.

    Raises:
        PrivacyError: It is of another fit, or cannot be written.
    """
    declared = None if schema is None else schema.model_dump(mode="json")
    pages = {"schema": declared, "budget": budget.model_dump(mode="json"), "synthvae": __version__, **facts}
    return Journal.open(folder, pages, seed, as_seed(None))


def _rulers(schema: Schema, target: str | None) -> dict[str, Ruler]:
    """For the numbers whose bins have to be bought, the bounds in which they lie."""
    unknown = [c for c in schema.columns if c.kind in NUMERIC and c.bins is None and c.name != target]
    found = {column.name: Ruler.over(*limits(column), decimals_of(column)) for column in unknown}
    return {name: ruler for name, ruler in found.items() if ruler.last >= EACH}


def _with_bins(
    table: pa.Table, schema: Schema, target: str | None, curator: Curator, allocation: Allocation, *, trim: bool
) -> Schema:
    """The schema with bins for all numbers, in bounds that are `trim`med if they were measured."""
    rulers = _rulers(schema, target)
    if not rulers or allocation.halvings is None:
        return schema
    numbers = {name: split_marks(table.column(name), schema[name].marks)[0].to_numpy() for name in rulers}
    binning.grow(rulers, numbers, curator, allocation.halvings)
    sure = SURE * allocation.halvings.event.scale if trim else None
    columns = [_binned(c, rulers[c.name], sure) if c.name in rulers else c for c in schema.columns]
    return schema.model_copy(update={"columns": tuple(columns)})


def _binned(column: Column, ruler: Ruler, sure: float | None) -> Column:
    """The column with the bins bought, within the bounds where at least `sure` rows are, if that is given."""
    decimals = decimals_of(column)
    cuts = ruler.cuts(decimals)
    if sure is None:
        return column.model_copy(update={"bins": cuts})
    low, high = ruler.trimmed(sure, decimals)
    bounds = (int(low), int(high)) if column.kind == "integer" else (low, high)
    return column.model_copy(update={"bounds": bounds, "bins": tuple(cut for cut in cuts if low < cut <= high)})


def _prepared(  # noqa: PLR0917 (what a fit is given)
    table: pa.Table, schema: Schema | None, target: str | None, curator: Curator, plan: Plan, order: Order
) -> tuple[pa.Table, Units, Schema, Allocation]:
    """The rows that obey a schema, declared or measured, whose each is, that schema, and all that is recorded.

    Rows that are nobody's, or of no class, are left out, those of one unit beyond its cap before anything is released.
    """
    budget = curator.ledger.budget
    table = _owned(table, budget)
    features = [name for name in table.column_names if name != budget.unit]
    # What cannot be modelled is refused before anything is released.
    scope = _scope(table.column_names if schema is None else schema, target, budget.unit, order)
    if schema is not None:
        refuse_other_columns([name for name in table.column_names if name in {*schema.names, *features}], schema)
        table = labelled(table, schema, target)
    table = _some_of_each(table, budget)
    allocation = Allocation.record(curator, scope, plan, lambda: table.num_rows)
    if schema is None:
        assert allocation.looks is not None, "there are columns whose schema is measured"
        schema = schema_discovery.discover(table.select(features), target, curator, allocation.looks)
        TableEncoding.declare(schema, target, order)
        table = labelled(table, schema, target)
    return conform(table, schema), _units(table, budget), schema, allocation


def _owned(table: pa.Table, budget: PrivacyBudget) -> pa.Table:
    """The rows that are somebody's."""
    if budget.unit is None:
        return table
    if budget.unit not in table.column_names:
        raise PrivacyError(
            f"the unit must be a column of the table, however, {budget.unit!r} is not among "
            f"{listing(table.column_names)}: name the column that says whose row it is"
        )
    return table.take(np.flatnonzero(unit_numbers(table.column(budget.unit)) >= 0))


def _units(table: pa.Table, budget: PrivacyBudget) -> Units:
    """Whose row each is (rows,); None: each is a unit of its own."""
    if budget.unit is None:
        return None
    return unit_numbers(table.column(budget.unit))


def _some_of_each(table: pa.Table, budget: PrivacyBudget) -> pa.Table:
    """The table without what units have beyond their cap."""
    units = _units(table, budget)
    return table if units is None else table.take(some_of_each(units, budget.rows_per_unit))


def _synthetic(source: Source, encoding: TableEncoding, rows: int, seed: int) -> Codes:
    """Rows of what was bought, the classes in their shares."""
    counts = Request.total(rows, encoding.frequencies, seed).counts
    return drawing.draw_codes(source, counts, encoding.layout.slots, torch.Generator().manual_seed(seed))
