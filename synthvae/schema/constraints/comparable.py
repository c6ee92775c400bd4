"""Values of columns as constraints compare them: numbers and timestamps as doubles, all other values as labels.

Whole numbers beyond ±2**53 stay Python integers, since doubles do not distinguish them. Timestamps are microseconds
since 1970 in UTC; a date is its midnight.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pandas.api.types import (
    is_bool_dtype,
    is_datetime64_any_dtype,
    is_dtype_equal,
    is_float_dtype,
    is_integer_dtype,
)

from synthvae.errors import TableError, listing
from synthvae.schema.column import NUMERIC, TEMPORAL, Column
from synthvae.tables.arrow import (
    LARGEST_EXACT,
    are_sentinels,
    count_decimals,
    dense,
    exact_as_double,
    is_text,
    split_sentinels,
)
from synthvae.tables.time_format import readings, to_timestamps

BoolArray = npt.NDArray[np.bool_]
Numbers = npt.NDArray[Any]  # (n,) float64, or Python integers and NaN

MICROSECOND = dt.timedelta(microseconds=1)
EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 (timestamps are compared without their zone)
TRUTHS = {"true": 1.0, "1": 1.0, "false": 0.0, "0": 0.0}


class Columns(Protocol):
    """The columns of a table by name: a `Schema`."""

    @property
    def names(self) -> list[str]:
        """The column names, in order."""

    def __getitem__(self, name: str) -> Column: ...


class Sentinel(str):
    """A sentinel value among numbers or dates: it is present, and has no place in their order."""

    __slots__ = ()


def frame_of(table: pa.Table, columns: Columns, names: Iterable[str]) -> pd.DataFrame:
    """Return columns of a table with the types that their kinds state: text that holds numbers or dates is parsed.

    A value that is none of its kind, as tables of other generators may have, is missing; a sentinel value is a
    `Sentinel`.

    Args:
        table: The table.
        columns: The schema of its columns.
        names: The columns to return.
    """
    wanted = list(dict.fromkeys(names))
    return pd.DataFrame({name: _typed(table.column(name), columns[name]) for name in wanted}, columns=wanted)


def _typed(values: pa.ChunkedArray, column: Column) -> pd.Series[Any]:
    values = dense(values)
    if column.kind not in (*NUMERIC, *TEMPORAL):
        return _objects(values)
    found = _numbers_of(values, column) if column.kind in NUMERIC else _timestamps_of(values, column)
    known = are_sentinels(values, column.sentinels).to_numpy() if column.sentinels else np.zeros(0, bool)
    if known.any():
        found = found.astype(object)
        found[known] = [Sentinel(value) for value in values.filter(pa.array(known)).to_pylist()]
    return found


def _objects(values: pa.ChunkedArray) -> pd.Series[Any]:
    found: pd.Series[Any] = values.to_pandas()
    return found.reset_index(drop=True)


def _numbers_of(values: pa.ChunkedArray, column: Column) -> pd.Series[Any]:
    if pa.types.is_integer(values.type) and not exact_as_double(values):
        return pd.Series(values.to_pylist(), dtype=object)
    if not column.sentinels and (pa.types.is_integer(values.type) or pa.types.is_float64(values.type)):
        return pd.Series(values.cast(pa.float64()).to_numpy())
    form = None if column.format is None else readings(column.format)[0]
    numbers, _ = split_sentinels(values, column.sentinels, form)
    if pa.types.is_floating(numbers.type):
        kind = values.type.to_pandas_dtype()
        return _objects(numbers).astype(kind if is_single(kind) else np.float64)
    found: pd.Series[Any] = pd.to_numeric(_objects(numbers).astype(object), errors="coerce")
    return found.astype(np.float64)


def _timestamps_of(values: pa.ChunkedArray, column: Column) -> pd.Series[Any]:
    values = pc.if_else(are_sentinels(values, column.sentinels), pa.scalar(None, values.type), values)
    if column.format is not None and not pa.types.is_temporal(values.type):
        values = to_timestamps(values, readings(column.format)[0])
    if is_text(values.type) or not pa.types.is_temporal(values.type):
        return pd.to_datetime(_objects(values).astype(object), errors="coerce", utc=True).dt.tz_localize(None)
    zone = values.type.tz if pa.types.is_timestamp(values.type) else None
    plain = values.cast(pa.timestamp("us", zone), safe=False).cast(pa.timestamp("us"))  # in UTC
    return pd.Series(plain.to_numpy(), dtype="datetime64[us]")


def refuse_absent(frame: pd.DataFrame, names: Iterable[str]) -> None:
    """Raise an error unless a table has the columns of a rule.

    Raises:
        TableError: It lacks one.
    """
    if absent := [name for name in names if name not in frame]:
        raise TableError(f"A table must have the columns of its rules, got none named {listing(absent)}. Add them.")


def numbers(values: pd.Series[Any]) -> Numbers:
    """Return the numbers, booleans or timestamps of a column (n,); NaN: a missing or sentinel value.

    Raises:
        TableError: The values are texts, or others without an order.
    """
    kind = values.dtype
    if is_datetime64_any_dtype(kind) and not isinstance(kind, pd.ArrowDtype):
        naive = values.dt.tz_convert("UTC").dt.tz_localize(None) if isinstance(kind, pd.DatetimeTZDtype) else values
        return _microseconds(naive.to_numpy("datetime64[us]"))
    if is_bool_dtype(kind) or is_float_dtype(kind):
        found = _finite(values.to_numpy(np.float64, na_value=np.nan))
        return _decimal(found) if is_single(kind) else found
    if is_integer_dtype(kind):
        largest = 0 if values.dropna().empty else max(-int(values.min()), int(values.max()))
        if largest <= LARGEST_EXACT:
            return values.to_numpy(np.float64, na_value=np.nan)
    return _of_objects(values)


def is_single(kind: Any) -> bool:
    """Whether a type of pandas or NumPy holds floating-point numbers of fewer bits than doubles.

    >>> is_single(np.dtype("float32")), is_single(pd.Float32Dtype()), is_single(np.dtype("float64"))
    (True, True, False)
    """
    return is_float_dtype(kind) and not is_dtype_equal(getattr(kind, "numpy_dtype", kind), np.float64)


def relative_error(kind: Any) -> float:
    """Return the relative error of floating-point numbers of a type after a few steps of arithmetic; 0 of doubles.

    >>> relative_error(np.dtype("float32")) == 2**-22, relative_error(np.dtype("int64"))
    (True, 0.0)
    """
    return 2.0 * float(np.finfo(np.dtype(getattr(kind, "numpy_dtype", kind))).eps) if is_single(kind) else 0.0


def _decimal(found: Numbers) -> Numbers:
    """The decimal numbers that single-precision ones stand for: 0.1, not 0.10000000149."""
    decimals = count_decimals(found[~np.isnan(found)], single=True)
    return found if decimals is None else np.round(found, decimals)


def _microseconds(timestamps: npt.NDArray[np.datetime64]) -> Numbers:
    return np.where(np.isnat(timestamps), np.nan, timestamps.astype(np.int64).astype(np.float64))


def _finite(found: npt.NDArray[np.float64]) -> Numbers:
    """Numbers, NaN in the place of infinite ones, which come from a division by zero and cannot be compared."""
    return np.where(np.isfinite(found), found, np.nan)


def _of_objects(values: pd.Series[Any]) -> Numbers:
    given = values.astype(object).to_numpy()
    known = ~_are_missing(values)
    known[known] = [not isinstance(value, Sentinel) for value in given[known]]
    found = np.full(len(given), np.nan, object)
    found[known] = [_number(value, values.name) for value in given[known]]
    large = any(isinstance(value, int) and abs(value) > LARGEST_EXACT for value in found[known])
    return found if large else _finite(found.astype(np.float64))


def _number(value: Any, name: Any) -> float | int:
    if isinstance(value, (dt.date, np.datetime64)):
        return microseconds(pd.Timestamp(value).to_pydatetime() if isinstance(value, np.datetime64) else value)
    if isinstance(value, (bool, np.bool_)):
        return int(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating, Decimal)):
        return float(value)
    raise TableError(
        f"Column {str(name)!r}: a rule compares numbers or dates, got {value!r:.60}. Convert the values, or check the "
        "table with `Schema.check`, which reads text as the schema declares it."
    )


def microseconds(value: dt.date) -> int:
    """Return the microseconds from 1970 to a date's midnight or to a datetime, in UTC if it has a zone.

    >>> microseconds(dt.date(1970, 1, 2))
    86400000000
    """
    if not isinstance(value, dt.datetime):
        value = dt.datetime.combine(value, dt.time.min)
    if value.tzinfo is not None:
        value = value.astimezone(dt.UTC).replace(tzinfo=None)
    return (value - EPOCH) // MICROSECOND


def _are_missing(values: pd.Series[Any]) -> BoolArray:
    return values.isna().to_numpy(bool)


def present(values: pd.Series[Any]) -> BoolArray:
    """Return which values (n,) are not missing; a sentinel value is present."""
    return ~_are_missing(values)


def label(value: Any) -> str:
    """Return a value as text, such that 1, 1.0 and "1" are the same.

    >>> label(1.0), label("1"), label(True)
    ('1', '1', 'True')
    """
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def labelled(values: pd.Series[Any]) -> tuple[npt.NDArray[np.intp], list[str]]:
    """Return the places (n,) of the values of a column among labels, -1 for missing ones, and these labels.

    A label occurs more than once if different values have it, such as 1 and "1".
    """
    places, known = pd.factorize(values)
    return places, [label(value) for value in known]


def labels(values: pd.Series[Any]) -> npt.NDArray[np.object_]:
    """Return the values of a column (n,) as `label` writes them; None: missing."""
    places, texts = labelled(values)
    found: npt.NDArray[np.object_] = np.array([*texts, None], object)[places]
    return found


def truths(values: pd.Series[Any]) -> Numbers:
    """Return 1 for true, 0 for false, -1 for other values and NaN for missing ones (n,)."""
    places, texts = labelled(values)
    return np.array([*(TRUTHS.get(text.casefold(), -1.0) for text in texts), np.nan])[places]


def codes(frame: pd.DataFrame, names: Iterable[str]) -> npt.NDArray[np.int64]:
    """Return a number for each combination of values (n,), the same for equal ones; -1: a value is missing."""
    found = np.zeros(len(frame), np.int64)
    for name in names:
        places, texts = labelled(frame[name])
        known = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        own = np.array([*(known[text] for text in texts), -1])[places]
        joined = np.where((own < 0) | (found < 0), -1, found * len(known) + own)
        found = np.where(joined < 0, -1, pd.factorize(joined)[0])
    return found
