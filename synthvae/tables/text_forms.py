"""Convert text columns to what `ReadOptions` declares: missing values, numbers with separators, dates of a format."""

from __future__ import annotations

import re
from collections.abc import Callable

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from synthvae.tables.arrow import is_text
from synthvae.tables.read_options import ReadOptions

TIMES = re.compile(r"%[-#]?[HIMSfpXcTRr]")  # directives of times of day
ZONES = re.compile(r"%:?[zZ]")

Reading = Callable[[pa.ChunkedArray], pa.ChunkedArray | None]


def typed(table: pa.Table, options: ReadOptions) -> pa.Table:
    """Return a table whose text columns are numbers, dates or timestamps if all their values have a declared form.

    Args:
        table: A table as it was read.
        options: What is declared. Without any form, text stays text.

    Example:
        >>> typed(pa.table({"x": ["1.250,5", "12"]}), ReadOptions(decimal=",", thousands="."))["x"].to_pylist()
        [1250.5, 12.0]
    """
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
    for reading in (_as_numbers(options), *(_as_dates(form) for form in options.date_format)):
        found = reading(values)
        if found is not None:
            return found
    return values


def _as_numbers(options: ReadOptions) -> Reading:
    """The reading of numbers with the declared separators; codes with leading zeros or a plus sign are not numbers."""
    decimal, group = re.escape(options.decimal), re.escape(options.thousands or "")
    whole = rf"(?:0|[1-9][0-9]{{0,2}}(?:{group}[0-9]{{3}})+|[1-9][0-9]*)" if group else "(?:0|[1-9][0-9]*)"
    form = rf"^-?{whole}(?:{decimal}[0-9]+)?(?:[eE][+-]?[0-9]+)?$"

    def read(values: pa.ChunkedArray) -> pa.ChunkedArray | None:
        texts = pc.utf8_trim_whitespace(values)
        if not pc.all(pc.match_substring_regex(texts, form)).as_py():
            return None
        plain = pc.replace_substring(texts, options.thousands, "") if options.thousands else texts
        plain = pc.replace_substring(plain, options.decimal, ".")
        try:
            # Whole numbers with missing values are floats, as in `files`.
            return plain.cast(pa.float64() if plain.null_count else pa.int64())
        except pa.ArrowInvalid:
            return plain.cast(pa.float64())

    return read


def _as_dates(form: str) -> Reading:
    """The reading of dates, or timestamps if the format has directives of times."""

    def read(values: pa.ChunkedArray) -> pa.ChunkedArray | None:
        coded = pc.utf8_trim_whitespace(values).combine_chunks().dictionary_encode()
        try:
            known = pd.to_datetime(pd.Series(coded.dictionary.to_pylist()), format=form, utc=bool(ZONES.search(form)))
        except (ValueError, OverflowError):
            return None
        stamps = pa.array(known)
        stamps = stamps if TIMES.search(form) else stamps.cast(pa.date32(), safe=False)
        return pa.chunked_array([stamps.take(coded.indices)])

    return read
