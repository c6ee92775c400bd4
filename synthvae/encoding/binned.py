"""Numbers to declared bins and back: an encoding that depends on no value of the table."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from synthvae.encoding.arrays import Floats, States
from synthvae.encoding.protocol import CodedColumn, DiscreteColumn
from synthvae.encoding.quantiles import Numbers
from synthvae.encoding.sentinels import Interval, is_sentinel, to_arrow
from synthvae.errors import brief
from synthvae.schema.column import Column, Values
from synthvae.schema.domain import FINE, decimals_of, limits, neighbour, rounded
from synthvae.tables.arrow import split_sentinels

EACH = 24  # at most so many distinct numbers have a bin each
BINS = 20  # otherwise the interval between the bounds is divided into so many
MODULUS = 30  # of residues: numbers that are rounded to multiples of 2, 3, 5, 6, 10 or 15 have few of them


class BinnedEncoding(DiscreteColumn, BaseModel):
    """States: the bins, ascending, then the sentinel values, then "missing".

    Args:
        edges: The smallest number, the cuts between bins, the largest number. A cut belongs to the bin above it.
        decimals: Digits after the point of a decoded number; None writes it in full.
        marks: The sentinel values.
        missing: Whether "missing" has a state.
        residues: The weight of each residue, modulo 30, of numbers in steps of their last decimal: within a bin, those
            of rounded numbers are more frequent. (): numbers are uniform within bins.
    """

    model_config = ConfigDict(frozen=True)
    __repr__ = __str__ = brief

    kind: Literal["binned"] = "binned"
    edges: Numbers
    decimals: int | None
    marks: Values = ()
    missing: bool
    residues: Numbers = ()

    @model_serializer(mode="wrap")
    def _without_empty(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out `residues` if there are none, so that hashes of models are those of earlier ones."""
        document: dict[str, Any] = handler(self)
        return document if self.residues else {n: v for n, v in document.items() if n != "residues"}

    @classmethod
    def declare(cls, column: Column) -> Self:
        """Return the encoding of a declared column: with its own bins, or with bins that follow from its bounds."""
        low, high = limits(column)
        decimals = decimals_of(column)
        cuts = even_cuts(low, high, decimals) if column.bins is None else column.bins
        return cls(edges=(low, *cuts, high), decimals=decimals, marks=column.sentinels, missing=column.nullable)

    @property
    def bins(self) -> int:
        """The number of bins."""
        return len(self.edges) - 1

    @property
    def singles(self) -> int:
        """The number of states, the last ones, that are not bins."""
        return len(self.marks) + self.missing

    @property
    def levels(self) -> int:
        """The number of states."""
        return self.bins + self.singles

    @cached_property
    def _edges(self) -> Floats:
        return np.array(self.edges)

    @cached_property
    def spans(self) -> tuple[Floats, Floats]:
        """The smallest and the largest number (bins,) of each bin; the last bin includes the largest number of all."""
        last = np.append(neighbour(self._edges[1:-1], self.decimals, -1), self.edges[-1])
        return self._edges[:-1], np.maximum(last, self._edges[:-1])

    def encode(self, name: str, values: pa.ChunkedArray) -> States:
        """Return the states (rows,) of a column; a number out of bounds counts as the nearest bound."""
        del name
        numbers, _ = split_sentinels(values, self.marks)
        array = numbers.to_numpy().astype(np.float64)
        states = np.where(np.isnan(array), self.levels - 1, np.searchsorted(self._edges[1:-1], array, side="right"))
        for offset, mark in enumerate(self.marks):
            states[is_sentinel(values, mark)] = self.bins + offset
        return states.astype(np.int64)

    def draw_numbers(self, column: CodedColumn) -> Floats:
        """Return numbers (rows,), drawn from the bins of the states; NaN where a state is no bin."""
        place = np.minimum(column.states, self.bins - 1)
        low, high = (numbers[place] for numbers in self.spans)
        share = column.rng.random(len(place))
        numbers = (1 - share) * low + share * high
        if self.decimals is not None:
            scale = 10.0**self.decimals
            with np.errstate(over="ignore", invalid="ignore"):
                steps = np.rint(high * scale - low * scale)
            chosen = np.floor(share * (steps + 1)) if not self.residues else self._steps_by_residue(place, share)
            numbers = np.where(steps < FINE, low + chosen / scale, numbers)
        numbers = np.clip(rounded(numbers, self.decimals), low, high) + 0.0  # adding 0 makes -0.0 positive
        return np.where(column.states < self.bins, numbers, np.nan)

    @cached_property
    def _residue_table(self) -> tuple[Floats, Floats, Floats]:
        """Of each bin: the first step with each residue, the number of such steps, and their cumulated weights."""
        scale = 10.0 ** (self.decimals or 0)
        low, high = (np.rint(numbers * scale)[:, None] for numbers in self.spans)
        first = np.mod(np.arange(MODULUS) - low, MODULUS)
        counts = np.maximum(np.floor((high - low - first) / MODULUS) + 1, 0.0)
        weights = counts * np.array(self.residues)
        weights = np.where(weights.sum(1, keepdims=True) > 0, weights, counts)
        return first, counts, np.cumsum(weights, 1) / weights.sum(1, keepdims=True)

    def _steps_by_residue(self, bins: States, share: Floats) -> Floats:
        """Return the steps (rows,) above the lower ends of bins that uniform shares stand for."""
        first, counts, cumulated = self._residue_table
        upto = cumulated[bins]
        residue = np.minimum((upto <= share[:, None]).sum(1), MODULUS - 1)
        rows = np.arange(len(bins))
        before = np.where(residue > 0, upto[rows, np.maximum(residue - 1, 0)], 0.0)
        within = (share - before) / np.maximum(upto[rows, residue] - before, np.finfo(float).tiny)
        turn = np.floor(np.clip(within, 0.0, 1 - 1e-9) * counts[bins, residue])
        return np.asarray(first[bins, residue] + MODULUS * turn, np.float64)

    def residue_counts(self, values: Floats) -> States:
        """Return how many numbers (rows,) in bins with more than one number have each residue modulo 30.

        Missing numbers are left out.
        """
        known = np.clip(values[~np.isnan(values)], self.edges[0], self.edges[-1])
        low, high = self.spans
        place = np.searchsorted(self._edges[1:-1], known, side="right")
        steps = np.rint(known[high[place] > low[place]] * 10.0 ** (self.decimals or 0))
        return np.bincount(np.mod(steps, MODULUS).astype(np.int64), minlength=MODULUS)

    def decode(self, column: CodedColumn, kind: pa.DataType) -> pa.Array:
        """Return the numbers of the states (rows,) as an Arrow array of type `kind`; see `draw_numbers`."""
        numbers = self.draw_numbers(column)
        if column.numbers is not None:  # those that rules allow
            numbers = np.where(np.isnan(column.numbers), numbers, column.numbers)
        place = np.minimum(column.states, self.bins - 1)
        low, high = (ends[place] for ends in self.spans)
        style = "short" if self.decimals == 0 else "repr"
        inside = Interval(low, high, self.decimals, self.marks)
        return to_arrow(numbers, column.states, kind, first=self.bins, sentinels=self.marks, style=style, inside=inside)


def even_cuts(low: float, high: float, decimals: int | None) -> tuple[float, ...]:
    """Return the cuts, with so many decimals, that divide [low, high] into bins.

    At most `EACH` numbers have a bin each; more are divided into `BINS` bins of equal width.
    """
    numbers = np.inf if decimals is None else high * 10.0**decimals - low * 10.0**decimals + 1
    if numbers < EACH + 0.5:
        count = round(numbers)
        cuts = low + np.arange(1, count) / 10.0 ** (decimals or 0)
    else:
        share, step = np.arange(1, BINS) / BINS, 0.0 if decimals is None else 10.0**-decimals
        cuts = (1 - share) * low + share * (high + step)  # so that the last bin has as many numbers as the others
    cuts = rounded(cuts, decimals)
    return tuple(np.unique(cuts[(cuts > low) & (cuts <= high)]).tolist())
