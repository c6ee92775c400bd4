"""Laws of the repair of rows that break rules: they keep all rules afterwards, and no other row changes."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from fabricated import RULES, hospital
from hypothesis import given, settings
from hypothesis import strategies as st

from synthvae import Column, Schema
from synthvae.encoding.rules.repair import Repair, repaired_alone
from synthvae.errors import TableError
from synthvae.schema import (
    Difference,
    FixedCombinations,
    Formula,
    If,
    ImpliesMissing,
    Increments,
    Inequality,
    OneHot,
    RequiredIf,
    Sum,
    Unique,
)
from synthvae.schema.coercion import conform
from synthvae.tables import convert

NAMES = ("a", "b", "c", "d", "e")
BOUNDS = (-9, 9)
KINDS = (
    Inequality(columns=["a", "b", "c"]),
    Inequality(columns=["b", "e"], strict=True),
    Sum(total="e", parts=["a", "b"]),
    Difference(result="d", high="c", low="a"),
    Formula(column="c", expression="a * b"),
    FixedCombinations(columns=["a", "d"], combinations=[[0, 0], [1, 2], [2, 1]]),
    OneHot(columns=["b", "d"]),
    Increments(column="b", step=2),
    ImpliesMissing(condition={"column": "a", "in": [1]}, columns=["d", "e"]),
    RequiredIf(condition={"column": "b", "between": [0, None]}, columns=["a"]),
    If(condition={"column": "a", "is_missing": False}, then={"column": "c", "between": [None, 1]}),
    If(condition={"column": "c", "in": [True]}, then={"column": "b", "not_in": [2]}),
    Unique(columns=["a", "b"]),
)


def schema_with(rules: Any, nullable: Any, bounds: Any = BOUNDS) -> Schema:
    flags = {name for rule in rules for name in rule.touches if isinstance(rule, OneHot)}
    columns = [
        Column(name=n, kind="integer", bounds=(0, 1) if n in flags else bounds, nullable=n in nullable) for n in NAMES
    ]
    return Schema(columns=columns, constraints=rules)


@st.composite
def broken_tables(draw: st.DrawFn) -> tuple[Schema, pa.Table]:
    """Small whole numbers, and rules of all kinds that many rows break, some of which contradict each other."""
    nullable = draw(st.sets(st.sampled_from(NAMES)))
    chosen = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4, unique=True))
    computed = set[str]()
    rules = []
    for rule in chosen:  # a column is computed by one rule, and not from itself
        if not computed & {*rule.touches, *rule.computed} or not rule.computed:
            rules.append(rule)
            computed |= set(rule.touches) if rule.computed else set()
    rules = [
        rule
        for rule in rules
        if not isinstance(rule, ImpliesMissing) or set(rule.columns) <= nullable
        if not isinstance(rule, If) or rule.condition.is_missing is None or rule.condition.column in nullable
    ]
    cells = {n: st.integers(-3, 3) | st.none() if n in nullable else st.integers(-3, 3) for n in NAMES}
    rows = draw(st.lists(st.tuples(*cells.values()), min_size=1, max_size=12))
    table = pa.table(
        {n: pa.array(values, pa.int64()) for n, values in zip(NAMES, zip(*rows, strict=True), strict=True)}
    )
    return schema_with(rules, nullable), table


def breaks(schema: Schema, table: pa.Table) -> np.ndarray[Any, Any]:
    """Which rows break a rule, as the rules themselves judge the whole table."""
    frame = table.to_pandas().astype("Int64")
    found = np.zeros(len(frame), bool)
    for rule in schema.constraints:
        found |= ~rule.holds(frame, schema)
    return found


@settings(deadline=None, max_examples=60)
@given(broken_tables())
def test_repaired_rows_keep_all_rules_and_others_stay(case: tuple[Schema, pa.Table]) -> None:
    schema, table = case
    repair = Repair.learn(schema, table, NAMES)
    repaired, kept = repair.apply(table)
    assert repaired.schema == table.schema
    assert repaired.num_rows == kept.sum()
    if repaired.num_rows:
        schema.check(repaired)  # rules, bounds, and no missing value where none is allowed
    unique = [rule for rule in schema.constraints if isinstance(rule, Unique)]
    others = schema.model_copy(update={"constraints": tuple(r for r in schema.constraints if r not in unique)})
    clean = ~breaks(others, table)
    assert unique or kept[clean].all()
    assert repaired.filter(pa.array(clean[kept])).equals(table.filter(pa.array(clean & kept)))
    assert repair.tally.rows == len(kept)
    assert repair.tally.left_out == (~kept).sum()
    assert bool(str(repair.tally)) == breaks(schema, table).any()
    again = Repair.learn(schema, table, NAMES)
    assert again.apply(repaired)[0].equals(repaired)
    assert not repaired.num_rows or not str(again.tally)


@settings(deadline=None, max_examples=30)
@given(broken_tables(), st.integers(1, 11))
def test_batches_are_repaired_as_the_whole_table(case: tuple[Schema, pa.Table], size: int) -> None:
    schema, table = case
    whole, parts = Repair.learn(schema, table), Repair.learn(schema, table)
    pieces = [parts.apply(table.slice(place, size))[0] for place in range(0, table.num_rows, size)]
    assert pa.concat_tables(pieces).equals(whole.apply(table)[0])
    assert str(parts.tally) == str(whole.tally)


@settings(deadline=None, max_examples=15)
@given(broken_tables(), st.data())
def test_a_private_repair_is_a_function_of_single_rows(case: tuple[Schema, pa.Table], data: st.DataObject) -> None:
    """Also of 1, which means true in a column of 0 and 1 alone."""
    schema, table = case
    rules = tuple(rule for rule in schema.constraints if not isinstance(rule, Unique))
    bounds = data.draw(st.sampled_from([BOUNDS, (0, 1)]))
    columns = [c.model_copy(update={"bounds": bounds}) for c in schema.columns]
    schema = schema.model_copy(update={"columns": tuple(columns), "constraints": rules})
    table = conform(table, schema)
    rows, kept = repaired_alone(table, schema, None)
    alone = [repaired_alone(table.slice(place, 1), schema, None) for place in range(table.num_rows)]
    assert kept.tolist() == [bool(own[0]) for _, own in alone]
    assert rows.equals(pa.concat_tables([one for one, _ in alone]))
    if rows.num_rows:
        schema.check(rows)


def test_whether_1_means_true_follows_from_the_domain_in_a_private_repair() -> None:
    rule = If(condition={"column": "c", "in": [True]}, then={"column": "b", "not_in": [2]})
    schema = schema_with([rule], NAMES)
    table = conform(pa.table({n: {"b": [2, 0], "c": [1, 7]}.get(n, [0, 0]) for n in NAMES}), schema)
    both = repaired_alone(table, schema, None)[0]
    assert both.slice(0, 1).equals(repaired_alone(table.slice(0, 1), schema, None)[0])


def test_a_target_is_never_emptied_in_a_private_repair() -> None:
    schema = schema_with([Inequality(columns=["a", "b"])], NAMES)
    table = conform(pa.table({n: [2, 1] if n == "a" else [1, 1] for n in NAMES}), schema)
    rows, kept = repaired_alone(table, schema, "a")
    assert kept.tolist() == [True, True]
    assert rows.column("a").to_pylist() == [2, 1]
    assert rows.column("b").to_pylist() == [None, 1]


def test_what_becomes_of_a_row_under_each_rule() -> None:
    schema = Schema(
        columns=[
            Column(name="age", kind="integer", bounds=(0, 120)),
            Column(name="admitted", kind="date", nullable=False),
            Column(name="discharged", kind="date"),
            Column(name="left", kind="date"),
            Column(name="nights", kind="integer", bounds=(0, 999)),
            Column(name="sex", kind="categorical", categories=["f", "m"]),
            Column(name="pregnant", kind="boolean"),
            Column(name="drug", kind="categorical", categories=["x"]),
            Column(name="dose", kind="integer"),
        ],
        constraints=[
            Inequality(columns=["admitted", "discharged", "left"]),
            Difference(result="nights", high="discharged", low="admitted", unit="days"),
            If(condition={"column": "sex", "in": ["m"]}, then={"column": "pregnant", "in": [False]}),
            RequiredIf(condition={"column": "drug", "is_missing": False}, columns=["dose"]),
        ],
    )
    first, third, fifth = dt.date(2020, 1, 1), dt.date(2020, 1, 3), dt.date(2020, 1, 5)
    good = {"age": 40, "admitted": first, "discharged": third, "left": fifth, "nights": 2}
    good |= {"sex": "m", "pregnant": False, "drug": "x", "dose": 5}
    cases: list[tuple[dict[str, Any], dict[str, Any] | None]] = [
        ({}, {}),
        ({"age": 999}, {"age": None}),
        ({"nights": 7}, {"nights": 2}),
        # Which date is wrong is not known, but one of them may not be missing.
        ({"admitted": fifth, "nights": -2}, {"admitted": fifth, "discharged": None, "nights": None}),
        ({"left": first, "nights": 3}, {"left": None, "discharged": None, "nights": 3}),
        ({"pregnant": True}, {"pregnant": None}),
        ({"dose": None}, None),
    ]
    table = pa.Table.from_pylist([good | changes for changes, _ in cases])
    repair = Repair.learn(schema, table, ["age", "nights"])
    repaired, kept = repair.apply(table)
    assert repaired.to_pylist() == [good | changes for _, changes in cases if changes is not None]
    assert kept.tolist() == [changes is not None for _, changes in cases]
    assert str(repair.tally) == (
        "6 of 7 rows broke rules of the schema and were repaired, of which 1 were left out: `0 <= age <= 120` in 1 "
        "(1 emptied); `admitted <= discharged <= left` in 2 (2 emptied); `if sex is 'm': pregnant is False` in 1 (1 "
        "emptied); `if drug is not missing: dose present` in 1 (1 left out); `nights = discharged - admitted in days` "
        "in 1 (1 computed anew); `0 <= nights <= 999` in 1 (1 emptied)."
    )


def texts(table: pd.DataFrame) -> pd.DataFrame:
    """Dates and numbers as text, as a German file has them."""
    dates = {name: table[name].dt.strftime("%d/%m/%Y") for name in ("born", "admitted", "discharged")}
    numbers = ("care", "drugs", "lab", "bill")
    return table.assign(**dates, **{n: table[n].map("{:.2f}".format).str.replace(".", ",") for n in numbers})


def narrow(table: pd.DataFrame) -> pd.DataFrame:
    """Types of fewer bits, nullable ones and categories."""
    return table.astype({"bill": "float32", "nights": "Int16", "bmi": "Float64", "ward": "category", "planned": "int8"})


def damaged(table: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    """The table with errors in some rows, and which rows these are."""
    rng, wrong = np.random.default_rng(seed), np.zeros(len(table), bool)
    found = table.copy()

    def some(count: int) -> Any:
        places = rng.choice(np.flatnonzero(~wrong), count, replace=False)
        wrong[places] = True
        return places

    places = some(9)
    found.loc[places, "discharged"] = found.loc[places, "admitted"] - pd.Timedelta(3, "D")
    found.loc[some(8), "bill"] += 7.25
    found.loc[some(7), "dose"] = 13
    found.loc[some(6), ["planned", "emergency"]] = 1
    found.loc[some(5), "systolic"] = 2
    found.loc[some(4), "bmi"] += 1
    return found, wrong


@pytest.mark.parametrize("change", [pd.DataFrame.copy, texts, narrow])
@pytest.mark.parametrize("nullable", [True, False])
def test_hospital_stays_in_all_types(*, change: Any, nullable: bool) -> None:
    stays = hospital(600)
    frame, wrong = damaged(stays, 0)
    columns = [
        c.model_copy(update={"bounds": None, "nullable": c.nullable or nullable})
        for c in Schema.infer(change(stays)).columns
    ]
    schema = Schema(columns=columns, constraints=RULES)
    table = convert.read(change(frame))
    repair = Repair.learn(schema, table)
    repair.check_values(table)
    repaired, kept = repair.apply(table)
    schema.check(repaired)
    assert repaired.schema.equals(table.schema, check_metadata=True)
    assert repair.tally.broken >= wrong.sum()
    assert kept[~wrong].all()
    assert repaired.filter(pa.array(~wrong[kept])).equals(table.filter(pa.array(~wrong)))
    bills = convert.to_pandas(repaired)["bill"].iloc[: len(frame)]
    truth = change(stays)["bill"][kept]
    assert (bills.to_numpy() == truth.to_numpy()).all()
    assert repair.tally.left_out == (~kept).sum() > 0
    assert nullable == (kept.sum() > 580)


def test_repeats_are_left_out_across_batches_once_other_rules_are_settled() -> None:
    schema = schema_with([Unique(columns=["a", "b"]), Increments(column="a", step=2)], {"a"}, None)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.integers(0, 30, (2_000, 5)), columns=list(NAMES))
    table = convert.read(frame)
    repair = Repair.learn(schema, table)
    found = pa.concat_tables([repair.apply(table.slice(place, 64))[0] for place in range(0, 2_000, 64)])
    expected = frame.assign(a=frame["a"].where(frame["a"] % 2 == 0))
    expected = expected[~expected.duplicated(["a", "b"]) | expected["a"].isna()]
    assert found.to_pydict() == {n: [None if pd.isna(v) else v for v in expected[n]] for n in NAMES}


def test_values_of_another_kind_are_not_repaired() -> None:
    table = pa.table({n: ["x", "1"] if n == "b" else [0, 0] for n in NAMES})
    schema = schema_with([Inequality(columns=["a", "b"])], NAMES)
    with pytest.raises(TableError, match="values must be numbers, got 'x'"):
        Repair.learn(schema, table).check_values(table)
