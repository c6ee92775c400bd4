"""Totals of child rows: the same as those of pandas, for any rows; columns of ancestors are found by their names."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthvae.errors import TableError
from synthvae.schema import Column, Inequality
from synthvae.schema.ancestor_columns import AncestorColumn, ancestor_columns
from synthvae.schema.database import Database
from synthvae.schema.totals import Total, kept, values_of

PARENTS = 4
ROWS = st.lists(
    st.tuples(st.integers(-1, PARENTS - 1), st.none() | st.integers(-99, 99).map(lambda value: value / 4)), max_size=20
)
PRICE = Column(name="price", kind="continuous")


@given(rows=ROWS, function=st.sampled_from(["sum", "min", "max", "count"]))
def test_totals_are_those_of_pandas(rows: list[tuple[int, float | None]], function: Any) -> None:
    parents = np.array([parent for parent, _ in rows], np.int64)
    values = pd.Series([value for _, value in rows], dtype="float64")
    tables = {
        "orders": pa.table({"order": range(PARENTS)}),
        "items": pa.table({"price": pa.array(values, from_pandas=True)}),
    }
    of = None if function == "count" else PRICE
    found = values_of(Total("orders", "total", function, "items", None if of is None else of.name), parents, tables, of)
    linked = values[parents >= 0].groupby(parents[parents >= 0])
    expected = (linked.size() if function == "count" else linked.agg(function)).reindex(range(PARENTS))
    if function in {"sum", "count"}:
        expected = expected.fillna(0)
    np.testing.assert_allclose(found, expected.to_numpy(np.float64))


def test_dates_are_compared_in_microseconds() -> None:
    days = pa.array([dt.date(2020, 1, 2), dt.date(2020, 1, 1), None], pa.date32())
    tables = {"orders": pa.table({"order": [0]}), "items": pa.table({"sent": days})}
    total = Total("orders", "first", "min", "items", "sent")
    found = values_of(total, np.zeros(3, np.int64), tables, Column(name="sent", kind="date"))
    assert found.tolist() == [pd.Timestamp("2020-01-01").value // 1000]


def test_a_total_is_the_number_up_to_its_decimals_and_missing_where_there_is_none() -> None:
    stated, found = np.array([0.3, 0.3, np.nan, 1.0, np.nan]), np.array([0.1 + 0.2, 0.31, np.nan, np.nan, 1.0])
    assert kept(stated, found, 1).tolist() == [True, True, True, False, False]
    assert kept(stated, found, 2).tolist() == [True, False, True, False, False]


@pytest.mark.parametrize(("column", "values"), [
    (Column(name="price", kind="categorical"), ["a", "b"]),
    (Column(name="price", kind="integer"), [2**60, 1]),
])  # fmt: skip
def test_values_without_exact_numbers_are_refused(column: Column, values: list[Any]) -> None:
    tables = {"orders": pa.table({"order": [0]}), "items": pa.table({"price": values})}
    with pytest.raises(TableError, match="A total must be of numbers"):
        values_of(Total("orders", "total", "sum", "items", "price"), np.zeros(2, np.int64), tables, column)


def test_the_nearest_ancestor_with_the_column_is_named_and_own_columns_come_first() -> None:
    links = [("b", "a", "a", "id"), ("c", "b", "b", "id")]
    database = Database(tables=["a", "b", "c"], foreign_keys=links)
    rule = Inequality(columns=["a.x", "b.x", "x", "a.y", "b.y"])
    columns = {"a": ["id", "x", "y"], "b": ["id", "a", "x"], "c": ["b", "x", "a.y"]}
    found = ancestor_columns(database, "c", [rule], columns)
    assert found == {"b.x": AncestorColumn("b", "x"), "a.x": AncestorColumn("a", "x")}
    assert not ancestor_columns(database, "a", [rule], columns)
