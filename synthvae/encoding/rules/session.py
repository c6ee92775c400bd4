"""The columns of rows that are being drawn, as far as they are known, under the rules of their table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from synthvae.encoding.arrays import Floats, Mask, Scores, States
from synthvae.encoding.layout import Layout
from synthvae.encoding.relative import RelativeEncoding
from synthvae.encoding.rules.allowed import Allowed, Part
from synthvae.encoding.rules.known import Enforced, Known
from synthvae.encoding.rules.view import View
from synthvae.errors import brief
from synthvae.model.restrictions import Restriction


class Compiled(Protocol):
    """Rules that are compiled for the encoding of a table."""

    @property
    def views(self) -> Mapping[str, View]:
        """The columns that are modelled."""

    @property
    def by_column(self) -> Mapping[str, Sequence[Enforced]]:
        """The rules on each column."""


@dataclass(frozen=True)
class Cell:
    """Where a column stands among the digits.

    Args:
        name: The column.
        states: The state (combinations,) of each combination of its digits.
        sizes: The levels of its digits.
        layout: The layout of the column alone.
    """

    __repr__ = brief

    name: str
    states: States
    sizes: tuple[int, ...]
    layout: Layout

    @classmethod
    def of(cls, layout: Layout, name: str) -> Cell:
        """Return the place of a column of a layout."""
        place = layout.names.index(name)
        own = Layout.from_levels({name: layout.levels[place]}, {name: layout.singles[place]})
        every = np.indices(own.sizes).reshape(len(own.sizes), math.prod(own.sizes)).T.astype(np.int8)
        return cls(name, own.join(every)[0], own.sizes, own)


def cells(layout: Layout, names: Sequence[str]) -> dict[int, Cell]:
    """Return those of the columns that are modelled by the number of their cell."""
    numbers = dict(zip((layout.names[owner] for owner in layout.owners), layout.slots.cell_numbers, strict=True))
    return {numbers[name]: Cell.of(layout, name) for name in names if name in numbers}


class RowsUnderRules:
    """Rows that are being drawn: what is known of them, and what rules leave of the next column.

    Args:
        rules: The compiled rules.
        cells: The columns of the rules by the number of their cell.
        rows: The number of rows.
        generator: The generator of the numbers in bins.
        limits: The compared numbers (rows,) between which columns must be.
        parts: The values that columns must have in some rows (rows,).
    """

    def __init__(  # noqa: PLR0917 (what rows depend on)
        self,
        rules: Compiled,
        cells: Mapping[int, Cell],
        rows: int,
        generator: np.random.Generator,
        limits: Mapping[str, tuple[Floats, Floats]] | None = None,
        parts: Mapping[str, Sequence[tuple[Part, Mask]]] | None = None,
    ) -> None:
        self.rules, self.cells, self.rows, self.generator = rules, cells, rows, generator
        self.conditions: dict[str, tuple[float, float]] = {}  # the compared numbers that a column must have
        self.limits, self.parts = limits or {}, parts or {}
        self.known: dict[str, Known] = {}
        self.numbers: dict[str, Floats] = {}  # in the unit of their column
        self._allowed: Allowed | None = None
        for name, view in rules.views.items():
            if view.encoding.levels == 1 and not view.encoding.valued and view.base is None:  # a constant
                self._tell_constant(name, view)

    @property
    def weighed(self) -> frozenset[int]:
        """The cells with conditions."""
        return frozenset(cell for cell, own in self.cells.items() if own.name in self.conditions)

    def _tell_constant(self, name: str, view: View) -> None:
        """Take note of a column with one state: a value, or a bin within which numbers are drawn."""
        states, numbers = np.zeros(self.rows, np.int64), None
        if view.is_drawn[0]:
            own, share = view.ranges[0][states], self.generator.random(self.rows)
            numbers = self._left(name, view).adjust(own, states, share)
        self.tell(name, states, np.ones(self.rows, bool), numbers)

    def tell(self, name: str, states: States, there: Mask, numbers: Floats | None = None) -> None:
        """Take note of values that are known before any is drawn.

        Args:
            name: The column.
            states: Its states (rows,); -1: no value of training.
            there: In which rows (rows,) the value, or that it is missing, is known.
            numbers: Its numbers (rows,), in its unit; None: those of the states.
        """
        view = self.rules.views[name]
        own = view.ranges[0][np.maximum(states, 0)] if numbers is None else numbers
        own = np.where(there, own, np.nan)
        self.numbers[name] = own
        present = np.where(states < 0, ~np.isnan(own), view.present[np.maximum(states, 0)])
        self.known[name] = Known(there, states, view.compared(own), there & present)

    def tell_computed(self, name: str, numbers: Floats) -> None:
        """Take note of the numbers (rows,) of a computed column; NaN: unknown."""
        there = ~np.isnan(numbers)
        self.known[name] = Known(there, np.full(self.rows, -1), numbers, there)

    def tell_codes(self, cell: int, digits: States, scores: Scores | None, free: Mask, numbers: Floats | None) -> None:
        """Take note of the codes of a column that are known before any is drawn.

        Args:
            cell: The number of its cell.
            digits: Its digits (rows, digits); -1: unknown.
            scores: Its continuous values (rows,); None: it has none.
            free: Which of its values (rows,) are to be drawn.
            numbers: Its numbers (rows,), in its unit; NaN: those of the codes.
        """
        own, view = self.cells[cell], self.rules.views[self.cells[cell].name]
        coded = (digits >= 0).all(1) if own.sizes else ~np.isnan(np.asarray(scores))
        states = np.where(coded, own.layout.join(np.maximum(digits, 0))[0] if own.sizes else 0, -1)
        found = view.numbers(np.maximum(states, 0), scores, self.numbers, self.generator)
        if view.base is not None:
            base = self.known.get(view.base)
            starts = np.full(self.rows, np.nan) if base is None else base.numbers
            found = view.grid.nearest(view.own(starts + view.scale * found))
        found = np.where(states < 0, np.nan, found)
        given = np.full(self.rows, np.nan) if numbers is None else numbers
        found = np.where(np.isnan(given), found, given)
        self.tell(own.name, states, ~free & (coded | ~np.isnan(given)), found)

    def restrict(self, cell: int) -> Restriction | None:
        """Return what the rules leave of a cell; None: everything."""
        own = self.cells.get(cell)
        if own is None:
            return None
        view = self.rules.views[own.name]
        self._allowed = self._left(own.name, view)
        unknown = np.full(self.rows if view.links else 0, np.nan)
        linked = {state: self.known[to].numbers if to in self.known else unknown for state, to in view.links.items()}
        return self._allowed.restriction(own.states, own.sizes, linked)

    def _left(self, name: str, view: View) -> Allowed:
        """What the rules leave of a column, given what is known."""
        allowed = self._start(view)
        if name in self.conditions:
            low, high = self.conditions[name]
            allowed.limit(np.full(self.rows, low), np.full(self.rows, high))
        if name in self.limits:
            allowed.limit(*self.limits[name])
        for part, where in self.parts.get(name, ()):
            allowed.keep_part(part, where)
        for rule in self.rules.by_column.get(name, ()):
            rule.limit(name, self.known, allowed)
        return allowed

    def _start(self, view: View) -> Allowed:
        """What is left of a column before any rule: of a distance, what stays within the limits of the column."""
        if not isinstance(view.encoding, RelativeEncoding):
            return Allowed(view, self.rows)
        base = self.known.get(view.encoding.base)
        allowed = Allowed(view, self.rows, np.full(self.rows, np.nan) if base is None else base.numbers)
        low, high = view.compared(np.array([view.encoding.low, view.encoding.high])).tolist()
        starts = np.full(self.rows, np.nan) if base is None else base.numbers
        allowed.limit(np.fmin(low, starts), np.fmax(high, starts))  # beyond them, from a start beyond them
        if base is not None:
            allowed.forbid_present(base.there & ~base.present)
        return allowed

    def record(self, cell: int, digits: npt.NDArray[np.int64], values: Scores | None, rows: slice | States) -> None:
        """Take note of a cell of some rows; see `RowRules.record`."""
        own = self.cells.get(cell)
        if own is None:
            return
        assert self._allowed is not None
        view = self.rules.views[own.name]
        states, there = np.zeros(self.rows, np.int64), np.zeros(self.rows, bool)
        states[rows] = own.layout.join(digits.T.astype(np.int8))[0] if own.sizes else 0
        there[rows] = True
        scores = np.full(self.rows, np.nan, np.float32)
        if values is not None:
            scores[rows] = values
        numbers = view.numbers(states, scores, self.numbers, self.generator)
        numbers = self._allowed.adjust(numbers, states, self.generator.random(self.rows))
        if view.base is not None:
            numbers = view.grid.nearest(view.own(self._allowed.origin + view.scale * numbers))
        self._merge(own.name, states, there, numbers)

    def _merge(self, name: str, states: States, there: Mask, numbers: Floats) -> None:
        """Add drawn values of some rows (rows,) to those that are known."""
        if name in self.known:
            before = self.known[name]
            states = np.where(there, states, before.states)
            numbers = np.where(there, numbers, self.numbers[name])
            there = there | before.there
        self.tell(name, states, there, numbers)
