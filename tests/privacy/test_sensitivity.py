"""One row more, of whatever value and at whatever place, moves exact counts by what their event says at most."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthvae.privacy import looks
from synthvae.readings import distinct, plain


def texts(values: list[bytes | None]) -> pa.Array:
    """Texts of any bytes, as files may hold them."""
    return pa.array(values, pa.binary()).view(pa.string())


def coded(values: list[int | None]) -> pa.Array:
    """Texts by their places in a dictionary that holds one twice, and one that is no UTF-8."""
    return pa.DictionaryArray.from_arrays(pa.array(values, pa.int8()), texts([b"a", b"b", b"a", b"\xff"]))


FLOATS = st.floats(width=64) | st.sampled_from([0.0, -0.0, 1e17, -1e17, 5e-324, 2.0**63, float("nan"), float("inf")])
INVALID = st.sampled_from([b"\xff", b"\xfe", b"a"])  # what is no UTF-8 is read as one and the same text
BYTES = INVALID | st.sampled_from([b"", b"7", b"07", b" 7", b"nan", b"-0.0", b"0.0", b"1e400", b"2020-01-01"])
KINDS: dict[str, tuple[st.SearchStrategy[Any], Callable[[list[Any]], pa.Array]]] = {
    "doubles": (FLOATS, lambda values: pa.array(values, pa.float64(), from_pandas=False)),
    "singles": (st.floats(width=32), lambda values: pa.array(values, pa.float32(), from_pandas=False)),
    "integers": (st.integers(-(2**63), 2**63 - 1), lambda values: pa.array(values, pa.int64())),
    "unsigned": (st.integers(0, 2**64 - 1), lambda values: pa.array(values, pa.uint64())),
    "texts": (BYTES, texts),
    "invalid texts": (INVALID, texts),
    "dictionaries": (st.integers(0, 3), coded),
    "moments": (st.datetimes(), lambda values: pa.array(values, pa.timestamp("us"))),
    "truths": (st.booleans(), lambda values: pa.array(values, pa.bool_())),
}
COUNTS: dict[str, Callable[[pa.ChunkedArray], Any]] = {
    "sorts": lambda values: looks.sorts_of(pa.table({"x": values})),
    "by value": looks.by_value,
    "by whole number": looks.by_whole_number,
    "magnitudes": looks.magnitudes,
    "years": looks.years,
    "each": lambda values: looks.each(values, -3, 9),
}


def moved(before: Any, after: Any) -> int:
    """The L1 distance of two tables of counts."""
    if isinstance(before, dict):
        return sum(abs(before.get(key, 0) - after.get(key, 0)) for key in before.keys() | after.keys())
    return int(np.abs(after - before).sum())


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("counts", list(COUNTS))
@settings(max_examples=60)
@given(data=st.data())
def test_one_row_moves_counts_by_one(kind: str, counts: str, data: st.DataObject) -> None:
    """The rows of a unit are as many such rows."""
    strategy, as_array = KINDS[kind]
    rows = data.draw(st.lists(st.none() | strategy, max_size=12))
    odd, place = data.draw(st.none() | strategy), data.draw(st.integers(0, len(rows)))
    count = COUNTS[counts]
    before, after = (count(pa.chunked_array([as_array(some)])) for some in (rows, [*rows[:place], odd, *rows[place:]]))
    assert moved(before, after) <= 1


@pytest.mark.parametrize("kind", list(KINDS))
@given(data=st.data())
def test_distinct_values_are_distinct_keys(kind: str, data: st.DataObject) -> None:
    strategy, as_array = KINDS[kind]
    rows = data.draw(st.lists(st.none() | strategy, max_size=20))
    known, places = distinct(plain(pa.chunked_array([as_array(rows)])))
    assert len(dict.fromkeys(known)) == len(known)
    assert len(places) == len(rows)
    assert set(places.tolist()) == set(range(len(known)))


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_a_negative_zero_adds_to_the_count_of_zero(zero: float) -> None:
    values = pa.chunked_array([np.r_[zero, np.zeros(40), np.full(60, 1e17), -0.0]])
    assert {str(value): count for value, count in looks.by_value(values).items()} == {"0.0": 42, "1e+17": 60}
