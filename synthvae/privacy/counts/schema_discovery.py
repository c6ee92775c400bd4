"""A schema measured with a part of the budget: value types of columns, frequent values, and value ranges.

Names of columns, and their types where a table has any, are taken as public. The values of each column are counted in
fixed cells, then by value; of the latter only those are released whose noisy count is above a threshold that a value of
a single unit hardly reaches.

The queries on a column may depend on earlier releases; the largest number of releases and their noise do not.
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
from synthvae.privacy.counts.histograms import DATE, DECIMALS, EDGES, ELSE, MISSING, TYPES, WHOLE, YEARS, Counts
from synthvae.privacy.curator import Curator
from synthvae.privacy.events import Event
from synthvae.privacy.ledger import Ledger, RecordedEvent
from synthvae.schema.column import TEMPORAL, Column, Value
from synthvae.schema.domain import limits
from synthvae.schema.drafts import OTHER
from synthvae.schema.schema import Schema
from synthvae.tables.arrow import LARGEST_EXACT

RELEASES = 3  # of each column, at most
SHARE = 0.1  # of the squared budget, for the schema
DELTA_SHARE = 0.1  # of delta, for values that are released
SURE = 4.5  # standard deviations above which a count is more than noise
MOSTLY = 0.95  # the share of present values that must be numbers, or timestamps, for a column of that kind
LARGEST = 2**63 - 1  # largest whole number in a schema
VALUE_TYPES = "value types of columns"
FREQUENT_VALUES = "frequent values or value ranges"
SHORT_RANGES = "bounds of short integer ranges"


@dataclass(frozen=True)
class SchemaEvents:
    """The recorded events of a schema, each with one release for every column.

    Args:
        types: The types of values.
        values: Frequent values, or else the range of values.
        ranges: The bounds of short integer ranges.
    """

    types: RecordedEvent
    values: RecordedEvent
    ranges: RecordedEvent

    @classmethod
    def record(cls, curator: Curator, columns: int) -> SchemaEvents:
        """Record the events of a schema of `columns` columns.

        Raises:
            PrivacyError: The budget does not suffice.
        """
        budget = curator.ledger.budget
        events = schema_events(curator.ledger, columns, noise_of(curator.ledger, columns), DELTA_SHARE * budget.delta)
        return cls(*map(curator.record, events))

    @property
    def sure(self) -> float:
        """The count above which a cell is not empty."""
        return float(SURE * self.types.event.scale)

    @property
    def threshold(self) -> int:
        """The least noisy count of a value that is released: one unit reaches it with probability delta at most.

        Each row of the unit may have another value. Source: Korolova et al. 2009, Releasing search queries and clicks
        privately, https://doi.org/10.1145/1526709.1526733, with other noise.
        """
        event = self.values.event
        rows = int(event.sensitivity)
        excess = np.arange(math.ceil(40 * event.scale) + 2, dtype=float)
        chances = np.exp(-(excess**2) / (2 * event.scale**2))
        above = np.cumsum(chances[::-1])[::-1] / (2 * chances.sum() - 1)
        return rows + int(np.argmax(rows * above <= event.delta))


def noise_of(ledger: Ledger, columns: int) -> float:
    """Return the noise multiplier of each release for a schema of `columns` columns, at their share of the budget."""

    def together(noise: float) -> list[Event]:
        return [*ledger.events, Event.of_counts("the schema", ledger.budget.max_rows_of_unit, noise)]

    noise = calibrated(together, ledger.budget.epsilon, ledger.budget.delta)
    return float(noise * (RELEASES * columns / SHARE) ** 0.5)


def schema_events(ledger: Ledger, columns: int, noise: float, delta: float) -> tuple[Event, Event, Event]:
    """Return the events of a schema; `delta` is the probability that a value of a single unit is revealed anywhere."""
    rows, fields = ledger.budget.max_rows_of_unit, {"times": columns, "purpose": "the schema"}
    return (
        Event.of_counts(VALUE_TYPES, rows, noise, **fields),
        Event.of_counts(FREQUENT_VALUES, rows, noise, delta=delta / columns, **fields),
        Event.of_counts(SHORT_RANGES, rows, noise, **fields),
    )


def assumed_schema(names: Sequence[str], target: str | None) -> Schema:
    """Return a schema in place of one that will be measured, to plan releases: numeric columns need most of them."""
    classes: dict[str, Any] = {"kind": "categorical", "categories": (0, 1), "nullable": False}
    number: dict[str, Any] = {"kind": "continuous", "bounds": (0.0, 1.0)}
    return Schema(columns=[Column(name=name, **(classes if name == target else number)) for name in names])


def discover(table: pa.Table, target: str | None, curator: Curator, events: SchemaEvents) -> Schema:
    """Return a schema of private rows.

    Args:
        table: The rows, with no more of one unit than the budget says.
        target: The column to condition on.
        curator: The curator that releases counts.
        events: The recorded events.

    Raises:
        PrivacyError: The target has no frequent value.
    """
    names = table.column_names
    flat = curator.counts(events.types, lambda: histograms.type_counts(table), len(names))
    types = dict(zip(names, flat.reshape(-1, TYPES), strict=True))
    columns = {name: _declared(name, counts, events.sure, is_target=name == target) for name, counts in types.items()}
    for name in names:
        values = table.column(name)
        if columns[name].kind == "categorical":
            counted = histograms.by_whole_number if _is_whole(types[name], events.sure) else histograms.by_value
            frequent = curator.frequent_values(events.values, functools.partial(counted, values), events.threshold)
            is_target = name == target
            columns[name] = _with_categories(columns[name], frequent, types[name], events.sure, is_target=is_target)
        else:
            cells = histograms.years if columns[name].kind in TEMPORAL else histograms.magnitudes
            counts = curator.counts(events.values, functools.partial(cells, values))
            columns[name] = _with_bounds(columns[name], counts, events.sure)
    for name in filter(lambda name: _is_short(columns[name]), names):
        low, high = map(int, limits(columns[name]))
        exact = functools.partial(histograms.integers, table.column(name), low, high)
        first, last = _filled(curator.counts(events.ranges, exact), events.sure)
        columns[name] = columns[name].model_copy(update={"bounds": (low + first, low + last)})
    return Schema(columns=list(columns.values()), origin="measured privately")


def _declared(name: str, counts: Counts, sure: float, *, is_target: bool) -> Column:
    """A column of the kind that the noisy number of values (TYPES,) of each type suggests."""
    there = np.where(counts > sure, counts, 0)
    present, numbers, timestamps = there[WHOLE:].sum(), there[WHOLE:DATE], there[DATE:ELSE]
    nullable = bool(there[MISSING]) and not is_target
    if present and numbers.sum() >= MOSTLY * present and not (is_target and _is_whole(counts, sure)):
        finest = int(np.flatnonzero(numbers)[-1])
        nullable = nullable or bool(present > numbers.sum())
        if not finest:
            return Column(name=name, kind="integer", nullable=nullable)
        return Column(name=name, kind="continuous", decimals=finest if finest <= DECIMALS else None, nullable=nullable)
    if present and timestamps.sum() >= MOSTLY * present:
        return Column(name=name, kind="datetime" if timestamps[1] else "date", nullable=nullable)
    return Column(name=name, kind="categorical", nullable=nullable)


def _is_whole(counts: Counts, sure: float) -> bool:
    """Whether the values of a column are whole numbers, by the noisy number of values of each type."""
    there = np.where(counts > sure, counts, 0)
    return bool(there[WHOLE] > 0 and there[WHOLE] == there[WHOLE:DATE].sum() >= MOSTLY * there[WHOLE:].sum())


def _with_categories(
    column: Column, frequent: dict[Value, int], counts: Counts, sure: float, *, is_target: bool
) -> Column:
    """The column with frequent values as categories, and one for many others; without any it becomes an identifier."""
    # Whole numbers that a schema cannot hold become text.
    storable = all(-LARGEST <= value <= LARGEST for value in frequent if isinstance(value, int))
    categories = tuple(frequent) if storable else tuple(map(str, frequent))
    if is_target and not categories:
        raise PrivacyError(
            f"The target must have values that many rows share, got {column.name!r} without a value above the "
            "threshold. Declare the schema, or grant a larger budget."
        )
    there = counts[WHOLE:][counts[WHOLE:] > sure]
    others = there.sum() - sum(frequent.values())
    many = sure * math.sqrt(len(there) + len(frequent))  # each of these counts has noise of its own
    if not categories:
        if others > many:
            return Column(name=column.name, kind="id", nullable=column.nullable)
        return column.model_copy(update={"categories": (), "nullable": True})
    if {str(value).casefold() for value in categories} <= {"true", "false"}:
        return Column(name=column.name, kind="boolean", nullable=column.nullable)
    if is_target or others <= many or not all(isinstance(value, str) for value in categories):
        return column.model_copy(update={"categories": categories})
    other = next(name for name in (OTHER, *(f"{OTHER} {i}" for i in range(len(categories)))) if name not in categories)
    return column.model_copy(update={"categories": (*categories, other), "other_category": other})


def _is_short(column: Column) -> bool:
    """Whether each integer of the column will have a bin of its own."""
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
