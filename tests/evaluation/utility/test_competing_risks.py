"""Competing events: cumulative incidence beside a plain loop and lifelines, and what the section says of each cause."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthvae import Column, Schema
from synthvae.evaluation import evaluate
from synthvae.evaluation.comparison import Comparison, shuffle_columns
from synthvae.evaluation.report.charts import galleries
from synthvae.evaluation.results import Section
from synthvae.evaluation.utility.event_times import CensoredTimes, aalen_johansen, curve_distance, kaplan_meier
from synthvae.evaluation.utility.survival import Survival, survival
from synthvae.evaluation.verdict_aspects import aspects

ORACLE = Path(__file__).parents[3] / ".venv-oracle" / "bin" / "python"
TIMES = Survival("months", "cause")
ROWS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2)), min_size=1, max_size=25)

# What runs beside lifelines: the incidence of each cause at the observed times.
SCRIPT = """
import json, sys, numpy as np
from lifelines import AalenJohansenFitter
time, cause = np.array(json.load(sys.stdin))
found = []
for k in (1, 2, 3):
    fitted = AalenJohansenFitter(calculate_variance=False).fit(time, cause, k)
    found.append(fitted.cumulative_density_.iloc[:, 0].reindex(np.sort(time)).tolist())
print(json.dumps(found))
"""


def cohort(n: int, seed: int) -> pd.DataFrame:
    """Relapses come early with a high dose, deaths with age; some patients are lost at random."""
    rng = np.random.default_rng(seed)
    dose, age = rng.normal(size=n), rng.integers(40, 90, n)
    relapse, death = rng.exponential(np.exp(-dose)), rng.exponential(2 * np.exp(-(age - 65) / 15))
    times = np.array([rng.exponential(3, n), relapse, death])
    cause = np.array(["Censored", "relapse", "death"])[times.argmin(axis=0)]
    return pd.DataFrame({"dose": dose, "age": age, "months": times.min(axis=0), "cause": cause})


def measured(real: pd.DataFrame, synthetic: pd.DataFrame, holdout: pd.DataFrame | None = None) -> Section:
    section = survival(Comparison.from_tables(real, synthetic, holdout=holdout), TIMES, 0)
    json.dumps(section.to_dict(), allow_nan=False)
    return section


def columns_of(rows: list[tuple[int, int]]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    time, cause = np.array(rows, float).T
    return time, cause


@given(ROWS)
def test_incidence_equals_a_plain_loop(rows: list[tuple[int, int]]) -> None:
    time, cause = columns_of(rows)
    for number, (at, share) in enumerate(aalen_johansen(time, cause, 2), 1):
        left, total, expected = 1.0, 0.0, []
        for moment in sorted(set(time)):
            at_risk = sum(other >= moment for other in time)
            struck = [c for t, c in rows if t == moment and c]
            total += left * struck.count(number) / at_risk
            left *= 1 - len(struck) / at_risk
            expected.append(total)
        assert list(at) == sorted(set(time))
        assert share == pytest.approx(expected)


@given(ROWS)
def test_all_causes_together_leave_those_without_an_event(rows: list[tuple[int, int]]) -> None:
    time, cause = columns_of(rows)
    both = sum(share for _, share in aalen_johansen(time, cause, 2))
    assert 1 - both == pytest.approx(kaplan_meier(CensoredTimes(time, cause > 0))[1])
    one = aalen_johansen(time, np.minimum(cause, 1), 1)[0][1]
    assert both == pytest.approx(one)


@given(ROWS, st.integers(1, 3))
def test_weights_count_rows_as_often(rows: list[tuple[int, int]], most: int) -> None:
    time, cause = columns_of(rows)
    weights = 1 + np.arange(len(rows)) % most
    repeated = aalen_johansen(np.repeat(time, weights), np.repeat(cause, weights), 2)
    for one, other in zip(aalen_johansen(time, cause, 2, weights.astype(float)), repeated, strict=True):
        assert one[1] == pytest.approx(other[1])


@pytest.mark.slow
@pytest.mark.skipif(not ORACLE.exists(), reason="`make .venv-oracle/.dev` makes the environment of lifelines")
def test_incidence_equals_that_of_lifelines() -> None:
    rng = np.random.default_rng(0)
    time, cause = rng.exponential(size=400), rng.integers(0, 4, 400).astype(float)
    told = json.dumps([time.tolist(), cause.tolist()])
    done = subprocess.run([ORACLE, "-c", SCRIPT], input=told, check=True, capture_output=True, text=True)
    for (_, share), expected in zip(aalen_johansen(time, cause, 3), json.loads(done.stdout), strict=True):
        assert share == pytest.approx(expected, abs=1e-9)


def test_good_rows_are_near_and_others_are_not() -> None:
    real, fresh, holdout = cohort(600, 1), cohort(600, 2), cohort(600, 3)
    good = measured(real, fresh, holdout)
    assert good.notes == ()
    assert good["cumulative_incidence"].value < 0.04
    assert good["concordance"].value == pytest.approx(good["concordance"].real, abs=0.02)
    assert good["concordance"].value > 0.7
    grades = {aspect.name: aspect.grade for aspect in aspects({f.metric.name: f for f in good.figures})}
    assert grades == {"survival": "good"}
    poor = measured(real, shuffle_columns(real, 600, np.random.default_rng(0)), holdout)
    assert poor["concordance"].value < good["concordance"].value - 0.05
    other = {"relapse": "death", "death": "relapse"}
    swapped = measured(real, fresh.assign(cause=fresh["cause"].replace(other)), holdout)
    assert swapped["concordance"].value < 0.6
    assert swapped["cumulative_incidence"].value > good["cumulative_incidence"].value + 0.05


def test_each_cause_has_a_line_and_a_chart() -> None:
    real, fresh = cohort(400, 1), cohort(300, 2)
    section = measured(real, fresh)
    causes: Any = section.details["causes"].set_index("cause")
    assert causes["events_real"].to_dict() == real["cause"].value_counts()[["death", "relapse"]].to_dict()
    assert causes["events_synthetic"].sum() == (fresh["cause"] != "Censored").sum()
    assert section["cumulative_incidence"].value == causes["distance"].max()
    assert section["concordance"].value == pytest.approx(causes["concordance_synthetic"].mean())
    drawn = section.details["drawn_incidence"]
    assert (drawn.groupby(["cause", "rows"])["incidence"].diff().dropna() >= 0).all()
    assert [chart.title for chart in galleries(section)[0].charts] == ["Cause: death", "Cause: relapse"]
    ends: Any = drawn.groupby(["cause", "rows"])["incidence"].last()
    end = float(real["months"].max())
    own, other = (aalen_johansen(rows["months"].to_numpy(), _codes(rows), 2)[0] for rows in (fresh, real))
    assert ends["death", "synthetic"] == pytest.approx(own[1][-1])
    assert causes.loc["death", "distance"] == pytest.approx(curve_distance(own, other, end, start=0.0))


def _codes(rows: pd.DataFrame) -> npt.NDArray[np.float64]:
    return np.asarray(rows["cause"].map({"Censored": 0.0, "death": 1.0, "relapse": 2.0}), float)


def test_a_cause_that_synthetic_rows_lack_scores_as_chance() -> None:
    real = cohort(300, 1)
    lost = measured(real, cohort(300, 2).query("cause != 'death'"))
    causes: Any = lost.details["causes"].set_index("cause")
    assert causes.loc["death", "events_synthetic"] == 0
    assert causes.loc["death", "concordance_synthetic"] == 0.5
    assert lost["cumulative_incidence"].value == causes.loc["death", "distance"] > 0.1


@pytest.mark.parametrize("words", [(0, 1, 2), ("no", "1", "2"), (0.0, 3.0, 1.0), ("FALSE", "a", "b")])
def test_competing_events_have_several_spellings(words: tuple[Any, ...]) -> None:
    real = cohort(200, 1)
    spelled = real.assign(cause=real["cause"].map(dict(zip(("Censored", "death", "relapse"), words, strict=True))))
    found = measured(spelled, spelled[::-1])
    assert found["cumulative_incidence"].value == pytest.approx(0, abs=1e-12)
    assert len(found.details["causes"]) == 2


@pytest.mark.parametrize("words", [(1, 2, 3), ("alive", "relapse", "death"), (0, "no", "death")])
def test_ambiguous_events_are_not_measured(words: tuple[Any, ...]) -> None:
    real = cohort(200, 1)
    spelled = real.assign(cause=real["cause"].map(dict(zip(("Censored", "death", "relapse"), words, strict=True))))
    section = measured(spelled.astype({"cause": str}), spelled.astype({"cause": str}))
    assert section.figures == ()
    assert "2 to 10 others" in section.notes[0]
    many = real.assign(cause=np.arange(len(real)) % 12)
    assert measured(many, many).figures == ()


def test_a_schema_names_the_columns() -> None:
    schema = Schema(columns=[Column(name="months", kind="duration", event="cause")])
    rows = cohort(120, 1)
    found = evaluate(rows, cohort(120, 2), schema=schema, attacks=False)
    assert "cumulative_incidence" in found.figures
