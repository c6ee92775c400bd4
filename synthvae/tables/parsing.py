"""Values of whatever type, read as texts, numbers or moments. No value is an error: what cannot be read is none."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from synthvae.tables.arrow import is_text, to_double
from synthvae.tables.timestamps import DAY, naive, since

Floats = npt.NDArray[np.float64]

TRUTH = {"true": "1", "false": "0"}
FAR = 2**62  # microseconds from the epoch: farther than any bound
TICKS = {"D": DAY, "s": 1_000_000, "ms": 1000, "us": 1, "ns": 0}  # nanoseconds are cut off


def plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values without dictionaries, texts as their bytes; nothing but gaps where the type is none that a value has."""
    parts = [_plain_chunk(chunk) for chunk in values.chunks] or [pa.nulls(0)]
    return pa.chunked_array(parts)


def _plain_chunk(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _plain_chunk(values.dictionary).take(values.indices)
    if is_text(kind):
        return values.cast(pa.large_binary())  # what is no UTF-8 is no error
    simple = pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return values if simple or pa.types.is_decimal(kind) or pa.types.is_temporal(kind) else pa.nulls(len(values))


def distinct(values: pa.ChunkedArray) -> tuple[list[Any], npt.NDArray[np.int64]]:
    """The distinct values of a column, None among them, and which of these each row (rows,) holds.

    They are distinct as Python has them, too: what Arrow tells apart and Python does not, such as 0.0 and -0.0, is one
    value, so that whoever counts by them loses no row.
    """
    coded = values.combine_chunks().dictionary_encode(null_encoding="encode")
    places: dict[Any, int] = {}
    place_of = [places.setdefault(canonical(value), len(places)) for value in coded.dictionary.to_pylist()]
    indices = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return list(places), np.array(place_of, np.int64)[indices]


def canonical(value: Any) -> Any:
    """The one Python value for all that are told apart nowhere: text of any bytes, one zero, one NaN."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, float):
        return value + 0.0 if value == value else math.nan  # noqa: PLR0124 (not-a-number)
    return value


def parsed(values: pa.ChunkedArray) -> Floats:
    """Values as numbers; NaN where they are none."""
    if pa.types.is_large_binary(values.type):
        known, places = distinct(values)
        return np.array([number_of(text) for text in known], np.float64)[places]
    numbers = to_double(values.cast(pa.int8()) if pa.types.is_boolean(values.type) else values)
    return np.full(len(values), np.nan) if numbers is None else numbers.to_numpy().astype(np.float64)


def number_of(text: str | None) -> float:
    """The number that a text says; NaN if it says none."""
    try:
        return math.nan if text is None else float(TRUTH.get(text.strip().casefold(), text))
    except ValueError:
        return math.nan


def microseconds(values: pa.ChunkedArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Microseconds (rows,) since 1970, and whether (rows,) a value is a moment at all."""
    kind = values.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        unit = {"date32[day]": "D", "date64[ms]": "ms"}.get(str(kind)) or kind.unit
        width = pa.int32() if unit == "D" else pa.int64()
        ticks = values.cast(width).cast(pa.int64()).fill_null(0).to_numpy()
        factor = TICKS[unit]
        ticks = np.clip(ticks, -FAR // factor, FAR // factor) * factor if factor else ticks // 1000
        return ticks, values.is_valid().to_numpy()
    if pa.types.is_temporal(kind):
        return np.zeros(len(values), np.int64), np.zeros(len(values), bool)
    known, places = distinct(values)
    found = [moment_of(value) for value in known]
    array = np.array([0 if moment is None else moment for moment in found], np.int64)
    return array[places], np.array([moment is not None for moment in found], bool)[places]


def moment_of(value: Any) -> int | None:
    """Microseconds since 1970 of an ISO text, or of a number written like one: 20201231."""
    try:
        return since(naive(dt.datetime.fromisoformat(str(value).strip().removesuffix(".0")), dt.time.min), 1)
    except (ValueError, OverflowError):
        return None
