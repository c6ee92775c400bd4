"""Rules of child rows with columns of ancestors hold in all rows, or are refused; totals are those of the children."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from trade import DAY, RULES, START, SUBJECTS, TOTALS, broken, days, tables

from synthvae.errors import RequestError, SchemaError, TableError
from synthvae.evaluation import evaluate_database
from synthvae.relational import Database, DatabaseSynthesizer


def database(given: dict[str, pd.DataFrame] | None = None, **changes: Any) -> Database:
    fields: dict[str, Any] = {
        "tables": tables() if given is None else given,
        "primary_keys": {"customers": "id", "orders": "order"},
        "foreign_keys": [("orders", "customer", "customers", "id"), ("items", "order", "orders", "order")],
        "order": {"orders": "placed"},
        "totals": TOTALS,
        "schemas": {name: {"constraints": own} for name, own in RULES.items()},
    }
    return Database(**{**fields, **changes})


def fit(given: Database, **options: Any) -> DatabaseSynthesizer:
    return DatabaseSynthesizer(given, **{"max_steps": 40, "random_state": 0, **options}).fit()


@pytest.fixture(scope="module")
def ruled() -> DatabaseSynthesizer:
    return fit(database())


def test_the_training_tables_keep_what_is_declared() -> None:
    assert not any(broken(tables()).values())


def test_rules_and_totals_hold_in_all_rows(ruled: DatabaseSynthesizer, tmp_path: Path) -> None:
    found = ruled.sample(subjects=300)
    assert not any(broken(found).values()), broken(found)
    assert len(found["items"]) > 300
    assert found["items"]["sent"].isna().mean() == pytest.approx(0.1, abs=0.08)
    real = tables()
    assert {n: t.dtypes.to_dict() for n, t in found.items()} == {n: t.dtypes.to_dict() for n, t in real.items()}
    inside = found["items"].merge(found["orders"], on="order")
    assert (inside["sent"] > inside["placed"]).mean() > 0.2  # not all at the limit
    ruled.save(tmp_path / "model")
    again = DatabaseSynthesizer.load(tmp_path / "model").sample(subjects=300)
    for name, table in found.items():
        pd.testing.assert_frame_equal(again[name], table)


def test_parts_and_workers_give_the_rows_of_a_sample(ruled: DatabaseSynthesizer, tmp_path: Path) -> None:
    ruled.generate(tmp_path / "out", subjects=40, random_state=3)
    written = Database.from_yaml(tmp_path / "out" / "_database.yaml")
    assert [tuple(total)[: len(given)] for total, given in zip(written.totals, TOTALS, strict=True)] == TOTALS
    found = {name: pd.read_parquet(place) for name, place in written.tables.items()}
    assert not any(broken(found).values()), broken(found)
    sampled = ruled.sample(subjects=40, random_state=3)
    for name, table in found.items():
        pd.testing.assert_frame_equal(table, sampled[name])


def test_children_of_given_parents_keep_rules_and_fill_totals(ruled: DatabaseSynthesizer) -> None:
    given = tables(seed=1)["customers"]
    found = ruled.sample(given=given.assign(spent=np.nan))
    pd.testing.assert_frame_equal(found["customers"].drop(columns="spent"), given.drop(columns="spent"))
    assert not any(broken(found).values()), broken(found)
    assert found["customers"]["spent"].notna().any()
    with pytest.raises(RequestError, match=r"'spent' of given rows of 'customers' must be missing, .* got [\d]+ of 90"):
        ruled.sample(given=given)


def test_given_rows_that_break_a_rule_with_an_ancestor_are_refused(ruled: DatabaseSynthesizer) -> None:
    real = tables(seed=1)
    first = real["orders"].drop_duplicates("customer").assign(total=np.nan, lines=None, last=None)
    wrong = first.assign(placed=first["placed"].where(np.arange(len(first)) > 2, START - DAY))
    wrong["age"] = (wrong["placed"] - real["customers"]["joined"].to_numpy()[wrong["customer"]]) // DAY
    given = {"customers": real["customers"].assign(spent=np.nan)}
    with pytest.raises(TableError, match=r"Table 'orders': .* of which 3 break `customers.joined <= placed <= closed`"):
        ruled.sample(given={**given, "orders": wrong})
    found = ruled.sample(given={**given, "orders": first})
    assert not any(broken(found).values()), broken(found)


def test_a_database_with_totals_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = database(tables=[*RULES, "customers"])
    again = Database.from_yaml(written.to_yaml(tmp_path / "db.yaml") and tmp_path / "db.yaml")
    assert again == written


def wrong_tables() -> dict[str, pd.DataFrame]:
    given = tables()
    given["orders"].loc[:1, "total"] += 1
    return given


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        (
            {"tables": wrong_tables()},
            TableError,
            r"'orders': Column 'total' must be the sum of items.price .* got 2 of",
        ),
        ({"totals": [("orders", "age", "sum", "customers", "rate")]}, SchemaError, "must be of rows that belong"),
        ({"totals": [("orders", "lines", "count", "items", "price")]}, SchemaError, "none for a count"),
        ({"totals": [("orders", "order", "count", "items")]}, SchemaError, "must not be keys"),
        ({"totals": [TOTALS[0], TOTALS[0]]}, SchemaError, "each column once"),
        ({"totals": [("orders", "last", "sum", "items", "sent")]}, SchemaError, "must be a min or a max"),
        ({"totals": [("orders", "cost", "sum", "items", "price")]}, TableError, "got none named 'cost' in 'orders'"),
        (
            {"schemas": {"items": {"constraints": [{"kind": "inequality", "columns": ["orders.total", "price"]}]}}},
            TableError,
            r"of which .* break `orders.total <= price`",
        ),
        (
            {"schemas": {"items": {"constraints": [{"kind": "inequality", "columns": ["price", "orders.total"]}]}}},
            SchemaError,
            r"got the key or dropped columns \['orders.total'\]",
        ),
        (
            {"schemas": {"items": {"constraints": [{"kind": "inequality", "columns": ["orders.plaecd", "sent"]}]}}},
            SchemaError,
            r"must be on columns of the table, got \['orders.plaecd'\]",
        ),
        (
            {"schemas": {"items": {"constraints": [{"kind": "inequality", "columns": ["sent", "orders.placed"]}]}}},
            TableError,
            r"'items': All rows must keep the rules .* break `sent <= orders.placed`",
        ),
    ],
)
def test_what_cannot_be_kept_is_refused(changes: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        fit(database(**changes), max_steps=2)


def test_an_evaluation_judges_rules_and_totals_across_tables() -> None:
    real = tables()
    copy = {name: table.copy() for name, table in real.items()}
    copy["items"].loc[:9, "sent"] = START - 99 * DAY
    copy["orders"].loc[:4, "total"] += 1
    found = evaluate_database(database(real), copy, attacks=False)
    items = found["items", "logic"].details["rules"].set_index("rule")
    kept = items.loc["orders.placed <= sent <= orders.closed", "synthetic"]
    assert kept == pytest.approx(1 - 10 / len(copy["items"]), abs=0.02)
    orders = found["orders", "logic"].details["rules"].set_index("rule")
    assert orders.loc["total = `sum of items.price`", "synthetic"] == pytest.approx(1 - 5 / len(copy["orders"]))
    assert orders.loc["lines = `count of items`", "synthetic"] == 1.0
    assert orders.loc["customers.joined <= placed <= closed", "origin"] == "declared"
    assert orders.filter(like="last in microseconds = `max of items.sent`", axis=0)["synthetic"].item() < 1


def test_the_order_column_stays_between_dates_of_ancestors() -> None:
    given = tables()
    customers, orders = given["customers"], given["orders"]
    customers["until"] = customers["joined"] + days(np.random.default_rng(1).integers(0, 60, SUBJECTS))
    open_then = (orders["placed"] <= customers["until"].to_numpy()[orders["customer"]]).to_numpy()
    given["orders"] = orders[open_then][["order", "customer", "placed"]].reset_index(drop=True)
    rule = {"kind": "inequality", "columns": ["customers.joined", "placed", "customers.until"]}
    del given["items"]
    keys: dict[str, Any] = {
        "primary_keys": {"customers": "id"},
        "foreign_keys": [("orders", "customer", "customers", "id")],
    }
    ruled = database(given, **keys, totals=(), schemas={"orders": {"constraints": [rule]}})
    found = fit(ruled, max_steps=5).sample(subjects=150)
    whole = found["orders"].merge(found["customers"], left_on="customer", right_on="id")
    assert whole["placed"].between(whole["joined"], whole["until"]).all()
    assert len(whole) > 50
