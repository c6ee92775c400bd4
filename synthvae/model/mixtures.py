"""Mixtures of normals: their densities, and how one is fitted to points."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

ROUNDS = 100
LEAST_GAIN = 1e-4  # nats per point, below which a round is the last
LEAST_VARIANCE = 1e-3  # that is added to a component, as a share of what all have: one on a single point is no density
LEAST_ROWS = 1e-3  # of a component, in each condition: what was not seen there may yet be


def log_normal(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the log density of each element of z under normals, in nats; shapes are broadcast."""
    return -0.5 * ((z - mean).square() / log_variance.exp() + log_variance + math.log(2 * math.pi))


class Normals(NamedTuple):
    """K normals in L dimensions, which each of C conditions weighs in its own way.

    A covariance is T diag(exp(log_variance)) T', T unit lower triangular: its determinant is that of the diagonal.

    Args:
        log_weights: (C, K).
        mean: (K, L).
        log_variance: (K, L).
        tilt: T (K, L, L).
    """

    log_weights: Tensor
    mean: Tensor
    log_variance: Tensor
    tilt: Tensor


def fit_mixture(points: Tensor, labels: Tensor, size: tuple[int, ...], generator: torch.Generator) -> Normals:
    """Fit K normals, which each of C conditions weighs in its own way, by expectation and maximisation.

    Covariances are full, and drawn towards the one that all components share as if that had been seen in L points.

    Args:
        points: Points (B, L).
        labels: Their conditions (B,).
        size: C and K.
        generator: Of the points from which the components start.

    Source: Bishop 2006, Pattern recognition and machine learning, section 9.2.2, with weights by condition; Fraley and
    Raftery 2007, Bayesian regularization for normal mixture estimation, https://doi.org/10.1007/s00357-007-0004-5.
    """
    centre, scale = points.double().mean(0), points.double().std(0, correction=0).clamp_min(1e-12)
    standard = (points.double() - centre) / scale
    member = nn.functional.one_hot(labels, size[0]).double()
    mean, spread = _scattered(standard, size[1], generator)
    factor = torch.eye(mean.shape[1]).to(mean).mul(max(spread, LEAST_VARIANCE) ** 0.5).expand(size[1], -1, -1)
    weights, best = mean.new_ones(size), -math.inf
    for _ in range(ROUNDS):
        log_joint = _log_joint(standard, weights[labels].log(), mean, factor)
        mean, factor = _moments(standard, log_joint.softmax(1))
        weights = member.T @ log_joint.softmax(1) + LEAST_ROWS
        likelihood = float(log_joint.logsumexp(1).mean() - weights[labels].sum(1).log().mean())
        if likelihood < best + LEAST_GAIN:
            break
        best = likelihood
    log_weights = weights.log() - weights.sum(1, keepdim=True).log()
    factor = scale[:, None] * factor
    diagonal = factor.diagonal(dim1=1, dim2=2)
    return Normals(log_weights, centre + scale * mean, 2 * diagonal.log(), factor / diagonal[:, None])


def fit_mixtures(points: Tensor, labels: Tensor, size: tuple[int, ...], generator: torch.Generator) -> Normals:
    """The same, each component being of one condition, so that none draws what is another's.

    Where there are fewer components than conditions, all share them.
    """
    components = size[1]
    present = labels.unique(sorted=True)
    if components < len(present):
        return fit_mixture(points, labels, size, generator)
    logits = points.new_full(size, math.log(LEAST_ROWS / components), dtype=torch.float64)
    found = []
    for label, own in zip(present, torch.arange(components).tensor_split(len(present)), strict=True):
        here = points[labels == label]
        found.append(fit_mixture(here, torch.zeros_like(labels[: len(here)]), (1, len(own)), generator))
        logits[label, own] = found[-1].log_weights[0]
    means, log_variances, tilts = (torch.cat(parts) for parts in list(zip(*found, strict=True))[1:])
    return Normals(logits.log_softmax(1), means, log_variances, tilts)


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


def _log_joint(points: Tensor, log_weights: Tensor, mean: Tensor, factor: Tensor) -> Tensor:
    """Return log p(k) + log N(z; m_k, F_k F_k') (B, K), up to a constant, weighed by `log_weights` (B, K)."""
    inverse = torch.linalg.solve_triangular(factor, torch.eye(points.shape[1]).to(factor), upper=False)
    squares = [(points - m).matmul(f.T).square().sum(1) for m, f in zip(mean, inverse, strict=True)]
    return log_weights - 0.5 * torch.stack(squares, 1) - factor.diagonal(dim1=1, dim2=2).log().sum(1)


def _moments(points: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """Return means (K, L), and factors (K, L, L) of covariances, of points in which components have `shares` (B, K)."""
    rows, dimensions = shares.sum(0).clamp_min(1e-300), points.shape[1]
    mean = shares.T @ points / rows[:, None]
    scatter = torch.stack([_scatter(points - m, share) for m, share in zip(mean, shares.T, strict=True)])
    common = scatter.sum(0) / rows.sum()
    covariance = (scatter + dimensions * common) / (rows + dimensions)[:, None, None]
    least = LEAST_VARIANCE * common.diagonal().clamp_min(LEAST_VARIANCE)
    return mean, torch.linalg.cholesky(covariance + least.diag())


def _scatter(centred: Tensor, share: Tensor) -> Tensor:
    return (centred * share[:, None]).T @ centred
