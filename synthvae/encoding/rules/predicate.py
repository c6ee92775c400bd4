"""A condition of a rule on the states and numbers of a column."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import pandas as pd

from synthvae.encoding.arrays import Floats, Mask, States
from synthvae.encoding.rules.allowed import Part
from synthvae.encoding.rules.view import View
from synthvae.errors import brief
from synthvae.schema.column import TEMPORAL
from synthvae.schema.constraints.comparable import microseconds
from synthvae.schema.constraints.condition import Condition

Intervals = tuple[tuple[float, float], ...]

MAX_POINTS = 100  # single numbers that a condition names; with more, rows are checked when they are decoded


@dataclass(frozen=True)
class Predicate:
    """A condition on a column, as a set of states and intervals of numbers.

    Args:
        view: The column.
        condition: The condition.
    """

    __repr__ = brief

    EVERY: ClassVar[Intervals] = ((-np.inf, np.inf),)

    view: View
    condition: Condition

    @cached_property
    def met(self) -> Part:
        """The values that meet the condition."""
        view, condition = self.view, self.condition
        if condition.is_missing is not None:
            states = ~view.present if condition.is_missing else view.present
            return Part(states, () if condition.is_missing else ((-np.inf, np.inf),))
        if condition.between is not None:
            low, high = (_limit(end, sign) for end, sign in zip(condition.between, (-1, 1), strict=True))
            first, last = (view.compared(ends) for ends in view.ranges)
            with np.errstate(invalid="ignore"):
                return Part((first >= low) & (last <= high), ((low, high),))
        known = [text for text in view.labels if text is not None]
        wanted = condition.wanted(known)
        among = np.array([text in wanted for text in view.labels])
        points = self._points(wanted)
        if points is None:
            among, intervals = among | view.is_drawn, self.EVERY
            return Part(among if condition.is_in is not None else ~among | view.is_drawn, intervals)
        if condition.is_in is not None:
            return Part(among, tuple((point, point) for point in points))
        return Part(~among & view.present, self._beside(tuple((point, point) for point in points)))

    @cached_property
    def failed(self) -> Part:
        """All other values, missing ones among them unless these meet the condition."""
        if self.condition.is_missing is not None:
            return Part(~self.met.states, ((-np.inf, np.inf),) if self.condition.is_missing else ())
        return Part(~self.met.states & ~self.view.is_drawn, self._beside(self.met.intervals))

    def _points(self, wanted: set[str]) -> list[float] | None:
        """The compared numbers among some labels; None: they are too many."""
        if not self.view.is_drawn.any():
            return []
        read = _timestamp if self.view.column.kind in TEMPORAL else _number
        found = sorted(number for number in map(read, wanted) if number is not None)
        return found if len(found) <= MAX_POINTS else None

    def _beside(self, intervals: Intervals) -> Intervals:
        """The numbers that belong to none of some ascending intervals."""
        view, last, found = self.view, -np.inf, []
        for low, high in intervals:
            if low > -np.inf:
                found.append((last, self._next(low, above=False)))
            last = self._next(high, above=True) if high < np.inf else np.inf
        del view
        return (*found, (last, np.inf)) if last < np.inf else tuple(found)

    def _next(self, number: float, *, above: bool) -> float:
        view = self.view
        own = view.own(np.array([number]))
        found = view.grid.above(own, strict=True) if above else view.grid.below(own, strict=True)
        return float(view.compared(found)[0])

    def meets(self, states: States, numbers: Floats) -> Mask:
        """Return which values (rows,) meet the condition, given their states and compared numbers.

        Args:
            states: The states; -1 is no value that the column knows.
            numbers: The compared numbers; NaN: there is none.
        """
        known = np.maximum(states, 0)
        inside = np.zeros(len(states), bool)
        for low, high in self.met.intervals:
            inside |= (numbers >= low) & (numbers <= high)
        several = self.view.is_drawn.copy()
        several[list(self.view.links)] = True
        return np.where(states < 0, False, np.where(several[known], inside, self.met.states[known]))  # noqa: FBT003


def _limit(end: object, sign: int) -> float:
    if end is None:
        return sign * np.inf
    return float(end) if isinstance(end, (int, float)) else float(microseconds(end))  # type: ignore[arg-type]


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def _timestamp(text: str) -> float | None:
    try:
        return float(microseconds(pd.Timestamp(text).to_pydatetime()))
    except (ValueError, OverflowError):
        return None
