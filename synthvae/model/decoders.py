"""The likelihood p(x | z, y) over digits: autoregressive, or factorized."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from synthvae.model.digits import NEVER, DigitEmbedding, RunningSum, draw, log_prob, match_marginal, padding

VECTOR = 16  # single-precision numbers in a vector register


class AutoregressiveDecoder(nn.Module):
    """p(x | z, y) = product over j of p(x_j | z, y, x_<j), one running sum for all digits.

    The sum starts at a linear map of z and the condition; each digit that is known adds its vector. Head j reads the
    sum through a gate of its own, moved by the condition: relu((g_j + g_yj) * a + b_j), then a linear map beside a
    small hidden layer.

    Source: Uria, Murray, Larochelle 2014, NADE, https://arxiv.org/abs/1310.1757; the gates are ours.

    Args:
        sizes: The levels of each digit.
        conditions: C.
        latent_dim: L.
        width: W, length of the running sum.
        hidden: H, units of each head's hidden layer.
        dropout: Probability with which a unit is silenced in training.
    """

    mask: Tensor

    def __init__(
        self, sizes: tuple[int, ...], conditions: int, latent_dim: int, width: int, hidden: int, dropout: float
    ) -> None:
        super().__init__()
        self.sizes, self.hidden = sizes, hidden
        j, k = len(sizes), max(sizes, default=1)
        self.start = nn.Linear(latent_dim, width)
        self.condition = nn.Parameter(torch.zeros(conditions, width))
        self.embedding = DigitEmbedding(sizes, width)
        self.gate = nn.Parameter(torch.ones(j, 1, width))
        self.condition_gate = nn.Parameter(torch.zeros(j, conditions, width))
        self.shift = nn.Parameter(torch.zeros(j, 1, width))
        self.linear = nn.Parameter(torch.randn(j, width, k) / math.sqrt(width) * 0.1)
        self.inner = nn.Parameter(torch.randn(j, width, hidden) * math.sqrt(2 / width))
        self.inner_bias = nn.Parameter(torch.zeros(j, 1, hidden))
        self.outer = nn.Parameter(torch.randn(j, hidden, k) / math.sqrt(max(hidden, 1)) * 0.1)
        self.bias = nn.Parameter(torch.zeros(j, conditions, k))
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("mask", padding(sizes)[:, None, :], persistent=False)

    def set_bias(self, log_frequencies: Tensor) -> None:
        """Start from the log frequencies (J, C, K) of levels within conditions."""
        with torch.no_grad():
            self.bias.copy_(log_frequencies)

    def log_prob(self, digits: Tensor, z: Tensor, labels: Tensor) -> Tensor:
        """Return log p (J, B) of each digit of `digits` (B, J), given those before it, in nats."""
        start = self.start(z) + self.condition[labels]  # (B, W)
        sums = RunningSum.apply(start, self.embedding(digits))  # (J, B, W)
        return log_prob(self._logits(sums, labels), digits)

    def _logits(self, sums: Tensor, labels: Tensor) -> Tensor:
        gate = self.gate + self.condition_gate[:, labels]  # (J, B, W)
        hidden = self.dropout(torch.relu(torch.addcmul(self.shift, gate, sums)))
        logits = torch.baddbmm(self.bias[:, labels], hidden, self.linear) + self.mask  # (J, B, K)
        if not self.hidden:
            return logits
        inner = torch.relu(torch.baddbmm(self.inner_bias, hidden, self.inner))  # (J, B, H)
        return torch.baddbmm(logits, inner, self.outer)

    @torch.no_grad()
    def sample(self, z: Tensor, label: int, generator: torch.Generator) -> Tensor:
        """Draw digits (B, J) for latents (B, L), all of one condition, one digit after the other."""
        return self._draw(z, label, generator, None)

    @torch.no_grad()
    def match(self, z: Tensor, label: int, generator: torch.Generator, marginals: Tensor, trust: float) -> None:
        """Move the biases of a condition, digit by digit, until what is drawn has `marginals` (J, K)."""
        self._draw(z, label, generator, (marginals, trust))

    def _draw(self, z: Tensor, label: int, generator: torch.Generator, matched: tuple[Tensor, float] | None) -> Tensor:
        sums = self.start(z) + self.condition[label]
        uniform = torch.rand(len(self.sizes), len(z), 1, generator=generator, device=z.device)
        digits = torch.empty(len(self.sizes), len(z), dtype=torch.long, device=z.device)
        gates = self.gate[:, 0] + self.condition_gate[:, label]
        weights, bias, outer = self._packed(label)
        for j, size in enumerate(self.sizes):
            ends = self.hidden + _padded(size)
            both = torch.addmm(
                bias[j, :ends], torch.addcmul(self.shift[j], sums, gates[j]).relu_(), weights[j, :, :ends]
            )
            logits = both[:, self.hidden :]
            if self.hidden:
                logits = torch.addmm(logits, both[:, : self.hidden].relu_(), outer[j, :, : _padded(size)])
            if matched is not None:
                shift = match_marginal(logits[:, :size], matched[0][j, :size], matched[1])
                self.bias[j, label, :size] += shift
                logits[:, :size] += shift
            digits[j] = draw(logits, uniform[j]).clamp_max_(size - 1)
            sums += self.embedding.rows_of(j, size).index_select(0, digits[j])
        return digits.T

    def _packed(self, label: int) -> tuple[Tensor, Tensor, Tensor]:
        """Inner and linear weights side by side (J, W, H + K), their bias (J, H + K), outer weights (J, H, K).

        One product instead of two, of a width that fills the processor's vectors; what pads K has probability 0.
        """
        pad = _padded(max(self.sizes, default=1)) - max(self.sizes, default=1)
        fill = nn.functional.pad
        weights = torch.cat([self.inner, fill(self.linear, (0, pad))], 2)
        logits = fill(self.bias[:, label] + self.mask[:, 0], (0, pad), value=NEVER)
        return weights, torch.cat([self.inner_bias[:, 0], logits], 1), fill(self.outer, (0, pad))


def _padded(size: int) -> int:
    return -(-size // VECTOR) * VECTOR


class FactorizedDecoder(nn.Module):
    """p(x | z, y) = product over j of p(x_j | z, y): the textbook decoder, all heads at once.

    Args:
        sizes: The levels of each digit.
        conditions: C.
        latent_dim: L.
        width: W, units of its residual block.
        dropout: Probability with which a unit is silenced in training.
    """

    mask: Tensor

    def __init__(self, sizes: tuple[int, ...], conditions: int, latent_dim: int, width: int, dropout: float) -> None:
        super().__init__()
        self.sizes = sizes
        j, k = len(sizes), max(sizes, default=1)
        self.start = nn.Linear(latent_dim, width)
        self.condition = nn.Parameter(torch.zeros(conditions, width))
        self.block = nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout))
        self.linear = nn.Parameter(torch.randn(j, width, k) / math.sqrt(width))
        self.bias = nn.Parameter(torch.zeros(j, conditions, k))
        self.register_buffer("mask", padding(sizes)[:, None, :], persistent=False)

    def set_bias(self, log_frequencies: Tensor) -> None:
        """Start from the log frequencies (J, C, K) of levels within conditions."""
        with torch.no_grad():
            self.bias.copy_(log_frequencies)

    def log_prob(self, digits: Tensor, z: Tensor, labels: Tensor) -> Tensor:
        """Return log p (J, B) of each digit of `digits` (B, J), in nats."""
        return log_prob(self._logits(z, labels), digits)

    def _hidden(self, z: Tensor, labels: Tensor) -> Tensor:
        hidden = self.start(z) + self.condition[labels]
        return torch.relu(hidden + self.block(hidden))

    def _logits(self, z: Tensor, labels: Tensor) -> Tensor:
        hidden = self._hidden(z, labels)
        repeated = hidden.expand(len(self.sizes), *hidden.shape)
        return torch.baddbmm(self.bias[:, labels], repeated, self.linear) + self.mask

    @torch.no_grad()
    def sample(self, z: Tensor, label: int, generator: torch.Generator) -> Tensor:
        """Draw digits (B, J) for latents (B, L), all of one condition."""
        labels = torch.full((len(z),), label, device=z.device)
        uniform = torch.rand(len(self.sizes) * len(z), 1, generator=generator, device=z.device)
        logits = self._logits(z, labels).flatten(0, 1)
        return draw(logits, uniform).reshape(len(self.sizes), len(z)).T

    @torch.no_grad()
    def match(self, z: Tensor, label: int, generator: torch.Generator, marginals: Tensor, trust: float) -> None:
        """Move the biases of a condition until what is drawn has `marginals` (J, K)."""
        del generator
        hidden = self._hidden(z, torch.full((len(z),), label, device=z.device))
        for j, size in enumerate(self.sizes):
            logits = torch.addmm(self.bias[j, label, :size], hidden, self.linear[j, :, :size])
            self.bias[j, label, :size] += match_marginal(logits, marginals[j, :size], trust)
