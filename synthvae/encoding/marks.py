"""Numbers, and marks among them, as they are stored in a column."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from synthvae.schema.column import Value, Values
from synthvae.tables.arrow import as_array, is_text, to_double
from synthvae.tables.number_format import find_style, is_number, write

Floats = npt.NDArray[np.float64]
Style = Annotated[str, Field(pattern=r"^(repr|short|\d{1,3})$")]  # see `synthvae.tables.number_format`


def written(
    numbers: Floats, states: npt.NDArray[np.int64], kind: pa.DataType, *, first: int, marks: Values, style: str
) -> pa.Array:
    """Return `numbers` (rows,), and marks where the states say so, as an Arrow array of type `kind`.

    Args:
        numbers: Numbers (rows,); what stands where there is none does not matter.
        states: States (rows,); from `first` on they mean the marks, then "missing".
        kind: The type of the array.
        first: The first state that is no number.
        marks: The values that are no numbers.
        style: How a number is written in a text column.
    """
    array = _store(np.nan_to_num(numbers), states >= first, kind, style)
    for offset, mark in enumerate(marks):
        hit = pa.array(states == first + offset)
        array = pc.if_else(hit, _mark_scalar(mark, array.type), array)
    return array


def _mark_scalar(mark: Value, kind: pa.DataType) -> pa.Scalar:
    written = str(mark) if is_text(kind) or pa.types.is_decimal(kind) else mark
    return as_array([written]).cast(kind, safe=not pa.types.is_floating(kind))[0]


def is_mark(values: pa.ChunkedArray, mark: Value) -> npt.NDArray[np.bool_]:
    """Return which values (rows,) of a column are this mark."""
    if is_text(values.type):
        hits = pc.equal(values, pa.scalar(str(mark), values.type))
    elif isinstance(mark, str) or (numbers := to_double(values)) is None:
        return np.zeros(len(values), bool)
    else:
        hits = pc.equal(numbers, pa.scalar(float(mark)))
    return np.asarray(hits.fill_null(pa.scalar(value=False)).to_numpy(), bool)


def marked(values: pa.ChunkedArray, marks: Values) -> dict[Value, int]:
    """Return how often each mark that occurs does."""
    counts = {mark: int(is_mark(values, mark).sum()) for mark in marks}
    return {mark: count for mark, count in counts.items() if count}


def style_of(values: pa.ChunkedArray, marks: Values) -> str:
    """Return the style in which a text column writes its numbers."""
    if not is_text(values.type):
        return "repr"
    texts = set(pc.unique(values.drop_null()).to_pylist()) - {str(mark) for mark in marks}
    return find_style(text for text in texts if is_number(text)) or "repr"


def _store(numbers: Floats, missing: npt.NDArray[np.bool_], kind: pa.DataType, style: str) -> pa.Array:
    """Numbers as an Arrow array of type `kind`."""
    if is_text(kind):
        distinct, inverse = np.unique(numbers, return_inverse=True)
        texts = [write(value, style) for value in distinct.tolist()]
        return pa.array(texts, kind).take(pa.array(inverse, mask=missing))
    if pa.types.is_floating(kind):
        return pa.array(numbers, mask=missing).cast(kind, safe=False)
    if pa.types.is_decimal(kind):
        texts = [f"{value:.{max(kind.scale, 0)}f}" for value in numbers.tolist()]
        return pa.array(texts, mask=missing).cast(kind)
    return _whole(numbers, missing, kind)


def _whole(numbers: Floats, missing: npt.NDArray[np.bool_], kind: pa.DataType) -> pa.Array:
    if pa.types.is_integer(kind):
        limits = np.iinfo(kind.to_pandas_dtype())
        top = np.nextafter(float(limits.max), 0) if limits.bits == 64 else limits.max
        numbers = np.clip(numbers, limits.min, top)
    whole = np.rint(numbers).astype(np.uint64 if pa.types.is_uint64(kind) else np.int64)
    array = pa.array(whole, mask=missing)
    return array.cast(pa.int32()).cast(kind) if pa.types.is_time32(kind) else array.cast(kind)
