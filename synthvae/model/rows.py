"""Digits and values in one order: their vectors, and the sums of what stands before each."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from synthvae.model.digits import DigitEmbedding
from synthvae.model.values import ValueEmbedding
from synthvae.slots import Slots

Order = tuple[tuple[bool, int], ...]


class Rows(NamedTuple):
    """Rows as the model sees them.

    Args:
        digits: Digits (B, J); -1 is unknown.
        values: Continuous values (B, V); NaN is absent.
    """

    digits: Tensor
    values: Tensor

    def take(self, rows: Tensor | slice) -> Self:
        """The rows at these places."""
        return self._replace(digits=self.digits[rows], values=self.values[rows])


class SlotEmbedding(nn.Module):
    """The vectors of all digits and values.

    Args:
        slots: What the model models.
        width: Length of the vectors.
    """

    def __init__(self, slots: Slots, width: int) -> None:
        super().__init__()
        self.digits = DigitEmbedding(slots.sizes, width)
        self.values = ValueEmbedding(len(slots.values), width)

    def forward(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """Return the vectors (J, B, width) of the digits and (V, B, width) of the values."""
        return self.digits(rows.digits), self.values(rows.values)

    def total(self, rows: Rows) -> Tensor:
        """Return the sum (B, width) of all vectors."""
        digits, values = self(rows)
        return torch.as_tensor(digits.sum(0) + values.sum(0))


class RunningSum(torch.autograd.Function):
    """What stands before each slot, summed: start (B, W), start + the first slot's vector, ...

    `torch.cumsum` along the first dimension of three is 10 times slower than additions of whole matrices.
    """

    @staticmethod
    def forward(ctx: Any, order: Order, start: Tensor, digits: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sums (J, B, W) before digits and (V, B, W) before values with these vectors, in `order`."""
        ctx.order, ctx.empty = order, start.new_zeros(start.shape)
        vectors, sums = (digits, values), (torch.empty_like(digits), torch.empty_like(values))
        before, vector = start, ctx.empty
        for kind, i in order:
            torch.add(before, vector, out=sums[kind][i])
            before, vector = sums[kind][i], vectors[kind][i]
        return sums

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, Tensor, Tensor]:
        """Each vector gets the gradients of all sums after it."""
        sums = (torch.empty_like(gradients[0]), torch.empty_like(gradients[1]))
        after, gradient = ctx.empty, ctx.empty
        for kind, i in reversed(ctx.order):
            torch.add(after, gradient, out=sums[kind][i])
            after, gradient = sums[kind][i], gradients[kind][i]
        return None, after + gradient, *sums
