"""Accounting: an upper bound on the epsilon of several events together, by privacy loss distributions.

The noise, the number and the sampling rates of all events but one are fixed before any row is read; the queries may
depend on earlier releases. The composition of privacy loss distributions is proven for this case: one and the same pair
of distributions dominates each release, whatever was released before it. Source: Zhu, Dong, Wang 2022, Optimal
accounting of differential privacy via characteristic function, theorem 10, https://arxiv.org/abs/2106.08567.

The exception is the number of rows, where it is not declared: it determines the noise and the sampling rates of the
others. So its epsilon, at delta 0, is added to that of all others, which is at most the rest of the budget for any
number of rows. This is basic composition, which holds for mechanisms that are chosen by earlier releases. Source:
Dwork, Roth 2014, The algorithmic foundations of differential privacy, theorem B.1.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from synthvae.errors import PrivacyError
from synthvae.privacy.events import Event
from synthvae.schema.values import at_most

GRID = 5e-4  # of privacy losses, relative to epsilon; losses are rounded up, so that epsilon is an upper bound
TOLERANCE = 1e-3  # relative, of a calibrated noise multiplier
MAX_NOISE = 1e4
SUMMABLE = 3.0  # scale from which on a sum of discrete Gaussians is a discrete Gaussian in double precision
LARGE = 1000.0  # scale from which on a discrete Gaussian is a rounded Gaussian, up to `_slack`
FAR = 16.0  # standard deviations: the probability of more is below 1e-56


def spent(events: Sequence[Event], delta: float, about: float = 1.0) -> float:
    """Return an upper bound on the epsilon of events together, most precise where it is near `about`.

    Source: Koskela, Jälkö, Honkela 2020, https://arxiv.org/abs/1906.03049, and Doroshenko et al. 2022, Connect the
    dots, https://arxiv.org/abs/2207.04380: privacy loss distributions, as dp-accounting composes them. The probability
    that an event reveals a value of a single unit is subtracted from delta; given that none is revealed, all released
    values are in both tables. The epsilon of discrete Laplace noise is one over its multiplier (Ghosh, Roughgarden,
    Sundararajan 2012, Universally utility-maximizing privacy mechanisms, https://arxiv.org/abs/0811.2841) and is added
    to that of all others.
    """
    grid = GRID * min(max(about, 0.01), 2.0)
    laplace = sum(1 / event.noise_multiplier for event in events if event.mechanism == "discrete Laplace")
    events = [event for event in events if event.mechanism != "discrete Laplace"]
    if not events:
        return laplace
    delta -= sum(event.times * event.delta for event in events)
    if delta <= 0:
        return math.inf
    slack = sum(_slack(event) for event in events)
    together = functools.reduce(lambda a, b: a.compose(b), [loss_distribution(event, grid) for event in events])
    return float(together.get_epsilon_for_delta(delta * math.exp(-slack))) + 2 * slack + laplace


@functools.lru_cache(maxsize=256)
def loss_distribution(event: Event, grid: float) -> Any:
    """Return the privacy loss distribution of an event.

    A unit changes the cells of a table of counts by integers whose sum is its number of rows at most. Of all ways to
    spread them, all rows in one cell cost most at any epsilon (a test verifies this), so one shift by all rows is
    accounted for. The same holds for the tables of a column in different classes, where each row is in one of them.
    """
    from dp_accounting.pld import privacy_loss_distribution as losses

    if event.mechanism == "discrete Laplace":
        return losses.from_discrete_laplace_mechanism(
            1 / event.scale, round(event.sensitivity), value_discretization_interval=grid
        )
    if event.mechanism == "Poisson-sampled Gaussian":
        one = losses.from_gaussian_mechanism(
            event.noise_multiplier, sampling_prob=event.sampling_rate, value_discretization_interval=grid
        )
        return one.self_compose(event.times)
    if _is_large(event):
        multiplier = event.noise_multiplier / event.times**0.5
        return losses.from_gaussian_mechanism(multiplier, value_discretization_interval=grid)
    scale, shift = event.scale, round(event.sensitivity)
    if scale < SUMMABLE:
        one = losses.from_discrete_gaussian_mechanism(scale, shift, value_discretization_interval=grid)
        return one.self_compose(event.times)
    # The sum of the counts is sufficient. Sums of discrete Gaussians are discrete Gaussians, up to less than
    # 10 n exp(-pi^2 s^2) in log probability, which is below double precision. Source: Kairouz, Liu, Steinke 2021, The
    # distributed discrete Gaussian mechanism, https://arxiv.org/abs/2102.06387.
    scale_of_sum, shift_of_sum = scale * event.times**0.5, shift * event.times
    return losses.from_discrete_gaussian_mechanism(scale_of_sum, shift_of_sum, value_discretization_interval=grid)


def _is_large(event: Event) -> bool:
    """Whether the noise of all counts together is so large that it is a rounded Gaussian."""
    scale = event.scale
    return event.mechanism == "discrete Gaussian" and scale >= SUMMABLE and scale * event.times**0.5 > LARGE


def _slack(event: Event) -> float:
    """The error of the log probability of a count if a rounded Gaussian, which costs what a Gaussian does, is assumed.

    Over x - 1/2 to x + 1/2 the density of scale s is on average between exp(-1 / 8 s^2) and sinh(a) / a < exp(a^2 / 6)
    times that at x, where a = x / 2 s^2. The error is x^2 / 24 s^4 at most, with |x| / s up to `FAR`.
    """
    scale_of_sum = event.scale * event.times**0.5
    return FAR**2 / (24 * scale_of_sum**2) if _is_large(event) else 0.0


def calibrated(events: Callable[[float], Sequence[Event]], epsilon: float, delta: float) -> float:
    """Return the least noise multiplier, up to a tolerance, with which `events` of it cost at most `epsilon`.

    The multiplier that is returned was itself accounted for and is within the budget.

    Raises:
        PrivacyError: The multiplier would be above `MAX_NOISE`.
    """
    # dp_accounting's `calibrate_dp_mechanism` does not fit: it takes DpEvents, of which none is a discrete Gaussian or
    # has a delta of its own, and its tolerance is absolute, whereas multipliers range from 0.1 to 10,000.
    high = 4.0
    while spent(events(high), delta, epsilon) > epsilon:
        high *= 2
        if high > MAX_NOISE:
            raise PrivacyError(
                f"The noise multiplier must be at most {MAX_NOISE:g}, got a budget, epsilon {at_most(epsilon)}, that "
                "needs more. Grant a larger budget."
            )
    low = high / 2  # from above: accounting takes longer with less noise
    while spent(events(low), delta, epsilon) <= epsilon:
        low, high = low / 2, low
    while high / low > 1 + TOLERANCE:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if spent(events(middle), delta, epsilon) > epsilon else (low, middle)
    return high
