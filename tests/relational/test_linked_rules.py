"""Rules between columns hold in all rows of linked tables, or are refused; none is ignored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from synthvae import Schema
from synthvae.encoding.rules import Rules
from synthvae.errors import RequestError, SchemaError, TableError
from synthvae.relational import Database, DatabaseSynthesizer, SequenceSynthesizer
from synthvae.schema import linkage
from synthvae.schema.constraints.combinations import FixedCombinations

SUBJECTS = 80
START = pd.Timestamp("2020-01-01")


def tables(seed: int = 0) -> dict[str, pd.DataFrame]:
    """Players, and their seasons, whose numbers depend on those of the season before."""
    rng = np.random.default_rng(seed)
    players = pd.DataFrame({"id": range(SUBJECTS), "low": rng.integers(0, 50, SUBJECTS)})
    players["high"] = players["low"] + rng.integers(0, 20, SUBJECTS)
    players["born"] = START + pd.to_timedelta(rng.integers(0, 300, SUBJECTS), "D")
    players["debut"] = players["born"] + pd.to_timedelta(rng.integers(0, 400, SUBJECTS), "D")
    count = rng.integers(1, 7, SUBJECTS)
    owner = np.repeat(np.arange(SUBJECTS), count)
    level = rng.normal(50, 15, SUBJECTS)
    seasons = pd.DataFrame({"player": owner, "year": np.concatenate([np.arange(n) for n in count])})
    seasons["games"] = np.abs(level[owner] + rng.normal(size=len(owner))).round(2)
    seasons["starts"] = (seasons["games"] * rng.random(len(owner))).round(2)
    seasons.loc[rng.random(len(owner)) < 0.1, "starts"] = np.nan
    seasons["ended"] = seasons["year"] + rng.integers(0, 3, len(owner))
    seasons["hand"] = rng.choice(["left", "right"], SUBJECTS)[owner]
    seasons["spin"] = np.where(
        seasons["hand"] == "left", rng.integers(1, 4, len(owner)), rng.integers(1, 9, len(owner))
    )
    seasons["home"], seasons["away"] = rng.integers(0, 9, (2, len(owner)))
    seasons["points"] = seasons["home"] + seasons["away"]
    seasons["more"] = seasons["year"] + seasons["ended"]
    return {"players": players, "seasons": seasons}


def inequality(*columns: str) -> dict[str, Any]:
    return {"kind": "inequality", "columns": list(columns)}


LEFT = {
    "kind": "if",
    "condition": {"column": "hand", "in": ["left"]},
    "then": {"column": "spin", "between": [None, 3]},
}
SUM = {"kind": "sum", "total": "points", "parts": ["home", "away"]}
OF_ORDER = {"kind": "sum", "total": "more", "parts": ["year", "ended"]}
RULES = {
    "players": [inequality("low", "high"), inequality("born", "debut")],
    "seasons": [inequality("starts", "games"), inequality("year", "ended"), LEFT, SUM, OF_ORDER],
}


def database(rules: dict[str, list[Any]], **changes: Any) -> Database:
    fields: dict[str, Any] = {
        "tables": tables(),
        "primary_keys": {"players": "id"},
        "foreign_keys": [("seasons", "player", "players", "id")],
        "order": {"seasons": "year"},
        "schemas": {name: {"constraints": own} for name, own in rules.items()},
    }
    return Database(**{**fields, **changes})


def fit(given: Database, **options: Any) -> DatabaseSynthesizer:
    return DatabaseSynthesizer(given, **{"max_steps": 60, "random_state": 0, **options}).fit()


@pytest.fixture(scope="module")
def ruled() -> DatabaseSynthesizer:
    return fit(database(RULES))


def broken(found: dict[str, pd.DataFrame], rules: dict[str, list[Any]]) -> int:
    """The number of rows that break a rule, as the rules themselves count them."""
    schemas = {name: Schema.from_dict({"constraints": own}) for name, own in rules.items()}
    return sum(int((~rule.holds(found[name])).sum()) for name, schema in schemas.items() for rule in schema.constraints)


def test_rules_hold_in_all_rows(ruled: DatabaseSynthesizer, tmp_path: Path) -> None:
    found = ruled.sample(subjects=200)
    linkage.check(ruled.database, linkage.read(ruled.database, found))
    assert not broken(found, RULES)
    assert broken(fit(database({}), max_steps=20).sample(subjects=200), RULES)  # these rules hold by no chance
    assert found["seasons"]["starts"].isna().mean() == pytest.approx(0.1, abs=0.05)
    assert found["seasons"].groupby("player")["hand"].nunique().max() == 1
    assert found["seasons"].groupby("player")["year"].is_monotonic_increasing.all()
    assert (found["seasons"]["starts"] < found["seasons"]["games"]).mean() > 0.7  # not all at the limit
    ruled.save(tmp_path / "model")
    again = DatabaseSynthesizer.load(tmp_path / "model").sample(subjects=50)
    pd.testing.assert_frame_equal(again["seasons"], ruled.sample(subjects=50)["seasons"])


@pytest.mark.slow
def test_values_of_successive_rows_stay_correlated_under_rules() -> None:
    lags = []
    for rules in ({}, {"seasons": [inequality("starts", "games")]}):
        rows = fit(database(rules), max_steps=200).sample(subjects=400)["seasons"]
        lags.append(rows["games"].corr(rows.groupby("player")["games"].shift()))
    assert lags[0] > 0.3
    assert lags[1] > lags[0] - 0.15


def test_later_rows_of_given_ones_keep_the_rules(ruled: DatabaseSynthesizer) -> None:
    others = tables(seed=1)
    first = others["seasons"].drop_duplicates("player")
    given = {"players": others["players"], "seasons": first}
    found = ruled.sample(given=given)
    assert not broken(found, RULES)
    pd.testing.assert_frame_equal(found["seasons"].iloc[: len(first)], first)


def test_distinct_rows_within_a_parent() -> None:
    unique = {"kind": "unique", "columns": ["player", "home"]}
    given = tables()
    given["seasons"] = given["seasons"].drop_duplicates(["player", "home"])
    found = fit(database({"seasons": [unique]}, tables=given)).sample(subjects=200)["seasons"]
    assert not found.duplicated(["player", "home"]).any()
    key = {"kind": "unique", "columns": ["id"]}
    assert fit(database({"players": [key]}), max_steps=5).sample(subjects=200)["players"]["id"].is_unique


def test_given_rows_that_break_a_rule_are_refused(ruled: DatabaseSynthesizer) -> None:
    real = tables()
    first = {"players": real["players"], "seasons": real["seasons"].groupby("player").head(1)}
    wrong = first["players"].copy()
    wrong.loc[:2, "debut"] = wrong["born"] - pd.Timedelta(days=1)
    with pytest.raises(TableError, match=r"Table 'players': .* got 80 rows of which 3 break `born <= debut`"):
        ruled.sample(given={**first, "players": wrong})
    wrong = first["seasons"].copy()
    wrong["points"] += np.where(np.arange(len(wrong)) < 2, 5, 0)
    with pytest.raises(TableError, match=r"Table 'seasons': .* got 80 rows of which 2 break"):
        ruled.sample(given={**first, "seasons": wrong})


def test_rules_of_one_long_table() -> None:
    schema = Schema.from_dict({"constraints": [inequality("starts", "games"), inequality("year", "ended")]})
    rows = tables()["seasons"]
    found = (
        SequenceSynthesizer("player", time="year", schema=schema, max_steps=60, random_state=0).fit(rows).sample(200)
    )
    assert not broken({"seasons": found}, {"seasons": RULES["seasons"][:2]})


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"seasons": [inequality("player", "year")]}, r"got the key or dropped columns \['player'\]"),
        ({"players": [inequality("id", "high")]}, r"needs numbers or dates, got 'id' \(id\)"),
        (
            {"seasons": [{"kind": "required_if", "condition": LEFT["condition"], "columns": ["year"]}]},
            "are drawn before",
        ),
        ({"seasons": [{"kind": "unique", "columns": ["year", "home"]}]}, r"add the columns \['player'\]"),
        ({"players": [{"kind": "unique", "columns": ["low"]}]}, "declare them as its primary key"),
        (
            {"seasons": [{"kind": "unique", "columns": ["player", n]} for n in ("home", "away")]},
            "only one set of columns can be unique within a parent",
        ),
    ],
)
def test_rules_that_cannot_be_kept_are_refused(rules: dict[str, list[Any]], message: str) -> None:
    given = tables()
    given["players"]["id"] = range(-SUBJECTS, 0)
    given["seasons"]["player"] -= SUBJECTS
    given["seasons"] = given["seasons"].drop_duplicates(["player", "home"]).drop_duplicates(["player", "away"])
    given["players"] = given["players"].drop_duplicates("low")
    given["seasons"] = given["seasons"][given["seasons"]["player"].isin(given["players"]["id"])]
    given["seasons"] = given["seasons"].drop_duplicates(["year", "home"])
    with pytest.raises(SchemaError, match=message):
        fit(database(rules, tables=given), max_steps=2)


def test_training_rows_that_break_a_rule_are_refused() -> None:
    with pytest.raises(TableError, match=r"Table 'seasons': All rows must keep the rules .* break `games <= starts`"):
        fit(database({"seasons": [inequality("games", "starts")]}))


def test_a_rule_that_hardly_any_row_keeps_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = fit(database({"seasons": [inequality("year", "ended")]}), max_steps=5)
    monkeypatch.setattr(Rules, "broken", lambda _, rows: np.ones(len(rows), bool))
    with pytest.raises(RequestError, match=r"the rule `year <= ended` must be likely enough"):
        fitted.sample(subjects=5)


@pytest.mark.parametrize("ruled_table", ["clinics", "stays"])
def test_a_combination_of_one_subject_is_not_in_the_model(ruled_table: str) -> None:
    rng = np.random.default_rng(0)
    clinics, stays = (
        pd.DataFrame({"area": rng.choice(["north", "south"], rows), "ward": rng.choice(["A", "B"], rows)})
        for rows in (60, 240)
    )
    clinics.insert(0, "id", range(60))
    stays.insert(0, "clinic", np.arange(240) // 4)
    tables = {"clinics": clinics, "stays": stays}
    mixed = tables[ruled_table]
    mixed["ward"] = mixed["area"].str[0] + mixed["ward"]
    mixed.loc[:3, ["area", "ward"]] = ["north", "sA"]  # all stays of one clinic, or four clinics
    rule = FixedCombinations(columns=["area", "ward"])
    given = database(
        {ruled_table: [rule]},
        tables=tables,
        primary_keys={"clinics": "id"},
        foreign_keys=[("stays", "clinic", "clinics", "id")],
        order={},
    )
    with pytest.warns(UserWarning, match="1 of 5 combinations have fewer than 5 subjects"):
        drawn = fit(given, max_steps=1).sample(subjects=400)[ruled_table]
    assert set(drawn["area"].str[0] + drawn["ward"]) == {"nnA", "nnB", "ssA", "ssB"}
    unprotected = fit(given, max_steps=1, protect=0).sample(subjects=400)[ruled_table]
    assert "nsA" in set(unprotected["area"].str[0] + unprotected["ward"])
