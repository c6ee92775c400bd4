"""Numbers, the marks beside them, and numbers written as text."""

from __future__ import annotations

import decimal
import re
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from roundtrip import assert_kept_or_refused, draw, learn_column, there_and_back

from synthvae import Column, Schema
from synthvae.encoding.atoms import find_atoms
from synthvae.encoding.numeric import NumericEncoding
from synthvae.encoding.protocol import CodedColumn
from synthvae.encoding.quantiles import MAX_STEPS
from synthvae.errors import TableError

law = settings(deadline=None, max_examples=40)
LOW, HIGH = -(2**63), 2**63 - 1
NUMBERS = st.floats(-1e9, 1e9).map(lambda x: round(x, 2)) | st.integers(-99, 99).map(float)
INTEGER = Column(name="x", kind="integer")
CONTINUOUS = Column(name="x", kind="continuous")


@law
@given(st.lists(NUMBERS, min_size=1, max_size=400))
def test_every_number_is_an_atom_or_among_the_others(numbers: list[float]) -> None:
    atoms, others = find_atoms(np.array(numbers))
    assert list(atoms) == sorted(atoms)
    assert sorted([*atoms, *others.values]) == sorted(set(numbers))
    assert others.counts.sum() == sum(number not in atoms for number in numbers)


@law
@given(st.integers(0, 2**32), st.sampled_from([0, 1, 2, 4]), st.sampled_from([1.0, 1000.0]))
def test_drawn_numbers_keep_bounds_and_decimals(seed: int, decimals: int, scale: float) -> None:
    numbers = np.round(np.random.default_rng(seed).normal(0, scale, 500), decimals)
    drawn = np.array(draw(numbers, Column(name="x", kind="continuous", decimals=decimals)))
    assert drawn.min() >= numbers.min()
    assert drawn.max() <= numbers.max()
    np.testing.assert_array_equal(drawn, np.round(drawn, decimals))


def test_rounding_to_coarser_decimals_does_not_leave_the_bounds() -> None:
    numbers = np.random.default_rng(0).uniform(0.4, 9.6, 500)
    drawn = draw(numbers, Column(name="x", kind="continuous", decimals=0), rows=3000)
    assert numbers.min() <= min(drawn)
    assert max(drawn) <= numbers.max()


@law
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_few_numbers_come_back_to_the_last_bit(numbers: list[float]) -> None:
    assert there_and_back(numbers * 7, CONTINUOUS) == numbers * 7


@pytest.mark.parametrize("numbers", [[1 / 3, 0.04534098333546186, 0.0506801187], [1e300, 1e-300, -1e-310]])
def test_many_draws_of_a_few_numbers_give_only_these(numbers: list[float]) -> None:
    assert set(draw(numbers * 20, CONTINUOUS, rows=5000)) <= set(numbers)


@pytest.mark.parametrize(
    ("dtype", "numbers"),
    [
        ("int64", [6_042_290_423_888_495, 6_042_290_423_888_494]),
        ("int64", [2**53 + 1, 2**60 + 3, 5]),
        ("int64", [LOW, HIGH, 0]),
        ("uint64", [2**64 - 1, 1]),
        ("Int64", [2**60 + 1, None, 2**60 + 3]),
    ],
)
def test_few_large_integers_are_kept_exactly_or_refused(dtype: str, numbers: list[int | None]) -> None:
    assert_kept_or_refused(pd.Series(numbers * 5, dtype=dtype), INTEGER)


@pytest.mark.parametrize("dtype", ["int64", "Int64", "uint64", "int64[pyarrow]"])
def test_many_large_integers_stay_in_bounds_or_are_refused(dtype: str) -> None:
    numbers = np.random.default_rng(0).integers(2**62, HIGH, 400)
    refusal, drawn = "", [int(numbers[0])]
    try:
        drawn = draw(pd.Series(numbers, dtype=dtype), INTEGER)
    except TableError as error:
        refusal = str(error)
    assert "column 'x'" in refusal.lower() or (numbers.min() <= min(drawn) and max(drawn) <= numbers.max())


def test_the_widest_doubles_are_drawn_without_overflow() -> None:
    drawn = np.array(draw(np.linspace(-8e307, 8e307, 500) * 2, CONTINUOUS))
    assert np.isfinite(drawn).all()
    assert len(np.unique(drawn)) > 100


def test_an_amount_that_is_mostly_zero_stays_mostly_zero() -> None:
    rng = np.random.default_rng(0)
    amounts = np.where(rng.random(4000) < 0.9, 0.0, rng.lognormal(8, 1, 4000).round())
    np.testing.assert_array_equal(np.array(there_and_back(amounts, INTEGER)) == 0, amounts == 0)


def test_quantiles_of_many_numbers_survive() -> None:
    rng = np.random.default_rng(0)
    numbers = pa.chunked_array([rng.lognormal(0, 1, 20_000)])
    encoding = NumericEncoding.learn(CONTINUOUS, numbers)
    scores = rng.normal(size=20_000).astype(np.float32)
    decoded = encoding.decode(CodedColumn(encoding.encode("x", numbers), rng, scores), pa.float64()).to_numpy()
    levels = [0.01, 0.05, 0.5, 0.95, 0.99]
    np.testing.assert_allclose(np.quantile(decoded, levels), np.quantile(numbers, levels), rtol=0.1)


@pytest.mark.parametrize("rows", [30, 1000])
def test_many_numbers_beside_marks_and_gaps_come_back(rows: int) -> None:
    numbers = [*(np.arange(rows) * 0.37).round(2).tolist(), -9.0, None, -8.0]
    back = there_and_back(numbers, _marked(-9, -8, kind="continuous"))
    outermost = {0, rows - 1} if rows > MAX_STEPS else set()
    assert [x for i, x in enumerate(back) if i not in outermost] == [
        x for i, x in enumerate(numbers) if i not in outermost
    ]


@pytest.mark.parametrize("scale", [0, 2, 4])
@pytest.mark.parametrize("rows", [3, 300])
def test_exact_decimals_stay_exact_and_missing(scale: int, rows: int) -> None:
    prices = [decimal.Decimal(i * 7 % 997).scaleb(-scale) for i in range(rows)]
    back = there_and_back([*prices, None])
    assert back[-1] is None
    assert {price.as_tuple().exponent for price in back[:-1]} == {-scale}
    assert rows > 3 or back[:-1] == prices


@pytest.mark.parametrize("number", ["99999999999.99", "9999999999999999.99", "12345678901234567890.50"])
def test_large_exact_decimals_are_kept_or_refused(number: str) -> None:
    assert_kept_or_refused([decimal.Decimal(number), decimal.Decimal("0.01")] * 2)


@pytest.mark.parametrize(("dtype", "single"), [("float32", "f4"), ("float16", "f2"), ("Float32", "f4")])
def test_narrow_floats_are_the_nearest_to_their_decimals(dtype: str, single: str) -> None:
    written = np.round(np.random.default_rng(0).random(300), 2)
    column = Column(name="x", kind="continuous", decimals=2)
    drawn = np.array(draw(pd.Series(written, dtype=dtype), column), float)
    np.testing.assert_array_equal(np.round(drawn, 2).astype(single).astype(float), drawn)


@pytest.mark.parametrize("column", [INTEGER, CONTINUOUS])
def test_categoricals_of_numbers_declared_numbers_are_kept_or_refused(column: Column) -> None:
    assert_kept_or_refused(pd.Categorical([3, 5, 3, None]), column)


def test_a_column_declared_integer_must_hold_whole_numbers() -> None:
    with pytest.raises(TableError, match=r"(?i)column 'x'.*whole"):
        learn_column([1.5, 2.25], INTEGER)


def _marked(*marks: Any, kind: Any = "integer") -> Column:
    return Column(name="x", kind=kind, sentinels=marks)


@law
@given(st.lists(st.sampled_from(["N", "unknown", "<5", "", None, *map(str, range(30))]), min_size=1, max_size=60))
def test_marks_in_text_come_back_as_written(texts: list[str | None]) -> None:
    assert there_and_back(pd.Series(texts, dtype="string"), _marked("N", "unknown", "<5", "")) == texts


@pytest.mark.parametrize("dtype", ["int8", "int64", "float64", "float32", "Int64", "int64[pyarrow]", "Float64"])
def test_marks_among_numbers_come_back(dtype: str) -> None:
    numbers = [*range(100), -9, -9, -8] * 2
    column = Column(name="x", kind="integer", sentinels=[-9, -8], bounds=(0, 99))
    assert there_and_back(pd.Series(numbers, dtype=dtype), column) == numbers


def test_marks_are_kept_apart_from_many_numbers() -> None:
    numbers = np.random.default_rng(0).normal(50, 5, 1000).round(1).tolist()
    drawn = draw([*numbers, *[-9.0] * 50], _marked(-9, kind="continuous"))
    assert {value for value in drawn if value < min(numbers)} == {-9}


def test_marks_are_inferred_from_text() -> None:
    texts = [*[f"{i / 4:.2f}" for i in range(300)], *["N"] * 5, *["unknown"] * 5, None]
    column = Schema.infer(pd.DataFrame({"x": texts}))["x"]
    assert (column.kind, set(column.sentinels), column.nullable) == ("continuous", {"N", "unknown"}, True)
    back = there_and_back(texts)
    assert back[300:] == texts[300:]
    assert all(re.fullmatch(r"\d+\.\d\d", text) for text in back[:300])


@pytest.mark.parametrize("mark", ["N", -9, "-9"])
def test_a_text_column_may_hold_nothing_but_marks(mark: Any) -> None:
    assert there_and_back([str(mark)] * 4, _marked(mark)) == [str(mark)] * 4


def test_marks_stand_among_exact_decimals() -> None:
    prices = [decimal.Decimal("1.50"), decimal.Decimal("-9.00"), decimal.Decimal("2.25")]
    assert there_and_back(prices, _marked(-9, kind="continuous")) == prices


@pytest.mark.parametrize(("dtype", "mark"), [("int8", 999), ("int64", -9.5), ("int64", "N"), ("float64", "N")])
def test_a_mark_that_does_not_occur_does_no_harm(dtype: str, mark: Any) -> None:
    assert there_and_back(pd.Series([1, 2, 3], dtype=dtype), _marked(mark)) == [1, 2, 3]


def test_a_mark_never_declared_is_refused_by_name() -> None:
    with pytest.raises(TableError, match=r"(?i)column 'x'.*must be.*numbers.*'\?'.*`sentinels`"):
        learn_column(["1", "N", "?"], _marked("N"))


@pytest.mark.parametrize("places", [0, 1, 2, 5])
@pytest.mark.parametrize("rows", [30, 500])
def test_text_keeps_its_places(places: int, rows: int) -> None:
    texts = [f"{round(i / 7 - 5, places) + 0.0:.{places}f}" for i in range(rows)] * 2
    pattern = r"-?\d+" + (rf"\.\d{{{places}}}" if places else "")
    assert all(re.fullmatch(pattern, text) for text in there_and_back(texts))


@pytest.mark.parametrize("texts", [["1.50", "2.25", "10.00"], ["1", "2", "10"], ["0.1", "3.0"], ["1", "2.5", "10"]])
@pytest.mark.parametrize("declared", [True, False])
def test_few_numbers_in_text_come_back_as_written(texts: list[str], *, declared: bool) -> None:
    column = _marked("N", kind="continuous") if declared else None
    assert there_and_back([*texts, "N"] * 4, column) == [*texts, "N"] * 4


@pytest.mark.parametrize("texts", [["01", "02", "10"], ["1e5", "2e5"], ["+1", "-1"], [" 1", "2"], ["1.50", "2.5"]])
def test_odd_writing_declared_a_number_is_kept_or_refused(texts: list[str]) -> None:
    assert_kept_or_refused(texts * 4, CONTINUOUS)


@pytest.mark.parametrize("text", ["{:03d}", "+{}", "{}e5", " {}", "{}_0"])
def test_writing_that_a_number_would_lose_is_not_taken_for_one(text: str) -> None:
    texts = [text.format(i) for i in range(60)] * 3
    assert there_and_back(texts) == texts
