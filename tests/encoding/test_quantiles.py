"""Laws of scores: numbers to normal deviates and back, and which numbers are atoms instead."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from synthvae import Column
from synthvae.encoding.atoms import FEW_ATOMS
from synthvae.encoding.numeric import NumericEncoding
from synthvae.encoding.protocol import CodedColumn
from synthvae.encoding.quantiles import MAX_STEPS, QUANTILES, QuantileCurve
from synthvae.encoding.temporal import TemporalEncoding

Floats = npt.NDArray[np.float64]
law = settings(deadline=None, max_examples=60)
SEEDS = st.integers(0, 2**32 - 1)
SCORES = st.floats(-40, 40, width=32) | st.sampled_from([0.0, -0.0, math.inf, -math.inf])
SHAPES: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "heavy tails": lambda rng, n: rng.standard_cauchy(n),
    "many magnitudes": lambda rng, n: np.exp(8 * rng.normal(size=n)),
    "irregular grid": lambda rng, n: rng.choice(np.cumsum(rng.exponential(size=400)), n),
    "heavy ties": lambda rng, n: np.floor(np.exp(rng.normal(2, 1.5, n))),
    "two heaps": lambda rng, n: np.where(rng.random(n) < 0.3, rng.normal(size=n), rng.normal(1e6, 1, n)),
    "squares": lambda rng, n: rng.integers(0, 900, n).astype(float) ** 2,
    "two values": lambda rng, n: rng.choice([-3.25, 17.0], n),
    "a constant": lambda _, n: np.full(n, 4.5),
}


def learn(numbers: Floats, decimals: int | None = None) -> NumericEncoding:
    values = pa.chunked_array([numbers])
    return NumericEncoding.learn(Column(name="x", kind="continuous", decimals=decimals), values)


def coded(encoding: NumericEncoding, numbers: Floats, rng: np.random.Generator | None = None) -> tuple[Any, Any]:
    values = pa.chunked_array([numbers])
    states = encoding.encode("x", values)
    return states, encoding.scores(values, states, rng)


def back(encoding: NumericEncoding, states: Any, scores: Any) -> Floats:
    decoded = encoding.decode(CodedColumn(states, np.random.default_rng(0), scores), pa.float64())
    return np.asarray(decoded.to_numpy(zero_copy_only=False))


def decode_scores(encoding: NumericEncoding, scores: list[float] | Floats) -> Floats:
    states = np.full(len(scores), len(encoding.atoms))
    return back(encoding, states, np.asarray(scores, np.float32))


@st.composite
def columns(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Floats:
    """Columns of every shape, rounded or not, huge and tiny."""
    shape, rows = SHAPES[draw(st.sampled_from(sorted(SHAPES)))], draw(st.sampled_from([1, 2, 30, 300, 2000]))
    numbers = shape(np.random.default_rng(draw(SEEDS)), rows)
    places = draw(st.sampled_from([None, 0, 1, 3]))
    if places is not None:
        return np.asarray(np.round(numbers, places))
    return np.asarray(numbers * draw(st.sampled_from([1.0, 1e-200, 1e200, -1e5])))


def share_below(numbers: Floats, at: Floats, side: Any) -> Floats:
    return np.searchsorted(np.sort(numbers), at, side=side) / len(numbers)


@law
@given(columns(), st.none() | SEEDS)
def test_numbers_come_back_up_to_the_stated_precision(numbers: Floats, seed: int | None) -> None:
    """Exactly, where there are few values that repeat; those that occur once, up to a small part of the gaps beside
    them. Of many values up to a step of the curve, since float32 cannot tell numbers beside a wide gap, and nearly all
    as near as float32 can say, the outermost not."""
    encoding = learn(numbers)
    states, scores = coded(encoding, numbers, None if seed is None else np.random.default_rng(seed))
    found = back(encoding, states, scores)
    assert np.array_equal(np.isfinite(scores), states == len(encoding.atoms))
    values, place, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    if len(values) <= MAX_STEPS:
        exact = np.isin(numbers, encoding.atoms) | ((counts == 1).sum() == 0)
        assert (found != numbers)[exact].sum() <= (0 if seed is None else 3)  # at the edge of a step, by chance
        if seed is None:
            gaps = np.diff(values, prepend=values[0], append=values[-1])
            assert (np.abs(found - numbers) <= 1e-4 * (gaps[place] + gaps[place + 1])).all()
        return
    reach = 1.0 / (QUANTILES - 1) + 1e-6
    assert (share_below(numbers, found, "right") >= share_below(numbers, numbers, "left") - reach).all()
    assert (share_below(numbers, found, "left") <= share_below(numbers, numbers, "right") + reach).all()
    near = np.abs(found - numbers) <= 1e-5 * np.abs(numbers)
    assert near.mean() > 0.97


@law
@given(columns(), st.lists(SCORES, min_size=1, max_size=60))
def test_any_score_stays_within_what_was_seen(numbers: Floats, scores: list[float]) -> None:
    encoding = learn(numbers)
    if encoding.curve is None:
        assert set(encoding.atoms) == set(numbers.tolist())
        return
    found = decode_scores(encoding, scores)
    assert found.min() >= numbers.min()
    assert found.max() <= numbers.max()
    if encoding.decimals is not None:
        np.testing.assert_array_equal(found, np.round(found, encoding.decimals))


@law
@given(columns(), SEEDS)
def test_scores_of_few_values_that_repeat_mean_values_that_were_seen(numbers: Floats, seed: int) -> None:
    few = numbers[np.isin(numbers, np.unique(numbers)[:MAX_STEPS])]
    encoding = learn(np.tile(few, 2))
    if encoding.curve is not None:
        assert set(decode_scores(encoding, 2 * np.random.default_rng(seed).normal(size=500))) <= set(few.tolist())


@pytest.mark.parametrize("decimals", [None, 0, 1])
def test_scores_between_two_values_mean_one_of_them(decimals: int | None) -> None:
    """The middle of a column with as many rows below as above."""
    numbers = np.repeat(np.arange(1.0, 121, 2), 4)
    found = decode_scores(learn(numbers, decimals), [0.0, -0.0, 1e-9, -1e-9, math.inf, -math.inf])
    assert set(found) <= set(numbers.tolist())


@law
@given(columns(), st.lists(SCORES, min_size=2, max_size=60))
def test_larger_scores_mean_larger_numbers(numbers: Floats, scores: list[float]) -> None:
    encoding = learn(numbers)
    if encoding.curve is not None:
        found = decode_scores(encoding, sorted(scores))
        rounding = 4 * np.finfo(float).eps * np.abs(found[1:])  # of the interpolation between knots
        assert (np.diff(found) >= -rounding).all()


@law
@given(columns())
def test_larger_numbers_have_larger_scores(numbers: Floats) -> None:
    _, scores = coded(learn(numbers), np.sort(numbers))
    assert (np.diff(scores[np.isfinite(scores)]) >= 0).all()


@pytest.mark.parametrize("shape", sorted(set(SHAPES) - {"two values", "a constant"}))
@pytest.mark.parametrize("places", [None, 0, 2])
def test_drawn_scores_are_standard_normal(shape: str, places: int | None) -> None:
    """Up to Kolmogorov and Smirnov's distance of p = 0.001, and the curve's own grid."""
    rng = np.random.default_rng(3)
    numbers = SHAPES[shape](rng, 20_000)
    encoding = learn(numbers if places is None else np.round(numbers, places))
    _, scores = coded(encoding, numbers if places is None else np.round(numbers, places), rng)
    present = scores[np.isfinite(scores)]
    assert encoding.curve is None or len(present) > 500
    if len(present):
        assert kstest(present, "norm").statistic < 1.95 / len(present) ** 0.5


@law
@given(columns(), st.none() | st.integers(0, 2))
def test_the_curve_ascends_whatever_decimals_are_declared(numbers: Floats, decimals: int | None) -> None:
    curve = learn(numbers, decimals).curve
    if curve is not None:
        assert (np.diff(curve.knots) >= 0).all()
        assert (np.diff(curve.shares) >= 0).all()
        assert 0.0 <= curve.shares[0] <= 0.5 <= curve.shares[-1] <= 1.0


@pytest.mark.parametrize("rows", [400, 5000])
def test_numbers_finer_than_the_decimals_declared_come_back_near(rows: int) -> None:
    """Half a unit for rounding, and half for the interval that a number stands for."""
    numbers = np.sort(np.random.default_rng(0).uniform(0.6, 8.6, rows))
    encoding = learn(numbers, decimals=0)
    states, scores = coded(encoding, numbers)
    assert (np.diff(scores) >= 0).all()
    assert np.abs(back(encoding, states, scores) - numbers).max() <= 1.0


@pytest.mark.parametrize("numbers", [1.6e308 * np.linspace(-1, 1, 2000), np.arange(2000) * 1e-312])
def test_numbers_at_the_ends_of_doubles_have_scores(numbers: Floats) -> None:
    encoding = learn(numbers)
    states, scores = coded(encoding, numbers)
    found = back(encoding, states, scores)
    assert np.abs(np.searchsorted(numbers, found) - np.arange(2000)).max() <= 2


@law
@given(SEEDS, st.sampled_from([0, 1, 2]), st.floats(0.05, 0.95))
def test_a_value_that_piles_up_is_an_atom_and_comes_back(seed: int, places: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    numbers = np.where(rng.random(3000) < share, 0.0, np.round(rng.lognormal(6, 1, 3000), places))
    encoding = learn(numbers)
    assert 0.0 in encoding.atoms
    states, scores = coded(encoding, numbers, rng)
    atom = encoding.atoms.index(0.0)
    np.testing.assert_array_equal(states == atom, numbers == 0.0)
    assert np.isnan(scores[states == atom]).all()
    np.testing.assert_array_equal(back(encoding, states, scores) == 0.0, numbers == 0.0)


def test_a_smooth_column_has_no_atoms_and_a_rounded_one_none_by_chance() -> None:
    rng = np.random.default_rng(0)
    for numbers in (rng.normal(size=5000), rng.normal(0, 200, 5000).round(), rng.gamma(2.0, 100, 5000).round(1)):
        encoding = learn(numbers)
        assert encoding.atoms == ()
        assert encoding.valued


def test_round_numbers_that_people_prefer_are_atoms() -> None:
    rng = np.random.default_rng(0)
    wages = rng.normal(3000, 400, 6000).round()
    wages = np.where(rng.random(6000) < 0.3, np.round(wages, -3), wages)
    assert {2000.0, 3000.0, 4000.0} <= set(learn(wages).atoms)


@pytest.mark.parametrize("values", [1, 2, FEW_ATOMS])
def test_few_values_are_atoms_only(values: int) -> None:
    encoding = learn(1.5 * np.arange(float(values)).repeat(2))
    assert (len(encoding.atoms), encoding.curve) == (values, None)


def test_no_number_at_all_has_a_state() -> None:
    encoding = NumericEncoding.learn(Column(name="x", kind="integer"), pa.chunked_array([pa.nulls(4, pa.int64())]))
    assert (encoding.atoms, encoding.valued, encoding.levels) == ((), False, 1)


@law
@given(SEEDS, st.sampled_from([10, 1000, 10**12]), st.lists(SCORES, min_size=1, max_size=30))
def test_integers_stay_integers(seed: int, high: int, scores: list[float]) -> None:
    integers = pa.chunked_array([np.random.default_rng(seed).integers(-high, high, 700)])
    encoding = NumericEncoding.learn(Column(name="x", kind="integer"), integers)
    if encoding.curve is None:
        return
    states = np.full(len(scores), len(encoding.atoms))
    coded = CodedColumn(states, np.random.default_rng(0), np.array(scores, np.float32))
    found = encoding.decode(coded, pa.float64()).to_numpy()
    np.testing.assert_array_equal(found, np.rint(found))
    same = encoding.decode(coded, pa.int64()).to_numpy()
    np.testing.assert_array_equal(found, same)


KINDS_OF_SINGLES: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "floats": lambda rng, n: rng.normal(size=n),
    "beside zeros": lambda rng, n: np.append(rng.lognormal(size=n), np.zeros(2 * n)),
    "heavy tails": lambda rng, n: rng.standard_cauchy(n),
    "decimals": lambda rng, n: np.round(1e6 * rng.random(n), 2),
    "integers": lambda rng, n: rng.choice(10**7, n, replace=False).astype(float),
}


@pytest.mark.parametrize("count", [5, 20, 24, 25, 300, MAX_STEPS, MAX_STEPS + 1])
@pytest.mark.parametrize("kind", sorted(KINDS_OF_SINGLES))
def test_numbers_that_occur_once_are_not_drawn(kind: str, count: int) -> None:
    """But for the outermost, at which the distribution ends."""
    rng = np.random.default_rng(count)
    numbers = KINDS_OF_SINGLES[kind](rng, count)
    encoding = learn(numbers)
    assert set(encoding.atoms) <= {0.0}
    drawn = decode_scores(encoding, rng.normal(size=4000))
    inside = drawn[(drawn > drawn.min()) & (drawn < drawn.max())]
    assert np.isin(inside, numbers).mean() < 0.01
    assert len(np.unique(inside)) > 3000


@pytest.mark.parametrize("count", [20, 100])
def test_dates_and_timestamps_that_occur_once_are_not_drawn(count: int) -> None:
    rng = np.random.default_rng(0)
    days = rng.choice(60_000, count, replace=False)
    for kind in (pa.date32(), pa.timestamp("s"), pa.duration("ms"), pa.time32("s")):
        ticks = pa.int32() if kind.bit_width == 32 else pa.int64()
        values = pa.chunked_array([pa.array(days, ticks).cast(kind)])
        encoding = TemporalEncoding.learn(Column(name="x", kind="date" if kind == pa.date32() else "datetime"), values)
        assert encoding.levels == 1
        scores = rng.normal(size=1000).astype(np.float32)
        drawn = encoding.decode(CodedColumn(np.zeros(1000, np.int64), rng, scores), kind).cast(ticks)
        assert np.isin(drawn.to_numpy(), days).mean() < 0.1


@pytest.mark.parametrize("numbers", [np.arange(8.0), np.array([0, 0, 0, 1, 1, 2, 3, 5, 21.0]), np.arange(12) / 10])
def test_small_counts_are_atoms_however_rare(numbers: Floats) -> None:
    assert set(learn(numbers).atoms) == set(numbers.tolist())


def test_a_value_that_occurs_once_beside_values_that_repeat_is_interpolated() -> None:
    rng = np.random.default_rng(0)
    numbers = np.append(np.repeat(np.arange(0, 4000, 100.0), 6), [1234.0, 1250.0, 2977.0])
    drawn = decode_scores(learn(numbers), rng.normal(size=20_000))
    assert 0.96 < np.isin(drawn, numbers[:240]).mean() < 240 / 243
    assert np.isin(drawn, [1234.0, 1250.0, 2977.0]).mean() < 1 / 243
    assert len(np.unique(drawn)) > 100


@pytest.mark.parametrize("rows", [150, 400])
@pytest.mark.parametrize("places", [2, 3])
def test_numbers_that_repeat_by_chance_as_they_are_rounded_are_not_all_copied(places: int, rows: int) -> None:
    rng = np.random.default_rng(0)
    numbers, fresh = (rng.normal(size=n).round(places) for n in (rows, 4000))
    drawn = decode_scores(learn(numbers), rng.normal(size=4000))
    assert np.isin(drawn, numbers).mean() <= np.isin(fresh, numbers).mean() + 0.3


@pytest.mark.parametrize("decimals", [None, 0])
@pytest.mark.parametrize("low", [-np.finfo(float).max, 0.0])
@pytest.mark.filterwarnings("error")
def test_the_largest_doubles_are_steps(low: float, decimals: int | None) -> None:
    values, counts = np.array([low, np.finfo(float).max]), np.array([3, 2])
    curve = QuantileCurve.learn(values, counts, decimals)
    assert np.isfinite(curve.knots).all()
    assert curve.numbers(curve.scores(values, None)).round(0).tolist() == values.tolist()
