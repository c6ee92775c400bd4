"""Inequalities and steps agree with plain loops."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rows import by_row, column, small_frames

from synthvae import Schema
from synthvae.errors import SchemaError, TableError
from synthvae.schema import Increments, Inequality

law = settings(deadline=None, max_examples=50)


@law
@given(small_frames(), st.booleans())
def test_a_row_keeps_an_inequality_if_its_present_values_ascend(frame: pd.DataFrame, strict: Any) -> None:
    def ascends(row: dict[str, Any]) -> bool:
        values = [value for value in row.values() if value is not None]
        return all(x < y if strict else x <= y for x, y in itertools.pairwise(values))

    rule = Inequality(columns=list(frame), strict=strict)
    assert rule.holds(frame).tolist() == by_row(frame, ascends)
    present = frame.notna().sum(axis=1)
    assert rule.applies(frame).tolist() == (present >= 2).tolist()
    assert rule.holds(frame)[~rule.applies(frame)].all()


def test_dates_are_compared_with_dates() -> None:
    frame = pd.DataFrame(
        {"born": [dt.date(2020, 1, 1), dt.date(1, 1, 1), None], "died": pd.to_datetime(["2019-12-31"] * 3)}
    )
    assert Inequality(columns=["born", "died"]).holds(frame).tolist() == [False, True, True]


def test_large_whole_numbers_are_compared_exactly() -> None:
    frame = pd.DataFrame({"low": [2**62, 2**62 + 1], "high": [2**62 + 1, 2**62]})
    assert Inequality(columns=["low", "high"]).holds(frame).tolist() == [True, False]


def test_times_with_a_zone_are_compared_in_utc() -> None:
    frame = pd.DataFrame({"a": pd.to_datetime(["2020-01-01 00:30+02:00"]), "b": pd.to_datetime(["2019-12-31 23:00"])})
    assert Inequality(columns=["a", "b"]).holds(frame).all()


def test_text_is_not_compared() -> None:
    with pytest.raises(TableError, match="'a': a rule compares numbers or dates, got 'x'"):
        Inequality(columns=["a", "b"]).holds(pd.DataFrame({"a": ["x"], "b": [1]}))


def test_a_rule_on_an_absent_column_is_refused() -> None:
    with pytest.raises(TableError, match=r"got none named \['b'\]"):
        Inequality(columns=["a", "b"]).holds(pd.DataFrame({"a": [1]}))


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ([column("a"), column("b", "categorical")], "needs numbers or dates, got 'b' \\(categorical\\)"),
        ([column("a"), column("b", "date")], "got the date 'b' and the number 'a'"),
        (
            [column("a", bounds=(5, 9), nullable=False), column("b", bounds=(0, 4), nullable=False)],
            "contradicts the bounds",
        ),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns: list[Any], words: str) -> None:
    with pytest.raises(SchemaError, match=words):
        Schema(columns=columns, constraints=[Inequality(columns=["a", "b"])])


@pytest.mark.parametrize("columns", [[], ["a"], ["a", "a"], "ab"])
def test_a_chain_has_distinct_columns(columns: Any) -> None:
    with pytest.raises(SchemaError):
        Inequality(columns=columns)


@law
@given(st.integers(1, 9), st.integers(-5, 5), st.lists(st.none() | st.integers(-50, 50), min_size=1))
def test_whole_numbers_are_multiples_if_nothing_remains(step: int, offset: int, values: list[int | None]) -> None:
    rule = Increments(column="x", step=step, offset=offset)
    frame = pd.DataFrame({"x": pd.array(values, dtype="Int64")})
    assert rule.holds(frame).tolist() == [value is None or (value - offset) % step == 0 for value in values]


@law
@given(st.sampled_from([0.1, 0.05, 2.5, 0.001]), st.integers(-10_000, 10_000))
def test_decimal_steps_are_not_missed(step: float, count: int) -> None:
    frame = pd.DataFrame({"x": [round(count * step, 6), round(count * step + step / 2, 6)]})
    assert Increments(column="x", step=step).holds(frame).tolist() == [True, False]


@pytest.mark.parametrize("step", [0, -1, float("nan"), float("inf"), "5"])
def test_a_step_is_positive(step: Any) -> None:
    with pytest.raises(SchemaError):
        Increments(column="x", step=step)


def test_bounds_without_a_multiple_are_refused() -> None:
    columns = [column("x", bounds=(11, 19), nullable=False)]
    with pytest.raises(SchemaError, match="between which no multiple is"):
        Schema(columns=columns, constraints=[Increments(column="x", step=10)])
    assert Schema(columns=columns, constraints=[Increments(column="x", step=10, offset=5)])
    assert np.all(Increments(column="x", step=10).holds(pd.DataFrame({"x": [2**60 * 10]})))
