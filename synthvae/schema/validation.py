"""The rules that a table obeys: what `Schema.check` asks of each column."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from synthvae.errors import TableError, listing
from synthvae.schema.column import NUMERIC, TEMPORAL, Column
from synthvae.tables.arrow import exact_as_double, is_text, parses, split_sentinels, temporal_type
from synthvae.tables.number_format import find_style


def check_table(columns: Sequence[Column], table: pa.Table) -> pa.Table:
    """Return the schema's columns of `table` once they are found to obey it; see `Schema.check`."""
    if table.num_rows == 0:
        raise TableError("a table must have rows, however, it is empty: add rows")
    names = [column.name for column in columns]
    absent = [name for name in names if name not in table.column_names]
    unknown = [name for name in table.column_names if name not in names]
    if absent:
        raise TableError(
            f"the table must have all columns of its schema, however, it lacks {listing(absent)}: add them"
        )
    if unknown:
        raise TableError(
            f"the table must have only columns of its schema, however, it has {listing(unknown)}: drop them"
        )
    table = table.select(names)
    for column in columns:
        for fact in _violations(column, table.column(column.name)):
            raise TableError(f"column {column.name!r}: {fact}")
    return table


def _violations(column: Column, values: pa.ChunkedArray) -> Iterator[str]:
    if not column.nullable and values.null_count:
        yield f"no value may be missing, however, {values.null_count} are: fill them or declare `nullable: true`"
    if pa.types.is_nested(values.type):
        yield f"nested values ({values.type}) cannot be learned: flatten them into columns or drop it"
    yield from _unspeakable(values)
    if column.kind in NUMERIC:
        yield from _numeric_violations(column, values)
    elif column.kind in TEMPORAL:
        yield from _temporal_violations(column, values)
    elif column.kind == "id":
        yield from _id_violations(values)
    elif column.kind == "boolean" and column.categories is None and not pa.types.is_boolean(values.type):
        yield f"values must be boolean, however, they are {values.type}: declare `categories` or `kind: categorical`"
    elif not _has_categories(values.type):
        yield f"categories must be texts, numbers or booleans, however, they are {values.type}: declare another kind"
    elif column.categories is not None or column.other_category is not None:
        yield from _category_violations(column, values)


def _unspeakable(values: pa.ChunkedArray) -> Iterator[str]:
    """Days and times that Arrow can store and Python has no word for."""
    if pa.types.is_date(values.type):
        try:
            pc.min_max(values).as_py()
        except (OverflowError, ValueError):
            yield "dates must lie in the years 1 to 9999, however, one does not: make it missing or cut it off"
    if pa.types.is_timestamp(values.type) and values.type.tz is not None:
        try:
            pa.lib.string_to_tzinfo(values.type.tz)
        except (pa.ArrowException, ValueError, KeyError):  # a KeyError is what pytz raises, where it is installed
            yield f"the time zone must be one that Python knows, however, it is {values.type.tz[:40]!r}: convert it"
    if values.type == pa.time64("ns") and pc.any(pc.not_equal(pc.nanosecond(values), 0)).as_py():
        yield "times of day must be whole microseconds, however, one is not: round them"


def _has_categories(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    simple = is_text(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)
    return bool(simple or pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _numeric_violations(  # noqa: PLR0911 (each rule ends the list)
    column: Column, values: pa.ChunkedArray
) -> Iterator[str]:
    if pa.types.is_dictionary(values.type):
        yield f"a {values.type} column must be of kind categorical, however, it is {column.kind}: declare or convert it"
        return
    if not is_text(values.type) and any(isinstance(mark, str) and parses(mark) for mark in column.sentinels):
        yield f"`sentinels` of a numeric column must not be numbers written as text, got {list(column.sentinels)}."
        return
    numbers, others = split_sentinels(values, column.sentinels)
    if others:
        yield (
            f"values must be numbers, however, there is {others[0]!r}: "
            f"declare it under `sentinels`, or the column as `kind: categorical`"
        )
        return
    if pc.any(pc.is_inf(numbers)).as_py():
        yield "values must be finite, however, there is an infinity: make it missing or cut it off"
        return
    if is_text(values.type) and find_style(_texts(values, column.sentinels)) is None:
        yield "numbers in text must be written in one way, however, they are not: declare `kind: categorical`"
        return
    if column.kind == "integer" and pc.any(pc.not_equal(numbers, pc.round(numbers))).as_py():
        yield "values must be whole numbers, however, there are fractions: declare `kind: continuous`"
        return
    if not exact_as_double(values):
        yield (
            "whole numbers must lie within ±2**53, decimal ones have at most 15 digits, beyond which they cannot be "
            "learned exactly, however, there are longer ones: declare `kind: categorical` or `kind: id`, or round them"
        )
        return
    if column.bounds is not None:
        span = pc.min_max(numbers).as_py()
        low, high = column.bounds
        if span["min"] is not None and (span["min"] < low or span["max"] > high):
            yield (
                f"values must lie in its bounds [{low}, {high}], however, they span [{span['min']}, {span['max']}]: "
                "widen the bounds or cut the values"
            )


def _texts(values: pa.ChunkedArray, marks: Iterable[Any]) -> set[str]:
    return set(pc.unique(values.drop_null()).to_pylist()) - {str(mark) for mark in marks}


def _id_violations(values: pa.ChunkedArray) -> Iterator[str]:
    kind = values.type
    if not (is_text(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
        yield f"ids must be texts or whole numbers, however, they are {kind}: declare another kind or drop it"


def _temporal_violations(column: Column, values: pa.ChunkedArray) -> Iterator[str]:
    if pa.types.is_time(values.type) or not (
        pa.types.is_temporal(values.type) or is_text(values.type) or pa.types.is_null(values.type)
    ):
        yield f"values must be dates or ISO text, however, they are {values.type}: convert them"
        return
    try:
        moments = values.cast(temporal_type(values.type, date=column.kind == "date"))
    except pa.ArrowInvalid as error:
        yield f"text must be ISO dates (2020-12-31) or datetimes, however, {str(error).splitlines()[0]}: convert it"
        return
    if is_text(values.type) and not pc.all(pc.equal(moments.cast(values.type), values)).as_py():
        yield "text must be dates (2020-12-31) or datetimes (2020-12-31 23:59:59) of this form: convert or drop it"
        return
    if column.bounds is not None:
        span = pc.min_max(moments).as_py()
        low = _comparable(column.bounds[0], span["min"], dt.time.min)
        high = _comparable(column.bounds[1], span["min"], dt.time.max)  # a day ends at midnight
        if span["min"] is not None and (span["min"] < low or span["max"] > high):
            yield f"values must lie in its bounds [{low}, {high}], however, they span [{span['min']}, {span['max']}]"


def _comparable(bound: Any, like: Any, time: dt.time) -> Any:
    """A bound as a date or datetime in the zone of the values; `time` completes a date."""
    if isinstance(like, dt.datetime):
        if not isinstance(bound, dt.datetime):
            bound = dt.datetime.combine(bound, time)
        return bound.replace(tzinfo=like.tzinfo) if bound.tzinfo is None else bound.astimezone(like.tzinfo)
    return bound.date() if isinstance(bound, dt.datetime) else bound


def _category_violations(column: Column, values: pa.ChunkedArray) -> Iterator[str]:
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    declared = [column.other_category] if column.categories is None else list(column.categories)
    try:
        pa.array(declared).cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OverflowError):
        yield f"`categories` and `other_category` must fit the column's type {kind}, however, {declared[:5]} do not"
        return
    if column.other_category is not None:
        return
    allowed = set(column.categories or ())
    seen = [value for value in pc.unique(values).to_pylist() if value is not None]
    unseen = [value for value in seen if value not in allowed]
    if unseen:
        shown = ", ".join(repr(value) for value in unseen[:3])
        yield (
            f"values must be among its {len(allowed)} categories, however, there "
            f"{'is' if len(unseen) == 1 else f'are {len(unseen)} others:'} {shown}: "
            "add to `categories`, declare `other_category`, or clean it"
        )
