"""Diagnostics of posterior collapse: the information in each latent dimension."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from synthvae.model.cvae import CVAE
from synthvae.model.draws import standard_normal
from synthvae.model.rows import Rows

ACTIVE = 0.01  # variance of a posterior mean above which a unit is active
MAX_ROWS = 10_000
DRAWS = 8
BATCH_ROWS = 2048


class Activity(NamedTuple):
    """The activity of each latent dimension.

    Args:
        kl: KL(q(z_l | x) || p(z_l | y)) (L,) in nats, the mean over rows; None for an autoencoder.
        variance: Variance (L,) of the posterior mean over rows.
    """

    kl: Tensor | None
    variance: Tensor

    @property
    def units(self) -> int:
        """The number of active units. Source: Burda et al. 2016, section 5.1.1, https://arxiv.org/abs/1509.00519."""
        return int((self.variance > ACTIVE).sum())


@torch.no_grad()
def activity(model: CVAE, rows: Rows, labels: Tensor) -> Activity:
    """Return the activity over rows (B) with `labels` (B,), the first `MAX_ROWS` of them.

    It draws from a generator of its own.
    """
    generator = torch.Generator(device=labels.device).manual_seed(0)
    means, divergences = [], []
    for start in range(0, min(len(labels), MAX_ROWS), BATCH_ROWS):
        batch = slice(start, start + BATCH_ROWS)
        conditions = labels[batch]
        mean, log_variance = model.encoder(rows.take(batch), model.network_labels(conditions))
        noise = standard_normal(DRAWS, *mean.shape, generator=generator)
        draws = mean + noise * (0.5 * log_variance).exp()
        means.append(mean)
        divergences.append(
            torch.stack([model.prior.kl_by_dimension(mean, log_variance, conditions, z) for z in draws]).mean(0)
        )
    kl = None if model.is_point else torch.cat(divergences).mean(0)
    return Activity(kl, torch.cat(means).var(0, correction=0))
