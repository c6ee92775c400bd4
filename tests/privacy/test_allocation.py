"""A budget is divided by public numbers alone; where the number of rows is released, the promise holds for any."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import laplace

from synthvae.errors import PrivacyError
from synthvae.privacy import Descending, Event, Ledger, Plan, PrivacyBudget
from synthvae.privacy.accounting import loss_distribution, spent
from synthvae.privacy.allocation import ROWS_SHARE, Allocation, Scope
from synthvae.privacy.curator import MARGIN, Curator, DryRun

DELTA = 1e-4
SCOPE = Scope(0, 0, 4)
FEW = Plan(strategy="gradients", descent=Descending(batch=100, steps=30))


def recorded(about: int, plan: Plan = FEW, **budget: Any) -> tuple[Event, ...]:
    curator = DryRun(Ledger(budget=PrivacyBudget(**{"epsilon": 1.0, "delta": DELTA, **budget})), about)
    Allocation.record(curator, SCOPE, plan, lambda: about)
    return curator.ledger.events


def together(events: tuple[Event, ...]) -> Any:
    return functools.reduce(lambda a, b: a.compose(b), [loss_distribution(event, 1e-4) for event in events])


@pytest.mark.slow
@pytest.mark.parametrize("rows", [50, 200])
def test_the_whole_is_within_the_promise_though_the_rate_follows_a_noisy_number(rows: int) -> None:
    """The privacy losses of both steps are integrated over the noisy number, for a table of few rows and its neighbour.

    Given a number v, with a loss l(v) of its own, what follows must have its hockey-stick divergence at epsilon - l(v).
    """
    cost = ROWS_SHARE * 1.0
    quantiles = (np.arange(10) + 0.5) / 10
    numbers = rows + np.rint(laplace.ppf(quantiles, scale=1 / cost)) + math.ceil(MARGIN / cost)
    follow = [together(recorded(max(int(number), 1))[1:]) for number in numbers]
    for sign in (1, -1):  # one row more, or one less
        losses = np.where(quantiles < 0.5, sign, -sign) * cost
        parts = [one.get_delta_for_epsilon(1.0 - loss) for one, loss in zip(follow, losses, strict=True)]
        assert 0.3 * DELTA < np.mean(parts) < DELTA


def test_laplace_noise_costs_what_theory_says() -> None:
    event = Event(name="rows", mechanism="discrete Laplace", noise_multiplier=20.0, sensitivity=3.0)
    assert spent([event], DELTA) == pytest.approx(1 / 20)
    assert together((event,)).get_epsilon_for_delta(1e-9) == pytest.approx(1 / 20, abs=2e-4)
    other = Event.of_counts("counts", 3, 10.0)
    assert spent([event, other], DELTA) == pytest.approx(1 / 20 + spent([other], DELTA))


def test_a_number_of_rows_that_is_declared_is_not_released() -> None:
    events = recorded(7, rows=3000)
    assert "number of rows" not in [event.name for event in events]
    assert events == recorded(3000, rows=3000)
    assert events[-1].sampling_rate == 100 / 3000


@pytest.mark.parametrize("strategy", ["gradients", "tables"])
@pytest.mark.parametrize("rows", [None, 900])
@pytest.mark.parametrize("scope", [Scope(0, 0, 0), Scope(0, 7, 4), Scope(4, 40, 4)])
def test_a_dry_run_records_what_a_fit_records(strategy: Any, rows: int | None, scope: Scope) -> None:
    """For the number of rows that the fit released."""
    ledger = Ledger(budget=PrivacyBudget(epsilon=3.0, delta=1e-6, rows=rows))
    plan = Plan(strategy=strategy, descent=FEW.descent)
    fit = Curator(ledger)
    found = Allocation.record(fit, scope, plan, lambda: 1000)
    dry = DryRun(ledger, found.rows)
    assert Allocation.record(dry, scope, plan, lambda: 1000).rows == found.rows
    assert dry.ledger == fit.ledger
    assert fit.drawn == ({"number of rows"} if rows is None else set())
    assert dry.drawn == set()


def test_a_dry_run_refuses_to_release() -> None:
    def counted() -> Any:
        raise AssertionError("rows are read")

    dry = DryRun(Ledger(budget=PrivacyBudget(epsilon=3.0, delta=1e-6)), 1000)
    recorded = dry.record(Event.of_counts("counts", 1, 20.0))
    for release in (
        lambda: dry.counts(recorded, counted),
        lambda: dry.frequent_values(recorded, counted, 5),
        lambda: dry.lend(recorded),
    ):
        with pytest.raises(PrivacyError, match="A dry run releases nothing, got a request for 'counts'"):
            release()
    assert recorded.left == 1


def test_a_released_number_of_rows_is_nearly_always_an_upper_bound() -> None:
    def released() -> int:
        curator = Curator(Ledger(budget=PrivacyBudget(epsilon=5.0, delta=1e-6)))
        return Allocation.record(curator, Scope(0, 0, 0), Plan(), lambda: 500).rows

    found = [released() for _ in range(60)]
    scale = 1 / (ROWS_SHARE * 5.0)
    assert sum(number < 500 for number in found) <= 10  # one in forty; more than 10 of 60 once in 10^6 runs
    assert np.mean(found) == pytest.approx(500 + MARGIN * scale, abs=scale)  # 5.5 standard deviations


def test_a_delta_too_large_for_the_declared_rows_is_refused_before_any_row_is_read() -> None:
    def counted() -> int:
        raise AssertionError("rows are read")

    curator = Curator(Ledger(budget=PrivacyBudget(epsilon=1.0, delta=0.01, rows=1000)))
    with pytest.raises(PrivacyError, match="delta must be less than one over the number of rows"):
        Allocation.record(curator, SCOPE, FEW, counted)
    with pytest.raises(PrivacyError, match="`rows` must be at least 1"):
        PrivacyBudget(epsilon=1.0, delta=0.01, rows=0)
