"""Digits: looking them up, padding heads to one size, drawing from logits."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from synthvae.slots import Slots


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
        table = torch.cat([self.weight, torch.zeros_like(self.weight[:1])])
        return nn.functional.embedding(self.places(digits), table)

    def places(self, digits: Tensor) -> Tensor:
        """Return which vectors (J, B) `digits` (B, J) have; the one after the last is that of the unknown."""
        return torch.where(digits.T >= 0, digits.T.long() + self.offsets[:, None], len(self.weight))

    def rows_of(self, digit: int, size: int) -> Tensor:
        """The vectors (size, width) of one digit's levels."""
        start = self.starts[digit]  # on the host: asked for on a GPU, it would be waited for
        return self.weight[start : start + size]


class FineTables(nn.Module):
    """What a digit says on the next finer one of its column, beside all else: a table of logits for each such pair.

    How a column's values are numbered is arbitrary, so the pattern of the fine digit differs for each coarse one.

    Args:
        slots: What is modelled.
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
        """Return `logits` (J, B, K) with what the coarser of `digits` (B, J) say added; an unknown one says nothing."""
        if not self.place:
            return logits
        known, places = self.places(digits)
        said = nn.functional.embedding(places, self.weight.flatten(0, 1))
        return logits.index_add(0, self.fine, said * known[..., None])

    def places(self, digits: Tensor) -> tuple[Tensor, Tensor]:
        """Return where the coarser of `digits` (B, J) are known (F, B), and which logits they then have."""
        coarse = digits.T.index_select(0, self.coarse).long()
        return coarse >= 0, coarse.clamp_min(0) + self.starts

    def one(self, digit: int, digits: Tensor) -> Tensor | None:
        """Return what the coarser of the drawn `digits` (J, B) says on `digit`: logits (B, K), None without one."""
        if digit not in self.place:
            return None
        i, coarse = self.place[digit]
        return self.weight[i].index_select(0, digits[coarse])


MATCHING_STEPS = 20
MATCHED = 1e-3  # of a logit: small enough
RARE = 1e-5  # a frequency below which marginals are not told apart
BLOCK = 16  # rows over which stratified numbers are spread
NEVER = -1e4  # a logit whose probability is exactly 0 in single precision
FINEST = 2.0**-25  # below any uniform number in single precision but 0
COLDEST = 1e-6  # a temperature at which nothing but the likeliest is drawn
LEAST = -60.0  # log of a share far below the finest; what underflows is slow to compute


def padding(sizes: tuple[int, ...]) -> Tensor:
    """Return what to add to padded logits (J, K): 0 for a level, `NEVER` beyond the digit's last."""
    widest = max(sizes, default=1)
    levels = torch.arange(widest)[None, :]
    return torch.zeros(len(sizes), widest).masked_fill_(levels >= torch.tensor(sizes)[:, None], NEVER)


def log_prob(logits: Tensor, digits: Tensor) -> Tensor:
    """Return log p (J, B) of `digits` (B, J) under padded `logits` (J, B, K), in nats; 0 where a digit is unknown."""
    target = digits.T.long()
    chosen = logits.gather(2, target.clamp_min(0)[..., None])[..., 0]
    return (chosen - logits.logsumexp(2)) * (target >= 0)


def match_marginal(logits: Tensor, marginal: Tensor, trust: float) -> Tensor:
    """Return what to add to `logits` (B, K) so that their mean distribution moves towards `marginal` (K,).

    Args:
        logits: Logits of rows drawn from the model.
        marginal: The frequencies that were seen.
        trust: How far to move, 0 to 1.
    """
    goal = trust * marginal + (1 - trust) * logits.softmax(1).mean(0)
    shift = torch.zeros_like(marginal)
    for _ in range(MATCHING_STEPS):
        move = ((goal + RARE) / ((logits + shift).softmax(1).mean(0) + RARE)).log()
        shift += move
        if move.abs().max() < MATCHED:
            break
    return shift


class Chances:
    """Uniform numbers in [0, 1) for the draws of some slots, independent or stratified.

    Stratified numbers are spread evenly over each `BLOCK` of rows, in an order of its own for each slot, and rows with
    like probabilities stand in one block. Each number alone is uniform; shares of what is drawn vary less than those of
    independent draws. Source: McKay, Beckman, Conover 1979, Latin hypercube sampling, https://doi.org/10.2307/1268522.

    Args:
        slots: For how many slots.
        rows: For how many rows.
        generator: Where they come from.
        stratified: Whether they are spread evenly.
        temperature: Of what is drawn with them: 1 as is likely, 0 the likeliest.
    """

    def __init__(
        self, slots: int, rows: int, generator: torch.Generator, *, stratified: bool, temperature: float = 1.0
    ) -> None:
        device = generator.device
        self.stratified, self.temperature = stratified, temperature
        self.numbers = torch.rand(slots, rows, 1, generator=generator, device=device)
        if stratified:
            # i -> a i + b modulo the block's length, a odd: an order, and each place equally likely for each row
            a, b = torch.randint(BLOCK, (2, slots, -(-rows // BLOCK), 1), generator=generator, device=device)
            strata = ((2 * a + 1) * torch.arange(BLOCK, device=device) + b).remainder_(BLOCK)
            strata = strata.flatten(1)[:, :rows, None]
            self.numbers = ((strata + self.numbers) / BLOCK).clamp_max_(1 - 2.0**-24)


def tempered(logits: Tensor, temperature: float) -> Tensor:
    """Return `logits` (...) at a temperature: at 0 nothing but the likeliest level is left."""
    return logits if temperature == 1.0 else logits / max(temperature, COLDEST)


def draw(logits: Tensor, uniform: Tensor, *, stratified: bool = False) -> Tensor:
    """Draw a level (B,) from `logits` (B, K) by inverting the distribution function at `uniform` (B, 1) in [0, 1).

    Where the numbers are `stratified`, they are given to the rows in the order of the last level's probability: that of
    "missing", where a digit says that.
    """
    relative = (logits - logits.amax(1, keepdim=True)).clamp_min_(LEAST)
    mass = relative.exp_().cumsum_(1)
    if stratified and logits.shape[1] > 1:
        order = (mass[:, -2] / mass[:, -1]).argsort()
        uniform = torch.empty_like(uniform).index_copy_(0, order, uniform)
    return torch.searchsorted(mass, uniform.clamp_min(FINEST) * mass[:, -1:], right=True)[:, 0].clamp_max_(
        logits.shape[1] - 1
    )
