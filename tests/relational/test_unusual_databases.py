"""Unusual tables and keys: each is drawn with whole keys, or refused by one error that states a way out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from synthvae.errors import SchemaError, TableError
from synthvae.relational import Database, DatabaseSynthesizer
from synthvae.schema import linkage

SUBJECTS, VISITS = 60, 150
LINK = ("v", "pid", "p", "id")


def patients(**columns: Any) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame({"id": np.arange(1, SUBJECTS + 1), "age": rng.integers(20, 80, SUBJECTS), **columns})


def visits(**columns: Any) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    owner = rng.integers(1, SUBJECTS + 1, VISITS)
    return pd.DataFrame(
        {"pid": owner, "x": rng.normal(size=VISITS).round(2), "k": rng.choice(list("abc"), VISITS)}
    ).assign(**columns)


def two(**fields: Any) -> Database:
    return Database(**{"tables": {"p": patients(), "v": visits()}, "foreign_keys": [LINK], **fields})


def synthesize(given: Database, scale: float = 1.5) -> dict[str, pd.DataFrame]:
    """Draw tables, whose keys must be whole."""
    synthesizer = DatabaseSynthesizer(given, max_steps=8, random_state=0).fit()
    assert all(table.empty for name, table in synthesizer.sample(subjects=0).items() if name not in given.public)
    found = synthesizer.sample(scale)
    linkage.check(given, linkage.read(given, found))
    for name, table in found.items():
        assert list(table.columns) == list(given.tables[name].columns)
    return found


def test_a_root_table_with_a_key_of_several_columns() -> None:
    p = pd.DataFrame({"site": np.repeat(["A", "B", "C"], 20), "number": np.tile(np.arange(1, 21), 3)})
    p["age"] = np.arange(60) % 7
    owner = np.random.default_rng(0).integers(0, 60, VISITS)
    v = pd.DataFrame({"site": p["site"].to_numpy()[owner], "number": p["number"].to_numpy()[owner], "x": owner % 5})
    key = ("site", "number")
    given = Database(tables={"p": p, "v": v}, primary_keys={"p": key}, foreign_keys=[("v", key, "p", key)])
    found = synthesize(given)["p"]
    assert len(found) == 90  # although there are only 60 pairs of real values
    assert set(found["site"]) <= {"A", "B", "C"}


def test_a_key_of_several_columns_of_dates_does_not_repeat() -> None:
    days = pd.date_range("2020-01-01", periods=20)
    p = pd.DataFrame({"from": np.repeat(days[:3], 20), "to": list(days) * 3, "x": range(60)})
    assert len(synthesize(Database(tables={"p": p}, primary_keys={"p": ("from", "to")}))["p"]) > 30


def drugs(rows: int = 30) -> pd.DataFrame:
    return pd.DataFrame({"drug": [f"D{i}" for i in range(rows)], "dose": np.arange(rows) % 4})


@pytest.mark.parametrize("field", ["primary_keys", "unique"])
def test_rows_between_two_tables_do_not_repeat_their_pair_of_keys(field: str) -> None:
    v = visits(drug=np.random.default_rng(3).choice(drugs()["drug"], VISITS)).drop_duplicates(["pid", "drug"])
    columns = {"primary_keys": ("pid", "drug"), "unique": "drug"}[field]
    links = [LINK, ("v", "drug", "m", "drug")]
    given = Database(tables={"p": patients(), "m": drugs(), "v": v}, foreign_keys=links, **{field: {"v": columns}})
    found = synthesize(given)["v"]
    assert not found.duplicated(["pid", "drug"]).any()
    assert len(found) > 150


def test_a_link_of_one_row_to_one_row_stays_one() -> None:
    v = visits(drug=np.random.default_rng(3).permutation(drugs(VISITS)["drug"]))
    links = [LINK, ("v", "drug", "m", "drug")]
    given = Database(tables={"p": patients(), "m": drugs(VISITS), "v": v}, foreign_keys=links)
    found = synthesize(given)["v"]
    assert not found["drug"].duplicated().any()
    assert len(found) > 180


def test_a_row_without_a_row_that_its_link_needs_is_left_out() -> None:
    owner = np.repeat(np.arange(1, 31), 2)  # half of the patients have visits, and labs that lead to them
    v = pd.DataFrame({"visit": np.arange(60), "pid": owner})
    labs = pd.DataFrame({"pid": owner, "visit": np.arange(60), "x": np.arange(60) % 5})
    links = [LINK, ("l", "pid", "p", "id"), ("l", "visit", "v", "visit")]
    found = synthesize(Database(tables={"p": patients(), "v": v, "l": labs}, foreign_keys=links))["l"]
    assert found["visit"].dtype == labs["visit"].dtype
    assert len(found)


def test_two_links_to_one_table_and_links_that_may_be_missing() -> None:
    rng = np.random.default_rng(0)
    teams = pd.DataFrame({"team": [f"T{i}" for i in range(20)], "size": np.arange(20) % 6})
    games = pd.DataFrame({"home": rng.choice(teams["team"], 200), "away": rng.choice(teams["team"], 200)})
    games["away"] = games["away"].where(rng.random(200) < 0.7)
    links = [("g", "home", "t", "team"), ("g", "away", "t", "team")]
    found = synthesize(Database(tables={"t": teams, "g": games}, primary_keys={"t": "team"}, foreign_keys=links))["g"]
    assert found["away"].notna().mean() == pytest.approx(0.7, abs=0.15)
    assert (found["home"] != found["away"]).any()


DAYS = pd.Series(pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(VISITS) * 7 % 90, "D"))


@pytest.mark.parametrize(
    "times",
    [
        np.full(VISITS, 5),
        np.full(VISITS, np.nan),
        DAYS.where(np.arange(VISITS) % 7 > 0),
        DAYS.dt.strftime("%Y-%m-%d"),
        DAYS.dt.tz_localize("Europe/Berlin"),
        DAYS.dt.date,
        DAYS - DAYS.min(),
        np.arange(VISITS) * 2**55,
    ],
    ids=["equal", "missing", "unsorted", "texts", "zones", "dates", "durations", "large"],
)
def test_times_of_all_kinds_do_not_decrease(times: Any) -> None:
    v = visits(t=times)
    found = synthesize(two(tables={"p": patients(), "v": v}, order={"v": "t"}))["v"]
    assert found["t"].dtype == v["t"].dtype
    assert found.dropna(subset=["t"]).groupby("pid")["t"].apply(lambda t: t.is_monotonic_increasing).all()


@pytest.mark.parametrize("rows", [1, 2])
def test_a_child_table_of_few_rows_is_drawn(rows: int) -> None:
    v = visits(t=np.arange(VISITS)).iloc[:rows]
    assert len(synthesize(two(tables={"p": patients(), "v": v}, order={"v": "t"}))["p"]) == 90


@pytest.mark.slow
def test_children_of_one_parent_may_be_many() -> None:
    v = pd.DataFrame({"pid": np.repeat(np.arange(1, 61), np.linspace(0, 500, 60).astype(int))})
    v["x"] = np.arange(len(v)) % 5
    sizes = synthesize(two(tables={"p": patients(), "v": v}))["v"].groupby("pid").size()
    assert sizes.max() > 400


def test_categories_constants_and_missing_columns_come_back() -> None:
    v = visits(c="q", m=np.nan, flag=pd.array([True, None, False] * 50, dtype="boolean"))
    v["k"] = pd.Categorical(v["k"], ordered=True)
    found = synthesize(two(tables={"p": patients(c=1, m=np.nan), "v": v}))["v"]
    pd.testing.assert_series_equal(found.dtypes, v.dtypes)
    assert (found["c"] == "q").all()


def test_lookup_tables_of_many_codes_and_of_other_lookup_tables() -> None:
    cities = pd.DataFrame({"city": range(1000), "region": np.arange(1000) % 3})
    regions = pd.DataFrame({"region": range(3)})
    p = patients(city=np.arange(SUBJECTS, dtype=float) * 7)
    p.loc[::4, "city"] = np.nan
    links = [LINK, ("p", "city", "c", "city"), ("c", "region", "r", "region")]
    tables = {"p": p, "v": visits(), "c": cities, "r": regions}
    found = synthesize(Database(tables=tables, foreign_keys=links, public=["c", "r"]))
    pd.testing.assert_frame_equal(found["c"], cities)


BOSS = pd.DataFrame({"id": range(50), "boss": [np.nan] + [0] * 49})
CODES = pd.DataFrame({"k": list("abc"), "x": [1.0, 2.0, 3.0]})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tables": {"e": BOSS}, "foreign_keys": [("e", "boss", "e", "id")]}, "must not form a cycle, got e -> e"),
        ({"order": {"v": "x"}, "schemas": {"v": {"drop": ["x"]}}}, "must not drop columns of `order` or `unique`"),
        ({"unique": {"v": "k"}, "schemas": {"v": {"drop": ["k"]}}}, "must not drop columns of `order` or `unique`"),
        (
            {
                "tables": {"p": patients(), "v": visits(), "c": CODES},
                "foreign_keys": [LINK, ("v", ["k", "x"], "c", ["k", "x"])],
                "public": ["c"],
            },
            "Links to `public` tables must have one column",
        ),
    ],
)
def test_databases_that_cannot_be_drawn_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        two(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"tables": {"p": patients(), "v": visits().iloc[:0]}},
            "'v' must have at least 1 row, got 0. Add rows, or leave",
        ),
        ({"tables": {"p": patients().iloc[:1], "v": visits(pid=1)}}, "'p' must have at least 2 rows, got 1"),
        ({"schemas": {"v": {"columns": [{"name": "z", "kind": "id"}]}}}, "keys, order and schema, got none named"),
        ({"schemas": {"v": {"drop": ["z"]}}}, "keys, order and schema, got none named"),
        ({"tables": {"p": patients(), "v": visits(pid=None)}}, "must have the type of 'p'|must be present"),
        ({"tables": {"p": patients(), "v": visits(cell=[[1]] * VISITS)}}, "type list<item: int64> are not supported"),
        ({"order": {"v": "pid"}}, "kind id. Sort the table by it instead"),
        (
            {
                "tables": {
                    "p": patients(id=pd.date_range("2020-01-01", periods=SUBJECTS, unit="us")),
                    "v": visits(pid=pd.Timestamp("2020-01-01")).astype({"pid": "datetime64[us]"}),
                }
            },
            "The key 'id' must have integers or texts",
        ),
    ],
)
def test_tables_that_cannot_be_modelled_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(TableError, match=message):
        DatabaseSynthesizer(two(**fields), max_steps=2, random_state=0).fit()
