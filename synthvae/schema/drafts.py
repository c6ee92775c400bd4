"""Draft a schema for review, with comments. That of a private fit contains no value that few rows have."""

from __future__ import annotations

import datetime as dt
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_CEILING, ROUND_FLOOR
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from synthvae import safe_yaml
from synthvae.errors import brief, escaped
from synthvae.schema.column import DRAFTS, NUMERIC, TEMPORAL, Column
from synthvae.schema.constraints.consistency import contradictions
from synthvae.schema.constraints.discovery import Proposal, propose
from synthvae.schema.reasons import reasons
from synthvae.schema.schema import Schema
from synthvae.schema.validation import timestamps_of
from synthvae.schema.values import shortened
from synthvae.tables.arrow import are_sentinels, countable, is_text, plain_type, split_sentinels

MIN_ROWS = 10  # rows that a value must have to be in a draft
LEADING_DIGITS = 2  # of bounds
OTHER = "(other)"
WIDTH = 110  # characters of a line of comments
PROPOSED = (
    "Rules that hold in the table. Remove one # from the lines of those that all rows must keep; a fit refuses a table "
    "of which rows break one."
)
MORE_PROPOSED = "Rules that hold in nearly all rows. Remove one # from their lines once the other rows are corrected."
HEADER = (
    "Inferred from {rows}. Correct what is wrong; columns that are removed here are inferred again, and those that are",
    "listed under `drop` are left out. Delete `inferred: true` after the review.",
)
PRIVATE_HEADER = (
    "Drafted from the data. The categories, bounds and counts reveal something about the rows, and no budget covers",
    "that: replace them by what is known of such tables in general, then delete `inferred: true` and the comments.",
)


@dataclass(frozen=True)
class Draft:
    """A drafted schema.

    Args:
        schema: The schema.
        left_out: Number of values of each column that are left out because too few rows have them.
        reasons: Why each column has its kind.
        header: Comment lines at the beginning.
        proposals: Rules that hold in the table, which are comments unless the schema declares them.
    """

    __repr__ = brief

    schema: Schema
    left_out: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    header: tuple[str, ...] = PRIVATE_HEADER
    proposals: tuple[Proposal, ...] = ()

    def to_yaml(self) -> str:
        """Return the schema as YAML, with comments on the kinds and on what was taken from the data."""
        document = self.schema.to_dict()
        columns = document.pop("columns")
        lines = [f"# {line}\n" for line in self.header] + ["columns:\n"]
        for column, fields in zip(self.schema.columns, columns, strict=True):
            lines += [
                f"# {line}\n" for comment in self._comments(column) for line in textwrap.wrap(escaped(comment), WIDTH)
            ]
            lines.append(safe_yaml.dump([fields]))
        declared = dict(zip(self.schema.constraints, document.pop("constraints", []), strict=True))
        return "".join([*lines, safe_yaml.dump(document) if document else "", *self._rules(declared)])

    def _rules(self, declared: Mapping[Any, dict[str, Any]]) -> Iterator[str]:
        """The rules of the schema, each below its evidence, then as comments those that are only proposed."""
        evidence = {proposal.constraint: proposal.evidence for proposal in self.proposals}
        if declared:
            yield "constraints:\n"
        for rule, fields in declared.items():
            comment = f"{rule}: {evidence[rule]}." if rule in evidence else f"{rule}: as declared."
            yield from _commented(comment)
            yield safe_yaml.dump([fields])
        others = [proposal for proposal in self.proposals if proposal.constraint not in declared]
        if others:
            yield from _commented(MORE_PROPOSED if declared else PROPOSED)
            yield "" if declared else "# constraints:\n"
        for proposal in others:
            yield from _commented(f"{proposal.constraint}: {proposal.evidence}.", "## ")  # stays a comment
            yield "".join(f"# {line}\n" for line in safe_yaml.dump([_document(proposal)]).splitlines())

    def _comments(self, column: Column) -> list[str]:
        reason = self.reasons.get(column.name)
        comments = [] if reason is None else [reason]
        if self.header is not PRIVATE_HEADER:
            return comments
        left = self.left_out.get(column.name, 0)
        rest = f"; {left:,} rarer ones are left out" if left else ""
        if column.categories is not None:
            comments.append(f"categories: values that at least {MIN_ROWS} rows of the data have{rest}")
        if column.sentinels or (left and column.kind in NUMERIC):
            comments.append(f"sentinels: values that at least {MIN_ROWS} rows of the data have{rest}")
        if column.bounds is not None:
            comments.append("bounds: those of the data, rounded outwards")
        return comments


def _commented(text: str, mark: str = "# ") -> Iterator[str]:
    yield from (f"{mark}{line}\n" for line in textwrap.wrap(escaped(text), WIDTH))


def _document(proposal: Proposal) -> dict[str, Any]:
    found: dict[str, Any] = proposal.constraint.model_dump(mode="json", exclude_defaults=True)
    return found


def with_proposals(draft: Draft, table: pa.Table, *, declare: bool) -> Draft:
    """Return a draft with the rules that hold in its table.

    Args:
        draft: The draft of a table that is not private.
        table: The table, or a sample of it.
        declare: Whether to declare the rules that no row breaks; the others remain comments.
    """
    found = tuple(p for p in propose(table, draft.schema) if p.constraint not in draft.schema.constraints)
    exact = [p.constraint for p in found if p.support == 1]
    kept = draft.schema.constraints
    rules = [*kept, *(rule for rule in exact if not contradictions([*kept, rule], draft.schema))] if declare else kept
    return replace(draft, schema=draft.schema.model_copy(update={"constraints": tuple(rules)}), proposals=found)


def explained(schema: Schema, table: pa.Table, rows: int) -> Draft:
    """Return a schema for review, with the reason for the kind of each column that was not declared.

    Args:
        schema: The schema of the table; columns among its `declared` were stated by a person.
        table: The table, or a sample of it.
        rows: The number of rows of the whole table.
    """
    count = f"{rows:,} rows" if rows == table.num_rows else f"a sample of {table.num_rows:,} of {rows:,} rows"
    header = (HEADER[0].format(rows=count), *HEADER[1:])
    return Draft(schema, reasons=_reasons(schema, table), header=header)


def _reasons(schema: Schema, table: pa.Table) -> dict[str, str]:
    stated = {name: f"{schema[name].kind}: as declared." for name in schema.declared}
    inferred = tuple(column for column in schema.columns if column.name not in stated)
    return {**reasons(inferred, table), **stated}


def drafted(schema: Schema, table: pa.Table) -> Draft:
    """Draft a schema with the categories that at least `MIN_ROWS` rows have, and with rounded bounds.

    A column of which values are left out gets a category for them, or becomes nullable.

    Args:
        schema: The schema inferred from the table.
        table: The table.
    """
    columns, left_out = [], {}
    for column in schema.columns:
        changes = _changes(column, table.column(column.name))
        left_out[column.name] = changes.pop("left_out", 0)
        bounded = _bounded(column, table.column(column.name))
        if bounded.bounds is not None:
            changes["bounds"] = _outwards(bounded)
        columns.append(Column(**{**column.model_dump(exclude_unset=True), **changes}))
    left = {name: count for name, count in left_out.items() if count}
    full = Schema(**{**dict(schema), "columns": columns, "inferred": True, "origin": DRAFTS[0]})
    return Draft(full, left, _reasons(schema, table))


def _changes(column: Column, values: pa.ChunkedArray) -> dict[str, Any]:
    """Changes of a column that leave out values that few rows have, and the number of these values."""
    if column.sentinels:
        counts = {value: pc.sum(are_sentinels(values, [value])).as_py() or 0 for value in column.sentinels}
        sentinels = tuple(value for value in column.sentinels if counts[value] >= MIN_ROWS)
        left = len(column.sentinels) - len(sentinels)
        return {"sentinels": sentinels, "left_out": left, "nullable": column.nullable or left > 0}
    if column.kind != "categorical":
        return {}
    dense = values.cast(plain_type(values.type))
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
    counts = pc.value_counts(countable(values).drop_null().combine_chunks())
    enough = counts.filter(pc.greater_equal(counts.field("counts"), MIN_ROWS)).field("values").to_pylist()
    return set(enough)


def _bounded(column: Column, values: pa.ChunkedArray) -> Column:
    """A column with its bounds in the data, if it was declared without them."""
    if column.bounds is not None or column.kind not in (*NUMERIC, *TEMPORAL):
        return column
    found: Any = None
    if column.kind in TEMPORAL:
        found = timestamps_of(column, values)[0]
    else:
        numbers, others = split_sentinels(values, column.sentinels, column.format)
        found = None if others else numbers
    span = None if found is None else tuple(pc.min_max(found).as_py().values())
    if span is None or None in span:
        return column
    if column.kind == "integer":
        span = tuple(int(bound) for bound in span)
    return column.model_copy(update={"bounds": span})


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


def without_ids(schema: Schema, table: pa.Table) -> Schema:
    """Return the schema of a table with inferred ids that are numbers as integers; ids in text stay ids."""
    texts = {field.name for field in table.schema if is_text(plain_type(field.type))}
    for column in schema.columns:
        inferred = schema.inferred and column.kind == "id" and column.name not in schema.declared
        if inferred and column.name not in texts:
            schema = schema.declare(column.name, kind="integer")
    return schema
