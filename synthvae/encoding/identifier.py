"""Ids are not learned: fresh ones are made in the column's pattern."""

from __future__ import annotations

import re
import uuid
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from synthvae.errors import RequestError
from synthvae.schema.column import Column
from synthvae.tables.arrow import is_text

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_INT64 = 2**63 - 1
_DIGITS = "0123456789"
MAX_DIGITS = 400  # of a number behind a prefix; text with more is free text


class IdEncoding(BaseModel):
    """States: present, and "missing" if any value was. Row k of a dataset gets number `start + k`.

    Args:
        name: The column.
        pattern: A number, a random UUID, or a number behind a prefix.
        start: First number: after the largest one seen, so that no real id returns.
        prefix: What stands before the number; "upper" for UUIDs in capitals.
        digits: The number is padded with zeros to so many digits.
        missing: Whether "missing" has a state.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["id"] = "id"
    name: str
    pattern: Literal["sequence", "uuid", "prefix"]
    start: int = 1
    prefix: str = ""
    digits: int = Field(default=0, ge=0, le=MAX_DIGITS)
    missing: bool

    @classmethod
    def learn(cls, column: Column, values: pa.ChunkedArray) -> Self:
        """Find the pattern of a column."""
        missing = 0 < values.null_count < len(values)
        present = pc.unique(values.drop_null())
        if not is_text(present.type):
            largest = pc.max(present).as_py() if len(present) else 0
            return cls(name=column.name, pattern="sequence", start=max(int(largest), 0) + 1, missing=missing)
        texts: list[str] = present.to_pylist()
        if texts and all(_UUID.fullmatch(text) for text in texts):
            upper = all(text == text.upper() for text in texts)
            return cls(name=column.name, pattern="uuid", prefix="upper" if upper else "", missing=missing)
        return cls._learn_prefix(column.name, texts, missing=missing)

    @classmethod
    def _learn_prefix(cls, name: str, texts: list[str], *, missing: bool) -> Self:
        found = [(prefix := text.rstrip(_DIGITS), text[len(prefix) :]) for text in texts]
        parts = [(prefix, number) for prefix, number in found if 0 < len(number) <= MAX_DIGITS]
        prefixes = {prefix for prefix, _ in parts}
        if len(parts) < len(texts) or len(prefixes) != 1:  # free text: nothing of it stays
            taken = [int(number) for prefix, number in parts if prefix == f"{name}-"]
            start = max(taken, default=0) + 1
            return cls(name=name, pattern="prefix", prefix=f"{name}-", start=start, digits=6, missing=missing)
        widths = {len(number) for _, number in parts}
        start = max(int(number) for _, number in parts) + 1
        digits = widths.pop() if len(widths) == 1 else 0
        return cls(name=name, pattern="prefix", prefix=prefixes.pop(), start=start, digits=digits, missing=missing)

    @property
    def singles(self) -> int:
        """How many states, the last ones, are no values."""
        return 0

    @property
    def levels(self) -> int:
        """The number of states: 1 or 2."""
        return 1 + self.missing

    def encode(self, name: str, values: pa.ChunkedArray) -> npt.NDArray[np.int64]:
        """Return the states (rows,)."""
        del name
        return np.asarray(values.is_null().to_numpy().astype(np.int64) * self.missing)

    def decode(
        self, states: npt.NDArray[np.int64], kind: pa.DataType, rng: np.random.Generator, first_row: int
    ) -> pa.Array:
        """Make ids for the rows from `first_row` on; return them as an Arrow array of type `kind`."""
        missing = states == 1
        first = self.start + first_row
        if self.pattern == "uuid":
            fresh = [str(uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in states]
            return pa.array([text.upper() for text in fresh] if self.prefix else fresh, kind, mask=missing)
        numbers = range(first, first + len(states))
        if is_text(kind):
            return pa.array([f"{self.prefix}{number:0{self.digits}d}" for number in numbers], kind, mask=missing)
        try:
            wide = pa.uint64() if first > _INT64 else pa.int64()
            return pa.array(list(numbers), wide, mask=missing).cast(kind)
        except (pa.ArrowInvalid, OverflowError) as error:
            raise RequestError(
                f"column {self.name!r}: fresh ids must fit their type {kind}, however, they run to {numbers[-1]}: "
                "ask for fewer rows, or declare another kind"
            ) from error
