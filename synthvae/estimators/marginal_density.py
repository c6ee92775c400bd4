"""The marginal distribution of each column: shares of its states, and the density of its numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from synthvae.errors import brief

Floats = npt.NDArray[np.float64]

MOST_NUMBERS = 4096  # of a column that are stored, evenly spaced in rank
NORMAL_QUARTILES = 1.349  # interquartile range of a standard normal
FINEST = 1e-9  # smallest distance of numbers, in units of their spread

UNOBSERVED = 0.5  # training rows, the count of a state that occurs in none


@dataclass(frozen=True)
class Marginal:
    """The marginal distribution of a column: of its states, and of its numbers if it has any.

    Args:
        log_shares: Log shares (levels + 1,) of the states in training; the last is that of unobserved states.
        density: The density of numbers; None if there are none.
    """

    __repr__ = brief

    log_shares: Floats
    density: Density | None

    @classmethod
    def fit(cls, states: npt.NDArray[np.int64], levels: int, numbers: Floats | None) -> Self:
        """Return the distribution of `states` (rows,), and of `numbers` (rows,), which are NaN where there is none."""
        counts = np.bincount(states, minlength=levels + 1)
        shares = np.maximum(counts, UNOBSERVED) / len(states)
        return cls(np.log(shares), None if numbers is None else Density.fit(numbers))

    def log_probability(self, given: Floats, states: npt.NDArray[np.int64], numbers: Floats, scores: Floats) -> Floats:
        """Return the log probability (rows,) of cells in nats, or the log density of numbers.

        It is the smaller of the marginal and the conditional one. So a bound on log p(x) remains a bound, and a row of
        unusual cells is unusual even if each of them follows from the others.

        Args:
            given: Conditional log probabilities (rows,) of the model, of states and of normal scores.
            states: The states (rows,); -1 for unobserved ones.
            numbers: The numbers (rows,); NaN where there is none.
            scores: Their normal scores (rows,); NaN where there is none.
        """
        marginal = self.log_shares[states]
        if self.density is not None:
            density = self.density.log_density(numbers)
            # The model has densities of normal scores, which are standard normal over the column.
            normal = -0.5 * (np.square(scores) + math.log(2 * math.pi))
            given = given + np.where(np.isnan(scores), 0.0, density - normal)
            marginal = marginal + density
        return np.where(states < 0, self.log_shares[-1], np.minimum(given, marginal))


@dataclass(frozen=True)
class Density:
    """The k-nearest-neighbour estimate of the density of a column, with k the square root of the number of numbers.

    It needs no bandwidth, adapts to skewed distributions, and beyond the outermost numbers decreases with the inverse
    of the distance.

    Source: Loftsgaarden and Quesenberry 1965, https://doi.org/10.1214/aoms/1177700079.

    Args:
        numbers: Numbers in ascending order.
        spread: The unit of the density: the standard deviation of a normal with the same interquartile range.
        nearest: The smallest distance, to which smaller ones are raised: half of that between neighbours.
    """

    __repr__ = brief

    numbers: Floats
    spread: float
    nearest: float

    @classmethod
    def fit(cls, numbers: Floats) -> Self:
        """Return the density of `numbers` (rows,), of which at least one is finite."""
        ordered = np.sort(numbers[np.isfinite(numbers)])
        if len(ordered) > MOST_NUMBERS:
            ordered = ordered[np.linspace(0, len(ordered) - 1, MOST_NUMBERS).round().astype(int)]
        low, high = np.quantile(ordered, [0.25, 0.75])
        spread = float(high / NORMAL_QUARTILES - low / NORMAL_QUARTILES) or float(np.ptp(ordered)) or 1.0
        steps = np.diff(np.unique(ordered))
        return cls(ordered, spread, max(float(steps.min()) / 2 if len(steps) else 0.0, FINEST * spread))

    @property
    def k(self) -> int:
        """The rank of the neighbour whose distance gives the density."""
        return max(round(math.sqrt(len(self.numbers))), 1)

    def log_density(self, numbers: Floats) -> Floats:
        """Return the log density (rows,) of `numbers` in nats, in units of the spread; 0 for NaN."""
        known = np.where(np.isnan(numbers), self.numbers[0], numbers)
        distance = np.maximum(self._distance(known), self.nearest) / self.spread
        density = np.log(self.k / len(self.numbers)) - np.log(2 * distance)
        return np.where(np.isnan(numbers), 0.0, density)

    def _distance(self, numbers: Floats) -> Floats:
        """The distance (rows,) to the k-th nearest number, by bisection over windows of k consecutive numbers."""
        low, high = np.zeros(len(numbers), int), np.full(len(numbers), len(self.numbers) - self.k)
        while (low < high).any():
            middle = (low + high) // 2
            beyond = np.minimum(middle + self.k, len(self.numbers) - 1)
            right = (numbers - self.numbers[middle] > self.numbers[beyond] - numbers) & (low < high)
            low, high = np.where(right, middle + 1, low), np.where(right, high, middle)
        return np.asarray(np.maximum(numbers - self.numbers[low], self.numbers[low + self.k - 1] - numbers))
