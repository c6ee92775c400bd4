"""Numbers, and the sentinel values among them ("N", -9), as Arrow columns store them."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from synthvae.encoding.arrays import Floats, Mask, States
from synthvae.schema.column import Value, Values
from synthvae.schema.domain import neighbour
from synthvae.tables.arrow import are_sentinels, as_array, is_text
from synthvae.tables.number_format import NumberForm, find_style, is_number, write

Style = Annotated[str, Field(pattern=r"^(repr|short|\d{1,3})$")]  # see `synthvae.tables.number_format`


def to_arrow(
    numbers: Floats,
    states: States,
    kind: pa.DataType,
    *,
    first: int,
    sentinels: Values,
    style: str,
    format: str | None = None,  # noqa: A002 (the field of a column)
    inside: Interval | None = None,
) -> pa.Array:
    """Return numbers, and sentinel values where the states say so, as an Arrow array of type `kind`.

    Args:
        numbers: Numbers (rows,); ignored where the state is not a number.
        states: States (rows,); from `first` on they mean the sentinel values, then "missing".
        kind: The type of the array.
        first: The first state that is not a number.
        sentinels: The sentinel values.
        style: How a number is written in a text column.
        format: What stands around it there, and its separators.
        inside: The interval of the numbers, and which sentinel values no number may equal; None: any may.
    """
    numbers = np.nan_to_num(numbers)
    if inside is not None:
        numbers = beside_sentinels(numbers, inside, kind, (style, format))
    array = _store(numbers, states >= first, kind, (style, format))
    for offset, sentinel in enumerate(sentinels):
        hit = pa.array(states == first + offset)
        array = pc.if_else(hit, _scalar(sentinel, array.type), array)
    return array


def _scalar(sentinel: Value, kind: pa.DataType) -> pa.Scalar:
    plain = str(sentinel) if is_text(kind) or pa.types.is_decimal(kind) else sentinel
    return as_array([plain]).cast(kind, safe=not pa.types.is_floating(kind))[0]


def is_sentinel(values: pa.ChunkedArray, sentinel: Value) -> Mask:
    """Return which values (rows,) of a column are this sentinel value."""
    return np.asarray(are_sentinels(values, [sentinel]).to_numpy(), bool)


def count_sentinels(values: pa.ChunkedArray, sentinels: Values) -> dict[Value, int]:
    """Return the number of rows of each sentinel value that occurs."""
    counts = {sentinel: int(is_sentinel(values, sentinel).sum()) for sentinel in sentinels}
    return {sentinel: count for sentinel, count in counts.items() if count}


class Interval(NamedTuple):
    """Where numbers lie.

    Args:
        low: The smallest number, of all or of each row (rows,).
        high: The largest number.
        decimals: The digits after the point; None if any.
        avoided: Sentinel values, which no number may equal when it is stored.
    """

    low: Floats | float
    high: Floats | float
    decimals: int | None
    avoided: Values

    def take(self, rows: Mask) -> Interval:
        """Return the interval of some rows."""
        low, high = (np.broadcast_to(limit, rows.shape)[rows] for limit in (self.low, self.high))
        return self._replace(low=low, high=high)


def beside_sentinels(numbers: Floats, inside: Interval, kind: pa.DataType, form: tuple[str, str | None]) -> Floats:
    """Return the numbers (rows,), moved to the next number above or else below where they are stored as a sentinel.

    A number drawn between others could equal one by chance and would then be read as that sentinel value. It stays
    where all numbers of its interval are sentinel values.

    Args:
        numbers: Numbers (rows,).
        inside: Their interval, and the sentinel values.
        kind: The type of the column.
        form: How a number is written in a text column: style and format.
    """
    if not inside.avoided:
        return numbers
    hit = _are_read_as(inside.avoided, numbers, kind, form)
    if not hit.any():
        return numbers
    own, some = inside.take(hit), numbers[hit]
    moved = numbers.copy()
    for sign in (-1, 1):  # above wins
        beside = some
        for _ in inside.avoided:
            still = _are_read_as(inside.avoided, beside, kind, form)
            beside = np.where(still, _next(beside, inside.decimals, sign, kind, form[0]), beside)
        good = ~_are_read_as(inside.avoided, beside, kind, form) & (beside >= own.low) & (beside <= own.high)
        moved[np.flatnonzero(hit)[good]] = beside[good]
    return moved


def _are_read_as(sentinels: Values, numbers: Floats, kind: pa.DataType, form: tuple[str, str | None]) -> Mask:
    """Whether numbers (rows,) are read as one of the sentinel values once they are stored."""
    stored = _store(numbers, np.zeros(len(numbers), bool), kind, form)
    return np.asarray(are_sentinels(pa.chunked_array([stored]), sentinels).to_numpy(), bool)


def _next(numbers: Floats, decimals: int | None, sign: int, kind: pa.DataType, style: str) -> Floats:
    """The next numbers above (`sign` 1) or below (-1) that are stored as other ones."""
    if pa.types.is_floating(kind) and kind.bit_width < 64:
        single = numbers.astype(kind.to_pandas_dtype())
        beyond = np.nextafter(single, sign * single.dtype.type(np.inf)).astype(np.float64)
        further = neighbour(numbers, decimals, sign)
        return np.asarray(np.maximum(beyond, further) if sign > 0 else np.minimum(beyond, further))
    if pa.types.is_decimal(kind):
        decimals = kind.scale if decimals is None else min(kind.scale, decimals)
    elif is_text(kind) and style.isdigit():
        decimals = int(style) if decimals is None else min(int(style), decimals)
    elif not is_text(kind) and not pa.types.is_floating(kind):
        decimals = 0
    return neighbour(numbers, decimals, sign)


def style_of(
    values: pa.ChunkedArray,
    sentinels: Values,
    format: str | None = None,  # noqa: A002 (the field of a column)
) -> str:
    """Return the style in which a text column writes its numbers; "repr" for other columns.

    Where the texts of a stated format have several, it is the shortest.
    """
    if not is_text(values.type):
        return "repr"
    texts = set(pc.unique(values.drop_null()).to_pylist()) - {str(sentinel) for sentinel in sentinels}
    if format is not None:
        texts = set(NumberForm.of(format).plain(pa.array(list(texts), pa.string())).to_pylist()) - {None}
    return find_style(text for text in texts if is_number(text)) or ("repr" if format is None else "short")


def _store(numbers: Floats, missing: Mask, kind: pa.DataType, form: tuple[str, str | None]) -> pa.Array:
    """Numbers as an Arrow array of type `kind`."""
    if is_text(kind):
        distinct, inverse = np.unique(numbers, return_inverse=True)
        texts = [write(value, *form) for value in distinct.tolist()]
        return pa.array(texts, kind).take(pa.array(inverse, mask=missing))
    if pa.types.is_floating(kind):
        return pa.array(numbers, mask=missing).cast(kind, safe=False)
    if pa.types.is_decimal(kind):
        rounded = np.round(numbers, kind.scale) if kind.scale < 0 else numbers  # -2: whole hundreds
        texts = [f"{value:.{max(kind.scale, 0)}f}" for value in rounded.tolist()]
        return pa.array(texts, mask=missing).cast(kind)
    return _whole(numbers, missing, kind)


def _whole(numbers: Floats, missing: Mask, kind: pa.DataType) -> pa.Array:
    """Numbers, rounded and clipped to the range of an integer type, as an Arrow array of type `kind`."""
    if pa.types.is_integer(kind):
        limits = np.iinfo(kind.to_pandas_dtype())
        top = np.nextafter(float(limits.max), 0) if limits.bits == 64 else limits.max
        numbers = np.clip(numbers, limits.min, top)
    whole = np.rint(numbers).astype(np.uint64 if pa.types.is_uint64(kind) else np.int64)
    array = pa.array(whole, mask=missing)
    return array.cast(pa.int32()).cast(kind) if pa.types.is_time32(kind) else array.cast(kind)
