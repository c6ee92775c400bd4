"""What the model models: pure data, on which the encoding and the model agree."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Codes:
    """What the model sees of a table.

    Args:
        digits: The digits (rows, width), small integers; -1 where a value was never seen.
        values: The continuous values (rows, values); NaN where there is none.
        labels: The condition (rows,) of each row; 0 without a target.
    """

    digits: npt.NDArray[np.int8]
    values: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


class Value(NamedTuple):
    """Where a continuous value stands among the digits, and when there is one.

    Args:
        after: How many digits come before it.
        switch: The digit that says whether there is a value; None: there always is.
        level: The level of that digit at which there is one.
        scale: How much of the column's unit the value 1 is, where its density is one of the column's numbers.
    """

    after: int
    switch: int | None = None
    level: int = 0
    scale: float = 1.0


@dataclass(frozen=True)
class Slots:
    """What the model models, in this order: digits, and values between them.

    Args:
        sizes: The levels of each digit.
        values: The continuous values.
        coarser: For each digit, the next coarser one of the same column, None for the coarsest; () if all are.
    """

    sizes: tuple[int, ...]
    values: tuple[Value, ...] = ()
    coarser: tuple[int | None, ...] = ()

    @cached_property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """The digits that refine a coarser one, each with that one."""
        return tuple((fine, coarse) for fine, coarse in enumerate(self.coarser) if coarse is not None)

    @cached_property
    def cells(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The cells of digits and of values, numbered: what belongs to one column is one cell."""
        digits: list[int] = []
        coarser = self.coarser or (None,) * len(self.sizes)
        for j, coarse in enumerate(coarser):
            digits.append(j if coarse is None else digits[coarse])
        alone = len(self.sizes)
        values = [alone + v if value.switch is None else digits[value.switch] for v, value in enumerate(self.values)]
        return tuple(digits), tuple(values)

    @cached_property
    def order(self) -> tuple[tuple[bool, int], ...]:
        """All slots from first to last: whether it is a value, and its number among its like."""
        digits = [(j, False, j) for j in range(len(self.sizes))]
        values = [(value.after - 0.5, True, v) for v, value in enumerate(self.values)]
        return tuple(slot[1:] for slot in sorted(digits + values))
