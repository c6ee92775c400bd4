"""Numbers to states and back.

A number that takes few values has a state for each, an *atom*. Others have atoms where values pile up, and between them
one state, "has a score", that a continuous value refines: the number's quantile, as a normal deviate.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from synthvae.encoding.atoms import FEW_ATOMS, find_atoms
from synthvae.encoding.links import Link
from synthvae.encoding.marks import Floats, Style, is_mark, marked, style_of, written
from synthvae.encoding.quantiles import Numbers, QuantileCurve
from synthvae.errors import TableError
from synthvae.schema.column import Column, Values
from synthvae.schema.domain import decimals_of
from synthvae.tables.arrow import count_decimals, finite_numbers, is_text, split_sentinels


class NumericEncoding(BaseModel):
    """States: the atoms by value, "has a score" if there is a curve, the links, the marks, "missing".

    Args:
        atoms: The numbers kept exactly, ascending.
        curve: The distribution of the numbers that have a score; None if none has.
        links: Columns modelled before, whose number this one often repeats.
        low: Smallest number seen; none smaller is decoded.
        high: Largest number seen; none larger is decoded.
        decimals: Digits after the point of a decoded number; None writes it in full.
        style: How a number is written in a text column.
        marks: The values that are no numbers.
        missing: Whether "missing" has a state.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["numeric"] = "numeric"
    atoms: Numbers
    curve: QuantileCurve | None = None
    links: tuple[Link, ...] = ()
    low: float = 0.0
    high: float = 0.0
    decimals: int | None
    style: Style = "repr"
    marks: Values = ()
    missing: bool

    @classmethod
    def learn(cls, column: Column, values: pa.ChunkedArray) -> Self:
        """Find the atoms of a column, and the distribution of its other numbers."""
        numbers, _ = split_sentinels(values, column.sentinels)
        finite = finite_numbers(column.name, numbers)
        decimals = decimals_of(column)
        if column.kind == "continuous" and decimals is None:
            decimals = count_decimals(finite, single=pa.types.is_float32(values.type))
        present = marked(values, column.sentinels)
        atoms, others = find_atoms(finite)
        return cls(
            atoms=atoms,
            curve=QuantileCurve.learn(*others, decimals) if len(others.values) else None,
            low=float(finite.min()) if len(finite) else 0.0,
            high=float(finite.max()) if len(finite) else 0.0,
            decimals=decimals,
            style=style_of(values, column.sentinels),
            marks=tuple(mark for mark in column.sentinels if mark in present),
            missing=len(finite) + sum(present.values()) < len(values),
        )

    @property
    def singles(self) -> int:
        """How many states, the last ones, are not numbered by value."""
        return self.valued + len(self.links) + len(self.marks) + self.missing

    @property
    def valued(self) -> bool:
        """Whether numbers have scores."""
        return self.curve is not None

    @property
    def levels(self) -> int:
        """The number of states, at least 1."""
        return max(len(self.atoms) + self.singles, 1)

    @property
    def _numbers(self) -> int:
        """How many states, the first ones, are numbers."""
        return len(self.atoms) + self.valued + len(self.links)

    @cached_property
    def _sorted(self) -> Floats:
        return np.array(self.atoms)

    def encode(self, name: str, values: pa.ChunkedArray) -> npt.NDArray[np.int64]:
        """Return the states (rows,); beside atoms alone, a number takes the nearest; -1 if never seen missing.

        Raises:
            TableError: A value is neither a finite number nor a mark.
        """
        numbers, others = split_sentinels(values, self.marks)
        if others:
            raise TableError(f"column {name!r}: values must be numbers or {list(self.marks)}, however, {others[0]!r}")
        array = numbers.to_numpy().astype(np.float64)
        finite_numbers(name, numbers)
        present = ~np.isnan(array)
        states = np.full(len(array), self.levels - 1 if self.missing or not self._numbers else -1, np.int64)
        if self._numbers:
            states[present] = self._encode_finite(array[present])
        for offset, mark in enumerate(self.marks):
            states[is_mark(values, mark)] = self._numbers + offset
        return states

    def unseen(self, values: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
        """Return which values (rows,) are text that `encode` refuses, or numbers beside atoms that are none of them."""
        others = split_sentinels(values, self.marks)[1] if is_text(values.type) else []
        if others:
            refused = pc.is_in(values, value_set=pa.array(others, values.type))
            values = pc.if_else(refused, pa.scalar(None, values.type), values)
        numbers = self.numbers_of(values)
        new = ~np.isnan(numbers) & ~self._is_atom(numbers) & (not self.valued)
        return np.asarray(new | refused.to_numpy() if others else new)

    def _is_atom(self, numbers: Floats) -> npt.NDArray[np.bool_]:
        """Which numbers (rows,) are atoms, up to how they are rounded."""
        if not self.atoms:
            return np.zeros(len(numbers), bool)
        nearest = self._sorted[np.searchsorted(_midpoints(self._sorted), numbers)]
        return np.isclose(numbers, nearest, rtol=1e-9, atol=0.0)

    def numbers_of(self, values: pa.ChunkedArray) -> Floats:
        """Return the numbers (rows,) of a column; NaN where a value is missing or a mark."""
        return np.asarray(split_sentinels(values, self.marks)[0].to_numpy().astype(np.float64))

    def linked(self, states: npt.NDArray[np.int64], numbers: Floats, others: Mapping[str, Floats]) -> None:
        """Set the states of rows whose number repeats that of a linked column, in place."""
        unlinked = self._numbers - len(self.links)
        for i, link in enumerate(self.links):
            equal = (numbers == others[link.to]) & (states < unlinked)
            if not link.firm:
                equal &= self.is_free(states)
            states[equal] = unlinked + i

    def is_free(self, states: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which states are no atoms; where there are atoms only, those of numbers."""
        return states == len(self.atoms) if self.valued else states < len(self.atoms)

    @property
    def links_well(self) -> bool:
        """Whether it takes so many values that a repetition says something."""
        return self.valued or len(self.atoms) > FEW_ATOMS

    def scores(
        self, values: pa.ChunkedArray, states: npt.NDArray[np.int64], rng: np.random.Generator | None
    ) -> npt.NDArray[np.float32]:
        """Return the normal scores (rows,) of numbers in the state "has a score"; NaN elsewhere.

        Args:
            values: The column.
            states: Its states.
            rng: Draws a score from the interval that rounds to a number; None takes its middle.
        """
        scores = np.full(len(states), np.nan, np.float32)
        if self.curve is not None:
            here = states == len(self.atoms)
            scores[here] = self.curve.scores(self.numbers_of(values)[here], rng)
        return scores

    def _encode_finite(self, numbers: Floats) -> npt.NDArray[np.int64]:
        if not self.atoms:
            return np.zeros(len(numbers), np.int64)
        nearest = np.searchsorted(_midpoints(self._sorted), numbers)
        exact = np.minimum(np.searchsorted(self._sorted, numbers), len(self.atoms) - 1)
        return np.where(self._sorted[exact] == numbers, exact, len(self.atoms) if self.valued else nearest)

    def decode(
        self,
        states: npt.NDArray[np.int64],
        kind: pa.DataType,
        rng: np.random.Generator,
        scores: npt.NDArray[np.float32] | None = None,
    ) -> pa.Array:
        """Return the numbers of these states and scores as an Arrow array of type `kind`."""
        return self.written(self.draw_numbers(states, rng, scores, {}), states, kind)

    def draw_numbers(
        self,
        states: npt.NDArray[np.int64],
        rng: np.random.Generator,
        scores: npt.NDArray[np.float32] | None,
        others: Mapping[str, Floats],
    ) -> Floats:
        """Return the numbers (rows,) of these states; NaN where there is none.

        Args:
            states: States (rows,).
            rng: Where what states leave open comes from.
            scores: The scores (rows,) of numbers that have one.
            others: The numbers of linked columns. A link to a row without one means any number.
        """
        numbers = np.full(len(states), np.nan)
        if self.atoms:
            inside = states < len(self.atoms)
            numbers[inside] = self._sorted[states[inside]] + 0.0  # no minus zero
        if self.curve is not None:
            assert scores is not None
            here = states == len(self.atoms)
            numbers[here] = self._scored(scores[here], rng)
        for i, link in enumerate(self.links):
            here = states == self._numbers - len(self.links) + i
            numbers[here] = self._repeated(others[link.to][here], rng)
        return numbers

    def _scored(self, scores: npt.NDArray[np.floating], rng: np.random.Generator) -> Floats:
        """The numbers of scores; where there is none, any number."""
        assert self.curve is not None
        drawn = rng.standard_normal(len(scores))
        return self._rounded(self.curve.numbers(np.where(np.isnan(scores), drawn, scores)))

    def _repeated(self, numbers: Floats, rng: np.random.Generator) -> Floats:
        """The numbers repeated, as far as this column takes them; where there is none, any number."""
        if self.valued:
            drawn = self._scored(np.full(len(numbers), np.nan), rng)
            return np.clip(np.where(np.isnan(numbers), drawn, numbers), self.low, self.high)
        nearest = np.searchsorted(_midpoints(self._sorted), numbers)
        some = rng.integers(len(self.atoms), size=len(numbers))
        return np.asarray(self._sorted[np.where(np.isnan(numbers), some, nearest)])

    def written(self, numbers: Floats, states: npt.NDArray[np.int64], kind: pa.DataType) -> pa.Array:
        """Return `numbers` (rows,), and marks where the states say so, as an Arrow array of type `kind`."""
        return written(numbers, states, kind, first=self._numbers, marks=self.marks, style=self.style)

    def _rounded(self, numbers: Floats) -> Floats:
        if self.decimals is not None:
            numbers = np.round(numbers, self.decimals)
        return np.asarray(np.clip(numbers, self.low, self.high) + 0.0)  # no minus zero


def _midpoints(values: Floats) -> Floats:
    return values[:-1] / 2 + values[1:] / 2
