"""The distribution function of a column's numbers, which maps numbers to normal scores and back."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator
from scipy.special import ndtr, ndtri

from synthvae.encoding.arrays import Counts, Floats
from synthvae.errors import brief

Numbers = Annotated[tuple[float, ...], BeforeValidator(tuple)]

MAX_STEPS = 512  # the distribution of at most so many distinct values has a step at each that repeats
QUANTILES = 513  # that of more values is interpolated between so many quantiles, and additional ones in the tails


class QuantileCurve(BaseModel):
    """A piecewise-linear distribution function.

    The score of a number is the normal deviate of its quantile, so that the scores of any column are standard normal.
    A number that represents an interval (as it is rounded, or occurs often) has an interval of scores.

    Args:
        shares: Values of the distribution function, ascending.
        knots: The numbers at which it has these values, ascending.
        half: Half the width of the interval that rounds to a number.
        margin: The smallest distance of a share from 0 and 1, so that scores are finite.
    """

    model_config = ConfigDict(frozen=True)
    __repr__ = __str__ = brief

    shares: Numbers
    knots: Numbers
    half: float
    margin: float

    @model_validator(mode="after")
    def _has_a_knot_for_each_share(self) -> Self:
        if not 2 <= len(self.knots) == len(self.shares):
            raise ValueError(
                "A curve must have at least 2 knots, and as many shares, "
                f"got {len(self.knots)} knots and {len(self.shares)} shares."
            )
        return self

    @classmethod
    def learn(cls, values: Floats, counts: Counts, decimals: int | None) -> Self:
        """Return the curve of distinct sorted values, rounded to `decimals`, each of which occurs `counts` times."""
        half = 0.0 if decimals is None else 0.5 * 10.0**-decimals
        if decimals is not None:
            values, counts = _merged(np.round(values, decimals), counts)
        rows = int(counts.sum())
        if len(values) <= MAX_STEPS:
            shares, knots = _steps(values, counts, half)
        else:
            levels = _levels(rows)
            shares = (levels * (rows - 1) + 0.5) / rows
            knots = np.maximum.accumulate(
                quantiles(spread(values, counts, decimals), levels)
            )  # ascending despite rounding errors
        return cls(shares=tuple(shares.tolist()), knots=tuple(knots.tolist()), half=half, margin=0.25 / max(rows, 1))

    @cached_property
    def _table(self) -> tuple[Floats, Floats]:
        return np.array(self.shares), np.array(self.knots)

    def scores(self, numbers: Floats, rng: np.random.Generator | None) -> Floats:
        """Return the normal scores (rows,) of `numbers`: drawn from their intervals, the middles without `rng`."""
        shares, knots = self._table
        low = 1 - _interpolate(-(numbers - self.half), -knots[::-1], 1 - shares[::-1])  # of repeated knots, the lowest
        high = _interpolate(numbers + self.half, knots, shares)
        where = 0.5 if rng is None else rng.random(len(numbers))
        return np.asarray(ndtri(np.clip(low + where * (high - low), self.margin, 1 - self.margin)))

    def limits(self, low: Floats, high: Floats) -> tuple[Floats, Floats]:
        """Return the smallest and the largest normal scores (rows,) of the numbers from `low` to `high` (rows,).

        They are infinite where an interval has no limit. Numbers of scores strictly between round to numbers in it.
        """
        shares, knots = self._table
        half = self.half * (1 - 1e-6)
        first, last = np.full(low.shape, -np.inf), np.full(high.shape, np.inf)
        some = ~(low <= knots[0])
        first[some] = ndtri(1 - _interpolate(half - low[some], -knots[::-1], 1 - shares[::-1]))
        some = ~(high >= knots[-1])
        last[some] = ndtri(_interpolate(high[some] + half, knots, shares))
        return first, last

    def numbers(self, scores: npt.NDArray[np.floating]) -> Floats:
        """Return the numbers (rows,) that have these scores, not rounded."""
        shares, knots = self._table
        return _interpolate(ndtr(scores.astype(np.float64)), shares, knots)


def _steps(values: Floats, counts: Counts, half: float) -> tuple[Floats, Floats]:
    """Shares and knots of a distribution with a step at each value that repeats, linear between steps.

    A value that occurs once is a knot without a step, so that numbers near it are drawn in its stead. A value that
    repeats is drawn as often as it occurs, less a share of a row, which is that of the values that occur once: the more
    there are, the likelier it repeats by chance. Without any, only values of the table are drawn.
    """
    once = (counts == 1) & (len(values) > 1)
    between = np.where(once, 1.0, once.mean()) / 2  # rows on either side of a value that are drawn between values
    last = np.cumsum(counts)
    shares = np.stack([last - counts + between, last - between], 1) / last[-1]
    within = half * (1 - 1e-6)  # so that each end of an interval rounds to its value
    with np.errstate(over="ignore"):  # beyond the largest doubles, where the value itself is the end
        low = np.minimum(np.maximum(values - within, np.nextafter(values - half, np.inf)), values)
        high = np.maximum(np.minimum(values + within, np.nextafter(values + half, -np.inf)), values)
    ends = np.where(once[:, None], values[:, None], np.stack([low, high], 1))
    knots = np.stack([np.ones_like(once), ~once], 1).ravel()
    return shares.ravel()[knots], np.maximum.accumulate(ends.ravel()[knots])


def _merged(values: Floats, counts: Counts) -> tuple[Floats, Counts]:
    """Distinct values and their counts, after rounding made some of the sorted values equal."""
    distinct, place = np.unique(values, return_inverse=True)
    return distinct, np.bincount(place, counts).astype(np.int64)


def _levels(rows: int) -> Floats:
    """Levels of quantiles from 0 to 1: evenly spaced and, in the tails, halved down to the share of one row."""
    even = np.linspace(0, 1, QUANTILES)
    tail = 0.5 ** np.arange(1, 60)
    tail = tail[(tail < even[1]) & (tail * rows >= 1)]
    return np.unique(np.concatenate([even, tail, 1 - tail]))


def _interpolate(at: Floats, x: Floats, y: Floats) -> Floats:
    """Piecewise linear interpolation as in `np.interp`, in a form in which no slope and no difference overflows."""
    right = np.clip(np.searchsorted(x, at, side="right"), 1, len(x) - 1)
    left = right - 1
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        run = x[right] - x[left]
        weight = (at - x[left]) / run
        if not np.isfinite(run).all():
            halved = (at / 2 - x[left] / 2) / (x[right] / 2 - x[left] / 2)
            weight = np.where(np.isfinite(run), weight, halved)
    weight = np.clip(np.where(np.isnan(weight), 1.0, weight), 0.0, 1.0)  # of repeated knots, the last
    between = (1 - weight) * y[left] + weight * y[right]
    return np.clip(between, np.minimum(y[left], y[right]), np.maximum(y[left], y[right]))


def spread(values: Floats, counts: Counts, decimals: int | None) -> Floats:
    """Repeat each value, evenly spaced in the interval that rounds to it, so that quantiles have no ties."""
    repeated = np.repeat(values, counts)
    if decimals is None:
        return repeated
    rank = np.arange(len(repeated)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.asarray(repeated + ((rank + 0.5) / np.repeat(counts, counts) - 0.5) * 10.0**-decimals)


def quantiles(ordered: Floats, levels: Floats) -> Floats:
    """Return linearly interpolated quantiles of sorted numbers, in a form that cannot overflow.

    Type 7 of Hyndman and Fan (1996), the default of NumPy.
    """
    position = levels * (len(ordered) - 1)
    left = np.minimum(position.astype(np.int64), len(ordered) - 1)
    right = np.minimum(left + 1, len(ordered) - 1)
    weight = position - left
    return np.asarray((1 - weight) * ordered[left] + weight * ordered[right])
