"""Estimators of times to an event: curves, their distance, Cox's model and Harrell's concordance (N rows)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from synthvae.evaluation.comparison import Matrix
from synthvae.evaluation.utility.learners import Mask, Score, Vector

RIDGE = 1e-3  # on the mean log partial likelihood; keeps hazards finite if a column separates all events

Curve = tuple[Vector, Vector]
"""A step function of time: the distinct times in order, and its values from each of them on."""


@dataclass(frozen=True)
class CensoredTimes:
    """Times (N,), and whether the event was observed at that time (N,)."""

    time: Vector
    observed: Mask


def kaplan_meier(censored: CensoredTimes, weights: Vector | None = None) -> Curve:
    """Return the product-limit estimate of the survival function: distinct times in order, and shares.

    Args:
        censored: Times and events (N,).
        weights: Weight of each row (N,); None: one.

    Source: Kaplan & Meier 1958, eq. 2b, https://doi.org/10.1080/01621459.1958.10501452.
    """
    times, at_risk, (events,) = _counts(censored.time, [censored.observed], weights)
    return times, np.asarray(np.cumprod(1 - events / at_risk))


def _counts(time: Vector, events: Sequence[Mask], weights: Vector | None) -> tuple[Vector, Vector, list[Vector]]:
    """Return the distinct times (T,), the weight of the rows at risk at each (T,), and that of each kind of event."""
    times, places = np.unique(time, return_inverse=True)
    ones = np.ones(len(places)) if weights is None else weights
    at_risk = np.bincount(places, ones, len(times))[::-1].cumsum()[::-1]
    counts = [np.bincount(places, ones * kind, len(times)).astype(np.float64) for kind in events]
    return times, np.maximum(at_risk, 1), counts


def aalen_johansen(time: Vector, cause: Vector, causes: int, weights: Vector | None = None) -> list[Curve]:
    """Return the cumulative incidence of each competing cause: the share of people that it has struck by each time.

    The incidence of cause k grows at time t by S(t-) d_k(t) / n(t), where S is the Kaplan-Meier estimate for all causes
    together, d_k the number of events of the cause, and n that of people at risk.

    Args:
        time: Times (N,).
        cause: Causes (N,) from 1; 0 where the time is censored.
        causes: The number of causes.
        weights: Weight of each row (N,); None: one.

    Source: Aalen & Johansen 1978, https://www.jstor.org/stable/4615704.

    Example:
        >>> relapse, death = aalen_johansen(np.array([1.0, 2, 3, 4]), np.array([1.0, 2, 0, 1]), causes=2)
        >>> relapse[1].tolist(), death[1].tolist()
        ([0.25, 0.25, 0.25, 0.75], [0.0, 0.25, 0.25, 0.25])
    """
    times, at_risk, events = _counts(time, [cause == k for k in range(1, causes + 1)], weights)
    left = np.cumprod(1 - np.sum(events, axis=0) / at_risk)
    before = np.r_[1.0, left[:-1]]
    return [(times, np.cumsum(before * each / at_risk)) for each in events]


def curve_distance(one: Curve, other: Curve, end: float, start: float = 1.0) -> float:
    """Return the mean distance of two curves from time 0 to `end`; a curve is constant after its last time.

    Args:
        one: A curve.
        other: Another one.
        end: The last time.
        start: The value of both before their first time: 1 for survival, 0 for incidence.
    """
    edges = np.unique(np.concatenate([[0.0, end], one[0], other[0]]))
    edges = edges[edges <= end]
    heights = [np.r_[start, share][np.searchsorted(times, edges[:-1], side="right")] for times, share in (one, other)]
    return float(np.sum(np.abs(heights[0] - heights[1]) * np.diff(edges)) / end) if end > 0 else 0.0


def cox_weights(rows: Matrix, censored: CensoredTimes, ridge: float = RIDGE) -> Vector:
    """Return the log hazard ratios (D,) that maximise the penalised partial likelihood of rows (N, D).

    Source: Cox 1972, https://doi.org/10.1111/j.2517-6161.1972.tb00899.x, with ties as by Breslow 1974,
    https://doi.org/10.2307/2529620.
    """
    order = np.argsort(-censored.time, kind="stable")
    rows, times, observed = rows[order], censored.time[order], censored.observed[order]
    first, past = (np.searchsorted(-times, -times, side=side) for side in ("left", "right"))

    def loss(weights: Vector) -> tuple[float, Vector]:
        risk = rows @ weights
        at_risk = np.logaddexp.accumulate(risk)[past - 1]
        hazard = np.logaddexp.accumulate(np.where(observed, -at_risk, -np.inf)[::-1])[::-1][first]
        likelihood = np.sum((risk - at_risk)[observed]) / observed.sum()
        slope = (observed - np.exp(risk + hazard)) @ rows / observed.sum()
        return ridge / 2 * weights @ weights - likelihood, ridge * weights - slope

    return np.asarray(minimize(loss, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B").x)


def harrell(censored: CensoredTimes, risk: Vector) -> Score | None:
    """Return Harrell's C of risks (N,): the share of comparable pairs in the right order; ties count one half.

    None if there are no comparable pairs. Source: Harrell et al. 1982, https://doi.org/10.1001/jama.1982.03320430047030.
    """
    time, observed = censored.time, censored.observed
    later = (time[:, None] < time) | ((time[:, None] == time) & ~observed)
    comparable = later & observed[:, None]
    pairs = comparable.sum()
    if not pairs:
        return None
    right = np.where(comparable, (1 + np.sign(risk[:, None] - risk)) / 2, 0.0)
    value = float(right.sum() / pairs)
    excess = right.sum(axis=0) + right.sum(axis=1) - value * (comparable.sum(axis=0) + comparable.sum(axis=1))
    return Score(value, excess * len(time) / pairs)
