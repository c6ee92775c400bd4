"""Columns that a rule computes from others, and that are therefore not modelled."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from synthvae.encoding.arrays import States
from synthvae.encoding.protocol import CodedColumn, DiscreteColumn
from synthvae.encoding.sentinels import Style, style_of, to_arrow
from synthvae.errors import brief
from synthvae.schema.column import Column
from synthvae.schema.domain import decimals_of
from synthvae.tables.arrow import count_decimals, finite_numbers, is_text, split_sentinels


class ComputedEncoding(DiscreteColumn, BaseModel):
    """One state: the number is computed when the other columns of a row are decoded.

    Args:
        given: The columns from which it is computed.
        decimals: Digits after the point of a decoded number; None writes it in full.
        style: How a number is written in a text column.
        format: How the number 1234.5 is written in a text column; None: in this way.
    """

    model_config = ConfigDict(frozen=True)
    __repr__ = __str__ = brief

    kind: Literal["computed"] = "computed"
    given: tuple[str, ...]
    decimals: int | None
    style: Style = "repr"
    format: str | None = None
    levels: Literal[1] = 1
    singles: Literal[0] = 0

    @classmethod
    def learn(cls, column: Column, values: pa.ChunkedArray, given: tuple[str, ...]) -> Self:
        """Find the decimals of a column's numbers, and how they are written.

        Args:
            column: The column.
            values: Its values.
            given: The columns from which it is computed.

        Raises:
            TableError: A number is infinite.
        """
        numbers, _ = split_sentinels(values, (), column.format)
        decimals = decimals_of(column)
        if decimals is None:
            decimals = count_decimals(finite_numbers(column.name, numbers), single=pa.types.is_float32(values.type))
        written = column.format if is_text(values.type) else None
        return cls(given=given, decimals=decimals, style=style_of(values, (), column.format), format=written)

    @classmethod
    def declare(cls, column: Column, given: tuple[str, ...]) -> Self:
        """Return the encoding of a declared column that is computed from others."""
        decimals = decimals_of(column)
        return cls(given=given, decimals=decimals, style="short" if decimals == 0 else "repr")

    def encode(self, name: str, values: pa.ChunkedArray) -> States:
        """Return 0 (rows,)."""
        del name
        return np.zeros(len(values), np.int64)

    def decode(self, column: CodedColumn, kind: pa.DataType) -> pa.Array:
        """Return the computed numbers as an Arrow array of type `kind`; NaN is missing."""
        assert column.numbers is not None
        numbers = column.numbers if self.decimals is None else np.round(column.numbers, self.decimals) + 0.0
        missing = np.isnan(numbers).astype(np.int64)
        return to_arrow(numbers, missing, kind, first=1, sentinels=(), style=self.style, format=self.format)
