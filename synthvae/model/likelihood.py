"""Bounds on log p(x) in nats, from draws of z that are the same for every row and call.

Shapes: B rows of a batch, S draws, L latent dimensions, C conditions, k draws of one bound.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

import numpy as np
import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from synthvae.errors import RequestError
from synthvae.model.bounds import importance_bound
from synthvae.model.config import ProposalName
from synthvae.model.cvae import CVAE
from synthvae.model.mixtures import log_normal
from synthvae.model.rows import Rows

MIN_DRAWS = 16  # over which bounds are averaged
MARGIN = 2.0**-24  # distance from 0 and 1, whose quantiles are infinite

RowBatches = Iterable[tuple[Rows, Tensor]]


def given_class(model: CVAE, batches: RowBatches, k: int, proposal: str) -> list[Tensor]:
    """Return bounds (B,) on log p(x | y) of each batch.

    Raises:
        RequestError: k is less than 1, the proposal is unknown, or the posterior is a point.
    """
    _validate(model, k, proposal)
    if proposal == "prior":
        noise, _ = _prior_draws(model, k)
        return [model.naive_estimate(rows, y.expand(len(noise[0]), -1), noise, k) for rows, y in batches]
    if k == 1:
        antithetic = _antithetic(model, MIN_DRAWS)
        return [model.log_likelihood(*batch, antithetic) for batch in batches]
    draws = _independent(model, k, model.config.latent_dim)
    return [model.importance_bound(*batch, draws, k) for batch in batches]


def of_any_class(model: CVAE, batches: RowBatches, log_shares: Tensor, k: int, proposal: str) -> list[Tensor]:
    """Return bounds (B,) on log p(x) of each batch, y marginalised with `log_shares` (C,).

    Raises:
        RequestError: As `given_class`.
    """
    _validate(model, k, proposal)
    if proposal == "prior":
        noise, uniform = _prior_draws(model, k)
        shares = log_shares.exp()
        drawn = torch.searchsorted(shares.cumsum(0), uniform * shares.sum()).clamp_max(len(shares) - 1)
        return [model.naive_estimate(rows, drawn[:, None].expand(-1, len(y)), noise, k) for rows, y in batches]
    draws = _antithetic(model, MIN_DRAWS) if k == 1 else _independent(model, k, model.config.latent_dim)
    return [model.log_evidence(rows, log_shares, draws, k) for rows, _ in batches]


def by_slot(model: CVAE, batches: RowBatches, draws: int) -> tuple[list[Tensor], list[Tensor]]:
    """Return the importance-weighted bounds (B,) of each batch, and the terms (J + V, B) of the slots."""
    noise = _antithetic(model, draws)
    found = [bound_by_slot(model, *batch, noise) for batch in batches]
    return [bound for bound, _ in found], [terms for _, terms in found]


def _validate(model: CVAE, k: int, proposal: str) -> None:
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise RequestError(f"`k` must be an integer of at least 1, got {k!r}.")
    if proposal not in get_args(ProposalName):
        raise RequestError(f"`proposal` must be one of {get_args(ProposalName)}, got {proposal!r}.")
    if proposal == "posterior" and model.is_point:
        raise RequestError(
            'The posterior must have a density for a bound on the likelihood, got posterior="point". Fit with '
            'posterior="normal", or use the naive estimate, proposal="prior".'
        )


def _antithetic(model: CVAE, draws: int) -> Tensor:
    """Return antithetic quasi-random standard normal draws (S, L).

    They are the same for every row, so that their error does not average out over rows and must be small.

    Source: Buchholz, Wenzel, Mandt 2018, Quasi-Monte Carlo variational inference, https://arxiv.org/abs/1807.01604.
    """
    sobol = SobolEngine(model.config.latent_dim, scramble=True, seed=0)
    points = sobol.draw((draws + 1) // 2, dtype=torch.float64)
    half = torch.special.ndtri(points.clamp(MARGIN, 1 - MARGIN))
    return torch.cat([half, -half])[:draws].to(_device(model))


def _independent(model: CVAE, k: int, length: int) -> Tensor:
    """Return standard normal draws (S, length), S the smallest multiple of k that is at least `MIN_DRAWS`."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(k * -(-MIN_DRAWS // k), length, generator=generator, dtype=torch.float64)
    return drawn.to(_device(model))


def _prior_draws(model: CVAE, k: int) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Return draws for the prior, standard normal (S, L) and uniform (S, 1), and uniform ones (S,) for conditions."""
    drawn = _independent(model, k, model.config.latent_dim + 2)
    uniform = torch.special.ndtr(drawn[:, :2])
    return (drawn[:, 2:], uniform[:, :1]), uniform[:, 1].contiguous()


def _device(model: CVAE) -> torch.device:
    return next(model.parameters()).device


@torch.no_grad()
def bound_by_slot(model: CVAE, rows: Rows, labels: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return the importance-weighted bound (B,) on log p(x | y) in nats, and the term (J + V, B) of each slot.

    The term of a slot is the mean of log p(x_j | z, y, x_<j) over draws of z, with the importance weights
    p(x, z) / q(z | x). The rest of the bound is the term of z. With one draw the bound is the ELBO.

    Source: Burda, Grosse, Salakhutdinov 2016, Importance weighted autoencoders, https://arxiv.org/abs/1509.00519.

    Args:
        model: The model.
        rows: Rows (B).
        labels: Their conditions (B,).
        noise: Standard normal draws (S, L), the same for each row.
    """
    network_labels = model.network_labels(labels)
    mean, log_variance = model.encoder(rows, network_labels)
    weights, slots = [], []
    for row in noise:
        z = mean + row * (0.5 * log_variance).exp()
        slots.append(model.decoder.log_prob(rows, z, network_labels))
        weights.append(slots[-1].sum(0) + model.prior.log_prob(z, labels) - log_normal(z, mean, log_variance).sum(1))
    shares = torch.stack(weights).softmax(0)  # (S, B)
    bound = importance_bound(weights, len(noise))
    return bound, (torch.stack(slots) * shares[:, None]).sum(0)
