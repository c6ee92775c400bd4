"""Numbers, and the sentinel values among them ("N", -9), as Arrow columns store them."""

from __future__ import annotations

from typing import Annotated

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
    """
    array = _store(np.nan_to_num(numbers), states >= first, kind, (style, format))
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


def beside_sentinels(
    numbers: Floats,
    sentinels: Values,
    decimals: int | None,
    low: Floats | float,
    high: Floats | float,
) -> Floats:
    """Return the numbers (rows,), moved to the nearest number above or else below where they equal a sentinel value.

    A number drawn between others could equal one by chance and would then be read as that sentinel value.

    Args:
        numbers: Numbers (rows,).
        sentinels: The sentinel values.
        decimals: The digits after the point of the numbers; None if any.
        low: The smallest number that a number may become, of all or of each row.
        high: The largest. A number stays where all between them are sentinel values.
    """
    marks = np.array([number for sentinel in sentinels for number in _numbers_of(sentinel)])
    hit = np.isin(numbers, marks)
    if not hit.any():
        return numbers
    above, below = (_walk(numbers[hit], marks, decimals, sign) for sign in (1, -1))
    low, high = (np.broadcast_to(limit, numbers.shape)[hit] for limit in (low, high))
    moved = numbers.copy()
    moved[hit] = np.where(above <= high, above, np.where(below >= low, below, numbers[hit]))
    return moved


def _numbers_of(sentinel: Value) -> list[float]:
    return [float(sentinel)] if is_number(str(sentinel)) else []


def _walk(numbers: Floats, marks: Floats, decimals: int | None, sign: int) -> Floats:
    """The next numbers above (`sign` 1) or below (-1) that are no marks."""
    for _ in marks:
        numbers = np.where(np.isin(numbers, marks), neighbour(numbers, decimals, sign), numbers)
    return numbers


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
