"""What is counted of coded rows before they are learned."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor

from synthvae.codes import Slots

BORROWED = 5.0  # rows
LEAST_VARIANCE = 1e-2


@dataclass(frozen=True)
class Sums:
    """Sums over rows, which are added where the rows come in parts.

    Args:
        levels: Rows (J, C, K) with each level of each digit, by condition.
        pairs: Rows (F, K, K) with each level of a fine digit, by that of its coarser one.
        known: Rows (C, V) with a value, by condition.
        totals: Sums (C, V) of the values.
        squares: Sums (C, V) of their squares.
    """

    levels: Tensor
    pairs: Tensor
    known: Tensor
    totals: Tensor
    squares: Tensor

    @classmethod
    def of(cls, digits: Tensor, values: Tensor, labels: Tensor, conditions: int, slots: Slots) -> Self:
        """Count digits (B, J) and values (B, V) of rows with conditions `labels` (B,)."""
        widest = max(slots.sizes, default=1)
        levels = [_together(labels, digits[:, j], conditions, widest) for j in range(len(slots.sizes))]
        pairs = [_together(digits[:, coarse], digits[:, fine], widest, widest) for fine, coarse in slots.pairs]
        known, numbers = values.isfinite().double(), values.nan_to_num(nan=0.0).double()
        nothing = numbers.new_zeros(conditions, values.shape[1])
        sums = (nothing.index_add(0, labels, part) for part in (known, numbers, numbers.square()))
        empty = torch.zeros(0, dtype=torch.long, device=labels.device)
        return cls(
            torch.cat([empty.view(0, conditions, widest), *levels]),
            torch.cat([empty.view(0, widest, widest), *pairs]),
            *sums,
        )

    def __add__(self, other: Sums) -> Self:
        return type(self)(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def over(self, total: Callable[[Tensor], Tensor]) -> Self:
        """Return the sums over those of other processes, too, of which `total` takes the sum."""
        return type(self)(*(total(getattr(self, f.name)) for f in fields(self)))

    def logs(self, slots: Slots) -> Tensor:
        """Return the smoothed log frequency (J, C, K) of each level within each condition."""
        logs = torch.full(self.levels.shape, math.log(1e-8), device=self.levels.device)
        for j, size in enumerate(slots.sizes):
            logs[j, :, :size] = smoothed(self.levels[j, :, :size].float())
        return logs

    def ratios(self, slots: Slots) -> Tensor:
        """Return log p(fine | coarse) - log p(fine) (F, K, K), smoothed, of each fine digit and its coarser one."""
        ratios = torch.zeros(self.pairs.shape, device=self.pairs.device)
        for i, (fine, _) in enumerate(slots.pairs):
            size = slots.sizes[fine]
            ratios[i, :, :size] = ratio(self.pairs[i, :, :size].float())
        return ratios

    def moments(self) -> tuple[Tensor, Tensor]:
        """Return means and standard deviations (V, C) of the values, which are normal scores, within conditions.

        A class borrows `BORROWED` rows from the standard normal, which scores have over all classes.
        """
        counts = self.known + BORROWED
        mean = self.totals / counts
        variance = (self.squares + BORROWED) / counts - mean.square()
        return mean.T.float(), variance.clamp_min(LEAST_VARIANCE).sqrt().T.float()


def _together(rows: Tensor, columns: Tensor, height: int, width: int) -> Tensor:
    """How often (1, height, width) two codes (B,) occur together; those that are not known (-1) do not count."""
    known = (rows >= 0) & (columns >= 0)
    flat = rows[known].long() * width + columns[known].long()
    return torch.bincount(flat, minlength=height * width).view(1, height, width)


def smoothed(counts: Tensor) -> Tensor:
    """Return log frequencies (..., K) of rows of `counts` (N, K), each of which borrows from the whole."""
    overall = counts.sum(0) + 0.5
    inside = counts + 2.0 * overall / overall.sum()
    return (inside / inside.sum(1, keepdim=True)).clamp_min(1e-8).log()


def ratio(counts: Tensor) -> Tensor:
    """Return log p(fine | coarse) - log p(fine) (N, K), smoothed, of `counts` (N, K) of both."""
    overall = counts.sum(0) + 0.5
    return smoothed(counts) - (overall / overall.sum()).log()
