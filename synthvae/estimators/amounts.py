"""How many synthetic rows an estimator learns from, and how cross-validation chooses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from synthvae.errors import ConfigurationError
from synthvae.estimators.containers import Labels
from synthvae.estimators.strategy import known

Amount = str | float | Mapping[Any, int]
Asked = int | dict[Any, int]

NOTHING = 0.0
SURE = 0.9  # of a gain, before rows are made for it


def rows_asked(amount: Amount, y: Labels, *, classes: bool, times: float = 1.0) -> Asked:
    """Return how many rows are to be made for real ones with y (rows,): of each class, or in all.

    Args:
        amount: "balance": as many as bring each class to the largest; a number: so many for each real row; a mapping
            from class to number of rows made.
        y: The targets.
        classes: Whether they are classes.
        times: How many real rows there are for each that has a y.

    Raises:
        ConfigurationError: There is no such amount.
        RequestError: A class is unknown.
    """
    if isinstance(amount, Real) and not isinstance(amount, bool) and 0 <= float(amount) < np.inf:
        amount = float(amount) * times
        if not classes:
            return round(amount * len(y))
        labels, counts = np.unique(y, return_counts=True)
        return {k: round(amount * n) for k, n in zip(labels.tolist(), counts.tolist(), strict=True)}
    if classes and amount == "balance":
        return _balanced(y, times)
    if classes and isinstance(amount, Mapping):
        known(list(amount), np.unique(y).tolist())
        return dict(amount)
    others = ', "balance" or a mapping from class to rows' if classes else ""
    raise ConfigurationError(f'`amount` must be "auto", a number from 0{others}, however, it is {amount!r}')


def _balanced(y: Labels, times: float) -> dict[Any, int]:
    """As many rows of each class as bring it to the largest, were there so many `times` as many real ones."""
    labels, counts = np.unique(y, return_counts=True)
    most = counts.max() * times
    return {k: round(most) - n for k, n in zip(labels.tolist(), counts.tolist(), strict=True)}


def is_nothing(asked: Asked) -> bool:
    """Whether no row is asked for."""
    return not (sum(asked.values()) if isinstance(asked, dict) else asked)


def candidates(y: Labels, *, classes: bool) -> list[Amount]:
    """Return the amounts among which "auto" chooses; none is the first."""
    if not classes:
        return [NOTHING, 1.0]
    _, counts = np.unique(y, return_counts=True)
    balanced = counts.min() == counts.max()
    return [NOTHING, 1.0] if balanced else [NOTHING, "balance", 1.0]


@dataclass(frozen=True)
class Choice:
    """What cross-validation said of amounts.

    Args:
        amounts: The candidates; the first is none.
        scores: Their scores (candidates, folds); no fold, no gain.
        ratio: Rows of a fold that were tested over those that were learned.
    """

    amounts: list[Amount]
    scores: npt.NDArray[np.float64]
    ratio: float = 0.5

    @property
    def best(self) -> Amount:
        """The candidate with the best mean, if a t-test says at 90 %, all candidates together, that it beats none.

        Folds share rows, so that their gains vary less than those of new rows would: the test is corrected for it.
        Source: Nadeau, Bengio 2003, Inference for the generalization error, section 5.1,
        https://doi.org/10.1023/A:1024068626366.
        """
        folds = self.scores.shape[-1]
        if not self.scores.size or folds < 2:
            return self.amounts[0]
        gains = self.scores - self.scores[0]
        means, errors = gains.mean(1), gains.std(1, ddof=1) * np.sqrt(1 / folds + self.ratio)
        place = int(np.argmax(np.where(np.isfinite(means), means, -np.inf)))
        sure = stats.t.ppf(1 - (1 - SURE) / max(len(self.amounts) - 1, 1), folds - 1)
        return self.amounts[place] if means[place] > sure * errors[place] else self.amounts[0]
