"""Infer the kinds of the columns of a table. The result should be reviewed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from synthvae.errors import TableError
from synthvae.schema.column import MAX_SENTINELS, Column, Kind
from synthvae.schema.digit_dates import find_digit_dates
from synthvae.schema.identifiers import identified, is_named_as_code
from synthvae.tables import number_format, time_format
from synthvae.tables.arrow import count_decimals, exact_as_double, finite_numbers, is_text, to_double
from synthvae.tables.number_format import MAX_OTHERS, NumberForm, find_style, is_number

CODE_SHARE = 0.02  # distinct texts per row, up to which numeric texts are codes
MIN_UNIQUE = 10  # with fewer rows, distinct values may be a coincidence
MIN_WEAK = 3  # distinct texts of digits, or with years of two digits, that are dates and no codes
SHORT_DATE = 6  # digits of a date with a year of two
MIN_DATES = 8  # distinct whole numbers; of random ones of eight digits, one in 28 is a date
DATE_NUMBERS = (  # how they write dates and datetimes, from 1900 to 2100
    ("%Y%m%d", 19000101, 21001231),
    ("%Y%m", 190001, 210012),
    ("%Y%m%d%H%M", 190001010000, 210012312359),
    ("%Y%m%d%H%M%S", 19000101000000, 21001231235959),
)
LIMITS = "<>≤≥"  # of detection, as in "<0.5"
MAX_NAMES = 20  # distinct texts that are categories whatever the number of rows


def infer_columns(table: pa.Table) -> tuple[Column, ...]:
    """Infer a `Column` for each column of `table`; those that identify people are ids or fake.

    Raises:
        TableError: There is no column, or one has values of a type without a kind, such as nested or binary ones.
    """
    if table.num_columns == 0:
        raise TableError("A table must have at least one column, got none.")
    columns = (_infer_column(name, table.column(name)) for name in table.column_names)
    return tuple(identified(column, table.column(column.name)) for column in columns)


def _infer_column(name: str, values: pa.ChunkedArray) -> Column:  # noqa: PLR0911 (a table of types)
    kind = values.type
    nullable = bool(values.null_count)
    if pa.types.is_dictionary(kind):
        return _infer_dictionary(name, values)
    if pa.types.is_boolean(kind):
        return Column(name=name, kind="boolean", nullable=nullable)
    if pa.types.is_timestamp(kind) or pa.types.is_date64(kind):
        return Column(name=name, kind="datetime", bounds=_span(values), nullable=nullable)
    if pa.types.is_date32(kind):
        return Column(name=name, kind="date", bounds=_span(values), nullable=nullable)
    if is_text(kind):
        return _infer_text(name, values)
    if pa.types.is_null(kind):
        return Column(name=name, kind="categorical", categories=(), nullable=True)
    numbers = to_double(values)
    if numbers is None:
        raise TableError(
            f"Column {name!r}: values of type {kind} are not supported. Flatten or convert them, or drop it."
        )
    return _infer_number(name, values, numbers)


def _span(values: pa.ChunkedArray) -> tuple[Any, Any] | None:
    try:
        span = pc.min_max(values).as_py()
    except (OverflowError, ValueError):  # beyond the years of Python's datetime
        return None
    return None if span["min"] is None else (span["min"], span["max"])


def _infer_dictionary(name: str, values: pa.ChunkedArray) -> Column:
    categories = values.combine_chunks().dictionary.to_pylist() if values.num_chunks else []
    known = all(isinstance(value, (str, int, float)) for value in categories)
    if not known:
        raise TableError(f"Column {name!r}: categories must be texts or numbers, got {values.type}.")
    ordered = bool(values.type.ordered)
    return Column(
        name=name, kind="categorical", categories=categories, ordered=ordered, nullable=bool(values.null_count)
    )


def _infer_number(name: str, values: pa.ChunkedArray, numbers: pa.ChunkedArray) -> Column:
    finite = finite_numbers(name, numbers)
    nullable = len(finite) < len(values)
    if not exact_as_double(values):
        return _infer_large(name, values)
    whole = bool(np.all(finite == np.rint(finite))) and (len(finite) > 0 or not pa.types.is_floating(values.type))
    if whole and (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        column = _infer_date_number(name, values, finite)
        if column is not None:
            return column
    if whole and not nullable and pa.types.is_integer(values.type) and _is_sequence(finite):
        return Column(name=name, kind="id", nullable=False)
    bounds = (_number(finite.min(), whole=whole), _number(finite.max(), whole=whole)) if len(finite) else None
    if whole:
        return Column(name=name, kind="integer", bounds=bounds, nullable=nullable)
    return Column(
        name=name,
        kind="continuous",
        bounds=bounds,
        decimals=count_decimals(finite, single=pa.types.is_float32(values.type)),
        nullable=nullable,
    )


def _infer_large(name: str, values: pa.ChunkedArray) -> Column:
    """Infer whole numbers that doubles do not distinguish: ids, numbers, or categories if most of them repeat."""
    known = pc.unique(values.drop_null())
    rows, nullable = len(values) - values.null_count, bool(values.null_count)
    unique = len(known) == rows and rows >= MIN_UNIQUE
    if not pa.types.is_integer(values.type):
        return Column(name=name, kind="id" if unique else "categorical", nullable=nullable)
    low, high = pc.min_max(known).as_py().values()
    if unique and (high - low == rows - 1 or high - low >= 1 << 63):  # a sequence, or spread over all numbers
        return Column(name=name, kind="id", nullable=nullable)
    if unique or (len(known) > MAX_NAMES and 2 * len(known) > rows):
        return Column(name=name, kind="integer", bounds=(low, high), nullable=nullable)
    return Column(name=name, kind="categorical", nullable=nullable)


def _number(value: np.float64, *, whole: bool) -> int | float:
    return int(value) if whole else float(value)


def _is_sequence(numbers: npt.NDArray[np.float64]) -> bool:
    """Whether whole numbers enumerate the rows: each from the smallest to the largest occurs exactly once."""
    n = len(numbers)
    return n >= MIN_UNIQUE and numbers.max() - numbers.min() == n - 1 and len(np.unique(numbers)) == n


def _infer_text(name: str, values: pa.ChunkedArray) -> Column:
    nullable = bool(values.null_count)
    counts = pc.value_counts(values.drop_null().combine_chunks())
    texts: list[str] = counts.field("values").to_pylist()
    n = len(values) - values.null_count
    if not texts:
        return Column(name=name, kind="categorical", categories=(), nullable=True)
    column = _infer_temporal_text(name, values, texts)
    if column is None and len(texts) > CODE_SHARE * n:  # fewer distinct numbers are codes
        column = _infer_numeric_text(name, texts, nullable=nullable)
    if column is not None:
        return column
    if (n >= MIN_UNIQUE and len(texts) == n) or (len(texts) > MAX_NAMES and 2 * len(texts) > n):
        return Column(name=name, kind="id", nullable=nullable)
    return Column(name=name, kind="categorical", nullable=nullable)


def _infer_temporal_text(name: str, values: pa.ChunkedArray, texts: list[str]) -> Column | None:
    """Infer a date or datetime from text, if formatting the values gives the same text again.

    Where few texts can be read in several ways they are categories, where many can the column needs a decision.
    """
    for kind, arrow in (("date", pa.date32()), ("datetime", pa.timestamp("s"))):
        try:
            again = pa.array(texts).cast(arrow).cast(pa.string()).to_pylist()
        except pa.ArrowInvalid:
            continue
        if again == texts:
            bounds = _span(values.cast(arrow))
            return Column(name=name, kind=kind, bounds=bounds, nullable=bool(values.null_count))
    formats, others = time_format.recognise(pa.array(texts, pa.string())) or _formats_of_digits(texts), list[str]()
    if not formats and len(texts) > MAX_NAMES:
        formats, others = time_format.recognise_beside(texts, MAX_OTHERS)
    weak = any(texts[0].isdecimal() or "%y" in known for known in formats)
    if not formats or (weak and len(texts) < MIN_WEAK) or (len(formats) > 1 and len(texts) <= MAX_NAMES):
        return None
    if any(map(time_format.digits_of, formats)) and is_named_as_code(name):
        return None
    return temporal_column(name, values, time_format.OR.join(formats), tuple(others))


def _formats_of_digits(texts: list[str]) -> list[str]:
    """The formats of distinct texts of six digits that are dates."""
    if any(len(text) != SHORT_DATE or not text.isdecimal() for text in texts):
        return []
    return find_digit_dates(np.unique(np.array(texts, np.float64)))[0]


def temporal_column(
    name: str,
    values: pa.ChunkedArray,
    format: str,  # noqa: A002
    sentinels: tuple[Any, ...] = (),
) -> Column:
    """Return a column of dates or times that have a format, but for the sentinels.

    It has bounds if a sample shows them, as its texts sort by time.
    """
    kind: Kind = "datetime" if time_format.has_time(format) else "date"
    bounds = None
    if format.startswith("%Y") and time_format.OR not in format:
        timestamps = time_format.to_timestamps(values, format)
        bounds = _span(timestamps.cast(pa.date32()) if kind == "date" else timestamps)
    fields: dict[str, Any] = {"format": format, "bounds": bounds, "nullable": bool(values.null_count)}
    return Column(name=name, kind=kind, **fields, **({"sentinels": sentinels} if sentinels else {}))


def _infer_date_number(name: str, values: pa.ChunkedArray, numbers: npt.NDArray[np.float64]) -> Column | None:
    """Infer a date or datetime from whole numbers such as 20201231 or 202012, if all are dates but for a few sentinels.

    Of six digits, one number in eight is a month, so that sentinel values must be outside of all years.
    """
    if is_named_as_code(name):
        return None
    known = np.unique(numbers)
    for format, low, high in DATE_NUMBERS:  # noqa: A001
        inside = known[(known >= low) & (known <= high)]
        if len(inside) < MIN_DATES or len(known) - len(inside) > MAX_OTHERS:
            continue
        valid = (
            time_format.TimeForm(format=format).parse(pa.array(inside.astype(np.int64)).cast(pa.string())).is_valid()
        )
        dates = inside[valid.to_numpy(zero_copy_only=False)]
        others = np.setdiff1d(known, dates)
        if not len(others):
            return temporal_column(name, values, format)
        strict = format == "%Y%m" and len(dates) < len(inside)
        if len(dates) > MAX_NAMES and len(others) <= MAX_OTHERS and not strict:
            return temporal_column(name, values, format, tuple(map(int, others)))
    formats, sentinels = find_digit_dates(known)
    return temporal_column(name, values, time_format.OR.join(formats), sentinels) if formats else None


def _infer_numeric_text(name: str, texts: list[str], *, nullable: bool) -> Column | None:
    """Infer a number from text with many distinct numbers and a few sentinel values such as "N" or "<0.5"."""
    found = _plain_numbers(texts)
    return None if found is None else number_column(name, *found, nullable=nullable)


def number_column(
    name: str,
    format: str | None,  # noqa: A002 (the field of a column)
    numbers: list[str],
    sentinels: list[str],
    *,
    nullable: bool,
) -> Column:
    """Return a column of numbers in text: its format, the distinct numbers, written plainly, and other texts."""
    values = np.array([float(text) for text in numbers])
    whole = bool(np.all(values == np.rint(values)))
    fields: dict[str, Any] = {"sentinels": sentinels, "nullable": nullable, "format": format}
    if format is None or time_format.OR not in format:
        fields["bounds"] = (_number(values.min(), whole=whole), _number(values.max(), whole=whole))
    if whole:
        return Column(name=name, kind="integer", **_given(fields))
    return Column(name=name, kind="continuous", decimals=count_decimals(values), **_given(fields))


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name != "format" or value is not None}


def _plain_numbers(texts: list[str]) -> tuple[str | None, list[str], list[str]] | None:
    """The format of distinct texts, the numbers among them, written plainly, and the others; None if they are few."""
    if len(texts) <= MAX_NAMES:
        return None
    numbers = [text for text in texts if is_number(text)]
    sentinels = [text for text in texts if not is_number(text)]
    if len(numbers) > MAX_NAMES and _are_few(sentinels) and find_style(numbers) is not None:
        return None, numbers, sentinels
    formats = number_format.recognise(texts)
    if not formats:
        return None
    numbers, others = NumberForm.of(formats[0]).split(texts)
    return (time_format.OR.join(formats), numbers, others) if len(numbers) > MAX_NAMES else None


def _are_few(sentinels: list[str]) -> bool:
    """Whether texts are few enough to be sentinels; limits of detection ("<0.5") may be more."""
    limits = [text for text in sentinels if text[0] in LIMITS and is_number(text.lstrip("<>≤≥= "))]
    return len(sentinels) - len(limits) <= MAX_OTHERS and len(sentinels) <= MAX_SENTINELS
