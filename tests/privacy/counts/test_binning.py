"""Measured bins follow the density of rows, separate frequent values, and cost what the ledger states."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from synthvae import Column
from synthvae.privacy import Ledger, PrivacyBudget, mechanisms
from synthvae.privacy.counts import binning
from synthvae.privacy.counts.binning import Bisection
from synthvae.privacy.curator import Curator
from synthvae.privacy.ledger import RecordedEvent
from synthvae.schema.domain import limits


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No noise, so that what is released is exact."""
    monkeypatch.setattr(mechanisms, "_discrete_gaussian", lambda *asked: np.zeros(asked[1], np.int64))


def grown(bisections: dict[str, Bisection], numbers: dict[str, np.ndarray]) -> RecordedEvent:
    """Let bisections grow, and return what is left of what that costs at most."""
    curator = Curator(Ledger(budget=PrivacyBudget(epsilon=1.0, delta=1e-6)))
    recorded = curator.record(
        binning.halvings(curator.ledger, max(sum(bisection.depth for bisection in bisections.values()), 1))
    )
    binning.bisect(bisections, numbers, curator, recorded)
    return recorded


def bins(numbers: np.ndarray, low: float, high: float, decimals: int | None) -> tuple[float, ...]:
    bisections = {"x": Bisection.between(low, high, decimals)}
    grown(bisections, {"x": numbers})
    return bisections["x"].cuts(decimals)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("decimals", [0, 1, None])
def test_bins_hold_about_equal_shares(decimals: int | None) -> None:
    numbers = np.random.default_rng(0).lognormal(3, 1, 20_000).clip(0, 5000)
    numbers = numbers if decimals is None else np.round(numbers, decimals)
    cuts = bins(numbers, 0.0, 5000.0, decimals)
    shares = np.histogram(numbers, [0.0, *cuts, 5000.0])[0] / len(numbers)
    assert 12 <= len(cuts) <= 30
    assert shares.max() < 0.1
    assert all(a < b for a, b in itertools.pairwise((0.0, *cuts, 5000.0)))


@pytest.mark.usefixtures("quiet")
def test_a_pile_has_a_bin_of_its_own() -> None:
    numbers = np.where(np.arange(10_000) % 10 < 9, 0.0, np.random.default_rng(0).integers(1, 100_000, 10_000))
    assert bins(numbers, 0.0, 99_999.0, 0)[0] == 1.0
    middle = np.where(np.arange(10_000) % 2 < 1, 40.0, np.random.default_rng(0).integers(1, 100, 10_000))
    assert {40.0, 41.0} <= set(bins(middle, 1.0, 99.0, 0))


@pytest.mark.usefixtures("quiet")
def test_missing_numbers_and_none_at_all_are_no_matter() -> None:
    assert bins(np.full(100, np.nan), 0.0, 1000.0, 0) == ()
    assert bins(np.zeros(0), 0.0, 1000.0, 0) == ()


def test_cuts_lie_inside_the_bounds_whatever_the_noise() -> None:
    for seed in range(20):
        numbers = np.random.default_rng(seed).integers(-5, 600, 50).astype(float)
        cuts = bins(numbers, -5.0, 600.0, 0)
        assert all(-5 < cut <= 600 for cut in cuts)
        assert list(cuts) == sorted(set(cuts))


def test_halvings_take_no_more_than_was_recorded() -> None:
    bisections = {"x": Bisection.between(0, 1e6, 0), "y": Bisection.between(0, 1, None)}
    numbers = {"x": np.arange(1e4), "y": np.linspace(0, 1, 10_000)}
    recorded = grown(bisections, numbers)
    assert recorded.event.times == 40
    assert 0 < recorded.left < 40
    assert 0.95 * binning.SHARE < recorded.ledger.epsilon <= binning.SHARE


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_rulers_of_any_bounds_give_bins_that_a_schema_takes(data: st.DataObject) -> None:
    number = st.floats(allow_nan=False, allow_infinity=False)
    decimals = data.draw(st.none() | st.integers(0, 15))
    column = Column(name="x", kind="continuous", bounds=sorted(data.draw(st.tuples(number, number))), decimals=decimals)
    low, high = limits(column)
    assume(low <= high)
    bisection = Bisection.between(low, high, decimals)
    numbers = np.array(data.draw(st.lists(st.floats(low, high), max_size=50)))
    assert ((bisection.pieces(numbers) >= 0) & (bisection.pieces(numbers) <= bisection.last)).all()
    for level in range(1, min(bisection.depth, 6) + 1):
        bisection.split(
            level,
            np.array(data.draw(st.lists(st.integers(-5, 99), min_size=2, max_size=2))).repeat(len(bisection.nodes)),
        )
    cuts = bisection.cuts(decimals)
    assert column.model_validate({**column.model_dump(), "bins": cuts}).bins == cuts
