"""Validate a table against its schema; the implementation of `Schema.check`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from synthvae.errors import TableError, listing
from synthvae.schema.column import NUMERIC, TEMPORAL, Column
from synthvae.schema.problems import open_formats, refuse, suggestion
from synthvae.tables import convert
from synthvae.tables.arrow import (
    LARGEST_EXACT,
    are_sentinels,
    as_array,
    exact_as_double,
    is_text,
    parses,
    plain_type,
    split_sentinels,
    temporal_type,
    whole_as_text,
)
from synthvae.tables.number_format import find_style
from synthvae.tables.text_codes import hold_codes
from synthvae.tables.time_format import several_offsets, to_timestamps


def check_table(columns: Sequence[Column], table: pa.Table) -> pa.Table:
    """Return the schema's columns of `table` after validating their values; see `Schema.check`."""
    if table.num_rows == 0:
        raise TableError("A table must have rows, got none. Add rows.")
    _refuse_other_columns([column.name for column in columns], table.column_names)
    table = table.select([column.name for column in columns])
    if convert.is_file(table):
        table = _with_declared_types(columns, table)
    problems = open_formats(columns)
    for column in columns:
        if column.name not in problems and (problem := next(_violations(column, table.column(column.name)), "")):
            problems[column.name] = f"Column {column.name!r}: {problem}"
    refuse(problems)
    return table


def _with_declared_types(columns: Sequence[Column], table: pa.Table) -> pa.Table:
    """The table of a file, whose fields have no type, with those that are declared.

    Numbers are text in columns whose declared categories are texts, and 1E5, which is read as a code, is a number in
    columns of numbers. Numbers that are not written as whole numbers are read as text already.
    """
    for place, column in enumerate(columns):
        values = table.column(place)
        if any(isinstance(value, str) for value in column.categories or ()):
            values = whole_as_text(values)
        elif column.kind in NUMERIC and not (column.format or column.sentinels) and is_text(values.type):
            values = _as_numbers(values)
        if values.type != table.schema.field(place).type:
            table = table.set_column(place, table.schema.field(place).with_type(values.type), values)
    return table


def _as_numbers(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text as numbers if all are, no zero that it begins with is lost and doubles distinguish all; else as it is."""
    texts = pc.utf8_trim_whitespace(values)
    try:
        numbers = texts.cast(pa.float64())
    except pa.ArrowInvalid:
        return values
    largest = pc.max(pc.abs(numbers)).as_py()
    return values if largest is None or largest > LARGEST_EXACT or hold_codes(texts) else numbers


def _refuse_other_columns(names: list[str], present: list[str]) -> None:
    absent = [name for name in names if name not in present]
    unknown = [name for name in present if name not in names]
    sentences = []
    if absent:
        hint = suggestion(absent, unknown)
        sentences.append(
            f"The table must have all columns of its schema, got none named {listing(absent)}.{hint} Add them."
        )
    if unknown:
        sentences.append(f"The table must have only columns of its schema, got {listing(unknown)}. Drop them.")
    if sentences:
        raise TableError(" ".join(sentences))


def _violations(column: Column, values: pa.ChunkedArray) -> Iterator[str]:
    if not column.nullable and values.null_count:
        yield f"values must not be missing, got {values.null_count} that are. Fill them, or declare `nullable: true`."
    if pa.types.is_nested(values.type):
        yield f"values must not be nested, got {values.type}. Flatten them into columns, or drop it."
    yield from _without_python_value(values)
    if column.kind in NUMERIC:
        yield from _numeric_violations(column, values)
    elif column.kind in TEMPORAL:
        yield from _temporal_violations(column, values)
    elif column.kind == "id":
        yield from _id_violations(values)
    elif column.kind == "fake":
        yield from _fake_violations(values)
    elif column.kind == "boolean" and column.categories is None and not pa.types.is_boolean(values.type):
        yield f"values must be boolean, got {values.type}. Declare `categories` or `kind: categorical`."
    elif not _has_categories(values.type):
        yield f"categories must be texts, numbers or booleans, got {values.type}. Declare another kind."
    elif column.categories is not None or column.other_category is not None:
        yield from _category_violations(column, values)


def _without_python_value(values: pa.ChunkedArray) -> Iterator[str]:
    """Dates, time zones and times of day that Arrow can store and Python cannot represent."""
    if pa.types.is_date(values.type):
        try:
            pc.min_max(values).as_py()
        except (OverflowError, ValueError):
            yield "dates must be in the years 1 to 9999, got one that is not. Make it missing, or clip it."
    if pa.types.is_timestamp(values.type) and values.type.tz is not None:
        try:
            pa.lib.string_to_tzinfo(values.type.tz)
        except (pa.ArrowException, ValueError, KeyError):  # pytz, if it is installed, raises a KeyError
            yield f"the time zone must be known to Python, got {values.type.tz[:40]!r}. Convert it."
    if values.type == pa.time64("ns") and pc.any(pc.not_equal(pc.nanosecond(values), 0)).as_py():
        yield "times of day must be whole microseconds, got one that is not. Round them."


def _has_categories(kind: pa.DataType) -> bool:
    kind = plain_type(kind)
    simple = is_text(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)
    return bool(simple or pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _numeric_violations(  # noqa: PLR0911 (the first violation ends the list)
    column: Column, values: pa.ChunkedArray
) -> Iterator[str]:
    if pa.types.is_dictionary(values.type):
        yield f"type {values.type} requires the kind categorical, got {column.kind}. Declare it, or convert the values."
        return
    if not is_text(values.type) and any(isinstance(value, str) and parses(value) for value in column.sentinels):
        yield f"`sentinels` of a numeric column must not be numbers written as text, got {list(column.sentinels)}."
        return
    numbers, others = split_sentinels(values, column.sentinels, column.format)
    if others:
        yield (
            f"values must be numbers, got {others[0]!r}. "
            "Declare it under `sentinels`, or the column as `kind: categorical`."
        )
        return
    if pc.any(pc.is_inf(numbers)).as_py():
        yield "values must be finite, got an infinite one. Make it missing, or clip it."
        return
    if is_text(values.type) and column.format is None and find_style(_texts(values, column)) is None:
        yield "numbers written as text must have one format, got several. Declare `kind: categorical`."
        return
    if column.kind == "integer" and pc.any(pc.not_equal(numbers, pc.round(numbers))).as_py():
        yield "values must be whole numbers, got fractions. Declare `kind: continuous`."
        return
    exact = exact_as_double(values)
    if not exact and (column.kind != "integer" or column.sentinels or not pa.types.is_integer(values.type)):
        yield (
            "whole numbers beyond ±2**53 must have the kind integer and no `sentinels`, and decimal ones at most 15 "
            "digits, since doubles represent no more. Declare `kind: categorical` or `kind: id`, or round them."
        )
        return
    yield from _range_violations(column, numbers if exact else values)


def _range_violations(column: Column, numbers: pa.ChunkedArray) -> Iterator[str]:
    span = pc.min_max(numbers).as_py()
    if span["min"] is None:
        return
    if column.kind == "duration" and span["min"] < 0:
        yield f"durations must not be negative, got {span['min']:g}. Drop such rows, or make such values missing."
    if column.bounds is not None:
        low, high = column.bounds
        if span["min"] < low or span["max"] > high:
            yield (
                f"values must be in its bounds [{low}, {high}], got [{span['min']}, {span['max']}]. "
                "Widen the bounds, or clip the values."
            )


def _texts(values: pa.ChunkedArray, column: Column) -> set[str]:
    """The distinct numbers of a text column."""
    return set(pc.unique(values.drop_null()).to_pylist()) - {str(value) for value in column.sentinels}


def _id_violations(values: pa.ChunkedArray) -> Iterator[str]:
    kind = plain_type(values.type)
    numbers = pa.types.is_integer(kind) or pa.types.is_floating(kind) or _is_whole_decimal(values)
    if not (is_text(kind) or numbers or pa.types.is_null(kind)):
        yield f"ids must be texts or whole numbers, got {kind}. Declare another kind, or drop it."


def _is_whole_decimal(values: pa.ChunkedArray) -> bool:
    """Whether values are decimal numbers without a fraction, as databases return large keys."""
    if not pa.types.is_decimal(values.type):
        return False
    return bool(pc.all(pc.equal(values, pc.round(values))).as_py() in {True, None})


def _fake_violations(values: pa.ChunkedArray) -> Iterator[str]:
    kind = plain_type(values.type)
    if not (is_text(kind) or pa.types.is_null(kind)):
        yield f"fake values are text, got {kind}. Convert the column to text, or declare `kind: id`."


def _temporal_violations(column: Column, values: pa.ChunkedArray) -> Iterator[str]:
    numbers = column.format is not None and (pa.types.is_integer(values.type) or pa.types.is_floating(values.type))
    if pa.types.is_time(values.type) or not (
        pa.types.is_temporal(values.type) or is_text(values.type) or pa.types.is_null(values.type) or numbers
    ):
        yield f"values must be dates or ISO text, got {values.type}. Convert them, or declare their `format`."
        return
    timestamps, problem = timestamps_of(column, values)
    if timestamps is None:
        yield problem
        return
    if column.bounds is not None:
        span = pc.min_max(timestamps).as_py()
        low = _comparable(column.bounds[0], span["min"], dt.time.min)
        high = _comparable(column.bounds[1], span["min"], dt.time.max)  # a day ends at midnight
        if span["min"] is not None and (span["min"] < low or span["max"] > high):
            yield f"values must be in its bounds [{low}, {high}], got [{span['min']}, {span['max']}]."


def outside_bounds(column: Column, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return which values (rows,) of a column of numbers or dates are outside its bounds; missing ones are not.

    Args:
        column: The column, which has bounds.
        values: Its values, which are numbers or dates as it declares them.
    """
    assert column.bounds is not None
    low, high = column.bounds
    if column.kind in TEMPORAL:
        timestamps, _ = timestamps_of(column, values)
        assert timestamps is not None
        like = pc.min(timestamps).as_py()
        low, high = _comparable(low, like, dt.time.min), _comparable(high, like, dt.time.max)
        found, ends = timestamps, [pa.scalar(end, timestamps.type) for end in (low, high)]
    else:
        exact = exact_as_double(values)
        found = split_sentinels(values, column.sentinels, column.format)[0] if exact else values
        ends = [pa.scalar(low), pa.scalar(high)]
    outside = pc.or_(pc.less(found, ends[0]), pc.greater(found, ends[1]))
    return pc.fill_null(outside, fill_value=False)


def timestamps_of(column: Column, values: pa.ChunkedArray) -> tuple[pa.ChunkedArray | None, str]:
    """Return the timestamps of a column, or None and what is wrong with a value."""
    if column.format is not None and not pa.types.is_temporal(values.type):
        if offsets := several_offsets(values, column.format):
            return None, (
                f"times must have one UTC offset, or the UTC offsets of one time zone, got {listing(offsets)}. "
                "Convert them to UTC (`pd.to_datetime(..., utc=True)`), and keep the offset in a column of its own."
            )
        timestamps = to_timestamps(values, column.format)
        unread = pc.and_(values.is_valid(), timestamps.is_null())
        unread = pc.and_not(unread, are_sentinels(values, column.sentinels))
        wrong = values.filter(unread)
        if len(wrong):
            return None, (
                f"values must have the format {column.format}, got {wrong[0].as_py()!r}. Declare it under "
                "`sentinels`, convert or drop it."
            )
        return timestamps.cast(pa.date32()) if column.kind == "date" else timestamps, ""
    try:
        timestamps = values.cast(temporal_type(values.type, date=column.kind == "date"))
    except pa.ArrowInvalid as error:
        return None, (
            f"text must be ISO dates (2020-12-31) or datetimes ({str(error).splitlines()[0]}). "
            "Declare its `format` (%d/%m/%Y), or convert it."
        )
    if is_text(values.type) and not pc.all(pc.equal(timestamps.cast(values.type), values)).as_py():
        return None, (
            "text must be dates (2020-12-31) or datetimes (2020-12-31 23:59:59) in this format. "
            "Declare its `format` (%d/%m/%Y), convert or drop it."
        )
    return timestamps, ""


def _comparable(bound: Any, like: Any, time: dt.time) -> Any:
    """A bound as a date, or as a datetime in the zone of the values; a date gets `time` as its time of day."""
    if isinstance(like, dt.datetime):
        if not isinstance(bound, dt.datetime):
            bound = dt.datetime.combine(bound, time)
        return bound.replace(tzinfo=like.tzinfo) if bound.tzinfo is None else bound.astimezone(like.tzinfo)
    return bound.date() if isinstance(bound, dt.datetime) else bound


def _category_violations(column: Column, values: pa.ChunkedArray) -> Iterator[str]:
    kind = plain_type(values.type)
    declared = [column.other_category] if column.categories is None else list(column.categories)
    try:
        as_array(declared).cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OverflowError):
        yield f"`categories` and `other_category` must fit the column's type {kind}, got {declared[:5]}."
        return
    if column.other_category is not None:
        return
    allowed = set(column.categories or ())
    unknown = [value for value in pc.unique(values).to_pylist() if value is not None and value not in allowed]
    if unknown:
        yield (
            f"values must be among its {len(allowed)} categories, got {listing(unknown, 3)}. "
            "Add them to `categories`, declare `other_category`, or clean them."
        )
