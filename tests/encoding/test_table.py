"""The laws of a table's encoding, family of columns by family of columns, and its real uses."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from roundtrip import random_codes
from sklearn import datasets
from strategies import FAMILIES, frames

from synthvae import Column, Schema
from synthvae.encoding import Codes, TableEncoding
from synthvae.encoding.numeric import NumericEncoding
from synthvae.encoding.quantiles import MAX_STEPS
from synthvae.encoding.temporal import TemporalEncoding
from synthvae.errors import TableError
from synthvae.tables import convert
from synthvae.tables.arrow import countable

by_family = pytest.mark.parametrize("family", sorted(FAMILIES))
law = settings(deadline=None, max_examples=20)
SKLEARN = [datasets.load_breast_cancer, datasets.load_wine, datasets.load_diabetes, datasets.load_iris]


def _learn(source: Any, schema: Schema | None = None, target: str | None = None) -> tuple[pa.Table, TableEncoding]:
    schema = schema or Schema.infer(source)
    table = schema.check(convert.read(source))
    return table, TableEncoding.learn(table, schema, target)


def _decode(encoding: TableEncoding, codes: Codes, seed: int = 0) -> pa.Table:
    return encoding.decode(codes, np.random.default_rng(seed))


def _numeric(encoding: TableEncoding, name: str) -> NumericEncoding | None:
    """The numeric part of a column's encoding, if it has one."""
    column = encoding.columns.get(name)
    if isinstance(column, TemporalEncoding):
        return column.steps if isinstance(column.steps, NumericEncoding) else None
    return column if isinstance(column, NumericEncoding) else None


def _arrays(codes: Codes) -> tuple[npt.NDArray[Any], ...]:
    return codes.digits, codes.values, codes.labels


def _is_exact(encoding: TableEncoding, table: pa.Table, name: str) -> bool:
    """Whether every code of a column means one value: it has few enough for that, and all repeat."""
    if name not in encoding.columns or encoding.columns[name].kind == "categorical":
        return True
    numeric = _numeric(encoding, name)
    if numeric is None or numeric.links:
        return False
    counts = countable(table.column(name)).drop_null().value_counts().field("counts").to_numpy()
    return not numeric.valued or (len(counts) <= MAX_STEPS and bool((counts > 1).all()))


def _assert_same_where_exact(encoding: TableEncoding, before: pa.Table, after: pa.Table) -> None:
    for name in before.column_names:
        if _is_exact(encoding, before, name):
            assert after.column(name).to_pylist() == before.column(name).to_pylist(), name


def _nulls(table: pa.Table) -> list[list[bool]]:
    return [column.is_null().to_pylist() for column in table.columns]


@by_family
@law
@given(st.data())
def test_few_values_come_back_exactly(family: str, data: st.DataObject) -> None:
    table, encoding = _learn(data.draw(frames(family)))
    _assert_same_where_exact(encoding, table, _decode(encoding, encoding.encode(table)))


@by_family
@law
@given(st.data())
def test_missing_stays_missing(family: str, data: st.DataObject) -> None:
    table, encoding = _learn(data.draw(frames(family)))
    assert _nulls(_decode(encoding, encoding.encode(table))) == _nulls(table)


@by_family
@law
@given(st.data(), st.sampled_from([0, 1, 30]))
def test_decoded_tables_have_the_schema_and_dtypes_learned(family: str, data: st.DataObject, rows: int) -> None:
    frame = data.draw(frames(family))
    table, encoding = _learn(frame)
    decoded = _decode(encoding, random_codes(encoding, rows))
    assert decoded.schema.equals(table.schema, check_metadata=True)
    pd.testing.assert_series_equal(convert.to_pandas(decoded).dtypes, frame.dtypes)


@by_family
@law
@given(st.data())
def test_any_codes_decode_into_the_domain(family: str, data: st.DataObject) -> None:
    frame = data.draw(frames(family))
    table, encoding = _learn(frame)
    decoded = _decode(encoding, random_codes(encoding, 60))
    Schema.infer(frame).check(decoded)
    for name in table.column_names:
        if _is_exact(encoding, table, name) and not pa.types.is_dictionary(table.schema.field(name).type):
            assert set(decoded.column(name).to_pylist()) <= set(table.column(name).to_pylist()), name


@by_family
@law
@given(st.data(), st.none() | st.integers(0, 9))
def test_encoding_what_was_decoded_gives_the_codes_again(family: str, data: st.DataObject, seed: int | None) -> None:
    table, encoding = _learn(data.draw(frames(family)))
    codes = encoding.encode(table, None if seed is None else np.random.default_rng(seed))
    assert (codes.digits >= 0).all()
    assert (codes.digits < np.array(encoding.layout.sizes, int)).all()
    again, middles = encoding.encode(_decode(encoding, codes)), encoding.encode(table)
    np.testing.assert_array_equal(again.digits, codes.digits)
    # A value that occurs once has no step, so that its number is restored as exactly as a score in float32 can.
    moved = ~np.isclose(again.values, middles.values, rtol=0, atol=1e-5, equal_nan=True)
    assert moved.sum() <= (0 if seed is None else 3)  # at the edge of a step, by chance
    np.testing.assert_array_equal(again.labels, codes.labels)


@by_family
@law
@given(st.data())
def test_a_value_is_there_exactly_where_its_switch_says_so(family: str, data: st.DataObject) -> None:
    table, encoding = _learn(data.draw(frames(family)))
    codes = encoding.encode(table)
    assert codes.values.shape == (len(codes), len(encoding.layout.slots.values))
    for v, value in enumerate(encoding.layout.slots.values):
        there = np.ones(len(codes), bool)
        if value.switch is not None:
            there = codes.digits[:, value.switch] == value.level
        np.testing.assert_array_equal(np.isfinite(codes.values[:, v]), there)


@law
@given(frames(), st.integers(0, 9))
def test_json_keeps_the_encoding(frame: pd.DataFrame, seed: int) -> None:
    table, encoding = _learn(frame)
    again = TableEncoding.model_validate_json(encoding.model_dump_json())
    assert again == encoding
    for left, right in zip(_arrays(again.encode(table)), _arrays(encoding.encode(table)), strict=True):
        np.testing.assert_array_equal(left, right)
    codes = random_codes(encoding, 20, seed)
    assert _decode(again, codes, seed).equals(_decode(encoding, codes, seed))


@law
@given(frames(), st.integers(0, 9))
def test_the_same_seed_draws_the_same_rows(frame: pd.DataFrame, seed: int) -> None:
    _, encoding = _learn(frame)
    codes = random_codes(encoding, 20, seed)
    assert _decode(encoding, codes, seed).equals(_decode(encoding, codes, seed))


@law
@given(frames(max_columns=5))
def test_digits_belong_to_columns_as_the_layout_says(frame: pd.DataFrame) -> None:
    """Encoding a column alone gives the digits of its span."""
    _, encoding = _learn(frame)
    codes, valued = encoding.encode(convert.read(frame)), encoding.layout.valued_names
    assert codes.digits.shape == (len(frame), encoding.layout.width)
    assert codes.values.shape == (len(frame), len(valued))
    for name, span in encoding.layout.spans.items():
        if (numeric := _numeric(encoding, name)) and numeric.links:
            continue  # it repeats another column
        _, learned = _learn(frame[[name]])
        alone = learned.encode(convert.read(frame[[name]]))
        np.testing.assert_array_equal(alone.digits, codes.digits[:, span])
        if name in valued:
            np.testing.assert_array_equal(alone.values[:, 0], codes.values[:, valued.index(name)])


@pytest.mark.parametrize("load", SKLEARN)
@pytest.mark.parametrize("with_target", [True, False])
def test_real_tables_survive(load: Any, *, with_target: bool) -> None:
    frame = load(as_frame=True).frame
    table, encoding = _learn(frame, target="target" if with_target else None)
    decoded = _decode(encoding, encoding.encode(table))
    assert decoded.schema.equals(table.schema, check_metadata=True)
    Schema.infer(frame).check(decoded)
    _assert_same_where_exact(encoding, table, decoded)
    result = convert.to_pandas(decoded)
    pd.testing.assert_series_equal(result.dtypes, frame.dtypes)
    assert (result.corrwith(frame, method="spearman") > 0.999).all()  # only the outermost rows move


@pytest.mark.parametrize("load", SKLEARN)
def test_real_tables_keep_their_decimals(load: Any) -> None:
    frame = load(as_frame=True).frame
    _, encoding = _learn(frame)
    result = convert.to_pandas(_decode(encoding, random_codes(encoding, 500)))
    for column in Schema.infer(frame).columns:
        if column.decimals is not None:
            np.testing.assert_array_equal(result[column.name], result[column.name].round(column.decimals))


def test_a_class_target_is_the_condition_and_no_digit() -> None:
    frame = pd.DataFrame({"x": [1, 2, 3] * 4, "y": ["a", "b", "b"] * 4})
    table, encoding = _learn(frame, target="y")
    codes = encoding.encode(table)
    assert encoding.layout.names == ("x",)
    assert codes.labels.tolist() == [0, 1, 1] * 4
    assert encoding.frequencies.tolist() == pytest.approx([1 / 3, 2 / 3])
    assert _decode(encoding, codes).equals(table)


def test_every_class_asked_for_is_the_class_decoded() -> None:
    frame = pd.DataFrame({"x": [1, 2] * 10, "y": pd.Categorical(["no", "yes"] * 10, categories=["yes", "no", "?"])})
    _, encoding = _learn(frame, target="y")
    for label, name in enumerate(encoding.target.labels if encoding.target else []):
        digits = np.zeros((5, encoding.layout.width), np.int8)
        codes = Codes(digits, np.empty((5, 0), np.float32), np.full(5, label))
        assert _decode(encoding, codes).column("y").to_pylist() == [name] * 5


def test_a_continuous_target_comes_first_and_keeps_its_values() -> None:
    frame = pd.DataFrame({"x": np.arange(400) % 3, "y": np.random.default_rng(0).normal(size=400).round(3)})
    table, encoding = _learn(frame, target="y")
    assert encoding.layout.names[0] == "y"
    labels = encoding.encode(table).labels
    order = np.argsort(frame["y"].to_numpy())
    assert (np.diff(labels[order]) >= 0).all()
    assert encoding.conditions == len(np.unique(labels)) > 1


def test_a_number_without_a_value_is_no_target() -> None:
    table = pa.table({"x": list(range(3)) * 50, "y": [0.25, None, 0.75] * 50})
    with pytest.raises(TableError, match=r"Target 'y' is a number and must have a label in every row.*50 of 150"):
        _learn(table, target="y")


def test_rows_without_a_label_are_learned_where_that_is_asked_for() -> None:
    table = pa.table({"x": list(range(3)) * 50, "y": ["a", "b", None] * 50})
    _, encoding = _learn(table, target="y")
    assert encoding.target is not None
    assert encoding.target.counts == (50, 50)
    assert encoding.encode(table, partial=True).labels.tolist() == [0, 1, -1] * 50
    with pytest.raises(TableError, match=r"Target 'y' must have a label in every row.*50 rows without one"):
        encoding.encode(table)


def test_some_row_must_have_a_label() -> None:
    table = pa.table({"x": [1, 2, 3], "y": pa.nulls(3, pa.string())})
    with pytest.raises(TableError, match=r"must have a label in some rows, got none"):
        _learn(table, target="y")


def test_a_class_with_one_row_is_refused_by_name() -> None:
    with pytest.raises(TableError, match=r"Target 'y': each class must have at least 2 rows.*'rare'"):
        _learn(pd.DataFrame({"x": [1, 2, 3], "y": ["a", "a", "rare"]}), target="y")


def test_columns_are_matched_by_name_when_encoding() -> None:
    frame = pd.DataFrame({"x": [1, 2, 2], "y": ["a", "b", "a"]})
    table, encoding = _learn(frame)
    np.testing.assert_array_equal(encoding.encode(table.select(["y", "x"])).digits, encoding.encode(table).digits)


def test_a_category_never_seen_is_refused_by_name() -> None:
    _, encoding = _learn(pd.DataFrame({"city": ["Ulm", "Bonn"]}))
    with pytest.raises(
        TableError, match=r"Column 'city' must hold categories that occurred in training, got 'Rom' \(2 rows"
    ):
        encoding.encode(convert.read(pd.DataFrame({"city": ["Ulm", "Rom", "Rom"]})))


@pytest.mark.parametrize("column", [["a", "b"], [1, 2], [0.5, 1.5], [False, True]])
def test_missing_that_was_never_seen_is_unknown(column: list[Any]) -> None:
    table, encoding = _learn(pa.table({"x": column}))
    gap = pa.table({"x": pa.array([*column, None], table.schema.field("x").type)})
    assert encoding.encode(gap).digits[:, 0].tolist() == [0, 1, -1]


@pytest.mark.parametrize("values", [10, 200, 900])
def test_numbers_beyond_those_seen_take_the_nearest(values: int) -> None:
    _, encoding = _learn(pd.DataFrame({"x": np.arange(1000) % values}))
    codes = encoding.encode(convert.read(pd.DataFrame({"x": [-(10**9), 10**9]})))
    assert _decode(encoding, codes).column("x").to_pylist() == [0, values - 1]


@pytest.mark.parametrize("gaps", [0, 3])
def test_a_missing_number_has_no_value(gaps: int) -> None:
    """Where none was missing in training there is no digit to say so, and the value alone is unknown."""
    numbers = [*(np.arange(100.0) ** 2).tolist(), *[None] * gaps]
    _, encoding = _learn(pa.table({"x": pa.array(numbers, pa.float64())}))
    codes = encoding.encode(pa.table({"x": pa.array([4.0, None], pa.float64())}))
    assert np.isfinite(codes.values[:, 0]).tolist() == [True, False]
    assert encoding.layout.width == (gaps > 0)
    assert gaps == 0 or codes.digits.tolist() == [[0], [1]]


def test_values_are_drawn_from_their_intervals_only_when_asked() -> None:
    table, encoding = _learn(pd.DataFrame({"x": np.arange(600) // 6}))
    first, again, other = (encoding.encode(table, np.random.default_rng(seed)).values for seed in (0, 0, 1))
    middles = [encoding.encode(table).values for _ in range(2)]
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(middles[0], middles[1])
    assert (first != other).all()
    assert len(np.unique(middles[0])) == 100
    assert len(np.unique(first)) > 590  # single precision


@pytest.mark.parametrize("dtype", ["float64", "float32", "Float64", "double[pyarrow]"])
def test_an_infinity_is_refused_by_name(dtype: str) -> None:
    frame = pd.DataFrame({"rate": pd.Series([0.5, np.inf], dtype=dtype)})
    with pytest.raises(TableError, match=r"(?i)column 'rate': values must be finite"):
        _learn(frame)
    with pytest.raises(TableError, match=r"(?i)column 'rate': values must be finite"):
        _learn(frame, Schema(columns=[Column(name="rate", kind="continuous")]))


def test_a_table_of_constants_has_no_digits() -> None:
    table, encoding = _learn(pd.DataFrame({"a": [1, 1], "b": ["x", "x"]}))
    codes = encoding.encode(table)
    assert codes.digits.shape == (2, 0)
    assert _decode(encoding, codes).equals(table)


POLARS = {
    "texts": pl.Series(["x", None, "y"]),
    "categorical": pl.Series(["x", None, "y"], dtype=pl.Categorical),
    "enum": pl.Series(["x", None, "y"], dtype=pl.Enum(["y", "x", "z"])),
    "integers": pl.Series([1, None, 3], dtype=pl.Int16),
    "floats": pl.Series([0.5, None, 1.25]),
    "booleans": pl.Series([True, None, False]),
    "dates": pl.Series([dt.date(2020, 1, 1), None, dt.date(2020, 2, 2)]),
    "datetimes": pl.Series([dt.date(2020, 1, 1), None, dt.date(2020, 2, 2)]).cast(pl.Datetime("us", "UTC")),
    "decimals": pl.Series([Decimal("1.50"), None, Decimal("2.25")], dtype=pl.Decimal(None, 2)),
    "nothing": pl.Series([None, None, None]),
}


@pytest.mark.parametrize("kind", sorted(POLARS))
def test_polars_columns_come_back(kind: str) -> None:
    table, encoding = _learn(POLARS[kind].to_frame("x"))
    decoded = _decode(encoding, encoding.encode(table))
    assert decoded.schema.equals(table.schema, check_metadata=True)
    assert decoded.column("x").to_pylist() == table.column("x").to_pylist()


def test_polars_texts_may_repeat_without_gaps() -> None:
    table, encoding = _learn(pl.DataFrame({"x": ["a", "b"] * 20, "y": ["u", "v"] * 20}), target="y")
    assert _decode(encoding, encoding.encode(table)).equals(table)
