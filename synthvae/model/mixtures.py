"""Mixtures of diagonal normals: their densities, and how one is fitted to points."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

ROUNDS = 100
LEAST_VARIANCE = 1e-3  # of a component, as a share of the variance of all points: one on a single point is no density
LEAST_ROWS = 1e-3  # of a component, in each condition: what was not seen there may yet be


def log_normal(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the log density of each element of z under normals, in nats; shapes are broadcast."""
    return -0.5 * ((z - mean).square() / log_variance.exp() + log_variance + math.log(2 * math.pi))


def fit_mixture(
    points: Tensor, labels: Tensor, size: tuple[int, ...], generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Fit K normals, which each of C conditions weighs in its own way, by expectation and maximisation.

    Args:
        points: Points (B, L).
        labels: Their conditions (B,).
        size: C and K.
        generator: Of the points from which the components start.

    Returns:
        Log weights (C, K), means (K, L) and log variances (K, L).

    Source: Bishop 2006, Pattern recognition and machine learning, section 9.2.2, with weights by condition.
    """
    centre, scale = points.double().mean(0), points.double().std(0, correction=0).clamp_min(1e-12)
    standard = (points.double() - centre) / scale
    member = nn.functional.one_hot(labels, size[0]).double()
    mean, spread = _scattered(standard, size[1], generator)
    variance, weights = torch.full_like(mean, spread).clamp_min(LEAST_VARIANCE), mean.new_ones(size)
    for _ in range(ROUNDS):
        shares = _shares(standard, weights[labels].log(), mean, variance)
        mean, variance = _moments(standard, shares)
        weights = member.T @ shares + LEAST_ROWS
    log_weights = weights.log() - weights.sum(1, keepdim=True).log()
    return log_weights, centre + scale * mean, variance.log() + 2 * scale.log()


def fit_mixtures(
    points: Tensor, labels: Tensor, size: tuple[int, ...], generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """The same, each component being of one condition, so that none draws what is another's.

    Where there are fewer components than conditions, all share them.
    """
    components = size[1]
    present = labels.unique(sorted=True)
    if components < len(present):
        return fit_mixture(points, labels, size, generator)
    logits = points.new_full(size, math.log(LEAST_ROWS / components), dtype=torch.float64)
    means, log_variances = [], []
    for label, own in zip(present, torch.arange(components).tensor_split(len(present)), strict=True):
        here = points[labels == label]
        weights, mean, log_variance = fit_mixture(here, torch.zeros_like(labels[: len(here)]), (1, len(own)), generator)
        logits[label, own] = weights[0]
        means.append(mean)
        log_variances.append(log_variance)
    return logits.log_softmax(1), torch.cat(means), torch.cat(log_variances)


def _scattered(points: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, float]:
    """Return `count` points (K, L) far from each other, and the mean square of how far others are from the nearest.

    Source: Arthur and Vassilvitskii 2007, k-means++, https://dl.acm.org/doi/10.5555/1283383.1283494.
    """
    distance, chosen = torch.ones_like(points[:, 0]), []
    for _ in range(count):
        place = torch.multinomial(distance + 1e-12, 1, generator=generator)
        chosen.append(points[place])
        away = (points - points[place]).square().mean(1)
        distance = away if len(chosen) == 1 else torch.minimum(distance, away)
    return torch.cat(chosen), float(distance.mean())


def _shares(points: Tensor, log_weights: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Return the shares (B, K) that components have in points, which each weighs by `log_weights` (B, K)."""
    # (z - m)^2 / s^2 as products of matrices: no (B, K, L) is made
    squares = points.square() @ (1 / variance).T - 2 * points @ (mean / variance).T
    return (log_weights - 0.5 * (squares + (mean.square() / variance + variance.log()).sum(1))).softmax(1)


def _moments(points: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """Return means and variances (K, L) of points, in which components have `shares` (B, K)."""
    rows = shares.sum(0)[:, None].clamp_min(1e-300)
    mean = shares.T @ points / rows
    return mean, (shares.T @ points.square() / rows - mean.square()).clamp_min(LEAST_VARIANCE)
