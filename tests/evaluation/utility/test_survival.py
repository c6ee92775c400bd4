"""Survival curves, concordance and Cox's model: hand-worked numbers, plain loops, closed forms."""

from __future__ import annotations

import json
import math

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthvae.errors import ConfigurationError
from synthvae.evaluation.comparison import Comparison, shuffle_columns
from synthvae.evaluation.results import Section
from synthvae.evaluation.utility.event_times import (
    CensoredTimes,
    cox_weights,
    curve_distance,
    harrell,
    kaplan_meier,
)
from synthvae.evaluation.utility.survival import Survival, survival

TIMES = Survival("time", "event")
OBSERVED = st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.integers(0, 4)), min_size=2, max_size=25)
RIDGE = 1e-3


def observed(times: npt.ArrayLike, seen: npt.ArrayLike) -> CensoredTimes:
    return CensoredTimes(np.asarray(times, float), np.asarray(seen, bool))


def patients(n: int, seed: int) -> pd.DataFrame:
    """Exponential times whose hazard rises with a dose and falls in one arm, censored at random."""
    rng = np.random.default_rng(seed)
    dose, arm = rng.normal(size=n), rng.choice(["drug", "placebo"], n)
    time = rng.exponential(np.exp(-dose + (arm == "drug")))
    end = rng.exponential(3, n)
    event = (time <= end).astype(int)
    return pd.DataFrame({"dose": dose, "arm": arm, "time": np.minimum(time, end).round(4), "event": event})


def measured(comparison: Comparison, times: Survival = TIMES) -> Section:
    section = survival(comparison, times, 0)
    json.dumps(section.to_dict(), allow_nan=False)
    return section


def test_both_columns_or_neither() -> None:
    assert Survival.from_columns(None, None) is None
    assert Survival.from_columns("time", "event") == TIMES
    for duration, event in (("time", None), (None, "event"), ("time", "time")):
        with pytest.raises(ConfigurationError, match=r"must be (given together|different columns)"):
            Survival.from_columns(duration, event)


def test_kaplan_meier_by_hand() -> None:
    """The six-mercaptopurine arm of Freireich et al. 1963, as every textbook works it out."""
    times = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
    seen = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    found = dict(zip(*kaplan_meier(observed(times, seen)), strict=True))
    for time, share in {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448, 35: 0.448}.items():
        assert found[time] == pytest.approx(share, abs=5e-4)


@given(OBSERVED)
def test_without_censoring_the_curve_is_the_share_that_is_left(rows: list[tuple[int, bool, int]]) -> None:
    times = np.array([time for time, _, _ in rows], float)
    at, share = kaplan_meier(observed(times, np.ones(len(times))))
    assert share == pytest.approx([np.mean(times > time) for time in at])


@given(OBSERVED, st.integers(1, 3))
def test_weights_count_rows_as_often(rows: list[tuple[int, bool, int]], times_each: int) -> None:
    first = observed([t for t, _, _ in rows], [e for _, e, _ in rows])
    weights = np.array([1 + weight % times_each for _, _, weight in rows])
    repeated = CensoredTimes(np.repeat(first.time, weights), np.repeat(first.observed, weights))
    assert kaplan_meier(first, weights.astype(float))[1] == pytest.approx(kaplan_meier(repeated)[1])


def test_distance_by_hand() -> None:
    one = (np.array([1.0, 2.0]), np.array([0.5, 0.0]))
    other = (np.array([2.0, 9.0]), np.array([0.0, 0.0]))
    assert curve_distance(one, other, 2.0) == pytest.approx(0.25)
    assert curve_distance(one, other, 4.0) == pytest.approx(0.125)
    assert curve_distance(one, one, 2.0) == 0
    never = (np.array([5.0]), np.array([1.0]))
    assert curve_distance(one, never, 2.0) == pytest.approx(0.25)
    assert curve_distance(one, never, 0.0) == 0


@given(OBSERVED)
def test_concordance_equals_a_plain_loop(rows: list[tuple[int, bool, int]]) -> None:
    right, pairs = 0.0, 0
    for time, seen, risk in rows:
        for other, other_seen, other_risk in rows:
            if seen and (time < other or (time == other and not other_seen)):
                pairs += 1
                right += 1.0 if risk > other_risk else 0.5 if risk == other_risk else 0.0
    score = harrell(observed([t for t, _, _ in rows], [e for _, e, _ in rows]), np.array([float(r) for *_, r in rows]))
    assert (score is None) == (pairs == 0)
    if score is not None:
        assert score.value == pytest.approx(right / pairs)
        assert score.influence.mean() == pytest.approx(0, abs=1e-9)


def test_the_interval_of_concordance_is_as_wide_as_it_varies() -> None:
    rng = np.random.default_rng(0)
    scores = []
    for _ in range(300):
        risk, noise, end = rng.normal(size=(3, 150))
        time = np.exp(noise - risk)
        scores.append(harrell(observed(np.minimum(time, np.exp(end + 1)), time < np.exp(end + 1)), risk))
    found = [score for score in scores if score is not None]
    told = np.mean([score.deviation for score in found])
    assert told == pytest.approx(np.std([score.value for score in found]), rel=0.15)


def breslow(weights: npt.NDArray[np.float64], rows: npt.NDArray[np.float64], found: CensoredTimes) -> float:
    """The penalised mean log partial likelihood, as its definition reads."""
    total = 0.0
    for row, time, seen in zip(rows, found.time, found.observed, strict=True):
        if seen:
            at_risk = rows[found.time >= time]
            total += row @ weights - math.log(sum(math.exp(other @ weights) for other in at_risk))
    return float(total / found.observed.sum() - RIDGE / 2 * weights @ weights)


@given(st.integers(0, 10_000), st.integers(8, 30), st.integers(1, 3))
def test_cox_weights_are_where_the_plain_likelihood_is_flat(seed: int, n: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    rows, found = rng.normal(size=(n, columns)), observed(rng.integers(0, 9, n), rng.random(n) < 0.7)
    found.observed[0] = True
    weights = cox_weights(rows, found, RIDGE)
    best = breslow(weights, rows, found)
    for axis in np.eye(columns):
        step = 1e-4 * axis
        slope = (breslow(weights + step, rows, found) - breslow(weights - step, rows, found)) / 2e-4
        assert abs(slope) < 1e-3
    assert best >= breslow(np.zeros(columns), rows, found) - 1e-12


def test_cox_of_two_groups_in_closed_form() -> None:
    """Of one event in each of two rounds, the score equation is a quadratic of the hazard ratio.

    In order of time: an event of group 1 while 2 of group 1 and 2 of group 0 are at risk, then one of group 0 while 1
    and 2 are. The slope 1 - 2r/(2r + 2) - r/(r + 2) is zero where r squared is 2, thus the weight is log(2) / 2.
    """
    rows = np.array([[1.0], [0.0], [1.0], [0.0]])
    found = observed([1, 2, 3, 3], [1, 1, 0, 0])
    assert cox_weights(rows, found, 0.0)[0] == pytest.approx(math.log(2) / 2, abs=1e-4)


def test_cox_recovers_the_true_weights() -> None:
    frame = patients(4000, 0)
    rows = np.column_stack([frame["dose"], frame["arm"] == "drug"]).astype(float)
    assert cox_weights(rows, observed(frame["time"], frame["event"])) == pytest.approx([1, -1], abs=0.1)


def test_hazards_stay_finite_where_a_column_separates_all_events() -> None:
    rows = np.linspace(-1000, 1000, 20)[:, None]
    with np.errstate(all="raise", under="ignore"):
        assert np.isfinite(cox_weights(rows, observed(np.arange(20)[::-1], np.ones(20)))).all()


def test_good_rows_are_near_and_shuffled_ones_are_not() -> None:
    real, fresh, holdout = patients(600, 1), patients(600, 2), patients(600, 3)
    good = measured(Comparison.from_tables(real, fresh, holdout=holdout))
    assert good.notes == ()
    assert good["kaplan_meier"].value < 0.04
    assert good["concordance"].value == pytest.approx(good["concordance"].real, abs=0.02)
    assert good["concordance"].value > 0.7
    poor = measured(Comparison.from_tables(real, shuffle_columns(real, 600, np.random.default_rng(0)), holdout=holdout))
    assert poor["concordance"].value < 0.6
    late = measured(Comparison.from_tables(real, fresh.assign(time=fresh["time"] * 3), holdout=holdout))
    interval = late["kaplan_meier"].interval
    assert interval is not None
    assert interval[0] > good["kaplan_meier"].value
    drawn = good.details["drawn_survival"]
    assert list(drawn) == ["rows", "time", "survival"]
    assert set(drawn["rows"]) == {"real", "holdout", "synthetic"}
    assert (drawn.groupby("rows")["survival"].first() == 1).all()
    assert (drawn.groupby("rows")["survival"].diff().dropna() <= 0).all()


def test_a_copy_without_a_holdout_has_a_note() -> None:
    real = patients(300, 1)
    section = measured(Comparison.from_tables(real, real))
    assert section["kaplan_meier"].value == 0
    assert (section["kaplan_meier"].real or 0) > 0
    assert "no holdout" in section.notes[-1]
    assert set(section.details["drawn_survival"]["rows"]) == {"real", "synthetic"}
    assert measured(Comparison.from_tables(real, real)).to_dict() == section.to_dict()


@pytest.mark.parametrize("words", [(True, False), ("yes", "no"), ("TRUE", "FALSE"), ("1", "0"), ("yes", "censored"),
                                   ("dead", "no"), (1.0, 0.0)])  # fmt: skip
def test_events_have_several_spellings(words: tuple[object, object]) -> None:
    frame = patients(300, 1)
    told = measured(Comparison.from_tables(frame, frame[::-1]))
    frame["event"] = frame["event"].map({1: words[0], 0: words[1]})
    found = measured(Comparison.from_tables(frame, frame[::-1]))
    assert found["kaplan_meier"].value == told["kaplan_meier"].value
    assert found["concordance"].value == pytest.approx(told["concordance"].value, abs=1e-6)


@pytest.mark.parametrize("words", [(2, 1), ("dead", "alive"), ("1", "2")])
def test_ambiguous_events_are_refused(words: tuple[object, object]) -> None:
    frame = patients(100, 1)
    frame["event"] = frame["event"].map({1: words[0], 0: words[1]})
    section = measured(Comparison.from_tables(frame, frame))
    assert section.figures == ()
    assert "two values" in section.notes[0]


def test_what_cannot_be_measured_has_a_note() -> None:
    frame = patients(100, 1)
    cases = {
        "not a column that can be compared": (frame.drop(columns="time"), frame),
        "not a numeric column": (frame.assign(time=np.where(frame["time"] > 1, "late", "early")), frame),
        "two values": (frame.assign(event=1 + np.arange(100) % 3), frame),
        "real and the synthetic": (frame.assign(event=0), frame.assign(event=0)),
        "The synthetic rows": (frame, frame.assign(time=-1.0)),
    }
    for said, (real, synthetic) in cases.items():
        section = measured(Comparison.from_tables(real, synthetic))
        assert section.figures == ()
        assert any(said in note for note in section.notes), said


def test_invalid_rows_are_counted_and_left_out() -> None:
    frame = patients(300, 1)
    broken = pd.concat([frame, frame[:30].assign(time=-1.0), frame[:12].assign(time=np.nan)], ignore_index=True)
    section = measured(Comparison.from_tables(frame, broken))
    assert section["kaplan_meier"].value == 0
    assert section.notes[0].startswith("42 of 342 synthetic rows")
    alone = measured(Comparison.from_tables(frame[["time", "event"]], frame[["time", "event"]]))
    assert [figure.metric.name for figure in alone.figures] == ["kaplan_meier"]
    assert "a Cox model needs" in alone.notes[-1]
