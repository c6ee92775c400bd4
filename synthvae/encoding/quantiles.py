"""The distribution of a column's numbers: numbers to normal scores and back."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator
from scipy.special import ndtr, ndtri

Floats = npt.NDArray[np.float64]
Numbers = Annotated[tuple[float, ...], BeforeValidator(tuple)]

MAX_STEPS = 512  # up to so many values, each has its own step
QUANTILES = 513  # otherwise the curve passes through so many quantiles, and through more in the tails


class QuantileCurve(BaseModel):
    """A piecewise-linear distribution function.

    The score of a number is the normal deviate of its quantile: standard normal over the column, whatever the column.
    A number that stands for an interval (it is rounded, or occurs often) has an interval of scores.

    Args:
        shares: Values of the distribution function, ascending.
        knots: The numbers that have them, ascending.
        half: Half the interval that rounds to a number.
        margin: Smallest share told apart from 0.
    """

    model_config = ConfigDict(frozen=True)

    shares: Numbers
    knots: Numbers
    half: float
    margin: float

    @model_validator(mode="after")
    def _has_a_knot_for_each_share(self) -> Self:
        if not 2 <= len(self.knots) == len(self.shares):
            raise ValueError(f"a curve has as many knots as shares, however, {len(self.knots)} and {len(self.shares)}")
        return self

    @classmethod
    def learn(cls, values: Floats, counts: npt.NDArray[np.int64], decimals: int | None) -> Self:
        """The curve of distinct sorted `values` that occur `counts` times, rounded to `decimals`."""
        half = 0.0 if decimals is None else 0.5 * 10.0**-decimals
        if decimals is not None:
            values, counts = _merged(np.round(values, decimals), counts)
        rows = int(counts.sum())
        if len(values) <= MAX_STEPS:
            edges = np.concatenate([[0.0], np.cumsum(counts) / rows])
            shares = np.repeat(edges, 2)[1:-1]
            within = half * (1 - 1e-6)  # an edge rounds to its own value
            low = np.minimum(np.maximum(values - within, np.nextafter(values - half, np.inf)), values)
            high = np.maximum(np.minimum(values + within, np.nextafter(values + half, -np.inf)), values)
            knots = np.maximum.accumulate(np.stack([low, high], 1).ravel())
        else:
            levels = _levels(rows)
            shares = (levels * (rows - 1) + 0.5) / rows
            knots = np.maximum.accumulate(quantiles(spread(values, counts, decimals), levels))  # but for their last bit
        return cls(shares=tuple(shares.tolist()), knots=tuple(knots.tolist()), half=half, margin=0.25 / max(rows, 1))

    @cached_property
    def _table(self) -> tuple[Floats, Floats]:
        return np.array(self.shares), np.array(self.knots)

    def scores(self, numbers: Floats, rng: np.random.Generator | None) -> Floats:
        """Return the normal scores (rows,) of `numbers`: drawn from their intervals, or the middle without `rng`."""
        shares, knots = self._table
        low = 1 - _interpolate(-(numbers - self.half), -knots[::-1], 1 - shares[::-1])  # where knots repeat, the lowest
        high = _interpolate(numbers + self.half, knots, shares)
        where = 0.5 if rng is None else rng.random(len(numbers))
        return np.asarray(ndtri(np.clip(low + where * (high - low), self.margin, 1 - self.margin)))

    def numbers(self, scores: npt.NDArray[np.floating]) -> Floats:
        """Return the numbers (rows,) that have these scores, not yet rounded."""
        shares, knots = self._table
        return _interpolate(ndtr(scores.astype(np.float64)), shares, knots)


def _merged(values: Floats, counts: npt.NDArray[np.int64]) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Sorted values that rounding made equal, as one."""
    distinct, place = np.unique(values, return_inverse=True)
    return distinct, np.bincount(place, counts).astype(np.int64)


def _levels(rows: int) -> Floats:
    """Levels from 0 to 1, evenly spaced, and halving towards either end down to one row."""
    even = np.linspace(0, 1, QUANTILES)
    tail = 0.5 ** np.arange(1, 60)
    tail = tail[(tail < even[1]) & (tail * rows >= 1)]
    return np.unique(np.concatenate([even, tail, 1 - tail]))


def _interpolate(at: Floats, x: Floats, y: Floats) -> Floats:
    """Piecewise linear, as `np.interp`, but in a form in which no slope and no difference overflows."""
    right = np.clip(np.searchsorted(x, at, side="right"), 1, len(x) - 1)
    left = right - 1
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        run = x[right] - x[left]
        weight = np.where(np.isfinite(run), (at - x[left]) / run, (at / 2 - x[left] / 2) / (x[right] / 2 - x[left] / 2))
    weight = np.clip(np.where(np.isnan(weight), 1.0, weight), 0.0, 1.0)  # at knots that repeat, the last
    between = (1 - weight) * y[left] + weight * y[right]
    return np.clip(between, np.minimum(y[left], y[right]), np.maximum(y[left], y[right]))


def spread(values: Floats, counts: npt.NDArray[np.int64], decimals: int | None) -> Floats:
    """Repeat each value, evenly spread over the interval that rounds to it, so that quantiles see no ties."""
    repeated = np.repeat(values, counts)
    if decimals is None:
        return repeated
    rank = np.arange(len(repeated)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.asarray(repeated + ((rank + 0.5) / np.repeat(counts, counts) - 0.5) * 10.0**-decimals)


def quantiles(ordered: Floats, levels: Floats) -> Floats:
    """Linear quantiles of sorted numbers (type 7), in a form that cannot overflow."""
    position = levels * (len(ordered) - 1)
    left = np.minimum(position.astype(np.int64), len(ordered) - 1)
    right = np.minimum(left + 1, len(ordered) - 1)
    weight = position - left
    return np.asarray((1 - weight) * ordered[left] + weight * ordered[right])
