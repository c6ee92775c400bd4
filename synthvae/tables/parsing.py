"""Parse values of any type leniently to texts, numbers or timestamps; unparseable values become missing."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from synthvae.tables.arrow import countable, is_text, to_double
from synthvae.tables.time_format import TimeForm, digits_of
from synthvae.tables.timestamps import DAY, naive, steps_since_epoch

Floats = npt.NDArray[np.float64]

BOOLEANS = {"true": "1", "false": "0"}
FAR = 2**62  # microseconds from 1970, beyond any bound
MICROSECONDS = {"D": DAY, "s": 1_000_000, "ms": 1000, "us": 1, "ns": 0}  # 0: nanoseconds are divided by 1000


def plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Decode dictionaries, cast text to bytes, and replace values of unsupported types by missing ones."""
    parts = [_plain_chunk(chunk) for chunk in values.chunks] or [pa.nulls(0)]
    return pa.chunked_array(parts)


def _plain_chunk(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _plain_chunk(values.dictionary).take(values.indices)
    if is_text(kind):
        return values.cast(pa.large_binary())  # bytes, since text that is not valid UTF-8 must not be an error
    simple = pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return values if simple or pa.types.is_decimal(kind) or pa.types.is_temporal(kind) else pa.nulls(len(values))


def distinct(values: pa.ChunkedArray) -> tuple[list[Any], npt.NDArray[np.int64]]:
    """Return the distinct values of a column, including None, and the index (rows,) of the value of each row.

    Values that Arrow distinguishes and Python does not, such as 0.0 and -0.0, are one value, so that counts by value
    include every row.
    """
    coded = countable(values).combine_chunks().dictionary_encode(null_encoding="encode")
    places: dict[Any, int] = {}
    place_of = [places.setdefault(canonical(value), len(places)) for value in coded.dictionary.to_pylist()]
    indices = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return list(places), np.array(place_of, np.int64)[indices]


def canonical(value: Any) -> Any:
    """Return one Python value for all equal ones: bytes decoded to text, -0.0 as 0.0, every NaN as `math.nan`."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, float):
        return value + 0.0 if value == value else math.nan  # noqa: PLR0124 (NaN)
    return value


def parsed(values: pa.ChunkedArray) -> Floats:
    """Return values as numbers (rows,); NaN where a value is not a number."""
    if pa.types.is_large_binary(values.type):
        known, places = distinct(values)
        return np.array([number_of(text) for text in known], np.float64)[places]
    numbers = to_double(values.cast(pa.int8()) if pa.types.is_boolean(values.type) else values)
    return np.full(len(values), np.nan) if numbers is None else numbers.to_numpy().astype(np.float64)


def number_of(text: str | None) -> float:
    """Parse a text as a number; NaN if it is not one."""
    try:
        return math.nan if text is None else float(BOOLEANS.get(text.strip().casefold(), text))
    except ValueError:
        return math.nan


def microseconds(
    values: pa.ChunkedArray,
    format: str | None = None,  # noqa: A002 (the word of strptime)
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return microseconds since 1970 (rows,), and whether a value is a timestamp (rows,).

    Args:
        values: The column.
        format: How text is written; None: in ISO format.
    """
    kind = values.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        unit = {"date32[day]": "D", "date64[ms]": "ms"}.get(str(kind)) or kind.unit
        width = pa.int32() if unit == "D" else pa.int64()
        ticks = values.cast(width).cast(pa.int64()).fill_null(0).to_numpy()
        factor = MICROSECONDS[unit]
        ticks = np.clip(ticks, -FAR // factor, FAR // factor) * factor if factor else ticks // 1000
        return ticks, values.is_valid().to_numpy()
    if pa.types.is_temporal(kind):
        return np.zeros(len(values), np.int64), np.zeros(len(values), bool)
    known, places = distinct(values)
    found = [timestamp_of(value) for value in known] if format is None else _formatted(known, format)
    array = np.array([0 if timestamp is None else timestamp for timestamp in found], np.int64)
    return array[places], np.array([timestamp is not None for timestamp in found], bool)[places]


def _formatted(values: list[Any], format: str) -> list[int | None]:  # noqa: A002
    """Parse texts or whole numbers that have a format, each by itself, to microseconds since 1970."""
    texts = [
        None if value is None else str(value).strip().removesuffix(".0").zfill(digits_of(format)) for value in values
    ]
    return list(TimeForm(format=format).parse(pa.array(texts, pa.string())).to_pylist())


def timestamp_of(value: Any) -> int | None:
    """Parse ISO text, or a number in its basic format such as 20201231, to microseconds since 1970."""
    try:
        return steps_since_epoch(
            naive(dt.datetime.fromisoformat(str(value).strip().removesuffix(".0")), dt.time.min), 1
        )
    except (ValueError, OverflowError):
        return None
