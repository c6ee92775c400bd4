"""The interface of a column's encoding, through which `TableEncoding` handles columns of every kind alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, Protocol, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from synthvae.encoding.arrays import Floats, Mask, Scores, States
from synthvae.encoding.links import Link
from synthvae.errors import brief


class Affine(NamedTuple):
    """The map from values to numbers, `number = offset + scale * value`, of a column whose values are not scores."""

    offset: float
    scale: float

    def numbers(self, values: npt.NDArray[np.floating]) -> Floats:
        """Return the numbers (rows,) of values (rows,)."""
        return np.asarray(self.offset + self.scale * values.astype(np.float64))


@dataclass(frozen=True)
class CodedColumn:
    """The codes of one column, to be decoded.

    Args:
        states: States (rows,).
        rng: The generator of what the codes leave open: the place in a bin, a fresh UUID.
        scores: Continuous values (rows,), NaN where a row has none; None if the column has no continuous value.
        numbers: The numbers (rows,) that `LinkableEncoding.draw_numbers` has drawn; None for other columns.
        seed: The seed of the request, the same for all its parts; None: the codes are those of no request.
        subjects: The values (rows,) of the column that a fake value depends on; None: it depends on none.
        rows: The numbers of the rows in the dataset, on which ids depend; None: they count from 0 on.
    """

    __repr__ = brief

    states: States
    rng: np.random.Generator
    scores: Scores | None = None
    numbers: Floats | None = None
    seed: int | None = None
    subjects: pa.Array | None = None
    rows: range | States | None = None

    @property
    def row_numbers(self) -> npt.NDArray[np.uint64]:
        """The numbers (rows,) of the rows in the dataset."""
        rows = range(len(self.states)) if self.rows is None else self.rows
        if isinstance(rows, range):
            return np.arange(rows.start, rows.stop, rows.step, dtype=np.uint64)
        return rows.astype(np.uint64)

    def with_numbers(self, numbers: Floats) -> Self:
        """Return the same codes with the numbers that were drawn."""
        return replace(self, numbers=numbers)

    def with_subjects(self, subjects: pa.Array) -> Self:
        """Return the same codes with the values of the column that they depend on."""
        return replace(self, subjects=subjects)


class ColumnEncoding(Protocol):
    """How the values of one column become states and continuous values, and how these become values again."""

    @property
    def levels(self) -> int:
        """The number of states, at least 1."""

    @property
    def singles(self) -> int:
        """The number of states, the last ones, that are not ordered with the others: sentinels, "missing", links."""

    @property
    def valued(self) -> bool:
        """Whether a continuous value refines one of the states."""

    @property
    def affine(self) -> Affine | None:
        """The map from values to numbers; None if values are normal scores, or there are none."""

    @property
    def linkable(self) -> LinkableEncoding | None:
        """This encoding, if its numbers can repeat those of another column or be repeated; None otherwise."""

    def encode(self, name: str, values: pa.ChunkedArray) -> States:
        """Return the states (rows,) of a column; -1 where a value is missing though none was in training.

        Args:
            name: The column, for messages.
            values: Its values.

        Raises:
            TableError: A value cannot be encoded.
        """

    def unseen(self, name: str, values: pa.ChunkedArray) -> Mask:
        """Return which values (rows,) did not occur in training, so that `encode` rejects or approximates them."""

    def scores(self, values: pa.ChunkedArray, states: States, rng: np.random.Generator | None) -> Scores:
        """Return the continuous values (rows,); NaN where the state has none.

        Args:
            values: The column.
            states: Its states.
            rng: Draws a score from the interval that rounds to a number; None takes the middle of the interval.
        """

    def decode(self, column: CodedColumn, kind: pa.DataType) -> pa.Array:
        """Return the values (rows,) that the codes stand for, as an Arrow array of type `kind`."""


class LinkableEncoding(ColumnEncoding, Protocol):
    """The encoding of numbers that may repeat the numbers of columns modelled before."""

    @property
    def links(self) -> tuple[Link, ...]:
        """The columns whose numbers are repeated."""

    def numbers_of(self, values: pa.ChunkedArray) -> Floats:
        """Return the numbers (rows,) of a column; NaN where a value is missing or a sentinel."""

    def find_links(self, name: str, values: pa.ChunkedArray, before: Mapping[str, Floats]) -> Self:
        """Return the same encoding with links to those of the columns `before` whose numbers it often repeats."""

    def mark_links(self, states: States, numbers: Mapping[str, Floats], own: Floats) -> None:
        """Set, in place, the states of rows whose number (`own`) repeats that of a linked column."""

    def draw_numbers(self, column: CodedColumn, before: Mapping[str, Floats]) -> Floats:
        """Return the numbers (rows,) of codes, given those of the columns before; NaN where a state is not a number."""


class DiscreteColumn:
    """The members of `ColumnEncoding` that columns without continuous values and links have in common."""

    valued: ClassVar[bool] = False
    affine: ClassVar[None] = None
    linkable: ClassVar[None] = None

    def unseen(self, name: str, values: pa.ChunkedArray) -> Mask:
        """Return False (rows,): any value of the right type has a state."""
        del name
        return np.zeros(len(values), bool)

    def scores(self, values: pa.ChunkedArray, states: States, rng: np.random.Generator | None) -> Scores:
        """Return NaN (rows,): no state has a continuous value."""
        del values, rng
        return np.full(len(states), np.nan, np.float32)


class GeneratedColumn(DiscreteColumn):
    """The members of `ColumnEncoding` that columns whose values are generated anew have in common.

    States: present, and "missing" if a value may be missing.
    """

    missing: bool

    @property
    def singles(self) -> int:
        """The number of states, the last ones, that are not ordered with the others."""
        return 0

    @property
    def levels(self) -> int:
        """The number of states: 1 or 2."""
        return 1 + self.missing

    def encode(self, name: str, values: pa.ChunkedArray) -> States:
        """Return the states (rows,): 1 where a value is missing, if that is a state, and 0 elsewhere."""
        del name
        return np.asarray(values.is_null().to_numpy().astype(np.int64) * self.missing)
