"""Schemas of Arrow, pandera and SDV become schemas; what does not decide a kind is inferred."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from synthvae import Column, Schema
from synthvae.errors import SchemaError


def test_arrow_types_nullability_and_dictionaries() -> None:
    fields = [
        pa.field("age", pa.int32(), nullable=False),
        pa.field("crp", pa.float64()),
        pa.field("cost", pa.decimal128(9, 2)),
        pa.field("ill", pa.bool_()),
        pa.field("born", pa.date32()),
        pa.field("seen", pa.timestamp("us", "UTC")),
        pa.field("stage", pa.dictionary(pa.int8(), pa.string(), ordered=True)),
        pa.field("note", pa.string()),
    ]
    schema = Schema.from_arrow(pa.schema(fields))
    assert {c.name: c.kind for c in schema.columns} == {
        "age": "integer",
        "crp": "continuous",
        "cost": "continuous",
        "ill": "boolean",
        "born": "date",
        "seen": "datetime",
        "stage": "categorical",
    }
    assert (schema["age"].nullable, schema["crp"].nullable) == (False, True)
    assert (schema["cost"].decimals, schema["stage"].ordered, schema.inferred) == (2, True, False)


def test_arrow_types_without_a_kind_are_named_together() -> None:
    with pytest.raises(SchemaError, match=r"'a \(list<.*'b \(binary\)'"):
        Schema.from_arrow(pa.schema([("a", pa.list_(pa.int8())), ("b", pa.binary()), ("x", pa.int8())]))
    with pytest.raises(SchemaError, match="all columns are then inferred"):
        Schema.from_arrow(pa.schema([("a", pa.string())]))


def of_pandera(dtype: str | None, *checks: tuple[str, dict[str, Any]], **more: Any) -> SimpleNamespace:
    """A column as pandera has it."""
    found = [SimpleNamespace(name=name, statistics=statistics) for name, statistics in checks]
    return SimpleNamespace(**{"dtype": dtype, "checks": found, "nullable": False, "unique": False, **more})


def test_pandera_dtypes_and_checks() -> None:
    columns = {
        "age": of_pandera("int64", ("in_range", {"min_value": 0, "max_value": 120, "include_max": False})),
        "crp": of_pandera("float64", ("greater_than_or_equal_to", {"min_value": 0.0}), nullable=True),
        "sex": of_pandera("string[pyarrow]", ("isin", {"allowed_values": ["f", "m"]})),
        "case": of_pandera("str", unique=True),
        "seen": of_pandera("datetime64[ns]"),
        "note": of_pandera("str"),
        "ill": of_pandera("bool"),
    }
    with pytest.warns(UserWarning, match="greater_than_or_equal_to of 'crp'"):
        schema = Schema.from_pandera(SimpleNamespace(columns=columns))
    assert schema.columns == (
        Column(name="age", kind="integer", bounds=(0, 119), nullable=False),
        Column(name="crp", kind="continuous", nullable=True),
        Column(name="sex", kind="categorical", categories=["f", "m"], nullable=False),
        Column(name="case", kind="id", nullable=False),
        Column(name="seen", kind="datetime", nullable=False),
        Column(name="ill", kind="boolean", nullable=False),
    )


def test_pandera_itself() -> None:
    pandera = pytest.importorskip("pandera.pandas")

    class Visits(pandera.DataFrameModel):  # type: ignore[misc,name-defined]
        age: int = pandera.Field(ge=0, le=120)
        sex: str = pandera.Field(isin=["f", "m"], nullable=True)

    assert Schema.from_pandera(Visits).columns == (
        Column(name="age", kind="integer", bounds=(0, 120), nullable=False),
        Column(name="sex", kind="categorical", categories=["f", "m"], nullable=True),
    )


def test_other_objects_are_no_pandera_schema() -> None:
    with pytest.raises(SchemaError, match="must be a DataFrameSchema, got a int"):
        Schema.from_pandera(3)


SDV = {
    "columns": {
        "case": {"sdtype": "id", "regex_format": "[0-9]{4}"},
        "mail": {"sdtype": "email", "pii": True},
        "ward": {"sdtype": "categorical"},
        "stage": {"sdtype": "categorical", "order": ["I", "II"]},
        "age": {"sdtype": "numerical", "computer_representation": "Int64"},
        "crp": {"sdtype": "numerical", "computer_representation": "Float"},
        "dose": {"sdtype": "numerical"},
        "born": {"sdtype": "datetime", "datetime_format": "%Y-%m-%d"},
        "seen": {"sdtype": "datetime", "datetime_format": "%Y-%m-%d %H:%M:%S"},
        "ill": {"sdtype": "boolean"},
    },
    "primary_key": "case",
    "METADATA_SPEC_VERSION": "SINGLE_TABLE_V1",
}
KINDS = {
    "case": "id",
    "mail": "id",
    "ward": "categorical",
    "stage": "categorical",
    "age": "integer",
    "crp": "continuous",
    "born": "date",
    "seen": "datetime",
    "ill": "boolean",
}


def test_sdv_metadata_of_one_table(tmp_path: Path) -> None:
    path = tmp_path / "metadata.json"
    path.write_text(json.dumps({"tables": {"visits": SDV}, "relationships": [], "METADATA_SPEC_VERSION": "V1"}))
    for metadata in (SDV, path, str(path), SimpleNamespace(to_dict=lambda: SDV)):
        schema = Schema.from_sdv(metadata)
        assert {column.name: column.kind for column in schema.columns} == KINDS
    assert schema["stage"].categories == ("I", "II")


@pytest.mark.skipif("format" not in Column.model_fields, reason="columns have no formats yet")
def test_sdv_formats_of_dates_are_kept() -> None:
    found = Schema.from_sdv({"columns": {"d": {"sdtype": "datetime", "datetime_format": "%d/%m/%Y"}}})["d"]
    assert (found.kind, found.model_dump()["format"]) == ("date", "%d/%m/%Y")


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"tables": {"a": SDV, "b": SDV}}, r"`table` must name one.*\['a', 'b'\]"),
        ({}, "must have `columns`"),
        ({"columns": {"a": 3}}, "'a'.*`sdtype`"),
        ([], "must be a mapping"),
        ({"columns": {"a": {"sdtype": "unknown"}}}, "all columns are then inferred"),
    ],
)
def test_other_documents_are_no_sdv_metadata(metadata: Any, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        Schema.from_sdv(metadata)
    assert Schema.from_sdv({"tables": {"a": SDV, "b": SDV}}, table="b").names == list(KINDS)
