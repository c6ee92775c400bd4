"""One rule by which values are sentinel values, for every type of column and wherever they are compared."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from synthvae import Column, Schema
from synthvae.encoding.numeric import NumericEncoding
from synthvae.encoding.sentinels import is_sentinel
from synthvae.schema.drafts import drafted
from synthvae.schema.protection import protect
from synthvae.schema.protection_rules import Subjects, sort_keys
from synthvae.tables.arrow import are_sentinels, split_sentinels

NUMBERS: list[Any] = [-9, 1, None, 2, -9]
TYPES = [pa.int8(), pa.int64(), pa.float16(), pa.float32(), pa.float64(), pa.decimal128(6, 1)]


def column_of(values: list[Any], kind: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_float16(kind):
        return pa.chunked_array([pa.array(values, pa.float32()).cast(kind)])
    if pa.types.is_decimal(kind):
        return pa.chunked_array([pa.array([None if v is None else Decimal(v) for v in values], kind)])
    return pa.chunked_array([pa.array(values).cast(kind)])


@pytest.mark.parametrize("kind", TYPES, ids=str)
@pytest.mark.parametrize("sentinel", [-9, -9.0, "-9", "-9.0"])
def test_numbers_are_compared_as_numbers_everywhere(kind: pa.DataType, sentinel: Any) -> None:
    values = column_of(NUMBERS, kind)
    expected = [True, False, False, False, True]
    assert are_sentinels(values, [sentinel]).to_pylist() == expected
    assert is_sentinel(values, sentinel).tolist() == expected
    numbers, others = split_sentinels(values, [sentinel])
    assert (numbers.to_pylist(), others) == ([None, 1.0, None, 2.0, None], [])
    column = Column(name="x", kind="continuous", sentinels=[sentinel])
    assert sort_keys(column, values.combine_chunks())[1].tolist() == [False, True, False, True, False]


@pytest.mark.parametrize(("sentinel", "hits"), [(-9, [0]), ("-9", [0]), (-9.0, [1]), ("-9.0", [1]), ("N", [2])])
def test_texts_are_compared_as_texts_everywhere(sentinel: Any, hits: list[int]) -> None:
    values = pa.chunked_array([["-9", "-9.0", "N", "5", None]])
    assert np.flatnonzero(are_sentinels(values, [sentinel]).to_numpy()).tolist() == hits
    assert np.flatnonzero(is_sentinel(values, sentinel)).tolist() == hits


def test_single_precision_has_the_sentinel_values_that_are_written() -> None:
    values = column_of([-99.9, 1.5, 2.5] * 30, pa.float32())
    column = Column(name="x", kind="continuous", sentinels=[-99.9])
    learned = NumericEncoding.learn(column, values)
    assert (learned.marks, learned.low) == ((-99.9,), 1.5)


def test_values_of_other_types_are_no_sentinel_values() -> None:
    assert are_sentinels(pa.chunked_array([[True, None]]), [1]).to_pylist() == [False, False]
    assert are_sentinels(pa.chunked_array([pa.nulls(2)]), ["N"]).to_pylist() == [False, False]


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.decimal128(6, 1)], ids=str)
@pytest.mark.parametrize("sentinel", [-9, -9.0])
def test_sentinel_values_of_few_rows_leave_drafts_and_schemas(kind: pa.DataType, sentinel: Any) -> None:
    def learned(rows: int) -> tuple[pa.Table, Schema]:
        table = pa.table({"x": column_of([*([-9] * rows), *(n % 50 for n in range(300))], kind)})
        columns = [Column(name="x", kind="integer", bounds=(0, 50), sentinels=[sentinel])]
        return table, Schema(columns=columns, inferred=True)

    for rows, kept in ((12, (sentinel,)), (3, ())):
        table, schema = learned(rows)
        assert drafted(schema, table).schema["x"].sentinels == kept
        assert protect(table, schema, None, Subjects(5), None).schema["x"].sentinels == kept


def test_sentinel_values_of_dates_as_numbers_leave_the_schema() -> None:
    dates = [20200101 + n % 28 for n in range(300)]
    for sentinel in (99999999, "99999999"):
        column = Column(name="d", kind="date", format="%Y%m%d", sentinels=[sentinel])
        for rows, kept in ((9, (sentinel,)), (2, ())):
            table = pa.table({"d": dates + [99999999] * rows})
            found = protect(table, Schema(columns=[column], inferred=True), None, Subjects(5), None)
            assert found.schema["d"].sentinels == kept
