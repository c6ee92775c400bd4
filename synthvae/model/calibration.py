"""Calibration of the heads of a decoder by rows that were not trained on.

A head that has seen few rows is overconfident: its densities are too narrow, its most probable levels too probable.
Rows drawn from it lie too close to training rows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy import optimize
from torch import Tensor

from synthvae.model.draws import log_prob
from synthvae.model.rows import Rows
from synthvae.model.values import COMPONENTS, log_density

# Rows are drawn slot after slot, each with the errors of those before it, so that wider densities weaken the relations
# between columns. On the default of credit, .05 nats cost a tenth of a point of trend; on Seoul bikes, .7 nats brought
# the share of rows that are nearer to a training row from .554 to .526.
LEAST_GAIN = 0.2  # nats per row below which drawing does better without a change
SPREAD = 0.5  # standard deviation of the prior of each number around no change
NEWTON_STEPS, LARGEST_STEP = 8, 0.5
LEAST_FACTOR = 0.05
VALUE_STEPS = 20


class Outputs(NamedTuple):
    """The outputs of the heads of a decoder for rows.

    Args:
        digits: Logits (J, B, K) of the levels, padded.
        values: Parameters (V, B, 3 M) of the mixtures.
    """

    digits: Tensor
    values: Tensor


class Calibration(NamedTuple):
    """What the outputs of each head are changed by.

    Args:
        digits: Factors (J,) of the logits of levels.
        components: Factors (V,) of the logits of components.
        log_scales: What is added to the log standard deviations of components (V,).
    """

    digits: Tensor
    components: Tensor
    log_scales: Tensor


def calibration(outputs: Outputs, rows: Rows, weights: Tensor, sizes: tuple[int, ...]) -> Calibration:
    """Return the change of the outputs under which `rows`, which were not trained on, are most probable.

    Each number has a normal prior around no change, so that few rows change little.

    Source: Guo, Pleiss, Sun, Weinberger 2017, On calibration of modern neural networks,
    https://arxiv.org/abs/1706.04599: temperatures of logits; a temperature for each slot, and that of densities, are
    ours.

    Args:
        outputs: The outputs of the heads for the rows.
        rows: B rows; unknown digits are -1, missing values NaN.
        weights: The number of rows (B,) that each of them stands for.
        sizes: The levels of each digit.

    Example:
        >>> import torch
        >>> from synthvae.model import Rows
        >>> sure = Outputs(torch.tensor([[[4.0, -4.0]]]).expand(-1, 100, -1), torch.empty(0, 100, 30))
        >>> rows = Rows((torch.arange(100) % 10 == 0).long()[:, None], torch.empty(100, 0))  # a tenth are of level 1
        >>> bool(calibration(sure, rows, torch.ones(100), (2,)).digits < 0.5)
        True
    """
    factors = [_factor(outputs.digits[j, :, :size], rows.digits[:, j].long(), weights) for j, size in enumerate(sizes)]
    digits = torch.stack(factors) if factors else weights.new_empty(0)
    return Calibration(digits, *_mixture_changes(outputs.values, rows.values, weights))


def calibration_that_gains(outputs: Outputs, rows: Rows, weights: Tensor, sizes: tuple[int, ...]) -> Calibration | None:
    """Return `calibration` of these arguments; None if the rows gain less than `LEAST_GAIN` by it."""
    change = calibration(outputs, rows, weights, sizes)
    return change if gain(change, outputs, rows, weights) >= LEAST_GAIN else None


def _factor(logits: Tensor, digits: Tensor, weights: Tensor) -> Tensor:
    """The factor of logits (B, K) under which `digits` (B,) are most probable, by Newton's method: it is concave."""
    known = digits >= 0
    logits, digits, weights = logits[known].double(), digits[known], weights[known].double()
    chosen = logits.gather(1, digits[:, None])[:, 0]
    factor = torch.ones((), dtype=torch.double, device=logits.device)
    for _ in range(NEWTON_STEPS):
        shares = (factor * logits).softmax(1)
        mean = (shares * logits).sum(1)
        spread = (shares * (logits - mean[:, None]).square()).sum(1)
        slope = (weights * (chosen - mean)).sum() - (factor - 1) / SPREAD**2
        step = slope / ((weights * spread).sum() + SPREAD**-2)
        factor = (factor + step.clamp(-LARGEST_STEP, LARGEST_STEP)).clamp_min(LEAST_FACTOR)
    return factor.float()


def _mixture_changes(outputs: Tensor, values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The factors (V,) of components' logits and changes (V,) of log scales under which `values` are most probable."""
    if not len(outputs):
        return weights.new_empty(0), weights.new_empty(0)
    rows = weights.sum()

    def loss(numbers: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        with torch.enable_grad():
            changes = torch.from_numpy(numbers).float().to(outputs.device).view(2, -1).requires_grad_()
            logs = log_density(changed_mixtures(outputs, changes[0].exp(), changes[1]), values)
            found = (0.5 * (changes / SPREAD).square().sum() - (logs * weights).sum()) / rows
            (slopes,) = torch.autograd.grad(found, changes)
        return found.item(), slopes.double().flatten().cpu().numpy()

    # Not torch.optim.LBFGS, whose first call imports torch's compiler: more than a second.
    start = np.zeros(2 * len(outputs))
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": VALUE_STEPS}).x
    changes = torch.from_numpy(found).float().to(outputs.device).view(2, -1)
    return changes[0].exp(), changes[1]


def changed_mixtures(outputs: Tensor, components: Tensor, log_scales: Tensor) -> Tensor:
    """Return outputs (V, ..., 3 M) with other logits and log standard deviations; see `Calibration`."""
    logits, means, scales = outputs.split(COMPONENTS, -1)
    shape = (-1, *(1 for _ in outputs.shape[1:]))
    return torch.cat([logits * components.view(shape), means, scales + log_scales.view(shape)], -1)


def gain(change: Calibration, outputs: Outputs, rows: Rows, weights: Tensor) -> float:
    """Return how much more probable rows (B) with these outputs are by a change, in nats per row, on average."""
    digits = outputs.digits * change.digits[:, None, None]
    changed = Outputs(digits, changed_mixtures(outputs.values, change.components, change.log_scales))
    found = (log_likelihood(changed, rows) - log_likelihood(outputs, rows)).sum(0)
    return float((found * weights).sum() / weights.sum())


def log_likelihood(outputs: Outputs, rows: Rows) -> Tensor:
    """Return log p (J + V, B) of each digit, then each value of `rows` under the outputs of their heads, in nats."""
    return torch.cat([log_prob(outputs.digits, rows.digits), log_density(outputs.values, rows.values)])
