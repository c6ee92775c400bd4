"""The approximate posterior q(z | x, y)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synthvae.codes import Slots
from synthvae.model.embeddings import SlotEmbedding
from synthvae.model.rows import Rows


class Encoder(nn.Module):
    """Digits, values and condition to the mean and log-variance of a diagonal normal.

    The vectors of the slots and of the condition are summed and pass one residual block.

    Args:
        slots: What the model models.
        conditions: How many conditions it is told; 1 tells it nothing, as `transform` without labels needs.
        latent_dim: L.
        width: Hidden units.
        dropout: Probability with which a hidden unit is silenced in training.
    """

    def __init__(self, slots: Slots, conditions: int, latent_dim: int, width: int, dropout: float) -> None:
        super().__init__()
        self.embedding = SlotEmbedding(slots, width)
        self.condition = nn.Embedding.from_pretrained(torch.zeros(conditions, width), freeze=False)
        self.block = nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout))
        self.head = nn.Linear(width, 2 * latent_dim)

    def forward(self, rows: Rows, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance, each (B, L), for `rows` (B) and `labels` (B,)."""
        return self.of_total(self.embedding.total(rows), labels)

    def of_total(self, total: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance, each (B, L), for sums (B, width) of the vectors of slots and `labels` (B,)."""
        told = labels if self.condition.num_embeddings > 1 else torch.zeros_like(labels)
        hidden = total + self.condition(told)
        posterior = self.head(hidden + self.block(hidden)).to(hidden)  # autocast computes it with fewer digits
        mean, log_variance = posterior.chunk(2, dim=1)
        return mean, log_variance.clamp(-12.0, 6.0)
