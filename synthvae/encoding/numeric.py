"""Numbers to states and back.

A column with few distinct numbers that repeat has a state for each, an *atom*. Other columns have atoms where values
pile up, and one more state, refined by a continuous value: the normal score of the number, that is, the normal deviate
of its quantile.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from synthvae.encoding.arrays import Floats, Mask, Scores, States
from synthvae.encoding.atoms import FEW_ATOMS, find_atoms
from synthvae.encoding.links import Link, find_candidates, find_links
from synthvae.encoding.protocol import CodedColumn
from synthvae.encoding.quantiles import Numbers, QuantileCurve
from synthvae.encoding.sentinels import Interval, Style, count_sentinels, is_sentinel, style_of, to_arrow
from synthvae.errors import TableError, brief, listing
from synthvae.schema.column import Column, Values
from synthvae.schema.domain import decimals_of
from synthvae.tables.arrow import count_decimals, finite_numbers, is_text, split_sentinels


class NumericEncoding(BaseModel):
    """States: the atoms, ascending, "has a score" if there is a curve, the links, the sentinel values, "missing".

    Args:
        atoms: The numbers that are encoded exactly, ascending.
        curve: The distribution of the numbers that have a score; None if no number has one.
        links: Columns modelled before, whose number this one often repeats.
        low: The smallest number observed; decoded numbers are clipped to it.
        high: The largest number observed; decoded numbers are clipped to it.
        decimals: Digits after the point of a decoded number; None writes it in full.
        style: How a number is written in a text column.
        format: How the number 1234.5 is written in a text column; None: in this way.
        marks: The sentinel values that occur.
        absent: Those that do not; no number may equal one.
        missing: Whether "missing" has a state.
    """

    model_config = ConfigDict(frozen=True)
    __repr__ = __str__ = brief
    affine: ClassVar[None] = None

    kind: Literal["numeric"] = "numeric"
    atoms: Numbers
    curve: QuantileCurve | None = None
    links: tuple[Link, ...] = ()
    low: float = 0.0
    high: float = 0.0
    decimals: int | None
    style: Style = "repr"
    format: str | None = None
    marks: Values = ()
    absent: Values = ()
    missing: bool

    @classmethod
    def learn(cls, column: Column, values: pa.ChunkedArray) -> Self:
        """Find the atoms of a column and the distribution of its other numbers.

        Raises:
            TableError: A number is infinite.
        """
        numbers, _ = split_sentinels(values, column.sentinels, column.format)
        finite = finite_numbers(column.name, numbers)
        decimals = decimals_of(column)
        if column.kind != "integer" and decimals is None:
            decimals = count_decimals(finite, single=pa.types.is_float32(values.type))
        present = count_sentinels(values, column.sentinels)
        atoms, others = find_atoms(finite, decimals)
        return cls(
            atoms=atoms,
            curve=QuantileCurve.learn(*others, decimals) if len(others.values) else None,
            low=float(finite.min()) if len(finite) else 0.0,
            high=float(finite.max()) if len(finite) else 0.0,
            decimals=decimals,
            style=style_of(values, column.sentinels, column.format),
            format=column.format if is_text(values.type) else None,
            marks=tuple(mark for mark in column.sentinels if mark in present),
            absent=tuple(mark for mark in column.sentinels if mark not in present),
            missing=len(finite) + sum(present.values()) < len(values),
        )

    @property
    def singles(self) -> int:
        """The number of states, the last ones, that are not atoms."""
        return self.valued + len(self.links) + len(self.marks) + self.missing

    @property
    def valued(self) -> bool:
        """Whether numbers have scores."""
        return self.curve is not None

    @property
    def linkable(self) -> Self:
        """This encoding: numbers can be repeated."""
        return self

    @property
    def levels(self) -> int:
        """The number of states, at least 1."""
        return max(len(self.atoms) + self.singles, 1)

    @property
    def _numbers(self) -> int:
        """The number of states, the first ones, that are numbers."""
        return len(self.atoms) + self.valued + len(self.links)

    @cached_property
    def _sorted(self) -> Floats:
        return np.array(self.atoms)

    def encode(self, name: str, values: pa.ChunkedArray) -> States:
        """Return the states (rows,); -1 where a value is missing though none was in training.

        In a column of atoms alone, any other number has the state of the nearest atom.

        Raises:
            TableError: A value is neither a finite number nor a sentinel value.
        """
        numbers, others = split_sentinels(values, self.marks, self.format)
        if others:
            allowed = f"numbers or the sentinel values {listing(self.marks)}" if self.marks else "numbers"
            allowed += f" written as {self.format}" if self.format else ""
            raise TableError(
                f"Column {name!r} must hold {allowed}, got {others[0]!r}. Make such values missing, or declare them in "
                "`sentinels` before fitting."
            )
        array = numbers.to_numpy().astype(np.float64)
        finite_numbers(name, numbers)
        present = ~np.isnan(array)
        states = np.full(len(array), self.levels - 1 if self.missing or not self._numbers else -1, np.int64)
        if self._numbers:
            states[present] = self._encode_finite(array[present])
        for offset, mark in enumerate(self.marks):
            states[is_sentinel(values, mark)] = self._numbers + offset
        return states

    def _encode_finite(self, numbers: Floats) -> States:
        if not self.atoms:
            return np.zeros(len(numbers), np.int64)
        nearest = np.searchsorted(_midpoints(self._sorted), numbers)
        exact = np.minimum(np.searchsorted(self._sorted, numbers), len(self.atoms) - 1)
        return np.where(self._sorted[exact] == numbers, exact, len(self.atoms) if self.valued else nearest)

    def unseen(self, name: str, values: pa.ChunkedArray) -> Mask:
        """Return which values (rows,) are text that `encode` rejects or, in a column of atoms, other numbers."""
        del name
        others = split_sentinels(values, self.marks, self.format)[1] if is_text(values.type) else []
        if others:
            rejected = pc.is_in(values, value_set=pa.array(others, values.type))
            values = pc.if_else(rejected, pa.scalar(None, values.type), values)
        numbers = self.numbers_of(values)
        new = ~np.isnan(numbers) & ~self._is_atom(numbers) & (not self.valued)
        return np.asarray(new | rejected.to_numpy() if others else new)

    def _is_atom(self, numbers: Floats) -> Mask:
        """Return which numbers (rows,) are atoms, up to rounding errors."""
        if not self.atoms:
            return np.zeros(len(numbers), bool)
        nearest = self._sorted[np.searchsorted(_midpoints(self._sorted), numbers)]
        return np.isclose(numbers, nearest, rtol=1e-9, atol=0.0)

    def numbers_of(self, values: pa.ChunkedArray) -> Floats:
        """Return the numbers (rows,) of a column; NaN where a value is missing or a sentinel."""
        return np.asarray(split_sentinels(values, self.marks, self.format)[0].to_numpy().astype(np.float64))

    def find_links(self, name: str, values: pa.ChunkedArray, before: Mapping[str, Floats]) -> Self:
        """Return the same encoding with links to those of the columns `before` whose numbers it often repeats.

        A column of few atoms gets none: its numbers are equal to others by chance.
        """
        if not self.valued and len(self.atoms) <= FEW_ATOMS:
            return self
        numbers = self.numbers_of(values)
        candidates = find_candidates(numbers, before)
        if not candidates:
            return self
        free = self.is_free(self.encode(name, values))
        return self.model_copy(update={"links": find_links(numbers, free, candidates)})

    def mark_links(self, states: States, numbers: Mapping[str, Floats], own: Floats) -> None:
        """Set, in place, the states of rows whose number (`own`) repeats that of a linked column."""
        unlinked = self._numbers - len(self.links)
        for i, link in enumerate(self.links):
            equal = (own == numbers[link.to]) & (states < unlinked)
            if not link.firm:
                equal &= self.is_free(states)
            states[equal] = unlinked + i

    def is_free(self, states: States) -> Mask:
        """Return which states are numbers other than atoms; in a column of atoms alone, which are numbers."""
        return states == len(self.atoms) if self.valued else states < len(self.atoms)

    def scores(self, values: pa.ChunkedArray, states: States, rng: np.random.Generator | None) -> Scores:
        """Return the normal scores (rows,) of numbers in the state "has a score"; NaN elsewhere.

        Args:
            values: The column.
            states: Its states.
            rng: Draws a score from the interval that rounds to a number; None takes the middle of the interval.
        """
        scores = np.full(len(states), np.nan, np.float32)
        if self.curve is not None:
            here = states == len(self.atoms)
            scores[here] = self.curve.scores(self.numbers_of(values)[here], rng)
        return scores

    def decode(self, column: CodedColumn, kind: pa.DataType) -> pa.Array:
        """Return the numbers of states and scores as an Arrow array of type `kind`."""
        numbers = self.draw_numbers(column, {}) if column.numbers is None else column.numbers
        return to_arrow(
            numbers,
            column.states,
            kind,
            first=self._numbers,
            sentinels=self.marks,
            style=self.style,
            format=self.format,
            inside=Interval(self.low, self.high, self.decimals, self.marks + self.absent),
        )

    def draw_numbers(self, column: CodedColumn, before: Mapping[str, Floats]) -> Floats:
        """Return the numbers (rows,) of states and scores; NaN where a state is not a number.

        Args:
            column: The codes.
            before: The numbers of linked columns. Where they are NaN, a repeated number is drawn from the column.
        """
        states, rng = column.states, column.rng
        numbers = np.full(len(states), np.nan)
        if self.atoms:
            inside = states < len(self.atoms)
            numbers[inside] = self._sorted[states[inside]] + 0.0  # adding 0 makes -0.0 positive
        if self.curve is not None:
            assert column.scores is not None
            here = states == len(self.atoms)
            numbers[here] = self._scored(column.scores[here], rng)
        for i, link in enumerate(self.links):
            here = states == self._numbers - len(self.links) + i
            numbers[here] = self._repeated(before[link.to][here], rng)
        return numbers

    def _scored(self, scores: Scores | Floats, rng: np.random.Generator) -> Floats:
        """The numbers of scores; a random number of the column where a score is NaN."""
        assert self.curve is not None
        drawn = rng.standard_normal(len(scores))
        return self._rounded(self.curve.numbers(np.where(np.isnan(scores), drawn, scores)))

    def _repeated(self, numbers: Floats, rng: np.random.Generator) -> Floats:
        """The numbers of a linked column as this column can represent them; random numbers where they are NaN."""
        if self.valued:
            drawn = self._scored(np.full(len(numbers), np.nan), rng)
            return self._rounded(np.where(np.isnan(numbers), drawn, numbers))  # the other may have more decimals
        nearest = np.searchsorted(_midpoints(self._sorted), numbers)
        some = rng.integers(len(self.atoms), size=len(numbers))
        return np.asarray(self._sorted[np.where(np.isnan(numbers), some, nearest)])

    def _rounded(self, numbers: Floats) -> Floats:
        if self.decimals is not None:
            numbers = np.round(numbers, self.decimals)
        return np.asarray(np.clip(numbers, self.low, self.high) + 0.0)  # adding 0 makes -0.0 positive


def _midpoints(values: Floats) -> Floats:
    return values[:-1] / 2 + values[1:] / 2
