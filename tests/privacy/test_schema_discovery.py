"""A measured schema: its columns, what it never reveals, and what it costs."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_wine
from test_fit import few_drawn_rows, quick, table

from synthvae import PrivacyBudget, Schema, Synthesizer
from synthvae.errors import PrivacyError
from synthvae.privacy import Event, Ledger, mechanisms
from synthvae.privacy.counts import histograms, schema_discovery
from synthvae.privacy.counts.histograms import DATE, ELSE, FINER, MISSING, TIMESTAMP, WHOLE, value_types
from synthvae.privacy.counts.schema_discovery import FREQUENT_VALUES, VALUE_TYPES, SchemaEvents, noise_of, schema_events
from synthvae.privacy.curator import Curator
from synthvae.privacy.ledger import RecordedEvent
from synthvae.schema.domain import limits, refuse_undeclared
from synthvae.tables import convert, rowwise

__all__ = ["few_drawn_rows"]  # a fixture

BUDGET = PrivacyBudget(epsilon=2.0, delta=1e-6)


def recorded_in(budget: PrivacyBudget, event: Event) -> RecordedEvent:
    return RecordedEvent(event, Ledger(budget=budget, events=(event,)))


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No noise; thresholds still follow the noise that is claimed."""
    monkeypatch.setattr(mechanisms, "_discrete_gaussian", lambda *asked: np.zeros(asked[1], np.int64))


def discovered(
    given: pa.Table, target: str | None = None, budget: PrivacyBudget = BUDGET
) -> tuple[Schema, SchemaEvents]:
    """A schema, and what it cost."""
    curator = Curator(Ledger(budget=budget))
    events = SchemaEvents.record(curator, given.num_columns)
    schema = schema_discovery.discover(given, target, curator, events)
    assert 0 < curator.ledger.epsilon < budget.epsilon / 2
    return schema, events


def measured(frame: Any, target: str | None = None) -> Schema:
    return discovered(convert.read(frame), target)[0]


def people(rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    start = np.datetime64("2019-05-05")
    return pd.DataFrame(
        {
            "sex": rng.choice(["F", "M"], rows),
            "code": rng.choice(["007", "013"], rows),
            "age": rng.integers(20, 91, rows),
            "weight": rng.normal(70, 10, rows).round(1),
            "height": np.where(rng.random(rows) < 0.3, np.nan, rng.normal(1.7, 0.1, rows).round(2)),
            "balance": rng.normal(0, 300, rows),
            "smoker": rng.random(rows) < 0.4,
            "day": (start + rng.integers(0, 500, rows)).astype("datetime64[s]"),
            "name": [f"n{i}" for i in range(rows)],
            "stage": rng.integers(1, 5, rows),
        }
    )


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
def test_of_many_rows_a_schema_says_what_people_would() -> None:
    schema = measured(people(60_000), "stage")
    kinds = {column.name: column.kind for column in schema.columns}
    assert kinds == {
        "sex": "categorical",
        "code": "categorical",
        "age": "integer",
        "weight": "continuous",
        "height": "continuous",
        "balance": "continuous",
        "smoker": "boolean",
        "day": "datetime",
        "name": "id",
        "stage": "categorical",
    }
    assert schema["sex"].categories == ("F", "M")
    assert schema["code"].categories == ("007", "013")
    assert schema["stage"].categories == (1, 2, 3, 4)
    assert schema["age"].bounds == (16, 127)
    assert (schema["weight"].decimals, schema["height"].decimals, schema["balance"].decimals) == (1, 2, None)
    assert [c.name for c in schema.columns if c.nullable] == ["height"]
    assert schema["balance"].bounds == (-1024.0, 1024.0)
    assert schema["day"].bounds == (dt.date(2019, 1, 1), dt.date(2020, 12, 31))


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
def test_a_csv_file_says_the_same_as_the_table(tmp_path: Path) -> None:
    frame = people(60_000).drop(columns="day")
    frame.to_csv(tmp_path / "people.csv", index=False)
    schema, _ = discovered(rowwise.read(tmp_path / "people.csv"), "stage")
    assert schema == measured(frame, "stage")


@pytest.mark.usefixtures("quiet")
def test_rare_values_are_others() -> None:
    values = ["a"] * 9000 + ["b"] * 9000 + [f"rare {i}" for i in range(3000)]
    column = measured(pd.DataFrame({"x": values}))["x"]
    assert column.categories == ("a", "b", "(other)")
    assert column.other_category == "(other)"


@pytest.mark.usefixtures("quiet")
def test_whole_numbers_that_a_schema_cannot_hold_stay_as_they_are_written() -> None:
    values = pa.array([2**63 + 5, 3] * 9000, pa.uint64())
    assert discovered(pa.table({"x": values}))[0]["x"].categories == ("3", str(2**63 + 5))


@pytest.mark.slow
def test_what_one_unit_alone_has_is_not_released() -> None:
    """Of three times 20,000 such values hardly any, though with noise some counts are far above 1.

    A value is released with a probability of 1e-7, three of 60,000 with one of 4e-8.
    """
    frame = pd.DataFrame({"x": [f"n{i}" for i in range(20_000)]})
    columns = [measured(frame)["x"] for _ in range(3)]
    released = {value for column in columns for value in column.categories or () if value != column.other_category}
    assert len(released) < 3


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("scale", [2.0, 40.0])
def test_the_threshold_is_as_small_as_delta_allows(scale: float, rows: int) -> None:
    budget = PrivacyBudget(epsilon=1e3, delta=1e-6, unit="patient", rows_per_unit=rows)
    events = SchemaEvents(
        *(recorded_in(budget, event) for event in schema_events(Ledger(budget=budget), 1, scale / rows, 1e-7))
    )
    x = np.arange(-60 * round(scale), 60 * round(scale) + 1)
    chances = np.exp(-(x**2) / (2 * scale**2))
    chances /= chances.sum()

    def revealed(least: int) -> float:
        return float(rows * chances[x >= least - rows].sum())

    assert revealed(events.threshold) <= 1e-7 < revealed(events.threshold - 1)


def test_the_probability_to_reveal_a_value_is_taken_off_delta() -> None:
    ledger = Ledger(budget=BUDGET)
    once = schema_events(ledger, 4, 40.0, 1e-8)[1]
    plainly = once.model_copy(update={"delta": 0.0})
    assert ledger.record(once).epsilon > ledger.record(plainly).epsilon
    all_of_it = once.model_copy(update={"delta": BUDGET.delta})
    with pytest.raises(PrivacyError, match="got inf with"):
        ledger.record(all_of_it)


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.data())
def test_whatever_a_table_holds_the_result_is_a_schema(data: st.DataObject) -> None:
    values = st.one_of(
        st.lists(st.none() | st.text(max_size=4), max_size=8),
        st.lists(st.none() | st.floats(width=32), max_size=8),
        st.lists(st.none() | st.integers(-(2**62), 2**62), max_size=8),
        st.lists(st.none() | st.booleans(), max_size=8),
        st.lists(st.none() | st.dates(), max_size=8),
        st.lists(st.none() | st.datetimes(), max_size=8),
    )
    column = data.draw(values)
    repeated = pa.array(column * data.draw(st.sampled_from([1, 2000])))
    for array in (repeated, repeated.dictionary_encode()):
        schema, events = discovered(pa.table({"x": array}))
        assert refuse_undeclared(schema) == schema
        assert (events.types.left, events.values.left) == (0, 0)


@pytest.mark.parametrize(
    ("value", "sort"),
    [
        (None, MISSING), (" ", MISSING), ("nan", ELSE), ("7", WHOLE), ("-7.0", WHOLE), ("007", ELSE),
        ("7.5", WHOLE + 1),
        (".25", WHOLE + 2), ("1e-9", FINER), ("2020-12-31", DATE), ("2020-12-31T10:00", TIMESTAMP), ("true", ELSE),
        ("x", ELSE), ("99999999999999999999", ELSE), ("inf", ELSE),
    ],
)  # fmt: skip
def test_texts_are_sorted_by_what_they_say(value: str | None, sort: int) -> None:
    assert value_types(pa.chunked_array([pa.array([value], pa.string())])).tolist() == [sort]


@pytest.mark.slow
def test_a_model_is_learned_with_a_measured_schema(tmp_path: Path) -> None:
    frame = table(6000)
    synthesizer = quick(schema="private", privacy={"epsilon": 8.0, "delta": 1e-6}).fit(frame)
    assert synthesizer.ledger_ is not None
    assert synthesizer.ledger_.epsilon <= 8.0
    assert {VALUE_TYPES, FREQUENT_VALUES} <= {event.name for event in synthesizer.ledger_.events}
    rows = synthesizer.sample({"no": 20, "yes": 30})
    assert list(rows) == list(frame)
    assert set(rows["sex"]) <= {"F", "M"}
    assert rows["age"].between(*limits(synthesizer.schema_["age"])).all()
    assert 18 <= rows["age"].median() <= 90
    synthesizer.save(tmp_path / "model")
    pd.testing.assert_frame_equal(Synthesizer.load(tmp_path / "model").sample(9, 1), synthesizer.sample(9, 1))


@pytest.mark.slow
def test_a_schema_can_be_measured_for_patients() -> None:
    frame = table(6000).assign(patient=np.arange(6000) // 2)
    budget = {"epsilon": 20.0, "delta": 1e-6, "unit": "patient", "rows_per_unit": 2}
    synthesizer = quick(schema="private", privacy=budget).fit(frame)
    assert "patient" not in synthesizer.schema_.names
    assert synthesizer.ledger_ is not None
    assert {event.sensitivity for event in synthesizer.ledger_.events} == {2.0, 1.0}  # counts; clipped gradients


@pytest.mark.slow
def test_a_plan_includes_the_schema() -> None:
    wine = load_wine(as_frame=True).frame
    synthesizer = Synthesizer(target="target", schema="private", privacy={"epsilon": 1.0, "delta": 1e-6})
    plan = synthesizer.plan(100_000, list(wine))
    assert plan.epsilon <= 1.0
    assert [event.times for event in plan.events[:2]] == [1, wine.shape[1]]
    with pytest.raises(PrivacyError, match="`columns` must name the columns"):
        synthesizer.plan(100_000)


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(PrivacyError, match="needs a privacy budget, and `privacy` is None"):
        Synthesizer(schema="private").fit(table())
    lonely = pd.DataFrame({"x": [0, 1] * 500, "y": [f"n{i}" for i in range(1000)]})
    seldom = {"epsilon": 2.0, "delta": 1e-8}  # noise lifts one of the values above the threshold once in 10^6 fits
    with pytest.raises(PrivacyError, match="got 'y' without a value above the threshold"):
        Synthesizer(target="y", schema="private", privacy=seldom).fit(lonely)


def test_less_noise_needs_more_budget() -> None:
    scales = [noise_of(Ledger(budget=PrivacyBudget(epsilon=e, delta=1e-6)), 10) for e in (0.5, 1.0, 4.0)]
    assert scales == sorted(scales, reverse=True)
    assert all(map(math.isfinite, scales))


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["gradients", "tables"])
def test_a_target_that_turns_out_continuous_is_fitted(strategy: str) -> None:
    """Whether it has classes is not public: what it costs as a number like any other is recorded."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.choice(["a", "b"], 2000), "y": rng.normal(size=2000).round(4)})
    budget = {"epsilon": 20.0, "delta": 1e-6}
    quick: dict[str, Any] = {"max_steps": 5, "width": 8, "latent_dim": 2, "strategy": strategy}
    fitted = Synthesizer(target="y", schema="private", privacy=budget, **quick).fit(frame)
    assert fitted.schema_["y"].kind == "continuous"
    assert fitted.ledger_ is not None
    assert fitted.ledger_.epsilon <= 20


@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.date32(), pa.duration("s")])
def test_a_moment_far_away_in_a_dictionary_is_no_error(kind: pa.DataType) -> None:
    number = pa.int32() if pa.types.is_date(kind) else pa.int64()
    days = pa.array([0, 1, 2**31 - 1 if number == pa.int32() else 2**62], number).cast(kind)
    values = pa.chunked_array([pa.DictionaryArray.from_arrays(pa.array([0, 1, 1, 2], pa.int32()), days)])
    assert sum(histograms.by_value(values).values()) <= 4
