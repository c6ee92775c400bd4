"""Differentially private stochastic gradient descent: another optimiser and another loader, the same loop.

Source: Abadi et al. 2016, Deep learning with differential privacy, https://arxiv.org/abs/1607.00133.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from opacus.optimizers import DPOptimizerFastGradientClipping
from torch import Tensor

from synthvae.descent import Descent
from synthvae.errors import PrivacyError
from synthvae.model import CVAE, Rows
from synthvae.model.pixels import PixelDecoder
from synthvae.privacy import mechanisms, per_sample
from synthvae.privacy.ghost import Ghost
from synthvae.privacy.journal import Journal
from synthvae.privacy.ledger import Event
from synthvae.privacy.plan import Descending

MICRO_BATCH = 512  # rows of which gradients are found together: their tensors stay in a core's cache

per_sample.register()


class NoisyOptimizer(DPOptimizerFastGradientClipping):
    """Adds noise from the operating system's entropy to sums of clipped gradients, and divides by a public number."""

    journal: Journal

    def add_noise(self) -> None:
        """Add normal noise to each sum, unless that was done before."""
        for parameter, noisy in zip(self.params, self.journal.keep(self._noisy), strict=True):
            parameter.grad = noisy.to(parameter)

    def _noisy(self) -> list[Tensor]:
        scale = self.noise_multiplier * self.max_grad_norm
        noise = [mechanisms.normal(parameter.numel()).view_as(parameter) for parameter in self.params]
        sums = [parameter.summed_grad.double() for parameter in self.params]
        return [(total + scale * one).float() for total, one in zip(sums, noise, strict=True)]


class PrivateDescent(Descent):
    """Training a decoder on rows that only noisy sums of clipped gradients leave, z being 0.

    No loss is known, and no row held out.

    Args:
        model: The model whose decoder is trained.
        batches: Poisson samples of the rows, one for each step, in parts.
        event: What they cost.
        settings: How to train.
        rows: About how many rows there are: public.
        rows_per_unit: How many of them one unit may have.
        journal: Where noisy gradients are kept.
    """

    def __init__(
        self,
        model: CVAE,
        batches: Iterator[Iterator[tuple[Rows, Tensor]]],
        event: Event,
        settings: Descending,
        *,
        rows: int,
        rows_per_unit: int,
        journal: Journal | None = None,
    ) -> None:
        if model.config.dropout:
            raise PrivacyError(
                f"a private fit has no dropout, which would follow a public seed, however, it is {model.config.dropout}"
            )
        assert not isinstance(model.decoder, PixelDecoder), "pixels are refused before"
        self.ghost = Ghost(model.decoder, (model.decoder.start, model.decoder.tables))
        self.batches, self.settings = batches, settings
        self.row_clip = settings.clip / rows_per_unit
        parameters = self.ghost.parameters
        optimizer = NoisyOptimizer(
            torch.optim.Adam(parameters, betas=(0.9, 0.99)),
            noise_multiplier=event.noise_multiplier,
            max_grad_norm=settings.clip,
            expected_batch_size=max(round(event.sampling_rate * rows), 1),
        )
        super().__init__(model, parameters, optimizer, steps=event.times, decay=settings.decay, seed=0)
        self.model: CVAE
        self.optimizer: NoisyOptimizer
        self.optimizer.journal = self.journal = journal or Journal(None, 0)

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        return self.settings.rate(step)

    def backward(self, step: int) -> None:
        """Sum the clipped gradients of a sample, which may be empty."""
        del step
        totals = [torch.zeros_like(parameter) for parameter in self.parameters]
        for rows, labels in () if self.journal.has_next else next(self.batches):
            sums, _ = self.ghost.clipped_sums(self._losses, rows, labels, self.row_clip)
            torch._foreach_add_(totals, sums)
        for parameter, total in zip(self.parameters, totals, strict=True):
            parameter.grad = total  # which the optimiser takes up, once

    def _losses(self, rows: Rows, labels: Tensor) -> Tensor:
        z = torch.zeros(len(labels), self.model.config.latent_dim)
        return -self.model.decoder.log_prob(rows, z, labels).sum(0)

    def look(self, step: int, last: int) -> bool:
        """Nothing is looked at."""
        del step, last
        self.loss = math.nan
        return True
