"""Combinations, flags and keys agree with plain loops."""

from __future__ import annotations

import warnings
from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rows import by_row, column, rows_of, small_frames

from synthvae import Schema
from synthvae.errors import SchemaError, TableError
from synthvae.schema import FixedCombinations, OneHot, Unique

law = settings(deadline=None, max_examples=50)
texts = small_frames(st.sampled_from([None, "x", "y", "z"]), ("a", "b"))


@law
@given(texts, texts)
def test_only_combinations_of_the_training_table_are_allowed(train: pd.DataFrame, other: pd.DataFrame) -> None:
    known = {(row["a"], row["b"]) for row in rows_of(train) if None not in row.values()}
    rule = FixedCombinations(columns=["a", "b"]).learned(train)
    assert rule.holds(train).all()
    if known:
        keeps = by_row(other, lambda row: None in row.values() or (row["a"], row["b"]) in known)
        assert rule.holds(other).tolist() == keeps


def test_numbers_and_texts_of_the_same_value_are_equal() -> None:
    rule = FixedCombinations(columns=["a", "b"], combinations=[[1, "2"]])
    assert rule.holds(pd.DataFrame({"a": [1.0, None], "b": [2, 3]})).tolist() == [True, True]
    assert rule.holds(pd.DataFrame({"a": ["1", "1"], "b": ["2", "3"]})).tolist() == [True, False]


@pytest.mark.parametrize("combinations", [[], [[1]], [[1, 2, 3]], [1, 2], "ab"])
def test_a_combination_has_a_value_for_each_column(combinations: Any) -> None:
    with pytest.raises(SchemaError):
        FixedCombinations(columns=["a", "b"], combinations=combinations)


def test_a_combination_of_unknown_categories_is_refused() -> None:
    columns = [column("a", "categorical", categories=["x"]), column("b", "categorical")]
    rule = FixedCombinations(columns=["a", "b"], combinations=[["x", "q"], ["y", "q"]])
    with pytest.raises(SchemaError, match=r"must combine categories of 'a', got \['y'\]"):
        Schema(columns=columns, constraints=[rule])


@law
@given(small_frames(st.sampled_from([0, 1, True, False, 1.0]), ("a", "b", "c")))
def test_exactly_one_flag_is_true(frame: pd.DataFrame) -> None:
    keeps = by_row(frame, lambda row: sum(map(bool, row.values())) == 1)
    assert OneHot(columns=list(frame)).holds(frame).tolist() == keeps


@law
@given(small_frames(st.sampled_from([None, "0", "1"]), ("a", "b", "c")))
def test_a_missing_flag_may_be_the_one(frame: pd.DataFrame) -> None:
    def keeps(row: dict[str, Any]) -> bool:
        count = list(row.values()).count("1")
        return count == 1 or (count == 0 and None in row.values())

    assert OneHot(columns=list(frame)).holds(frame).tolist() == by_row(frame, keeps)


def test_other_values_are_no_flags() -> None:
    assert not OneHot(columns=["a", "b"]).holds(pd.DataFrame({"a": [1], "b": [2]})).any()
    for wrong in (
        column("a", bounds=(0, 2)),
        column("a", "categorical", categories=["yes", "no"]),
        column("a", "date"),
    ):
        with pytest.raises(SchemaError, match="booleans, or 0 and 1"):
            Schema(columns=[wrong, column("b")], constraints=[OneHot(columns=["a", "b"])])


@law
@given(texts)
def test_a_key_repeats_no_row_above(frame: pd.DataFrame) -> None:
    seen = set()

    def is_new(row: dict[str, Any]) -> bool:
        key = (row["a"], row["b"])
        new = None in key or key not in seen
        seen.add(key)
        return new

    assert Unique(columns=["a", "b"]).holds(frame).tolist() == by_row(frame, is_new)


@law
@given(texts, st.integers(1, 3), st.booleans())
def test_combinations_of_few_subjects_are_left_out(frame: pd.DataFrame, least: int, in_units: bool) -> None:  # noqa: FBT001
    units = np.arange(len(frame)) // 2 if in_units else None
    subjects: dict[tuple[Any, Any], set[int]] = defaultdict(set)
    for place, row in enumerate(rows_of(frame)):
        if None not in row.values():
            subjects[row["a"], row["b"]].add(place if units is None else int(units[place]))
    wanted = {pair for pair, own in subjects.items() if len(own) >= least}
    rule = FixedCombinations(columns=["a", "b"])
    if not wanted:
        with pytest.raises(TableError, match=f"at least {least} subjects, got none"):
            rule.frequent(frame, frame, least, units)
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = rule.frequent(frame, frame, least, units)
    assert set(found.combinations or ()) == wanted
    few = len(subjects) - len(wanted)
    assert [f"{few} of {len(subjects)} combinations" in str(one.message) for one in caught] == [True] * bool(few)


def test_combinations_of_rare_values_are_left_out_without_a_warning() -> None:
    frame = pd.DataFrame({"a": ["x"] * 5 + ["y"], "b": ["q"] * 6})
    protected = frame.assign(a="x")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert FixedCombinations(columns=["a", "b"]).frequent(frame, protected, 5, None).combinations == (("x", "q"),)
