"""Estimates from synthetic copies of a table, pooled to one with a standard error and an interval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import t

from synthvae.errors import ConfigurationError, brief, listing
from synthvae.evaluation import pooling_conditions as conditions

Floats = npt.NDArray[np.float64]
Rule = Literal["plug-in", "fits", "posterior"]
RULES = ("plug-in", "fits", "posterior")


@dataclass(frozen=True)
class Pooled:
    """Pooled estimates of Q quantities.

    Args:
        estimate: The estimates (Q,).
        variance: Their estimated variances (Q,) over samples of real rows and draws of synthetic ones.
        low: The lower ends (Q,) of the intervals.
        high: The upper ends (Q,).
        freedom: The degrees of freedom (Q,) of the t distribution of the intervals; infinite: normal.
        level: The nominal coverage of the intervals.
        copies: The number of synthetic copies.
        rule: The combining rule.
        names: The names (Q,) of the quantities.
        notes: Where the conditions of the rule are not met, or cannot be checked, one sentence each.

    Example:
        >>> pool([1.0], [0.01], rows=50, synthetic_rows=50).table().round(2).loc["0"].to_dict()
        {'estimate': 1.0, 'standard_error': 0.14, 'low': 0.72, 'high': 1.28}
    """

    __repr__ = brief

    estimate: Floats
    variance: Floats
    low: Floats
    high: Floats
    freedom: Floats
    level: float
    copies: int
    rule: Rule
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def standard_error(self) -> Floats:
        """The square roots (Q,) of the variances."""
        return np.sqrt(self.variance)

    def table(self) -> pd.DataFrame:
        """Return a row for each quantity: its estimate, standard error and interval."""
        columns = {"estimate": self.estimate, "standard_error": self.standard_error, "low": self.low, "high": self.high}
        return pd.DataFrame(columns, index=list(self.names))


def pool(
    estimates: Sequence[Any] | npt.ArrayLike,
    variances: Sequence[Any] | npt.ArrayLike,
    *,
    rows: int | None = None,
    synthetic_rows: int | None = None,
    manifest: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    rule: Rule | None = None,
    level: float = 0.95,
) -> Pooled:
    """Pool the estimates of analyses that were run on each synthetic copy as if it were the real table.

    The rows of `Synthesizer.generate(copies=m)` are drawn from one fitted model, whose parameters are fixed. For these,
    the estimate is the mean q of the m estimates, and its variance is T = v (k / n + 1 / m), where v is the mean of the
    m variances, n the number of training rows and k that of the rows of each copy (Raab, Nowok & Dibben 2016: simple
    synthesis, inference to the population; so does R's synthpop). v k / n estimates the variance of the estimate from
    the real rows, and v / m is that of the draws. The interval is normal. One copy suffices. Not in T is the spread
    between fits: a second fit of the same rows, with another `random_state`, has other estimates.

    With copies of each of m such fits (`manifest` is the list of their manifests) it is. q is the mean of the m
    estimates, each the mean over the copies of its fit, and b their variance, T = v k / n + b / m, with
    (m - 1) (T / (b / m))^2 degrees of freedom; with k = n these are the formulas of Reiter (2003) for partially
    synthetic tables. b / m estimates the variance of q over fits and draws, given the real rows.

    Where the parameters of the model were drawn anew for each copy, from their posterior distribution, T = (1 + 1 / m)
    b - v, where b is the variance of the m estimates, with (m - 1) (1 - v / ((1 + 1 / m) b))^2 degrees of freedom
    (Raghunathan, Reiter & Rubin 2003; Reiter 2002). Where T is not positive, it is T = v (k / n + (1 + k / n) / m)
    instead (Raab et al. 2016: proper synthesis). synthvae does not draw parameters; the rule is for tables of other
    programs.

    All hold for many rows, a model that is compatible with the analysis and is fitted without bias, and training rows
    that are a simple random sample. They do not hold for a private model, whose noise they ignore, and only about for
    protected values, rules between columns, conditions, weights and units of several rows. The manifest tells these.

    Args:
        estimates: The estimates (m,) or (m, Q), such as coefficients. A Series or mapping for each copy, or a DataFrame
            with a row for each, names the quantities.
        variances: Their estimated variances (m,) or (m, Q), the squares of standard errors, each from its copy alone;
            those with names are matched to the estimates by name.
        rows: The number n of training rows. None: that of the manifest.
        synthetic_rows: The number k of rows of each copy. None: that of the manifest.
        manifest: What `generate(copies=...)` returned, or the manifest of a copy; its conditions are checked. For
            several fits of the same rows, the list of theirs; estimates and variances are then in its order.
        rule: "plug-in": the parameters are fixed, as in one fit of synthvae; "fits": those of several fits, where
            without a manifest each copy has a fit of its own; "posterior": they were drawn for each copy. None: "fits"
            for a list of manifests, else "plug-in".
        level: The nominal coverage of the intervals.

    Raises:
        ConfigurationError: Numbers of rows are unknown, shapes or names differ, a variance is not positive, the number
            of copies is not that of the manifest or too low for the rule, the model is private, or several manifests
            are those of one model or differ in columns or numbers of rows or copies; whether the training rows are the
            same is not checked.

    Source: Raab, Nowok & Dibben 2016, https://doi.org/10.29012/jpc.v7i3.407; Raghunathan, Reiter & Rubin 2003, Multiple
    imputation for statistical disclosure limitation, Journal of Official Statistics 19, 1-16; Reiter 2002, Satisfying
    disclosure restrictions with synthetic data sets, Journal of Official Statistics 18, 531-543; Reiter 2003, Inference
    for partially synthetic, public use microdata sets, Survey Methodology 29, 181-188.

    Example:
        >>> pooled = pool([[1.1], [0.9]], [[0.04], [0.04]], rows=100, synthetic_rows=100)
        >>> pooled.table().round(3).values.tolist()
        [[1.0, 0.245, 0.52, 1.48]]
        >>> pooled = pool([[1.2], [0.8]], [[0.04], [0.04]], rows=100, synthetic_rows=100, rule="fits")
        >>> pooled.table().round(3).values.tolist()
        [[1.0, 0.283, 0.215, 1.785]]
    """
    manifests = conditions.checked(manifest)
    means, within, names = _paired(estimates, variances)
    rule = rule or ("fits" if len(manifests) > 1 else "plug-in")
    _check(means, within, rule, level)
    _check_rule(rule, len(means), len(manifests))
    conditions.check_copies(len(means), manifests)
    n, k = conditions.numbers(rows, synthetic_rows, manifests)
    notes = conditions.notes(manifests, rule)
    if rule == "plug-in":
        variance, freedom = _of_one_fit(within, k / n)
    elif rule == "fits":
        each = means.reshape(len(manifests) or len(means), -1, means.shape[1]).mean(1)
        variance, freedom = _of_fits(each, within.mean(0), k / n)
    else:
        variance, freedom = _of_posterior(means.var(axis=0, ddof=1), within.mean(0), len(means), k / n)
        if np.isinf(freedom).any():
            notes += ("Variances that the rule of posterior draws makes negative are those of large samples.",)
    estimate, half = means.mean(0), t.ppf((1 + level) / 2, freedom) * np.sqrt(variance)
    return Pooled(estimate, variance, estimate - half, estimate + half, freedom, level, len(means), rule, names, notes)


def _of_one_fit(within: Floats, ratio: float) -> tuple[Floats, Floats]:
    """Variances (Q,) and degrees of freedom (Q,) where the parameters are those of one fit, from variances (m, Q)."""
    variance = within.mean(0) * (ratio + 1 / len(within))
    return variance, np.full(variance.shape, np.inf)


def _of_fits(means: Floats, within: Floats, ratio: float) -> tuple[Floats, Floats]:
    """Variances (Q,) and degrees of freedom (Q,) of the mean over independent fits of the same rows.

    Given the real rows, the estimates of the fits are independent with the same variance, that of the fit and of the
    draws, so that their variance over m estimates that of their mean whatever its two parts are. The real rows add the
    variance of an estimate from them. The degrees of freedom are those of Satterthwaite for the sum of that, taken as
    known, and of a mean of m.

    Args:
        means: Means (m, Q) of the estimates of the copies of each fit.
        within: Means (Q,) of the variances of all copies.
        ratio: The number of rows of a copy, over that of the training rows.
    """
    between = means.var(axis=0, ddof=1) / len(means)
    variance = within * ratio + between
    freedom = (len(means) - 1) * (variance / np.where(between > 0, between, np.inf)) ** 2
    return variance, np.where(between > 0, freedom, np.inf)


def _of_posterior(between: Floats, within: Floats, copies: int, ratio: float) -> tuple[Floats, Floats]:
    """Variances (Q,) and degrees of freedom (Q,) where the parameters of each copy are a draw of their own.

    Args:
        between: Variances (Q,) of the estimates of the copies.
        within: Means (Q,) of their variances.
        copies: The number m of copies.
        ratio: The number of rows of a copy, over that of the training rows.
    """
    spread = (1 + 1 / copies) * between
    variance = spread - within
    positive = variance > 0
    freedom = (copies - 1) * (1 - within / np.where(positive, spread, 1.0)) ** 2
    large = within * (ratio + (1 + ratio) / copies)
    return np.where(positive, variance, large), np.where(positive, freedom, np.inf)


def _paired(estimates: Any, variances: Any) -> tuple[Floats, Floats, tuple[str, ...]]:
    """Estimates (m, Q) and variances (m, Q) of the same quantities, matched by name if both have names, and names."""
    ours, theirs = _rows(estimates, "estimates"), _rows(variances, "variances")
    names, others = _names(ours, "estimates"), _names(theirs, "variances")
    if names is not None and others is not None:
        if set(names) != set(others):
            raise ConfigurationError(
                f"`estimates` and `variances` must have the same names, got {listing(names, 5)} and "
                f"{listing(others, 5)}. Take both from the same model."
            )
    elif any(isinstance(one, pd.Series) and list(one.index) != list(ours[0].index) for one in ours):
        raise ConfigurationError(
            "Variances without names must be in the order of the estimates, got estimates in several orders. Give the "
            "variances names, too."
        )
    means = _matrix(ours, names, "estimates")
    labels = range(means.shape[1]) if names is None else names
    return means, _matrix(theirs, None if others is None else names or others, "variances"), tuple(map(str, labels))


def _rows(given: Any, name: str) -> list[Any]:
    """What was given for each of m copies: a number, numbers, or a Series with the names of quantities."""
    table = given.to_pandas() if hasattr(given, "to_pandas") else given  # of polars or Arrow
    if isinstance(table, pd.DataFrame):
        return [table.iloc[place] for place in range(len(table))]
    if isinstance(table, (str, bytes, Mapping)) or not isinstance(table, Iterable) or getattr(table, "ndim", 1) == 0:
        raise ConfigurationError(
            f"`{name}` must have an item for each copy, got {given!r:.60}. Give a list, also for one copy."
        )
    return [pd.Series(one) if isinstance(one, Mapping) else one for one in table]


def _names(rows: list[Any], name: str) -> list[Any] | None:
    """The names (Q,) of the quantities, in the order of the first copy; None if there are none."""
    named = [one for one in rows if isinstance(one, pd.Series)]
    if not named:
        return None
    first = list(named[0].index)
    if len(named) < len(rows) or any(set(one.index) != set(first) for one in named):
        raise ConfigurationError(
            f"`{name}` must have the same quantities in each copy, got others. Fit the same model."
        )
    if any(not one.index.is_unique for one in named):
        raise ConfigurationError(f"`{name}` must have each name once, got {listing(first, 5)}. Rename the quantities.")
    return first


def _matrix(rows: list[Any], names: list[Any] | None, name: str) -> Floats:
    """Numbers (m, Q) of m copies, in the order of the names if there are any."""
    try:
        numbers = np.array([one if names is None else one[names] for one in rows], float)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"`{name}` must be numbers, as many for each copy, got {rows!r:.60}.") from error
    if numbers.ndim not in {1, 2} or not numbers.size:
        raise ConfigurationError(
            f"`{name}` must have the shape (copies,) or (copies, quantities), got {numbers.shape}."
        )
    return numbers.reshape(len(numbers), -1)


def _check(means: Floats, within: Floats, rule: str, level: float) -> None:
    if rule not in RULES:
        raise ConfigurationError(f"`rule` must be one of {', '.join(map(repr, RULES))}, got {rule!r}.")
    if not 0 < level < 1:
        raise ConfigurationError(f"`level` must be between 0 and 1, got {level!r}. Give .95 for 95 % intervals.")
    if means.shape != within.shape:
        raise ConfigurationError(
            f"`estimates` and `variances` must have the same shape, got {means.shape} and {within.shape}."
        )
    if not (np.isfinite(means).all() and np.isfinite(within).all() and (within > 0).all()):
        raise ConfigurationError(
            "Estimates must be finite and variances positive. Leave out quantities that some copy does not determine."
        )


def _check_rule(rule: Rule, copies: int, manifests: int) -> None:
    """Refuse a rule for which there are too few copies, or whose fits are not those of the manifests."""
    if rule == "posterior" and copies < 2:
        raise ConfigurationError("The rule of posterior draws needs at least 2 copies, got 1. Generate more.")
    if rule == "fits" and (manifests == 1 or copies < 2):
        raise ConfigurationError(
            "The rule of several fits needs at least 2 fits, got 1. Fit the same rows with several values of "
            "`random_state`, and give a list of their manifests."
        )
    if rule != "fits" and manifests > 1:
        raise ConfigurationError(
            f"Manifests of several fits need the rule 'fits', got {rule!r}. Leave out `rule`, or give one manifest."
        )
