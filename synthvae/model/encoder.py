"""The approximate posterior q(z | x, y)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synthvae.codes import Slots
from synthvae.model.dropout import Dropout
from synthvae.model.embeddings import SlotEmbedding
from synthvae.model.rows import Rows


class Encoder(nn.Module):
    """The mean and log-variance of a diagonal normal, from digits, values and condition.

    The vectors of the slots and of the condition are summed and pass one residual block.

    Args:
        slots: The digits and values of a row.
        conditions: The number of conditions; 1: unconditional, as `transform` without labels needs.
        latent_dim: L.
        width: Hidden units.
        dropout: Probability with which a hidden unit is dropped in training.
    """

    def __init__(self, slots: Slots, conditions: int, latent_dim: int, width: int, dropout: float) -> None:
        super().__init__()
        self.embedding = SlotEmbedding(slots, width)
        self.condition = nn.Embedding.from_pretrained(torch.zeros(conditions, width), freeze=False)
        self.block = nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.ReLU(), Dropout(dropout))
        self.head = nn.Linear(width, 2 * latent_dim)

    def forward(self, rows: Rows, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance, each (B, L), for `rows` (B) and `labels` (B,)."""
        return self.encode_total(self.embedding.total(rows), labels)

    def encode_total(self, total: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance, each (B, L), for sums (B, width) of the vectors of slots and `labels` (B,)."""
        labels = labels if self.condition.num_embeddings > 1 else torch.zeros_like(labels)
        hidden = total + self.condition(labels)
        posterior = self.head(hidden + self.block(hidden)).to(hidden)  # autocast computes it in a lower precision
        mean, log_variance = posterior.chunk(2, dim=1)
        return mean, log_variance.clamp(-12.0, 6.0)
