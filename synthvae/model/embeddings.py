"""Embeddings of digits and of continuous values, and the running sum of an autoregressive decoder."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor, nn

from synthvae.codes import Slots
from synthvae.model.layers import is_observed
from synthvae.model.rows import Rows


class DigitEmbedding(nn.Module):
    """One vector for each level of each digit; an unknown digit (-1) has the zero vector.

    Args:
        sizes: The levels of each digit.
        width: Length of the vectors.
    """

    offsets: Tensor

    def __init__(self, sizes: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.starts = (0, *itertools.accumulate(sizes))
        self.register_buffer("offsets", torch.tensor(self.starts[:-1], dtype=torch.long), persistent=False)
        self.weight = nn.Parameter(torch.randn(self.starts[-1], width) * 0.1)

    def forward(self, digits: Tensor) -> Tensor:
        """Return the vectors (J, B, width) of `digits` (B, J)."""
        return nn.functional.embedding(self.places(digits), self.table())

    def table(self) -> Tensor:
        """Return the vectors (levels + 1, width) of all digits' levels, then that of unknown digits."""
        return torch.cat([self.weight, torch.zeros_like(self.weight[:1])])

    def total(self, digits: Tensor) -> Tensor:
        """Return the sum (B, width) of the vectors of each row of `digits` (B, J)."""
        # A product with the rows' levels, one-hot, takes a third of the time of looking up and adding vectors.
        levels = self.weight.new_zeros(len(digits), len(self.weight) + 1)
        levels.scatter_(1, self.places(digits).T, 1.0)
        return (levels[:, :-1] @ self.weight).to(self.weight)  # not in the lower precision of autocast

    def places(self, digits: Tensor) -> Tensor:
        """Return the places (J, B) of the vectors of `digits` (B, J); that after the last is for unknown digits."""
        return torch.where(digits.T >= 0, digits.T.long() + self.offsets[:, None], len(self.weight))

    def rows_of(self, digit: int, size: int) -> Tensor:
        """Return the vectors (size, width) of one digit's levels."""
        start = self.starts[digit]  # on the host: reading it from a GPU would synchronise
        return self.weight[start : start + size]


class FineTables(nn.Module):
    """Additional logits of a fine digit given the next coarser digit of its column: a table for each such pair.

    The order of a column's levels is arbitrary, so the distribution of the fine digit differs for each coarse one.

    Args:
        slots: The digits and values of a row.
    """

    fine: Tensor
    coarse: Tensor
    starts: Tensor

    def __init__(self, slots: Slots) -> None:
        super().__init__()
        widest = max(slots.sizes, default=1)
        self.place = {fine: (i, coarse) for i, (fine, coarse) in enumerate(slots.pairs)}
        self.weight = nn.Parameter(torch.zeros(len(slots.pairs), widest, widest))
        pairs = torch.tensor(slots.pairs, dtype=torch.long).reshape(-1, 2)
        self.register_buffer("fine", pairs[:, 0], persistent=False)
        self.register_buffer("coarse", pairs[:, 1], persistent=False)
        self.register_buffer("starts", torch.arange(len(pairs))[:, None] * widest, persistent=False)

    def forward(self, logits: Tensor, digits: Tensor) -> Tensor:
        """Return `logits` (J, B, K) plus those given the coarser of `digits` (B, J); an unknown digit adds zero."""
        if not self.place:
            return logits
        known, places = self.places(digits)
        added = nn.functional.embedding(places, self.weight.flatten(0, 1))
        return logits.index_add(0, self.fine, added * known[..., None])

    def places(self, digits: Tensor) -> tuple[Tensor, Tensor]:
        """Return where the coarser of `digits` (B, J) are known (F, B), and the rows (F, B) of their logits."""
        coarse = digits.T.index_select(0, self.coarse).long()
        return coarse >= 0, coarse.clamp_min(0) + self.starts

    def one(self, digit: int, digits: Tensor) -> Tensor | None:
        """Return the logits (K, B) of `digit` given the coarser of the drawn `digits` (J, B); None without one."""
        if digit not in self.place:
            return None
        i, coarse = self.place[digit]
        return self.weight[i].T.contiguous().index_select(1, digits[coarse])


SlotOrder = tuple[tuple[bool, int], ...]
"""See `Slots.order`."""


class SlotEmbedding(nn.Module):
    """The vectors of all digits and values.

    Args:
        slots: The digits and values of a row.
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
        if is_observed(self):
            digits, values = self(rows)
            return torch.as_tensor(digits.sum(0) + values.sum(0))
        return self.digits.total(rows.digits) + self.values.total(rows.values)


class RunningSum(torch.autograd.Function):
    """The sum of the vectors before each slot: start (B, W), start + the first slot's vector, ...

    `torch.cumsum` along the first of three dimensions is 10 times slower than additions of whole matrices.
    """

    @staticmethod
    def forward(ctx: Any, order: SlotOrder, start: Tensor, digits: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
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
        """Return the gradient of each vector: the sum of the gradients of all sums after it."""
        sums = (torch.empty_like(gradients[0]), torch.empty_like(gradients[1]))
        after, gradient = ctx.empty, ctx.empty
        for kind, i in reversed(ctx.order):
            torch.add(after, gradient, out=sums[kind][i])
            after, gradient = sums[kind][i], gradients[kind][i]
        return None, after + gradient, *sums


def with_products(vector: Tensor, total: Tensor, products: int) -> Tensor:
    """Return a slot's vector (..., B, W) with the products of its factors and those of the slots before it.

    The last `products` entries of the running sum are the sums over all pairs of slots of the products of their
    factors, which are the `products` entries before them: the second order of a factorisation machine, one slot after
    the other.

    Source: Rendle 2010, Factorization machines, https://doi.org/10.1109/ICDM.2010.127.

    Args:
        vector: The vector of the slot.
        total: The running sum (B, W) before it.
        products: F; 0: there are none.
    """
    if not products:
        return vector
    plain, factors, last = vector.split([vector.shape[-1] - 2 * products, products, products], -1)
    return torch.cat([plain, factors, torch.addcmul(last, factors, total[..., -2 * products : -products])], -1)


def factored(gradient: Tensor, other: Tensor, products: int) -> Tensor:
    """Return the gradient (B, W) of one of the two terms of `with_products`, given that of their sum and the other."""
    places = slice(-2 * products, -products)
    found = gradient.clone()
    found[:, places].addcmul_(gradient[:, -products:], other[:, places])
    return found


def running_sums(order: SlotOrder, start: Tensor, vectors: tuple[Tensor, Tensor], products: int) -> list[Tensor]:
    """Return the sums (J, B, W) before digits and (V, B, W) before values, with products of factors.

    Args:
        order: The order of the slots.
        start: The sum (B, W) before the first one.
        vectors: The vectors (J, B, W) of digits and (V, B, W) of values.
        products: F, see `with_products`.
    """
    before: tuple[dict[int, Tensor], dict[int, Tensor]] = ({}, {})
    total = start
    for kind, i in order:
        before[kind][i] = total
        total = total + with_products(vectors[kind][i], total, products)
    return [
        torch.stack([sums[i] for i in range(len(sums))]) if sums else like.new_zeros(like.shape)
        for sums, like in zip(before, vectors, strict=True)
    ]


KNOTS = 9


class ValueEmbedding(nn.Module):
    """One vector for each value, piecewise linear in it; a missing value (NaN) has the zero vector.

    Args:
        count: The number V of values.
        width: Length of the vectors.
    """

    knots: Tensor

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.register_buffer("knots", deviates(KNOTS), persistent=False)
        self.weight = nn.Parameter(torch.randn(count, KNOTS + 1, width) / math.sqrt(2 * max(count, 1)))

    def forward(self, values: Tensor) -> Tensor:
        """Return the vectors (V, B, width) of `values` (B, V)."""
        return torch.bmm(self.features(values.T), self.weight).to(
            self.weight
        )  # not in the lower precision of autocast, as they are summed

    def total(self, values: Tensor) -> Tensor:
        """Return the sum (B, width) of the vectors of each row of `values` (B, V)."""
        return (self.features(values).flatten(1) @ self.weight.flatten(0, 1)).to(self.weight)

    def one(self, value: int, numbers: Tensor) -> Tensor:
        """Return the vectors (B, width) of one value's `numbers` (B,)."""
        return self.features(numbers) @ self.weight[value]

    def features(self, values: Tensor) -> Tensor:
        """Return the weights (..., KNOTS + 1) of the vectors for `values` (...); 0 where missing."""
        known = values.nan_to_num(nan=0.0)[..., None]
        hinges = torch.cat([known, torch.relu(known - self.knots)], -1)
        return torch.as_tensor(hinges * values.isfinite()[..., None])


def deviates(count: int) -> Tensor:
    """Return `count` standard normal quantiles, evenly spaced in probability."""
    shares = torch.arange(1, count + 1, dtype=torch.float64) / (count + 1)
    return torch.as_tensor(torch.special.ndtri(shares)).float()
