"""Encodings that follow from a schema alone: any table goes in, and whatever comes out obeys the schema."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from roundtrip import random_codes
from strategies import DECLARED, any_tables, declared_columns, declared_schemas

from synthvae import Column, Schema
from synthvae.encoding import Codes, TableEncoding
from synthvae.encoding.protocol import CodedColumn
from synthvae.encoding.temporal import TemporalEncoding
from synthvae.errors import ConfigurationError
from synthvae.schema.coercion import conform, labelled
from synthvae.schema.column import NUMERIC
from synthvae.schema.domain import arrow_schema, refuse_undeclared
from synthvae.tables.number_format import is_number

law = settings(deadline=None, max_examples=20)
by_kind = pytest.mark.parametrize("kind", DECLARED)
TARGETS = ["categorical", "boolean", "integer", "continuous"]


@st.composite
def targeted(draw: Any, kind: str) -> tuple[Schema, str | None]:
    """A declared schema, and one of its columns as the target, or none."""
    schema: Schema = draw(declared_schemas(kind))
    possible = [column.name for column in schema.columns if column.kind in TARGETS and _has_labels_only(column)]
    return schema, draw(st.sampled_from([None, *possible]))


def _has_labels_only(column: Column) -> bool:
    """Whether each value is a label: no mark among its numbers, and between whole bounds whole classes."""
    if column.kind not in NUMERIC:
        return True
    whole = all(float(bound).is_integer() for bound in column.bounds or ())  # type: ignore[arg-type]
    return whole and not column.nullable and not column.sentinels


def _decoded(encoding: TableEncoding, codes: Codes, seed: int = 0) -> pa.Table:
    return encoding.decode(codes, np.random.default_rng(seed))


def _as_decoded(encoding: TableEncoding, codes: Codes) -> np.ndarray[Any, Any]:
    """Digits, those of combinations past the last state replaced by its own."""
    return encoding.layout.split(encoding.layout.join(codes.digits)).reshape(codes.digits.shape)


def _without_numeric_sentinels(schema: Schema, table: pa.Table) -> np.ndarray[Any, Any]:
    """The rows without a sentinel that is a number, which a number that is drawn within the bounds may equal."""
    found = np.ones(len(table), bool)
    for column in schema.columns:
        numeric = [sentinel for sentinel in column.sentinels if is_number(str(sentinel))]
        found &= [cell not in numeric for cell in table.column(column.name).to_pylist()]
    return found


@by_kind
@law
@given(st.data())
def test_no_table_is_needed(kind: str, data: st.DataObject) -> None:
    schema, target = data.draw(targeted(kind))
    encoding = TableEncoding.declare(schema, target)
    assert encoding == TableEncoding.declare(Schema.from_yaml(schema.to_yaml()), target)
    assert encoding.names == tuple(schema.names)
    assert encoding.arrow_schema.equals(arrow_schema(schema), check_metadata=True)


@by_kind
@law
@given(st.data())
def test_any_table_that_was_conformed_is_encoded(kind: str, data: st.DataObject) -> None:
    schema, target = data.draw(targeted(kind))
    encoding = TableEncoding.declare(schema, target)
    rows = conform(labelled(data.draw(any_tables(schema)), schema, target), schema)
    codes = encoding.encode(rows)
    assert codes.digits.shape == (len(rows), encoding.layout.width)
    assert (codes.digits >= 0).all()
    assert (codes.digits < np.array(encoding.layout.sizes, int)).all()
    assert set(codes.labels.tolist()) <= set(range(encoding.conditions))


@by_kind
@law
@given(st.data(), st.integers(0, 2**32 - 1))
def test_any_codes_decode_into_the_schema(kind: str, data: st.DataObject, seed: int) -> None:
    schema, target = data.draw(targeted(kind))
    encoding = TableEncoding.declare(schema, target)
    decoded = _decoded(encoding, random_codes(encoding, 50, seed), seed)
    assert decoded.schema.equals(arrow_schema(schema), check_metadata=True)
    decoded.validate(full=True)
    schema.check(decoded)


@by_kind
@law
@given(st.data(), st.integers(0, 2**32 - 1))
def test_what_was_decoded_has_the_codes_it_was_decoded_from(kind: str, data: st.DataObject, seed: int) -> None:
    schema, target = data.draw(targeted(kind))
    encoding = TableEncoding.declare(schema, target)
    codes = random_codes(encoding, 50, seed)
    decoded = _decoded(encoding, codes, seed)
    again, clear = encoding.encode(decoded), _without_numeric_sentinels(schema, decoded)
    np.testing.assert_array_equal(again.digits[clear], _as_decoded(encoding, codes)[clear])
    if encoding.target and encoding.target.classes:
        np.testing.assert_array_equal(again.labels, codes.labels)


@by_kind
@law
@given(st.data())
def test_what_was_decoded_needs_no_conforming(kind: str, data: st.DataObject) -> None:
    schema, target = data.draw(targeted(kind))
    encoding = TableEncoding.declare(schema, target)
    decoded = _decoded(encoding, random_codes(encoding, 30))
    ids = [column.name for column in schema.columns if column.kind == "id"]  # of which nothing is kept
    assert conform(decoded, schema).drop_columns(ids).equals(decoded.drop_columns(ids))


@by_kind
@law
@given(st.data())
def test_a_declared_encoding_survives_json(kind: str, data: st.DataObject) -> None:
    schema, target = data.draw(targeted(kind))
    encoding = TableEncoding.declare(schema, target)
    again = TableEncoding.model_validate(encoding.model_dump(mode="json"))
    assert again == encoding == TableEncoding.model_validate_json(encoding.model_dump_json())
    assert list(again.columns) == list(encoding.columns)
    codes = random_codes(encoding, 10)
    assert _decoded(again, codes).equals(_decoded(encoding, codes))


COLUMNS = [
    Column(name="age", kind="integer", bounds=(0, 120), sentinels=["N"]),
    Column(name="dose", kind="continuous", bounds=(0, 10), decimals=1, bins=(0.5, 2.5)),
    Column(name="stage", kind="categorical", categories=["I", "II"], nullable=False),
    Column(name="alive", kind="boolean"),
    Column(name="day", kind="date", bounds=(dt.date(2020, 1, 1), dt.date(2020, 12, 31))),
    Column(name="patient", kind="id"),
]
SCHEMA = Schema(columns=COLUMNS)


def test_classes_are_those_declared_and_nothing_is_known_of_their_rows() -> None:
    target = TableEncoding.declare(SCHEMA, "stage").target
    assert target is not None
    assert target.labels == ["I", "II"]
    assert target.counts == (1, 1)


def test_a_continuous_target_has_its_bins_as_conditions_and_comes_first() -> None:
    encoding = TableEncoding.declare(SCHEMA, "dose")
    assert next(iter(encoding.columns)) == "dose"
    assert encoding.target is not None
    assert encoding.target.edges == (0.5, 2.5)
    assert encoding.conditions == 3


def test_a_target_of_few_whole_numbers_is_classes() -> None:
    schema = SCHEMA.declare("age", bounds=(0, 3), sentinels=())
    assert TableEncoding.declare(schema, "age").target.labels == [0, 1, 2, 3]  # type: ignore[union-attr]


def test_whole_numbers_in_declared_bins_are_no_classes() -> None:
    schema = SCHEMA.declare("age", bounds=(0, 3), bins=(2,))
    target = TableEncoding.declare(schema, "age").target
    assert target is not None
    assert target.classes is None
    assert target.edges == (2,)


@pytest.mark.parametrize("values", [["1", "N", "3", None, "x", "9"], [1, 3, 3, None]])
def test_labels_among_marks_are_encoded(values: list[Any]) -> None:
    schema = Schema(columns=[Column(name="age", kind="integer", bounds=(0, 3), sentinels=["N"])])
    rows = conform(labelled(pa.table({"age": values}), schema, "age"), schema)
    assert TableEncoding.declare(schema, "age").encode(rows).labels.tolist() == [1, 3, 3]


def test_counted_changes_the_counts_alone() -> None:
    encoding = TableEncoding.declare(SCHEMA, "stage")
    counted = encoding.counted(np.array([3.0, 1.0]))
    assert counted.frequencies.tolist() == [0.75, 0.25]
    assert counted.columns == encoding.columns
    assert encoding.target is not None
    assert encoding.target.counts == (1, 1)


def test_without_a_target_nothing_is_counted() -> None:
    encoding = TableEncoding.declare(SCHEMA, None)
    assert encoding.counted(np.array([7.0])) is encoding
    assert encoding.conditions == 1


@pytest.mark.parametrize("order", ["auto", "table"])
def test_columns_are_in_the_order_of_the_schema(order: str) -> None:
    assert list(TableEncoding.declare(SCHEMA, None, order).columns) == SCHEMA.names


def test_columns_may_be_in_an_order_that_names_them() -> None:
    order = SCHEMA.names[::-1]
    assert list(TableEncoding.declare(SCHEMA, None, order).columns) == order


@pytest.mark.parametrize("order", ["information", ["age"], ["age", "age", "dose", "alive", "day", "patient", "stage"]])
def test_an_order_that_needs_rows_or_names_not_each_column_is_refused(order: Any) -> None:
    with pytest.raises(ConfigurationError, match="`order` must be among"):
        TableEncoding.declare(SCHEMA, None, order)


def test_ids_are_made_and_have_no_digits() -> None:
    encoding = TableEncoding.declare(SCHEMA, None)
    codes = random_codes(encoding, 3)
    assert encoding.layout.spans["patient"].start == encoding.layout.spans["patient"].stop
    assert encoding.decode(codes, np.random.default_rng(0), rows=range(10, 13)).column("patient").to_pylist() == [
        11,
        12,
        13,
    ]


MIDNIGHT = dt.datetime(2020, 1, 1)  # noqa: DTZ001
INDIA = dt.timezone(dt.timedelta(hours=5, minutes=30))
IN_TIME: list[tuple[Any, tuple[Any, Any], list[str]]] = [
    ("date", (dt.date(2020, 1, 1), dt.date(2020, 1, 3)), ["2020-01-01", "2020-01-02", "2020-01-03"]),
    ("date", (MIDNIGHT, MIDNIGHT.replace(day=3, hour=18)), ["2020-01-01", "2020-01-02", "2020-01-03"]),
    ("date", (MIDNIGHT.replace(tzinfo=INDIA), MIDNIGHT.replace(day=2, tzinfo=INDIA)), ["2020-01-01", "2020-01-02"]),
    ("date", (dt.date(1, 1, 1), dt.date(1, 1, 1)), ["0001-01-01"]),
    ("date", (dt.date(1969, 12, 31), dt.date(1970, 1, 1)), ["1969-12-31", "1970-01-01"]),
    ("datetime", (MIDNIGHT, MIDNIGHT.replace(second=1)), ["2020-01-01 00:00:00", "2020-01-01 00:00:01"]),
    ("datetime", (MIDNIGHT.replace(microsecond=1), MIDNIGHT.replace(second=1)), ["2020-01-01 00:00:01"]),
    ("datetime", (MIDNIGHT.replace(tzinfo=dt.UTC),) * 2, ["2020-01-01 00:00:00+00:00"]),
    ("datetime", (MIDNIGHT.replace(tzinfo=INDIA),) * 2, ["2019-12-31 18:30:00+00:00"]),
]


@pytest.mark.parametrize(("kind", "bounds", "all_of_them"), IN_TIME)
def test_every_moment_between_bounds_is_drawn_and_no_other(kind: Any, bounds: Any, all_of_them: list[str]) -> None:
    schema = Schema(columns=[Column(name="x", kind=kind, bounds=bounds, nullable=False)])
    encoding = TableEncoding.declare(schema, None)
    drawn = _decoded(encoding, random_codes(encoding, 60))
    schema.check(drawn)
    assert sorted({str(moment) for moment in drawn.column("x").to_pylist()}) == all_of_them


def test_the_last_day_of_datetimes_is_drawn_to_its_end() -> None:
    day = dt.date(2020, 1, 1)
    schema = Schema(columns=[Column(name="x", kind="datetime", bounds=(day, day), nullable=False)])
    encoding = TableEncoding.declare(schema, None)
    hours = {moment.hour for moment in _decoded(encoding, random_codes(encoding, 600)).column("x").to_pylist()}
    assert hours == set(range(24))


@law
@given(st.sampled_from(["date", "datetime"]).flatmap(declared_columns), st.data())
def test_moments_stay_in_their_bins(column: Column, data: st.DataObject) -> None:
    schema = Schema(columns=[column])
    for _ in _if_possible(schema):
        encoding = TemporalEncoding.declare(column)
        rows = conform(data.draw(any_tables(schema, rows=20)), schema).column(column.name)
        states = encoding.encode(column.name, rows)
        drawn = encoding.decode(CodedColumn(states, np.random.default_rng(0)), rows.type)
        assert encoding.encode(column.name, pa.chunked_array([drawn])).tolist() == states.tolist()


def _if_possible(schema: Schema) -> Iterator[None]:
    try:
        refuse_undeclared(schema)
    except ValueError:
        return
    yield
