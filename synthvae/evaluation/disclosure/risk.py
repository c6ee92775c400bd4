"""How often attacks succeed, by how much more on rows that were learned, and how sure that is.

Intervals hold at 95 %; what is flagged is farther off, see `Figure.flagged`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from synthvae.evaluation.comparison import Comparison
from synthvae.evaluation.results import Figure, Metric

CONFIDENCE = 0.95
Z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))

SHARED = 0.2  # of a holdout: more rows that were learned, beyond those that occur twice there, are a mistake
LEAST = 20  # rows of a holdout below which nothing is measured against it

Interval = tuple[float, float]
Shares = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Guesses:
    """What came of guesses.

    Args:
        success: Whether each was right (n,): 0, 1, or 0.5 where it is a tie.
        cluster: Guesses of the same number (n,) stand and fall together, as those that point at the same row do.
    """

    success: Shares
    cluster: Places

    @classmethod
    def each(cls, success: npt.ArrayLike) -> Guesses:
        """Return guesses of which each stands alone; those of one row of a matrix (rows, guesses) stand together."""
        found = np.asarray(success, np.float64)
        width = found[0].size if len(found) else 1
        return cls(found.ravel(), np.repeat(np.arange(len(found)), width))

    @property
    def rate(self) -> float:
        """The share that was right."""
        return float(self.success.mean())

    @property
    def design_effect(self) -> float:
        """By how much clusters widen the variance of the rate, at least 1.

        The cluster-robust variance over that of independent guesses: Kish, Survey Sampling (1965), section 8.2.
        """
        residuals = self.success - self.rate
        alone = float((residuals**2).sum())
        together = float((np.bincount(self.cluster, residuals) ** 2).sum())
        return max(1.0, together / alone) if alone else 1.0


@dataclass(frozen=True)
class Outcome:
    """What an attack reached.

    Args:
        attack: Its name.
        train: Guesses about rows that were learned.
        control: As many about rows of the holdout.
        naive: As many that do not look at what is known of the row.
        column: The column whose values were guessed, if the attack is about one.
    """

    attack: str
    train: Guesses
    control: Guesses
    naive: Guesses
    column: str = ""

    @property
    def risk(self) -> tuple[float, Interval]:
        """The risk of the rows that were learned, see `excess`."""
        effect = max(self.train.design_effect, self.control.design_effect)
        trials = len(self.train.success) / effect
        return excess(wilson(self.train.rate * trials, trials), wilson(self.control.rate * trials, trials))

    def figure(self, metric: Metric) -> Figure:
        """Return the risk as a figure."""
        value, interval = self.risk
        return Figure(metric, value, interval)

    def row(self) -> dict[str, str | int | float]:
        """Return it as a row of the section's table; all but the number of guesses are fractions."""
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
    """Return the centre of Wilson's score interval of a rate, and half its width.

    Source: Wilson, Probable inference, JASA 22 (1927); as Giomi et al. 2023 (arXiv 2211.10459) use it.
    """
    spread = successes * (trials - successes) / trials + z**2 / 4
    return (successes + z**2 / 2) / (trials + z**2), z * math.sqrt(max(spread, 0.0)) / (trials + z**2)


def excess(train: tuple[float, float], control: tuple[float, float]) -> tuple[float, Interval]:
    """Return the risk and its interval, inside [0, 1]: the success on train beyond control, of what control leaves.

    risk = (train - control) / (1 - control), its error by propagation of both errors: Giomi et al. 2023, "privacy risk"
    (arXiv 2211.10459).

    Args:
        train: Rate of success and its error, see `wilson`.
        control: The same on rows that were not learned.
    """
    (hit, error), (usual, usual_error) = train, control
    value = (hit - usual) / (1 - usual)
    spread = math.hypot(error / (1 - usual), usual_error * (1 - hit) / (1 - usual) ** 2)
    return _fraction(value), (_fraction(value - spread), _fraction(value + spread))


def share_interval(hits: int, trials: int, real: float, real_trials: float) -> Interval:
    """Return the interval of a share of synthetic rows, to be held against the same share of fresh real rows.

    Clopper and Pearson's exact interval (Biometrika 26, 1934), whose ends are moved out by how unsure the share of the
    real rows is: its error, and what one further row among them would be. Otherwise one natural duplicate among many
    synthetic rows would count against none among few real ones. Both distances are squared and added, as Newcombe
    (Statistics in Medicine 17, 1998, method 10) does for a difference of shares.

    Args:
        hits: Synthetic rows of that kind.
        trials: Synthetic rows.
        real: The share of fresh real rows.
        real_trials: Of how many.
    """
    value = hits / trials
    ends = stats.binomtest(hits, trials).proportion_ci(CONFIDENCE, method="exact")
    spare = Z * math.sqrt(real * (1 - real) / real_trials) + 1 / (real_trials + 1)
    return (
        _fraction(value - math.hypot(value - ends.low, spare)),
        _fraction(value + math.hypot(ends.high - value, spare)),
    )


def half_interval(guesses: Guesses) -> Interval:
    """Return Wilson's interval of a share that is one half by chance, widened by the clusters of its guesses."""
    trials = len(guesses.success) / guesses.design_effect
    centre, error = wilson(guesses.rate * trials, trials)
    return _fraction(centre - error), _fraction(centre + error)


def auc(members: Shares, others: Shares) -> tuple[float, Interval]:
    """Return the area under the ROC curve of scores that shall be higher of members, and its interval.

    DeLong, DeLong and Clarke-Pearson (Biometrics 44, 1988) by ranks; the variance is never taken below that of scores
    that say nothing (Mann and Whitney 1947), as DeLong's is too small for few rows.

    Args:
        members: Scores (m,).
        others: Scores (n,).
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
    """Return the holdout, or None and why nothing can be measured against it."""
    holdout = comparison.holdout
    if holdout is None:
        return None, "there is no holdout"
    if len(holdout) < LEAST:
        return None, f"the holdout has {len(holdout)} rows, and less than {LEAST} tell nothing"
    learned = keys(comparison.real)
    shared, usual = keys(holdout).isin(learned).mean(), learned.duplicated(keep=False).mean()
    if shared > usual + SHARED:
        return None, (
            f"{shared:.0%} of the holdout are rows that were learned ({usual:.0%} of which occur twice), so it was not "
            "held out"
        )
    return holdout, ""


def small_holdout(comparison: Comparison) -> tuple[str, ...]:
    """Return a note where the holdout has less than half as many rows as were learned, none otherwise."""
    assert comparison.holdout is not None
    held, learned = len(comparison.holdout), len(comparison.real)
    if held * 2 >= learned:
        return ()
    note = (
        f"The holdout has {held} rows, those learned are {learned}: figures that set the two against each other use as "
        "many of either, and see less than they would with a larger holdout."
    )
    return (note,)


def keys(rows: pd.DataFrame) -> pd.Index[int]:
    """Return a hash of each row: 64 bits, of which two agree by chance once in 10^7 tables of a million rows."""
    # 0.0 and -0.0 are equal, their bits, which pandas 2 hashes, are not.
    plain = {name: rows[name] + 0.0 if rows[name].dtype == np.float64 else rows[name] for name in rows}
    return pd.Index(pd.util.hash_pandas_object(pd.DataFrame(plain), index=False))


def _fraction(value: float) -> float:
    return float(min(max(value, 0.0), 1.0))
