"""Bins declared: each has a number, numbers drawn lie in theirs, and nothing of a table is looked at."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import declared_schemas

from synthvae import Column, Schema
from synthvae.encoding.binned import BINS, EACH, MODULUS, BinnedEncoding, even_cuts
from synthvae.encoding.protocol import CodedColumn
from synthvae.errors import SchemaError
from synthvae.schema.domain import arrow_type, limits

law = settings(deadline=None, max_examples=60)
finite = st.floats(allow_nan=False, allow_infinity=False)
SMALLEST, LARGEST = 5e-324, float(np.finfo(float).max)
INF, NAN = float("inf"), float("nan")


@st.composite
def numbers(draw: Any) -> Column:
    """Any declared column of numbers."""
    schema: Schema = draw(declared_schemas(draw(st.sampled_from(["integer", "continuous"])), max_columns=1))
    return schema.columns[0].model_copy(update={"name": "x"})


def _whole(low: float, high: float, **facts: Any) -> Column:
    return Column(name="x", kind="integer", bounds=(low, high), **facts)


def _decoded(column: Column, states: Any, seed: int = 0) -> pa.ChunkedArray:
    encoding = BinnedEncoding.declare(column)
    coded = CodedColumn(np.array(states), np.random.default_rng(seed))
    return pa.chunked_array([encoding.decode(coded, arrow_type(column))])


def _can_be_written(number: float, decimals: int | None) -> bool:
    return decimals is None or round(number, decimals) == number


def _assert_good_cuts(low: float, high: float, decimals: int | None) -> None:
    """They ascend inside the bounds, and each begins its bin with a number that can be written."""
    cuts = even_cuts(low, high, decimals)
    edges = [low, *cuts]
    assert all(before < after for before, after in zip(edges, cuts, strict=False))
    assert edges[-1] <= high
    assert all(_can_be_written(cut, decimals) for cut in cuts)


@law
@given(finite, finite)
def test_cuts_of_numbers_in_full_ascend_inside_the_bounds(one: float, other: float) -> None:
    _assert_good_cuts(min(one, other), max(one, other), None)


@law
@given(st.integers(-(10**9), 10**9), st.integers(0, 300) | st.integers(0, 10**9), st.integers(0, 6))
def test_cuts_of_decimals_ascend_inside_the_bounds(first: int, steps: int, decimals: int) -> None:
    _assert_good_cuts(first / 10**decimals, (first + steps) / 10**decimals, decimals)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (1e-300, 1e300),
        (-LARGEST, LARGEST),
        (-1e300, -1e-300),
        (0.0, SMALLEST),
        (-SMALLEST, 3 * SMALLEST),
        (1.0, 1.0 + 2**-52),
        (0.1, 0.1),
        (-3.5, -3.5),
        (1e16, 1e16 + 8),
    ],
)
@pytest.mark.parametrize("decimals", [None, 0, 2, 15])
def test_cuts_of_odd_bounds_ascend_inside_them(low: float, high: float, decimals: int | None) -> None:
    column = Column(name="x", kind="continuous", bounds=(low, high), decimals=decimals)
    first, last = limits(column)
    if first <= last:
        _assert_good_cuts(first, last, decimals)


@pytest.mark.parametrize("low", [-250, -7, 0, 1, 10**9])
def test_each_whole_number_of_few_has_a_bin(low: int) -> None:
    for count in range(1, EACH + 1):
        assert even_cuts(low, low + count - 1, 0) == tuple(range(low + 1, low + count))


@pytest.mark.parametrize("count", [EACH + 1, 117, 199, 200])
def test_more_whole_numbers_are_cut_into_bins_of_one_width(count: int) -> None:
    edges = [0, *even_cuts(0, count - 1, 0), count]
    assert len(edges) == BINS + 1
    assert np.ptp(np.diff(edges)) <= (count % BINS > 0)


def test_each_decimal_of_few_has_a_bin() -> None:
    assert even_cuts(-0.3, 0.3, 1) == (-0.2, -0.1, 0.0, 0.1, 0.2, 0.3)
    assert BinnedEncoding.declare(Column(name="x", kind="continuous", bounds=(0, 1), decimals=1)).bins == 11


def test_equal_bounds_are_one_bin() -> None:
    assert BinnedEncoding.declare(_whole(5, 5)).bins == 1
    assert _decoded(_whole(5, 5, nullable=False), [0, 0]).to_pylist() == [5, 5]


@law
@given(numbers(), st.integers(0, 2**32 - 1))
def test_a_decoded_number_lies_in_its_bin(column: Column, seed: int) -> None:
    encoding = BinnedEncoding.declare(column)
    full = np.all([np.isin(ends, _numeric_sentinels(column)) for ends in encoding.spans], axis=0)
    states = np.tile(np.setdiff1d(np.arange(encoding.levels), np.flatnonzero(full)), 5)
    assert encoding.encode("x", _decoded(column, states, seed)).tolist() == states.tolist()


def _numeric_sentinels(column: Column) -> list[float]:
    return [float(value) for value in column.sentinels if not isinstance(value, str)]


@pytest.mark.parametrize("sentinels", [[0], [4], [99], [97, 98, 99], [0, 1, "N"]])
def test_a_number_between_others_is_not_drawn_as_a_sentinel(sentinels: list[Any]) -> None:
    column = _whole(0, 99, nullable=False, sentinels=sentinels)
    states = np.repeat(np.arange(BINS), 200)
    numbers = _decoded(column, states).to_pylist()
    assert not set(numbers) & set(sentinels)
    assert BinnedEncoding.declare(column).encode("x", pa.chunked_array([numbers])).tolist() == states.tolist()


@law
@given(numbers(), st.integers(0, 2**32 - 1))
def test_decoded_numbers_obey_the_schema(column: Column, seed: int) -> None:
    encoding = BinnedEncoding.declare(column)
    values = _decoded(column, np.tile(np.arange(encoding.levels), 5), seed)
    Schema(columns=[column]).check(pa.table({"x": values}))
    assert values.type == arrow_type(column)


@law
@given(numbers())
def test_every_decoded_number_can_be_written(column: Column) -> None:
    bare = column.model_copy(update={"sentinels": (), "nullable": False})
    decoded = _decoded(bare, np.repeat(np.arange(BinnedEncoding.declare(bare).bins), 3)).to_pylist()
    decimals = 0 if bare.kind == "integer" else bare.decimals
    assert all(_can_be_written(value, decimals) for value in decoded if abs(value) * 10.0 ** (decimals or 0) < 1e15)


@pytest.mark.parametrize("count", [1, 2, 20, EACH, EACH + 1, 130, 200])
@pytest.mark.parametrize("low", [-65, 0, 18])
def test_every_whole_number_of_a_small_column_is_drawn(low: int, count: int) -> None:
    column = _whole(low, low + count - 1, nullable=False)
    states = np.repeat(np.arange(BinnedEncoding.declare(column).bins), 200)
    assert set(_decoded(column, states).to_pylist()) == set(range(low, low + count))


def test_numbers_are_drawn_evenly_from_a_bin() -> None:
    column = _whole(0, 99, bins=(10, 90), nullable=False)
    drawn = np.bincount(_decoded(column, np.full(8000, 1)).to_numpy(), minlength=100)
    assert drawn[:10].sum() == drawn[90:].sum() == 0
    assert 60 <= drawn[10:90].min() <= drawn[10:90].max() <= 145  # of 100 on average


def test_the_largest_number_belongs_to_the_last_bin() -> None:
    encoding = BinnedEncoding.declare(_whole(0, 10, bins=(5,)))
    assert encoding.encode("x", pa.chunked_array([[0, 4, 5, 10]])).tolist() == [0, 0, 1, 1]
    assert set(_decoded(_whole(0, 10, bins=(5,)), [1] * 300).to_pylist()) == {5, 6, 7, 8, 9, 10}


def test_numbers_out_of_bounds_count_as_the_nearest() -> None:
    encoding = BinnedEncoding.declare(_whole(0, 10, bins=(5,)))
    assert encoding.encode("x", pa.chunked_array([[-INF, -1, 11, INF]])).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("low", [0.1, 0.3, -0.7, 1e300])
def test_numbers_drawn_between_neighbouring_doubles_stay_in_their_bins(low: float) -> None:
    high = float(np.nextafter(low, INF))
    column = Column(name="x", kind="continuous", bounds=(low, high), bins=(high,), nullable=False)
    drawn = _decoded(column, [0] * 300 + [1] * 300)
    assert drawn.to_pylist() == [low] * 300 + [high] * 300


def test_bounds_that_cannot_be_written_are_drawn_in() -> None:
    assert BinnedEncoding.declare(_whole(0.5, 3.5)).edges == (1, 2, 3, 3)
    fine = Column(name="x", kind="continuous", bounds=(0.05, 0.25), decimals=1)
    assert BinnedEncoding.declare(fine).edges == (0.1, 0.2, 0.2)


def test_marks_and_missing_have_the_last_states() -> None:
    column = _whole(0, 3, sentinels=["N", -9])
    encoding = BinnedEncoding.declare(column)
    assert (encoding.bins, encoding.singles, encoding.levels) == (4, 3, 7)
    assert _decoded(column, [0, 3, 4, 5, 6]).to_pylist() == ["0", "3", "N", "-9", None]
    values = pa.chunked_array([["0", "3", "N", "-9", None]])
    assert encoding.encode("x", values).tolist() == [0, 3, 4, 5, 6]


def test_numeric_marks_leave_a_column_of_numbers() -> None:
    column = _whole(0, 3, sentinels=[-9, True])
    assert _decoded(column, [0, 3, 4, 6]).type == pa.int64()
    assert _decoded(column, [0, 3, 4, 6]).to_pylist() == [0, 3, -9, None]


def test_there_is_no_minus_zero() -> None:
    column = Column(name="x", kind="continuous", bounds=(-0.4, 0.4), decimals=0, nullable=False, sentinels=["N"])
    assert set(_decoded(column, [0] * 20).to_pylist()) == {"0"}


@law
@given(numbers())
def test_an_encoding_survives_json(column: Column) -> None:
    encoding = BinnedEncoding.declare(column)
    again = BinnedEncoding.model_validate(encoding.model_dump(mode="json"))
    assert again == encoding == BinnedEncoding.model_validate_json(encoding.model_dump_json())
    assert (
        again.encode("x", pa.chunked_array([[None, 1.5]])).tolist()
        == encoding.encode("x", pa.chunked_array([[None, 1.5]])).tolist()
    )


@pytest.mark.parametrize(
    "facts",
    [
        {"kind": "integer", "bounds": (0, 10), "bins": (5, 5)},
        {"kind": "integer", "bounds": (0, 10), "bins": (6, 5)},
        {"kind": "integer", "bounds": (0, 10), "bins": (0, 5)},
        {"kind": "integer", "bounds": (0, 10), "bins": (5, 11)},
        {"kind": "integer", "bounds": (0, 10), "bins": (2.5,)},
        {"kind": "integer", "bounds": (0.5, 10), "bins": (1,)},
        {"kind": "integer", "bins": (5,)},
        {"kind": "continuous", "bins": (5,)},
        {"kind": "continuous", "bounds": (0, 1), "bins": (NAN,)},
        {"kind": "continuous", "bounds": (0, 1), "bins": (0.5, INF)},
        {"kind": "continuous", "bounds": (0, 1), "decimals": 1, "bins": (0.25,)},
        {"kind": "continuous", "bounds": (0.05, 1), "decimals": 1, "bins": (0.1,)},
        {"kind": "categorical", "categories": ("a",), "bins": (5,)},
        {"kind": "date", "bins": (5,)},
        {"kind": "date", "bounds": (dt.date(2020, 1, 1), dt.date(2020, 12, 31)), "bins": (5,)},
        {"kind": "id", "bins": (5,)},
    ],
)
def test_bins_that_hold_no_number_or_are_none_are_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(SchemaError, match=r"Column 'odd': `bins` must ascend inside the `bounds`.*, got"):
        Column(name="odd", **facts)


@pytest.mark.parametrize("bins", [("1",), (True,), "12", (None,)])
def test_bins_must_be_numbers(bins: Any) -> None:
    with pytest.raises(SchemaError, match=r"(?i)column 'odd': .bins"):
        Column(name="odd", kind="integer", bounds=(0, 10), bins=bins)


@pytest.mark.parametrize(
    ("kind", "bounds", "bins"),
    [
        ("integer", (0, 10), (1, 10)),
        ("integer", (0, 10), (5.0,)),
        ("integer", (0, 10), ()),
        ("continuous", (0, 1), (0.25, 1)),
        ("continuous", (-1.5, -0.5), (-1, -0.75)),
    ],
)
def test_bins_survive_yaml(kind: Any, bounds: Any, bins: Any) -> None:
    schema = Schema(columns=[Column(name="x", kind=kind, bounds=bounds, bins=bins)])
    again = Schema.from_yaml(schema.to_yaml())
    assert again == schema
    assert again["x"].bins == bins
    assert BinnedEncoding.declare(again["x"]).edges == (bounds[0], *bins, bounds[1])


def test_bins_may_be_numpys() -> None:
    assert Column(name="x", kind="integer", bounds=(0, 10), bins=np.array([2, 5])).bins == (2, 5)


@law
@given(numbers())
def test_declared_bins_are_taken_as_they_are(column: Column) -> None:
    if column.bins is not None:
        assert BinnedEncoding.declare(column).edges[1:-1] == column.bins


def test_residues_say_which_numbers_of_a_bin_are_frequent() -> None:
    weights = np.zeros(MODULUS)
    weights[::5], weights[10] = 1.0, 3.0
    encoding = BinnedEncoding(edges=(50, 170, 181, 184, 350), decimals=0, missing=True, residues=tuple(weights))
    states = np.repeat([0, 1, 2, 3, 4], 20_000)
    parts = np.split(encoding.draw_numbers(CodedColumn(states, np.random.default_rng(0))), 5)
    for part, low, high in zip(parts, (50, 170, 181, 184), (169, 180, 183, 350), strict=False):
        inside = np.arange(low, high + 1)
        share = weights[inside % MODULUS]
        share = share if share.any() else np.ones(len(inside))  # none of its numbers has a frequent residue
        found = np.bincount(part.astype(int) - low, minlength=len(inside)) / len(part)
        assert found == pytest.approx(share / share.sum(), abs=0.015)
    assert np.isnan(parts[4]).all()


def test_residues_are_counted_in_bins_of_several_numbers() -> None:
    encoding = BinnedEncoding(edges=(0, 1, 2, 100), decimals=1, missing=True)
    values = np.array([0.0, 0.3, 3.0, 3.1, 103.0, NAN, 0.3])
    expected = np.bincount([0, 3, 0, 1, 1000 % MODULUS, 3], minlength=MODULUS)  # beyond a bound: the bound
    assert encoding.residue_counts(values).tolist() == expected.tolist()
    ones = BinnedEncoding(edges=(0, 1, 2, 2), decimals=0, missing=False)
    assert not ones.residue_counts(np.array([0.0, 1.0, 2.0])).any()


def test_documents_without_residues_are_those_of_earlier_models() -> None:
    plain = BinnedEncoding(edges=(0, 5, 9), decimals=0, missing=False)
    assert "residues" not in plain.model_dump()
    rounded = plain.model_copy(update={"residues": (1.0,) * MODULUS})
    assert BinnedEncoding.model_validate(rounded.model_dump()) == rounded
