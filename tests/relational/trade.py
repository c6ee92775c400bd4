"""Customers, their orders, and the items of these, with rules and totals across tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

SUBJECTS = 90
START = pd.Timestamp("2020-01-01")
DAY = pd.Timedelta(days=1)


def days(values: Any) -> Any:
    return pd.to_timedelta(values, "D")


def tables(seed: int = 0) -> dict[str, pd.DataFrame]:
    """Customers, their orders, and the items of these: dates lie in each other, and totals are those of the items."""
    rng = np.random.default_rng(seed)
    customers = pd.DataFrame({"id": range(SUBJECTS), "joined": START + days(rng.integers(0, 400, SUBJECTS))})
    customers["rate"] = rng.choice([1.0, 1.5, 2.0], SUBJECTS)
    owner = np.repeat(np.arange(SUBJECTS), rng.integers(0, 4, SUBJECTS))
    orders = pd.DataFrame({"order": np.arange(len(owner)) + 1, "customer": owner})
    joined = customers["joined"].to_numpy()[owner]
    orders["placed"] = joined + days(rng.integers(0, 40, len(owner)))
    orders["closed"] = orders["placed"] + days(rng.integers(0, 9, len(owner)))
    orders["age"] = (orders["placed"] - joined) // DAY
    at = np.repeat(np.arange(len(owner)), rng.integers(0, 5, len(owner)))
    length = (orders["closed"] - orders["placed"]).dt.days.to_numpy()[at]
    items = pd.DataFrame({"order": at + 1, "quantity": rng.integers(1, 9, len(at))})
    items["sent"] = orders["placed"].to_numpy()[at] + days(rng.integers(0, length + 1))
    items["price"] = items["quantity"] * customers["rate"].to_numpy()[owner[at]]
    items.loc[rng.random(len(at)) < 0.1, ["sent"]] = pd.NaT
    grouped = items.groupby("order")
    orders["total"] = orders["order"].map(grouped["price"].sum()).fillna(0.0)
    orders["lines"] = orders["order"].map(grouped.size()).fillna(0).astype(int)
    orders["last"] = orders["order"].map(grouped["sent"].max())
    customers["spent"] = customers["id"].map(orders.groupby("customer")["total"].sum())
    return {"customers": customers, "orders": orders, "items": items}


RULES: dict[str, list[Any]] = {
    "orders": [
        {"kind": "inequality", "columns": ["customers.joined", "placed", "closed"]},
        {"kind": "difference", "result": "age", "high": "placed", "low": "customers.joined", "unit": "days"},
    ],
    "items": [
        {"kind": "inequality", "columns": ["orders.placed", "sent", "orders.closed"]},
        {"kind": "formula", "column": "price", "expression": "quantity * `customers.rate`"},
    ],
}
TOTALS = [
    ("orders", "total", "sum", "items", "price"),
    ("orders", "lines", "count", "items"),
    ("orders", "last", "max", "items", "sent"),
    ("customers", "spent", "sum", "orders", "total"),
]


def broken(found: dict[str, pd.DataFrame]) -> dict[str, int]:
    """The numbers of rows that break each rule or total, by pandas alone."""
    orders = found["orders"].merge(found["customers"], left_on="customer", right_on="id")
    items = found["items"].merge(orders, on="order")
    grouped = found["items"].groupby("order")
    own = found["orders"].set_index("order")
    spent = found["customers"].set_index("id")["spent"]
    sums = found["orders"].groupby("customer")["total"].sum().reindex(spent.index)
    last = grouped["sent"].max().reindex(own.index)
    return {
        "joined": int((orders["placed"] < orders["joined"]).sum()),
        "closed": int((orders["closed"] < orders["placed"]).sum()),
        "age": int((orders["age"] != (orders["placed"] - orders["joined"]).dt.days).sum()),
        "sent": int(((items["sent"] < items["placed"]) | (items["sent"] > items["closed"])).sum()),
        "price": int((items["price"] - items["quantity"] * items["rate"]).abs().gt(1e-9).sum()),
        "total": int((own["total"] - grouped["price"].sum().reindex(own.index).fillna(0)).abs().gt(1e-6).sum()),
        "lines": int((own["lines"] != grouped.size().reindex(own.index).fillna(0)).sum()),
        "last": int(((own["last"] != last) & ~(own["last"].isna() & last.isna())).sum()),
        "spent": int(((spent - sums).abs().gt(1e-6) | (spent.isna() != sums.isna())).sum()),
    }
