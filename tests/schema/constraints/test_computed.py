"""Sums, differences and formulas hold exactly where a plain loop over exact numbers says so."""

from __future__ import annotations

import datetime as dt
import warnings
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rows import by_row, column, small_frames

from synthvae import Schema, Synthesizer
from synthvae.errors import SchemaError
from synthvae.schema import Difference, Formula, Sum

law = settings(deadline=None, max_examples=50)
DATES = st.dates(dt.date(1890, 1, 1), dt.date(2150, 12, 31))
TIMES = st.integers(-(10**9), 2 * 10**9).map(lambda s: pd.Timestamp(s, unit="s").to_pydatetime())


@law
@given(small_frames())
def test_a_sum_of_whole_numbers_is_exact(frame: pd.DataFrame) -> None:
    def adds_up(row: dict[str, Any]) -> bool:
        return None in row.values() or row["a"] == row["b"] + row["c"] + row["d"]

    rule = Sum(total="a", parts=["b", "c", "d"])
    assert rule.holds(frame).tolist() == by_row(frame, adds_up)
    assert rule.applies(frame).tolist() == frame.notna().all(axis=1).tolist()


@law
@given(st.lists(st.tuples(*[st.integers(-(10**9), 10**9)] * 3), min_size=1), st.integers(0, 4), st.integers(-1, 1))
def test_a_sum_of_decimals_is_exact(rows: list[tuple[int, ...]], decimals: int, off: int) -> None:
    unit = Decimal(1).scaleb(-decimals)
    parts = [[Decimal(value) * unit for value in row] for row in rows]
    totals = [sum(row) + off * unit for row in parts]
    frame = pd.DataFrame([list(map(float, row)) for row in parts], columns=["a", "b", "c"]).assign(
        t=list(map(float, totals))
    )
    rule = Sum(total="t", parts=["a", "b", "c"])
    schema = Schema(columns=[column("t", "continuous", decimals=decimals)])
    assert set(rule.holds(frame, schema).tolist()) == {off == 0}


def test_sums_of_large_whole_numbers_are_exact() -> None:
    frame = pd.DataFrame({"a": [2**61, 2**61], "b": [1, 1], "t": [2**61 + 1, 2**61 + 2]})
    assert Sum(total="t", parts=["a", "b"]).holds(frame).tolist() == [True, False]
    assert Difference(result="b", high="t", low="a").holds(frame).tolist() == [True, False]
    assert Sum(total="t", parts=["a", "b"]).compute(frame).tolist() == [2**61 + 1] * 2


def test_objects_of_decimals_are_numbers() -> None:
    frame = pd.DataFrame({"a": [Decimal("0.1")] * 2, "b": [Decimal("0.2")] * 2, "t": [Decimal("0.3"), Decimal("0.4")]})
    assert Sum(total="t", parts=["a", "b"]).holds(frame).tolist() == [True, False]


def test_numbers_without_known_decimals_agree_to_nine_digits() -> None:
    values = np.random.default_rng(0).random((5, 2))
    frame = pd.DataFrame(values, columns=["a", "b"]).assign(t=values.sum(axis=1) * [1, 1 + 1e-12, 1 + 1e-7, 0.9, 1])
    assert Sum(total="t", parts=["a", "b"]).holds(frame).tolist() == [True, True, False, False, True]


@law
@given(st.lists(st.tuples(DATES, DATES, st.integers(-1, 1)), min_size=1))
def test_days_between_dates(rows: list[tuple[dt.date, dt.date, int]]) -> None:
    frame = pd.DataFrame(rows, columns=["low", "high", "off"])
    frame["days"] = [(high - low).days + off for low, high, off in rows]
    rule = Difference(result="days", high="high", low="low")
    assert rule.holds(frame).tolist() == [off == 0 for *_, off in rows]
    assert rule.compute(frame).tolist() == [(high - low).days for low, high, _ in rows]


@law
@given(st.lists(st.tuples(DATES, DATES), min_size=1))
def test_completed_years_are_an_age(rows: list[tuple[dt.date, dt.date]]) -> None:
    frame = pd.DataFrame(rows, columns=["birth", "visit"])
    ages = [v.year - b.year - ((v.month, v.day) < (b.month, b.day)) for b, v in rows]
    assert Difference(result="age", high="visit", low="birth", unit="years").compute(frame).tolist() == ages


@law
@given(TIMES, TIMES)
def test_fractions_of_a_unit_are_rounded_as_stated(low: dt.datetime, high: dt.datetime) -> None:
    hours = (high - low) / dt.timedelta(hours=1)
    frame = pd.DataFrame({"low": [low], "high": [high]})
    for rounding, expected in (("nearest", hours), ("down", np.floor(hours)), ("up", np.ceil(hours))):
        rule = Difference(result="h", high="high", low="low", unit="hours", rounding=rounding)
        assert rule.compute(frame)[0] == pytest.approx(expected)
        assert rule.holds(frame.assign(h=round(float(expected)))).all()


def test_a_formula_is_rounded_to_the_decimals_of_its_column() -> None:
    frame = pd.DataFrame({"weight": [70.0, 70.0, None], "height": [1.75, 1.75, 1.6], "bmi": [22.9, 22.8, 1.0]})
    rule = Formula(column="bmi", expression="weight / height ** 2")
    assert rule.holds(frame).tolist() == [True, False, True]
    assert rule.touches == ("bmi", "weight", "height")
    assert rule.computed == ("bmi",)
    assert rule.compute(frame.drop(columns="bmi")).round(2).tolist()[:2] == [22.86, 22.86]


def test_a_division_by_zero_cannot_be_judged() -> None:
    frame = pd.DataFrame({"x": [1.0, 0.0], "y": [0.0, 0.0], "z": [5.0, 5.0]})
    rule = Formula(column="z", expression="x / y")
    assert rule.holds(frame).all()
    assert not rule.applies(frame).any()


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (lambda: Sum(total="a", parts=["a", "b"]), "must not be among"),
        (lambda: Sum(total="a", parts=["b"]), "`parts` must name 2"),
        (lambda: Difference(result="a", high="b", low="b"), "must name distinct columns"),
        (lambda: Difference(result="a", high="b", low="c", unit="months"), "unit"),
        (lambda: Formula(column="a", expression="a + 1"), "must not be among"),
        (lambda: Formula(column="a", expression="__import__('os')"), "must call one of"),
    ],
)
def test_a_rule_that_contradicts_itself_is_refused(rule: Any, words: str) -> None:
    with pytest.raises(SchemaError, match=words):
        rule()


@pytest.mark.parametrize(
    ("columns", "rule", "words"),
    [
        ([column("t"), column("a", "categorical")], Sum(total="t", parts=["a", "b"]), "needs numbers"),
        ([column("t"), column("a", "date"), column("b")], Difference(result="t", high="a", low="b"), "one of each"),
        ([column("t"), column("a")], Difference(result="t", high="a", low="b", unit="days"), "a unit of time"),
        ([column("t", "date"), column("a")], Formula(column="t", expression="a"), "needs numbers"),
        (
            [column(n, bounds=b, nullable=False) for n, b in (("t", (90, 99)), ("a", (0, 9)), ("b", (0, 9)))],
            Sum(total="t", parts=["a", "b"]),
            "its terms give \\[0, 18\\]",
        ),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns: list[Any], rule: Any, words: str) -> None:
    with pytest.raises(SchemaError, match=words):
        Schema(columns=columns, constraints=[rule])


SINGLE = st.integers(-(10**6), 10**6).map(lambda cents: np.float32(cents / 100))


@law
@given(st.lists(st.tuples(SINGLE, SINGLE), min_size=1))
def test_arithmetic_of_single_precision_is_true_of_single_precision(rows: list[tuple[np.float32, np.float32]]) -> None:
    frame = pd.DataFrame(rows, columns=["a", "b"], dtype=np.float32)
    frame["total"], frame["apart"], frame["product"] = frame.a + frame.b, frame.a - frame.b, frame.a * frame.b
    rules = (
        Sum(total="total", parts=["a", "b"]),
        Difference(result="apart", high="a", low="b"),
        Formula(column="product", expression="a * b"),
    )
    halves = (frame[["a", "b"]] / 100).astype(np.float16)
    assert rules[0].holds(halves.assign(total=halves.a + halves.b)).all()
    for kind in ("float32", "Float32", "float[pyarrow]"):
        assert all(rule.holds(frame.astype(kind)).all() for rule in rules), kind
    wrong = frame.assign(total=frame.total + 1 + float(np.abs(frame.to_numpy()).max()) / 1000)
    assert not rules[0].holds(wrong.astype(np.float32)).any()


def test_single_precision_is_no_excuse_for_a_wrong_value() -> None:
    frame = pd.DataFrame({"profit": [2e8, 3e8], "revenue": [1e9, 1e9], "margin": [0.2, -7]}, dtype=np.float32)
    assert Formula(column="margin", expression="profit / revenue").holds(frame).tolist() == [True, False]
    assert Difference(result="profit", high="revenue", low="margin").holds(frame).tolist() == [False, False]
    dates = pd.DataFrame({"born": ["1950-06-01"] * 2, "admitted": ["2000-06-01"] * 2}, dtype="datetime64[us]")
    ages = dates.assign(age=np.array([50, 51], np.float32))
    rule = Difference(result="age", high="admitted", low="born", unit="years", rounding="down")
    assert rule.holds(ages).tolist() == [True, False]


def test_tables_of_single_precision_are_fitted_and_drawn_with_their_rules() -> None:
    rng = np.random.default_rng(0)
    drugs, weight = rng.gamma(2, 9, 200).round(2).astype("f4"), rng.normal(75, 9, 200).astype("f4")
    care = np.full(200, 12.34, "f4")
    frame = pd.DataFrame({"drugs": drugs, "care": care, "bill": drugs + care})
    frame = frame.assign(weight=weight, heavy=weight**2 / 7)
    assert {str(kind) for kind in frame.dtypes} == {"float32"}
    rules = (Sum(total="bill", parts=["drugs", "care"]), Formula(column="heavy", expression="weight ** 2 / 7"))
    schema = Schema.infer(frame).model_copy(update={"constraints": rules})
    drawn = Synthesizer(schema=schema, conditions=True, max_steps=2, random_state=0).fit(frame)
    rows = drawn.sample(100)
    unknown = frame.assign(drugs=frame["drugs"].mask(frame["drugs"].between(5, 40)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no row breaks a rule or a bound
        np.testing.assert_allclose(drawn.impute(unknown, random_state=0)["drugs"], frame["drugs"], atol=1e-4)
    assert {str(kind) for kind in rows.dtypes} == {"float32"}
    assert all(rule.holds(rows).all() for rule in rules)
