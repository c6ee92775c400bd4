"""Digits: looking them up, padding heads to one size, drawing from logits."""

from __future__ import annotations

import torch
from torch import Tensor

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
