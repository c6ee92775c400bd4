"""Bounds on log p(x) in nats: which draws of z they are made of, the same for every row and call.

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

DRAWS = 16  # at least, over which bounds are averaged
LEAST = 2.0**-24  # the ends of the unit interval have no finite quantile

Batches = Iterable[tuple[Rows, Tensor]]


def given_class(model: CVAE, batches: Batches, k: int, proposal: str) -> list[Tensor]:
    """Return bounds (B,) on log p(x | y) of each batch.

    Raises:
        RequestError: k is less than 1, there is no such proposal, or the posterior is a point.
    """
    _refuse(model, k, proposal)
    if proposal == "prior":
        noise, _ = _of_prior(model, k)
        return [model.naive_estimate(rows, y.expand(len(noise[0]), -1), noise, k) for rows, y in batches]
    if k == 1:
        pairs = _in_pairs(model, DRAWS)
        return [model.log_likelihood(*batch, pairs) for batch in batches]
    draws = _independent(model, k, model.config.latent_dim)
    return [model.importance_bound(*batch, draws, k) for batch in batches]


def of_any_class(model: CVAE, batches: Batches, log_shares: Tensor, k: int, proposal: str) -> list[Tensor]:
    """Return bounds (B,) on log p(x) of each batch, y marginalised with `log_shares` (C,); else as `given_class`."""
    _refuse(model, k, proposal)
    if proposal == "prior":
        noise, uniform = _of_prior(model, k)
        shares = log_shares.exp()
        drawn = torch.searchsorted(shares.cumsum(0), uniform * shares.sum()).clamp_max(len(shares) - 1)
        return [model.naive_estimate(rows, drawn[:, None].expand(-1, len(y)), noise, k) for rows, y in batches]
    draws = _in_pairs(model, DRAWS) if k == 1 else _independent(model, k, model.config.latent_dim)
    return [model.log_evidence(rows, log_shares, draws, k) for rows, _ in batches]


def by_slot(model: CVAE, batches: Batches, draws: int) -> tuple[list[Tensor], list[Tensor]]:
    """Return the importance-weighted bounds (B,) of each batch, and the parts (J + V, B) that slots have in them."""
    noise = _in_pairs(model, draws)
    found = [bound_by_slot(model, *batch, noise) for batch in batches]
    return [bound for bound, _ in found], [parts for _, parts in found]


def _refuse(model: CVAE, k: int, proposal: str) -> None:
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise RequestError(f"`k` must be a whole number of draws from 1, however, {k=}: ask for more")
    if proposal not in get_args(ProposalName):
        raise RequestError(f"`proposal` must be one of {get_args(ProposalName)}, however, {proposal=}: take one")
    if proposal == "posterior" and model.is_point:
        raise RequestError(
            'a bound on the likelihood needs a posterior that has a density, however, posterior="point": fit with '
            '"normal", or take the naive estimate, proposal="prior"'
        )


def _in_pairs(model: CVAE, draws: int) -> Tensor:
    """Standard normal draws (S, L) that are spread evenly, in pairs of opposite sign.

    They are the same for every row, so that their error does not average out over rows: it had better be small.

    Source: Buchholz, Wenzel, Mandt 2018, Quasi-Monte Carlo variational inference, https://arxiv.org/abs/1807.01604.
    """
    sobol = SobolEngine(model.config.latent_dim, scramble=True, seed=0)
    points = sobol.draw((draws + 1) // 2, dtype=torch.float64)
    half = torch.special.ndtri(points.clamp(LEAST, 1 - LEAST))
    return torch.cat([half, -half])[:draws].to(_device(model))


def _independent(model: CVAE, k: int, length: int) -> Tensor:
    """Standard normal draws (S, length), S the least multiple of k from `DRAWS`."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(k * -(-DRAWS // k), length, generator=generator, dtype=torch.float64)
    return drawn.to(_device(model))


def _of_prior(model: CVAE, k: int) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Draws for the prior, standard normal (S, L) and uniform (S, 1), and uniform ones (S,) for conditions."""
    drawn = _independent(model, k, model.config.latent_dim + 2)
    uniform = torch.special.ndtr(drawn[:, :2])
    return (drawn[:, 2:], uniform[:, :1]), uniform[:, 1].contiguous()


def _device(model: CVAE) -> torch.device:
    return next(model.parameters()).device


@torch.no_grad()
def bound_by_slot(model: CVAE, rows: Rows, labels: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return the importance-weighted bound (B,) on log p(x | y) in nats, and the part (J + V, B) of each slot.

    The part of a slot is its mean log p(x_j | z, y, x_<j) over draws of z, weighted as the bound weighs them: by
    p(x, z) / q(z | x). What is left of the bound is the part of z. With one draw the bound is the ELBO.

    Source: Burda, Grosse, Salakhutdinov 2016, Importance weighted autoencoders, https://arxiv.org/abs/1509.00519.

    Args:
        model: The model.
        rows: Rows (B).
        labels: Their conditions (B,).
        noise: Standard normal draws (S, L), the same for each row.
    """
    seen = model.seen(labels)
    mean, log_variance = model.encoder(rows, seen)
    weights, slots = [], []
    for row in noise:
        z = mean + row * (0.5 * log_variance).exp()
        slots.append(model.decoder.log_prob(rows, z, seen))
        weights.append(slots[-1].sum(0) + model.prior.log_prob(z, labels) - log_normal(z, mean, log_variance).sum(1))
    shares = torch.stack(weights).softmax(0)  # (S, B)
    bound = importance_bound(weights, len(noise))
    return bound, (torch.stack(slots) * shares[:, None]).sum(0)
