"""Infer the kinds of the columns of a table. The result should be reviewed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from synthvae.errors import TableError
from synthvae.schema.column import Column
from synthvae.schema.identifiers import identified
from synthvae.tables.arrow import count_decimals, exact_as_double, finite_numbers, is_text, to_double
from synthvae.tables.number_format import find_style, is_number

MAX_SENTINELS = 10  # distinct texts among the numbers of a column
CODE_SHARE = 0.02  # distinct texts per row, up to which numeric texts are codes
MIN_UNIQUE = 10  # with fewer rows, distinct values may be a coincidence
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
    """Infer whole numbers that doubles cannot represent: ids if they are distinct, else categories."""
    distinct = len(pc.unique(values.drop_null()))
    unique = distinct == len(values) - values.null_count and distinct >= MIN_UNIQUE
    return Column(name=name, kind="id" if unique else "categorical", nullable=bool(values.null_count))


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
    """Infer a date or datetime from ISO text, if formatting the values gives the same text again."""
    for kind, arrow in (("date", pa.date32()), ("datetime", pa.timestamp("s"))):
        try:
            again = pa.array(texts).cast(arrow).cast(pa.string()).to_pylist()
        except pa.ArrowInvalid:
            continue
        if again == texts:
            bounds = _span(values.cast(arrow))
            return Column(name=name, kind=kind, bounds=bounds, nullable=bool(values.null_count))
    return None


def _infer_numeric_text(name: str, texts: list[str], *, nullable: bool) -> Column | None:
    """Infer a number from text with many distinct numbers and a few sentinel values such as "N"."""
    numbers = [text for text in texts if is_number(text)]
    sentinels = [text for text in texts if not is_number(text)]
    if len(numbers) <= MAX_NAMES or len(sentinels) > MAX_SENTINELS or find_style(numbers) is None:
        return None
    values = np.array([float(text) for text in numbers])
    whole = bool(np.all(values == np.rint(values)))
    bounds = (_number(values.min(), whole=whole), _number(values.max(), whole=whole))
    if whole:
        return Column(name=name, kind="integer", bounds=bounds, sentinels=sentinels, nullable=nullable)
    decimals = count_decimals(values)
    return Column(
        name=name, kind="continuous", bounds=bounds, decimals=decimals, sentinels=sentinels, nullable=nullable
    )
