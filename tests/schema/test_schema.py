"""A schema contradicts nothing, survives YAML, and is the one door for tables."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import FAMILIES, frames, schemas

from synthvae import Column, Schema
from synthvae.errors import SchemaError, SynthvaeError, TableError
from synthvae.tables import convert

by_family = pytest.mark.parametrize("family", sorted(FAMILIES))
law = settings(deadline=None, max_examples=20)
NAN, INF = float("nan"), float("inf")
YEAR = (dt.date(2020, 1, 1), dt.date(2020, 12, 31))


@by_family
@law
@given(st.data())
def test_a_table_obeys_the_schema_inferred_from_it(family: str, data: st.DataObject) -> None:
    frame = data.draw(frames(family))
    schema = Schema.infer(frame)
    assert schema.inferred
    assert schema.names == list(frame.columns)
    assert schema.check(convert.read(frame)).equals(convert.read(frame))


@by_family
@law
@given(st.data())
def test_an_inferred_schema_survives_yaml_and_still_admits_its_table(family: str, data: st.DataObject) -> None:
    frame = data.draw(frames(family))
    schema = Schema.infer(frame)
    again = Schema.from_yaml(schema.to_yaml())
    again.check(convert.read(frame))
    assert again == schema


@law
@given(schemas())
def test_any_schema_survives_yaml(schema: Schema) -> None:
    assert Schema.from_yaml(schema.to_yaml()) == schema


@law
@given(schemas())
def test_any_schema_survives_json(schema: Schema) -> None:
    assert Schema.model_validate_json(schema.model_dump_json()) == schema


@pytest.mark.parametrize(
    "name", ["\x85", "a\u2028b", "yes", "1", "~", "a: b", " a ", "#", "\ufeffa", "2020-01-01", "a\nb"]
)
def test_odd_names_survive_yaml(name: str) -> None:
    column = Column(name=name, kind="categorical", categories=[name, "other"])
    assert Schema.from_yaml(Schema(columns=[column]).to_yaml()).columns == (column,)


def test_yaml_is_written_for_people(tmp_path: Path) -> None:
    columns = [Column(name="âge", kind="integer", bounds=(0, 99)), Column(name="day", kind="date", bounds=YEAR)]
    text = Schema(columns=columns).to_yaml(tmp_path / "schema.yaml")
    assert "name: âge\n  kind: integer\n" in text
    assert "2020-12-31" in text
    assert "inferred" not in text
    assert (tmp_path / "schema.yaml").read_text(encoding="utf-8") == text
    assert Schema.from_yaml(tmp_path / "schema.yaml").names == ["âge", "day"]


def test_yaml_written_by_hand_is_understood() -> None:
    schema = Schema.from_yaml("""
columns:
- {name: visit, kind: date, bounds: [2020-01-01, 2020-12-31], nullable: false}
- {name: seen, kind: datetime, bounds: [2020-01-01 00:00:00, 2020-12-31 23:59:59]}
- {name: dose, kind: continuous, bounds: [0, .inf], decimals: 2, sentinels: [N, -9]}
- {name: stage, kind: categorical, categories: [I, II, III], ordered: true}
""")
    assert schema["visit"].bounds == YEAR
    assert schema["seen"].bounds == (dt.datetime(2020, 1, 1), dt.datetime(2020, 12, 31, 23, 59, 59))  # noqa: DTZ001
    assert schema["dose"].sentinels == ("N", -9)
    assert schema["stage"].categories == ("I", "II", "III")
    assert not schema.inferred


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("- a\n- b\n", "mapping.*list"),
        ("just\ntext\n", "mapping.*str"),
        ("\n", "mapping.*NoneType"),
        ("columns: [\n", "must be YAML.*line 2"),
        ("columns:\n- {name: a, kind: id}\nsurprise: 1\n", "surprise"),
        ("columns:\n- {name: a, kind: id, surprise: 1}\n", "'a': `surprise` is not a known key"),
        ("columns:\n- {name: a, kind: number}\n", "'a': `kind`.*'integer'.*got 'number'"),
        ("columns:\n- {kind: id}\n", "name"),
        ("columns:\n- {name: a}\n", "'a': `kind` is missing"),
        ("columns:\n", "columns"),
        ("columns: []\n", "at least one column"),
        ("inferred: true\n", "columns"),
        ("columns: 2020-99-99\n", "must be YAML"),
        ("[" * 5000 + "\n", "50 nested levels"),
        ("[" * 51 + "]" * 51 + "\n", "50 nested levels"),
        ("{a: " * 5000 + "\n", "50 nested levels"),
        ("\n".join(f"{' ' * level}a:" for level in range(60)), "50 nested levels"),
        ("columns:\n- {name: a, kind: id}\n- {name: a, kind: id}\n", r"distinct.*\['a'\]"),
        ("columns:\n- {name: a, kind: integer, bounds: [9, 1]}\n", "'a'.*smallest, largest"),
    ],
)
def test_yaml_that_is_no_schema_is_refused_on_one_line(text: str, fact: str) -> None:
    with pytest.raises(SchemaError, match=fact) as refused:
        Schema.from_yaml(text)
    assert "\n" not in str(refused.value)


def test_a_refusal_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("columns: []\n", encoding="utf-8")
    with pytest.raises(SchemaError, match=r"s\.yaml: .*at least one column"):
        Schema.from_yaml(tmp_path / "s.yaml")
    (tmp_path / "s.yaml").write_bytes(b"columns:\n- {name: \xff, kind: id}\n")
    with pytest.raises(SchemaError, match=r"s\.yaml: .*utf-8"):
        Schema.from_yaml(tmp_path / "s.yaml")


CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    ({"kind": "integer", "categories": [1, 2]}, "`categories` require the kind categorical"),
    ({"kind": "categorical", "categories": ["x", "y", "x"]}, "`categories` must be distinct"),
    ({"kind": "categorical", "categories": "xyz"}, "categories"),
    ({"kind": "categorical", "categories": ["x", 3]}, "`categories`"),
    ({"kind": "integer", "ordered": True}, "`ordered` requires the kind categorical"),
    ({"kind": "categorical", "bounds": (1, 2)}, "`bounds` require a kind of numbers"),
    ({"kind": "id", "bounds": (1, 2)}, "`bounds` require a kind of numbers"),
    ({"kind": "integer", "bounds": (2, 1)}, r"`bounds` must be \(smallest, largest\)"),
    ({"kind": "continuous", "bounds": (NAN, 1.0)}, r"`bounds` must be \(smallest, largest\)"),
    ({"kind": "date", "bounds": YEAR[::-1]}, r"`bounds` must be \(smallest, largest\)"),
    ({"kind": "date", "bounds": (1, 2)}, "`bounds`"),
    ({"kind": "integer", "bounds": YEAR}, "`bounds`"),
    ({"kind": "integer", "bounds": ("1", "5")}, "bounds"),
    ({"kind": "integer", "bounds": (1, 2, 3)}, "bounds"),
    ({"kind": "integer", "decimals": 2}, "`decimals`"),
    ({"kind": "continuous", "decimals": -1}, "`decimals` must be between 0"),
    ({"kind": "categorical", "sentinels": ["N"]}, "`sentinels` require a numeric kind"),
    ({"kind": "date", "sentinels": ["N"]}, "`sentinels` require a numeric kind"),
]


@pytest.mark.parametrize(("facts", "rule"), CONTRADICTIONS)
def test_a_contradiction_is_refused_on_one_line_that_names_the_column(facts: dict[str, Any], rule: str) -> None:
    with pytest.raises(SchemaError, match=rule) as refused:
        Schema(columns=[{"name": "fine", "kind": "id"}, {"name": "age", **facts}])
    assert "'age'" in str(refused.value) or "columns.1." in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_column_that_contradicts_itself_is_a_schema_error() -> None:
    with pytest.raises(SchemaError, match="Column 'age': `bounds` must be") as refused:
        Column(name="age", kind="integer", bounds=(2, 1))
    assert "\n" not in str(refused.value)


def test_a_name_must_not_be_empty() -> None:
    with pytest.raises(SchemaError, match="`name` must not be empty"):
        Schema(columns=[{"name": "", "kind": "id"}])


@pytest.mark.parametrize(
    "bounds", [(np.int64(1), np.float32(2)), np.array([1, 2]), [pd.Series([1]).min(), 2], (-INF, INF)]
)
def test_bounds_may_be_numpys(bounds: Any) -> None:
    low, high = Column(name="a", kind="continuous", bounds=bounds).bounds or (None, None)
    assert type(low) in {int, float}
    assert type(high) in {int, float}


def test_categories_may_be_what_pandas_says_is_unique() -> None:
    categories = pd.Series([3, 1, 3]).unique()
    assert Column(name="a", kind="categorical", categories=categories).categories == (3, 1)


SCHEMA = Schema(
    columns=[
        Column(name="age", kind="integer", bounds=(0, 120), nullable=False),
        Column(name="sex", kind="categorical", categories=["F", "M"]),
    ],
    inferred=True,
)


def test_declare_changes_one_column_and_keeps_the_rest() -> None:
    changed = SCHEMA.declare("age", bounds=(18, 90))
    assert changed["age"] == Column(name="age", kind="integer", bounds=(18, 90), nullable=False)
    assert changed["sex"] == SCHEMA["sex"]
    assert changed.names == SCHEMA.names
    assert changed.inferred
    assert SCHEMA["age"].bounds == (0, 120)


def test_declare_of_another_kind_drops_the_facts_of_the_old() -> None:
    assert SCHEMA.declare("age", kind="categorical")["age"] == Column(name="age", kind="categorical", nullable=False)
    assert SCHEMA.declare("sex", kind="id")["sex"] == Column(name="sex", kind="id")


@pytest.mark.parametrize(
    ("name", "changes", "fact"),
    [
        ("weight", {"kind": "integer"}, "'weight' is not in the schema"),
        ("age", {"bounds": (9, 1)}, "'age'.*smallest"),
        ("age", {"categories": [1]}, "'age'.*`categories`"),
        ("age", {"surprise": 1}, "surprise"),
    ],
)
def test_declare_refuses_contradictions(name: str, changes: dict[str, Any], fact: str) -> None:
    with pytest.raises(SchemaError, match=fact):
        SCHEMA.declare(name, **changes)


def test_a_column_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises((KeyError, SynthvaeError)):
        _ = SCHEMA["weight"]


def _check(kind: Any, values: Any, **facts: Any) -> pa.Table:
    table = convert.read(pd.DataFrame({"x": values}))
    return Schema(columns=[Column(name="x", kind=kind, **facts)]).check(table)


@pytest.mark.parametrize(
    ("kind", "values", "facts", "rule"),
    [
        ("integer", [1, 200], {"bounds": (0, 120)}, r"must be in its bounds \[0, 120\], got \[1.*200"),
        ("continuous", [-0.5, None], {"bounds": (0, 1)}, "must be in its bounds"),
        ("integer", [1, None], {"nullable": False}, "must not be missing, got 1 .*nullable: true"),
        ("categorical", ["F", "X"], {"categories": ["F", "M"]}, "among its 2 categories.*'X'"),
        ("categorical", ["x", None], {"nullable": False, "categories": ["x"]}, "values must not be missing"),
        ("boolean", ["yes", "perhaps"], {"categories": ["yes", "no"]}, "among its 2 categories.*'perhaps'"),
        ("continuous", [1.0, INF], {}, "finite.*infinite"),
        ("continuous", [1.0, -INF], {"bounds": (-INF, INF)}, "finite.*infinite"),
        ("integer", ["1", "two"], {}, "numbers.*'two'.*sentinels"),
        ("integer", [1.5, 2.0], {}, "whole"),
        ("integer", [True, False], {}, "numbers"),
        ("continuous", YEAR, {}, "numbers"),
        ("date", ["2020-01-01", "2020-13-01"], {}, "ISO.*2020-13-01"),
        ("date", [1, 2], {}, "dates or ISO text.*int64"),
        ("date", [dt.time(1, 2)], {}, "dates or ISO text"),
        ("date", [*YEAR, dt.date(2021, 1, 1)], {"bounds": YEAR}, "must be in its bounds"),
        ("datetime", pd.to_datetime(["2021-01-01 00:00:01"]), {"bounds": YEAR}, "must be in its bounds"),
        ("datetime", pd.to_datetime(["2021-01-01"]).tz_localize("UTC"), {"bounds": YEAR}, "must be in its bounds"),
        ("boolean", [0, 1, 7], {}, "boolean|7"),
        ("categorical", [[1], [2]], {}, "nested"),
    ],
)
def test_a_violation_is_told_with_rule_and_column(kind: Any, values: Any, facts: dict[str, Any], rule: str) -> None:
    with pytest.raises(TableError, match=rule) as refused:
        _check(kind, values, **facts)
    assert str(refused.value).startswith("Column 'x': ")


@pytest.mark.parametrize(
    ("kind", "values", "facts"),
    [
        ("integer", [0, 120, None], {"bounds": (0, 120)}),
        ("integer", [1.0, 2.0], {}),
        ("integer", [-9, 5], {"bounds": (0, 120), "sentinels": [-9]}),
        ("integer", ["N", "5"], {"bounds": (0, 120), "sentinels": ["N"]}),
        ("continuous", [None, None], {"bounds": (0, 1)}),
        ("categorical", ["F", None], {"categories": ["F", "M"]}),
        ("categorical", [1, 2], {"categories": [1, 2, 3]}),
        ("date", YEAR, {"bounds": YEAR}),
        ("date", ["2020-01-01", None], {"bounds": YEAR}),
        ("date", pd.to_datetime(["2020-12-31 18:00"]), {"bounds": YEAR}),
        ("datetime", pd.to_datetime(["2020-06-01"]).tz_localize("Asia/Tokyo"), {"bounds": YEAR}),
        ("boolean", ["yes", "no"], {"categories": ["yes", "no"]}),
        ("id", ["a", "b"], {}),
    ],
)
def test_what_obeys_passes_unchanged(kind: Any, values: Any, facts: dict[str, Any]) -> None:
    assert _check(kind, values, **facts).equals(convert.read(pd.DataFrame({"x": values})))


@pytest.mark.parametrize("make", [pa.table, pl.DataFrame])
def test_a_nan_is_missing_wherever_it_comes_from(make: Any) -> None:
    table = convert.read(make({"x": [1.5, NAN]}))
    assert Schema.infer(table)["x"].nullable
    with pytest.raises(TableError, match="Column 'x': values must not be missing"):
        Schema(columns=[Column(name="x", kind="continuous", nullable=False)]).check(table)


def test_columns_come_out_in_the_order_of_the_schema() -> None:
    table = convert.read(pd.DataFrame({"sex": ["F"], "age": [7]}))
    assert SCHEMA.check(table).column_names == ["age", "sex"]


def test_absent_unknown_and_no_rows_are_told() -> None:
    with pytest.raises(TableError, match=r"none named \['sex'\]"):
        SCHEMA.check(pa.table({"age": [1]}))
    with pytest.raises(TableError, match=r"got \['weight'\]. Drop"):
        SCHEMA.check(pa.table({"age": [1], "sex": ["F"], "weight": [70]}))
    with pytest.raises(TableError, match=r"must have rows, got none"):
        SCHEMA.check(pa.table({"age": pa.array([], pa.int64()), "sex": pa.array([], pa.string())}))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2, 2], "integer"),
        ([1.0, 2.0, None], "integer"),
        ([1.5, 2.0], "continuous"),
        ([True, False], "boolean"),
        (["a", "b", "a"], "categorical"),
        (pd.Categorical([1, 2, 1]), "categorical"),
        (pd.to_datetime(["2020-01-01", "2020-01-02"]), "datetime"),
        (YEAR, "date"),
        (["2020-01-01", "2021-12-31"], "date"),
        (["2020-01-01 10:00:00", "2021-12-31 11:00:00"], "datetime"),
        (np.arange(5, 30), "id"),
        ([f"P{i:04d}" for i in range(30)], "id"),
        ([f"some words {i}" for i in range(30)], "id"),
        (list(range(5)), "integer"),
        ([None, None], "categorical"),
    ],
)
def test_kinds_are_guessed_as_a_person_would(values: Any, kind: str) -> None:
    assert Schema.infer(pd.DataFrame({"x": values}))["x"].kind == kind


def test_an_inferred_schema_says_what_the_table_says() -> None:
    frame = pd.DataFrame(
        {
            "price": [1.25, 3.5, None],
            "size": pd.Categorical(["S", "L", "S"], categories=["S", "M", "L"], ordered=True),
            "day": [dt.date(2020, 1, 1), dt.date(2020, 12, 31), dt.date(2020, 5, 5)],
        }
    )
    schema = Schema.infer(frame)
    assert schema["price"] == Column(name="price", kind="continuous", bounds=(1.25, 3.5), decimals=2)
    assert schema["size"].categories == ("S", "M", "L")
    assert schema["size"].ordered
    assert schema["day"] == Column(name="day", kind="date", bounds=YEAR, nullable=False)


@pytest.mark.parametrize(
    "values", [[[1], [2]], [{"a": 1}, {"a": 2}], [b"x", b"y"], pd.period_range("2020-01", periods=2, freq="M")]
)
def test_what_no_kind_describes_is_refused_by_name(values: Any) -> None:
    message = r"Column 'x': .* are not supported. Flatten or convert|'x': period\[M\], use `frame\['x'\].astype\(str\)`"
    with pytest.raises(TableError, match=message):
        Schema.infer(pd.DataFrame({"x": values}))


def test_a_table_without_columns_is_refused() -> None:
    with pytest.raises(TableError, match="at least one column"):
        Schema.infer(pd.DataFrame())
