"""A table learned under a privacy budget: the way from private rows to a model that may be shown."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from synthvae import __version__, generation
from synthvae.columns import split_marks, unit_numbers
from synthvae.conform import conform, labelled, refuse_other_columns
from synthvae.declared import decimals_of, limits
from synthvae.descent import Progress
from synthvae.encoding import Codes, Order, TableEncoding
from synthvae.encoding.binned import EACH
from synthvae.errors import PrivacyError, listing
from synthvae.generation import Request, Source
from synthvae.history import History
from synthvae.learned import LearnedTable, build
from synthvae.model import ModelConfig
from synthvae.privacy import Journal, Ledger, Plan, PrivacyBudget, discovery, partition
from synthvae.privacy.allocation import Allocation, Scope
from synthvae.privacy.curator import Curator
from synthvae.privacy.partition import Ruler
from synthvae.privacy.sampling import some_of_each
from synthvae.schema import NUMERIC, Column, Schema
from synthvae.seeds import as_seed
from synthvae.training import TrainingConfig, train

if TYPE_CHECKING:
    from synthvae.privacy.dpsgd import Descender

Units = npt.NDArray[np.int64] | None

SURE = 4.0  # standard deviations above which a count is no noise
DRAWN_ROWS = 30_000, 100_000  # fewest and most that a private decoder draws to be learned from


def learn(
    table: pa.Table,
    schema: Schema | None,
    target: str | None,
    budget: PrivacyBudget,
    *,
    plan: Plan,
    model: ModelConfig,
    training: TrainingConfig,
    journal: Journal,
    device: torch.device,
    descender: Descender,
    progress: Progress | None = None,
    order: Order = "auto",
) -> LearnedTable:
    """Fit a model to a table of which only what the budget buys is known afterwards.

    The rows are seen by `privacy` alone, which buys a decoder. The model is fitted to rows that this one draws, so that
    z and the encoder cost nothing. Without a schema one is bought, too. A `descender` follows the gradients, here or
    elsewhere.

    Raises:
        PrivacyError: The table has not the columns of the schema, or the budget does not suffice. If something was
            spent before, the error says so and carries the `ledger`.
    """
    from synthvae.privacy import learning

    seed, declared = journal.seed, schema is not None
    curator = Curator(Ledger(budget=budget), journal)
    with curator.accountable():
        rows, units, schema, allocation = _prepared(table, schema, target, curator, plan, order)
        schema = _with_bins(rows, schema, target, curator, allocation, trim=not declared)
        encoding = TableEncoding.declare(schema, target, order)
        network, codes = build(encoding, model, seed), encoding.encode(rows)
        bought = learning.learn(
            encoding, codes, units, curator, allocation, plan=plan, progress=progress, descender=descender
        )
        encoding = encoding.counted(bought.totals)
        drawn = _drawn(bought.source, encoding, int(np.clip(bought.totals.sum(), *DRAWN_ROWS)), seed)
        # What is to be learned is smooth, and half the steps will do.
        steps = training.max_steps or training.steps(len(drawn)) // 2
        shown = None if bought.history else _silent(progress)
        learned = train(network, drawn, training.model_copy(update={"max_steps": steps}), seed, shown)
        learning.match(network, encoding, bought, seed)
    history = bought.history or History(best_step=learned.best_step)
    if history.stopped == "finished" and learned.stopped != "early":
        history.stopped = learned.stopped
    return LearnedTable(schema, encoding, network.to(device), history, curator.ledger)


def _silent(progress: Progress | None) -> Progress | None:
    """Progress that tells no loss: it is none of the rows'."""
    return progress and (lambda step, steps, _: progress(step, steps, math.nan))


def foresee(
    schema: Schema | Sequence[str],
    target: str | None,
    budget: PrivacyBudget,
    *,
    plan: Plan,
    rows: int,
    order: Order = "auto",
) -> Ledger:
    """Return how the budget would be spent on about so many rows; none is looked at.

    Args:
        schema: The schema, or the names of the columns for which one is to be bought.
        target: The column to condition on.
        budget: What may be spent.
        plan: What it buys.
        rows: How many there are, about, unless the budget says it.
        order: In which columns are modelled.

    Raises:
        PrivacyError: The budget does not suffice.
    """
    curator = Curator(Ledger(budget=budget))
    names = schema if isinstance(schema, Schema) else [name for name in schema if name != budget.unit]
    scope = _scope(names, target, order)
    Allocation.record(curator, scope, plan, rows)
    return curator.ledger


def _scope(schema: Schema | Sequence[str], target: str | None, order: Order) -> Scope:
    """What a schema, or names of columns for which one is to be measured, settle of what a fit releases.

    Raises:
        SchemaError: The columns cannot be modelled.
    """
    from synthvae.privacy import learning

    assumed = schema if isinstance(schema, Schema) else discovery.pretended(schema, target)
    encoding = TableEncoding.declare(assumed, target, order)
    halvings = sum(ruler.depth for ruler in _rulers(assumed, target).values())
    if isinstance(schema, Schema):
        return Scope(0, halvings, len(learning.modelled(encoding)))
    # Whether a measured target has classes is not public: as numbers it is modelled like any other column.
    return Scope(len(schema), halvings, len(schema))


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
    partition.grow(rulers, numbers, curator, allocation.halvings)
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
    scope = _scope(features if schema is None else schema, target, order)  # what cannot be modelled costs nothing
    if schema is not None:
        refuse_other_columns([name for name in table.column_names if name in {*schema.names, *features}], schema)
        table = labelled(table, schema, target)
    table = _some_of_each(table, budget)
    allocation = Allocation.record(curator, scope, plan, lambda: table.num_rows)
    if schema is None:
        assert allocation.looks is not None, "there are columns whose schema is measured"
        schema = discovery.discover(table.select(features), target, curator, allocation.looks)
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


def _drawn(source: Source, encoding: TableEncoding, rows: int, seed: int) -> Codes:
    """Rows of what was bought, the classes in their shares."""
    counts = Request.total(rows, encoding.frequencies, seed).counts
    return generation.draw_codes(source, counts, encoding.layout.slots, torch.Generator().manual_seed(seed))
