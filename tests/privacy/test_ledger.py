"""What is spent is an upper bound, agrees with other accountants, and stays within the budget."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Iterator
from typing import Any

import dp_accounting
import numpy as np
import pytest
from bugs import counted, descended
from dp_accounting import rdp
from dp_accounting.pld import privacy_loss_distribution as loss
from opacus.accountants import PRVAccountant
from scipy.special import logsumexp, ndtr

from synthvae.errors import PrivacyError
from synthvae.privacy import Event, Ledger, PrivacyBudget
from synthvae.privacy.accounting import _slack, calibrated, spent

DELTA = 1e-5


def analytic(noise: float) -> float:
    """Epsilon of one Gaussian mechanism: Balle, Wang 2018, https://arxiv.org/abs/1805.06530, theorem 8, bisected."""

    def phi(x: float) -> float:
        return 0.5 * math.erfc(-x / math.sqrt(2))

    low, high = 0.0, 100.0
    for _ in range(200):
        epsilon = (low + high) / 2
        delta = phi(0.5 / noise - epsilon * noise) - math.exp(epsilon) * phi(-0.5 / noise - epsilon * noise)
        low, high = (epsilon, high) if delta > DELTA else (low, epsilon)
    return high


def by_moments(events: list[Event]) -> float:
    accountant = rdp.RdpAccountant()
    for event in events:
        noise = dp_accounting.GaussianDpEvent(event.noise_multiplier)
        accountant.compose(dp_accounting.PoissonSampledDpEvent(event.sampling_rate, noise), event.times)
    return float(accountant.get_epsilon(DELTA))


@pytest.mark.parametrize("noise", [1.0, 3.0, 20.0])
def test_one_release_costs_what_theory_says(noise: float) -> None:
    assert spent([counted(noise)], DELTA) == pytest.approx(analytic(noise), rel=0.03, abs=2e-3)
    assert spent([descended(noise, 1.0, 1)], DELTA) == pytest.approx(analytic(noise), rel=0.01, abs=2e-3)


def test_many_releases_cost_as_one_with_less_noise() -> None:
    assert spent([counted(20.0, times=16)], DELTA) == pytest.approx(analytic(5.0), rel=0.02)


def discrete_normal(scale: float, width: int) -> np.ndarray:
    """Log probabilities of -width to width."""
    x = np.arange(-width, width + 1)
    return np.asarray(-(x**2) / (2 * scale**2) - logsumexp(-(x**2) / (2 * scale**2)))


@pytest.mark.parametrize(("scale", "times"), [(3.0, 2), (3.0, 7), (5.0, 4)])
def test_sums_of_discrete_normal_numbers_are_such_numbers(scale: float, times: int) -> None:
    one = np.exp(discrete_normal(scale, 60))
    whole = functools.reduce(np.convolve, [one] * times)
    middle, near = len(whole) // 2, round(5 * scale * times**0.5)
    found = np.log(whole[middle - near : middle + near + 1])
    expected = discrete_normal(scale * times**0.5, 60 * times)[60 * times - near : 60 * times + near + 1]
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize(("noise", "times"), [(3.5, 3), (8.0, 40), (200.0, 26), (2000.0, 900)])
def test_counts_together_cost_no_less_than_normal_noise_and_hardly_more(noise: float, times: int) -> None:
    """On either side of where counts are accounted as Gaussian."""
    ours = spent([counted(noise, times=times)], DELTA, 0.1)
    assert analytic(noise / times**0.5) * 0.99 <= ours <= analytic(noise / times**0.5) * 1.02 + 1e-3


@pytest.mark.parametrize("scale", [1000.0, 3000.0])
def test_a_large_discrete_normal_number_is_a_normal_one_rounded_but_for_the_slack(scale: float) -> None:
    logs = discrete_normal(scale, round(16 * scale))
    x = np.arange(-round(8 * scale), 0)  # the left half, where no digits are lost
    rounded = np.log(ndtr((x + 0.5) / scale) - ndtr((x - 0.5) / scale))
    known = logs[len(logs) // 2 - len(x) :][: len(x)]
    assert np.abs(rounded - known).max() < _slack(counted(scale * 1.001))


def test_a_unit_of_more_rows_costs_the_same_at_the_same_multiplier() -> None:
    assert spent([counted(20.0, sensitivity=3.0)], DELTA) == pytest.approx(analytic(20.0), rel=0.03, abs=2e-3)


def spreads(rows: int, most: int) -> Iterator[tuple[int, ...]]:
    """Every way to spread at most so many rows over cells, at most so many in one; none, too."""
    yield ()
    for first in range(1, min(rows, most) + 1):
        yield from ((first, *others) for others in spreads(rows - first, first))


@pytest.mark.slow
@pytest.mark.parametrize("rows", range(2, 7))
@pytest.mark.parametrize("noise", [0.3, 1.0, 4.0, 20.0])
def test_rows_of_a_unit_cost_most_in_one_cell(rows: int, noise: float) -> None:
    """Whatever epsilon is, up to the grid, on which the losses of each cell are rounded up."""
    farthest = 0.5 / noise**2 + 8 / noise
    grid, epsilons = 1e-4 * farthest, np.linspace(0, farthest, 200)

    @functools.lru_cache
    def losses(shifts: tuple[int, ...]) -> Any:
        if len(shifts) == 1:
            return loss.from_discrete_gaussian_mechanism(noise * rows, *shifts, value_discretization_interval=grid)
        return losses(shifts[:-1]).compose(losses(shifts[-1:]))

    def excess(shifts: tuple[int, ...]) -> float:
        rounded_up = epsilons + grid * len(shifts)
        return float(np.max(losses(shifts).get_delta_for_epsilon(rounded_up) - one))

    one = losses((rows,)).get_delta_for_epsilon(epsilons)
    ways = [shifts for shifts in spreads(rows, rows) if shifts]
    assert len(ways) == {2: 3, 3: 6, 4: 11, 5: 18, 6: 29}[rows]
    assert max(map(excess, ways)) < 1e-12
    assert min(excess((rows + 1,)), excess((rows, 1))) > 1e-4  # more rows do cost more


@pytest.mark.parametrize(("noise", "rate", "steps"), [(1.0, 0.01, 500), (4.0, 0.12, 300), (0.8, 0.02, 100)])
def test_other_accountants_agree(noise: float, rate: float, steps: int) -> None:
    """PRV within 5 %; moments, which are looser, above."""
    event = descended(noise, rate, steps)
    prv = PRVAccountant()
    prv.history = [(noise, rate, steps)]
    ours = spent([event], DELTA)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert ours == pytest.approx(prv.get_epsilon(DELTA), rel=0.05)
    assert ours <= by_moments([event]) * 1.001


@pytest.mark.parametrize(("epsilon", "rate", "steps"), [(0.3, 0.1, 50), (1.0, 0.02, 200), (5.0, 1.0, 10)])
def test_a_calibrated_noise_stays_within_and_wastes_little(epsilon: float, rate: float, steps: int) -> None:
    noise = calibrated(lambda noise: [descended(noise, rate, steps)], epsilon, DELTA)
    cost = spent([descended(noise, rate, steps)], DELTA, epsilon)
    assert 0.98 * epsilon <= cost <= epsilon


def test_nothing_costs_nothing() -> None:
    ledger = Ledger(budget=PrivacyBudget(epsilon=1.0, delta=DELTA))
    assert ledger.epsilon == 0.0
    assert ledger.delta == DELTA


def test_more_events_cost_more_and_too_many_are_refused() -> None:
    ledger = Ledger(budget=PrivacyBudget(epsilon=1.0, delta=DELTA)).record(counted(10.0))
    assert 0 < ledger.epsilon < ledger.record(counted(10.0)).epsilon < 1
    with pytest.raises(PrivacyError, match=r"must cost at most epsilon 1, got .* with 'counts'. Grant a larger budget"):
        ledger.record(counted(1.0))


def test_a_budget_that_buys_nothing_is_refused() -> None:
    with pytest.raises(PrivacyError, match="The noise multiplier must be at most 10000, got a budget"):
        calibrated(lambda noise: [counted(noise)], 1e-9, 1e-15)


def test_a_ledger_survives_json() -> None:
    budget = PrivacyBudget(epsilon=2.0, delta=DELTA, unit="patient", rows_per_unit=3)
    ledger = Ledger(budget=budget).record(counted(10.0, sensitivity=3.0))
    assert Ledger.model_validate(ledger.model_dump(mode="json")) == ledger


def test_the_statement_states_all_at_once() -> None:
    budget = PrivacyBudget(epsilon=2.0, delta=DELTA, unit="patient", rows_per_unit=3)
    page = Ledger(budget=budget).record(counted(10.0, sensitivity=3.0)).statement()
    assert page["unit"] == "the rows of one patient, at most 3 used"
    assert {"epsilon", "delta", "adjacency", "accountant"} <= set(page)
    assert len(page["events"]) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("epsilon", value) for value in (0, -1, math.inf, math.nan, "much")),
        *(("delta", value) for value in (0, 1.0, -1e-5)),
        ("rows_per_unit", 0),
        ("unit", 3),
        ("other", 1),
    ],
)
def test_an_impossible_budget_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(PrivacyError, match=field):
        PrivacyBudget(**{"epsilon": 1.0, "delta": DELTA, field: value})
