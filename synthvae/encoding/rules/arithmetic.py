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
YEAR = 366 * 86_400e6  # microseconds, at most


@dataclass(frozen=True)
class Distant:
    """The bounds of a `Difference`, as a distance of its terms.

    Args:
        rule: The rule.
        bounds: The smallest and the largest difference.
        unit: The size of 1 as terms are compared.
        less: How much smaller than a difference the distance may be, before it is rounded.
        more: How much larger it may be.
        slack: The relative error of numbers of single precision; 0 of others.
    """

    rule: Difference
    bounds: tuple[Any, Any]
    unit: float
    less: float
    more: float
    slack: float = 0.0

    @classmethod
    def of(cls, rule: Difference, views: Mapping[str, View], result: Column, slack: float) -> Distant:
        """Return the distance of a rule whose unit has one length."""
        dates = isinstance(views[rule.high].encoding, (TemporalEncoding, RelativeEncoding)) and rule.unit is not None
        unit = SECONDS[rule.unit or "days"] * 1e6 if dates else 1.0
        decimals = 0 if result.kind == "integer" else result.decimals
        half = ROUNDING if decimals is None else 0.5 * 10.0**-decimals
        less, more = {"nearest": (half, half), "down": (0.0, 1.0), "up": (1.0, 0.0)}[rule.rounding]
        return cls(rule, result.bounds or (-np.inf, np.inf), unit, less, more, 0.0 if dates else slack)

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
        first, last = numbers + ends[0], numbers + ends[1]
        room = self.slack * np.maximum(
            np.abs(numbers), np.nan_to_num(np.maximum(np.abs(first), np.abs(last)), posinf=0)
        )
        allowed.limit(first - room, last + room)


@dataclass(frozen=True)
class Added:
    """The total of a `Sum` that is known before its parts."""

    rule: Sum
    views: Mapping[str, View]
    slack: float = 0.0  # the relative error of numbers of single precision

    def limit(self, name: str, known: Mapping[str, Known], allowed: Allowed) -> None:
        """Leave the rest of a known total to the last part, and what others leave to the parts before."""
        if self.rule.total not in known or name not in self.rule.parts:
            return
        low = high = known[self.rule.total].numbers
        largest = np.abs(low)
        for other in self.rule.parts:
            if other != name:
                first, last = self.views[other].limits
                numbers = known[other].numbers if other in known else np.full(allowed.rows, np.nan)
                low = low - np.where(np.isnan(numbers), last, numbers)
                high = high - np.where(np.isnan(numbers), first, numbers)
                largest = np.fmax(largest, np.abs(numbers))
        room = ROUNDING + self.slack * largest
        allowed.limit(low - room, high + room)


@dataclass(frozen=True)
class Solved:
    """The result of a function that is known before one of its terms.

    Args:
        rule: The rule that computes the result.
        views: The columns that are modelled.
        result: The column of the result.
        compute: Maps the compared numbers (rows,) of the terms to the results (rows,); NaN: undefined.
        slack: The relative error of numbers of single precision; 0 of others.
    """

    rule: Formula | Difference
    views: Mapping[str, View]
    result: Column
    compute: Callable[[Mapping[str, Floats]], Floats]
    slack: float = 0.0

    def limit(self, name: str, known: Mapping[str, Known], allowed: Allowed) -> None:
        """Leave the numbers from which the known result is computed, if all other terms are known."""
        others = [other for other in self.rule.given if other != name]
        needed = [self.result.name, *others]
        ends = self.views[name].limits
        if name == self.result.name or not np.isfinite(ends).all() or not all(other in known for other in needed):
            return
        numbers = np.stack([known[other].numbers for other in needed])
        rows = np.flatnonzero(~np.isnan(numbers).any(0))
        if len(rows):
            low, high = np.full((2, allowed.rows), np.nan)
            low[rows], high[rows] = self.solved(
                name, numbers[0, rows], dict(zip(others, numbers[1:, rows], strict=True)), ends
            )
            allowed.limit(low, high)

    def solved(
        self, name: str, result: Floats, others: Mapping[str, Floats], ends: tuple[float, float]
    ) -> tuple[Floats, Floats]:
        """Return the smallest and the largest number (rows,) of a term that gives the result (rows,)."""
        decimals = decimals_of(self.result)
        half = (RELATIVE * np.abs(result) if decimals is None else 0.5 * 10.0**-decimals) + self.slack * np.abs(result)
        return solve(lambda term: self.compute({name: term, **others}), (result - half, result + half), ends)


@dataclass(frozen=True)
class Completed:
    """The completed years between two dates, which are known before one of them or both."""

    solver: Solved

    def limit(self, name: str, known: Mapping[str, Known], allowed: Allowed) -> None:
        """Leave the dates at the known number of years from the other date, or from any date that this one can be."""
        rule, views = self.solver.rule, self.solver.views
        assert isinstance(rule, Difference)
        if name == rule.result or rule.result not in known:
            return
        other = rule.low if name == rule.high else rule.high
        result = known[rule.result].numbers
        rows = np.flatnonzero(~np.isnan(result))
        if not len(rows):
            return
        apart = (float(np.abs(result[rows]).max()) + 2) * YEAR
        limits = [end for column in (name, other) for end in views[column].limits]
        ends = min(limits) - apart, max(limits) + apart
        known_dates = known[other].numbers[rows] if other in known else np.full(len(rows), np.nan)
        low, high = np.full((2, allowed.rows), np.nan)
        for place, limits_of_rows in enumerate((low, high)):
            dates = np.where(np.isnan(known_dates), views[other].limits[place], known_dates)
            limits_of_rows[rows] = self.solver.solved(name, result[rows], {other: dates}, ends)[place]
        allowed.limit(low, high)


def differing(rule: Difference, views: Mapping[str, View], result: Column, slack: float) -> Distant | Completed:
    """Return what a difference leaves of its terms.

    Units of one length leave a distance. Years differ in length, so that the terms of a known result are solved for.

    Args:
        rule: The rule.
        views: The columns that are modelled.
        result: The column of the difference.
        slack: The relative error of numbers of single precision; 0 of others.
    """
    if rule.unit == "years":
        years = Solved(rule, views, result, lambda terms: completed_years(terms[rule.high], terms[rule.low]))
        return Completed(years)
    return Distant.of(rule, views, result, slack)
