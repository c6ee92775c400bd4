"""A schema bought with a part of the budget: what columns hold, which values many share, where numbers lie.

Names of columns, and types where a table has any, count as public. Each column's values are counted in cells that are
fixed beforehand, then by value; of the latter only those are told that hardly would be if one unit alone had them.

What is asked of a column follows from what was answered before; how often something is asked at most, and with which
noise, does not.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from synthvae.encoding.binned import EACH
from synthvae.errors import PrivacyError
from synthvae.privacy.accounting import calibrated
from synthvae.privacy.counts import histograms
from synthvae.privacy.counts.histograms import DATE, DECIMALS, EDGES, ELSE, MISSING, SORTS, WHOLE, YEARS, Counts
from synthvae.privacy.curator import Curator
from synthvae.privacy.events import Event
from synthvae.privacy.ledger import Ledger, RecordedEvent
from synthvae.schema.column import TEMPORAL, Column, Value
from synthvae.schema.domain import limits
from synthvae.schema.schema import Schema
from synthvae.tables.arrow import LARGEST_EXACT

LOOKS = 3  # at each column, at most
SHARE = 0.1  # of the squared budget, for the schema
DELTA_SHARE = 0.1  # of delta, for values that are told
SURE = 4.5  # standard deviations above which a count is no noise
MOSTLY = 0.95  # of the values that are there must be numbers, or moments, for a column of such
OTHER = "(other)"
LARGEST = 2**63 - 1  # whole number of a schema
HELD, VALUED, ENDED = "what columns hold", "values that many share, or where values lie", "ends of short ranges"


@dataclass(frozen=True)
class Looks:
    """The recorded events of a schema, each with one release for every column.

    Args:
        held: What columns hold.
        valued: Values that many share, or else where values lie.
        ended: Ends of short ranges.
    """

    held: RecordedEvent
    valued: RecordedEvent
    ended: RecordedEvent

    @classmethod
    def record(cls, curator: Curator, columns: int) -> Looks:
        """Record what a schema of so many columns may cost.

        Raises:
            PrivacyError: The budget does not suffice.
        """
        budget = curator.ledger.budget
        events = looks_at(curator.ledger, columns, noise_of(curator.ledger, columns), DELTA_SHARE * budget.delta)
        return cls(*map(curator.record, events))

    @property
    def sure(self) -> float:
        """The count above which there is something."""
        return float(SURE * self.held.event.scale)

    @property
    def least(self) -> int:
        """The least noisy count at which a value is told: one unit reaches it alone with a chance of delta at most.

        Its rows may each have another value. Source: Korolova et al. 2009, Releasing search queries and clicks
        privately, https://doi.org/10.1145/1526709.1526733, with other noise.
        """
        event = self.valued.event
        rows = int(event.sensitivity)
        excess = np.arange(math.ceil(40 * event.scale) + 2, dtype=float)
        chances = np.exp(-(excess**2) / (2 * event.scale**2))
        above = np.cumsum(chances[::-1])[::-1] / (2 * chances.sum() - 1)
        return rows + int(np.argmax(rows * above <= event.delta))


def noise_of(ledger: Ledger, columns: int) -> float:
    """The noise multiplier of each look at so many columns, all of them at their share of the budget."""

    def whole(noise: float) -> list[Event]:
        return [*ledger.events, Event.of_counts("the schema", ledger.budget.rows_of_one, noise)]

    noise = calibrated(whole, ledger.budget.epsilon, ledger.budget.delta)
    return float(noise * (LOOKS * columns / SHARE) ** 0.5)


def looks_at(ledger: Ledger, columns: int, noise: float, delta: float) -> tuple[Event, Event, Event]:
    """What looks at so many columns cost, `delta` being the chance to tell what one unit alone has in any of them."""
    rows, facts = ledger.budget.rows_of_one, {"times": columns, "bought": "the schema"}
    return (
        Event.of_counts(HELD, rows, noise, **facts),
        Event.of_counts(VALUED, rows, noise, delta=delta / columns, **facts),
        Event.of_counts(ENDED, rows, noise, **facts),
    )


def pretended(names: Sequence[str], target: str | None) -> Schema:
    """A schema in whose place another one will be bought: what learning costs hardly depends on it."""
    classes: dict[str, Any] = {"kind": "categorical", "categories": (0, 1), "nullable": False}
    number: dict[str, Any] = {"kind": "continuous", "bounds": (0.0, 1.0)}
    return Schema(columns=[Column(name=name, **(classes if name == target else number)) for name in names])


def discover(table: pa.Table, target: str | None, curator: Curator, looked: Looks) -> Schema:
    """Return a schema of private rows.

    Args:
        table: The rows, with no more of one unit than the budget says.
        target: The column to condition on.
        curator: Who releases counts.
        looked: What they cost.

    Raises:
        PrivacyError: The target has no value that many share.
    """
    names = table.column_names
    flat = curator.counts(looked.held, lambda: histograms.sorts_of(table), len(names))
    held = dict(zip(names, flat.reshape(-1, SORTS), strict=True))
    columns = {name: _declared(name, counts, looked.sure, is_target=name == target) for name, counts in held.items()}
    for name in names:
        values = table.column(name)
        if columns[name].kind == "categorical":
            counted = histograms.by_whole_number if _is_whole(held[name], looked.sure) else histograms.by_value
            told = curator.frequent(looked.valued, functools.partial(counted, values), looked.least)
            columns[name] = _with_categories(columns[name], told, held[name], looked.sure, is_target=name == target)
        else:
            cells = histograms.years if columns[name].kind in TEMPORAL else histograms.magnitudes
            counts = curator.counts(looked.valued, functools.partial(cells, values))
            columns[name] = _with_bounds(columns[name], counts, looked.sure)
    for name in filter(lambda name: _is_short(columns[name]), names):
        low, high = map(int, limits(columns[name]))
        counts = curator.counts(looked.ended, functools.partial(histograms.each, table.column(name), low, high))
        first, last = _filled(counts, looked.sure)
        columns[name] = columns[name].model_copy(update={"bounds": (low + first, low + last)})
    return Schema(columns=list(columns.values()), origin="measured privately")


def _declared(name: str, counts: Counts, sure: float, *, is_target: bool) -> Column:
    """What a column seems to be, by the noisy number of values (SORTS,) of each sort."""
    there = np.where(counts > sure, counts, 0)
    present, numbers, moments = there[WHOLE:].sum(), there[WHOLE:DATE], there[DATE:ELSE]
    nullable = bool(there[MISSING]) and not is_target
    if present and numbers.sum() >= MOSTLY * present and not (is_target and _is_whole(counts, sure)):
        finest = int(np.flatnonzero(numbers)[-1])
        nullable = nullable or bool(present > numbers.sum())
        if not finest:
            return Column(name=name, kind="integer", nullable=nullable)
        return Column(name=name, kind="continuous", decimals=finest if finest <= DECIMALS else None, nullable=nullable)
    if present and moments.sum() >= MOSTLY * present:
        return Column(name=name, kind="datetime" if moments[1] else "date", nullable=nullable)
    return Column(name=name, kind="categorical", nullable=nullable)


def _is_whole(counts: Counts, sure: float) -> bool:
    """Whether the values of a column seem to be whole numbers."""
    there = np.where(counts > sure, counts, 0)
    return bool(there[WHOLE] > 0 and there[WHOLE] == there[WHOLE:DATE].sum() >= MOSTLY * there[WHOLE:].sum())


def _with_categories(column: Column, told: dict[Value, int], counts: Counts, sure: float, *, is_target: bool) -> Column:
    """The column with the categories that were told, and one for many others; a column without any is ids."""
    # Whole numbers that a schema cannot hold stay what is written there.
    storable = all(-LARGEST <= value <= LARGEST for value in told if isinstance(value, int))
    categories = tuple(told) if storable else tuple(map(str, told))
    if is_target and not categories:
        raise PrivacyError(
            f"a target must have values that many rows share, however, {column.name!r} has none that could be told: "
            "declare the schema, or grant a larger budget"
        )
    others = counts[WHOLE:].sum() - sum(told.values())
    if not categories:
        if others > sure:
            return Column(name=column.name, kind="id", nullable=column.nullable)
        return column.model_copy(update={"categories": (), "nullable": True})
    if {str(value).casefold() for value in categories} <= {"true", "false"}:
        return Column(name=column.name, kind="boolean", nullable=column.nullable)
    if is_target or others <= sure or not all(isinstance(value, str) for value in categories):
        return column.model_copy(update={"categories": categories})
    other = next(name for name in (OTHER, *(f"{OTHER} {i}" for i in range(len(categories)))) if name not in categories)
    return column.model_copy(update={"categories": (*categories, other), "other_category": other})


def _is_short(column: Column) -> bool:
    """Whether each of its numbers will have a bin."""
    if column.kind != "integer" or column.bounds is None:
        return False
    low, high = limits(column)
    return 0 < high - low < EACH


def _filled(counts: Counts, sure: float) -> tuple[int, int]:
    """The first and the last cell that is not empty."""
    filled = np.flatnonzero(counts > sure)
    return (int(filled[0]), int(filled[-1])) if len(filled) else (int(counts.argmax()),) * 2


def _with_bounds(column: Column, counts: Counts, sure: float) -> Column:
    """The column with the bounds of the cells that are not empty."""
    first, last = _filled(counts, sure)
    bounds: tuple[Any, Any]
    if column.kind in TEMPORAL:
        bounds = dt.date(YEARS[0] + first, 1, 1), dt.date(YEARS[0] + last, 12, 31)
    elif column.kind == "integer":
        low, past = np.clip(EDGES[[first, last + 1]], -LARGEST_EXACT, LARGEST_EXACT)
        bounds = math.ceil(low), max(math.ceil(past) - 1, math.ceil(low))
    else:
        bounds = float(EDGES[first]), float(EDGES[last + 1])
    return Column(**{**column.model_dump(), "bounds": bounds})
