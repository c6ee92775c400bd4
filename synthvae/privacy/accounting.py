"""What events cost together: an upper bound, reckoned by privacy loss distributions.

The noise, the number and the sampling rates of all events but one are fixed before any row is looked at; what is asked
may depend on what was answered before. That is what the composition of privacy loss distributions is proven for: each
answer is dominated by one and the same pair of distributions, whatever came before it. Source: Zhu, Dong, Wang 2022,
Optimal accounting of differential privacy via characteristic function, theorem 10, https://arxiv.org/abs/2106.08567.

The one is the number of rows, where it is not declared: it settles the noise and the sampling rates of the others. So
its epsilon, with delta 0, is added to that of all others, which is at most what is left of the budget, whatever the
number turns out to be: basic composition, which holds for a mechanism that is chosen by what came before. Source:
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

GRID = 5e-4  # of privacy losses, relative to epsilon; they are rounded up: what is reported is an upper bound
TOLERANCE = 1e-3  # relative, of a noise multiplier that is looked for
MOST_NOISE = 1e4
ALIKE = 3.0  # scale of counts from which on their sum is a discrete normal number, as far as doubles tell
LARGE = 1000.0  # scale from which on such a number is a normal one, rounded, as far as `_slack` tells
FAR = 16.0  # standard deviations: the chance of more is below 1e-56


def spent(events: Sequence[Event], delta: float, about: float = 1.0) -> float:
    """Return the epsilon of some events together, an upper bound, fine where it is `about` so much.

    Source: Koskela, Jälkö, Honkela 2020, https://arxiv.org/abs/1906.03049, and Doroshenko et al. 2022, Connect the
    dots, https://arxiv.org/abs/2207.04380: privacy loss distributions, as dp-accounting composes them. The chances that
    events tell what one unit alone has are taken off delta: otherwise they tell of values that both tables have. The
    epsilon of discrete Laplace noise is one over its multiplier (Ghosh, Roughgarden, Sundararajan 2012, Universally
    utility-maximizing privacy mechanisms, https://arxiv.org/abs/0811.2841) and is added to that of all others.
    """
    grid = GRID * min(max(about, 0.01), 2.0)
    plainly = sum(1 / event.noise_multiplier for event in events if event.mechanism == "discrete Laplace")
    events = [event for event in events if event.mechanism != "discrete Laplace"]
    if not events:
        return plainly
    delta -= sum(event.times * event.delta for event in events)
    if delta <= 0:
        return math.inf
    slack = sum(_slack(event) for event in events)
    whole = functools.reduce(lambda a, b: a.compose(b), [loss_distribution(event, grid) for event in events])
    return float(whole.get_epsilon_for_delta(delta * math.exp(-slack))) + 2 * slack + plainly


@functools.lru_cache(maxsize=256)
def loss_distribution(event: Event, grid: float) -> Any:
    """The privacy losses of an event.

    A unit moves the cells of a table of counts by whole numbers that sum to its rows at most. Of all ways to spread
    them, all in one cell costs most, whatever epsilon is (a test holds that), so one shift by all rows is reckoned.
    It is the same with rows in neighbouring tables: where each row is in one table alone, all are one table.
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
    if scale < ALIKE:
        one = losses.from_discrete_gaussian_mechanism(scale, shift, value_discretization_interval=grid)
        return one.self_compose(event.times)
    # What counts tell together, their sum tells. Sums of discrete normal numbers are such numbers, but for less than
    # 10 n exp(-pi^2 s^2) in log probability, which is past a double's last digit. Source: Kairouz, Liu, Steinke 2021,
    # The distributed discrete Gaussian mechanism, https://arxiv.org/abs/2102.06387.
    whole, moved = scale * event.times**0.5, shift * event.times
    return losses.from_discrete_gaussian_mechanism(whole, moved, value_discretization_interval=grid)


def _is_large(event: Event) -> bool:
    """Whether the noise of all counts together is so large that it is normal, rounded to whole numbers."""
    scale = event.scale
    return event.mechanism == "discrete Gaussian" and scale >= ALIKE and scale * event.times**0.5 > LARGE


def _slack(event: Event) -> float:
    """How far the log probability of a count is from that of normal noise, rounded, which costs what normal noise does.

    Over x - 1/2 to x + 1/2 the density of scale s is on average between exp(-1 / 8 s^2) and sinh(a) / a < exp(a^2 / 6)
    times that at x, a being x / 2 s^2: at most x^2 / 24 s^4 off, `FAR` being the largest |x| / s that there is.
    """
    whole = event.scale * event.times**0.5
    return FAR**2 / (24 * whole**2) if _is_large(event) else 0.0


def calibrated(events: Callable[[float], Sequence[Event]], epsilon: float, delta: float) -> float:
    """Return the least noise multiplier, up to a tolerance, with which `events` of it cost at most `epsilon`."""
    high = 4.0
    while spent(events(high), delta, epsilon) > epsilon:
        high *= 2
        if high > MOST_NOISE:
            raise PrivacyError(
                f"a budget must buy something, however, epsilon {at_most(epsilon)} would need noise of more than "
                f"{MOST_NOISE:g} times the sensitivity: grant a larger one"
            )
    low = high / 2  # from above: the less noise, the longer the reckoning
    while spent(events(low), delta, epsilon) <= epsilon:
        low, high = low / 2, low
    while high / low > 1 + TOLERANCE:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if spent(events(middle), delta, epsilon) > epsilon else (low, middle)
    return high
