"""A schema bought with a part of the budget: what columns hold, which values many share, where numbers lie.

Names of columns, and types where a table has any, count as public. Each column's values are counted in cells that are
fixed beforehand, then by value; of the latter only those are told that hardly would be if one unit alone had them.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from synthvae.columns import LARGEST_EXACT
from synthvae.declared import limits
from synthvae.encoding.binned import EACH
from synthvae.errors import PrivacyError
from synthvae.privacy import looks, mechanisms
from synthvae.privacy.journal import Journal
from synthvae.privacy.ledger import Event, Ledger, calibrated
from synthvae.privacy.looks import DATE, DECIMALS, EDGES, ELSE, MISSING, SORTS, WHOLE, YEARS, Counts
from synthvae.privacy.releases import noisy
from synthvae.schema import NUMERIC, TEMPORAL, Column, Schema, Value

LOOKS = 3  # at each column, at most
SHARE = 0.1  # of the squared budget, for the schema
DELTA_SHARE = 0.1  # of delta, for values that are told
SURE = 4.5  # standard deviations above which a count is no noise
MOSTLY = 0.95  # of the values that are there must be numbers, or moments, for a column of such
OTHER = "(other)"


@dataclass(frozen=True)
class Shopping:
    """What is bought alike for every column.

    Args:
        noise: The noise multiplier.
        delta: The chance, for each column, to tell a value that one unit alone has.
        rows: Of one unit, at most.
    """

    noise: float
    delta: float
    rows: int

    @classmethod
    def of(cls, ledger: Ledger, columns: int) -> Shopping:
        """What a ledger's budget is good for on so many columns."""
        budget, rows = ledger.budget, ledger.budget.rows_of_one

        def whole(noise: float) -> list[Event]:
            return [cls(noise, 0.0, rows).event("what columns hold", 1)]

        noise = calibrated(whole, budget.epsilon, budget.delta)
        return cls(noise * (LOOKS * columns / SHARE) ** 0.5, DELTA_SHARE * budget.delta / columns, rows)

    @property
    def scale(self) -> float:
        """Of the noise, in rows."""
        return self.noise * self.rows

    @property
    def sure(self) -> float:
        """The count above which there is something."""
        return SURE * self.scale

    @property
    def least(self) -> int:
        """The least noisy count at which a value is told: one unit reaches it alone with a chance of delta at most.

        Its rows may each have another value. Source: Korolova et al. 2009, Releasing search queries and clicks
        privately, https://doi.org/10.1145/1526709.1526733, with other noise.
        """
        excess = np.arange(math.ceil(40 * self.scale) + 2, dtype=float)
        chances = np.exp(-(excess**2) / (2 * self.scale**2))
        above = np.cumsum(chances[::-1])[::-1] / (2 * chances.sum() - 1)
        return self.rows + int(np.argmax(self.rows * above <= self.delta))

    def event(self, name: str, times: int, delta: float = 0.0) -> Event:
        """What it costs."""
        return Event.of_counts(name, self.rows, self.noise, times=times, delta=delta, bought="the schema")


def foresee(ledger: Ledger, columns: int) -> Ledger:
    """Return the ledger with the most that a schema may cost."""
    shopping = Shopping.of(ledger, columns)
    ledger = ledger.record(shopping.event("what columns hold", columns))
    ledger = ledger.record(shopping.event("values that many share", columns, shopping.delta))
    return ledger.record(shopping.event("ends of short ranges", columns))


def pretended(names: Sequence[str], target: str | None) -> Schema:
    """A schema in whose place another one will be bought: what learning costs hardly depends on it."""
    classes: dict[str, Any] = {"kind": "categorical", "categories": (0, 1), "nullable": False}
    number: dict[str, Any] = {"kind": "continuous", "bounds": (0.0, 1.0)}
    return Schema(columns=[Column(name=name, **(classes if name == target else number)) for name in names])


def buy(table: pa.Table, target: str | None, ledger: Ledger, journal: Journal) -> tuple[Schema, Ledger]:
    """Return the schema of private rows, and what it cost.

    Raises:
        PrivacyError: The target has no value that many share.
    """
    names = table.column_names
    shopping = Shopping.of(ledger, len(names))
    ledger = ledger.record(shopping.event("what columns hold", len(names)))
    flat = noisy(lambda: looks.sorts_of(table), shopping.event("what columns hold", 1), journal)
    held = dict(zip(names, flat.reshape(-1, SORTS), strict=True))
    columns = {name: _declared(name, counts, shopping, is_target=name == target) for name, counts in held.items()}
    for name in [name for name in names if columns[name].kind == "categorical"]:
        ledger = ledger.record(shopping.event("values that many share", 1, shopping.delta))
        values, whole = table.column(name), _is_whole(held[name], shopping)
        told = _told(functools.partial(looks.by_whole_number if whole else looks.by_value, values), shopping, journal)
        columns[name] = _with_categories(columns[name], told, held[name], shopping, is_target=name == target)
    for name in [name for name in names if columns[name].kind in (*NUMERIC, *TEMPORAL)]:
        event = shopping.event("where values lie", 1)
        ledger = ledger.record(event)
        cells = looks.years if columns[name].kind in TEMPORAL else looks.magnitudes
        counts = noisy(functools.partial(cells, table.column(name)), event, journal)
        columns[name] = _with_bounds(columns[name], counts, shopping)
    for name in [name for name in names if _is_short(columns[name])]:
        event = shopping.event("ends of short ranges", 1)
        ledger = ledger.record(event)
        low, high = map(int, limits(columns[name]))
        first, last = _filled(
            noisy(functools.partial(looks.each, table.column(name), low, high), event, journal), shopping
        )
        columns[name] = columns[name].model_copy(update={"bounds": (low + first, low + last)})
    return Schema(columns=list(columns.values())), ledger


def _declared(name: str, counts: Counts, shopping: Shopping, *, is_target: bool) -> Column:
    """What a column seems to be, by the noisy number of values (SORTS,) of each sort."""
    sure = np.where(counts > shopping.sure, counts, 0)
    present, numbers, moments = sure[WHOLE:].sum(), sure[WHOLE:DATE], sure[DATE:ELSE]
    nullable = bool(sure[MISSING]) and not is_target
    if present and numbers.sum() >= MOSTLY * present and not (is_target and _is_whole(counts, shopping)):
        finest = int(np.flatnonzero(numbers)[-1])
        nullable = nullable or bool(present > numbers.sum())
        if not finest:
            return Column(name=name, kind="integer", nullable=nullable)
        return Column(name=name, kind="continuous", decimals=finest if finest <= DECIMALS else None, nullable=nullable)
    if present and moments.sum() >= MOSTLY * present:
        return Column(name=name, kind="datetime" if moments[1] else "date", nullable=nullable)
    return Column(name=name, kind="categorical", nullable=nullable)


def _is_whole(counts: Counts, shopping: Shopping) -> bool:
    """Whether the values of a column seem to be whole numbers."""
    sure = np.where(counts > shopping.sure, counts, 0)
    return bool(sure[WHOLE] > 0 and sure[WHOLE] == sure[WHOLE:DATE].sum() >= MOSTLY * sure[WHOLE:].sum())


def _told(found: Callable[[], dict[Any, int]], shopping: Shopping, journal: Journal) -> dict[Value, int]:
    """The values whose noisy counts are so large that they are told."""

    def draw() -> list[tuple[Any, int]]:
        exact = found()
        noise = mechanisms.discrete_gaussian(shopping.scale, len(exact))
        counts = [(value, count + more) for (value, count), more in zip(exact.items(), noise.tolist(), strict=True)]
        return sorted((pair for pair in counts if pair[1] >= shopping.least), key=lambda pair: str(pair[0]))

    return dict(journal.keep_page(draw))


def _with_categories(
    column: Column, told: dict[Value, int], counts: Counts, shopping: Shopping, *, is_target: bool
) -> Column:
    """The column with the categories that were told, and one for many others; a column without any is ids."""
    categories = tuple(told)
    if is_target and not categories:
        raise PrivacyError(
            f"a target must have values that many rows share, however, {column.name!r} has none that could be told: "
            "declare the schema, or grant a larger budget"
        )
    others = counts[WHOLE:].sum() - sum(told.values())
    if not categories:
        if others > shopping.sure:
            return Column(name=column.name, kind="id", nullable=column.nullable)
        return column.model_copy(update={"categories": (), "nullable": True})
    if {str(value).casefold() for value in categories} <= {"true", "false"}:
        return Column(name=column.name, kind="boolean", nullable=column.nullable)
    if is_target or others <= shopping.sure or not all(isinstance(value, str) for value in categories):
        return column.model_copy(update={"categories": categories})
    other = next(name for name in (OTHER, *(f"{OTHER} {i}" for i in range(len(categories)))) if name not in categories)
    return column.model_copy(update={"categories": (*categories, other), "other": other})


def _is_short(column: Column) -> bool:
    """Whether each of its numbers will have a bin."""
    if column.kind != "integer" or column.bounds is None:
        return False
    low, high = limits(column)
    return 0 < high - low < EACH


def _filled(counts: Counts, shopping: Shopping) -> tuple[int, int]:
    """The first and the last cell that is not empty."""
    filled = np.flatnonzero(counts > shopping.sure)
    return (int(filled[0]), int(filled[-1])) if len(filled) else (int(counts.argmax()),) * 2


def _with_bounds(column: Column, counts: Counts, shopping: Shopping) -> Column:
    """The column with the bounds of the cells that are not empty."""
    first, last = _filled(counts, shopping)
    bounds: tuple[Any, Any]
    if column.kind in TEMPORAL:
        bounds = dt.date(YEARS[0] + first, 1, 1), dt.date(YEARS[0] + last, 12, 31)
    elif column.kind == "integer":
        low, past = np.clip(EDGES[[first, last + 1]], -LARGEST_EXACT, LARGEST_EXACT)
        bounds = math.ceil(low), max(math.ceil(past) - 1, math.ceil(low))
    else:
        bounds = float(EDGES[first]), float(EDGES[last + 1])
    return Column(**{**column.model_dump(), "bounds": bounds})
