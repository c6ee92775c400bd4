"""Rules survive a document, and those that contradict each other are refused together, in one message."""

from __future__ import annotations

import graphlib
import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rows import column

from synthvae import Schema
from synthvae.errors import SchemaError
from synthvae.schema import (
    Difference,
    FixedCombinations,
    Formula,
    ImpliesMissing,
    Increments,
    Inequality,
    OneHot,
    RequiredIf,
    Sum,
    Unique,
)
from synthvae.schema.constraints import consistency

RULES: list[Any] = [
    Inequality(columns=["a", "b", "c"], strict=True),
    Sum(total="t", parts=["a", "b"]),
    Difference(result="d", high="b", low="a", unit="days", rounding="down"),
    Formula(column="f", expression="`a b` * 2"),
    FixedCombinations(columns=["x", "y"], combinations=[["1", 2], ["3", 4]]),
    FixedCombinations(columns=["x", "y"]),
    OneHot(columns=["p", "q"]),
    Unique(columns=["k"]),
    ImpliesMissing(condition={"column": "x", "in": ["v"]}, columns=["y"]),
    RequiredIf(condition={"column": "x", "not_in": ["v"]}, columns=["y"]),
    Increments(column="a", step=0.5, offset=1),
]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_rule_survives_documents(rule: Any) -> None:
    schema = Schema(constraints=[rule])
    assert Schema.from_yaml(schema.to_yaml()) == schema
    assert Schema.from_dict(schema.to_dict()).constraints == (rule,)
    assert Schema.model_validate_json(schema.model_dump_json()) == schema
    assert hash(rule) == hash(type(rule).model_validate(rule.model_dump()))
    assert schema.to_dict()["constraints"][0]["kind"] == rule.kind
    assert len(repr(rule)) < 120


def test_old_documents_have_no_rules() -> None:
    assert Schema.from_yaml("columns:\n- {name: a, kind: integer}\n").constraints == ()
    assert "constraints" not in Schema(columns=[column("a")]).to_dict()


def test_a_declared_column_keeps_the_rules() -> None:
    schema = Schema(columns=[column("a"), column("b")], constraints=[Inequality(columns=["a", "b"])])
    assert schema.declare("a", bounds=(0, 1)).constraints == schema.constraints
    with pytest.raises(SchemaError, match="needs numbers or dates"):
        schema.declare("a", kind="categorical")


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([Inequality(columns=["a", "b"]), Inequality(columns=["b", "a"])], "got `a <= b <= a`, which only equal"),
        ([Inequality(columns=["a", "b"], strict=True), Inequality(columns=["b", "c", "a"])], "which no row keeps"),
        ([Sum(total="t", parts=["a", "b"]), Formula(column="t", expression="a")], "'t' must be computed by one rule"),
        ([Formula(column="a", expression="b"), Formula(column="b", expression="a")], "got 'a' from 'b' from 'a'"),
        ([OneHot(columns=["a", "b"]), OneHot(columns=["a", "b"])], "must be declared once, got it 2 times"),
        (
            [t(condition={"column": "x", "in": [1]}, columns=["a"]) for t in (ImpliesMissing, RequiredIf)],
            "contradict each other for \\['a'\\]",
        ),
    ],
)
def test_contradictions_are_refused(rules: list[Any], words: str) -> None:
    with pytest.raises(SchemaError, match=words):
        Schema(constraints=rules)


def test_all_problems_are_in_one_message() -> None:
    rules = [Inequality(columns=["a", "b"]), Increments(column="b", step=2), OneHot(columns=["gone", "b"])]
    with pytest.raises(SchemaError, match=r"4 problems with rules.*`a <= b`.*b = k \* 2.*exactly one of gone, b"):
        Schema(columns=[column("a"), column("b", "date")], drop=["gone"], constraints=rules)


def test_a_rule_on_a_dropped_column_is_refused() -> None:
    with pytest.raises(SchemaError, match=r"is on columns that are dropped, \['b'\]"):
        Schema(drop=["b"], constraints=[Inequality(columns=["a", "b"])])


@pytest.mark.parametrize(
    "document",
    [
        {"constraints": [{"kind": "xor", "columns": ["a", "b"]}]},
        {"constraints": [{"columns": ["a", "b"]}]},
        {"constraints": ["a <= b"]},
        {"constraints": "a <= b"},
        {"constraints": [{"kind": "inequality", "columns": ["a", "b"], "why": 1}]},
        {"constraints": [{"kind": "inequality"}]},
        {"constraints": [{1: 2}]},
    ],
    ids=str,
)
def test_a_malformed_rule_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(SchemaError, match="constraints"):
        Schema.from_dict(document)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(*[st.sampled_from("abcdef")] * 2), max_size=12))
def test_cycles_are_found_where_there_is_one(edges: list[tuple[str, str]]) -> None:
    graph: dict[str, list[str]] = {}
    for low, high in edges:
        graph.setdefault(low, []).append(high)
    found = consistency.find_cycle(graph)
    try:
        graphlib.TopologicalSorter(graph).prepare()
        assert not found
    except graphlib.CycleError:
        assert found
    assert all(pair in edges for pair in itertools.pairwise(found))
    assert not found or found[0] == found[-1]


def test_many_rules_cost_little() -> None:
    rules = [Formula(column=f"c{i}", expression=f"c{i + 1} + 1") for i in range(3_000)]
    assert consistency.in_order(rules) == rules[::-1]
    assert not consistency.contradictions(rules, Schema(columns=[column("x")]))
    with pytest.raises(SchemaError, match="at most 10,000 rules, got 10,001"):
        Schema(constraints=[Increments(column=f"c{i}", step=2) for i in range(10_001)])


def test_computed_columns_are_ordered_by_their_needs() -> None:
    last, first = Formula(column="c", expression="t * 2"), Sum(total="t", parts=["a", "b"])
    assert consistency.in_order([last, Inequality(columns=["a", "b"]), first]) == [first, last]
