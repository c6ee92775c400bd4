"""Datetimes, dates, durations and times of day to states: whole numbers of the coarsest step that all values share."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from synthvae.encoding.binned import BinnedEncoding
from synthvae.encoding.numeric import NumericEncoding
from synthvae.errors import TableError
from synthvae.schema.column import Column
from synthvae.schema.domain import timestamp_limits
from synthvae.tables.arrow import is_text, temporal_type
from synthvae.tables.timestamps import SECOND


class TemporalEncoding(BaseModel):
    """States of the number of steps since the first moment.

    Args:
        column: The declared column.
        origin: The first moment, in ticks of the Arrow type (days, seconds, ... nanoseconds).
        last: The last moment, in ticks; none later is decoded.
        step: Ticks between neighbouring moments: a day if all values are midnights.
        steps: The encoding of the number of steps.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["temporal"] = "temporal"
    column: Column
    origin: int
    last: int
    step: int
    steps: NumericEncoding | BinnedEncoding = Field(discriminator="kind")

    @classmethod
    def learn(cls, column: Column, values: pa.ChunkedArray) -> Self:
        """Find the step of a column, and how its numbers of steps are coded."""
        ticks = _ticks(column, values)
        present = ticks.drop_null().to_numpy()
        origin = int(present.min()) if len(present) else 0
        if len(present) and int(present.max()) - origin >= 1 << 63:
            raise TableError(f"column {column.name!r}: values must span less than 2**63 ticks: cut off the outermost")
        step = int(np.gcd.reduce(present - origin)) if len(present) else 0
        self = cls(
            column=column,
            origin=origin,
            last=int(present.max()) if len(present) else 0,
            step=step or 1,
            steps=NumericEncoding(atoms=(), decimals=0, missing=True),
        )
        number = Column(name=column.name, kind="integer", nullable=True)
        return self.model_copy(update={"steps": NumericEncoding.learn(number, self._count(ticks))})

    @classmethod
    def declare(cls, column: Column) -> Self:
        """The days, or seconds, between the bounds of a declared column, in bins."""
        low, high = timestamp_limits(column)
        step = 1 if column.kind == "date" else SECOND  # of the days or microseconds in which they are handed back
        number = Column(name=column.name, kind="integer", nullable=column.nullable, bounds=(0, high - low))
        steps = BinnedEncoding.declare(number)
        return cls(column=column, origin=low * step, last=high * step, step=step, steps=steps)

    def _count(self, ticks: pa.ChunkedArray) -> pa.ChunkedArray:
        numbers = ticks.fill_null(self.origin).to_numpy()
        missing = ticks.is_null().to_numpy()
        return pa.chunked_array([pa.array((numbers - self.origin) / self.step, mask=missing)])

    @property
    def singles(self) -> int:
        """How many states, the last ones, are no values."""
        return self.steps.singles

    @property
    def valued(self) -> bool:
        """Whether moments have scores."""
        return isinstance(self.steps, NumericEncoding) and self.steps.valued

    @property
    def levels(self) -> int:
        """The number of states, at least 1."""
        return self.steps.levels

    def numbers_of(self, values: pa.ChunkedArray) -> npt.NDArray[np.float64]:
        """Return the numbers of steps (rows,) from the first moment; NaN where a value is missing."""
        return np.asarray(self._count(_ticks(self.column, values)).to_numpy().astype(np.float64))

    def encode(self, name: str, values: pa.ChunkedArray) -> npt.NDArray[np.int64]:
        """Return the states (rows,); -1 where a value is missing that never was in training."""
        return self.steps.encode(name, self._count(_ticks(self.column, values)))

    def scores(
        self, values: pa.ChunkedArray, states: npt.NDArray[np.int64], rng: np.random.Generator | None
    ) -> npt.NDArray[np.float32]:
        """Return the normal scores (rows,) of the numbers of steps; NaN where there is none."""
        assert isinstance(self.steps, NumericEncoding)
        return self.steps.scores(self._count(_ticks(self.column, values)), states, rng)

    def decode(
        self,
        states: npt.NDArray[np.int64],
        kind: pa.DataType,
        rng: np.random.Generator,
        scores: npt.NDArray[np.float32] | None = None,
    ) -> pa.Array:
        """Return the moments of these states and scores as an Arrow array of type `kind`."""
        extra = (scores,) if isinstance(self.steps, NumericEncoding) else ()
        counts = self.steps.decode(states, pa.int64(), rng, *extra)
        missing = counts.is_null().to_numpy(zero_copy_only=False)
        moments = temporal_type(kind, date=self.column.kind == "date")
        width = _width(moments)
        last = min(self.last, np.iinfo(width.to_pandas_dtype()).max)
        most = max((last - self.origin) // self.step, 0) if self.step else 0  # so that nothing overflows
        ticks = np.clip(counts.fill_null(0).to_numpy(), 0, most) * self.step + self.origin
        array = pa.array(ticks, mask=missing).cast(width).cast(moments)
        return array.cast(kind) if is_text(kind) else array


def _ticks(column: Column, values: pa.ChunkedArray) -> pa.ChunkedArray:
    moments = values.cast(temporal_type(values.type, date=column.kind == "date"))
    if pa.types.is_null(moments.type):
        return moments.cast(pa.int64())
    return moments.cast(_width(moments.type)).cast(pa.int64())


def _width(kind: pa.DataType) -> pa.DataType:
    return pa.int32() if pa.types.is_date32(kind) or pa.types.is_time32(kind) else pa.int64()
