"""Categorical draws and log probabilities of digits.

Draws take logits by level, (K, B): over the first dimension, operations on few levels and many rows are up to 15 times
as fast.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

MATCHING_STEPS = 20
MATCHING_TOLERANCE = 1e-6  # nats of a step
SHARES_OF_STEP = (1.0, 0.5, 0.25, 0.125)  # that are tried in turn
REACH = 2.0  # of shifts
RARE = 1e-5  # a frequency below which differences between marginals are ignored
BLOCK = 16  # rows of a stratum of each slot
ZERO_LOGIT = -1e4  # a logit whose probability is exactly 0 in single precision
MIN_UNIFORM = 2.0**-25  # below any uniform number in single precision but 0
MIN_TEMPERATURE = 1e-6  # at which only the most probable level is drawn
MIN_LOG_MASS = -60.0  # far below the resolution of the draws; computing with denormal numbers is slow


def padding(sizes: tuple[int, ...]) -> Tensor:
    """Return the mask (J, K) to add to padded logits: 0 for a level, `ZERO_LOGIT` beyond the last level of a digit."""
    widest = max(sizes, default=1)
    levels = torch.arange(widest)[None, :]
    return torch.zeros(len(sizes), widest, dtype=torch.float32).masked_fill_(
        levels >= torch.tensor(sizes)[:, None], ZERO_LOGIT
    )


def log_prob(logits: Tensor, digits: Tensor) -> Tensor:
    """Return log p (J, B) of `digits` (B, J) under padded `logits` (J, B, K), in nats; 0 where a digit is unknown."""
    target = digits.T.long()
    chosen = logits.log_softmax(2).gather(2, target.clamp_min(0)[..., None])[..., 0]
    return chosen * (target >= 0)


def match_marginal(logits: Tensor, marginal: Tensor, trust: float) -> Tensor:
    """Return the shift (K,) of `logits` (K, B) that moves their mean distribution towards `marginal` (K,).

    Newton's method for the logarithms of the mean distribution m, with steps that are halved until they reduce
    KL(marginal || m). Its matrix is diag(m) - cov(p), p being the rows' distributions. If other slots or z determine a
    digit, shifts hardly change m, but spoil p. So the shift of a level is limited to `REACH` times the sum of what it
    would be if p were the same for all rows, and of the root mean square of that over the levels.

    Args:
        logits: Logits of rows drawn from the model.
        marginal: The frequencies in the data.
        trust: How far to move, 0 to 1.
    """
    shares = logits.softmax(0)
    goal = trust * marginal + (1 - trust) * shares.mean(1)
    alike = _off(goal, shares)  # the shift if p were the same for all rows
    reach = REACH * (alike.abs() + (goal * alike.square()).sum().sqrt())
    shift = torch.zeros_like(marginal)
    for _ in range(MATCHING_STEPS):
        off = _off(goal, shares)
        newton = _newton(shares, off)
        for move in (*(newton * share for share in SHARES_OF_STEP), off):
            moved = shift + move
            moved = (moved - (goal * moved).sum()).clamp(-reach, reach)
            after = (logits + moved[:, None]).softmax(0)
            gain = (goal * (off - _off(goal, after))).sum()
            if gain > MATCHING_TOLERANCE:
                shift, shares = moved, after
                break
        else:
            break
    return shift


def _off(goal: Tensor, shares: Tensor) -> Tensor:
    """The logarithms (K,) of `goal` (K,) over the mean of `shares` (K, B); their mean under `goal` is a divergence."""
    return torch.log((goal + RARE) / (shares.mean(1) + RARE))


def _newton(shares: Tensor, off: Tensor) -> Tensor:
    """The step (K,) that would change the logarithms of the mean of `shares` (K, B) by `off` (K,), were they linear."""
    mean, double = shares.mean(1).double(), shares.double()
    slope = torch.diag(mean + RARE) - (double @ double.T / shares.shape[1] - torch.outer(mean, mean))
    return torch.as_tensor(torch.linalg.solve_ex(slope, (mean + RARE) * off)[0]).to(off)


def standard_normal(*size: int, generator: torch.Generator) -> Tensor:
    """Draw standard normal numbers (size) in single precision, on the device of their generator."""
    return torch.randn(size, generator=generator, device=generator.device, dtype=torch.float32)


class Uniforms:
    """Uniform numbers in [0, 1) for the draws of some slots, independent or stratified.

    Stratified numbers are spread evenly over each `BLOCK` of rows, in a random order for each slot, and rows with
    similar probabilities are in the same block. Each single number is uniform, but the frequencies of drawn levels vary
    less than those of independent draws.

    Source: McKay, Beckman, Conover 1979, Latin hypercube sampling, https://doi.org/10.2307/1268522.

    Args:
        slots: The number of slots.
        rows: The number of rows.
        generator: The generator of the numbers.
        stratified: Whether they are spread evenly.
        temperature: The temperature of the draws: 1 is the model's distribution, 0 its most probable level.
    """

    def __init__(
        self, slots: int, rows: int, generator: torch.Generator, *, stratified: bool, temperature: float = 1.0
    ) -> None:
        device = generator.device
        self.stratified, self.temperature = stratified, temperature
        self.numbers = torch.rand(slots, rows, 1, generator=generator, device=device, dtype=torch.float32)
        if stratified:
            # i -> a i + b modulo the block's length, a odd, is a permutation; each stratum is equally likely
            a, b = torch.randint(BLOCK, (2, slots, -(-rows // BLOCK), 1), generator=generator, device=device)
            strata = ((2 * a + 1) * torch.arange(BLOCK, device=device) + b).remainder_(BLOCK)
            strata = strata.flatten(1)[:, :rows, None]
            self.numbers = ((strata + self.numbers) / BLOCK).clamp_max_(1 - 2.0**-24)


def tempered(logits: Tensor, temperature: float) -> Tensor:
    """Return `logits` (...) at a temperature: at 0 only the most probable level has mass."""
    return logits if temperature == 1.0 else logits / max(temperature, MIN_TEMPERATURE)


def draw(logits: Tensor, uniform: Tensor, *, stratified: bool = False) -> Tensor:
    """Draw a level (B,) from `logits` (K, B) by inverting the distribution function at `uniform` (B, 1) in [0, 1).

    `stratified` numbers are assigned to the rows in the order of the last level's probability: it is the level
    "missing" of a digit that has one.
    """
    logits = logits.detach()
    mass = _cumulated((logits - logits.amax(0)).clamp_min_(MIN_LOG_MASS).exp_())
    if stratified and len(mass) > 1:
        order = (mass[-2] / mass[-1]).argsort()
        uniform = torch.empty_like(uniform).index_copy_(0, order, uniform)
    place = uniform[:, 0].clamp_min(MIN_UNIFORM) * mass[-1]
    return (mass <= place).sum(0).clamp_max_(len(mass) - 1)


def _cumulated(mass: Tensor) -> Tensor:
    """Add to each row of `mass` (K, B), in place, those before it; `cumsum` takes up to 9 times as long."""
    if mass.device.type != "cpu":
        return mass.cumsum_(0)
    for below, level in itertools.pairwise(mass.unbind()):
        level.add_(below)
    return mass
