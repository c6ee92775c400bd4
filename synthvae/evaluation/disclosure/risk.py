"""Risk of attacks: success rates on training and on holdout rows, with confidence intervals.

Intervals have a level of 95%; see `Figure.flagged` for flags.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from synthvae.evaluation.comparison import Comparison
from synthvae.evaluation.metric import Metric
from synthvae.evaluation.results import Figure

CONFIDENCE = 0.95
Z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))

SHARED = 0.2  # A holdout with a larger share of training rows, beyond natural duplicates, was not withheld.
LEAST = 20  # least number of holdout rows

Interval = tuple[float, float]
Shares = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Guesses:
    """Results of guesses.

    Args:
        success: Whether each guess is right (n,): 0, 1, or 0.5 for a tie.
        cluster: Cluster of each guess (n,). Guesses of a cluster are correlated, such as those about the same row.
    """

    success: Shares
    cluster: Places

    @classmethod
    def from_success(cls, success: npt.ArrayLike) -> Guesses:
        """Return guesses of independent rows (n,), or of a matrix (rows, guesses) whose rows are the clusters."""
        found = np.asarray(success, np.float64)
        width = found[0].size if len(found) else 1
        return cls(found.ravel(), np.repeat(np.arange(len(found)), width))

    @property
    def rate(self) -> float:
        """Share of right guesses."""
        return float(self.success.mean())

    @property
    def design_effect(self) -> float:
        """Factor by which clusters increase the variance of the rate, at least 1.

        Ratio of the cluster-robust variance to that of independent guesses: Kish, Survey Sampling (1965), section 8.2.
        """
        return self.effect_about(self.rate)

    def effect_about(self, centre: float) -> float:
        """Design effect where `centre` is the true rate."""
        residuals = self.success - centre
        alone = float((residuals**2).sum())
        together = float((np.bincount(self.cluster, residuals) ** 2).sum())
        return max(1.0, together / alone) if alone else 1.0


@dataclass(frozen=True)
class AttackResult:
    """Result of an attack.

    Args:
        attack: Name of the attack.
        train: Guesses about training rows.
        control: The same number of guesses about holdout rows.
        naive: The same number of random guesses.
        column: The column whose values were guessed; empty: all columns.
    """

    attack: str
    train: Guesses
    control: Guesses
    naive: Guesses
    column: str = ""

    @property
    def risk(self) -> tuple[float, Interval]:
        """Risk of the training rows and its interval, see `excess`."""
        effect = max(self.train.design_effect, self.control.design_effect)
        trials = len(self.train.success) / effect
        return excess(wilson(self.train.rate * trials, trials), wilson(self.control.rate * trials, trials))

    def figure(self, metric: Metric) -> Figure:
        """Return the risk as a figure."""
        value, interval = self.risk
        return Figure(metric, value, interval)

    def row(self) -> dict[str, str | int | float]:
        """Return a row of the table "attacks"; all numbers but the count of guesses are fractions."""
        value, (low, high) = self.risk
        return {
            "attack": self.attack,
            "column": self.column,
            "guesses": len(self.train.success),
            "success": self.train.rate,
            "naive": self.naive.rate,
            "control": self.control.rate,
            "risk": value,
            "low": low,
            "high": high,
        }


def wilson(successes: float, trials: float, z: float = Z) -> tuple[float, float]:
    """Return the centre of Wilson's score interval of a rate, and half of its width.

    Source: Wilson, Probable inference, JASA 22 (1927), as used by Giomi et al. 2023 (arXiv 2211.10459).
    """
    spread = successes * (trials - successes) / trials + z**2 / 4
    return (successes + z**2 / 2) / (trials + z**2), z * math.sqrt(max(spread, 0.0)) / (trials + z**2)


def excess(train: tuple[float, float], control: tuple[float, float]) -> tuple[float, Interval]:
    """Return the risk (train - control) / (1 - control) and its interval, clipped to [0, 1].

    The interval propagates both errors. Source: Giomi et al. 2023, "privacy risk" (arXiv 2211.10459).

    Args:
        train: Success rate on training rows and its error, see `wilson`.
        control: Success rate on holdout rows and its error.
    """
    (hit, error), (usual, usual_error) = train, control
    value = (hit - usual) / (1 - usual)
    spread = math.hypot(error / (1 - usual), usual_error * (1 - hit) / (1 - usual) ** 2)
    return _fraction(value), (_fraction(value - spread), _fraction(value + spread))


def share_interval(hits: int, trials: int, real: float, real_trials: float) -> Interval:
    """Return the interval of a share of synthetic rows that is compared with the same share of real rows.

    Clopper and Pearson's exact interval (Biometrika 26, 1934), widened by the uncertainty of the share of real rows:
    its error, and one additional row. Otherwise one natural duplicate among many synthetic rows would count as more
    than none among few real rows. The two distances are combined as a root of squares, as by Newcombe (Statistics in
    Medicine 17, 1998, method 10) for a difference of shares.

    Args:
        hits: Number of synthetic rows that count.
        trials: Number of synthetic rows.
        real: Share of real rows that count.
        real_trials: Number of real rows.
    """
    value = hits / trials
    ends = stats.binomtest(hits, trials).proportion_ci(CONFIDENCE, method="exact")
    spare = Z * math.sqrt(real * (1 - real) / real_trials) + 1 / (real_trials + 1)
    return (
        _fraction(value - math.hypot(value - ends.low, spare)),
        _fraction(value + math.hypot(ends.high - value, spare)),
    )


def half_interval(guesses: Guesses) -> Interval:
    """Return Wilson's interval of a share, widened by the design effect of its clusters, also if the share is one half.

    Where a few real rows are the nearest of all synthetic ones, guesses vary little about their own rate, which is one
    half only by luck.
    """
    trials = len(guesses.success) / max(guesses.design_effect, guesses.effect_about(0.5))
    centre, error = wilson(guesses.rate * trials, trials)
    return _fraction(centre - error), _fraction(centre + error)


def auc(members: Shares, others: Shares) -> tuple[float, Interval]:
    """Return the area under the ROC curve of scores that are higher for members, and its interval.

    Variance by DeLong, DeLong and Clarke-Pearson (Biometrics 44, 1988), computed from ranks, and at least that of
    uninformative scores (Mann and Whitney 1947), since DeLong's is too small for few rows.

    Args:
        members: Scores of members (m,).
        others: Scores of non-members (n,).
    """
    m, n = len(members), len(others)
    ranks = stats.rankdata(np.concatenate([members, others]))
    above = (ranks[:m] - stats.rankdata(members)) / n
    below = 1 - (ranks[m:] - stats.rankdata(others)) / m
    value = float(above.mean())
    variance = np.var(above, ddof=1) / m + np.var(below, ddof=1) / n
    error = Z * math.sqrt(max(float(variance), (m + n + 1) / (12 * m * n)))
    return value, (_fraction(value - error), _fraction(value + error))


def control_rows(comparison: Comparison) -> tuple[pd.DataFrame | None, str]:
    """Return the holdout, or None and the reason why it cannot serve as a control group."""
    holdout = comparison.holdout
    if holdout is None:
        return None, "there is no holdout"
    if len(holdout) < LEAST:
        return None, f"the holdout has {len(holdout)} rows, which is less than {LEAST}"
    training = row_hashes(comparison.real)
    shared, usual = row_hashes(holdout).isin(training).mean(), training.duplicated(keep=False).mean()
    if shared > usual + SHARED:
        return None, (
            f"{shared:.0%} of the holdout rows are training rows, of which only {usual:.0%} are natural duplicates, so "
            "the holdout was not withheld from training"
        )
    return holdout, ""


def small_holdout_notes(comparison: Comparison) -> tuple[str, ...]:
    """Return a note if the holdout has less than half as many rows as the training rows."""
    assert comparison.holdout is not None
    held, training = len(comparison.holdout), len(comparison.real)
    if held * 2 >= training:
        return ()
    note = (
        f"The holdout has {held} rows and training has {training}: figures that compare the two use the same number of "
        "rows of each, and are less sensitive than with a larger holdout."
    )
    return (note,)


def row_hashes(rows: pd.DataFrame) -> pd.Index[int]:
    """Return a 64-bit hash of each row; in a table of a million rows two collide with a probability of 10^-7."""
    # pandas 2 hashes bits: 0.0 and -0.0 are equal, but their bits are not.
    plain = {name: rows[name] + 0.0 if rows[name].dtype == np.float64 else rows[name] for name in rows}
    return pd.Index(pd.util.hash_pandas_object(pd.DataFrame(plain), index=False))


def _fraction(value: float) -> float:
    return float(min(max(value, 0.0), 1.0))
