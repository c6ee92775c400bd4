"""Rules between columns of one table in private fits of linked tables: all synthetic rows keep them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from synthvae.errors import PrivacyError
from synthvae.privacy import PrivacyBudget
from synthvae.relational import Database, DatabaseSynthesizer

Frames = dict[str, pd.DataFrame]
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


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"kind": "inequality", "columns": ["patients.first", "low"]}, r"got \['patients\.first'\]"),
        ({"kind": "inequality", "columns": ["day", "high"]}, r"got \['day'\]"),
        ({"kind": "fixed_combinations", "columns": ["ward", "room"]}, "must declare its `combinations`"),
    ],
)
def test_other_rules_are_refused(rule: dict[str, Any], message: str) -> None:
    with pytest.raises(PrivacyError, match=message):
        fitted(tables(20), {"visits": [rule]})
