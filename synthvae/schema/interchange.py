"""Columns from the schemas of other libraries: Arrow, pandera and SDV. Nothing is read but what they declare.

A column whose kind does not follow from its declaration, such as text in Arrow, is left out: the schema is partial,
and the column is inferred from the table, unless it is private.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from synthvae import filesystem
from synthvae.errors import SchemaError, listing, warn_user
from synthvae.schema.column import Column
from synthvae.tables.arrow import is_text
from synthvae.tables.time_format import has_time

MAX_BYTES = 1 << 24  # of a JSON file
ISO = {"%Y-%m-%d", "%Y-%m-%d %H:%M:%S"}  # formats that need not be declared
WHOLE = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")
OF_PERSONS = {
    *("address", "administrative_unit", "bban", "city", "city_suffix", "country_code", "credit_card_number", "email"),
    *("first_name", "iban", "ipv4_address", "ipv6_address", "last_name", "latitude", "license_plate", "longitude"),
    *("mac_address", "name", "phone_number", "postcode", "ssn", "state", "street_address", "street_name"),
    *("secondary_address", "swift11", "swift8", "user_agent_string", "vin"),
}  # sdtypes of SDV whose real values identify people
NO_COLUMN = (
    "{source} must decide the kind of a column, got none that does. Pass no schema: all columns are then inferred."
)


def columns_of_arrow(schema: pa.Schema) -> list[Column]:
    """Return the columns of an Arrow schema: types, nullability and dictionaries.

    Raises:
        SchemaError: Columns have types that are not supported, or no kind follows from any type.
    """
    found, wrong = [], []
    for field in schema:
        fields = _fields_of_type(field.type)
        if fields is None:
            wrong.append(f"{field.name} ({field.type})")
        elif fields:
            found.append(Column(name=field.name, nullable=field.nullable, **fields))
    if wrong:
        raise SchemaError(
            f"Columns must have types of numbers, texts, booleans, dates or dictionaries, got {listing(wrong)}. "
            "Flatten or convert them, or leave them out of the schema and of the table."
        )
    return _some(found, "An Arrow schema")


def _fields_of_type(kind: pa.DataType) -> dict[str, Any] | None:
    """The fields of a column of an Arrow type; none if its kind depends on the values; None if it has no kind."""
    types = pa.types
    if types.is_dictionary(kind):
        return {"kind": "categorical", "ordered": bool(kind.ordered)}
    if types.is_decimal(kind):
        return {"kind": "integer"} if kind.scale <= 0 else {"kind": "continuous", "decimals": min(kind.scale, 15)}
    simple = (
        (types.is_boolean, "boolean"),
        (types.is_integer, "integer"),
        (types.is_floating, "continuous"),
        (types.is_date32, "date"),
        (lambda one: types.is_timestamp(one) or types.is_date64(one), "datetime"),
    )
    for matches, name in simple:
        if matches(kind):
            return {"kind": name}
    return {} if is_text(kind) or types.is_null(kind) else None


def columns_of_pandera(schema: Any) -> list[Column]:
    """Return the columns of a pandera `DataFrameSchema` or `DataFrameModel`; pandera is not imported.

    Raises:
        SchemaError: It is neither, or no kind follows from any column.
    """
    schema = schema.to_schema() if hasattr(schema, "to_schema") else schema
    if not isinstance(getattr(schema, "columns", None), Mapping):
        raise SchemaError(f"A pandera schema must be a DataFrameSchema, got a {type(schema).__name__}.")
    found, ignored = [], []
    for name, column in schema.columns.items():
        if getattr(column, "regex", False):
            ignored.append(f"the pattern of names {name!r}")
            continue
        checks = {str(check.name or "a custom check"): dict(check.statistics or {}) for check in column.checks or ()}
        fields, used = _fields_of_pandera(column, checks)
        ignored += [f"{check} of {str(name)!r}" for check in checks if check not in used]
        if fields:
            found.append(Column(name=str(name), nullable=bool(column.nullable), **fields))
    if ignored:
        warn_user(
            f"rules of the pandera schema that synthetic rows may violate, since they were not taken over: "
            f"{', '.join(ignored)}. Validate the rows with pandera."
        )
    return _some(found, "A pandera schema")


KINDS_OF_PANDERA = (
    (r"bool", "boolean"),
    (r"u?int", "integer"),
    (r"float|decimal", "continuous"),
    (r"datetime|timestamp", "datetime"),
    (r"date", "date"),
    (r"categor|enum", "categorical"),
)


def _fields_of_pandera(column: Any, checks: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, Any], set[str]]:
    """The fields of a column, and the checks from which they follow."""
    dtype = str(column.dtype).lower()
    kind = next((kind for pattern, kind in KINDS_OF_PANDERA if re.match(pattern, dtype)), None)
    if "isin" in checks:
        stated = checks["isin"]["allowed_values"]
        allowed = [value for value in stated if value is not None]
        categories = sorted(allowed, key=repr) if isinstance(stated, (set, frozenset)) else allowed
        return {"kind": "categorical", "categories": categories}, {"isin"}
    if kind == "categorical":
        known = getattr(column.dtype, "categories", None)
        ordered = bool(getattr(column.dtype, "ordered", None))
        return {"kind": kind, "ordered": ordered, **({} if known is None else {"categories": known})}, set()
    if column.unique and kind in {None, "integer"}:
        return {"kind": "id"}, set()
    if kind is None:
        return {}, set()
    bounds, used = _bounds_of_pandera(checks, whole=kind == "integer")
    if kind in {"integer", "continuous"} and bounds is not None:
        return {"kind": kind, "bounds": bounds}, used
    return {"kind": kind}, set()


def _bounds_of_pandera(checks: Mapping[str, Mapping[str, Any]], *, whole: bool) -> tuple[Any, set[str]]:
    """The bounds that the checks of a number state; a bound that is excluded moves by one if numbers are whole."""
    low = high = None
    used = set()
    for name, stated in checks.items():
        small, large = stated.get("min_value"), stated.get("max_value")
        if name not in {"in_range", "greater_than", "greater_than_or_equal_to", "less_than", "less_than_or_equal_to"}:
            continue
        open_below = name == "greater_than" or not stated.get("include_min", True)
        open_above = name == "less_than" or not stated.get("include_max", True)
        if small is not None:
            low = small + 1 if open_below and whole else small
        if large is not None:
            high = large - 1 if open_above and whole else large
        used |= {name} if whole or not (open_below or open_above) else set()
    return (None, set()) if low is None or high is None else ((low, high), used)


def columns_of_sdv(metadata: Any, table: str | None = None) -> list[Column]:
    """Return the columns of a table in SDV's metadata.

    Args:
        metadata: The JSON document as a mapping, the path of its file, or an object with `to_dict`.
        table: The table, if the metadata has several.

    Raises:
        SchemaError: It is not such metadata, has no such table, or no kind follows from any column.
        FileNotFoundError: There is no such file.
    """
    document = _sdv_table(_sdv_document(metadata), table)
    columns = document["columns"]
    keys = {document.get("primary_key"), *(document.get("alternate_keys") or ())} - {None}
    found = []
    for name, stated in columns.items():
        if not isinstance(stated, Mapping):
            raise SchemaError(f"Column {str(name)[:100]!r} of SDV's metadata must be a mapping with `sdtype`.")
        fields = {"kind": "id"} if name in keys else _fields_of_sdv(stated)
        if fields:
            found.append(Column(name=name, **fields))
    return _some(found, "SDV's metadata")


def database_of_sdv(metadata: Any, tables: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the fields of a `Database` in SDV's metadata of several tables; parameters as of `columns_of_sdv`.

    Raises:
        SchemaError: It is not such metadata.
        FileNotFoundError: There is no such file.
    """
    document = _sdv_document(metadata)
    described = document.get("tables")
    if not isinstance(described, Mapping) or not described:
        raise SchemaError(
            "SDV's metadata must have `tables`, got none. Use Schema.from_sdv for that of a single table."
        )
    names = ("child_table_name", "child_foreign_key", "parent_table_name", "parent_primary_key")
    links = [[dict(one).get(name) for name in names] for one in document.get("relationships") or ()]
    keys = {name: dict(one)["primary_key"] for name, one in described.items() if dict(one).get("primary_key")}
    order = {name: dict(one)["sequence_index"] for name, one in described.items() if dict(one).get("sequence_index")}
    linked = {(link[0], column) for link in links for column in _listed(link[1])}
    linked |= {(name, column) for name, key in keys.items() for column in _listed(key)}
    schemas = {}
    for name in described:
        columns = dict(_sdv_table(document, name)["columns"])
        kinds = {c: _fields_of_sdv(dict(stated)) for c, stated in columns.items() if (name, c) not in linked}
        if found := [{"name": c, **fields} for c, fields in kinds.items() if fields]:
            schemas[name] = {"columns": found}
    sources = dict(tables) if tables is not None else dict.fromkeys(described)
    return {"tables": sources, "primary_keys": keys, "foreign_keys": links, "order": order, "schemas": schemas}


def _listed(key: Any) -> list[Any]:
    return list(key) if isinstance(key, (list, tuple)) else [key]


def _sdv_document(metadata: Any) -> Mapping[str, Any]:
    if hasattr(metadata, "to_dict"):
        metadata = metadata.to_dict()
    if isinstance(metadata, (str, Path)):
        path = filesystem.local_path(metadata, "Metadata")
        if path.stat().st_size > MAX_BYTES:
            raise SchemaError(f"{path} must have at most {MAX_BYTES} bytes, got {path.stat().st_size}.")
        try:
            metadata = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise SchemaError(f"{path} must be SDV's metadata in JSON, got {type(error).__name__}: {error}.") from error
    if not isinstance(metadata, Mapping):
        raise SchemaError(f"SDV's metadata must be a mapping, got a {type(metadata).__name__}.")
    return metadata


def _sdv_table(document: Mapping[str, Any], table: str | None) -> Mapping[str, Any]:
    """The description of one table."""
    tables = document["tables"] if isinstance(document.get("tables"), Mapping) else {table: document}
    if table is None and len(tables) != 1:
        raise SchemaError(f"`table` must name one of the tables of the metadata, got None. Choose {listing(tables)}.")
    if table is not None and table not in tables:
        raise SchemaError(f"`table` must be in the metadata, got {table!r}. Choose one of {listing(tables)}.")
    found = tables[next(iter(tables)) if table is None else table]
    if not isinstance(found, Mapping) or not isinstance(found.get("columns"), Mapping):
        raise SchemaError("SDV's metadata must have `columns`, or `tables` that have them. Update it with SDV.")
    return found


def _fields_of_sdv(stated: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a column; none if its kind depends on the values."""
    sdtype = stated.get("sdtype")
    if sdtype == "id" or sdtype in OF_PERSONS or stated.get("pii"):
        return {"kind": "id"}
    if sdtype == "categorical":
        order = stated.get("order")
        return {"kind": "categorical", **({"categories": order, "ordered": True} if isinstance(order, list) else {})}
    if sdtype == "numerical":
        how = stated.get("computer_representation")
        return {"kind": "integer"} if how in WHOLE else {"kind": "continuous"} if how in {"Float", "Double"} else {}
    if sdtype == "datetime":
        return dict(fields_of_datetime(stated.get("datetime_format")))
    return {"kind": "boolean"} if sdtype == "boolean" else {}


def fields_of_datetime(form: Any) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a column of dates or datetimes of a format of `strptime`; none if it is not text."""
    if isinstance(form, str):
        yield "kind", "datetime" if has_time(form) else "date"
        if form not in ISO:
            yield "format", form


def _some(columns: list[Column], source: str) -> list[Column]:
    if not columns:
        raise SchemaError(NO_COLUMN.format(source=source))
    return columns
