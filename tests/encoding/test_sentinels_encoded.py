"""Numbers drawn between others are no sentinel values."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from synthvae import Column
from synthvae.encoding.numeric import NumericEncoding
from synthvae.encoding.protocol import CodedColumn
from synthvae.encoding.sentinels import Interval, beside_sentinels, to_arrow
from synthvae.encoding.temporal import TemporalEncoding
from synthvae.tables.arrow import are_sentinels


def test_a_number_of_a_curve_is_not_drawn_as_a_sentinel() -> None:
    incomes = np.random.default_rng(0).normal(0, 500, 4000).round().tolist()
    table = pa.table({"x": pa.array(incomes + [47] * 50)})
    encoding = NumericEncoding.learn(Column(name="x", kind="integer", sentinels=[47, -9]), table["x"])
    scores = np.linspace(-0.5, 0.5, 5000).astype(np.float32)
    coded = CodedColumn(np.full(5000, len(encoding.atoms)), np.random.default_rng(0), scores)
    drawn = encoding.decode(coded, pa.int64()).to_pylist()
    assert {46, 48} < set(drawn)
    assert 47 not in drawn


KINDS = [
    (pa.int64(), "repr", None, None, 7, 1),
    (pa.int64(), "repr", None, 1, 7, 1),
    (pa.float64(), "repr", None, 2, 0.5, 0.01),
    (pa.float32(), "repr", None, 10, 0.125, 2**-24),
    (pa.float32(), "repr", None, 2, 0.1, 0.01),
    (pa.decimal128(8, 2), "repr", None, None, 9.99, 0.01),
    (pa.string(), "2", None, 3, "9.99", 0.01),
    (pa.string(), "short", "1234,5", 2, "9,99", 0.01),
    (pa.string(), "repr", None, 1, "3.5", 0.1),
]


@pytest.mark.parametrize(("kind", "style", "form", "decimals", "sentinel", "step"), KINDS)
def test_what_is_stored_is_never_a_sentinel(
    *, kind: pa.DataType, style: str, form: str | None, decimals: int | None, sentinel: float | str, step: float
) -> None:
    number = float(str(sentinel).replace(",", "."))
    inside = Interval(-50.0, np.array([50, 50, number]), decimals, (sentinel,))
    numbers = np.array([number, number + 10, number])
    moved = beside_sentinels(numbers, inside, kind, (style, form))
    stored = to_arrow(
        numbers, np.zeros(3, np.int64), kind, first=1, sentinels=(), style=style, format=form, inside=inside
    )
    assert not are_sentinels(pa.chunked_array([stored]), [sentinel]).to_pylist()[0]
    assert not are_sentinels(pa.chunked_array([stored]), [sentinel]).to_pylist()[2]
    assert moved[1] == numbers[1]
    assert moved[2] < number < moved[0]
    np.testing.assert_allclose(moved[[0, 2]], [number + step, number - step], atol=step)


def test_a_number_stays_where_all_are_sentinels() -> None:
    assert beside_sentinels(np.array([3.0]), Interval(3, 4, 0, (3, 4)), pa.int64(), ("repr", None)).tolist() == [3]


def test_a_declared_sentinel_that_no_row_has_is_not_drawn() -> None:
    numbers = np.random.default_rng(0).normal(0, 0.2, 4000).round(2)
    values = pa.chunked_array([numbers[numbers != 0.15]])
    encoding = NumericEncoding.learn(Column(name="x", kind="continuous", sentinels=[0.15]), values)
    coded = CodedColumn(
        np.full(5000, len(encoding.atoms)),
        np.random.default_rng(0),
        np.linspace(-1, 1, 5000).astype(np.float32),
    )
    drawn = encoding.decode(coded, pa.float64()).to_pylist()
    assert {0.14, 0.16} < set(drawn)
    assert 0.15 not in drawn


def test_a_date_between_others_is_not_drawn_as_a_sentinel() -> None:
    days = np.datetime64("1880-06-01") + np.random.default_rng(0).integers(0, 14_000, 3000)
    texts = [day for day in np.datetime_as_string(days).tolist() if day != "1900-01-01"]
    column = Column(name="x", kind="date", format="%Y-%m-%d", sentinels=["1900-01-01", "0000-00-00"])
    encoding = TemporalEncoding.learn(column, pa.chunked_array([texts + ["1900-01-01"] * 50]))
    assert isinstance(encoding.steps, NumericEncoding)
    scores = np.linspace(-0.3, 0.3, 50_000).astype(np.float32)
    coded = CodedColumn(np.full(50_000, len(encoding.steps.atoms)), np.random.default_rng(0), scores)
    drawn = set(encoding.decode(coded, pa.string()).to_pylist())
    assert {"1899-12-31", "1900-01-02"} < drawn
    assert "1900-01-01" not in drawn
