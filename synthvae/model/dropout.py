"""Dropout that draws from a generator of its own, so that no other use of torch in the process matters."""

from __future__ import annotations

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
        if not self.training or not self.p:
            return inputs
        kept = torch.empty_like(inputs).bernoulli_(1 - self.p, generator=self.generator)
        return inputs * kept.div_(1 - self.p)

    def extra_repr(self) -> str:
        """Return what is printed of the layer."""
        return f"p={self.p}"


def seed_dropout(model: nn.Module, generator: torch.Generator | None) -> None:
    """Let all dropout of a model draw from one generator, on its device; None: from the global one."""
    for layer in model.modules():
        if isinstance(layer, Dropout):
            layer.generator = generator
