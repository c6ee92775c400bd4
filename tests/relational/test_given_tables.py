"""Given rows: they come back unchanged, children and later rows depend on them, and other rows are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from linked import database, tables

from synthvae.errors import RequestError, TableError
from synthvae.relational import Database, DatabaseSynthesizer, linked_draw
from synthvae.schema import linkage

Frames = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def fitted() -> DatabaseSynthesizer:
    return DatabaseSynthesizer(database(), max_steps=60, random_state=0).fit()


def begun(visits: int = 2) -> Frames:
    """Other patients, in any order, and their first visits, of which some have ids that fresh ones would have."""
    others = tables(40, seed=5)
    first = others["visits"].sort_values(["patient", "day"]).groupby("patient").head(visits).iloc[::-1]
    return {"patients": others["patients"].iloc[::-1], "visits": first.assign(visit=first["visit"] + 380)}


def drawn(fitted: DatabaseSynthesizer, given: Any) -> Frames:
    found = fitted.sample(given=given)
    linkage.check(fitted.database, linkage.read(fitted.database, found))
    return found


def test_given_parents_come_back_and_their_children_are_drawn(fitted: DatabaseSynthesizer) -> None:
    patients = begun()["patients"].set_index(np.arange(40) * 3)
    found = drawn(fitted, patients)
    pd.testing.assert_frame_equal(found["patients"], patients)
    first = found["visits"].drop_duplicates("patient").merge(patients, left_on="patient", right_on="id")
    assert ((first["day"] - first["born"]).dt.days).between(9_990, 10_500).all()
    again = fitted.sample(given={"patients": patients})
    pd.testing.assert_frame_equal(again["labs"], found["labs"])


def test_begun_sequences_go_on(fitted: DatabaseSynthesizer) -> None:
    given = begun()
    found = drawn(fitted, given)
    first, visits = given["visits"], found["visits"]
    pd.testing.assert_frame_equal(found["patients"], given["patients"])
    pd.testing.assert_frame_equal(visits.iloc[: len(first)], first)
    later = visits.iloc[len(first) :]
    assert len(later) > 20
    assert later.index.min() > first.index.max()
    last = later["patient"].map(first.groupby("patient")["day"].max())
    assert ((later["day"] >= last) | last.isna()).all()
    assert found["labs"]["visit"].isin(first["visit"]).any()
    assert not later["visit"].isin(first["visit"]).any()


@pytest.mark.parametrize("begins", ["2150-01-01", "1700-06-01"])
def test_sequences_go_on_beyond_the_times_of_the_training_rows(fitted: DatabaseSynthesizer, begins: str) -> None:
    given = begun(1)
    start = pd.Timestamp(begins)
    given["visits"] = given["visits"].assign(day=start, left=start + pd.Timedelta(days=1))
    later = drawn(fitted, given)["visits"].iloc[len(given["visits"]) :]
    later = later[later["patient"].isin(given["visits"]["patient"])]
    assert len(later) > 20
    assert later.groupby("patient")["day"].is_monotonic_increasing.all()
    assert (later.groupby("patient")["day"].first() - start).dt.days.between(300, 500).mean() > 0.7
    assert (later["left"] - later["day"]).dt.days.between(0, 3).all()


def test_rows_of_all_depths_may_be_given(fitted: DatabaseSynthesizer) -> None:
    others = tables(40, seed=5)
    given = {name: others[name] for name in ("patients", "visits", "labs")}
    given["labs"] = given["labs"].assign(value=100.0)
    found = drawn(fitted, given)
    for name, table in given.items():
        pd.testing.assert_frame_equal(found[name].iloc[: len(table)], table)
    counts = found["labs"].groupby("visit").size()
    assert (
        counts.reindex(given["labs"]["visit"]) >= given["labs"].groupby("visit").size().reindex(given["labs"]["visit"])
    ).all()


def levels(subjects: int = 300, seed: int = 0) -> Frames:
    """Women have many rows, men few; the values of a subject have one level."""
    rng = np.random.default_rng(seed)
    p = pd.DataFrame(
        {"id": range(subjects), "sex": rng.choice(["f", "m"], subjects), "age": rng.integers(20, 90, subjects)}
    )
    counts = np.where(p["sex"] == "f", rng.integers(5, 8, subjects), rng.integers(1, 3, subjects))
    owner = np.repeat(np.arange(subjects), counts)
    level = rng.choice([-5.0, 5.0], subjects)
    return {"p": p, "v": pd.DataFrame({"id": owner, "x": (level[owner] + rng.normal(size=len(owner))).round(2)})}


@pytest.mark.slow
def test_children_depend_on_given_parents_and_later_rows_on_given_ones() -> None:
    given = Database(tables=levels(), foreign_keys=[("v", "id", "p", "id")])
    fitted = DatabaseSynthesizer(given, max_steps=300, random_state=0).fit()
    others = levels(200, seed=1)
    found = drawn(fitted, others["p"])
    counts = found["v"].groupby("id").size().reindex(others["p"]["id"]).fillna(0)
    means = counts.groupby(others["p"]["sex"].to_numpy()).mean()
    assert means["f"] == pytest.approx(6, abs=0.7)
    assert means["m"] == pytest.approx(1.5, abs=0.5)
    first = others["v"].drop_duplicates("id")
    later = drawn(fitted, {"p": others["p"], "v": first})["v"].iloc[len(first) :]
    level = np.sign(first.set_index("id")["x"].reindex(later["id"]).to_numpy())
    assert (np.sign(later["x"]) == level).mean() > 0.75  # a half without the first row


@pytest.mark.parametrize("parts", [150, 10**6])
def test_parts_begin_with_the_given_rows_of_their_subjects(
    fitted: DatabaseSynthesizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: int
) -> None:
    monkeypatch.setattr(linked_draw, "PART_ROWS", parts)
    monkeypatch.setattr(linked_draw, "PILOT_SUBJECTS", 20)
    given = begun()
    manifest = fitted.generate(tmp_path / "out", given=given)
    assert (len(list((tmp_path / "out" / "visits").glob("*"))) > 1) == (parts == 150)
    found = {name: pd.read_parquet(tmp_path / "out" / name) for name in ("patients", "visits")}
    pd.testing.assert_frame_equal(found["patients"], given["patients"].reset_index(drop=True))
    whole = drawn(fitted, given)["visits"]
    rows = found["visits"].sort_values("visit", ignore_index=True)
    pd.testing.assert_frame_equal(rows, whole.sort_values("visit", ignore_index=True))
    other = fitted.generate(tmp_path / "other", given=given["patients"])
    assert other["plan"] != manifest["plan"]


def test_indexes_of_labels_are_kept_where_no_row_is_added(fitted: DatabaseSynthesizer) -> None:
    given = begun()
    patients = given["patients"].set_index(pd.Index([f"p{i}" for i in range(40)]))
    found = fitted.sample(given={"patients": patients, "visits": given["visits"].set_index("left", drop=False)})
    assert list(found["patients"].index) == list(patients.index)
    assert isinstance(found["visits"].index, pd.RangeIndex)


def test_columns_that_rows_of_a_parent_share_go_on_as_they_are_given() -> None:
    """Two such columns of each depth, one of which may be missing; they are known from the first given row."""
    rng = np.random.default_rng(0)
    p = pd.DataFrame({"id": range(60), "size": rng.integers(0, 5, 60)})
    v = pd.DataFrame({"visit": range(240), "id": np.repeat(range(60), 4)})
    v["sex"] = pd.Categorical(rng.choice(["f", "m"], 60)[v["id"]])
    v["site"] = np.array(["a", "b", None], object)[rng.integers(0, 3, 60)][v["id"]]
    lab = pd.DataFrame({"visit": np.repeat(range(240), 3), "unit": np.repeat(rng.choice(["g", "kg"], 240), 3)})
    links = [("v", "id", "p", "id"), ("lab", "visit", "v", "visit")]
    given = Database(tables={"p": p, "v": v, "lab": lab}, primary_keys={"v": "visit"}, foreign_keys=links)
    synthesizer = DatabaseSynthesizer(given, max_steps=20, random_state=0, protect=0).fit()
    first = {"p": p, "v": v.groupby("id").head(1).iloc[::2]}
    first["lab"] = lab[lab["visit"].isin(first["v"]["visit"])].groupby("visit").head(1)
    found = drawn(synthesizer, first)
    assert len(found["v"]) > 150
    for name, parent, column in (("v", "id", "sex"), ("v", "id", "site"), ("lab", "visit", "unit")):
        assert found[name].groupby(parent)[column].nunique(dropna=False).max() == 1
        known = first[name].set_index(parent)[column]
        shown = found[name].drop_duplicates(parent).set_index(parent)[column].reindex(known.index)
        assert (shown.astype(object).fillna("") == known.astype(object).fillna("")).all()


def test_categories_come_back_and_unknown_ones_are_refused() -> None:
    """All columns of the root table are constant: each has three rows."""
    rng = np.random.default_rng(0)
    ordered = pd.CategoricalDtype(["c", "a", "b"], ordered=True)
    v = pd.DataFrame({"id": np.repeat(range(60), 3), "k": pd.Categorical(rng.choice(list("abc"), 180))})
    v["o"] = rng.choice(list("abc"), 180)
    p, v = pd.DataFrame({"id": range(60)}), v.astype({"o": ordered})
    given = Database(tables={"p": p, "v": v}, foreign_keys=[("v", "id", "p", "id")])
    synthesizer = DatabaseSynthesizer(given, max_steps=5, random_state=0, protect=0).fit()
    begun = {"p": p.iloc[:10] + 1000, "v": v.iloc[:9].assign(id=v["id"].iloc[:9] + 1000)}
    found = drawn(synthesizer, begun)["v"]
    pd.testing.assert_frame_equal(found.iloc[:9], begun["v"])
    assert len(found) == 30
    pd.testing.assert_series_equal(found.dtypes, v.dtypes)
    with pytest.raises(TableError, match=r"Table 'v': .*occurred in training, got 'z'"):
        synthesizer.sample(given={**begun, "v": begun["v"].assign(k="z")})


def test_given_keys_that_contradict_those_of_an_ancestor_are_refused(fitted: DatabaseSynthesizer) -> None:
    given = begun()
    first, visits = given["patients"]["id"].iloc[0], given["visits"]
    own = visits.loc[visits["patient"] != first, "visit"].iloc[:3].to_numpy()
    labs = pd.DataFrame({"visit": own, "patient": first, "number": [1, 1, 1], "code": "k", "value": 0.0})
    labs["ordered_at"] = np.nan
    with pytest.raises(TableError, match=r"'patient' of given rows of 'labs' must be .* got 3 of 3 rows with another"):
        fitted.sample(given={**given, "labs": labs[list(tables()["labs"])]})


def broken(**changes: Any) -> Frames:
    return {**begun(), **changes}


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({}, RequestError, "at least one table, got none"),
        ({"codes": tables()["codes"]}, RequestError, r"tables that are modelled, got \['codes'\]"),
        ({"visits": begun()["visits"]}, RequestError, "got 'visits' without 'patients'"),
        (broken(patients=begun()["patients"].drop(columns="sex")), RequestError, "must have the columns"),
        (broken(patients=begun()["patients"].assign(more=1)), RequestError, "leave out what else there is"),
        (broken(patients=begun()["patients"].assign(born="never")), RequestError, "'born' of given rows of 'patients'"),
        (broken(patients=begun()["patients"].iloc[:5]), TableError, "must be one of 'patients'"),
        (broken(visits=begun()["visits"].assign(visit=1)), TableError, "must be unique"),
    ],
)
def test_rows_that_cannot_be_given_are_refused(
    fitted: DatabaseSynthesizer, given: Frames, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        fitted.sample(given=given)
    with pytest.raises(RequestError, match="Only one of"):
        fitted.sample(given=begun(), subjects=5)
