"""Laws of synthetic linked tables: integrity, order, types, fresh keys, and the same rows from the same seed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from linked import LINKS, database, tables

from synthvae import Synthesizer
from synthvae.errors import ArtifactError, ConfigurationError, PrivacyError, RequestError, TableError
from synthvae.relational import Database, DatabaseSynthesizer

pytestmark = pytest.mark.xdist_group("database synthesizer")  # what they share is fitted once

STEPS = 60


@pytest.fixture(scope="module")
def fitted() -> DatabaseSynthesizer:
    return DatabaseSynthesizer(database(), max_steps=STEPS, random_state=0).fit()


@pytest.fixture(scope="module")
def drawn(fitted: DatabaseSynthesizer) -> dict[str, pd.DataFrame]:
    return fitted.sample(scale=2.0)


@pytest.mark.parametrize("name", tables())
def test_columns_order_and_dtypes_are_those_of_the_table(name: str, drawn: dict[str, pd.DataFrame]) -> None:
    real = tables()[name]
    assert list(drawn[name].columns) == list(real.columns)
    pd.testing.assert_series_equal(drawn[name].dtypes, real.dtypes)
    assert isinstance(drawn[name].index, pd.RangeIndex)


def test_integrity_is_exact(drawn: dict[str, pd.DataFrame]) -> None:
    for child, column, parent, key in LINKS:
        assert drawn[child][column].dropna().isin(drawn[parent][key]).all()
    for name, columns in (("patients", ["id"]), ("visits", ["visit"]), ("labs", ["visit", "number"])):
        assert not drawn[name].duplicated(columns).any()
        assert not drawn[name][columns].isna().any(axis=None)
    owner = drawn["visits"].set_index("visit")["patient"]
    assert (drawn["labs"]["visit"].map(owner) == drawn["labs"]["patient"]).all()


def test_a_second_link_stays_within_the_subject_and_is_missing_at_the_real_rate(drawn: dict[str, pd.DataFrame]) -> None:
    labs, owner = drawn["labs"], drawn["visits"].set_index("visit")["patient"]
    present = labs["ordered_at"].notna()
    assert (labs["ordered_at"][present].map(owner) == labs["patient"][present]).all()
    assert present.mean() == pytest.approx(tables()["labs"]["ordered_at"].notna().mean(), abs=0.1)


def test_keys_are_fresh_and_in_the_pattern(drawn: dict[str, pd.DataFrame]) -> None:
    real = tables()
    assert drawn["patients"]["id"].str.fullmatch(r"P-\d{4}").all()
    assert not set(drawn["patients"]["id"]) & set(real["patients"]["id"])
    assert not set(drawn["visits"]["visit"]) & set(real["visits"]["visit"])


def test_times_do_not_decrease_and_positions_count(drawn: dict[str, pd.DataFrame]) -> None:
    assert drawn["visits"].groupby("patient")["day"].is_monotonic_increasing.all()
    positions = drawn["labs"].groupby("visit")["number"]
    assert positions.min().eq(1).all()
    assert (positions.max() == positions.size()).all()
    assert (drawn["visits"]["left"] >= drawn["visits"]["day"]).all()


def test_dates_of_children_follow_those_of_their_ancestors(drawn: dict[str, pd.DataFrame]) -> None:
    first = drawn["visits"].drop_duplicates("patient").merge(drawn["patients"], left_on="patient", right_on="id")
    age = (first["day"] - first["born"]).dt.days
    assert age.between(9_990, 10_500).mean() > 0.95


def test_counts_are_near_the_real_ones(drawn: dict[str, pd.DataFrame]) -> None:
    real = tables()
    assert len(drawn["patients"]) == 2 * len(real["patients"])
    for child, parent, column, key in (("visits", "patients", "patient", "id"), ("labs", "visits", "visit", "visit")):
        means = [t[child].groupby(column).size().reindex(t[parent][key]).fillna(0).mean() for t in (real, drawn)]
        assert means[1] == pytest.approx(means[0], rel=0.2)


def test_public_tables_are_copied(drawn: dict[str, pd.DataFrame]) -> None:
    pd.testing.assert_frame_equal(drawn["codes"], tables()["codes"])


def test_the_same_seed_gives_the_same_tables(fitted: DatabaseSynthesizer) -> None:
    again = DatabaseSynthesizer(database(), max_steps=STEPS, random_state=0).fit()
    for name, table in fitted.sample(subjects=30).items():
        pd.testing.assert_frame_equal(table, again.sample(subjects=30)[name])
    assert not fitted.sample(subjects=30, random_state=1)["visits"].equals(fitted.sample(subjects=30)["visits"])


def test_saving_and_loading_gives_the_same_bytes_and_rows(fitted: DatabaseSynthesizer, tmp_path: Path) -> None:
    fitted.save(tmp_path / "a")
    loaded = DatabaseSynthesizer.load(tmp_path / "a")
    loaded.save(tmp_path / "b")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    for name, table in fitted.sample(subjects=20).items():
        pd.testing.assert_frame_equal(table, loaded.sample(subjects=20)[name])


def test_no_key_of_a_training_row_is_saved(fitted: DatabaseSynthesizer, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    content = b"".join(path.read_bytes() for path in (tmp_path / "model").iterdir())
    assert not [key for key in tables()["patients"]["id"] if key.encode() in content]


def test_models_of_other_kinds_and_damaged_ones_are_refused(fitted: DatabaseSynthesizer, tmp_path: Path) -> None:
    fitted.save(tmp_path / "linked")
    with pytest.raises(ArtifactError):
        Synthesizer.load(tmp_path / "linked")
    Synthesizer(max_steps=5, random_state=0).fit(tables()["visits"][["weight"]]).save(tmp_path / "single")
    with pytest.raises(ArtifactError, match="must be the model of a database"):
        DatabaseSynthesizer.load(tmp_path / "single")
    document = json.loads((tmp_path / "linked" / "synthvae.json").read_text("utf-8"))
    document["tables"]["visits"]["child"]["network"]["width"] = 3
    (tmp_path / "linked" / "synthvae.json").write_text(json.dumps(document), "utf-8")
    with pytest.raises(ArtifactError, match="damaged"):
        DatabaseSynthesizer.load(tmp_path / "linked")


@pytest.mark.parametrize(
    "wanted", [{"scale": -1}, {"subjects": 2, "scale": 1}, {"scale": float("nan")}, {"subjects": True}]
)
def test_impossible_requests_are_refused(fitted: DatabaseSynthesizer, wanted: dict[str, float]) -> None:
    with pytest.raises(RequestError):
        fitted.sample(**wanted)  # type: ignore[arg-type]


def test_no_subjects_give_empty_tables(fitted: DatabaseSynthesizer) -> None:
    empty = fitted.sample(subjects=0)
    assert {name: len(table) for name, table in empty.items()} == {"patients": 0, "visits": 0, "labs": 0, "codes": 3}
    assert list(empty["visits"].columns) == list(tables()["visits"].columns)


def test_privacy_and_other_objects_are_refused() -> None:
    with pytest.raises(PrivacyError, match="must have `rows_of_tables`"):
        DatabaseSynthesizer(database(), privacy={"epsilon": 1, "delta": 1e-6})
    with pytest.raises(ConfigurationError, match="must be a Database"):
        DatabaseSynthesizer({"patients": None})  # type: ignore[arg-type]


def two(visits: pd.DataFrame, **changes: object) -> Database:
    patients = pd.DataFrame({"id": range(40)})
    fields = {"tables": {"p": patients, "v": visits}, "foreign_keys": [("v", "p", "p", "id")], **changes}
    return Database(**fields)


def synthesize(given: Database) -> dict[str, pd.DataFrame]:
    return DatabaseSynthesizer(given, max_steps=10, random_state=0, protect=0).fit().sample()


def test_tables_of_keys_alone() -> None:
    found = synthesize(two(pd.DataFrame({"p": np.arange(60) % 40})))
    assert found["v"]["p"].isin(found["p"]["id"]).all()


@pytest.mark.slow
def test_sequences_of_one_row_and_of_a_thousand() -> None:
    visits = pd.DataFrame({"p": [0] * 1000 + [*range(1, 40)], "t": [*range(1000)] + [0] * 39})
    found = synthesize(two(visits, order={"v": "t"}))
    assert found["v"].groupby("p")["t"].is_monotonic_increasing.all()


def test_missing_and_equal_times_come_last_and_back() -> None:
    times = np.where(np.arange(120) % 6 == 5, np.nan, np.arange(120) // 40)
    found = synthesize(two(pd.DataFrame({"p": np.arange(120) % 40, "t": times}), order={"v": "t"}))["v"]
    after_missing = found.groupby("p")["t"].apply(lambda t: t.isna().is_monotonic_increasing)
    assert after_missing.all()
    assert 0 < found["t"].isna().mean() < 0.5


def test_decisions_of_all_tables_are_asked_for_at_once() -> None:
    texts = [f"note {i} of {i * 7 % 31} and {i * 13 % 17}" for i in range(60)]
    patients = pd.DataFrame({"id": range(60), "remark": texts})
    visits = pd.DataFrame({"p": range(60), "note": texts})
    given = Database(tables={"p": patients, "v": visits}, foreign_keys=[("v", "p", "p", "id")])
    with pytest.raises(TableError, match=r"Table 'p': .*'remark'.* Table 'v': .*'note'.*`schemas`"):
        DatabaseSynthesizer(given).fit()


def test_an_order_column_of_texts_is_refused() -> None:
    visits = pd.DataFrame({"p": np.arange(80) % 40, "t": ["a", "b"] * 40})
    with pytest.raises(TableError, match=r"Table 'v': .*order column 't' must have numbers or dates"):
        DatabaseSynthesizer(two(visits, order={"v": "t"})).fit()


@pytest.mark.slow
def test_unique_columns_and_keys_of_several_columns_do_not_repeat() -> None:
    rng = np.random.default_rng(0)
    codes = [code for _ in range(40) for code in rng.choice(list("abcd"), 3, replace=False)]
    visits = pd.DataFrame({"p": np.repeat(np.arange(40), 3), "code": codes, "t": [0, 1, 1] * 40})
    assert synthesize(two(visits))["v"].duplicated(["p", "code"]).any()
    for given in (
        two(visits, unique={"v": "code"}),
        two(visits, primary_keys={"v": ("p", "code")}),
        two(visits, unique={"v": ("code", "t")}, order={"v": "t"}),
    ):
        columns = ["p", *given.unique.get("v", ("code",))]
        found = synthesize(given)["v"]
        assert not found.duplicated(columns).any()
        assert len(found) > 90  # few rows are left out


def test_real_rows_that_repeat_unique_columns_are_warned_of() -> None:
    visits = pd.DataFrame({"p": np.arange(80) % 40, "code": ["a", "b"] * 20 + ["a", "a"] * 20})
    with pytest.warns(UserWarning, match=r"20 of 80 rows are equal to an earlier row of their parent in \['code'\]"):
        synthesize(two(visits, unique={"v": "code"}))


def test_columns_that_are_constant_within_a_parent_stay_constant() -> None:
    rng = np.random.default_rng(0)
    sex, site = rng.choice(["f", "m"], 40), rng.integers(1, 4, 40)
    visits = pd.DataFrame({"p": np.repeat(np.arange(40), 3), "sex": np.repeat(sex, 3), "site": np.repeat(site, 3)})
    visits["size"] = rng.integers(0, 3, 120)
    patients = pd.DataFrame({"id": range(41), "sex": [*sex, "f"]})  # the last one has no visit
    found = synthesize(two(visits, tables={"p": patients, "v": visits}))
    owned = found["v"].merge(found["p"], left_on="p", right_on="id", suffixes=("", "_of_patient"))
    assert (owned["sex"] == owned["sex_of_patient"]).all()
    assert found["v"].groupby("p")["site"].nunique().max() == 1
    assert found["v"].groupby("p")["size"].nunique().max() > 1
    pd.testing.assert_series_equal(found["v"].dtypes, visits.dtypes)
    assert list(found["p"].columns) == ["id", "sex"]


@pytest.mark.slow
def test_times_stay_below_a_bound_of_the_parent() -> None:
    rng = np.random.default_rng(0)
    end, count = rng.integers(1000, 5000, 200), rng.integers(1, 6, 200)
    owner = np.repeat(np.arange(200), count)
    days = pd.DataFrame({"p": owner, "day": (rng.random(len(owner)) * end[owner]).astype(int)}).sort_values(
        ["p", "day"]
    )
    patients = pd.DataFrame({"id": range(200), "end": end})
    given = two(days, tables={"p": patients, "v": days}, order={"v": "day"})
    synthesizer = DatabaseSynthesizer(given, max_steps=100, random_state=0).fit()
    found = synthesizer.sample()
    owned = found["v"].merge(found["p"], left_on="p", right_on="id")
    assert (owned["day"] <= owned["end"]).mean() > 0.8


def test_dates_that_a_parent_carries_come_back() -> None:
    born = np.datetime64("1950-01-01") + np.random.default_rng(0).integers(0, 9000, 60)
    patients = pd.DataFrame({"id": range(60), "born": born.astype("datetime64[us]")})
    visits = pd.DataFrame({"p": np.repeat(np.arange(60), 2), "size": np.arange(120) % 7})
    visits["entry"] = np.repeat((born + 7000 + np.arange(60) % 5).astype("datetime64[us]"), 2)
    found = synthesize(two(visits, tables={"p": patients, "v": visits}))["v"]
    assert found["entry"].dtype == visits["entry"].dtype
    assert found.groupby("p")["entry"].nunique().max() == 1
