"""Identifiers: none is learned, new ones are generated in the pattern of the column."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Literal, Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from synthvae.encoding.arrays import Mask, in_dictionary
from synthvae.encoding.protocol import CodedColumn, GeneratedColumn
from synthvae.errors import RequestError, brief
from synthvae.schema.column import Column
from synthvae.schema.identifier_forms import UUID
from synthvae.tables.arrow import dense, is_text

_INT64 = 2**63 - 1
_DIGITS = "0123456789"
MIN_SHARED = 3  # different ids that a prefix must have to be that of no single one
MAX_DIGITS = 400  # of a number after a prefix; text with more digits is free text


class IdEncoding(GeneratedColumn, BaseModel):
    """States: present, and "missing" if a value may be missing. Row k of a dataset has the number `start + k`.

    Args:
        name: The column.
        pattern: "sequence": a number; "uuid": a random UUID; "prefix": a number after a prefix.
        start: The first number: a round one above the largest one observed, so that no real id is generated, and none
            is known from it.
        prefix: The text before the number, which all of at least `MIN_SHARED` ids have; "upper" for UUIDs in capitals.
        digits: The number of digits to which the number is padded with zeros.
        missing: Whether "missing" has a state.
    """

    model_config = ConfigDict(frozen=True)
    __repr__ = __str__ = brief

    kind: Literal["id"] = "id"
    name: str
    pattern: Literal["sequence", "uuid", "prefix"]
    start: int = 1
    prefix: str = ""
    digits: int = Field(default=0, ge=0, le=MAX_DIGITS)
    missing: bool

    @classmethod
    def learn(cls, column: Column, values: pa.ChunkedArray) -> Self:
        """Find the pattern of a column; text without a pattern gets the column's name as its prefix."""
        missing = 0 < values.null_count < len(values)
        present = pc.unique(dense(values).drop_null())
        if not is_text(present.type):
            largest = int(pc.max(present).as_py()) if len(present) else 0
            return cls(name=column.name, pattern="sequence", start=_round_above(largest, present.type), missing=missing)
        texts: list[str] = present.to_pylist()
        if texts and all(UUID.fullmatch(text) for text in texts):
            upper = all(text == text.upper() for text in texts)
            return cls(name=column.name, pattern="uuid", prefix="upper" if upper else "", missing=missing)
        return cls._learn_prefix(column.name, texts, missing=missing)

    @classmethod
    def _learn_prefix(cls, name: str, texts: list[str], *, missing: bool) -> Self:
        found = [(prefix := text.rstrip(_DIGITS), text[len(prefix) :]) for text in texts]
        parts = [(prefix, number) for prefix, number in found if 0 < len(number) <= MAX_DIGITS]
        prefixes = {prefix for prefix, _ in parts}
        if len(parts) < max(len(texts), MIN_SHARED) or len(prefixes) != 1:  # free text: nothing of it is stored
            taken = [int(number) for prefix, number in parts if prefix == f"{name}-"]
            start = _round_above(max(taken, default=0))
            return cls(name=name, pattern="prefix", prefix=f"{name}-", start=start, digits=6, missing=missing)
        widths = {len(number) for _, number in parts}
        start = _round_above(max(int(number) for _, number in parts))
        digits = widths.pop() if len(widths) == 1 else 0
        return cls(name=name, pattern="prefix", prefix=prefixes.pop(), start=start, digits=digits, missing=missing)

    @classmethod
    def declare(cls, column: Column) -> Self:
        """Return the encoding of a declared column: numbers from 1 on, none missing."""
        return cls(name=column.name, pattern="sequence", missing=False)

    def decode(self, column: CodedColumn, kind: pa.DataType) -> pa.Array:
        """Return new ids (rows,), numbered as their rows are in the dataset, as an Arrow array of type `kind`.

        Raises:
            RequestError: The numbers do not fit `kind`.
        """
        if pa.types.is_dictionary(kind):
            return in_dictionary(self.decode(column, kind.value_type), kind)
        missing, rows = column.states == 1, len(column.states)
        if self.pattern == "uuid":
            fresh = [str(uuid.UUID(bytes=column.rng.bytes(16), version=4)) for _ in range(rows)]
            return pa.array([text.upper() for text in fresh] if self.prefix else fresh, kind, mask=missing)
        numbers = [self.start + number for number in column.row_numbers.tolist()]
        if is_text(kind):
            return pa.array([f"{self.prefix}{number:0{self.digits}d}" for number in numbers], kind, mask=missing)
        if pa.types.is_decimal(kind):
            return self._decimals(numbers, missing, kind)
        try:
            wide = pa.uint64() if max(numbers, default=0) > _INT64 else pa.int64()
            return pa.array(numbers, wide, mask=missing).cast(kind)
        except (pa.ArrowInvalid, OverflowError) as error:
            raise self._too_large(numbers, kind) from error

    def _decimals(self, numbers: list[int], missing: Mask, kind: pa.DataType) -> pa.Array:
        try:
            return pa.array([Decimal(number) for number in numbers], kind, mask=missing)
        except pa.ArrowInvalid as error:
            raise self._too_large(numbers, kind) from error

    def _too_large(self, numbers: list[int], kind: pa.DataType) -> RequestError:
        return RequestError(
            f"New ids of column {self.name!r} must fit its type {kind}, got numbers up to {max(numbers)}. "
            "Request fewer rows, or declare another kind."
        )


def _round_above(largest: int, kind: pa.DataType | None = None) -> int:
    """Return a round number above `largest`: with one digit other than 0, or more if it must fit an integer type."""
    if largest <= 0:
        return 1
    limit = _largest_of(kind)
    for zeros in range(max(len(str(largest)) - 1, 1), 0, -1):
        above: int = (largest // 10**zeros + 1) * int(10**zeros)
        if limit is None or above <= limit:
            return above
    return max(limit or 0, largest + 1)  # room for one id, or none


def _largest_of(kind: pa.DataType | None) -> int | None:
    """The largest number of a type of whole numbers or decimals; None if there is none."""
    if kind is not None and pa.types.is_decimal(kind):
        return int(10 ** (kind.precision - kind.scale)) - 1
    if kind is None or not pa.types.is_integer(kind):
        return None
    unsigned = pa.types.is_unsigned_integer(kind)
    width = int(kind.bit_width)
    return (1 << (width if unsigned else width - 1)) - 1
