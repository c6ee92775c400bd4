"""Numbers to declared bins and back: the coding that looks at no value."""

from __future__ import annotations

from functools import cached_property
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from synthvae.columns import split_marks
from synthvae.encoding.curve import Numbers
from synthvae.encoding.stored import Floats, is_mark, written
from synthvae.schema import Column, Values

EACH = 100  # whole numbers from so few have a bin each
BINS = 20  # otherwise the bounds are cut into so many


class BinnedEncoding(BaseModel):
    """States: the bins by value, the marks, "missing".

    Args:
        edges: The smallest number, the cuts between bins, the largest number. A cut belongs to the bin after it.
        decimals: Digits after the point of a decoded number; None writes it in full.
        marks: The values that are no numbers.
        missing: Whether "missing" has a state.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["binned"] = "binned"
    edges: Numbers
    decimals: int | None
    marks: Values = ()
    missing: bool

    @classmethod
    def declare(cls, column: Column) -> Self:
        """The bins of a declared column: its own, or such as follow from its bounds."""
        assert column.bounds is not None
        low, high = (float(bound) for bound in column.bounds)  # type: ignore[arg-type]
        decimals = 0 if column.kind == "integer" else column.decimals
        cuts = even_cuts(low, high, decimals) if column.bins is None else column.bins
        return cls(edges=(low, *cuts, high), decimals=decimals, marks=column.marks, missing=column.nullable)

    @property
    def bins(self) -> int:
        """The number of bins."""
        return len(self.edges) - 1

    @property
    def singles(self) -> int:
        """How many states, the last ones, are no numbers."""
        return len(self.marks) + self.missing

    @property
    def levels(self) -> int:
        """The number of states."""
        return self.bins + self.singles

    @cached_property
    def _edges(self) -> Floats:
        return np.array(self.edges)

    def encode(self, name: str, values: pa.ChunkedArray) -> npt.NDArray[np.int64]:
        """Return the states (rows,) of a column; a number out of bounds counts as the nearest bound."""
        del name
        numbers, _ = split_marks(values, self.marks)
        array = numbers.to_numpy().astype(np.float64)
        states = np.where(np.isnan(array), self.levels - 1, np.searchsorted(self._edges[1:-1], array, side="right"))
        for offset, mark in enumerate(self.marks):
            states[is_mark(values, mark)] = self.bins + offset
        return states.astype(np.int64)

    def decode(self, states: npt.NDArray[np.int64], kind: pa.DataType, rng: np.random.Generator) -> pa.Array:
        """Return numbers, drawn evenly from the bins of `states` (rows,), as an Arrow array of type `kind`."""
        place = np.minimum(states, self.bins - 1)
        low, high = self._edges[place], self._edges[place + 1]
        share = rng.random(len(states))
        if self.decimals is None:
            numbers = low + share * (high - low)
        else:
            step = 10.0**-self.decimals
            first = np.ceil(np.round(low / step, 6))
            last = np.ceil(np.round(high / step, 6)) - (place < self.bins - 1)  # the largest number is in the last bin
            numbers = np.round((first + np.floor(share * (last - first + 1))) * step, self.decimals)
        numbers = np.clip(numbers, self.edges[0], self.edges[-1]) + 0.0  # no minus zero
        return written(numbers, states, kind, first=self.bins, marks=self.marks, style="repr")


def even_cuts(low: float, high: float, decimals: int | None) -> tuple[float, ...]:
    """Cuts that follow from bounds: each number of few has a bin, more are cut into bins of one width."""
    numbers = np.inf if decimals is None else (high - low) * 10.0**decimals + 1
    count = round(numbers) if numbers <= EACH else BINS
    if numbers <= EACH:
        cuts = low + np.arange(1, count) * 10.0 ** -(decimals or 0)
    else:
        cuts = low + np.arange(1, count) / count * (high - low)
    if decimals is not None:
        cuts = np.round(np.ceil(np.round(cuts * 10.0**decimals, 6)) * 10.0**-decimals, decimals)
    return tuple(np.unique(cuts[(cuts > low) & (cuts <= high)]).tolist())
