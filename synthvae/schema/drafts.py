"""A draft of a schema that a private fit can use once a person has reviewed it: it copies nobody out of the table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from synthvae import safe_yaml
from synthvae.errors import TableError
from synthvae.schema.column import NUMERIC, TEMPORAL, Column
from synthvae.schema.schema import Schema
from synthvae.schema.values import shortened
from synthvae.tables.arrow import is_text

LEAST = 10  # rows that a value must have to be written down
LEADING = 2  # digits of bounds that are kept
OTHER = "(other)"
HEAD = (
    "Drafted from the data. Its categories and bounds tell of the rows, and no budget covers that: replace what",
    "you know of such tables without having seen these, and delete `inferred: true` when you have reviewed all.",
)


@dataclass(frozen=True)
class Draft:
    """A schema as it was drafted.

    Args:
        schema: The schema.
        left_out: How many values of each column are left out, since too few rows have them.
    """

    schema: Schema
    left_out: Mapping[str, int]

    def to_yaml(self) -> str:
        """Return the schema as YAML, with comments at what was taken from the data."""
        whole = self.schema.to_dict()
        columns = whole.pop("columns")
        lines = [f"# {line}\n" for line in HEAD] + ["columns:\n"]
        for column, page in zip(self.schema.columns, columns, strict=True):
            lines += [f"# {comment}\n" for comment in self._comments(column)]
            lines.append(safe_yaml.dump([page]))
        return "".join(lines) + safe_yaml.dump(whole)

    def _comments(self, column: Column) -> list[str]:
        left = self.left_out.get(column.name, 0)
        rest = f"; {left:,} that fewer have are left out" if left else ""
        found = []
        if column.categories is not None:
            found.append(f"categories: values of the data that at least {LEAST} rows have{rest}")
        if column.sentinels or (left and column.kind in NUMERIC):
            found.append(f"sentinels: values of the data that at least {LEAST} rows have{rest}")
        if column.bounds is not None:
            found.append("bounds: of the data, rounded outwards")
        return found


def drafted(schema: Schema, table: pa.Table) -> Draft:
    """Write down the categories that many rows of a table have, and round its bounds.

    A column of which values are left out gets a category for them, or may be missing.

    Args:
        schema: What was inferred from the table.
        table: The table.
    """
    columns, left_out = [], {}
    for column in schema.columns:
        changes = _with_categories(column, table.column(column.name))
        left_out[column.name] = changes.pop("left_out", 0)
        if column.bounds is not None:
            changes["bounds"] = _outwards(column)
        columns.append(Column(**{**column.model_dump(exclude_unset=True), **changes}))
    return Draft(Schema(columns=columns, inferred=True), {name: left for name, left in left_out.items() if left})


def _with_categories(column: Column, values: pa.ChunkedArray) -> dict[str, Any]:
    """What changes of a column where values that few rows have are left out, and how many those are."""
    if column.kind in NUMERIC and column.sentinels:
        kept = _frequent(values.cast(pa.string()), {str(mark) for mark in column.sentinels})
        sentinels = tuple(value for value in column.sentinels if str(value) in kept)
        left = len(column.sentinels) - len(sentinels)
        return {"sentinels": sentinels, "left_out": left, "nullable": column.nullable or left > 0}
    if column.kind != "categorical":
        return {}
    dense = values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values
    found = pc.unique(dense.drop_null())
    kept = _frequent(dense, None)
    order = column.categories or found.take(pc.sort_indices(found)).to_pylist()
    categories = [value for value in order if value in kept]
    left = len(set(found.to_pylist()) | set(column.categories or ())) - len(categories)
    if not left:
        return {"categories": categories}
    if is_text(dense.type) and not column.ordered:
        other = next(name for name in (OTHER, *(f"{OTHER} {i}" for i in range(len(order)))) if name not in order)
        return {"categories": [*categories, other], "other_category": other, "left_out": left}
    return {"categories": categories, "nullable": True, "left_out": left}


def _frequent(values: pa.ChunkedArray, among: set[str] | None) -> set[Any]:
    """The values that enough rows have."""
    counts = pc.value_counts(values.drop_null().combine_chunks())
    enough = counts.filter(pc.greater_equal(counts.field("counts"), LEAST)).field("values").to_pylist()
    return set(enough) if among is None else set(enough) & among


def _outwards(column: Column) -> tuple[Any, Any]:
    """Bounds that are wider: to so many leading digits, or to whole years."""
    low, high = cast("tuple[Any, Any]", column.bounds)
    if column.kind in TEMPORAL:
        return _year(low, first=True), _year(high, first=False)
    bounds = shortened(low, LEADING, ROUND_FLOOR), shortened(high, LEADING, ROUND_CEILING)
    return (int(bounds[0]), int(bounds[1])) if column.kind == "integer" else bounds


def _year(moment: Any, *, first: bool) -> Any:
    day = dt.date(moment.year, 1, 1) if first else dt.date(moment.year, 12, 31)
    if not isinstance(moment, dt.datetime):
        return day
    return dt.datetime.combine(day, dt.time.min if first else dt.time(23, 59, 59), moment.tzinfo)


def without_ids(schema: Schema) -> Schema:
    """Numbers that count the rows are features like any other."""
    for column in schema.columns:
        if schema.inferred and column.kind == "id" and column.name not in schema.declared:
            schema = schema.declare(column.name, kind="integer")
    return schema


def refuse_identifying(schema: Schema, table: pa.Table, target: str | None) -> None:
    """Text that names each row cannot be learned, and nobody has declared what it is."""
    for column in schema.columns:
        if column.kind != "id" or column.name not in table.column_names:
            continue
        if not is_text(table.schema.field(column.name).type):
            continue
        if column.name == target or column.name in schema.declared:
            continue
        distinct = len(table.column(column.name).unique())
        raise TableError(
            f"column {column.name!r}: text that differs from row to row cannot be learned, however, it has {distinct} "
            f"values in {table.num_rows} rows: drop it, or declare it as `kind: id` (fresh ids are made) or "
            "`kind: categorical` in a schema that is reviewed, without `inferred: true` (see `synthvae schema`)"
        )
