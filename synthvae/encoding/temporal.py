"""Datetimes, dates, durations, times of day, and whole numbers beyond 2**53, to states and back.

A column is the number of steps since its first timestamp, encoded as a number. A step is the greatest common divisor of
the differences: a day where all values are midnights.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from synthvae.encoding.arrays import Floats, Mask, Scores, States
from synthvae.encoding.binned import BinnedEncoding
from synthvae.encoding.numeric import NumericEncoding
from synthvae.encoding.protocol import CodedColumn
from synthvae.errors import TableError, brief
from synthvae.schema.column import Column
from synthvae.schema.domain import timestamp_limits
from synthvae.schema.renamed import rename_fields
from synthvae.tables.arrow import are_sentinels, is_text, temporal_type, whole_as_text
from synthvae.tables.time_format import TimeForm, digits_of, parse_column, readings
from synthvae.tables.timestamps import SECOND

HALF = np.uint64(1 << 63)


def _current(column: Any) -> Any:
    """Return the saved fields of a column under their current names; users have no use for a warning of these."""
    return rename_fields(column)[0] if isinstance(column, dict) else column


class TemporalEncoding(BaseModel):
    """States: those of the number of steps since the first timestamp.

    Args:
        column: The declared column.
        origin: The first timestamp, in ticks of the Arrow type (days, seconds, ... nanoseconds).
        last: The last timestamp, in ticks; decoded timestamps are clipped to it.
        step: Ticks in a step.
        steps: The encoding of the number of steps.
        form: How text or whole numbers are written; None: as ISO text, or the type is one of time.
    """

    model_config = ConfigDict(frozen=True)
    __repr__ = __str__ = brief
    affine: ClassVar[None] = None
    linkable: ClassVar[None] = None

    kind: Literal["temporal"] = "temporal"
    column: Annotated[Column, BeforeValidator(_current)]
    origin: int
    last: int
    step: int
    steps: NumericEncoding | BinnedEncoding = Field(discriminator="kind")
    form: TimeForm | None = None

    @classmethod
    def learn(cls, column: Column, values: pa.ChunkedArray) -> Self:
        """Find the step of a column, and the encoding of its numbers of steps.

        Raises:
            TableError: The values span 2**63 ticks or more.
        """
        form = _form_of(column, values)
        ticks = _dated(column, values, form)
        present = ticks.drop_null().to_numpy()
        origin = int(present.min()) if len(present) else 0
        if len(present) and int(present.max()) - origin >= 1 << 63:
            raise TableError(
                f"Column {column.name!r} must span less than 2**63 ticks. Drop the outermost values, or declare "
                "`kind: id`."
            )
        step = int(np.gcd.reduce(present - origin)) if len(present) else 0
        self = cls(
            column=column,
            origin=origin,
            last=int(present.max()) if len(present) else 0,
            step=step or 1,
            form=form,
            steps=NumericEncoding(atoms=(), decimals=0, missing=True),
        )
        numbers = tuple(-1 - place for place in range(len(column.sentinels)))
        number = Column(name=column.name, kind="integer", nullable=True, sentinels=numbers)
        steps = NumericEncoding.learn(number, self._steps_of(values, form))
        return self.model_copy(update={"steps": steps.model_copy(update={"absent": self._dates_among_sentinels()})})

    @classmethod
    def declare(cls, column: Column) -> Self:
        """Return the encoding of a declared column: days, or seconds, between its bounds, in bins."""
        low, high = timestamp_limits(column)
        step = 1 if column.kind == "date" else SECOND  # ticks are days of dates and microseconds of datetimes
        number = Column(name=column.name, kind="integer", nullable=column.nullable, bounds=(0, high - low))
        steps = BinnedEncoding.declare(number)
        return cls(column=column, origin=low * step, last=high * step, step=step, steps=steps)

    def _steps_of(self, values: pa.ChunkedArray, form: TimeForm | None) -> pa.ChunkedArray:
        """The numbers of steps of a column; -1, -2, ... for its sentinel values, which come before the first."""
        counts = self._count(_dated(self.column, values, form))
        for place, sentinel in enumerate(self.column.sentinels):
            counts = pc.if_else(are_sentinels(values, [sentinel]), pa.scalar(-1.0 - place), counts)
        return counts

    def _dates_among_sentinels(self) -> tuple[int, ...]:
        """The numbers of steps that are written like a sentinel value, such as 1900-01-01; none may be drawn."""
        if self.form is None or not self.column.sentinels:
            return ()
        texts = pa.chunked_array([list(map(str, self.column.sentinels))], pa.string())
        counts = self._count(_ticks(self.column, texts, self.form)).drop_null().to_pylist()
        return tuple(int(count) for count in counts if count >= 0 and count.is_integer())

    def _count(self, ticks: pa.ChunkedArray) -> pa.ChunkedArray:
        """The numbers of steps from the first timestamp."""
        numbers = ticks.fill_null(self.origin).to_numpy()
        missing = ticks.is_null().to_numpy()
        return pa.chunked_array([pa.array((numbers - self.origin) / self.step, mask=missing)])

    @property
    def singles(self) -> int:
        """The number of states, the last ones, that are not ordered with the others."""
        return self.steps.singles

    @property
    def valued(self) -> bool:
        """Whether timestamps have scores."""
        return self.steps.valued

    @property
    def levels(self) -> int:
        """The number of states, at least 1."""
        return self.steps.levels

    def numbers_of(self, values: pa.ChunkedArray) -> Floats:
        """Return the numbers of steps (rows,) from the first timestamp; NaN where a value is missing."""
        return np.asarray(self._count(_dated(self.column, values, self.form)).to_numpy().astype(np.float64))

    def encode(self, name: str, values: pa.ChunkedArray) -> States:
        """Return the states (rows,); -1 where a value is missing though none was in training.

        Raises:
            TableError: A value does not have the form of the column.
        """
        unreadable = self.unseen(name, values)
        if unreadable.any():
            assert self.form is not None
            raise TableError(
                f"Column {name!r} must be written as {self.form}, as in `fit`, "
                f"got {values[int(np.argmax(unreadable))].as_py()!r}. Convert such values, or make them missing."
            )
        return self.steps.encode(name, self._steps_of(values, self.form))

    def unseen(self, name: str, values: pa.ChunkedArray) -> Mask:
        """Return which values (rows,) are not written as those of the column; any timestamp has a state."""
        del name
        if self.form is None:
            return np.zeros(len(values), bool)
        unread = _ticks(self.column, values, self.form).is_null().to_numpy()
        beside = are_sentinels(values, self.column.sentinels).to_numpy()
        return np.asarray(values.is_valid().to_numpy() & unread & ~beside)

    def scores(self, values: pa.ChunkedArray, states: States, rng: np.random.Generator | None) -> Scores:
        """Return the normal scores (rows,) of the numbers of steps; NaN where the state has none."""
        return self.steps.scores(self._steps_of(values, self.form), states, rng)

    def decode(self, column: CodedColumn, kind: pa.DataType) -> pa.Array:
        """Return the timestamps of states and scores as an Arrow array of type `kind`."""
        counts = self.steps.decode(column, pa.int64())
        missing = counts.is_null().to_numpy(zero_copy_only=False)
        plain = self.form is not None or pa.types.is_uint64(kind)
        timestamps = pa.int64() if plain else temporal_type(kind, date=self.column.kind == "date")
        width = _width(timestamps)
        last = min(self.last, np.iinfo(width.to_pandas_dtype()).max)
        most = max((last - self.origin) // self.step, 0) if self.step else 0  # so that the product cannot overflow
        ticks = np.clip(counts.fill_null(0).to_numpy(), 0, most) * self.step + self.origin
        array = pa.array(ticks, mask=missing).cast(width).cast(timestamps)
        if pa.types.is_uint64(kind) and self.form is None:
            return _unsigned(array)
        if self.form is not None:
            texts = self.form.write(array)
            for place, sentinel in enumerate(self.column.sentinels):
                texts = pc.if_else(pc.equal(counts, -1 - place), str(sentinel), texts)
            return texts.cast(kind if is_text(kind) else pa.int64()).cast(kind)
        return array.cast(kind) if is_text(kind) else array


def _form_of(column: Column, values: pa.ChunkedArray) -> TimeForm | None:
    """The form of a column of text or whole numbers with a declared or recognised format."""
    if column.format is None or pa.types.is_temporal(values.type):
        return None
    values = values.filter(pc.invert(are_sentinels(values, column.sentinels))) if column.sentinels else values
    form = readings(column.format)[0]
    texts = values if is_text(values.type) else whole_as_text(values, digits_of(form))
    return TimeForm.learn(form, pc.unique(texts.drop_null()))


def _dated(column: Column, values: pa.ChunkedArray, form: TimeForm | None) -> pa.ChunkedArray:
    """The values of a column as integers, missing at its sentinel values."""
    ticks = _ticks(column, values, form)
    return pc.if_else(are_sentinels(values, column.sentinels), None, ticks) if column.sentinels else ticks


def _ticks(column: Column, values: pa.ChunkedArray, form: TimeForm | None) -> pa.ChunkedArray:
    """The values of a column as integers."""
    if form is not None and not pa.types.is_null(values.type):
        return parse_column(values, form)
    if pa.types.is_uint64(values.type):
        return pa.chunked_array([_signed(chunk) for chunk in values.chunks], pa.int64())
    timestamps = values.cast(temporal_type(values.type, date=column.kind == "date"))
    if pa.types.is_null(timestamps.type):
        return timestamps.cast(pa.int64())
    return timestamps.cast(_width(timestamps.type)).cast(pa.int64())


def _signed(values: pa.Array) -> pa.Array:
    """Unsigned integers as signed ones in the same order, from -2**63 on."""
    numbers = values.fill_null(0).to_numpy(zero_copy_only=False) ^ HALF
    return pa.array(numbers.view(np.int64), mask=values.is_null().to_numpy(zero_copy_only=False))


def _unsigned(values: pa.Array) -> pa.Array:
    """The inverse of `_signed`."""
    numbers = values.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64).view(np.uint64) ^ HALF
    return pa.array(numbers, mask=values.is_null().to_numpy(zero_copy_only=False))


def _width(kind: pa.DataType) -> pa.DataType:
    """The integer type in which Arrow stores a temporal type."""
    return pa.int32() if pa.types.is_date32(kind) or pa.types.is_time32(kind) else pa.int64()
