"""Categories: known values, their order, and what is declared beyond what occurs."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from roundtrip import assert_kept_or_refused, draw, learn_column, there_and_back

from synthvae import Column
from synthvae.encoding.categorical import CategoricalEncoding
from synthvae.errors import SchemaError, TableError
from synthvae.tables import convert

CATEGORICAL = Column(name="x", kind="categorical")


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(max_size=5), min_size=1, max_size=30))
def test_each_category_has_a_state_in_sorted_order(texts: list[str]) -> None:
    encoding = CategoricalEncoding.learn(CATEGORICAL, pa.chunked_array([texts]))
    assert list(encoding.values) == sorted(set(texts), key=lambda text: text.encode())
    assert encoding.encode("x", pa.chunked_array([texts])).tolist() == [encoding.values.index(t) for t in texts]


def test_declared_categories_keep_their_order_even_if_they_do_not_occur() -> None:
    column = Column(name="x", kind="categorical", categories=["low", "mid", "high"], ordered=True)
    encoding = CategoricalEncoding.learn(column, pa.chunked_array([["high", "low"]]))
    assert encoding.values == ("low", "mid", "high")
    assert encoding.levels == 3


@pytest.mark.parametrize(
    ("values", "categories"),
    [
        (pd.array([1, 2], dtype="int8"), [1, 2, 300]),
        (pd.array([1, 2], dtype="int8"), [1, 2, 1.5]),
        (pd.array([1.0, 2.0]), [1, 2, 3]),
        (pd.array([1, 2]), [1.0, 2.0]),
        ([True, False], [True, False]),
        (pd.Categorical(["x", "y"]), ["y", "x", *map(str, range(300))]),
    ],
)
def test_categories_declared_beyond_those_seen_are_kept_or_refused(values: Any, categories: list[Any]) -> None:
    assert_kept_or_refused(values, Column(name="x", kind="categorical", categories=categories))


@pytest.mark.parametrize(
    "values",
    [
        pd.Series(["2020-01-01", "2020-01-02", None], dtype="datetime64[s]"),
        [dt.date(2020, 1, 1), dt.date(2020, 1, 2), None],
        pd.to_timedelta([1, 2, None], unit="h"),
        [decimal.Decimal("1.5"), decimal.Decimal("2.5"), None],
        [1.5, 2.5, np.nan],
        pa.array([1.5, 2.5, float("nan")]),
        [1, 2, 3],
        [True, False, None],
        pa.array(["a", None, "b"], pa.string_view()),
    ],
)
def test_anything_declared_categorical_is_kept_or_refused(values: Any) -> None:
    assert_kept_or_refused(values, CATEGORICAL)


@pytest.mark.parametrize("values", [["yes", "no", None], [0, 1, 0], [1.0, 0.0, np.nan], ["true", "false", "true"]])
def test_two_values_may_be_declared_boolean(values: list[Any]) -> None:
    assert_kept_or_refused(values, Column(name="x", kind="boolean"))


def test_three_values_are_no_boolean() -> None:
    with pytest.raises(TableError, match=r"(?i)column 'x'"):
        learn_column([0, 1, 7], Column(name="x", kind="boolean"))


@pytest.mark.parametrize("levels", [1, 2, 24, 25, 1500])
def test_random_codes_give_known_categories_only(levels: int) -> None:
    texts = [f"city {i}" for i in range(levels)]
    assert set(draw(texts * 2, CATEGORICAL)) <= set(texts)


def test_too_many_categories_are_refused_by_name() -> None:
    values = pa.chunked_array([np.arange(200_001)])
    with pytest.raises(TableError, match=r"(?i)column 'x': there may be at most 200,000 categories.*`kind: id`"):
        CategoricalEncoding.learn(CATEGORICAL, values)


@pytest.mark.parametrize("items", [["b", "a", "c"], [3, 1, 2], [2.5, 0.5, 1.5], [True, False]])
@pytest.mark.parametrize("ordered", [True, False])
def test_pandas_categoricals_come_back_whole(items: list[Any], *, ordered: bool) -> None:
    values = pd.Categorical([items[0], items[1], None], categories=items, ordered=ordered)
    table, encoding = learn_column(values)
    decoded = encoding.decode(encoding.encode(table), np.random.default_rng(0))
    pd.testing.assert_frame_equal(convert.to_pandas(decoded), pd.DataFrame({"x": values}))


def test_texts_that_look_missing_are_categories() -> None:
    texts = ["NA", "None", "nan", "", "null", None]
    assert there_and_back(texts, CATEGORICAL) == texts


def test_unknown_categories_belong_to_the_declared_other() -> None:
    column = Column(name="x", kind="categorical", categories=["a", "b", "rest"], other_category="rest")
    table, encoding = learn_column(["a", "b", "c", "d", None] * 4, column)
    assert encoding.decode(encoding.encode(table), np.random.default_rng(0)).column("x").to_pylist() == (
        ["a", "b", "rest", "rest", None] * 4
    )


def test_other_without_categories_joins_those_that_occur() -> None:
    column = Column(name="x", kind="categorical", other_category="rest")
    _, encoding = learn_column(["a", "b"] * 4, column)
    later = pa.table({"x": ["b", "never seen"]})
    assert encoding.decode(encoding.encode(later), np.random.default_rng(0)).column("x").to_pylist() == ["b", "rest"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "integer", "other_category": 3},
        {"kind": "categorical", "categories": ["a"], "other_category": "b"},
    ],
)
def test_an_other_that_means_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SchemaError, match="`other_category`"):
        Column(name="x", **wrong)
