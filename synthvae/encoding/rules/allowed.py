"""What rules leave of a column of each row: states, and intervals of numbers."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from synthvae.encoding.arrays import Floats, Mask, States
from synthvae.encoding.rules.view import View
from synthvae.model.restrictions import Restriction


class Part(NamedTuple):
    """A set of values of a column that is the same for all rows.

    Args:
        states: Which states (states,) belong to it, of those that stand for one value.
        intervals: The compared numbers that belong to it.
    """

    states: Mask
    intervals: tuple[tuple[float, float], ...]


class Allowed:
    """What rules leave of a column of each row.

    Args:
        view: The column.
        rows: The number of rows.
        base: The compared numbers (rows,) from which the column's are distances; NaN: unknown; None: they are none.
    """

    def __init__(self, view: View, rows: int, base: Floats | None = None) -> None:
        self.view, self.rows = view, rows
        self.origin = view.origin if base is None else base
        self.states: Mask | None = None  # (rows, states)
        self.low, self.high = np.array(-np.inf), np.array(np.inf)  # compared numbers, (rows,) or the same for all rows
        self.pieces: tuple[Floats, Floats] | None = None  # intervals (intervals, rows) of numbers that are drawn
        self.is_limited = False

    def _mask(self) -> Mask:
        if self.states is None:
            self.states = np.ones((self.rows, self.view.encoding.levels), bool)
        return self.states

    def keep(self, states: Mask) -> None:
        """Leave the states of a mask (rows, states)."""
        self._mask()[:] &= states

    def forbid_missing(self, rows: Mask) -> None:
        """Require a value in some rows (rows,)."""
        if self.view.missing is not None:
            self._mask()[rows, self.view.missing] = False

    def forbid_present(self, rows: Mask) -> None:
        """Require a missing value in some rows (rows,)."""
        self._mask()[np.ix_(rows, self.view.present)] = False

    def limit(self, low: Floats, high: Floats) -> None:
        """Leave the compared numbers, (rows,) or the same for all rows, from `low` to `high`; NaN: no limit."""
        first, last = self.view.limits
        may_be_beyond = self.view.base is not None  # a distance from a number that is beyond
        if may_be_beyond or not first >= np.fmax.reduce(low, axis=None, initial=-np.inf):
            self.low, self.is_limited = np.fmax(self.low, low), True
        if may_be_beyond or not last <= np.fmin.reduce(high, axis=None, initial=np.inf):
            self.high, self.is_limited = np.fmin(self.high, high), True

    def keep_part(self, part: Part, rows: Mask) -> None:
        """Leave the values of a part, in some rows (rows,)."""
        if not rows.any():
            return
        states = ~rows[:, None] | part.states | self.view.is_drawn
        for state in self.view.links:
            states[:, state] = ~rows
        self.keep(states)
        if not self.view.is_drawn.any():
            return
        low = np.array([interval[0] for interval in part.intervals] or [np.inf])
        high = np.array([interval[1] for interval in part.intervals] or [-np.inf])
        low, high = np.where(rows, low[:, None], -np.inf), np.where(rows, high[:, None], np.inf)
        low[1:, ~rows], high[1:, ~rows] = np.inf, -np.inf  # one interval is enough
        if self.pieces is not None:
            low = np.maximum(self.pieces[0][:, None], low).reshape(-1, self.rows)
            high = np.minimum(self.pieces[1][:, None], high).reshape(-1, self.rows)
        empty = low > high
        first = np.argsort(empty, axis=0, kind="stable")[: max(int((~empty).sum(0).max(initial=0)), 1)]
        self.pieces = np.take_along_axis(low, first, 0), np.take_along_axis(high, first, 0)
        self.is_limited = True

    @cached_property
    def ends(self) -> tuple[Floats, Floats]:
        """The intervals, (intervals, rows) or (intervals, 1), of numbers that are drawn, in the column's unit.

        They are asked for when all rules have left what they leave.
        """
        if self.pieces is None:
            return self._own(self.low.reshape(1, -1), self.high.reshape(1, -1))
        return self._own(np.maximum(self.pieces[0], self.low), np.minimum(self.pieces[1], self.high))

    def _own(self, low: Floats, high: Floats) -> tuple[Floats, Floats]:
        """Compared numbers (..., rows) as the nearest ones within, on the grid and in the column's unit."""
        low, high = ((ends - self.origin) / self.view.scale for ends in (low, high))
        low, high = np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)
        return self.view.grid.above(low, strict=False), self.view.grid.below(high, strict=False)

    def restriction(self, states_of: States, sizes: tuple[int, ...], linked: dict[int, Floats]) -> Restriction | None:
        """Return the restriction of the digits and the value of the column; None: nothing is forbidden.

        Args:
            states_of: The state (combinations,) of each combination of its digits.
            sizes: The numbers of their levels.
            linked: The compared numbers (rows,) that the states of links repeat.
        """
        limits: tuple[Floats, Floats] | None = None
        if self.is_limited:
            limits = self._keep_numbers(linked)
        if self.states is None:
            return None
        in_order = np.array_equal(states_of, np.arange(self.view.encoding.levels))
        combinations = (self.states if in_order else self.states[:, states_of]).reshape(self.rows, *sizes)
        missing = self.view.missing is not None and len(sizes) > 0
        low, high = limits or (None, None)
        return Restriction(combinations, low, high, missing)

    def _keep_numbers(self, linked: dict[int, Floats]) -> tuple[Floats, Floats] | None:
        """Leave the states of numbers within the intervals; return the limits (intervals, rows) of the values."""
        own, (first, last) = self._mask(), self.view.ranges
        single, several = self.view.places
        low, high = self.ends
        if len(first[single]):
            lowest, highest = (low, high) if self.pieces is None else self._own(self.low, self.high)
            own[:, single] &= (first[single] >= lowest.reshape(-1, 1)) & (first[single] <= highest.reshape(-1, 1))
        inside = np.zeros((self.rows, len(first[several])), bool)
        for some_low, some_high in zip(low, high, strict=True):
            at_least = np.maximum(some_low[:, None], first[several])
            inside |= at_least <= np.minimum(some_high[:, None], last[several])
        own[:, several] &= inside
        for state, repeated in linked.items():
            limited = np.isfinite(self.low) | np.isfinite(self.high)
            own[:, state] &= ((repeated >= self.low) & (repeated <= self.high)) | ~limited
        ends = self.view.scores(low, high)
        if ends is None:
            return None
        empty = ~(low <= high)
        return np.where(empty, np.inf, ends[0]), np.where(empty, -np.inf, ends[1])

    def adjust(self, own: Floats, states: States, share: Floats) -> Floats:
        """Return the numbers (rows,) of a column in its unit, those that are drawn within the intervals on the grid.

        Args:
            own: The numbers.
            states: Their states.
            share: Uniform numbers (rows,), the places within a bin.
        """
        drawn = self.view.is_drawn[states]
        if not drawn.any() or (not self.is_limited and self.view.is_decoded_on_grid):
            return own
        first, last = self.view.ranges
        low, high = self.ends
        if self.view.is_decoded_on_grid and (~drawn | ((low <= own) & (own <= high)).any(0)).all():
            return own
        inner = np.fmax(low, self.view.grid.above(first, strict=False)[states]), np.fmin(high, last[states])
        beyond = ~(inner[0] <= inner[1]).any(0)  # a known value of another column may lie beyond those of training
        low, high = (np.where(beyond, outer, own_ends) for outer, own_ends in zip((low, high), inner, strict=True))
        wanted = own if self.view.steps.kind == "numeric" else _between(low, high, share)
        placed = np.clip(wanted, low, high)  # within each interval
        off = np.where(low <= high, np.abs(placed - wanted), np.inf)
        best = np.take_along_axis(placed, off.argmin(0)[None], 0)[0]
        best = self.view.grid.nearest(best) if self.view.grid.step is not None else best
        return np.where(drawn & np.isfinite(off.min(0)), best, own)


def _between(low: Floats, high: Floats, share: Floats) -> Floats:
    """Numbers (rows,) within the first of some intervals (intervals, rows) that is not empty."""
    place = (low <= high).argmax(0)[None]
    first, last = (np.take_along_axis(ends, place, 0)[0] for ends in (low, high))
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray((1 - share) * first + share * last)
