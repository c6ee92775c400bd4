"""From noisy counts to frequencies: post-processing, which costs no budget."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from synthvae.encoding.layout import Layout
from synthvae.model import Frequencies
from synthvae.model.frequencies import ratio, smoothed

Floats = npt.NDArray[np.float64]


def frequencies(counts: Floats, totals: Floats) -> Floats:
    """Return the frequencies (C, K) within classes nearest to noisy `counts` (C, K) with known sums `totals` (C,)."""
    return np.stack([_onto_simplex(row / total) for row, total in zip(counts, totals, strict=True)])


def _onto_simplex(values: Floats) -> Floats:
    """The nearest vector of the probability simplex.

    Source: Duchi et al. 2008, Efficient projections onto the l1-ball, https://doi.org/10.1145/1390156.1390191.
    """
    ordered = np.sort(values)[::-1]
    excess = (np.cumsum(ordered) - 1) / np.arange(1, len(values) + 1)
    last = np.flatnonzero(ordered > excess)[-1]
    return np.asarray(np.maximum(values - excess[last], 0.0))


def of_digits(layout: Layout, states: dict[str, Floats]) -> Floats:
    """Return the frequencies (J, C, K) of digits that follow from frequencies (C, levels) of states."""
    conditions = len(next(iter(states.values())))
    digits = np.zeros((layout.width, conditions, max(layout.sizes, default=1)))
    for name, table in states.items():
        for j, levels in zip(range(*layout.spans[name].indices(layout.width)), _digits(layout, name), strict=True):
            np.add.at(digits[j].T, levels, table.T)
    return digits


def _digits(layout: Layout, name: str) -> npt.NDArray[np.int64]:
    """The digits (digits, levels) of all states of a column."""
    place = layout.names.index(name)
    levels, singles = layout.levels[place], layout.singles[place]
    alone = Layout((name,), (levels,), (singles,), (False,))
    return alone.split([np.arange(levels)]).T.astype(np.int64)


def start(layout: Layout, states: dict[str, Floats], totals: Floats) -> Frequencies:
    """Return the initial weights of a decoder: log frequencies of digits, and ratios of fine given coarse ones."""
    slots = layout.slots
    counts = torch.from_numpy(of_digits(layout, states) * totals[:, None]).float()
    logs, ratios = torch.zeros_like(counts), counts.new_zeros(len(slots.pairs), counts.shape[2], counts.shape[2])
    for j, size in enumerate(slots.sizes):
        logs[j, :, :size] = smoothed(counts[j, :, :size])
    for i, (fine, coarse) in enumerate(slots.pairs):
        ratios[i, :, : slots.sizes[fine]] = ratio(_joint(layout, states, totals, fine, coarse))
    return Frequencies(logs, ratios)


def _joint(layout: Layout, states: dict[str, Floats], totals: Floats, fine: int, coarse: int) -> torch.Tensor:
    """The counts (K, K_fine) of each pair of levels of two digits of a column."""
    name = next(name for name, span in layout.spans.items() if span.start <= fine < span.stop)
    digits, first = _digits(layout, name), layout.spans[name].start
    counts = np.zeros((max(layout.sizes), layout.sizes[fine]))
    np.add.at(counts, (digits[coarse - first], digits[fine - first]), totals @ states[name])
    return torch.from_numpy(counts).float()
