"""Encoded rows and their layout: the interface of encodings and models."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from synthvae.errors import brief


@dataclass(frozen=True)
class Codes:
    """An encoded table.

    Args:
        digits: Digits (rows, digits), small integers; -1 for a value that did not occur in training.
        values: Continuous values (rows, values); NaN where there is none.
        labels: Index of the condition of each row (rows,); 0 without a target.
        weights: Positive weights (rows,), of any sum; None: all rows weigh the same.
    """

    __repr__ = brief

    digits: npt.NDArray[np.int8]
    values: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.labels)


class Value(NamedTuple):
    """Position of a continuous value among the digits, and the condition for its presence.

    Args:
        after: Number of digits before it.
        switch: The digit that determines whether there is a value; None if there always is one.
        level: The level of that digit at which there is one.
        scale: Size of the value 1 in the column's unit, if densities are those of the column's numbers.
    """

    after: int
    switch: int | None = None
    level: int = 0
    scale: float = 1.0


@dataclass(frozen=True)
class Slots:
    """The variables of a model: digits, and continuous values between them.

    Args:
        sizes: Number of levels of each digit.
        values: The continuous values.
        coarser: For each digit the next coarser one of the same column, None for the coarsest; () if all are coarsest.
    """

    sizes: tuple[int, ...]
    values: tuple[Value, ...] = ()
    coarser: tuple[int | None, ...] = ()

    @cached_property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Pairs of a digit and the coarser one that it refines."""
        return tuple((fine, coarse) for fine, coarse in enumerate(self.coarser) if coarse is not None)

    @cached_property
    def cells(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The index of the cell of each digit and of each value: digits and values of one column are one cell."""
        digits: list[int] = []
        coarser = self.coarser or (None,) * len(self.sizes)
        for j, coarse in enumerate(coarser):
            digits.append(j if coarse is None else digits[coarse])
        alone = len(self.sizes)
        values = [alone + v if value.switch is None else digits[value.switch] for v, value in enumerate(self.values)]
        return tuple(digits), tuple(values)

    @cached_property
    def cell_numbers(self) -> tuple[int, ...]:
        """The number, from 0 on, of the cell (column) of each digit, then of each value."""
        digits, values = self.cells
        places = {cell: i for i, cell in enumerate(sorted({*digits, *values}))}
        return tuple(places[cell] for cell in (*digits, *values))

    @cached_property
    def order(self) -> tuple[tuple[bool, int], ...]:
        """All slots in order: whether the slot is a value, and its index among the values or among the digits."""
        digits = [(j, False, j) for j in range(len(self.sizes))]
        values = [(value.after - 0.5, True, v) for v, value in enumerate(self.values)]
        return tuple(slot[1:] for slot in sorted(digits + values))
