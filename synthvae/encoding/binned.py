"""Numbers to declared bins and back: an encoding that depends on no value of the table."""

from __future__ import annotations

from functools import cached_property
from typing import Literal, Self

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

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


class BinnedEncoding(DiscreteColumn, BaseModel):
    """States: the bins, ascending, then the sentinel values, then "missing".

    Args:
        edges: The smallest number, the cuts between bins, the largest number. A cut belongs to the bin above it.
        decimals: Digits after the point of a decoded number; None writes it in full.
        marks: The sentinel values.
        missing: Whether "missing" has a state.
    """

    model_config = ConfigDict(frozen=True)
    __repr__ = __str__ = brief

    kind: Literal["binned"] = "binned"
    edges: Numbers
    decimals: int | None
    marks: Values = ()
    missing: bool

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
        """Return numbers (rows,), drawn uniformly from the bins of the states; NaN where a state is no bin."""
        place = np.minimum(column.states, self.bins - 1)
        low, high = (numbers[place] for numbers in self.spans)
        share = column.rng.random(len(place))
        numbers = (1 - share) * low + share * high
        if self.decimals is not None:
            scale = 10.0**self.decimals
            with np.errstate(over="ignore", invalid="ignore"):
                steps = np.rint(high * scale - low * scale)
            numbers = np.where(steps < FINE, low + np.floor(share * (steps + 1)) / scale, numbers)
        numbers = np.clip(rounded(numbers, self.decimals), low, high) + 0.0  # adding 0 makes -0.0 positive
        return np.where(column.states < self.bins, numbers, np.nan)

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
