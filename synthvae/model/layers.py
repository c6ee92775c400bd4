"""Layers with one set of weights for each slot."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def is_observed(module: nn.Module) -> bool:
    """Whether a layer of `module` has hooks, as in computing per-sample gradients, so that each must be called."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(layer, kind) for layer in module.modules() for kind in kinds)


class GatedRead(torch.autograd.Function):
    """relu((g_j + g_yj) * a_j + b_j) for running sums a (J, B, W), one slot after the other.

    Slots are computed one after the other: the matrices of one slot fit into a core's cache, while those of all slots
    do not and make a step a third slower.
    """

    @staticmethod
    def forward(ctx: Any, sums: Tensor, gate: Tensor, condition_gate: Tensor, shift: Tensor, labels: Tensor) -> Tensor:
        """Return the activations (J, B, W) for gates (J, 1, W), (J, C, W), shifts (J, 1, W) and `labels` (B,)."""
        gates = gate + condition_gate  # (J, C, W)
        read = torch.empty_like(sums)
        for j in range(len(sums)):
            torch.addcmul(shift[j], sums[j], gates[j].index_select(0, labels), out=read[j]).relu_()
        ctx.save_for_backward(sums, gates, labels, read)
        return read

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None, None]:
        """Return the gradients of sums, gates and shifts."""
        sums, gates, labels, read = ctx.saved_tensors
        (gradient,) = gradients
        if not any(ctx.needs_input_grad[1:4]):
            passed = gradient * (read > 0)
            return passed.mul_(gates.index_select(1, labels)), None, None, None, None
        to_sums, to_gates = torch.empty_like(sums), torch.empty_like(gates)
        to_shift = torch.empty_like(gates[:, :1])
        member = nn.functional.one_hot(labels, gates.shape[1]).to(sums.dtype).T.contiguous()  # (C, B)
        for j in range(len(sums)):
            passed = gradient[j] * (read[j] > 0)
            torch.mul(passed, gates[j].index_select(0, labels), out=to_sums[j])
            torch.sum(passed, 0, out=to_shift[j, 0])
            torch.mm(member, passed.mul_(sums[j]), out=to_gates[j])
        return to_sums, to_gates.sum(1, keepdim=True), to_gates, to_shift, None


class SlotGate(nn.Module):
    """A gated activation of the running sum for each slot; the gate depends on the condition.

    Args:
        count: The number J of slots.
        conditions: C.
        width: W, length of the running sum.
    """

    def __init__(self, count: int, conditions: int, width: int) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.ones(count, 1, width))
        self.condition_gate = nn.Parameter(torch.zeros(count, conditions, width))
        self.shift = nn.Parameter(torch.zeros(count, 1, width))

    def forward(self, sums: Tensor, labels: Tensor) -> Tensor:
        """Return the activations (J, B, W) of running sums (J, B, W)."""
        return torch.as_tensor(GatedRead.apply(sums, self.gate, self.condition_gate, self.shift, labels))


class SlotLinear(nn.Module):
    """A linear map for each slot, with a bias for each condition.

    Args:
        count: The number J of slots.
        conditions: C; 1: one bias for all.
        size: The numbers N of inputs and K of outputs of each map.
        scale: Initial standard deviation of the weights.
    """

    def __init__(self, count: int, conditions: int, size: tuple[int, int], scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(count, *size) * scale)
        self.bias = nn.Parameter(torch.zeros(count, conditions, size[1]))

    def forward(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Return the outputs (J, B, K) of `inputs` (J, B, N)."""
        bias = self.bias if self.bias.shape[1] == 1 else self.bias[:, labels]
        return torch.baddbmm(bias, inputs, self.weight)


class SlotSum(nn.Module):
    """A linear map for each slot, whose outputs are added to given ones.

    Args:
        count: The number J of slots.
        size: The numbers N of inputs and K of outputs of each map.
        scale: Initial standard deviation of the weights.
    """

    def __init__(self, count: int, size: tuple[int, int], scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(count, *size) * scale)

    def forward(self, outputs: Tensor, inputs: Tensor, labels: Tensor) -> Tensor:
        """Return `outputs` (J, B, K) with the maps of `inputs` (J, B, N) added, of rows with `labels` (B,)."""
        del labels  # an argument of all layers here, since opacus takes the number of rows from the last one
        return torch.baddbmm(outputs, inputs, self.weight)
