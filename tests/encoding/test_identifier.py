"""Ids are fresh, unique from part to part, in the pattern of the real ones, and never one of them."""

from __future__ import annotations

import datetime as dt
import decimal
import itertools
import re
import uuid
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from roundtrip import learn_column, there_and_back

from synthvae import Column
from synthvae.encoding import Codes, TableEncoding
from synthvae.encoding.identifier import IdEncoding
from synthvae.encoding.protocol import CodedColumn
from synthvae.errors import SynthvaeError

ID = Column(name="x", kind="id")
UUIDS = [str(uuid.UUID(int=i * 2**90 + 7, version=4)) for i in range(20)]
IDS: dict[str, tuple[Any, str]] = {
    "numbers": (np.arange(100, 140), r"\d+"),
    "scattered numbers": (np.arange(100, 4000, 100), r"\d+"),
    "nullable numbers": (pd.array([5, None, 7], dtype="Int64"), r"\d+"),
    "numbers as floats": (np.array([1.0, np.nan, 3.0]), r"\d+\.0"),
    "negative numbers": (np.arange(-50, -20), r"-?\d+"),
    "snowflakes": (np.arange(2**60 + 1, 2**60 + 101), r"\d{19}"),
    "padded texts": ([f"P{i:05d}" for i in range(40)], r"P\d{5}"),
    "growing texts": ([f"P{i}" for i in range(1, 40)], r"P\d+"),
    "texts of digits": ([f"{i:06d}" for i in range(40)], r"\d{6,}"),
    "full texts": ([f"A{i}" for i in range(90, 100)], r"A\d+"),
    "uuids": (UUIDS, r"[0-9a-f-]{36}"),
    "upper-case uuids": ([text.upper() for text in UUIDS], r"[0-9A-F-]{36}"),
    "ibans": ([f"DE{89370400440532013000 + i * 7919}" for i in range(30)], r"DE\d{20}"),
    "emails": ([f"{name}@example.org" for name in ("ada", "bob", "eve")], r"x-\d{6,}"),
    "one stray among patterned": ([*[f"x-{i:06d}" for i in range(1, 30)], "test"], r"x-.+"),
    "arrow texts": (pd.Series([f"k{i}" for i in range(30)], dtype=pd.ArrowDtype(pa.large_string())), r"k\d+"),
}
by_ids = pytest.mark.parametrize("name", sorted(IDS))


def _make(encoding: TableEncoding, rows: int, first_row: int) -> list[Any]:
    """Ids of the rows from `first_row` on, none missing."""
    digits = np.zeros((rows, encoding.layout.width), np.int8)
    codes = Codes(digits, np.empty((rows, 0), np.float32), np.zeros(rows, np.int64))
    made = encoding.decode(codes, np.random.default_rng(first_row), rows=range(first_row, first_row + rows))
    kind, expected = made.schema.field("x").type, encoding.arrow_schema
    if pa.types.is_dictionary(kind):  # new values have a dictionary of their own, and wider indices
        expected = expected.set(0, expected.field("x").with_type(pa.dictionary(pa.int32(), kind.value_type)))
    assert made.schema.equals(expected, check_metadata=True)
    return list(made.column("x").to_pylist())


@by_ids
def test_ids_are_fresh_and_unique_part_after_part(name: str) -> None:
    table, encoding = learn_column(IDS[name][0], ID)
    parts = [_make(encoding, rows, first_row) for rows, first_row in ((10, 0), (1, 10), (7, 11))]
    made = set(itertools.chain.from_iterable(parts))
    assert len(made) == 18
    assert not made & set(table.column("x").to_pylist())
    assert None not in made


@by_ids
def test_ids_keep_their_pattern(name: str) -> None:
    values, pattern = IDS[name]
    _, encoding = learn_column(values, ID)
    assert [text for text in _make(encoding, 8, 3) if not re.fullmatch(pattern, str(text))] == []


@by_ids
def test_ids_stay_unique_far_down_a_large_dataset(name: str) -> None:
    _, encoding = learn_column(IDS[name][0], ID)
    made = [*_make(encoding, 5, 0), *_make(encoding, 5, 10**9), *_make(encoding, 5, 10**9 + 5)]
    assert len(set(made)) == 15


@pytest.mark.parametrize(
    "values",
    [pd.array(np.arange(100), dtype="int8"), np.array([2**63 - 2, 2**63 - 1]), np.array([7, 2**64 - 1], "uint64")],
)
def test_no_room_for_fresh_ids_is_said_plainly(values: Any) -> None:
    with pytest.raises(SynthvaeError, match=r"(?i)column 'x'"):
        _make(learn_column(values, ID)[1], 1000, 0)


def test_missing_ids_stay_missing() -> None:
    ids = [None if i % 3 else f"P{i:03d}" for i in range(30)]
    assert [text is None for text in there_and_back(ids, ID)] == [text is None for text in ids]


def test_a_column_of_no_ids_at_all_stays_empty() -> None:
    assert there_and_back([None, None], ID) == [None, None]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(max_size=6), min_size=1, max_size=15, unique=True), st.text(min_size=1, max_size=3))
def test_no_real_text_comes_back(real: list[str], name: str) -> None:
    encoding = IdEncoding.learn(Column(name=name, kind="id"), pa.chunked_array([real]))
    coded = CodedColumn(np.zeros(40, np.int64), np.random.default_rng(0))
    made = encoding.decode(coded, pa.string()).to_pylist()
    assert len(set(made)) == 40
    assert not set(made) & set(real)


@pytest.mark.parametrize("values", [pd.Categorical(["u1", "u2", "u3"]), [decimal.Decimal(7), decimal.Decimal(9)]])
def test_ids_of_odd_types_are_fresh_or_refused(values: Any) -> None:
    refusal, made, real = "", set[Any](), set[Any]()
    try:
        table, encoding = learn_column(values, ID)
        made, real = set(_make(encoding, 5, 0)), set(table.column("x").to_pylist())
    except SynthvaeError as error:
        refusal = str(error)
    assert "column 'x'" in refusal.lower() or len(made - real) == 5


def test_free_text_leaves_no_trace() -> None:
    notes = [f"Mrs {name} has a cough" for name in ("Ada", "Eve", "Joan")]
    _, encoding = learn_column(notes, ID)
    assert "Mrs" not in encoding.columns["x"].model_dump_json()
    assert not any("Mrs" in text for text in _make(encoding, 5, 0))


@pytest.mark.parametrize(
    "values", [pd.to_datetime(["2020-01-01", "2020-01-02"]), [True, False], [dt.date(2020, 1, 1)] * 2]
)
def test_what_cannot_be_an_id_is_refused_by_name(values: Any) -> None:
    with pytest.raises(SynthvaeError, match=r"(?i)column 'x'"):
        there_and_back(values, ID)
