"""The outputs of all heads of an autoregressive decoder in one pass over the slots, with a backward pass of its own.

The same function as the layers `RunningSum`, `SlotGate`, `SlotLinear` and `SlotSum` one after the other, at three
quarters of their cost on a processor: those pass over the matrices of all slots once for each operation, while the
matrices of one slot stay in a cache.

Shapes: B rows, W width; of a kind of slots (digits or values): J slots, C conditions, H hidden units, K outputs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from synthvae.model.embeddings import SlotOrder, factored, with_products
from synthvae.model.heads import Heads

relu_backward = torch.ops.aten.threshold_backward

Slot = tuple[Tensor, ...]
Pass = tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]
"""What the backward pass of a slot needs: the sum, its gate, the activations, the hidden layer, and its factors."""


class Packed(NamedTuple):
    """The weights of the heads of one kind of slots, and the vectors that its slots add to the sum.

    Args:
        gates: Gates (J, C, W) of the running sum.
        shifts: Its shifts (J, 1, W).
        weights: Matrices (J, W, H + K) of the hidden layer and the linear map.
        biases: Their biases (J, C, H + K).
        outer: Matrices (J, H, K) of the hidden layer's outputs.
        table: The vectors of the levels of all digits (N, W), or of each value (J, N, W).
    """

    gates: Tensor
    shifts: Tensor
    weights: Tensor
    biases: Tensor
    outer: Tensor
    table: Tensor

    @classmethod
    def of(cls, heads: Heads, table: Tensor, mask: Tensor | None = None) -> Packed:
        """Pack heads and vectors; `mask` (J, K) is added to the outputs."""
        weights, biases, gates = heads.joined()
        if mask is not None:
            biases = biases + nn.functional.pad(mask, (heads.hidden, 0))[:, None]
        outer = heads.outer.weight if heads.hidden else weights[:, :0]
        return cls(gates, heads.read.shift, weights, biases, outer, table)

    def slots(self) -> list[Slot]:
        """Return the weights of each head."""
        return list(zip(*(tensor.unbind() for tensor in self[:5]), strict=True))


class Batch(NamedTuple):
    """The rows, without gradients.

    Args:
        order: The slots in order.
        member: One-hot conditions (C, B).
        places: The places (J, B) of the digits in their table.
        features: The weights (V, B, N) of the vectors of the values.
        kept: Factors (J, B, W) of dropout for digits and for values; None: no dropout.
        products: F, the entries of the sum that hold products of factors; see `with_products`.
    """

    order: SlotOrder
    member: Tensor
    places: Tensor
    features: Tensor
    kept: tuple[Tensor | None, Tensor | None]
    products: int = 0


class AllHeads(torch.autograd.Function):
    """The outputs (J, B, K) of the heads of digits, and (V, B, K) of values, each given the slots before it."""

    @staticmethod
    def forward(ctx: Any, batch: Batch, start: Tensor, *packed: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs, given the sum (B, W) before the first slot and the fields of `Packed` of both kinds."""
        kinds = Packed(*packed[:6]), Packed(*packed[6:])
        slots = kinds[0].slots(), kinds[1].slots()
        outputs = [start.new_empty(len(kind.gates), len(start), kind.outer.shape[2]) for kind in kinds]
        labels = batch.member.argmax(0) if len(batch.member) > 1 else None
        passes: list[Pass] = []
        total = start
        for kind, i in batch.order:
            gates, shift, weight, bias, outer = slots[kind][i]
            gate = gates if labels is None else gates.index_select(0, labels)
            read = torch.addcmul(shift, total, gate).relu_()
            kept = batch.kept[kind]
            if kept is not None:
                read.mul_(kept[i])
            both = torch.addmm(bias if labels is None else bias.index_select(0, labels), read, weight)
            hidden, linear = both.split_with_sizes(outer.shape, 1)
            torch.addmm(linear, hidden.relu_(), outer, out=outputs[kind][i])
            before = total
            total, factors = _added(total, batch, kinds, (kind, i))
            passes.append((before, gate, read, hidden, factors))
        ctx.batch, ctx.start, ctx.kinds, ctx.slots, ctx.passes = batch, start, kinds, slots, passes
        return outputs[0], outputs[1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the first sum and of the weights, from those of the outputs."""
        batch, member = ctx.batch, ctx.batch.member
        found = [Packed(*(torch.empty_like(tensor) for tensor in kind)) for kind in ctx.kinds]
        found[0].table.zero_()
        to_slots = found[0].slots(), found[1].slots()
        after = torch.zeros_like(ctx.start)  # the gradient of the sum after a slot
        for (kind, i), one in zip(reversed(batch.order), reversed(ctx.passes), strict=True):
            total, gate, read, hidden, factors = one
            _, _, weight, _, outer = ctx.slots[kind][i]
            to_gates, to_shift, to_weight, to_bias, to_outer = to_slots[kind][i]
            gradient, kept = gradients[kind][i], batch.kept[kind]
            to_vector = after if factors is None else factored(after, total, batch.products)
            if kind:
                torch.mm(batch.features[i].T, to_vector, out=found[1].table[i])
            else:
                found[0].table.index_add_(0, batch.places[i], to_vector)
            if factors is not None:
                after = factored(after, factors, batch.products)
            torch.mm(hidden.T, gradient, out=to_outer)
            both = torch.cat([relu_backward(torch.mm(gradient, outer.T), hidden, 0), gradient], 1)
            torch.mm(read.T, both, out=to_weight)
            torch.mm(member, both, out=to_bias)
            passed = relu_backward(torch.mm(both, weight.T), read, 0)
            if kept is not None:
                passed.mul_(kept[i])
            torch.sum(passed, 0, keepdim=True, out=to_shift)
            after.addcmul_(passed, gate)
            torch.mm(member, passed.mul_(total), out=to_gates)
        return None, after, *found[0], *found[1]


def _added(
    total: Tensor, batch: Batch, kinds: tuple[Packed, Packed], slot: tuple[bool, int]
) -> tuple[Tensor, Tensor | None]:
    """The sum (B, W) after a slot, and the vector (B, W) that was added to it if it has factors."""
    kind, i = slot
    if batch.products:
        table = kinds[kind].table
        vector = batch.features[i] @ table[i] if kind else table.index_select(0, batch.places[i])
        return total + with_products(vector, total, batch.products), vector
    if kind:
        return torch.addmm(total, batch.features[i], kinds[1].table[i]), None
    return kinds[0].table.index_select(0, batch.places[i]).add_(total), None
