"""Draft a schema that a private fit can use after review. It contains no value that few rows have."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from synthvae import safe_yaml
from synthvae.errors import TableError, listing, warn_user
from synthvae.schema.column import NUMERIC, TEMPORAL, Column
from synthvae.schema.identifiers import Finding, find_identifier
from synthvae.schema.schema import Schema
from synthvae.schema.values import shortened
from synthvae.tables.arrow import is_text

MIN_ROWS = 10  # rows that a value must have to be in a draft
LEADING_DIGITS = 2  # of bounds
OTHER = "(other)"
HEADER = (
    "Drafted from the data. The categories and bounds reveal something about the rows, and no budget covers that:",
    "replace them by what is known of such tables in general, then delete `inferred: true`.",
)


@dataclass(frozen=True)
class Draft:
    """A drafted schema.

    Args:
        schema: The schema.
        left_out: Number of values of each column that are left out because too few rows have them.
        found: What identifies people in which column.
    """

    schema: Schema
    left_out: Mapping[str, int]
    found: Mapping[str, Finding] = field(default_factory=dict)

    def to_yaml(self) -> str:
        """Return the schema as YAML, with comments on what was taken from the data."""
        document = self.schema.to_dict()
        columns = document.pop("columns")
        lines = [f"# {line}\n" for line in HEADER] + ["columns:\n"]
        for column, fields in zip(self.schema.columns, columns, strict=True):
            lines += [f"# {comment}\n" for comment in self._comments(column)]
            lines.append(safe_yaml.dump([fields]))
        return "".join(lines) + safe_yaml.dump(document)

    def _comments(self, column: Column) -> list[str]:
        left = self.left_out.get(column.name, 0)
        rest = f"; {left:,} rarer ones are left out" if left else ""
        comments = []
        if column.name in self.found:
            made = "new ids are generated" if column.kind == "id" else "values come from Faker (extra `faker`)"
            comments.append(f"{self.found[column.name]}: none is learned, {made}")
        if column.categories is not None:
            comments.append(f"categories: values that at least {MIN_ROWS} rows of the data have{rest}")
        if column.sentinels or (left and column.kind in NUMERIC):
            comments.append(f"sentinels: values that at least {MIN_ROWS} rows of the data have{rest}")
        if column.bounds is not None:
            comments.append("bounds: those of the data, rounded outwards")
        return comments


def drafted(schema: Schema, table: pa.Table) -> Draft:
    """Draft a schema with the categories that at least `MIN_ROWS` rows have, and with rounded bounds.

    A column of which values are left out gets a category for them, or becomes nullable.

    Args:
        schema: The schema inferred from the table.
        table: The table.
    """
    columns, left_out, found = [], {}, {}
    for column in schema.columns:
        changes = _changes(column, table.column(column.name))
        left_out[column.name] = changes.pop("left_out", 0)
        if column.kind in {"id", "fake"}:
            found[column.name] = find_identifier(column.name, table.column(column.name))
        if column.bounds is not None:
            changes["bounds"] = _outwards(column)
        columns.append(Column(**{**column.model_dump(exclude_unset=True), **changes}))
    few = {name: left for name, left in left_out.items() if left}
    return Draft(Schema(columns=columns, inferred=True), few, {name: why for name, why in found.items() if why})


def _changes(column: Column, values: pa.ChunkedArray) -> dict[str, Any]:
    """Changes of a column that leave out values that few rows have, and the number of these values."""
    if column.kind in NUMERIC and column.sentinels:
        frequent = _frequent(values.cast(pa.string())) & {str(value) for value in column.sentinels}
        sentinels = tuple(value for value in column.sentinels if str(value) in frequent)
        left = len(column.sentinels) - len(sentinels)
        return {"sentinels": sentinels, "left_out": left, "nullable": column.nullable or left > 0}
    if column.kind != "categorical":
        return {}
    dense = values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values
    found = pc.unique(dense.drop_null())
    frequent = _frequent(dense)
    order = column.categories or found.take(pc.sort_indices(found)).to_pylist()
    categories = [value for value in order if value in frequent]
    left = len(set(found.to_pylist()) | set(column.categories or ())) - len(categories)
    if not left:
        return {"categories": categories}
    if is_text(dense.type) and not column.ordered:
        other = next(name for name in (OTHER, *(f"{OTHER} {i}" for i in range(len(order)))) if name not in order)
        return {"categories": [*categories, other], "other_category": other, "left_out": left}
    return {"categories": categories, "nullable": True, "left_out": left}


def _frequent(values: pa.ChunkedArray) -> set[Any]:
    """The values that at least `MIN_ROWS` rows have."""
    counts = pc.value_counts(values.drop_null().combine_chunks())
    enough = counts.filter(pc.greater_equal(counts.field("counts"), MIN_ROWS)).field("values").to_pylist()
    return set(enough)


def _outwards(column: Column) -> tuple[Any, Any]:
    """The bounds, rounded outwards to `LEADING_DIGITS`, or to whole years."""
    low, high = cast("tuple[Any, Any]", column.bounds)
    if column.kind in TEMPORAL:
        return _year(low, 1, 1, dt.time.min), _year(high, 12, 31, dt.time(23, 59, 59))
    bounds = shortened(low, LEADING_DIGITS, ROUND_FLOOR), shortened(high, LEADING_DIGITS, ROUND_CEILING)
    return (max(int(bounds[0]), -(1 << 63)), min(int(bounds[1]), (1 << 64) - 1)) if column.kind == "integer" else bounds


def _year(timestamp: Any, month: int, day: int, time: dt.time) -> Any:
    """A day of the year of a date; of a datetime, a time of that day."""
    date = dt.date(timestamp.year, month, day)
    return dt.datetime.combine(date, time, timestamp.tzinfo) if isinstance(timestamp, dt.datetime) else date


def without_ids(schema: Schema) -> Schema:
    """Return the schema with inferred ids, which number the rows, as integers."""
    for column in schema.columns:
        if schema.inferred and column.kind == "id" and column.name not in schema.declared:
            schema = schema.declare(column.name, kind="integer")
    return schema


def refuse_identifying(schema: Schema, table: pa.Table, target: str | None) -> None:
    """Raise an error for inferred columns of text that identify people or differ from row to row, but for the target.

    Raises:
        TableError: There are such columns.
    """
    undecided = _undecided(schema, table, target)
    refused = [c for c in undecided if c.kind == "fake" or is_text(_values_type(table, c.name))]
    if refused:
        raise TableError(_refusal(refused, table))


def warn_of_repeated_keys(schema: Schema, table: pa.Table, target: str | None) -> None:
    """Warn of numbers that were inferred as keys and repeat: each synthetic row will get a new one."""
    repeated = [c.name for c in _undecided(schema, table, target) if _repeats(table.column(c.name))]
    if repeated:
        warn_user(
            f"columns {listing(repeated)} hold keys of subjects that have several rows: keys are not learned, and each "
            "synthetic row gets a new one. Declare `kind: id` to confirm, or `kind: integer` to learn them as numbers."
        )


def _undecided(schema: Schema, table: pa.Table, target: str | None) -> list[Column]:
    """The columns that were inferred as ids or fake, but for the target."""
    known = set(schema.names if not schema.inferred else schema.declared) | {target}
    return [
        column
        for column in schema.columns
        if column.kind in {"id", "fake"} and column.name in table.column_names and column.name not in known
    ]


def _values_type(table: pa.Table, name: str) -> pa.DataType:
    kind = table.schema.field(name).type
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _repeats(values: pa.ChunkedArray) -> bool:
    return bool(len(pc.unique(values.drop_null())) < len(values) - values.null_count)


def _refusal(columns: Sequence[Column], table: pa.Table) -> str:
    """The message that names all columns that need a decision, with the reason and the way out of each."""
    reasons = [f"{column.name!r} ({_reason(column, table.column(column.name))})" for column in columns]
    fakes = [f"{column.name!r}: {column.provider}" for column in columns if column.provider is not None]
    fake = f"`kind: fake` with a `provider` ({', '.join(fakes)}; values come from Faker), " if fakes else ""
    return (
        f"Columns must have text that repeats and identifies no person, got {', '.join(reasons)}. Drop each, or "
        f"declare it as {fake}`kind: id` (new ids are generated) or `kind: categorical` (real values come out) in a "
        "reviewed schema, without `inferred: true` (see `synthvae schema`)."
    )


def _reason(column: Column, values: pa.ChunkedArray) -> str:
    finding = find_identifier(column.name, values)
    distinct = f"{len(pc.unique(values)):,} distinct values in {len(values):,} rows"
    return distinct if finding is None else f"{finding}: {distinct}"
