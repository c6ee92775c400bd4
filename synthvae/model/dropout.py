"""Dropout that draws from a generator of its own, so that no other use of torch in the process matters."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Dropout in training: each activation is 0 with probability `p`, and the others are divided by 1 - p.

    Source: Srivastava et al. 2014, Dropout, https://jmlr.org/papers/v15/srivastava14a.html.

    Args:
        p: The probability.

    Example:
        >>> layer = Dropout(0.5)
        >>> seed_dropout(layer, torch.Generator().manual_seed(0))
        >>> layer(torch.ones(4)).tolist()
        [0.0, 0.0, 2.0, 0.0]
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.generator: torch.Generator | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the activations (...), unchanged in evaluation mode."""
        factors = self.factors(*inputs.shape, device=inputs.device)
        return inputs if factors is None else inputs * factors

    def factors(self, *size: int, device: torch.device) -> Tensor | None:
        """Draw the factors (size) of activations, 0 or 1 / (1 - p); None in evaluation mode."""
        if not self.training or not self.p:
            return None
        # Four draws of 16 bits from each random word take a third of the time of `bernoulli_`.
        count = math.prod(size)
        words = torch.empty(-(-count // 4), dtype=torch.int64, device=device)
        bits = words.random_(-(2**63), None, generator=self.generator).view(torch.int16)[:count].view(size)
        return (bits >= round(self.p * 2**16) - 2**15).to(torch.float32).mul_(1 / (1 - self.p))

    def extra_repr(self) -> str:
        """Return what is printed of the layer."""
        return f"p={self.p}"


def seed_dropout(model: nn.Module, generator: torch.Generator | None) -> None:
    """Let all dropout of a model draw from one generator, on its device; None: from the global one."""
    for layer in model.modules():
        if isinstance(layer, Dropout):
            layer.generator = generator
