"""What each slot adds to a bound on log p(x)."""

from __future__ import annotations

import torch
from torch import Tensor

from synthvae.model.bounds import importance_bound
from synthvae.model.cvae import CVAE
from synthvae.model.mixtures import log_normal
from synthvae.model.rows import Rows


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
