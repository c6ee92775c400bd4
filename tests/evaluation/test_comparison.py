"""Comparison of tables: what is compared, what is left out, and its notes."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_wine

from synthvae import Column, Schema
from synthvae.errors import TableError
from synthvae.evaluation import evaluate
from synthvae.evaluation.comparison import Comparison, codes, shuffle_columns, subsample
from synthvae.evaluation.disclosure.points import as_points

ROWS = 60


def mixed(seed: int = 0, rows: int = ROWS) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    start = pd.Timestamp("2020-01-01")
    return pd.DataFrame(
        {
            "age": rng.integers(18, 90, rows),
            "dose": np.where(rng.random(rows) < 0.2, np.nan, rng.normal(5, 2, rows).round(3)),
            "sex": rng.choice(["F", "M"], rows),
            "seen": [start + pd.Timedelta(days=int(day)) for day in rng.integers(0, 900, rows)],
            "alive": rng.random(rows) < 0.5,
        }
    )


def test_numbers_are_floats_dates_are_days_and_categories_are_shared() -> None:
    synthetic = mixed(1).assign(sex="X")
    found = Comparison.from_tables(mixed(), synthetic, holdout=mixed(2), target="sex")
    assert found.numeric == ["age", "dose", "seen"]
    assert found.categorical == ["sex", "alive"]
    assert found.has_classes
    assert not found.notes
    assert found.real["seen"].max() < (dt.date(2023, 1, 1) - dt.date(1970, 1, 1)).days
    assert found.holdout is not None
    kinds = {frame["sex"].dtype for frame in (found.real, found.synthetic, found.holdout)}
    assert len(kinds) == 1
    assert set(found.real["sex"].cat.categories) == {"F", "M", "X"}
    assert found.real["dose"].isna().equals(mixed()["dose"].isna())


def test_one_and_one_point_zero_and_its_text_are_one_category() -> None:
    schema = Schema(columns=[Column(name="code", kind="categorical"), Column(name="n", kind="integer")])
    real = pd.DataFrame({"code": [1, 2, 1, 2], "n": range(4)})
    others: list[Any] = [[1.0, 2.0, np.nan, 2.0], ["1", "2", None, "2"], pd.array([1, 2, None, 2], "Int64")]
    for other in others:
        found = Comparison.from_tables(real, real.assign(code=other), schema=schema)
        assert found.synthetic["code"].cat.categories.tolist() == ["1", "2"]
        assert found.synthetic["code"].isna().tolist() == [False, False, True, False]


def test_what_cannot_be_compared_has_a_note() -> None:
    real = mixed().assign(note=[f"a long text number {k} {k**3}" for k in range(ROWS)])
    synthetic = mixed(1).drop(columns="dose").assign(age="old", extra=1, note="x")
    found = Comparison.from_tables(real, synthetic)
    said = " ".join(found.notes)
    assert list(found.kinds) == ["age", "sex", "seen", "alive"]
    for word in (
        "'dose' is not in the synthetic",
        "'note' holds identifiers or free text",
        "['extra']",
        "not finite numbers",
    ):
        assert word in said
    assert found.synthetic["age"].isna().all()
    with pytest.raises(TableError, match=r"compared, got 'dose'. Column 'dose' is not in the synthetic table"):
        Comparison.from_tables(real, synthetic, target="dose")


@pytest.mark.parametrize(
    ("real", "synthetic", "message"),
    [
        (mixed(), mixed().head(1), "at least 2 rows"), (mixed().head(1), mixed(), "real table must .* got 1"),
        (mixed(), mixed().add_prefix("x "), "a column in common"), (mixed(), "nowhere.csv", "nowhere.csv"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_compared_are_refused(real: Any, synthetic: Any, message: str) -> None:
    with pytest.raises((TableError, FileNotFoundError), match=message):
        Comparison.from_tables(real, synthetic)


def test_tables_of_other_columns_are_refused_by_their_names() -> None:
    real = pd.DataFrame({name: [1, 2, 2, 3, 3, 3] for name in "abcdefgh"})
    with pytest.raises(TableError, match=r"at least half of the 8 columns.* got 2; it lacks \['c', 'd', 'e', 'f', 'g'"):
        Comparison.from_tables(real, real[["a", "b"]].assign(x=1, y=2, z=3))
    few = Schema(columns=[Column(name="a", kind="integer")], drop=list("cdefgh"))
    assert list(Comparison.from_tables(real, real[["a", "b"]], schema=few).kinds) == ["a", "b"]
    half = Comparison.from_tables(real, real[list("abcd")])
    assert list(half.kinds) == list("abcd")
    assert sum("not in the synthetic" in note for note in half.notes) == 4


@pytest.mark.parametrize("named", [{"target": "aeg"}, {"group": "aeg"}, {"duration": "aeg", "event": "sex"}])
def test_a_named_column_must_exist(named: dict[str, Any]) -> None:
    with pytest.raises(TableError, match=r"none named \['aeg'\]. Did you mean 'age'"):
        evaluate(mixed(), mixed(1), attacks=False, **named)


def test_any_table_is_accepted(tmp_path: Any) -> None:
    mixed(1).to_parquet(tmp_path / "made.parquet")
    mixed().to_csv(tmp_path / "real.csv", index=False)
    found = Comparison.from_tables(
        tmp_path / "real.csv", tmp_path / "made.parquet", holdout=pa.Table.from_pandas(mixed(2))
    )
    plain = Comparison.from_tables(mixed(), mixed(1), holdout=mixed(2))
    pd.testing.assert_frame_equal(found.synthetic, plain.synthetic)
    pd.testing.assert_frame_equal(found.real, plain.real)


def test_sentinels_are_not_numbers() -> None:
    schema = Schema(columns=[Column(name="n", kind="integer", sentinels=[-9])])
    found = Comparison.from_tables(pd.DataFrame({"n": [1, -9, 3]}), pd.DataFrame({"n": [-9, -9, 3]}), schema=schema)
    assert found.real["n"].isna().tolist() == [False, True, False]
    assert not found.notes


@pytest.mark.slow
@given(st.integers(2, 200), st.integers(0, 2**32 - 1))
def test_shuffled_columns_have_the_values_of_the_real_ones(rows: int, seed: int) -> None:
    real = Comparison.from_tables(mixed(), mixed()).real
    made = shuffle_columns(real, rows, np.random.default_rng(seed))
    assert len(made) == rows
    for name in real:
        assert made[name].dtype == real[name].dtype
        assert set(made[name].dropna()) <= set(real[name].dropna())
    assert len(subsample(made, 50, np.random.default_rng(seed))) == min(rows, 50)


def test_ends_of_a_range_are_as_far_apart_as_two_categories() -> None:
    wine = load_wine(as_frame=True).frame.astype({"target": str})
    wine["target"] = "kind " + wine["target"]
    found = Comparison.from_tables(wine, wine)
    base = found.real.iloc[[0, 0]].copy()
    points = as_points([found.real, base])
    assert np.allclose(points[0].max(0)[:13], 1)
    assert np.allclose(points[0].min(0)[:13], 0)
    other = base.copy()
    other["target"] = pd.Categorical(["kind 0", "kind 1"], base["target"].cat.categories)
    changed = as_points([found.real, other])[1]
    assert np.linalg.norm(changed[0] - changed[1]) == pytest.approx(1)
    assert codes(found.real).shape == wine.shape


def test_columns_with_several_readings_are_read_in_the_first_with_a_note() -> None:
    days = [f"{i % 12 + 1:02d}/{i // 12 % 12 + 1:02d}/2020" for i in range(ROWS)]
    numbers = [f"{i % 9 + 1},{i + 100}" for i in range(ROWS)]
    found = Comparison.from_tables(*[pd.DataFrame({"day": days, "n": numbers})] * 2)
    assert found.numeric == ["day", "n"]
    assert found.real["n"].tolist() == [float(text.replace(",", ".")) for text in numbers]
    assert [note.partition(" Declare")[0] for note in found.notes] == [
        "Column 'day' can be read as %d/%m/%Y or %m/%d/%Y, and was read as %d/%m/%Y.",
        "Column 'n' can be read as 1234,5 or 1,234.5, and was read as 1234,5.",
    ]
