"""Frequencies and moments of coded rows, from which training starts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor

from synthvae.codes import Slots

PRIOR_ROWS = 5.0
MIN_VARIANCE = 1e-2


@dataclass(frozen=True)
class Sums:
    """Counts and sums over rows, which may be added up over parts of a table.

    Args:
        levels: The number of rows (J, C, K) with each level of each digit, by condition.
        pairs: The number of rows (F, K, K) with each level of a fine digit, by the level of its coarser one.
        known: The number of rows (C, V) with a value, by condition.
        totals: Sums (C, V) of the values.
        squares: Sums (C, V) of their squares.
    """

    levels: Tensor
    pairs: Tensor
    known: Tensor
    totals: Tensor
    squares: Tensor

    @classmethod
    def from_rows(
        cls,
        digits: Tensor,
        values: Tensor,
        labels: Tensor,
        conditions: int,
        slots: Slots,
        weights: Tensor | None = None,
    ) -> Self:
        """Count digits (B, J) and values (B, V) of rows with conditions `labels` (B,), each as often as it weighs (B,).

        Weights of None count each row once.
        """
        widest = max(slots.sizes, default=1)

        def counts(rows: Tensor, columns: Tensor, height: int) -> Tensor:
            return _joint_counts(rows, columns, (height, widest), weights)

        levels = [counts(labels, digits[:, j], conditions) for j in range(len(slots.sizes))]
        pairs = [counts(digits[:, coarse], digits[:, fine], widest) for fine, coarse in slots.pairs]
        known, numbers = values.isfinite().double(), values.nan_to_num(nan=0.0).double()
        weighed = known if weights is None else known * weights.double()[:, None]
        zeros = numbers.new_zeros(conditions, values.shape[1])
        sums = (zeros.index_add(0, labels, part * weighed) for part in (known, numbers, numbers.square()))
        kind = torch.long if weights is None else torch.double
        empty = torch.zeros(0, dtype=kind, device=labels.device)
        return cls(
            torch.cat([empty.view(0, conditions, widest), *levels]),
            torch.cat([empty.view(0, widest, widest), *pairs]),
            *sums,
        )

    def __add__(self, other: Sums) -> Self:
        return type(self)(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def reduced(self, total: Callable[[Tensor], Tensor]) -> Self:
        """Return the sums over all processes; `total` adds up a tensor over them."""
        return type(self)(*(total(getattr(self, f.name)) for f in fields(self)))

    def logs(self, slots: Slots) -> Tensor:
        """Return the smoothed log frequency (J, C, K) of each level within each condition."""
        logs = torch.full(self.levels.shape, math.log(1e-8), device=self.levels.device, dtype=torch.float32)
        for j, size in enumerate(slots.sizes):
            logs[j, :, :size] = smoothed(self.levels[j, :, :size].float())
        return logs

    def ratios(self, slots: Slots) -> Tensor:
        """Return log p(fine | coarse) - log p(fine) (F, K, K), smoothed, of each fine digit and its coarser one."""
        ratios = torch.zeros(self.pairs.shape, device=self.pairs.device, dtype=torch.float32)
        for i, (fine, _) in enumerate(slots.pairs):
            size = slots.sizes[fine]
            ratios[i, :, :size] = ratio(self.pairs[i, :, :size].float())
        return ratios

    def moments(self) -> tuple[Tensor, Tensor]:
        """Return means and standard deviations (V, C) of the values, which are normal scores, within conditions.

        Each class has `PRIOR_ROWS` additional rows of the standard normal, the distribution of scores over all classes.
        """
        counts = self.known + PRIOR_ROWS
        mean = self.totals / counts
        variance = (self.squares + PRIOR_ROWS) / counts - mean.square()
        return mean.T.float(), variance.clamp_min(MIN_VARIANCE).sqrt().T.float()


def _joint_counts(rows: Tensor, columns: Tensor, shape: tuple[int, int], weights: Tensor | None) -> Tensor:
    """Count (1, height, width) the pairs of two codes (B,), or add up their weights; unknown ones (-1) are left out."""
    height, width = shape
    known = (rows >= 0) & (columns >= 0)
    flat = rows[known].long() * width + columns[known].long()
    weighed = None if weights is None else weights[known].double()
    return torch.bincount(flat, weighed, minlength=height * width).view(1, height, width)


def smoothed(counts: Tensor) -> Tensor:
    """Return log frequencies (N, K) of rows of `counts` (N, K), each of which is smoothed towards their sum."""
    overall = counts.sum(0) + 0.5
    inside = counts + 2.0 * overall / overall.sum()
    return (inside / inside.sum(1, keepdim=True)).clamp_min(1e-8).log()


def ratio(counts: Tensor) -> Tensor:
    """Return log p(fine | coarse) - log p(fine) (N, K), smoothed, of `counts` (N, K) of both."""
    overall = counts.sum(0) + 0.5
    return smoothed(counts) - (overall / overall.sum()).log()
