"""Draws of rows that keep rules between columns: each cell is drawn from what the cells before it leave."""

from __future__ import annotations

import math
from collections.abc import Container
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from synthvae.codes import Slots
from synthvae.model.draws import ZERO_LOGIT, standard_normal
from synthvae.model.values import draw_value, draw_value_between

Places = Tensor | slice
"""The indices of some rows, or all rows."""


class Restriction(NamedTuple):
    """What is allowed of one cell of each row.

    Args:
        combinations: Which combinations of its digits (rows, *sizes) are allowed.
        low: The smallest values (intervals, rows) of the intervals that are allowed; None: any value is.
        high: The largest ones; an interval with a smaller one than its low is empty.
        missing: Whether the last level of its first digit is "missing", whose probability stays where it is allowed.
    """

    combinations: npt.NDArray[np.bool_]
    low: npt.NDArray[np.float64] | None = None
    high: npt.NDArray[np.float64] | None = None
    missing: bool = False


class NormalDraws(NamedTuple):
    """The random numbers of draws from mixtures: uniform (B, 1) ones of components, standard normal ones (B,)."""

    uniform: Tensor
    normal: Tensor


class RowRules(Protocol):
    """The rules of some rows that are being drawn."""

    @property
    def cells(self) -> Container[int]:
        """The cells that the rules are on."""

    @property
    def weighed(self) -> Container[int]:
        """The cells with conditions, too, whose probability weighs the rows."""

    def restrict(self, cell: int) -> Restriction | None:
        """Return what the cells so far leave of a cell; None: everything."""

    def record(
        self,
        cell: int,
        digits: npt.NDArray[np.int64],
        values: npt.NDArray[np.float32] | None,
        rows: slice | npt.NDArray[np.int64],
    ) -> None:
        """Take note of a cell of some rows.

        Args:
            cell: Its number.
            digits: Its digits (digits, rows).
            values: Its continuous values (rows,); None: it has none.
            rows: The rows.
        """


class Guard:
    """Keeps the draws of a decoder within rules, slot by slot.

    Args:
        slots: The digits and values of a row.
        rules: The rules of the rows.

    Example:
        >>> import numpy as np, torch
        >>> class Ascending:
        ...     cells = (0, 1)
        ...     def restrict(self, cell):
        ...         return Restriction(np.arange(3) >= self.first[:, None]) if cell else None
        ...     def record(self, cell, digits, values, rows):
        ...         self.first = digits[0]
        >>> guard = Guard(Slots((3, 3)), Ascending())
        >>> guard.note_digit(0, torch.tensor([0, 2]))
        >>> guard.logits(1, torch.zeros(3, 2)).softmax(0)[:2]
        tensor([[0.3333, 0.0000],
                [0.3333, 0.0000]])
    """

    def __init__(self, slots: Slots, rules: RowRules | None) -> None:
        self.slots, self.rules = slots, rules
        self.current = -1
        if rules is None:
            return
        self.cells = slots.cell_numbers
        self.digits = [[j for j in range(len(slots.sizes)) if self.cells[j] == c] for c in range(max(self.cells) + 1)]
        self.values = {self.cells[len(slots.sizes) + v]: v for v in range(len(slots.values))}
        self._drawn: list[Tensor] = []
        self._restriction: Restriction | None = None
        self._left: Tensor | None = None  # the combinations (rows, ...) that the digits so far leave

    def _begin(self, cell: int, rows: Places, device: torch.device) -> None:
        """Ask for the restriction of a cell before its first slot."""
        if cell == self.current or self.rules is None:
            return
        self.current, self._drawn = cell, []
        self._restriction = self.rules.restrict(cell)
        self._left = None
        if self._restriction is not None:
            self._left = torch.from_numpy(self._restriction.combinations).to(device)[rows]

    def logits(self, digit: int, logits: Tensor, rows: Places = slice(None)) -> Tensor:
        """Return `logits` (levels, B) of a digit, those of forbidden levels so small that they are not drawn.

        Args:
            digit: The digit.
            logits: Its logits.
            rows: The rows to which they belong.
        """
        if self.rules is None or self.cells[digit] not in self.rules.cells:
            return logits
        self._begin(self.cells[digit], rows, logits.device)
        if self._left is None:
            return logits
        # The largest byte is `any`, which torch computes half as fast.
        left = self._left
        allowed = (left.flatten(2).view(torch.uint8).amax(2).bool() if left.dim() > 2 else left).T
        if bool(allowed.all()):
            return logits
        likely = torch.where(allowed, logits, logits.amin(0) + ZERO_LOGIT)
        if self._restriction is not None and self._restriction.missing and digit == self.digits[self.current][0]:
            shift = logits[:-1].logsumexp(0) - likely[:-1].logsumexp(0)  # rules say nothing of how many are missing
            likely = torch.cat([likely[:-1] + torch.where(allowed[:-1].any(0), shift, 0.0), likely[-1:]])
        return likely

    def note_digit(self, digit: int, drawn: Tensor, rows: Places = slice(None)) -> None:
        """Take note of the levels (B,) that were drawn for a digit of some rows."""
        cell = -1 if self.rules is None else self.cells[digit]
        if self.rules is None or cell not in self.rules.cells:
            return
        self._begin(cell, rows, drawn.device)
        self._drawn.append(drawn)
        if self._left is not None and self._left.dim() > 2:
            self._left = self._left[torch.arange(len(drawn), device=drawn.device), drawn]
        if digit == self.digits[cell][-1] and cell not in self.values:
            self._finish(cell, None, rows)

    def draw_value(
        self, value: int, outputs: Tensor, draws: NormalDraws, generator: torch.Generator, temperature: float = 1.0
    ) -> Tensor:
        """Draw the numbers (B,) of a value of all rows within the limits of rules; see `values.draw_value`.

        A number beyond its limits is drawn anew from the density within them. Numbers that are within anyway have that
        density, too, so that all have it, and the truncated density, which costs far more, is needed for few rows.

        Args:
            value: The value.
            outputs: The outputs (3 M, B) of its head.
            draws: The random numbers of the rows.
            generator: Draws the random numbers of new draws.
            temperature: The temperature of the draws.
        """
        drawn = draw_value(outputs, *draws, temperature)
        limits = self.limits(value, slice(None), outputs.device)
        if limits is None:
            return drawn
        beyond = (~((limits[0] <= drawn) & (drawn <= limits[1])).any(0)).nonzero()[:, 0]
        if len(beyond):
            uniform = torch.rand(len(beyond), 1, generator=generator, device=generator.device, dtype=torch.float32)
            share = torch.special.ndtr(standard_normal(len(beyond), generator=generator) * temperature)
            within = limits[0][:, beyond], limits[1][:, beyond]
            drawn[beyond] = draw_value_between(outputs[:, beyond], uniform, share, within)[0]
        return drawn

    def limits(self, value: int, rows: Places, device: torch.device) -> tuple[Tensor, Tensor] | None:
        """Return the smallest and the largest values (intervals, B) of a value of some rows; None without any."""
        cell = -1 if self.rules is None else self.cells[len(self.slots.sizes) + value]
        if self.rules is None or cell not in self.rules.cells:
            return None
        self._begin(cell, rows, device)
        found = self._restriction
        if found is None or found.low is None or found.high is None:
            return None
        low, high = (torch.from_numpy(ends).to(device)[:, rows] for ends in (found.low, found.high))
        unlimited = ~(low <= high).any(0)  # rows in another state, which has no value
        return low.masked_fill(unlimited, -math.inf), high.masked_fill(unlimited, math.inf)

    def note_value(self, value: int, drawn: Tensor, rows: Places = slice(None)) -> None:
        """Take note of the numbers (B,) that were drawn for a value of some rows."""
        cell = -1 if self.rules is None else self.cells[len(self.slots.sizes) + value]
        if self.rules is None or cell not in self.rules.cells:
            return
        self._begin(cell, rows, drawn.device)
        self._finish(cell, drawn.cpu().numpy(), rows)

    def _finish(self, cell: int, values: npt.NDArray[np.float32] | None, rows: Places) -> None:
        assert self.rules is not None
        drawn = torch.stack(self._drawn).cpu().numpy() if self._drawn else np.empty((0, 0), np.int64)
        self.rules.record(cell, drawn, values, rows if isinstance(rows, slice) else rows.cpu().numpy())
        self.current = -1
