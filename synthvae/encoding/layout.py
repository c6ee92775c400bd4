"""Which digits and values belong to which column: pure data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from synthvae.codes import Slots, Value

MAX_SINGLE = 24  # up to here a column is one digit
MAX_BASE = 32  # levels of a digit where a column needs several


def digit_sizes(levels: int, singles: int = 0) -> tuple[int, ...]:
    """Levels of the digits, coarse to fine, that together number `levels` states; none for a constant.

    The last `singles` states (missing, marks) have a coarse level each, so that one digit alone says them.
    """
    if levels <= 1:
        return ()
    if levels <= MAX_SINGLE:
        return (levels,)
    regular = max(levels - singles, 1)
    digits = 2
    while MAX_BASE**digits < regular:
        digits += 1
    base = int(np.ceil(regular ** (1 / digits)))
    base += base**digits < regular  # the root may round down
    return (-(-regular // base ** (digits - 1)) + singles, *[base] * (digits - 1))


@dataclass(frozen=True)
class Layout:
    """The digits and values of a table.

    Args:
        names: The columns, in the order in which they are modelled.
        levels: The number of states of each column.
        singles: How many of these, the last ones, are not numbered with the others: missing, marks, "has a value".
        valued: Whether a continuous value stands behind the digits; it does where the state is the first of `singles`.
        scales: How much of each column's unit the value 1 is; () if values have no unit.
    """

    names: tuple[str, ...]
    levels: tuple[int, ...]
    singles: tuple[int, ...]
    valued: tuple[bool, ...]
    scales: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        sizes = {len(self.names), len(self.levels), len(self.singles), len(self.valued), len(set(self.names))}
        if len(sizes) > 1:
            raise ValueError(f"a layout must have one count of levels for each distinct name, however, {self=}")

    @classmethod
    def of(
        cls,
        levels: Mapping[str, int],
        singles: Mapping[str, int] | None = None,
        valued: Collection[str] = (),
        scales: Mapping[str, float] | None = None,
    ) -> Self:
        """The layout of columns with so many levels each."""
        known = singles or {}
        return cls(
            tuple(levels),
            tuple(levels.values()),
            tuple(known.get(name, 0) for name in levels),
            tuple(name in valued for name in levels),
            tuple(scales.get(name, 1.0) for name in levels) if scales else (),
        )

    @cached_property
    def digits(self) -> tuple[tuple[int, ...], ...]:
        """For each column, the levels of its digits from coarse to fine."""
        return tuple(digit_sizes(*pair) for pair in zip(self.levels, self.singles, strict=True))

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The levels of every digit of the table, in order."""
        return tuple(size for sizes in self.digits for size in sizes)

    @cached_property
    def spans(self) -> dict[str, slice]:
        """Where each column's digits stand; the spans partition the width."""
        stops = np.cumsum([0, *(len(sizes) for sizes in self.digits)]).tolist()
        return {name: slice(stops[i], stops[i + 1]) for i, name in enumerate(self.names)}

    @cached_property
    def owners(self) -> tuple[int, ...]:
        """The column, as its place among `names`, of each digit, then of each value."""
        digits = [i for i, sizes in enumerate(self.digits) for _ in sizes]
        return (*digits, *(i for i, valued in enumerate(self.valued) if valued))

    @property
    def width(self) -> int:
        """The number of digits."""
        return len(self.sizes)

    @cached_property
    def slots(self) -> Slots:
        """What the model models."""
        starts = {span.start for span in self.spans.values()}
        coarser = tuple(None if j in starts else j - 1 for j in range(self.width))
        return Slots(self.sizes, tuple(self._value(name) for name in self.valued_names), coarser)

    @property
    def valued_names(self) -> tuple[str, ...]:
        """The columns that have a value, in order."""
        return tuple(name for name, valued in zip(self.names, self.valued, strict=True) if valued)

    def _value(self, name: str) -> Value:
        place = self.names.index(name)
        span, singles = self.spans[name], self.singles[place]
        if span.start == span.stop:
            return Value(span.stop, scale=self.scales[place] if self.scales else 1.0)
        return Value(span.stop, span.start, self.sizes[span.start] - singles)

    def split(self, states: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int8]:
        """Return the digits (rows, width) of each column's states (rows,); the digits of an unknown state -1 are -1."""
        rows = len(states[0]) if states else 0
        digits = np.empty((self.width, rows), np.int8)
        for span, state, levels, singles in zip(self.spans.values(), states, self.levels, self.singles, strict=True):
            sizes = self.sizes[span]
            single = state - (levels - singles)  # from 0 on where a state is no value
            rest = np.where((single >= 0) & (len(sizes) > 1), 0, state)
            for position in range(span.stop - 1, span.start, -1):
                rest, digit = np.divmod(rest, sizes[position - span.start])
                digits[position] = np.where(state < 0, -1, digit)
            if sizes:
                coarse = np.where((single >= 0) & (len(sizes) > 1), sizes[0] - singles + single, rest)
                digits[span.start] = np.where(state < 0, -1, coarse)
        return np.ascontiguousarray(digits.T)

    def join(self, digits: npt.NDArray[np.integer]) -> list[npt.NDArray[np.int64]]:
        """Return each column's states of `digits` (rows, width); a combination past the last value means the last."""
        states = []
        for span, levels, singles in zip(self.spans.values(), self.levels, self.singles, strict=True):
            sizes = self.sizes[span]
            if len(sizes) == 1:
                states.append(digits[:, span.start].astype(np.int64))
                continue
            state = np.zeros(len(digits), np.int64)
            for position, size in zip(range(span.start, span.stop), sizes, strict=True):
                state *= size
                state += digits[:, position]
            if sizes:
                state = np.minimum(state, levels - singles - 1)
                single = digits[:, span.start].astype(np.int64) - (sizes[0] - singles)
                state = np.where(single >= 0, levels - singles + single, state)
            states.append(state)
        return states
