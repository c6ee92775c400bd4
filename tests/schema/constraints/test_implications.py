"""Conditions and what follows from them agree with plain loops."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from rows import by_row, column, small_frames

from synthvae import Schema
from synthvae.errors import SchemaError
from synthvae.schema import Condition, If, ImpliesMissing, RequiredIf

law = settings(deadline=None, max_examples=50)
frames = small_frames(names=("a", "b", "c"))
TESTS: list[tuple[dict[str, Any], Any]] = [
    ({"in": [1, 2]}, lambda value: value in {1, 2}),
    ({"in": ["1"]}, lambda value: value == 1),
    ({"not_in": [0]}, lambda value: value not in {0, None}),
    ({"between": [0, 2]}, lambda value: value is not None and 0 <= value <= 2),
    ({"between": [None, 0]}, lambda value: value is not None and value <= 0),
    ({"between": [1, None]}, lambda value: value is not None and value >= 1),
    ({"is_missing": True}, lambda value: value is None),
    ({"is_missing": False}, lambda value: value is not None),
]
conditions = pytest.mark.parametrize(("test", "meets"), TESTS, ids=[str(test) for test, _ in TESTS])


@conditions
@law
@given(frames)
def test_a_condition_is_met_by_the_values_of_its_column(test: dict[str, Any], meets: Any, frame: pd.DataFrame) -> None:
    found = Condition(column="a", **test).meets(frame)
    assert found.tolist() == by_row(frame, lambda row: meets(row["a"]))


@conditions
@law
@given(frames)
def test_implications(test: dict[str, Any], meets: Any, frame: pd.DataFrame) -> None:
    condition = Condition(column="a", **test)
    missing = ImpliesMissing(condition=condition, columns=["b", "c"])
    assert missing.holds(frame).tolist() == by_row(
        frame, lambda row: not meets(row["a"]) or (row["b"] is None and row["c"] is None)
    )
    required = RequiredIf(condition=condition, columns=["b", "c"])
    assert required.holds(frame).tolist() == by_row(
        frame, lambda row: not meets(row["a"]) or None not in {row["b"], row["c"]}
    )
    rule = If(condition=condition, then={"column": "b", "in": [1, 2]})
    assert rule.holds(frame).tolist() == by_row(frame, lambda row: not meets(row["a"]) or row["b"] in {1, 2, None})
    for each in (missing, required, rule):
        assert each.holds(frame)[~each.applies(frame)].all()


def test_limits_may_be_dates() -> None:
    frame = pd.DataFrame({"day": pd.to_datetime(["2020-01-01 00:00", "2020-02-01 12:00", ""])})
    assert Condition(column="day", between=["2020-01-15", None]).meets(frame).tolist() == [False, True, False]
    limit = pd.Timestamp("2020-02-01 12:00").to_pydatetime()
    assert Condition(column="day", between=[None, limit]).meets(frame).tolist() == [True, True, False]


@pytest.mark.parametrize("condition", [Condition(column="a", **test) for test, _ in TESTS], ids=str)
def test_conditions_survive_a_schema(condition: Condition) -> None:
    schema = Schema(constraints=[If(condition=condition, then={"column": "b", "between": [dt.date(2020, 1, 1), None]})])
    assert Schema.from_yaml(schema.to_yaml()) == schema
    assert Schema.model_validate_json(schema.model_dump_json()) == schema


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"in": []},
        {"in": [1], "is_missing": True},
        {"in": [1], "is_in": [1]},
        {"between": [2, 1]},
        {"between": [None, None]},
        {"between": [1, "2020-01-01"]},
        {"between": [1]},
        {"is_missing": "yes"},
        {"like": "x"},
    ],
    ids=str,
)
def test_a_condition_has_one_test(fields: dict[str, Any]) -> None:
    with pytest.raises(SchemaError):
        Condition(column="a", **fields)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (ImpliesMissing(condition={"column": "s", "in": ["q"]}, columns=["x"]), "must name categories of 's'"),
        (ImpliesMissing(condition={"column": "s", "in": ["m"]}, columns=["full"]), "contradicts `nullable: false`"),
        (
            RequiredIf(condition={"column": "s", "between": [1, 2]}, columns=["x"]),
            "needs the kind integer or continuous",
        ),
        (
            If(condition={"column": "x", "between": ["2020-01-01", None]}, then={"column": "s", "in": ["m"]}),
            "needs the kind",
        ),
        (If(condition={"column": "full", "is_missing": True}, then={"column": "s", "in": ["m"]}), "is useless"),
    ],
)
def test_conditions_that_do_not_fit_are_refused(rule: Any, words: str) -> None:
    columns = [column("s", "categorical", categories=["m", "f"]), column("x"), column("full", nullable=False)]
    with pytest.raises(SchemaError, match=words):
        Schema(columns=columns, constraints=[rule])


def test_the_condition_is_on_another_column() -> None:
    with pytest.raises(SchemaError, match="on another column"):
        ImpliesMissing(condition={"column": "a", "in": [1]}, columns=["a"])
    with pytest.raises(SchemaError, match="another condition"):
        If(condition={"column": "a", "in": [1]}, then={"column": "a", "in": [1]})
