"""Lower bounds on epsilon, from how well an attacker tells present canaries from absent ones.

Shapes: N canaries, T thresholds, A rates of false alarms.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, expit
from scipy.stats import binom

from synthvae.privacy.accounting import loss_distribution, spent
from synthvae.privacy.events import Event

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

CHOOSING = 4  # each fourth canary is used to choose the threshold, and for nothing else
TRIED = expit(np.linspace(-4, 4, 17))  # quantiles of the scores; few, to avoid overfitting
HALF = 0.5  # the threshold is the one that best rejects a mechanism with twice the noise that is claimed
LEAST, MOST, TOLERANCE = 1 / 16, 4.0, 1.03  # factors of less noise than claimed that are tested, and their precision
RATES = np.concatenate([[0.0], expit(np.linspace(-18, 18, 800)), [1.0]])  # of false alarms (A,)
GRID = 1e-3  # of privacy losses: coarser than the ledger's, and rounded up as well
SLOPES = 60  # lines under a trade-off function
TAIL = 1e-9  # a delta beyond which it is not computed
GUESSED = (1 / 2, 1 / 4, 1 / 8, 1 / 32)  # shares of the canaries whose presence is guessed
LARGEST = 50.0  # the largest lower bound on epsilon


def from_errors(
    scores: Floats, present: Bools, events: Sequence[Event], delta: float, significance: float, *, about: float = 1.0
) -> float:
    """Return a lower bound on epsilon from how often a threshold raises false alarms and misses.

    A quarter of the canaries are used to choose the threshold, the others to test it. The bound is the epsilon of
    `events` with the most noise, as a fraction of the noise claimed, at which errors as rare as the observed ones are
    too unlikely for every point of the trade-off function. So the test refutes the whole trade-off function that the
    ledger claims, of which (epsilon, delta) is one supporting line; for code that does what the ledger states, the
    bound is too high with probability `significance` at most. Scores are assumed independent, which they are if the
    noise is.

    Source: Nasr et al. 2023, Tight auditing of differentially private machine learning, section 4,
    https://arxiv.org/abs/2302.07956, with the accountant's curve in place of a fitted one.

    Args:
        scores: The scores (N,), high where a canary seems present.
        present: Whether each canary is present (N,).
        events: The events that are claimed.
        delta: The delta at which epsilon is stated.
        significance: The probability that the bound is too high.
        about: The epsilon near which the accountant is most precise.
    """
    chooses = np.arange(len(scores)) % CHOOSING == 0
    tried = np.unique(np.quantile(scores[chooses], TRIED))
    errors = _errors(scores[chooses], present[chooses], tried)
    best = tried[[np.argmin(_likelihood(errors, _less_noise(events, HALF)))]]
    final = _errors(scores[~chooses], present[~chooses], best)

    def refuted(less: float) -> bool:
        both = _likelihood(final, _less_noise(events, less))[0]
        return bool(both * (1 - math.log(both)) < significance)

    found = _most_refuted(refuted)
    return 0.0 if found is None else spent(_less_noise(events, found), delta, about)


def _less_noise(events: Sequence[Event], less: float) -> tuple[Event, ...]:
    return tuple(e.model_copy(update={"noise_multiplier": e.noise_multiplier / less}) for e in events)


def _errors(scores: Floats, present: Bools, thresholds: Floats) -> tuple[Counts, int, Counts, int]:
    """False alarms (T,) and the absent canaries; misses (T,) and the present canaries."""
    absent, there = np.sort(scores[~present]), np.sort(scores[present])
    alarms = len(absent) - np.searchsorted(absent, thresholds)
    return alarms, len(absent), np.searchsorted(there, thresholds).astype(np.int64), len(there)


def _likelihood(errors: tuple[Counts, int, Counts, int], events: tuple[Event, ...]) -> Floats:
    """Bounds (T,) on the product of the probabilities, given `events`, of no more false alarms and of no more misses.

    The product of two independent p-values is at most x with probability x (1 - log x) (Fisher 1932). Its maximum over
    the rate of false alarms is bounded on a grid: one probability falls with the rate and the other grows, so that the
    first at one end of a step and the second at the other bound the product in between.
    """
    alarms, absent, misses, there = errors
    few_alarms = bdtr(alarms[:, None], absent, RATES[:-1])
    few_misses = bdtr(misses[:, None], there, _curve(events)[1:])
    return np.asarray((few_alarms * few_misses).max(1).clip(np.finfo(float).tiny, 1.0))


@functools.lru_cache(maxsize=64)
def _curve(events: tuple[Event, ...]) -> Floats:
    return trade_off(events, RATES)


def trade_off(events: tuple[Event, ...], alarms: Floats) -> Floats:
    """Return the least rates of misses (A,) that are possible at rates of false `alarms` (A,).

    Source: Dong, Roth, Su 2022, Gaussian differential privacy, propositions 3 and 6, https://arxiv.org/abs/1905.02383.
    """
    epsilons, deltas = _lines(events)
    steep = 1 - deltas - np.exp(epsilons) * alarms[:, None]
    flat = np.exp(-epsilons) * (1 - deltas - alarms[:, None])
    return np.asarray(np.maximum(steep, flat).max(1).clip(0, 1))


def _lines(events: tuple[Event, ...]) -> tuple[Floats, Floats]:
    """Pairs of epsilons and deltas that `events` satisfy, by the ledger's accountant on a coarser grid."""
    losses = functools.reduce(lambda a, b: a.compose(b), [loss_distribution(event, GRID) for event in events])
    epsilons = np.linspace(0, losses.get_epsilon_for_delta(TAIL), SLOPES)
    revealed = sum(event.times * event.delta for event in events)
    return epsilons, np.minimum(np.asarray(losses.get_delta_for_epsilon(epsilons)) + revealed, 1.0)


def _most_refuted(refuted: Callable[[float], bool]) -> float | None:
    """The largest number from `LEAST` to `MOST`, up to a tolerance, that is refuted; None if none is."""
    low, high = (1.0, MOST) if refuted(1.0) else (LEAST, 1.0)
    if high == MOST and refuted(MOST):
        return MOST
    if low == LEAST and not refuted(LEAST):
        return None
    while high / low > TOLERANCE:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if refuted(middle) else (low, middle)
    return low


def from_guesses(scores: Floats, present: Bools, delta: float, significance: float) -> float:
    """Return a lower bound on epsilon from the number of right guesses: highest scores present, lowest scores absent.

    It holds for dependent scores as well. Several numbers of guesses are tried, each at a part of the significance.
    Source: Steinke, Nasr, Jagielski 2023, Privacy auditing with one (1) training run, theorem 5.2,
    https://arxiv.org/abs/2305.08846.

    Args:
        scores: The scores (N,), high where a canary seems present.
        present: Whether each canary is present (N,), independently with probability one half.
        delta: The delta at which epsilon is stated.
        significance: The probability that the bound is too high.
    """
    ordered = present[np.argsort(scores)]
    bounds = []
    for share in GUESSED:
        half = max(int(share * len(ordered) / 2), 1)
        right = int(ordered[-half:].sum() + (~ordered[:half]).sum())
        bounds.append(_least_epsilon(len(ordered), 2 * half, right, delta, significance / len(GUESSED)))
    return max(bounds)


def _least_epsilon(canaries: int, guesses: int, right: int, delta: float, significance: float) -> float:
    low, high = 0.0, LARGEST
    if p_value(canaries, guesses, right, low, delta) >= significance:
        return 0.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        refuted = p_value(canaries, guesses, right, middle, delta) < significance
        low, high = (middle, high) if refuted else (low, middle)
    return low


def p_value(canaries: int, guesses: int, right: int, epsilon: float, delta: float) -> float:
    """Return an upper bound on the probability of at least `right` right guesses under (epsilon, delta)-privacy.

    With B binomial of `guesses` trials at 1 / (1 + exp(-epsilon)), it is P[B >= right] + 2 canaries delta times the
    largest of P[right > B >= right - i] / i, i from 1 to `right`. Source: Steinke, Nasr, Jagielski 2023, theorem 5.2
    and appendix D, https://arxiv.org/abs/2305.08846.
    """
    chance = expit(epsilon)
    beyond = float(binom.sf(right - 1, guesses, chance))
    back = np.arange(1, right + 1)
    alpha = float(((binom.sf(right - back - 1, guesses, chance) - beyond) / back).max(initial=0.0))
    return min(beyond + 2 * canaries * delta * alpha, 1.0)
