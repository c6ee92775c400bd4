"""Rows of digits and values, and their corruption for denoising."""

from __future__ import annotations

import math
from typing import NamedTuple, Self

import torch
from torch import Tensor

from synthvae.codes import Slots


class Rows(NamedTuple):
    """Rows of a table as tensors.

    Args:
        digits: Digits (B, J); -1 is missing or unknown.
        values: Continuous values (B, V); NaN is missing.
    """

    digits: Tensor
    values: Tensor

    def take(self, rows: Tensor | slice) -> Self:
        """Return the rows at some places, or of a mask."""
        return self._replace(digits=self.digits[rows], values=self.values[rows])


def corrupted(rows: Rows, slots: Slots, share: float, generator: torch.Generator) -> Rows:
    """Return rows (B) in which each cell, all digits and the value of a column, is masked with probability `share`.

    Source: Vincent et al. 2008, Extracting and composing robust features with denoising autoencoders, ICML,
    https://doi.org/10.1145/1390156.1390294, masking noise; a masked cell has a zero vector in the encoder.

    Example:
        >>> import torch
        >>> from synthvae.codes import Slots
        >>> from synthvae.model import Rows, corrupted
        >>> rows = Rows(torch.zeros(2, 3, dtype=torch.long), torch.empty(2, 0))
        >>> corrupted(rows, Slots((2, 2, 2)), 1.0, torch.Generator()).digits.unique()
        tensor([-1])
    """
    digits, values = slots.cells
    cells = len(slots.sizes) + len(slots.values)
    masked = (
        torch.rand(len(rows.digits), cells, generator=generator, device=generator.device, dtype=torch.float32) < share
    )
    return Rows(
        rows.digits.masked_fill(masked[:, list(digits)], -1),
        rows.values.masked_fill(masked[:, list(values)], math.nan),
    )
