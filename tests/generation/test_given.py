"""Conditions as users pass them, and as they write them in a shell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from synthvae.errors import RequestError
from synthvae.generation.given import Exactly, Interval, OneOf, parse, parse_text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, Exactly(3)),
        ("f", Exactly("f")),
        (None, Exactly(None)),
        (np.nan, Exactly(None)),
        (pd.NA, Exactly(None)),
        (pd.NaT, Exactly(None)),
        ((60, None), Interval(60, None)),
        ((np.nan, 60), Interval(None, 60)),
        ((None, None), Interval(None, None)),
        (["a", None], OneOf(("a", None))),
        (pd.Series([1, 2]), OneOf((1, 2))),
        (pd.Timestamp("2020-01-01"), Exactly(pd.Timestamp("2020-01-01"))),
    ],
)
def test_conditions(value: Any, expected: Any) -> None:
    assert parse({"x": value}, ("x",)) == {"x": expected}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"y": 1}, "must name columns of the table"),
        ({"x": []}, "must not be empty"),
        ({"x": (1, 2, 3)}, "must be a tuple of two"),
        ({"x": {"low": 1}}, "must be a value, a list or an interval"),
        ([("x", 1)], "must be a mapping"),
    ],
)
def test_other_conditions_are_refused(given: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        parse(given, ("x",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("age=60..", ("age", ("60", None))),
        ("age=..60", ("age", (None, "60"))),
        ("day=2020-01-01..2020-02-01", ("day", ("2020-01-01", "2020-02-01"))),
        ("ward=A|B", ("ward", ["A", "B"])),
        ("died=", ("died", None)),
        ("note=a=b", ("note", "a=b")),
    ],
)
def test_texts(text: str, expected: Any) -> None:
    assert parse_text(text) == expected


def test_a_text_without_a_column_is_refused() -> None:
    with pytest.raises(RequestError, match="COLUMN=VALUE"):
        parse_text("60..")
