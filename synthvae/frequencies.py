"""What is counted of coded rows before they are learned."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from synthvae.slots import Slots

MAX_REPEATS = 8.0
BORROWED = 5.0  # rows
LEAST_VARIANCE = 1e-2


def class_weights(labels: Tensor, conditions: int) -> Tensor:
    """Return how often (C,) rows of each class are seen, relative to those of frequent classes.

    Of a class with less than half of an equal share, rows are seen more often, with the square root of what it lacks,
    up to `MAX_REPEATS` times: p(x | y) of a rare class is to be right, too, and is not if its rows hardly count.
    """
    counts = torch.bincount(labels, minlength=conditions).clamp_min(1)
    return (0.5 * len(labels) / (conditions * counts)).sqrt().clamp(1.0, MAX_REPEATS)


def log_frequencies(digits: Tensor, labels: Tensor, conditions: int, sizes: tuple[int, ...]) -> Tensor:
    """Return the smoothed log frequency (J, C, K) of each level within each condition."""
    widest = max(sizes, default=1)
    logs = torch.full((len(sizes), conditions, widest), math.log(1e-8), device=digits.device)
    for j, size in enumerate(sizes):
        known = digits[:, j] >= 0
        flat = labels[known] * widest + digits[known, j].long()
        table = torch.bincount(flat, minlength=conditions * widest).view(conditions, widest).float()
        logs[j, :, :size] = smoothed(table[:, :size])
    return logs


def smoothed(counts: Tensor) -> Tensor:
    """Return log frequencies (..., K) of rows of `counts` (N, K), each of which borrows from the whole."""
    overall = counts.sum(0) + 0.5
    inside = counts + 2.0 * overall / overall.sum()
    return (inside / inside.sum(1, keepdim=True)).clamp_min(1e-8).log()


def class_moments(values: Tensor, labels: Tensor, conditions: int) -> tuple[Tensor, Tensor]:
    """Return means and standard deviations (V, C) of normal scores `values` (B, V) within conditions.

    A class borrows `BORROWED` rows from the standard normal, which scores have over all classes.
    """
    member = nn.functional.one_hot(labels, conditions).to(values.dtype).T  # (C, B)
    known, numbers = values.isfinite().to(values.dtype), values.nan_to_num(nan=0.0)
    counts = member @ known + BORROWED  # (C, V)
    mean = member @ numbers / counts
    square = (member @ numbers.square() + BORROWED) / counts
    return mean.T, (square - mean.square()).clamp_min(LEAST_VARIANCE).sqrt().T


def ratio(counts: Tensor) -> Tensor:
    """Return log p(fine | coarse) - log p(fine) (N, K), smoothed, of `counts` (N, K) of both."""
    overall = counts.sum(0) + 0.5
    return smoothed(counts) - (overall / overall.sum()).log()


def log_ratios(digits: Tensor, slots: Slots) -> Tensor:
    """Return log p(fine | coarse) - log p(fine) (F, K, K), smoothed, of each fine digit and its coarser one."""
    widest = max(slots.sizes, default=1)
    ratios = torch.zeros(len(slots.pairs), widest, widest, device=digits.device)
    for i, (fine, coarse) in enumerate(slots.pairs):
        known = (digits[:, fine] >= 0) & (digits[:, coarse] >= 0)
        flat = digits[known, coarse].long() * widest + digits[known, fine].long()
        counts = torch.bincount(flat, minlength=widest**2).view(widest, widest).float()
        size = slots.sizes[fine]
        ratios[i, :, :size] = ratio(counts[:, :size])
    return ratios
