"""The heads of the autoregressive decoder, which compute the outputs of each slot from the running sum."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from synthvae.model.dropout import Dropout
from synthvae.model.layers import SlotGate, SlotLinear, SlotSum


class Heads(nn.Module):
    """One head for each of J slots of a kind.

    Head j has a gate on the running sum a, which depends on the condition, relu((g_j + g_yj) * a + b_j), followed by a
    linear map in parallel with a small hidden layer.

    Args:
        count: J.
        conditions: C.
        width: W, length of the running sum.
        hidden: H, units of each head's hidden layer.
        outputs: K, outputs of each head.
        dropout: Probability with which a unit is dropped in training.
    """

    def __init__(self, count: int, conditions: int, width: int, hidden: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.hidden, self.outputs = hidden, outputs
        self.read = SlotGate(count, conditions, width)
        self.linear = SlotLinear(count, conditions, (width, outputs), 0.1 / math.sqrt(width))
        if hidden:
            self.inner = SlotLinear(count, 1, (width, hidden), math.sqrt(2 / width))
            self.outer = SlotSum(count, (hidden, outputs), 0.1 / math.sqrt(hidden))
        self.dropout = Dropout(dropout)

    @property
    def bias(self) -> Tensor:
        """The biases (J, C, K) of the outputs."""
        return self.linear.bias

    @property
    def last_layer(self) -> list[Tensor]:
        """The parameters (J, ..., K) of which the outputs are linear functions."""
        linear: list[Tensor] = [self.linear.weight, self.linear.bias]
        return [*linear, self.outer.weight] if self.hidden else linear

    def forward(self, sums: Tensor, labels: Tensor) -> Tensor:
        """Return the outputs (J, B, K) of all heads for running sums (J, B, W)."""
        hidden = self.dropout(self.read(sums, labels))
        outputs: Tensor = self.linear(hidden, labels)
        if not self.hidden:
            return outputs
        inner = torch.relu(self.inner(hidden, labels))  # (J, B, H)
        return torch.as_tensor(self.outer(outputs, inner, labels))

    def dropped(self, rows: int, width: int) -> Tensor | None:
        """Draw the factors (J, rows, width) of dropout; None in evaluation mode."""
        return self.dropout.factors(len(self.bias), rows, width, device=self.bias.device)

    def joined(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return hidden layer and linear map as matrices (J, W, H + K), biases (J, C, H + K) and gates (J, C, W)."""
        gates: Tensor = self.read.gate + self.read.condition_gate
        weights: Tensor = self.linear.weight
        biases: Tensor = self.linear.bias
        if self.hidden:
            weights = torch.cat([self.inner.weight, weights], 2)
            biases = torch.cat([self.inner.bias.expand(-1, biases.shape[1], -1), biases], 2)
        return weights, biases, gates

    def packed(self, label: int) -> PackedHeads:
        """Return the heads of one condition for sampling."""
        return PackedHeads(self, label)


class PackedHeads:
    """The heads of one condition for sampling: one matrix product instead of two, with as many outputs as are needed.

    Args:
        heads: The heads.
        label: The condition.
    """

    def __init__(self, heads: Heads, label: int) -> None:
        self.hidden = heads.hidden
        weights, biases, gates = heads.joined()
        self.gates, self.shifts = gates[:, label], heads.read.shift
        self.weights, self.bias = weights.mT.contiguous(), biases[:, label, :, None]  # (J, H + K, W), (J, H + K, 1)
        if self.hidden:
            self.outer = heads.outer.weight.mT.contiguous()  # (J, K, H)

    def outputs(self, j: int, sums: Tensor, size: int) -> Tensor:
        """Return the first `size` outputs (size, B) of head j for running sums (B, W)."""
        ends = self.hidden + size
        gated = torch.addcmul(self.shifts[j], sums, self.gates[j]).relu_()
        both = torch.addmm(self.bias[j, :ends], self.weights[j, :ends], gated.T)
        if not self.hidden:
            return both
        return torch.addmm(both[self.hidden :], self.outer[j, :size], both[: self.hidden].relu_())
