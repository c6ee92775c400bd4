"""What sums, differences and formulas leave of their terms where the result, or its bounds, are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from synthvae.encoding.arrays import Floats
from synthvae.encoding.relative import RelativeEncoding
from synthvae.encoding.rules.allowed import Allowed
from synthvae.encoding.rules.inversion import solve
from synthvae.encoding.rules.known import Known
from synthvae.encoding.rules.view import View
from synthvae.encoding.temporal import TemporalEncoding
from synthvae.schema.column import Column
from synthvae.schema.constraints.computed import RELATIVE, SECONDS, Difference, Formula, Sum, completed_years
from synthvae.schema.domain import decimals_of

ROUNDING = 1e-7  # error of a sum in doubles


@dataclass(frozen=True)
class Distant:
    """The bounds of a `Difference`, as a distance of its terms.

    Args:
        rule: The rule.
        bounds: The smallest and the largest difference.
        unit: The size of 1 as terms are compared.
        less: How much smaller than a difference the distance may be, before it is rounded.
        more: How much larger it may be.
    """

    rule: Difference
    bounds: tuple[Any, Any]
    unit: float
    less: float
    more: float

    @classmethod
    def of(cls, rule: Difference, views: Mapping[str, View], result: Column) -> Distant:
        """Return the distance of a rule whose unit has one length."""
        dates = isinstance(views[rule.high].encoding, (TemporalEncoding, RelativeEncoding)) and rule.unit is not None
        unit = SECONDS[rule.unit or "days"] * 1e6 if dates else 1.0
        decimals = 0 if result.kind == "integer" else result.decimals
        half = ROUNDING if decimals is None else 0.5 * 10.0**-decimals
        less, more = {"nearest": (half, half), "down": (0.0, 1.0), "up": (1.0, 0.0)}[rule.rounding]
        return cls(rule, result.bounds or (-np.inf, np.inf), unit, less, more)

    def limit(self, name: str, known: Mapping[str, Known], allowed: Allowed) -> None:
        """Leave the numbers at a distance between the bounds from those of the other term, or at the known one."""
        if name not in self.rule.given:
            return
        other = self.rule.low if name == self.rule.high else self.rule.high
        if other not in known:
            return
        numbers, low, high = known[other].numbers, self.bounds[0], self.bounds[1]
        if self.rule.result in known:
            result = known[self.rule.result].numbers
            low, high = (np.where(np.isnan(result), end, result) for end in (low, high))
        low, high = (low - self.less) * self.unit, (high + self.more) * self.unit
        sign = 1 if name == self.rule.high else -1
        ends = (low, high) if sign == 1 else (-high, -low)
        allowed.limit(numbers + ends[0], numbers + ends[1])


@dataclass(frozen=True)
class Added:
    """The total of a `Sum` that is known before its parts."""

    rule: Sum
    views: Mapping[str, View]

    def limit(self, name: str, known: Mapping[str, Known], allowed: Allowed) -> None:
        """Leave the rest of a known total to the last part, and what others leave to the parts before."""
        if self.rule.total not in known or name not in self.rule.parts:
            return
        low = high = known[self.rule.total].numbers
        for other in self.rule.parts:
            if other != name:
                first, last = self.views[other].limits
                numbers = known[other].numbers if other in known else np.full(allowed.rows, np.nan)
                low = low - np.where(np.isnan(numbers), last, numbers)
                high = high - np.where(np.isnan(numbers), first, numbers)
        allowed.limit(low - ROUNDING, high + ROUNDING)


@dataclass(frozen=True)
class Solved:
    """The result of a function that is known before one of its terms.

    Args:
        rule: The rule that computes the result.
        views: The columns that are modelled.
        result: The column of the result.
        compute: Maps the compared numbers (rows,) of the terms to the results (rows,); NaN: undefined.
    """

    rule: Formula | Difference
    views: Mapping[str, View]
    result: Column
    compute: Callable[[Mapping[str, Floats]], Floats]

    def limit(self, name: str, known: Mapping[str, Known], allowed: Allowed) -> None:
        """Leave the numbers from which the known result is computed, if all other terms are known."""
        others = [other for other in self.rule.given if other != name]
        needed = [self.result.name, *others]
        ends = self.views[name].limits
        if name == self.result.name or not np.isfinite(ends).all() or not all(other in known for other in needed):
            return
        numbers = np.stack([known[other].numbers for other in needed])
        rows = np.flatnonzero(~np.isnan(numbers).any(0))
        if not len(rows):
            return
        result, decimals = numbers[0, rows], decimals_of(self.result)
        half = RELATIVE * np.abs(result) if decimals is None else 0.5 * 10.0**-decimals
        fixed = dict(zip(others, numbers[1:, rows], strict=True))
        low, high = np.full((2, allowed.rows), np.nan)
        low[rows], high[rows] = solve(
            lambda term: self.compute({name: term, **fixed}), (result - half, result + half), ends
        )
        allowed.limit(low, high)


def differing(rule: Difference, views: Mapping[str, View], result: Column) -> Distant | Solved:
    """Return what a difference leaves of its terms.

    Units of one length leave a distance. Years differ in length, so that the terms of a known result are solved for.

    Args:
        rule: The rule.
        views: The columns that are modelled.
        result: The column of the difference.
    """
    if rule.unit == "years":
        return Solved(rule, views, result, lambda terms: completed_years(terms[rule.high], terms[rule.low]))
    return Distant.of(rule, views, result)
