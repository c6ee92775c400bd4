"""Numbers and dates that a user passes, as a column of text writes them ("1.234,5", "31/12/2024")."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from synthvae.encoding.kinds import StoredEncoding
from synthvae.encoding.numeric import NumericEncoding
from synthvae.encoding.relative import RelativeEncoding
from synthvae.encoding.temporal import TemporalEncoding
from synthvae.tables.arrow import is_text
from synthvae.tables.number_format import NumberForm, write
from synthvae.tables.time_format import TimeForm, digits_of, parse_column
from synthvae.tables.time_shapes import TIMEDELTA


def own_number(text: str, format: str | None) -> float | None:  # noqa: A002 (the field of a column)
    """Return the number of a text in the form of a column; None if it has another one.

    >>> own_number("1.234,5", "1.234,5"), own_number("1234.5", "1.234,5"), own_number("1.5", None)
    (1234.5, None, 1.5)
    """
    plain = text if format is None else NumberForm.of(format).plain(pa.array([text], pa.string()))[0].as_py()
    try:
        return None if plain is None else float(plain)
    except ValueError:
        return None


def is_written(encoding: StoredEncoding | None) -> bool:
    """Whether a column has numbers or dates, which a column of text writes in a form."""
    return isinstance(encoding, (NumericEncoding, TemporalEncoding, RelativeEncoding))


def written(values: Sequence[Any], encoding: StoredEncoding | None, kind: pa.DataType) -> list[Any]:
    """Return values as a column writes them: numbers and dates of a column of text in its form, others as they are.

    Args:
        values: The values; None: missing.
        encoding: The encoding of the column; None: it has no form.
        kind: The type of the column.
    """
    if isinstance(encoding, RelativeEncoding):
        return written(values, encoding.written, kind)
    if isinstance(encoding, NumericEncoding) and is_text(kind):
        return [_number_as_text(value, encoding) for value in values]
    if isinstance(encoding, TemporalEncoding) and encoding.form is not None:
        return [_date_as_text(value, encoding.form) for value in values]
    if isinstance(encoding, TemporalEncoding) and is_text(kind):
        return [_iso(value, date=encoding.column.kind == "date") for value in values]
    return list(values)


def _number_as_text(value: Any, encoding: NumericEncoding) -> Any:
    """A number, also one in plain text, in the form of a column; a text in this form, and any other, as it is."""
    if value is None or isinstance(value, (bool, np.bool_)) or value in encoding.marks:
        return value
    if isinstance(value, str) and (own_number(value, encoding.format) is not None or value in map(str, encoding.marks)):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        return value
    text = write(number, encoding.style, encoding.format)
    exact = own_number(text, encoding.format) == number
    return text if exact else write(number, "short", encoding.format)


def _date_as_text(value: Any, form: TimeForm) -> Any:
    """A timestamp, also one in ISO text, in the form of a column; a text in this form, and any other, as it is."""
    if value is None or form.format == TIMEDELTA or isinstance(value, (bool, int, float, np.number)):
        return value
    if isinstance(value, str) and _is_written(value, form):
        return value
    try:
        stamp = pd.Timestamp(value)
    except (TypeError, ValueError):
        return value
    if not isinstance(value, (str, dt.date, np.datetime64)):
        return value
    return form.write(pa.array([_ticks(stamp, form)], pa.int64()))[0].as_py()


def _iso(value: Any, *, date: bool) -> Any:
    """A timestamp as ISO text, and any other value as it is."""
    if not isinstance(value, (dt.date, np.datetime64)):
        return value
    stamp = pd.Timestamp(value)
    return stamp.date().isoformat() if date else stamp.isoformat(" ")


def _is_written(text: str, form: TimeForm) -> bool:
    """Whether a text has the form of a column; one of digits may lack its first zeros."""
    column = pa.chunked_array([pa.array([text.zfill(digits_of(form.format))], pa.string())])
    return bool(parse_column(column, form).null_count == 0)


def _ticks(stamp: pd.Timestamp, form: TimeForm) -> int:
    """The ticks of a timestamp on the clock of a column, or in UTC if the column has several offsets."""
    if stamp.tzinfo is not None:
        offset = None if form.offset == "Z" else form.offset
        stamp = stamp.tz_convert(form.zone or offset or "UTC").tz_localize(None)
    nanoseconds = stamp.as_unit("ns").value
    return int(nanoseconds // (10**9 // form.scale))
