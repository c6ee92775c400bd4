"""The places of columns among the digits and continuous values of the model: pure data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from synthvae.codes import Slots, Value
from synthvae.encoding.arrays import States

MAX_SINGLE = 24  # a column with at most so many states is one digit
MAX_BASE = 32  # the largest number of levels of a digit of a column that needs several


def digit_sizes(levels: int, singles: int = 0) -> tuple[int, ...]:
    """Return the levels of the digits, coarse to fine, that represent `levels` states; () for a constant.

    The last `singles` states ("missing", sentinel values) have a coarse level each, so that the first digit alone
    determines them.
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
    base += base**digits < regular  # the root may be rounded down
    return (-(-regular // base ** (digits - 1)) + singles, *[base] * (digits - 1))


@dataclass(frozen=True)
class Layout:
    """The digits and continuous values of a table.

    Args:
        names: The columns, in the order in which they are modelled.
        levels: The number of states of each column.
        singles: How many of these, the last ones, are not ordered with the others: missing, sentinel, "has a value".
        valued: Whether a continuous value refines the state that is the first of `singles`.
        scales: The difference, in each column's unit, of numbers whose values differ by 1; () if values have no unit.

    Raises:
        ValueError: The lengths differ, or a name occurs twice.

    Example:
        >>> layout = Layout.from_levels({"sex": 2, "age": 100})
        >>> layout.digits
        ((2,), (10, 10))
        >>> layout.join(layout.split([np.array([1]), np.array([42])]))
        [array([1]), array([42])]
    """

    names: tuple[str, ...]
    levels: tuple[int, ...]
    singles: tuple[int, ...]
    valued: tuple[bool, ...]
    scales: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        sizes = {len(self.names), len(self.levels), len(self.singles), len(self.valued), len(set(self.names))}
        if len(sizes) > 1:
            raise ValueError(f"A layout must have one number of levels for each distinct name, got {self}.")

    @classmethod
    def from_levels(
        cls,
        levels: Mapping[str, int],
        singles: Mapping[str, int] | None = None,
        valued: Collection[str] = (),
        scales: Mapping[str, float] | None = None,
    ) -> Self:
        """Return the layout of columns with these numbers of levels; see `Layout`.

        Args:
            levels: The number of states of each column.
            singles: The number of single states of some columns; others have 0.
            valued: The columns with a continuous value.
            scales: The scales of some columns; others have 1. None or empty: no value has a unit.
        """
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
        """The levels of the digits of each column, from coarse to fine."""
        return tuple(digit_sizes(*pair) for pair in zip(self.levels, self.singles, strict=True))

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The levels of every digit of the table, in order."""
        return tuple(size for sizes in self.digits for size in sizes)

    @cached_property
    def spans(self) -> dict[str, slice]:
        """The positions of each column's digits; together, all positions."""
        stops = np.cumsum([0, *(len(sizes) for sizes in self.digits)]).tolist()
        return {name: slice(stops[i], stops[i + 1]) for i, name in enumerate(self.names)}

    @cached_property
    def owners(self) -> tuple[int, ...]:
        """The position among `names` of the column of each digit, then of each value."""
        digits = [i for i, sizes in enumerate(self.digits) for _ in sizes]
        return (*digits, *(i for i, valued in enumerate(self.valued) if valued))

    @property
    def width(self) -> int:
        """The number of digits."""
        return len(self.sizes)

    @cached_property
    def slots(self) -> Slots:
        """The digits and values as the model uses them, without names."""
        starts = {span.start for span in self.spans.values()}
        coarser = tuple(None if j in starts else j - 1 for j in range(self.width))
        return Slots(self.sizes, tuple(self._value(name) for name in self.valued_names), coarser)

    @property
    def valued_names(self) -> tuple[str, ...]:
        """The columns that have a continuous value, in order."""
        return tuple(name for name, valued in zip(self.names, self.valued, strict=True) if valued)

    def _value(self, name: str) -> Value:
        place = self.names.index(name)
        span, singles = self.spans[name], self.singles[place]
        if span.start == span.stop:
            return Value(span.stop, scale=self.scales[place] if self.scales else 1.0)
        return Value(span.stop, span.start, self.sizes[span.start] - singles)

    def split(self, states: list[States]) -> npt.NDArray[np.int8]:
        """Return the digits (rows, width) of the states (rows,) of each column; those of an unknown state -1 are -1."""
        rows = len(states[0]) if states else 0
        digits = np.empty((self.width, rows), np.int8)
        for span, state, levels, singles in zip(self.spans.values(), states, self.levels, self.singles, strict=True):
            sizes = self.sizes[span]
            single = state - (levels - singles)  # at least 0 where a state is one of `singles`
            rest = np.where((single >= 0) & (len(sizes) > 1), 0, state)
            for position in range(span.stop - 1, span.start, -1):
                rest, digit = np.divmod(rest, sizes[position - span.start])
                digits[position] = np.where(state < 0, -1, digit)
            if sizes:
                coarse = np.where((single >= 0) & (len(sizes) > 1), sizes[0] - singles + single, rest)
                digits[span.start] = np.where(state < 0, -1, coarse)
        return np.ascontiguousarray(digits.T)

    def join(self, digits: npt.NDArray[np.integer]) -> list[States]:
        """Return the states (rows,) of each column, given `digits` (rows, width).

        A combination of digits beyond the last ordered state means that state.
        """
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
