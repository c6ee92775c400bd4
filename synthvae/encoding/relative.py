"""Numbers and timestamps that are modelled as their distance from those of another column."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from synthvae.encoding.arrays import Floats, Mask, Scores, States
from synthvae.encoding.binned import BinnedEncoding
from synthvae.encoding.numeric import NumericEncoding
from synthvae.encoding.protocol import CodedColumn
from synthvae.encoding.temporal import TemporalEncoding
from synthvae.errors import brief
from synthvae.schema.column import Column
from synthvae.tables.arrow import split_sentinels

NARROW = 0.7  # share of the spread of a column's numbers; distances that spread wider are not modelled
SPREAD = (0.05, 0.95)  # the quantiles between which numbers spread

Written = Annotated[NumericEncoding | BinnedEncoding | TemporalEncoding, Field(discriminator="kind")]
Steps = Annotated[NumericEncoding | BinnedEncoding, Field(discriminator="kind")]


class RelativeEncoding(BaseModel):
    """States: those of the distance from the number of another column of the row.

    Args:
        base: The other column, which is modelled before.
        ratio: The size of 1 in the unit of the other column, in the unit of this one.
        shift: The number 0 of the other column, in the unit of this one.
        steps: The encoding of the distances, in the unit of this column.
        low: The smallest number of the column, in its unit.
        high: The largest one.
        written: How its numbers are written.
    """

    model_config = ConfigDict(frozen=True)
    __repr__ = __str__ = brief
    affine: ClassVar[None] = None
    linkable: ClassVar[None] = None

    kind: Literal["relative"] = "relative"
    base: str
    ratio: float
    shift: float
    steps: Steps
    low: float
    high: float
    written: Written

    @classmethod
    def learn(
        cls, column: Column, encoding: NumericEncoding | TemporalEncoding, own: Floats, base: tuple[str, Floats, Floats]
    ) -> Self | None:
        """Return the encoding of a column; None if distances are not narrower than its numbers, or not always there.

        Args:
            column: The column.
            encoding: Its encoding by its kind.
            own: Its numbers (rows,), in the unit of this encoding; NaN: missing.
            base: The other column, its numbers (rows,) in the unit of this column, and the numbers of 0 and 1 of its
                own unit in the unit of this column.
        """
        name, others, (zero, one) = base
        distances = own - others
        known = ~np.isnan(own)
        if np.isnan(distances[known]).any() or not _is_narrow(distances[known], own[known]):
            return None
        number = Column(name=column.name, kind="continuous", nullable=True, decimals=_decimals(encoding))
        steps = NumericEncoding.learn(number, pa.chunked_array([pa.array(distances, mask=~known)]))
        plain = NumericEncoding(atoms=(0.0,), decimals=_decimals(encoding), missing=True)
        if isinstance(encoding, NumericEncoding):
            kept = {"style": encoding.style, "format": encoding.format}
            written: Written = plain.model_copy(update=kept)
        else:
            written = encoding.model_copy(update={"steps": plain})
        limits = {"low": float(own[known].min()), "high": float(own[known].max())}
        return cls(base=name, ratio=one - zero, shift=zero, steps=steps, written=written, **limits)

    @classmethod
    def declare(
        cls,
        encoding: BinnedEncoding | TemporalEncoding,
        distance: Column,
        base: tuple[str, float, float],
    ) -> Self:
        """Return the encoding of a declared column.

        Args:
            encoding: The encoding of the column by its kind.
            distance: The column of the distances, with bounds, in the unit of this encoding.
            base: The other column, and the numbers of 0 and 1 of its own unit in the unit of this column.
        """
        name, zero, one = base
        steps, plain = BinnedEncoding.declare(distance), NumericEncoding(atoms=(0.0,), decimals=0, missing=True)
        if isinstance(encoding, TemporalEncoding):
            assert isinstance(encoding.steps, BinnedEncoding)
            written: Written = encoding.model_copy(update={"steps": plain})
            edges = encoding.steps.edges
        else:
            style = "short" if encoding.decimals == 0 else "repr"
            written = plain.model_copy(update={"decimals": encoding.decimals, "style": style})
            edges = encoding.edges
        limits = {"low": edges[0], "high": edges[-1]}
        return cls(base=name, ratio=one - zero, shift=zero, steps=steps, written=written, **limits)

    @property
    def singles(self) -> int:
        """The number of states, the last ones, that are not ordered with the others."""
        return self.steps.singles

    @property
    def valued(self) -> bool:
        """Whether distances have scores."""
        return self.steps.valued

    @property
    def levels(self) -> int:
        """The number of states, at least 1."""
        return self.steps.levels

    def numbers_of(self, values: pa.ChunkedArray) -> Floats:
        """Return the numbers (rows,) of a column, in its unit; NaN where a value is missing."""
        return numbers_of(self.written, values)

    def starts(self, base: Floats) -> Floats:
        """Return the numbers (rows,) of the other column in the unit of this one."""
        return self.ratio * base + self.shift

    def distances(self, values: pa.ChunkedArray, base: Floats) -> pa.ChunkedArray:
        """Return the distances (rows,) of a column's values from the numbers (rows,) of the other column.

        They are missing where one of both is.
        """
        found = self.numbers_of(values) - self.starts(base)
        if self.steps.decimals is not None:
            found = np.round(found, self.steps.decimals)
        return pa.chunked_array([pa.array(found, mask=np.isnan(found))])

    def encode(self, name: str, values: pa.ChunkedArray) -> States:
        """Return the states (rows,) of distances; -1 where one is missing though none was in training."""
        return self.steps.encode(name, values)

    def unseen(self, name: str, values: pa.ChunkedArray) -> Mask:
        """Return which values (rows,) of the column cannot be read."""
        return (
            self.written.unseen(name, values)
            if isinstance(self.written, TemporalEncoding)
            else np.zeros(len(values), bool)
        )

    def scores(self, values: pa.ChunkedArray, states: States, rng: np.random.Generator | None) -> Scores:
        """Return the normal scores (rows,) of distances; NaN where the state has none."""
        return self.steps.scores(values, states, rng)

    def draw_numbers(self, column: CodedColumn, base: Floats) -> Floats:
        """Return the numbers (rows,) of codes in the unit of the column, given those of the other column.

        They are NaN where the value is missing, or the other one is.
        """
        found = self.starts(base) + draw_numbers(self.steps, column)
        if self.steps.decimals is not None:
            found = np.round(found, self.steps.decimals)
        return np.asarray(np.clip(found, self.low, self.high))

    def decode(self, column: CodedColumn, kind: pa.DataType) -> pa.Array:
        """Return the numbers that were drawn as an Arrow array of type `kind`; NaN is missing."""
        assert column.numbers is not None
        missing = np.isnan(column.numbers).astype(np.int64)
        plain = CodedColumn(missing, column.rng, numbers=np.nan_to_num(column.numbers))
        return self.written.decode(plain, kind)


def numbers_of(encoding: object, values: pa.ChunkedArray) -> Floats:
    """Return the numbers (rows,) of a column in the unit of its encoding; NaN where a value is missing.

    Args:
        encoding: An encoding of numbers or timestamps.
        values: The column.
    """
    if isinstance(encoding, BinnedEncoding):
        return np.asarray(split_sentinels(values, encoding.marks)[0].to_numpy().astype(np.float64))
    assert isinstance(encoding, (NumericEncoding, TemporalEncoding, RelativeEncoding))
    return encoding.numbers_of(values)


def draw_numbers(encoding: object, column: CodedColumn) -> Floats:
    """Return the numbers (rows,) of codes in the unit of their encoding; NaN where a state has none.

    Args:
        encoding: An encoding of numbers or timestamps.
        column: The codes.
    """
    if isinstance(encoding, TemporalEncoding):
        return draw_numbers(encoding.steps, column)
    if isinstance(encoding, BinnedEncoding):
        return encoding.draw_numbers(column)
    assert isinstance(encoding, NumericEncoding)
    return encoding.draw_numbers(column, {})


def _decimals(encoding: NumericEncoding | TemporalEncoding) -> int | None:
    return 0 if isinstance(encoding, TemporalEncoding) else encoding.decimals


def _is_narrow(distances: Floats, own: Floats) -> bool:
    if not len(own):
        return False
    wide, narrow = (np.diff(np.quantile(each, SPREAD))[0] for each in (own, distances))
    return bool(narrow <= NARROW * wide)
