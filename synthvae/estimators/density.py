"""What each column says of a cell by itself: how frequent its state is, how dense its number, in its own units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MOST_NUMBERS = 4096  # of a column that are kept, evenly spaced in rank
NORMAL_QUARTILES = 1.349  # between the quartiles of a standard normal
FINEST = 1e-9  # of the spread: no two numbers are told apart below

NEVER_SEEN = 0.5  # rows of training that count for what none of them had


@dataclass(frozen=True)
class Margin:
    """The distribution of a column by itself: of its states, and of the number where there is a score.

    Args:
        log_shares: Log shares (levels + 1,) of the states in training; the last is that of what was never seen.
        density: The density of numbers; None if there is none.
    """

    log_shares: Floats
    density: Density | None

    @classmethod
    def learn(cls, states: npt.NDArray[np.int64], levels: int, numbers: Floats | None) -> Self:
        """The distribution of `states` (rows,), and of `numbers` (rows,) that are NaN where there is none."""
        counts = np.bincount(states, minlength=levels + 1)
        shares = np.maximum(counts, NEVER_SEEN) / len(states)
        return cls(np.log(shares), None if numbers is None else Density.learn(numbers))

    def cells(self, given: Floats, states: npt.NDArray[np.int64], numbers: Floats, scores: Floats) -> Floats:
        """Return the log probability (rows,) of cells, density where there is a number, in nats.

        A cell counts as it is strangest: by itself, or given all else. So a bound on log p(x) stays one, and a row of
        strange cells is strange although each follows from the others.

        Args:
            given: What the model says of the states, and of the scores, given all else.
            states: The states; -1 where a cell was never seen.
            numbers: The numbers; NaN where there is none.
            scores: Their normal scores; NaN where there is none.
        """
        alone = self.log_shares[states]
        if self.density is not None:
            density = self.density.log_density(numbers)
            # The model says how dense scores are, which are standard normal over the column.
            normal = -0.5 * (np.square(scores) + math.log(2 * math.pi))
            given = given + np.where(np.isnan(scores), 0.0, density - normal)
            alone = alone + density
        return np.where(states < 0, self.log_shares[-1], np.minimum(given, alone))


@dataclass(frozen=True)
class Density:
    """The density of the numbers of a column, by the distance to the k-th nearest, k being the root of their number.

    It needs no bandwidth, follows any skew, and falls with the inverse of the distance beyond the outermost numbers.

    Source: Loftsgaarden and Quesenberry 1965, https://doi.org/10.1214/aoms/1177700079.

    Args:
        numbers: Numbers, ascending.
        spread: Their unit: the standard deviation that a normal has between the same quartiles.
        nearest: Smallest distance that counts: half of that between neighbours.
    """

    numbers: Floats
    spread: float
    nearest: float

    @classmethod
    def learn(cls, numbers: Floats) -> Self:
        """The density of `numbers` (rows,), of which at least one is finite."""
        ordered = np.sort(numbers[np.isfinite(numbers)])
        if len(ordered) > MOST_NUMBERS:
            ordered = ordered[np.linspace(0, len(ordered) - 1, MOST_NUMBERS).round().astype(int)]
        low, high = np.quantile(ordered, [0.25, 0.75])
        spread = float(high / NORMAL_QUARTILES - low / NORMAL_QUARTILES) or float(np.ptp(ordered)) or 1.0
        gaps = np.diff(np.unique(ordered))
        return cls(ordered, spread, max(float(gaps.min()) / 2 if len(gaps) else 0.0, FINEST * spread))

    @property
    def k(self) -> int:
        """Which of the nearest numbers is looked at."""
        return max(round(math.sqrt(len(self.numbers))), 1)

    def log_density(self, numbers: Floats) -> Floats:
        """Return the log density (rows,) of `numbers` in units of the spread, in nats; 0 where there is none (NaN)."""
        known = np.where(np.isnan(numbers), self.numbers[0], numbers)
        distance = np.maximum(self._reach(known), self.nearest) / self.spread
        density = np.log(self.k / len(self.numbers)) - np.log(2 * distance)
        return np.where(np.isnan(numbers), 0.0, density)

    def _reach(self, numbers: Floats) -> Floats:
        """The distance (rows,) to the k-th nearest: that of the window of k in which it is least, by bisection."""
        low, high = np.zeros(len(numbers), int), np.full(len(numbers), len(self.numbers) - self.k)
        while (low < high).any():
            middle = (low + high) // 2
            beyond = np.minimum(middle + self.k, len(self.numbers) - 1)
            right = (numbers - self.numbers[middle] > self.numbers[beyond] - numbers) & (low < high)
            low, high = np.where(right, middle + 1, low), np.where(right, high, middle)
        return np.asarray(np.maximum(numbers - self.numbers[low], self.numbers[low + self.k - 1] - numbers))
