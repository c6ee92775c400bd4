"""Priors p(z | y)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Prior(nn.Module):
    """A diagonal normal for each condition: the standard one, or one learned together with the model.

    A learned prior is how a condition can act when neither encoder nor decoder is told it: the classes part in z, so
    that q(z | x) needs no label and yet says something about it.

    Args:
        conditions: C.
        latent_dim: L.
        learned: Whether mean and variance are learned for each condition.
    """

    mean: Tensor
    log_variance: Tensor

    def __init__(self, conditions: int, latent_dim: int, *, learned: bool) -> None:
        super().__init__()
        if learned:
            self.mean = nn.Parameter(torch.randn(conditions, latent_dim))
            self.log_variance = nn.Parameter(torch.zeros(conditions, latent_dim))
        else:
            self.register_buffer("mean", torch.zeros(conditions, latent_dim), persistent=False)
            self.register_buffer("log_variance", torch.zeros(conditions, latent_dim), persistent=False)

    def kl(self, mean: Tensor, log_variance: Tensor, labels: Tensor) -> Tensor:
        """Return KL(q || p) (B, L) in nats by dimension, q diagonal normals with `mean` and `log_variance` (B, L).

        Source: Kingma and Welling 2014, Auto-Encoding Variational Bayes, appendix B, https://arxiv.org/abs/1312.6114,
        for a prior of any mean and variance.
        """
        prior_mean, prior_log_variance = self.mean[labels], self.log_variance[labels]
        ratio = (log_variance - prior_log_variance).exp()
        distance = (mean - prior_mean).square() / prior_log_variance.exp()
        return 0.5 * (ratio + distance - 1.0 + prior_log_variance - log_variance)

    def log_prob(self, z: Tensor, labels: Tensor) -> Tensor:
        """Return log p(z | y) (B,) in nats of `z` (B, L)."""
        mean, log_variance = self.mean[labels], self.log_variance[labels]
        terms = (z - mean).square() / log_variance.exp() + log_variance + math.log(2 * math.pi)
        return -0.5 * terms.sum(1)

    def draw(self, normal: Tensor, labels: Tensor) -> Tensor:
        """Turn standard normal draws (B, L) into draws of p(z | y)."""
        return self.mean[labels] + normal * (0.5 * self.log_variance[labels]).exp()


def log_aggregate(z: Tensor, mean: Tensor, log_variance: Tensor, labels: Tensor) -> Tensor:
    """Return log q(z | y) (B,) of draws z (B, L), estimated as the mixture of the posteriors of the batch's class.

    Args:
        z: One draw of each posterior.
        mean: The posteriors' means (B, L).
        log_variance: Their log variances (B, L).
        labels: Their conditions (B,).

    The estimate is at least log q(z | x) - log n for n rows of a class, so that information is never overstated beyond
    log n. Source: Hoffman and Johnson 2016, ELBO surgery; Chen et al. 2018, Isolating sources of disentanglement,
    https://arxiv.org/abs/1802.04942, section 4.
    """
    kind = z.dtype
    z, mean, log_variance = z.double(), mean.double(), log_variance.double()  # the squares below cancel
    precision = (-log_variance).exp()
    # (z - m)^2 / s^2 as products of matrices: no (B, B, L) is made
    squares = z.square() @ precision.T - 2 * z @ (mean * precision).T + (mean.square() * precision).sum(1)
    log_density = -0.5 * (squares + log_variance.sum(1) + z.shape[1] * math.log(2 * math.pi))  # (B, B)
    same = labels[:, None] == labels
    inside = log_density.masked_fill(~same, -math.inf)
    return (inside.logsumexp(1) - same.sum(1).double().log()).to(kind)
