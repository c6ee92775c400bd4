"""Convert text columns to what `ReadOptions` declares: missing values, numbers with separators, dates of a format."""

from __future__ import annotations

import re
from collections.abc import Callable

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from synthvae.errors import ConfigurationError
from synthvae.tables.arrow import exact_as_double, is_text
from synthvae.tables.number_format import NumberForm
from synthvae.tables.read_options import ReadOptions
from synthvae.tables.text_codes import WHOLE, hold_codes, whole_type
from synthvae.tables.time_format import exact_timestamps, has_time, problem_of

ZONES = re.compile(r"%:?[zZ]")
NOT_OF_PYTHON = re.compile(r"%(?!:?z|[aAwdbBmyYHIpMSfZjUWcxXGuV%])")

Reading = Callable[[pa.ChunkedArray], pa.ChunkedArray | None]


def typed(table: pa.Table, options: ReadOptions) -> pa.Table:
    """Return a table whose text columns are numbers, dates or timestamps if all their values have a declared form.

    Args:
        table: A table as it was read.
        options: What is declared. Without any form, text stays text.

    Raises:
        ConfigurationError: A format of dates has a directive that is not known.

    Example:
        >>> typed(pa.table({"x": ["1.250,5", "12"]}), ReadOptions(decimal=",", thousands="."))["x"].to_pylist()
        [1250.5, 12.0]
    """
    _refuse_unreadable(options)
    for place, field in enumerate(table.schema):
        if is_text(field.type) and options.forms:
            values = _converted(table.column(place), options)
            table = table.set_column(place, field.name, values)
    return table


def without_sentinels(table: pa.Table, options: ReadOptions) -> pa.Table:
    """Return a table in which the declared texts, and empty ones, are missing values."""
    if not options.na_values:
        return table
    for place, field in enumerate(table.schema):
        if is_text(field.type):
            values = table.column(place)
            missing = pc.is_in(values, value_set=pa.array(["", *options.na_values], field.type))
            table = table.set_column(place, field.name, pc.if_else(missing, pa.scalar(None, field.type), values))
    return table


def _converted(values: pa.ChunkedArray, options: ReadOptions) -> pa.ChunkedArray:
    """A text column in its declared form; the column itself if a value has another one, or none is present."""
    if values.null_count == len(values):
        return values
    texts = pc.utf8_trim_whitespace(values.cast(pa.large_string()))
    numbers = [_as_numbers(options)] if options.decimal != "." or options.thousands else []
    for reading in (*numbers, *(_as_dates(form) for form in options.date_format)):
        found = reading(texts)
        if found is not None:
            return found
    return values


def _as_numbers(options: ReadOptions) -> Reading:
    """The reading of numbers with the declared separators; codes with leading zeros or a plus sign are not numbers."""
    form = NumberForm("", options.thousands or "", options.decimal, "")

    def read(texts: pa.ChunkedArray) -> pa.ChunkedArray | None:
        plain = form.plain(texts)
        if plain.null_count > texts.null_count or hold_codes(plain):
            return None
        if not pc.all(pc.match_substring_regex(plain, WHOLE)).as_py():
            return plain.cast(pa.float64())
        kind = whole_type(plain)
        if kind is None:  # beyond 64 bits
            return None
        numbers = plain.cast(kind)  # small ones with missing values are floats, as in `files`
        return numbers.cast(pa.float64()) if numbers.null_count and exact_as_double(numbers) else numbers

    return read


def _refuse_unreadable(options: ReadOptions) -> None:
    """Refuse formats of dates with directives that are neither ours nor Python's.

    Raises:
        ConfigurationError: There is one.
    """
    for form in options.date_format:
        if (problem := problem_of(form)) and NOT_OF_PYTHON.search(form):
            raise ConfigurationError(f"`date_format` {problem}, got {form!r}. See Python's strptime.")


def _as_dates(form: str) -> Reading:
    """The reading of dates, or timestamps if the format has directives of times."""

    def read(texts: pa.ChunkedArray) -> pa.ChunkedArray | None:
        coded = texts.combine_chunks().dictionary_encode()
        known = coded.dictionary.cast(pa.string())
        stamps = exact_timestamps(known, form) if problem_of(form) is None else _by_pandas(known, form)
        if stamps is None or stamps.null_count:
            return None
        stamps = stamps if has_time(form) else stamps.cast(pa.date32(), safe=False)
        return pa.chunked_array([stamps.take(coded.indices)])

    return read


def _by_pandas(texts: pa.Array, form: str) -> pa.Array | None:
    """Timestamps of a format with directives that synthvae does not write, such as %j; None if a text has another."""
    try:
        return pa.array(pd.to_datetime(pd.Series(texts.to_pylist()), format=form, utc=bool(ZONES.search(form))))
    except (ValueError, OverflowError, re.error):
        return None
