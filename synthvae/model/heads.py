"""The heads of the autoregressive decoder: from the running sum to the outputs of each slot."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from synthvae.model.digits import NEVER

VECTOR = 16  # single-precision numbers in a vector register


class GatedRead(torch.autograd.Function):
    """relu((g_j + g_yj) * a_j + b_j) for running sums a (J, B, W), one slot after the other.

    A slot's matrices stay in a core's cache; those of all slots do not, and make a step a third slower.
    """

    @staticmethod
    def forward(ctx: Any, sums: Tensor, gate: Tensor, condition_gate: Tensor, shift: Tensor, labels: Tensor) -> Tensor:
        """Return what is read (J, B, W) through gates (J, 1, W), (J, C, W) and shifts (J, 1, W) for `labels` (B,)."""
        gates = gate + condition_gate  # (J, C, W)
        read = torch.empty_like(sums)
        for j in range(len(sums)):
            torch.addcmul(shift[j], sums[j], gates[j].index_select(0, labels), out=read[j]).relu_()
        ctx.save_for_backward(sums, gates, labels, read)
        return read

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:
        """Return the gradients of sums, gates and shifts."""
        sums, gates, labels, read = ctx.saved_tensors
        (gradient,) = gradients
        to_sums, to_gates = torch.empty_like(sums), torch.empty_like(gates)
        to_shift = torch.empty_like(gates[:, :1])
        member = nn.functional.one_hot(labels, gates.shape[1]).to(sums.dtype).T.contiguous()  # (C, B)
        for j in range(len(sums)):
            passed = gradient[j] * (read[j] > 0)
            torch.mul(passed, gates[j].index_select(0, labels), out=to_sums[j])
            torch.sum(passed, 0, out=to_shift[j, 0])
            torch.mm(member, passed.mul_(sums[j]), out=to_gates[j])
        return to_sums, to_gates.sum(1, keepdim=True), to_gates, to_shift, None


class Heads(nn.Module):
    """One head for each of J slots of a kind.

    Head j reads the running sum a through a gate of its own, moved by the condition: relu((g_j + g_yj) * a + b_j), then
    a linear map beside a small hidden layer.

    Args:
        count: J.
        conditions: C.
        width: W, length of the running sum.
        hidden: H, units of each head's hidden layer.
        outputs: K, outputs of each head.
        dropout: Probability with which a unit is silenced in training.
    """

    def __init__(self, count: int, conditions: int, width: int, hidden: int, outputs: int, dropout: float) -> None:
        super().__init__()
        j, k = count, outputs
        self.hidden, self.outputs = hidden, outputs
        self.gate = nn.Parameter(torch.ones(j, 1, width))
        self.condition_gate = nn.Parameter(torch.zeros(j, conditions, width))
        self.shift = nn.Parameter(torch.zeros(j, 1, width))
        self.linear = nn.Parameter(torch.randn(j, width, k) / math.sqrt(width) * 0.1)
        self.inner = nn.Parameter(torch.randn(j, width, hidden) * math.sqrt(2 / width))
        self.inner_bias = nn.Parameter(torch.zeros(j, 1, hidden))
        self.outer = nn.Parameter(torch.randn(j, hidden, k) / math.sqrt(max(hidden, 1)) * 0.1)
        self.bias = nn.Parameter(torch.zeros(j, conditions, k))
        self.dropout = nn.Dropout(dropout)

    def forward(self, sums: Tensor, labels: Tensor) -> Tensor:
        """Return the outputs (J, B, K) of all heads for running sums (J, B, W)."""
        hidden = self.dropout(GatedRead.apply(sums, self.gate, self.condition_gate, self.shift, labels))
        outputs = torch.baddbmm(self.bias[:, labels], hidden, self.linear)
        if not self.hidden:
            return outputs
        inner = torch.relu(torch.baddbmm(self.inner_bias, hidden, self.inner))  # (J, B, H)
        return torch.baddbmm(outputs, inner, self.outer)

    def packed(self, label: int, mask: Tensor | None = None) -> PackedHeads:
        """The heads of one condition, ready to be read one after the other; `mask` (J, K) adds to the outputs."""
        return PackedHeads(self, label, mask)


class PackedHeads:
    """Heads of one condition for sampling: one product instead of two, of a width that fills the processor's vectors.

    Args:
        heads: The heads.
        label: The condition.
        mask: What to add to the outputs (J, K).
    """

    def __init__(self, heads: Heads, label: int, mask: Tensor | None) -> None:
        self.hidden = heads.hidden
        pad = padded(heads.outputs) - heads.outputs
        fill = nn.functional.pad
        bias = heads.bias[:, label] if mask is None else heads.bias[:, label] + mask
        self.gates = heads.gate[:, 0] + heads.condition_gate[:, label]
        self.shifts = heads.shift
        self.weights = torch.cat([heads.inner, fill(heads.linear, (0, pad))], 2)  # (J, W, H + K)
        self.bias = torch.cat([heads.inner_bias[:, 0], fill(bias, (0, pad), value=NEVER)], 1)  # (J, H + K)
        self.outer = fill(heads.outer, (0, pad))  # (J, H, K)

    def outputs(self, j: int, sums: Tensor, size: int) -> Tensor:
        """Return the first outputs (B, at least `size`) of head j for running sums (B, W)."""
        stop = padded(size)
        ends = self.hidden + stop
        read = torch.addcmul(self.shifts[j], sums, self.gates[j]).relu_()
        both = torch.addmm(self.bias[j, :ends], read, self.weights[j, :, :ends])
        outputs = both[:, self.hidden :]
        if not self.hidden:
            return outputs
        return torch.addmm(outputs, both[:, : self.hidden].relu_(), self.outer[j, :, :stop])


def padded(size: int) -> int:
    """The next multiple of a vector register's length."""
    return -(-size // VECTOR) * VECTOR
