"""Rules and totals in private fits of linked tables: all synthetic rows keep them, and none reveals a row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import trade as trading

from synthvae.errors import PrivacyError, SchemaError
from synthvae.privacy import PrivacyBudget
from synthvae.relational import Database, DatabaseSynthesizer

Frames = dict[str, pd.DataFrame]
COMPUTED = {total[:2] for total in trading.TOTALS}
ROOMS = [(ward, f"{ward}{number}") for ward in "abc" for number in (1, 2)]
RULES: dict[str, list[dict[str, Any]]] = {
    "patients": [{"kind": "inequality", "columns": ["first", "last"]}],
    "visits": [
        {"kind": "inequality", "columns": ["low", "high"]},
        {"kind": "sum", "total": "total", "parts": ["low", "high"]},
        {"kind": "fixed_combinations", "columns": ["ward", "room"], "combinations": ROOMS},
    ],
}


def integer(name: str, most: int) -> dict[str, Any]:
    return {"name": name, "kind": "integer", "bounds": (0, most), "nullable": False}


COLUMNS = {
    "patients": [integer("first", 9), integer("last", 19)],
    "visits": [
        integer("day", 99),
        integer("low", 50),
        integer("high", 70),
        integer("total", 120),
        {"name": "ward", "kind": "categorical", "categories": list("abc"), "nullable": False},
        {"name": "room", "kind": "categorical", "categories": [room for _, room in ROOMS], "nullable": False},
    ],
}


def tables(subjects: int = 400) -> Frames:
    rng = np.random.default_rng(0)
    patients = pd.DataFrame({"id": range(subjects), "first": rng.integers(0, 10, subjects)})
    patients["last"] = patients["first"] + rng.integers(0, 10, subjects)
    rows = 3 * subjects
    visits = pd.DataFrame({"patient": np.arange(rows) // 3, "day": rng.integers(0, 100, rows)})
    visits["low"] = rng.integers(0, 51, rows)
    visits["high"] = visits["low"] + rng.integers(0, 20, rows)
    visits["total"] = visits["low"] + visits["high"]
    visits["ward"], visits["room"] = np.array(ROOMS)[rng.integers(0, len(ROOMS), rows)].T
    return {"patients": patients, "visits": visits}


def fitted(frames: Frames, rules: dict[str, list[Any]]) -> DatabaseSynthesizer:
    database = Database(
        tables=frames,
        primary_keys={"patients": "id"},
        foreign_keys=[("visits", "patient", "patients", "id")],
        order={"visits": "day"},
        schemas={name: {"columns": COLUMNS[name], "constraints": rules.get(name, [])} for name in COLUMNS},
    )
    budget = PrivacyBudget(epsilon=3.0, delta=1e-4, rows=400, rows_of_tables={"visits": 3})
    return DatabaseSynthesizer(database, privacy=budget, max_steps=10, random_state=0).fit()


def kept(rows: Frames) -> dict[str, pd.Series]:
    patients, visits = rows["patients"], rows["visits"]
    return {
        "order of patients": patients["first"] <= patients["last"],
        "order of visits": visits["low"] <= visits["high"],
        "sum": visits["total"] == visits["low"] + visits["high"],
        "combinations": visits["room"].str[0] == visits["ward"],
    }


def test_all_rows_keep_the_rules_which_free_draws_break() -> None:
    frames = tables()
    assert all(holds.all() for holds in kept(frames).values())
    rows = fitted(frames, RULES).sample(subjects=300)
    assert len(rows["visits"]) > 300
    assert all(holds.all() for holds in kept(rows).values())
    free = kept(fitted(frames, {}).sample(subjects=300))
    assert not any(holds.all() for holds in free.values())


def test_rows_that_break_a_rule_are_not_counted() -> None:
    """How many there are is private; synthetic rows keep the rule all the same."""
    frames = tables()
    frames["visits"].loc[::5, "high"] = 0
    assert kept(fitted(frames, RULES).sample(subjects=300))["order of visits"].all()


def dates(name: str, first: str, last: str, *, nullable: bool = False) -> dict[str, Any]:
    return {"name": name, "kind": "date", "bounds": (first, last), "nullable": nullable}


def real(name: str, most: float, *, nullable: bool = False) -> dict[str, Any]:
    return {"name": name, "kind": "continuous", "bounds": (0, most), "decimals": 1, "nullable": nullable}


TRADE = {
    "customers": [dates("joined", "2020-01-01", "2021-03-01"), real("rate", 2), real("spent", 1000, nullable=True)],
    "orders": [
        dates("placed", "2020-01-01", "2021-06-01"),
        dates("closed", "2020-01-01", "2021-07-01"),
        integer("age", 9),  # computed values lie beyond these bounds, which limit what is learned alone
        real("total", 1000),
        integer("lines", 99),
        dates("last", "2020-01-01", "2021-07-01", nullable=True),
    ],
    "items": [integer("quantity", 9), dates("sent", "2020-01-01", "2021-07-01", nullable=True), real("price", 20)],
}
CAPS = {"orders": 3, "items": 9}


def trade(**changes: Any) -> Database:
    """The database of `trade` with all of its columns declared."""
    fields: dict[str, Any] = {
        "tables": {name: table.copy() for name, table in trade_tables().items()},
        "primary_keys": {"customers": "id", "orders": "order"},
        "foreign_keys": [("orders", "customer", "customers", "id"), ("items", "order", "orders", "order")],
        "order": {"orders": "placed"},
        "totals": trading.TOTALS,
        "schemas": {name: {"columns": own, "constraints": trading.RULES.get(name, [])} for name, own in TRADE.items()},
    }
    return Database(**{**fields, **changes})


def trade_tables() -> Frames:
    """Tables whose dates have no time of day."""
    found = trading.tables()
    for table in found.values():
        for name in table.select_dtypes("datetime"):
            table[name] = table[name].dt.date
    return found


def privately(database: Database, **options: Any) -> DatabaseSynthesizer:
    budget = PrivacyBudget(epsilon=3.0, delta=1e-4, rows=90, rows_of_tables=CAPS)
    return DatabaseSynthesizer(database, privacy=budget, max_steps=5, random_state=0, **options).fit()


def broken(found: Frames) -> dict[str, int]:
    """The numbers of rows that break each rule or total; the sum of no order is missing, as declared."""
    frames = {name: table.copy() for name, table in found.items()}
    for name, columns in TRADE.items():
        for column in (one["name"] for one in columns if one["kind"] == "date"):
            frames[name][column] = pd.to_datetime(frames[name][column])
    return trading.broken(frames)


@pytest.fixture(scope="module")
def trader() -> DatabaseSynthesizer:
    return privately(trade())


def test_rules_and_totals_across_tables_hold_in_all_rows(trader: DatabaseSynthesizer, tmp_path: Path) -> None:
    found = trader.sample(subjects=200)
    assert len(found["items"]) > 200
    assert not any(broken(found).values()), broken(found)
    assert found["orders"]["age"].max() > 9
    assert (found["items"]["sent"] > found["items"]["order"].map(found["orders"].set_index("order")["placed"])).any()
    trader.save(tmp_path / "model")
    again = DatabaseSynthesizer.load(tmp_path / "model").sample(subjects=200)
    for name, table in found.items():
        pd.testing.assert_frame_equal(again[name], table)


def test_the_noise_is_that_of_a_fit_without_rules_and_totals_cost_nothing(trader: DatabaseSynthesizer) -> None:
    """Totals are not modelled: a fit of tables without their columns has the same events."""
    schemas = {
        name: {"columns": own, "drop": [column["name"] for column in own if (name, column["name"]) in COMPUTED]}
        for name, own in TRADE.items()
    }
    for given in schemas.values():
        given["columns"] = [column for column in given["columns"] if column["name"] not in given["drop"]]
    free = privately(trade(totals=[], schemas=schemas))
    spent = [() if own.ledger_ is None else own.ledger_.events for own in (trader, free)]
    assert spent[0] == spent[1] != ()


def test_rows_that_break_rules_or_totals_are_not_counted() -> None:
    """A wrong row changes neither what is refused nor the noise; synthetic rows keep what is declared."""
    wrong = trade_tables()
    wrong["orders"].loc[::3, "total"] += 1
    wrong["items"].loc[::3, "sent"] = wrong["customers"]["joined"].min()
    found = privately(trade(tables=wrong)).sample(subjects=60)
    assert not any(broken(found).values()), broken(found)


def changed(name: str, rules: list[Any] | None = None, **columns: dict[str, Any]) -> dict[str, Any]:
    """The schemas of `trade` with other rules or columns of a table."""
    found = {
        other: {"columns": [columns.get(c["name"], c) for c in own], "constraints": trading.RULES.get(other, [])}
        for other, own in TRADE.items()
    }
    found[name]["constraints"] = trading.RULES[name] if rules is None and name in trading.RULES else rules or []
    return {"schemas": found}


def ordered(*columns: str, strict: bool = False) -> list[Any]:
    return [{"kind": "inequality", "columns": columns, "strict": strict}]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (changed("items", ordered("orders.total", "price")), r"neither keys nor totals, got \['orders\.total'\]"),
        (changed("items", ordered("orders.order", "price")), r"got \['orders\.order'\]"),
        (changed("items", ordered("orders.plaecd", "sent")), r"got \['orders\.plaecd'\]"),
        (changed("items", ordered("customers.joined", "sent", "orders.placed", strict=True)), "must not be strict"),
        (
            changed("orders", closed=dates("closed", "2020-01-01", "2021-05-01")),
            r"'orders': the upper bound of 'placed' must be at most that of 'closed'",
        ),
        (
            changed("customers", joined=dates("joined", "2020-01-01", "2022-01-01")),
            r"the upper bound of 'customers.joined' must be at most that of 'placed'",
        ),
        (
            changed("items", ordered("orders.closed", "sent", strict=True)),
            r"the upper bound of 'orders.closed' must be less than that of 'sent'",
        ),
        (changed("orders", total=integer("total", 1000)), r"got `orders.total = sum of items.price` with another kind"),
        (
            changed("orders", last=dates("last", "2020-01-01", "2021-07-01")),
            r"got `orders.last = max of items.sent`, whose column is not nullable",
        ),
    ],
)
def test_what_cannot_be_kept_is_refused_before_anything_is_spent(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PrivacyError, match=message):
        privately(trade(**changes))


def test_a_rule_must_be_on_a_column_that_is_drawn() -> None:
    rules = [{"kind": "increments", "column": "customers.rate", "step": 0.5}]
    with pytest.raises(SchemaError, match="must be on a column beside the order column"):
        privately(trade(**changed("items", rules)))


def test_strict_orders_and_conditions_with_ancestors_hold() -> None:
    rules = [
        *ordered("customers.joined", "placed", strict=True),
        *ordered("placed", "closed", strict=True),
        {
            "kind": "if",
            "condition": {"column": "customers.rate", "between": (1.5, 2)},
            "then": {"column": "lines", "between": (98, 99)},
        },
    ]
    later = dates("closed", "2020-01-01", "2021-07-01")
    found = privately(trade(totals=[], **changed("orders", rules, closed=later))).sample(subjects=200)
    orders = found["orders"].merge(found["customers"], left_on="customer", right_on="id")
    assert (orders["joined"] < orders["placed"]).all()
    assert (orders["placed"] < orders["closed"]).all()
    assert (orders["lines"] >= 98)[orders["rate"] >= 1.5].all()
    assert (orders["lines"] < 98)[orders["rate"] < 1.5].any()


def test_a_rule_needs_declared_combinations() -> None:
    with pytest.raises(PrivacyError, match="must declare its `combinations`"):
        fitted(tables(20), {"visits": [{"kind": "fixed_combinations", "columns": ["ward", "room"]}]})
