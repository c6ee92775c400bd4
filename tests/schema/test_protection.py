"""Protection: what few subjects have does not reach the model, whatever the type of the column."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthvae import Column, Schema, Synthesizer
from synthvae.schema.protection import protect, sentences
from synthvae.schema.protection_rules import Subjects
from synthvae.tables import convert, streaming
from synthvae.tables.subjects import ValueCounter, ends, subjects_by_value, units_of
from synthvae.training import shards

UNITS = st.lists(st.integers(0, 9), min_size=1, max_size=60)


def frame(n: int = 400) -> pd.DataFrame:
    """One column of each kind, each with a value of two rows or an extreme of one."""
    rng = np.random.default_rng(0)
    town = np.array(["A", "B"] * (n // 2), object)
    town[:2] = "Tinyville"
    income = rng.normal(3e4, 5e3, n).round()
    income[7] = 9_876_543.0
    when = pd.Timestamp("1950-01-01") + pd.to_timedelta(rng.integers(0, 20_000, n), unit="D")
    days = pd.Series(when)
    days[3] = pd.Timestamp("1893-05-05")
    marked = [str(i) for i in range(n - 2)] + ["secret", "secret"]
    return pd.DataFrame(
        {
            "town": town,
            "level": pd.Categorical(town),
            "income": income,
            "count": np.r_[np.arange(n - 1) % 90, 10**12],
            "born": days,
            "iso": days.dt.strftime("%Y-%m-%d"),
            "marked": marked,
            "smoker": np.arange(n) == 5,
            "y": ["no", "yes"] * (n // 2),
        }
    )


def found(table: pd.DataFrame, target: str | None = None, least: int = 5, unit: str | None = None) -> pa.Table:
    """The protected table."""
    read = convert.read(table)
    units = None if unit is None else units_of(read.column(unit))
    schema = Schema.infer(read)
    schema = schema if unit is None else schema.declare(unit, kind="id")
    return protect(read, schema, target, Subjects(least, units), unit).apply(read, np.random.default_rng(0))


def test_rare_values_of_every_kind_are_replaced_and_the_rest_stays() -> None:
    table = frame()
    got = convert.to_pandas(found(table))
    assert "Tinyville" not in set(got["town"]) | set(got["level"])
    assert not got["smoker"].any()
    assert "secret" not in set(got["marked"])
    assert got["income"].max() == np.sort(table["income"])[-5]
    assert got["count"].max() < 100
    assert got["born"].min() == table["born"].sort_values().iloc[4]
    assert got["iso"].min() == table["iso"].sort_values().iloc[4]
    assert list(got.dtypes.drop("level")) == list(table.dtypes.drop("level"))
    changed = (got.astype(str) != table.astype(str)).sum()
    assert changed.max() <= 10


def test_nothing_changes_where_every_value_has_enough_subjects() -> None:
    table = pd.DataFrame({"a": [1, 2, 3] * 10, "b": ["x", "y"] * 15, "c": [True] * 20 + [False] * 10})
    assert found(table).equals(convert.read(table))
    assert found(frame(), least=0).equals(convert.read(frame()))


@settings(max_examples=60, deadline=None)
@given(units=UNITS, least=st.integers(1, 6), data=st.data())
def test_ends_have_so_many_subjects_at_or_beyond(units: list[int], least: int, data: st.DataObject) -> None:
    keys = np.array(data.draw(st.lists(st.integers(-5, 5), min_size=len(units), max_size=len(units))))
    of = np.array(units)
    got = ends(keys, of, least)
    lows = [v for v in sorted(set(keys.tolist())) if len(set(of[keys <= v].tolist())) >= least]
    highs = [v for v in sorted(set(keys.tolist())) if len(set(of[keys >= v].tolist())) >= least]
    assert got == ((lows[0], highs[-1]) if lows and highs and lows[0] <= highs[-1] else None)


@settings(max_examples=60, deadline=None)
@given(units=UNITS, least=st.integers(1, 4), data=st.data(), by_unit=st.booleans())
def test_counts_of_batches_are_those_of_the_table(
    units: list[int],
    least: int,
    data: st.DataObject,
    by_unit: bool,  # noqa: FBT001
) -> None:
    values = data.draw(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=len(units), max_size=len(units)))
    counter, step = ValueCounter(least), data.draw(st.integers(1, 20))
    for first in range(0, len(units), step):
        part = slice(first, first + step)
        counter.add(pa.array(values[part], pa.string()), pa.array(units[part]) if by_unit else None)
    of = units_of(pa.chunked_array([units])) if by_unit else None
    known, counts = subjects_by_value(pa.chunked_array([pa.array(values, pa.string())]), of)
    assert set(counter.rare.to_pylist()) == {v for v, n in zip(known.to_pylist(), counts, strict=True) if n < least}


def test_subjects_are_counted_and_not_rows() -> None:
    table = pd.DataFrame(
        {
            "patient": np.r_[np.repeat(np.arange(40), 5), np.full(30, 99)],
            "town": ["A", "B"] * 100 + ["Tinyville"] * 30,
            "weight": np.r_[np.tile(np.arange(60.0, 100.0), 5), np.full(30, 250.0)],
        }
    )
    assert "Tinyville" in set(convert.to_pandas(found(table.drop(columns="patient")))["town"])
    got = convert.to_pandas(found(table, unit="patient"))
    assert "Tinyville" not in set(got["town"])
    assert got["weight"].max() < 100


def test_declared_other_ordered_and_redrawn() -> None:
    values = ["low"] * 50 + ["mid"] * 2 + ["high"] * 48
    table, order = pa.table({"v": values}), ("low", "mid", "high")
    cases = {
        "high": Column(name="v", kind="categorical", categories=(*order, "none"), other_category="high"),
        "low": Column(name="v", kind="categorical", categories=order, ordered=True),
    }
    for instead, column in cases.items():
        schema = Schema(columns=[column])
        got = protect(table, schema, None, Subjects(5), None).apply(table, np.random.default_rng(0))
        assert got.column("v").to_pylist()[50:52] == [instead] * 2
        assert schema["v"] == column
    plain = Schema(columns=[Column(name="v", kind="categorical")])
    got = protect(table, plain, None, Subjects(5), None).apply(table, np.random.default_rng(0))
    assert set(got.column("v").to_pylist()) == {"low", "high"}


def test_classes_of_the_target_are_exempt_with_a_warning_that_names_them() -> None:
    table = frame().assign(y=["no"] * 396 + ["never"] * 4)
    with pytest.warns(UserWarning, match=r"target 'y'.*\['never'\]"):
        assert "never" in set(convert.to_pandas(found(table, "y"))["y"])


def test_columns_without_a_value_of_enough_subjects_are_named_in_one_warning() -> None:
    n = 60
    table = pd.DataFrame(
        {"a": ["w" + chr(97 + i // 3) for i in range(n)], "b": [1.5, 2.5] + [np.nan] * (n - 2), "c": [1, 2] * (n // 2)}
    )
    with pytest.warns(UserWarning, match=r"\['a', 'b'\].*protect"):
        got = found(table)
    assert got.column("a").null_count == n
    assert got.column("b").null_count == n


def test_a_table_of_few_subjects_is_not_protected_with_a_warning() -> None:
    table = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": ["x", "y", "z"]})
    with pytest.warns(UserWarning, match="3 subjects"):
        assert found(table).equals(convert.read(table))


def test_the_model_its_schema_and_its_card_hold_no_protected_value(tmp_path: Path) -> None:
    model = Synthesizer(target="y", max_steps=5, random_state=0).fit(frame())
    model.save(tmp_path / "m")
    text = (tmp_path / "m" / "synthvae.json").read_text() + (tmp_path / "m" / "README.md").read_text()
    for secret in ("Tinyville", "secret", "9876543", "1893-05"):
        assert secret not in text
    assert "Cells of rare categories: 2 of 'town' (1 category)" in model.card().replace("\\", "").replace("&#39;", "'")
    again = Synthesizer.load(tmp_path / "m")
    assert again.learned_.provenance == model.learned_.provenance
    assert again.protect == 5
    assert np.isfinite(model.log_likelihood(frame())).all()
    rows = model.sample(500)
    assert "Tinyville" not in set(rows["town"])
    assert rows["income"].max() < 1e6


def test_protect_zero_leaves_the_table_as_it_is() -> None:
    model = Synthesizer(protect=0, max_steps=5, random_state=0).fit(frame())
    assert model.learned_.provenance.protection is None
    bounds = model.schema_["income"].bounds
    assert bounds is not None
    assert bounds[1] == 9_876_543
    for wrong in cast("list[int]", [-1, 2.5, True, "5"]):
        with pytest.raises(ValueError, match="`protect` must be a whole number"):
            Synthesizer(protect=wrong, max_steps=5).fit(frame())


def test_a_declared_schema_stays_as_it_was_declared() -> None:
    schema = Schema(columns=[Column(name="x", kind="integer", bounds=(0, 500)), Column(name="k", kind="boolean")])
    table = pd.DataFrame({"x": np.arange(100), "k": np.arange(100) == 0})
    model = Synthesizer(schema=schema, max_steps=5, random_state=0).fit(table)
    assert model.schema_ == schema
    assert model.sample(200)["x"].between(4, 95).all()


def test_a_table_on_disk_is_protected_by_the_counts_of_all_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "LARGE", 1)
    monkeypatch.setattr(streaming, "BATCH_ROWS", 64)
    monkeypatch.setattr(shards, "SHARD_ROWS", 100)
    table = frame().drop(columns=["level"])
    table.to_parquet(tmp_path / "t.parquet", row_group_size=97)
    disk = Synthesizer(target="y", max_steps=5, random_state=0).fit(tmp_path / "t.parquet")
    memory = Synthesizer(target="y", max_steps=5, random_state=0).fit(table)
    assert disk.learned_.provenance.protection == memory.learned_.provenance.protection
    assert disk.schema_ == memory.schema_
    assert "Tinyville" not in set(disk.sample(400)["town"])


def test_sentences_have_counts_and_no_values() -> None:
    columns = {
        "a": {"rare_categories": 2, "cells_of_rare_categories": 3, "cells_at_ends": 1},
        "b": {"cells_at_ends": 1234},
        "c": {"cells_at_ends": 0},
    }
    first, ends, rare = sentences({"least": 5, "unit": "patient", "columns": columns})
    assert "5 values of 'patient'" in first
    assert ends == "Cells beyond the ends: 1 of 'a', 1,234 of 'b'."
    assert rare == "Cells of rare categories: 3 of 'a' (2 categories)."


def test_the_same_seed_gives_the_same_model() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first, second = (Synthesizer(max_steps=5, random_state=3).fit(frame()).sample(50) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


@pytest.mark.parametrize("dtype", ["int64", "Int64", "float64"])
@pytest.mark.parametrize("rows", [2, 50])
def test_declared_sentinels_of_few_subjects_are_replaced(dtype: Any, rows: int) -> None:
    numbers = pd.Series(np.r_[[-99] * rows, np.arange(300) % 90]).astype(dtype)
    read = convert.read(pd.DataFrame({"v": numbers}))
    schema = Schema(columns=[Column(name="v", kind="integer", bounds=(0, 90), sentinels=[-99])])
    got = protect(read, schema, None, Subjects(5), None).apply(read, np.random.default_rng(0))
    assert got.column("v").to_pylist().count(-99) == (0 if rows < 5 else rows)
