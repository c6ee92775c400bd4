"""Whatever a row holds, it is made to obey the schema, raises nothing, and changes no other row."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import DECLARED, ODD_TEXTS, TYPES, any_tables, any_values, declared_columns, declared_schemas

from synthvae import Column, Schema, Synthesizer
from synthvae.errors import PrivacyError
from synthvae.schema.coercion import conform, labelled, refuse_other_columns
from synthvae.schema.domain import arrow_schema
from synthvae.tables import convert

law = settings(deadline=None, max_examples=20)
few = settings(deadline=None, max_examples=4)
by_kind = pytest.mark.parametrize("kind", DECLARED)
by_type = pytest.mark.parametrize("name", sorted(TYPES))
YEAR = (dt.date(2020, 1, 1), dt.date(2020, 12, 31))
NAN, INF = float("nan"), float("inf")

AGE = Column(name="x", kind="integer", bounds=(0, 120))
DOSE = Column(name="x", kind="continuous", bounds=(0, 10), decimals=1)
CODED = Column(name="x", kind="integer", bounds=(0, 120), sentinels=["N", -9])
SEX = Column(name="x", kind="categorical", categories=["F", "M"])
STAGE = Column(name="x", kind="categorical", categories=[1, 2, 3])
SITE = Column(name="x", kind="categorical", categories=["a", "b"], other_category="b")
SMOKER = Column(name="x", kind="boolean")
DAY = Column(name="x", kind="date", bounds=YEAR)
SEEN = Column(name="x", kind="datetime", bounds=YEAR)


def conformed(column: Column, values: Any) -> list[Any]:
    """The values of one column "x", made to obey."""
    given_values = values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values)
    return list(conform(pa.table({"x": given_values}), Schema(columns=[column])).column("x").to_pylist())


@by_kind
@law
@given(st.data())
def test_any_table_is_made_to_obey_its_schema(kind: str, data: st.DataObject) -> None:
    schema = data.draw(declared_schemas(kind))
    table = data.draw(any_tables(schema))
    conformed = conform(table, schema)
    assert conformed.num_rows == table.num_rows
    assert conformed.schema.equals(arrow_schema(schema), check_metadata=True)
    conformed.validate(full=True)
    if table.num_rows:
        schema.check(conformed)


@by_type
@few
@given(st.data())
def test_values_of_any_type_are_made_to_obey_each_kind(name: str, data: st.DataObject) -> None:
    for kind in DECLARED:
        schema = data.draw(declared_schemas(kind, max_columns=1))
        values = data.draw(any_values(schema.columns[0], 12, name))
        schema.check(conform(pa.table({schema.names[0]: values}), schema))


@by_kind
@law
@given(st.data())
def test_each_row_is_conformed_by_itself(kind: str, data: st.DataObject) -> None:
    schema = data.draw(declared_schemas(kind))
    table = data.draw(any_tables(schema, rows=24))
    cut = data.draw(st.integers(0, 24))
    apart = [conform(part, schema) for part in (table[:cut], table[cut:])]
    assert conform(table, schema).equals(pa.concat_tables(apart).combine_chunks())


@by_type
@few
@given(st.data())
def test_one_row_more_changes_no_other(name: str, data: st.DataObject) -> None:
    column = data.draw(declared_schemas(max_columns=1)).columns[0]
    values = data.draw(any_values(column, 9, name)).combine_chunks()
    place = data.draw(st.integers(0, 8))
    without = pa.concat_arrays([values[:place], values[place + 1 :]])
    found = conformed(column.model_copy(update={"name": "x"}), values)
    del found[place]
    assert found == conformed(column.model_copy(update={"name": "x"}), without)


@by_kind
@law
@given(st.data())
def test_what_obeys_stays_as_it_is(kind: str, data: st.DataObject) -> None:
    schema = data.draw(declared_schemas(kind))
    conformed = conform(data.draw(any_tables(schema)), schema)
    assert conform(conformed, schema).equals(conformed)


@law
@given(st.data())
def test_chunks_and_dictionaries_do_not_matter(data: st.DataObject) -> None:
    column = data.draw(declared_columns().filter(lambda column: column.kind != "id"))
    column = column.model_copy(update={"name": "x", "nullable": True})
    texts = data.draw(st.lists(st.none() | st.sampled_from(ODD_TEXTS), min_size=4, max_size=12))
    plain = conformed(column, pa.array(texts, pa.string()))
    assert conformed(column, pa.array(texts, pa.string()).dictionary_encode()) == plain
    assert conformed(column, pa.chunked_array([texts[:2], [], texts[2:]], pa.large_string())) == plain
    parts = [pa.array(part, pa.string()).dictionary_encode() for part in (texts[:2], texts[2:])]
    assert conformed(column, pa.chunked_array(parts)) == plain


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        (AGE, [-1, 0, 119.5, 121, NAN, INF, None], [0, 0, 120, 120, None, None, None]),
        (AGE, ["7", " 7 ", "7.4", "1e999", "18446744073709551616", "x", ""], [7, 7, 7, None, 120, None, None]),
        (AGE, [True, False, None], [1, 0, None]),
        (AGE, [decimal.Decimal("1.6"), None], [2, None]),
        (AGE, [[1], None], [None, None]),
        (AGE, [2**63 - 1, -(2**63)], [120, 0]),
        (AGE, pa.array([2**64 - 1], pa.uint64()), [120]),
        (AGE.model_copy(update={"nullable": False}), [None, 5, NAN], [0, 5, 0]),
        (AGE.model_copy(update={"bounds": (0.5, 3.5)}), [0, 1, 3, 4], [1, 1, 3, 3]),
        (DOSE, [0.26, -0.01, 11.0], [0.3, 0.0, 10.0]),
        (DOSE.model_copy(update={"bounds": (0.05, 0.95)}), [0.0, 1.0], [0.1, 0.9]),
        (CODED, ["N", "-9", "-9.0", "5", "n", None], ["N", "-9", "-9", "5", None, None]),
        (CODED, [5, -9, -8], ["5", "-9", "0"]),
        (CODED.model_copy(update={"sentinels": (-9,)}), [5, -9, -8], [5, -9, 0]),
        (CODED.model_copy(update={"sentinels": (0.5,)}), [5, 0.5, 0.4], [5.0, 0.5, 0.0]),
        (SEX, ["F", "x", "f", None], ["F", None, None, None]),
        (SEX.model_copy(update={"nullable": False}), ["M", "x", None], ["M", "F", "F"]),
        (SITE, ["a", "x", None], ["a", "b", None]),
        (SITE.model_copy(update={"nullable": False}), ["a", "x", None], ["a", "b", "b"]),
        (SITE.model_copy(update={"categories": ("None", "nan", "b")}), ["None", None, "nan"], ["None", None, "nan"]),
        (SITE.model_copy(update={"categories": ("nan", "b")}), [NAN, 1.0], [None, "b"]),
        (SITE, ["nan", "Nan"], ["b", "b"]),
        (STAGE, [1.0, 2.5, NAN, 4], [1, None, None, None]),
        (STAGE, ["1", "01", "2.0", "x"], [1, 1, 2, None]),
        (SMOKER, [1, 0, 2], [True, False, None]),
        (SMOKER, ["true", "FALSE", "0", "x"], [True, False, False, None]),
        (SMOKER.model_copy(update={"categories": ("no", "yes")}), ["yes", "maybe"], ["yes", None]),
        (DAY, [dt.date(1, 1, 1), dt.date(9999, 12, 31), dt.date(2020, 2, 29)], [*YEAR, dt.date(2020, 2, 29)]),
        (DAY, ["2020-02-29 23:59:59", "2020-02-30", "20200229"], [dt.date(2020, 2, 29), None, dt.date(2020, 2, 29)]),
        (DAY, [20200229, 1], [dt.date(2020, 2, 29), None]),
        (DAY, [dt.time(1, 2)], [None]),
    ],
)
def test_each_value_becomes_the_nearest_that_is_allowed(column: Column, values: Any, expected: list[Any]) -> None:
    assert conformed(column, values) == expected


def test_what_is_no_utf8_is_no_error() -> None:
    offsets, byte = pa.py_buffer(np.array([0, 1], np.int32)), pa.py_buffer(b"\xff")
    broken = pa.Array.from_buffers(pa.string(), 1, [None, offsets, byte])
    assert [conformed(column, broken) for column in (AGE, CODED, SEX, SITE, DAY)] == [[None]] * 3 + [["b"], [None]]


def test_a_day_ends_at_midnight() -> None:
    moments = [dt.datetime(2019, 12, 31, 23), dt.datetime(2020, 12, 31, 18, 30, 1, 5), dt.datetime(2021, 1, 1)]  # noqa: DTZ001
    first, within, last = conformed(SEEN, moments)
    assert str(first) == "2020-01-01 00:00:00"
    assert str(within) == "2020-12-31 18:30:01"
    assert str(last) == "2020-12-31 23:59:59"


@pytest.mark.parametrize("kind", [pa.date32(), pa.timestamp("s"), pa.timestamp("ms", "UTC"), pa.timestamp("us")])
def test_moments_beyond_all_calendars_become_the_nearest_bound(kind: pa.DataType) -> None:
    width = pa.int32() if kind == pa.date32() else pa.int64()
    largest = 2 ** (width.bit_width - 1) - 1
    assert conformed(DAY, pa.array([-largest, largest], width).cast(kind)) == list(YEAR)


def test_a_nanosecond_in_one_row_loses_no_far_moment_of_another() -> None:
    assert conformed(DAY, ["9999-12-31", "2020-05-05T00:00:00.000000001"]) == [YEAR[1], dt.date(2020, 5, 5)]


ZONE = dt.timezone(dt.timedelta(hours=5, minutes=30))


def test_moments_of_bounds_with_a_zone_are_in_utc() -> None:
    bounds = (dt.datetime(2020, 1, 1, 5, 30, tzinfo=ZONE), dt.datetime(2020, 1, 2, 5, 30, tzinfo=ZONE))
    column = Column(name="x", kind="datetime", bounds=bounds)
    texts = ["2020-01-01T12:00:00+05:30", "2020-01-01T12:00:00", "1999-01-01", "2030-01-01T00:00:00Z"]
    found = [str(moment) for moment in conformed(column, texts)]
    assert found == [f"2020-01-{day} {hour}:00+00:00" for day, hour in [("01", "06:30"), ("01", "12:00")]] + [
        "2020-01-01 00:00:00+00:00",
        "2020-01-02 00:00:00+00:00",
    ]


def test_what_lies_between_whole_seconds_does_not_leave_the_bounds() -> None:
    bounds = (dt.datetime(2020, 1, 1, 0, 0, 0, 500_000), dt.datetime(2020, 1, 1, 0, 0, 3, 500_000))  # noqa: DTZ001
    column = Column(name="x", kind="datetime", bounds=bounds)
    found = conformed(column, ["2020-01-01T00:00:00.7", "2020-01-01T00:00:03.4"])
    assert [moment.second for moment in found] == [1, 3]


WRITINGS: list[tuple[Column, Any, list[Any]]] = [
    (AGE, [7, None, 200], [pa.int64(), pa.uint8(), pa.float64(), pa.decimal128(30, 2), pa.string()]),
    (CODED, [7, None, -9], [pa.int64(), pa.float32(), pa.decimal128(30, 2), pa.string()]),
    (CODED.model_copy(update={"sentinels": ("-9",)}), [7, None, -9], [pa.int64(), pa.float64(), pa.string()]),
    (DOSE, [1.5, None, 20.25], [pa.float64(), pa.float16(), pa.decimal128(30, 2), pa.string()]),
    (STAGE, [1, None, 4], [pa.int8(), pa.float64(), pa.decimal128(30, 2), pa.string()]),
    (STAGE.model_copy(update={"categories": ("01", "02")}), [1, None, 4], [pa.int64(), pa.float64(), pa.string()]),
    (SMOKER, [True, None, False], [pa.bool_(), pa.int64(), pa.float64(), pa.string()]),
    (SEX.model_copy(update={"categories": ("true", "false")}), [True, None, False], [pa.bool_(), pa.string()]),
    (DAY, YEAR, [pa.date32(), pa.date64(), pa.timestamp("s"), pa.timestamp("ns", "UTC"), pa.string()]),
    (DAY, [20200115, None], [pa.int64(), pa.float64(), pa.string()]),
]


@pytest.mark.parametrize(("column", "values", "kinds"), WRITINGS)
def test_the_type_in_which_a_value_comes_does_not_matter(column: Column, values: Any, kinds: list[Any]) -> None:
    found = [conformed(column, _as(values, kind)) for kind in kinds]
    assert found == [found[0]] * len(kinds)


def _as(values: Any, kind: pa.DataType) -> pa.Array:
    """The same values in another type."""
    array = pa.array(values)
    return (
        array.cast(pa.int8()).cast(kind)
        if pa.types.is_boolean(array.type) and kind != pa.string()
        else array.cast(kind)
    )


@pytest.mark.parametrize("number", [1e300, 813.8304284826716, 3e15 + 0.5])
def test_a_number_too_large_for_its_decimals_stays(number: float) -> None:
    column = Column(name="x", kind="continuous", bounds=(-1e301, 1e301), decimals=15)
    assert conformed(column, [number, -number, 0.5]) == [number, -number, 0.5]


def test_pandas_categoricals_conform_like_their_values() -> None:
    frame = pd.DataFrame({"x": pd.Categorical(["M", None, "z", "F"])})
    conformed = conform(convert.read(frame), Schema(columns=[SEX]))
    assert conformed.column("x").to_pylist() == ["M", None, None, "F"]


def test_ids_are_not_looked_at() -> None:
    for nullable in (True, False):
        column = Column(name="x", kind="id", nullable=nullable)
        assert conformed(column, ["P1", "P2"]) == conformed(column, [3, None])


LABELS = ["a", "b", "c", None, "a"]


def test_labelled_drops_the_rows_without_an_allowed_label() -> None:
    schema = Schema(columns=[SEX.model_copy(update={"categories": ("a", "b")}), AGE.model_copy(update={"name": "n"})])
    table = pa.table({"x": LABELS, "n": range(5)})
    assert labelled(table, schema, "x").column("n").to_pylist() == [0, 1, 4]
    assert labelled(table, schema, None).equals(table)


def test_views_of_texts_are_labels() -> None:
    table = pa.table({"x": pa.array(["F", "x", "M"], pa.string_view())})
    assert labelled(table, Schema(columns=[SEX]), "x").column("x").to_pylist() == ["F", "M"]


@pytest.mark.parametrize(
    "facts", [{"nullable": False}, {"other_category": "b"}, {"nullable": False, "other_category": "a"}]
)
def test_a_label_has_no_other(facts: dict[str, Any]) -> None:
    schema = Schema(columns=[Column(name="x", kind="categorical", categories=["a", "b"], **facts)])
    assert labelled(pa.table({"x": LABELS}), schema, "x").column("x").to_pylist() == ["a", "b", "a"]


@pytest.mark.parametrize("values", [["5", "N", "-9", "x", "500", None], ["5", "N", "-9.0", "inf", "500", "nan"]])
def test_marks_are_no_labels_and_numbers_out_of_bounds_are(values: list[str | None]) -> None:
    kept = labelled(pa.table({"x": values}), Schema(columns=[CODED]), "x")
    assert kept.column("x").to_pylist() == ["5", "500"]


@law
@given(st.data())
def test_labelled_keeps_a_row_whatever_others_are(data: st.DataObject) -> None:
    schema = data.draw(declared_schemas(max_columns=1))
    table = data.draw(any_tables(schema, rows=12))
    whole = labelled(table, schema, schema.names[0])
    apart = [labelled(table[row : row + 1], schema, schema.names[0]) for row in range(12)]
    assert whole.equals(pa.concat_tables(apart).combine_chunks())


@pytest.mark.parametrize(
    ("names", "problem"),
    [(["y"], r"\['x'\] are missing"), ([], r"\['x'\] are missing"), (["x", "y"], r"\['y'\] are undeclared")],
)
def test_other_columns_are_refused_by_name(names: list[str], problem: str) -> None:
    with pytest.raises(PrivacyError, match=rf"must have the columns of its schema; {problem}. Declare or drop"):
        refuse_other_columns(names, Schema(columns=[AGE]))


def test_the_order_of_columns_is_free() -> None:
    schema = Schema(columns=[AGE, SEX.model_copy(update={"name": "y"})])
    refuse_other_columns(["y", "x"], schema)
    assert conform(pa.table({"y": ["F"], "x": [1]}), schema).column_names == ["x", "y"]


LARGE = 2**63 + 5


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (AGE, [120, 120, 7, None]),
        (CODED, ["120", "120", "7", None]),
        (DOSE, [10.0, 10.0, 7.0, None]),
        (STAGE.model_copy(update={"categories": (7, LARGE)}), [LARGE, None, 7, None]),
        (STAGE.model_copy(update={"categories": ("7", str(LARGE))}), [str(LARGE), None, "7", None]),
        (AGE.model_copy(update={"sentinels": (LARGE,)}), [float(LARGE), 120.0, 7.0, None]),
        (SMOKER, [None] * 4),
        (DAY, [None] * 4),
        (SEEN, [None] * 4),
    ],
)
def test_whole_numbers_of_64_bits_without_a_sign_conform_like_any_other(column: Column, expected: list[Any]) -> None:
    assert conformed(column, pa.array([LARGE, 2**64 - 1, 7, None], pa.uint64())) == expected


MARKED = {"kind": "integer", "bounds": (0, 9), "sentinels": [LARGE]}  # beside numbers, which are doubles


@pytest.mark.parametrize("column", [{"categories": [7, LARGE]}, MARKED], ids=["category", "mark"])
def test_whole_numbers_of_64_bits_without_a_sign_are_learned_privately(column: dict[str, Any]) -> None:
    schema = Schema(columns=[Column(**{"name": "x", "kind": "categorical", "nullable": False, **column})])
    budget = {"epsilon": 9.0, "delta": 1e-6, "rows": 300}
    synthesizer = Synthesizer(schema=schema, privacy=budget, strategy="tables", max_steps=2, width=4, random_state=0)
    made = synthesizer.fit(pa.table({"x": pa.array([LARGE, 7, LARGE] * 100, pa.uint64())})).sample(50)
    large = LARGE if column is not MARKED else float(LARGE)
    assert {7, large} <= set(made["x"])
    assert made["x"].isin([7, large]).mean() > 0.8  # noise may make another number of the bounds
