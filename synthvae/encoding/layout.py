"""Which digits belong to which column: pure data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

MAX_SINGLE = 24  # up to here a column is one digit
MAX_BASE = 32  # levels of a digit where a column needs several


def digit_sizes(levels: int) -> tuple[int, ...]:
    """Levels of the digits, coarse to fine, that together number `levels` states; none for a constant."""
    if levels <= 1:
        return ()
    if levels <= MAX_SINGLE:
        return (levels,)
    digits = 2
    while MAX_BASE**digits < levels:
        digits += 1
    base = int(np.ceil(levels ** (1 / digits)))
    base += base**digits < levels  # the root may round down
    return (-(-levels // base ** (digits - 1)), *[base] * (digits - 1))


@dataclass(frozen=True)
class Layout:
    """The digits of a table.

    Args:
        names: The columns, in the order in which they are modelled.
        levels: The number of states of each column.
    """

    names: tuple[str, ...]
    levels: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.levels) or len(set(self.names)) < len(self.names):
            raise ValueError(f"a layout must have one count of levels for each distinct name, however, {self=}")

    @classmethod
    def of(cls, levels: dict[str, int]) -> Self:
        """The layout of columns with so many levels each."""
        return cls(tuple(levels), tuple(levels.values()))

    @cached_property
    def digits(self) -> tuple[tuple[int, ...], ...]:
        """For each column, the levels of its digits from coarse to fine."""
        return tuple(digit_sizes(levels) for levels in self.levels)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The levels of every digit of the table, in order."""
        return tuple(size for sizes in self.digits for size in sizes)

    @cached_property
    def spans(self) -> dict[str, slice]:
        """Where each column's digits stand; the spans partition the width."""
        stops = np.cumsum([0, *(len(sizes) for sizes in self.digits)]).tolist()
        return {name: slice(stops[i], stops[i + 1]) for i, name in enumerate(self.names)}

    @property
    def width(self) -> int:
        """The number of digits."""
        return len(self.sizes)

    def split(self, states: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int8]:
        """Return the digits (rows, width) of each column's states (rows,); the digits of an unknown state -1 are -1."""
        rows = len(states[0]) if states else 0
        digits = np.empty((self.width, rows), np.int8)
        for span, state in zip(self.spans.values(), states, strict=True):
            sizes = self.sizes[span]
            rest = state
            for position in range(span.stop - 1, span.start - 1, -1):
                rest, digit = np.divmod(rest, sizes[position - span.start])
                digits[position] = np.where(state < 0, -1, digit)
        return np.ascontiguousarray(digits.T)

    def join(self, digits: npt.NDArray[np.integer]) -> list[npt.NDArray[np.int64]]:
        """Return each column's states of `digits` (rows, width); a combination past the last level means the last."""
        states = []
        for span, levels in zip(self.spans.values(), self.levels, strict=True):
            state = np.zeros(len(digits), np.int64)
            for position in range(span.start, span.stop):
                state *= self.sizes[position]
                state += digits[:, position]
            states.append(np.minimum(state, max(levels - 1, 0)))
        return states
