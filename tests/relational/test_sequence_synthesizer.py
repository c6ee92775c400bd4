"""One long table: static columns stay static, sequences go on, the same bytes on disk, and odd tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from linked import database

from synthvae import Schema
from synthvae.errors import ArtifactError, ConfigurationError, DatasetError, PrivacyError, RequestError, TableError
from synthvae.relational import DatabaseSynthesizer, SequenceSynthesizer, linked_draw


def visits(patients: int = 80, seed: int = 0) -> pd.DataFrame:
    """Visits in any order; sex and birth are those of the patient, in columns between the others."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(patients), rng.integers(1, 6, patients))
    rows = pd.DataFrame({"day": rng.integers(0, 50, len(owner)), "patient": [f"P-{i:03d}" for i in owner]})
    rows["sex"] = pd.Categorical(rng.choice(["f", "m"], patients)[owner])
    rows["weight"] = (60 + 10 * (owner % 3) + rng.normal(size=len(owner))).round(1)
    born = pd.Timestamp("1950-01-01") + pd.to_timedelta(rng.integers(0, 15_000, patients), "D")
    rows["born"] = born.to_numpy()[owner]
    return rows.sample(frac=1, random_state=1)


@pytest.fixture(scope="module")
def fitted() -> SequenceSynthesizer:
    return SequenceSynthesizer("patient", time="day", max_steps=30, random_state=0).fit(visits())


def test_columns_dtypes_order_and_static_columns_are_kept(fitted: SequenceSynthesizer) -> None:
    real, found = visits(), fitted.sample(50)
    assert fitted.long_.static == ("sex", "born")
    assert list(found.columns) == list(real.columns)
    pd.testing.assert_series_equal(found.dtypes, real.dtypes)
    assert found["patient"].nunique() == 50
    assert not set(found["patient"]) & set(real["patient"])
    assert found.groupby("patient")[["sex", "born"]].nunique().eq(1).all(axis=None)
    assert found.groupby("patient")["day"].is_monotonic_increasing.all()
    assert found["patient"].is_monotonic_increasing
    sizes = found.groupby("patient").size()
    assert sizes.between(1, 5).all()
    assert sizes.nunique() > 1
    assert len(fitted.sample(scale=0.5)["patient"].unique()) == 40


def test_the_order_of_the_training_rows_does_not_matter(fitted: SequenceSynthesizer) -> None:
    again = SequenceSynthesizer("patient", time="day", max_steps=30, random_state=0)
    rows = visits()
    first = rows.drop_duplicates("patient")  # entities are numbered in the order of their first rows
    again.fit(pd.concat([first, rows.drop(first.index)]))
    pd.testing.assert_frame_equal(again.sample(20), fitted.sample(20))


def test_given_first_rows_go_on(fitted: SequenceSynthesizer) -> None:
    given = visits(30, seed=3).sort_values(["patient", "day"]).groupby("patient").head(1).iloc[::-1]
    found = fitted.sample(given=given)
    pd.testing.assert_frame_equal(found.iloc[: len(given)], given)
    later = found.iloc[len(given) :].merge(given, on="patient", suffixes=("", "_first"))
    assert len(later) > 20
    assert (later["day"] >= later["day_first"]).all()
    assert (later["sex"].astype(str) == later["sex_first"].astype(str)).all()
    with pytest.raises(TableError, match=r"must be constant within each entity, got \['sex'\]"):
        fitted.sample(given=pd.concat([given, given.assign(sex=given["sex"].cat.rename_categories(["m", "f"]))]))
    with pytest.raises(RequestError, match="Only one of"):
        fitted.sample(5, given=given)


def test_the_dataset_has_the_rows_of_sample(
    fitted: SequenceSynthesizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linked_draw, "PART_ROWS", 100)
    monkeypatch.setattr(linked_draw, "PILOT_SUBJECTS", 20)
    manifest = fitted.generate(tmp_path / "out", 90)
    whole = fitted.sample(90)
    assert len(manifest["parts"]) > 2
    assert manifest["rows"] == len(whole)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out"), whole)
    assert fitted.generate(tmp_path / "out", 90, resume=True)["parts"] == manifest["parts"]
    fitted.generate(tmp_path / "rows.csv", 90)
    assert len(pd.read_csv(tmp_path / "rows.csv")) == len(whole)
    with pytest.raises(DatasetError, match="Pass --overwrite"):
        fitted.generate(tmp_path / "out", 20)


def test_saving_and_loading_gives_the_same_rows(fitted: SequenceSynthesizer, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    loaded = SequenceSynthesizer.load(tmp_path / "model")
    pd.testing.assert_frame_equal(loaded.sample(20), fitted.sample(20))
    with pytest.raises(ArtifactError, match=r"Use SequenceSynthesizer\.load"):
        DatabaseSynthesizer.load(tmp_path / "model")
    DatabaseSynthesizer(database(), max_steps=2, random_state=0).fit().save(tmp_path / "other")
    with pytest.raises(ArtifactError, match=r"Use DatabaseSynthesizer\.load"):
        SequenceSynthesizer.load(tmp_path / "other")


def rows_of(table: pd.DataFrame, **options: Any) -> pd.DataFrame:
    return (
        SequenceSynthesizer("patient", **{"max_steps": 5, "protect": 0, "random_state": 0, **options})
        .fit(table)
        .sample()
    )


@pytest.mark.parametrize("time", [None, "day"])
def test_sequences_of_one_row(time: str | None) -> None:
    found = rows_of(visits().drop_duplicates("patient"), time=time)
    assert found["patient"].is_unique
    assert len(found) == 80


def test_a_sequence_of_thousands_of_rows() -> None:
    table = pd.DataFrame({"patient": [0] * 3000 + [*range(1, 30)], "day": [*range(3000)] + [0] * 29, "sex": "f"})
    found = rows_of(table, time="day")
    assert found.groupby("patient")["day"].is_monotonic_increasing.all()
    assert found["patient"].nunique() == 30


def test_equal_and_missing_times() -> None:
    table = visits().assign(day=3.0)
    table.loc[table.index % 4 == 0, "day"] = np.nan
    found = rows_of(table, time="day")
    assert set(found["day"].dropna()) == {3.0}
    assert found.groupby("patient")["day"].apply(lambda day: day.isna().is_monotonic_increasing).all()
    assert rows_of(visits().assign(day=np.nan), time="day")["day"].isna().all()


def test_near_dates_of_which_none_is_the_order_column() -> None:
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(40), 3)
    days = rng.integers(0, 900, 40)[owner] + np.tile([0, 200, 400], 40)
    table = pd.DataFrame({"patient": owner, "a": pd.Timestamp("2020-01-01") + pd.to_timedelta(days, "D")})
    table["b"] = table["a"] + pd.to_timedelta(rng.integers(0, 6, 120), "D")
    found = rows_of(table)
    assert len(found) == 120
    assert (found["b"] - found["a"]).dt.days.between(0, 5).all()


def test_static_columns_may_be_named_and_few_rows_do_not_make_any() -> None:
    few = visits().drop_duplicates("patient")
    few = pd.concat([few, few.iloc[:10]])
    assert SequenceSynthesizer("patient", max_steps=2).fit(few).long_.static == ()
    named = SequenceSynthesizer("patient", static=["sex"], max_steps=2, random_state=0).fit(visits())
    assert named.long_.static == ("sex",)
    with pytest.raises(TableError, match=r"got \['weight'\] with other values in some"):
        SequenceSynthesizer("patient", static=["weight"], max_steps=2).fit(visits())


def test_a_schema_is_divided() -> None:
    schema = Schema(
        columns=[{"name": "sex", "kind": "categorical"}, {"name": "weight", "kind": "integer"}], drop=["born"]
    )
    found = rows_of(visits().assign(weight=lambda rows: rows["weight"].round()), schema=schema)
    assert list(found.columns) == ["day", "patient", "sex", "weight"]
    rule = {"kind": "required_if", "columns": ["weight"], "condition": {"column": "sex", "in": ["f"]}}
    with pytest.raises(ConfigurationError, match="all constant within each 'patient' or all not"):
        rows_of(visits(), schema=Schema(constraints=[rule]))


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (visits().drop(columns="day"), {"time": "day"}, r"must have the columns \['day'\]"),
        (visits().assign(patient=None), {}, "must be present, got 2.. of 2.. rows without one"),
        (visits().iloc[:0], {}, "must have at least 2 rows|must have rows"),
        (visits().assign(day="x"), {"time": "day"}, "order column 'day' must have numbers or dates"),
    ],
)
def test_tables_that_are_no_sequences_are_refused(table: pd.DataFrame, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TableError, match=message):
        rows_of(table, **options)


def test_parameters_that_contradict_each_other_are_refused() -> None:
    for wrong in ({"time": "patient"}, {"static": ["patient"]}, {"time": "day", "static": ["day"]}):
        with pytest.raises(ConfigurationError, match="must be different columns"):
            SequenceSynthesizer("patient", **wrong)
    with pytest.raises(PrivacyError, match="not available yet"):
        SequenceSynthesizer("patient", privacy=1)
