"""Ids are not learned: fresh ones are made in the column's pattern."""

from __future__ import annotations

import re
import uuid
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from synthvae.inference import finite_numbers
from synthvae.schema import Column, is_text, to_double

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_NUMBERED = re.compile(r"(.*?)(\d+)")


class IdEncoding(BaseModel):
    """States: present, and "missing" if any value was. Row k of a dataset gets number `start + k`.

    Args:
        pattern: A number, a random UUID, or a number behind a prefix.
        start: First number: after the largest one seen, so that no real id returns.
        prefix: What stands before the number.
        digits: The number is padded with zeros to so many digits.
        missing: Whether "missing" has a state.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["id"] = "id"
    pattern: Literal["sequence", "uuid", "prefix"]
    start: int = 1
    prefix: str = ""
    digits: int = 0
    missing: bool

    @classmethod
    def learn(cls, column: Column, values: pa.ChunkedArray) -> Self:
        """Find the pattern of a column."""
        missing = 0 < values.null_count < len(values)
        present = values.drop_null()
        numbers = to_double(present)
        if numbers is not None:
            start = int(finite_numbers(column.name, numbers).max(initial=0)) + 1
            return cls(pattern="sequence", start=start, missing=missing)
        texts = [str(text) for text in pc.unique(present).to_pylist()]
        if texts and all(_UUID.fullmatch(text) for text in texts):
            return cls(pattern="uuid", missing=missing)
        return cls._learn_prefix(column.name, texts, missing=missing)

    @classmethod
    def _learn_prefix(cls, name: str, texts: list[str], *, missing: bool) -> Self:
        found = [_NUMBERED.fullmatch(text) for text in texts]
        parts = [(match[1], match[2]) for match in found if match]
        prefixes = {prefix for prefix, _ in parts}
        if len(parts) < len(texts) or len(prefixes) != 1:
            return cls(pattern="prefix", prefix=f"{name}-", digits=6, missing=missing)  # free text: nothing of it stays
        widths = {len(number) for _, number in parts}
        start = max(int(number) for _, number in parts) + 1
        digits = widths.pop() if len(widths) == 1 else 0
        return cls(pattern="prefix", prefix=prefixes.pop(), start=start, digits=digits, missing=missing)

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
        numbers = self.start + first_row + np.arange(len(states))
        if self.pattern == "uuid":
            return pa.array([str(uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in numbers], kind, mask=missing)
        if is_text(kind):
            texts = [f"{self.prefix}{number:0{self.digits}d}" for number in numbers.tolist()]
            return pa.array(texts, kind, mask=missing)
        return pa.array(numbers, mask=missing).cast(kind)
