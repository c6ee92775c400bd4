"""Differentially private stochastic gradient descent: another optimiser and another loader, the same loop.

Source: Abadi et al. 2016, Deep learning with differential privacy, https://arxiv.org/abs/1607.00133.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from opacus.optimizers import DPOptimizerFastGradientClipping
from torch import Tensor

from synthvae.descent import Descent
from synthvae.model import CVAE, Rows
from synthvae.privacy import mechanisms
from synthvae.privacy.ghost import Ghost
from synthvae.privacy.ledger import Event

MICRO_BATCH = 512  # rows of which gradients are found together: their tensors stay in a core's cache


@dataclass(frozen=True)
class Settings:
    """How private descent goes; all public.

    Args:
        batch: Expected rows of a step.
        steps: Steps, none more and none less.
        clip: Length to which a unit's gradient is clipped.
        learning_rate: Of Adam, constant at first, falling to a twentieth over the last part.
        falling: The share of the steps in which it falls.
        decay: Of the moving average of the weights.
    """

    batch: int = 4096
    steps: int = 300
    clip: float = 1.0
    learning_rate: float = 3e-2
    falling: float = 0.4
    decay: float = 0.98

    def rate(self, step: int) -> float:
        """The learning rate of a step from 1."""
        fallen = max((step - 1) / self.steps - (1 - self.falling), 0) / self.falling
        return self.learning_rate * (1 - 0.95 * fallen)


class NoisyOptimizer(DPOptimizerFastGradientClipping):
    """Adds noise from the operating system's entropy to sums of clipped gradients, and divides by a public number."""

    def add_noise(self) -> None:
        """Add normal noise to each sum."""
        scale = self.noise_multiplier * self.max_grad_norm
        for parameter in self.params:
            noise = mechanisms.normal(parameter.numel()).view_as(parameter)
            parameter.grad = parameter.summed_grad + (scale * noise).to(parameter)


class PrivateDescent(Descent):
    """Training on rows that only noisy sums of clipped gradients leave. No loss is known, and no row held out.

    An autoregressive decoder is trained alone, z being 0; with independent heads the whole model is.

    Args:
        model: The model.
        batches: Poisson samples of the rows, one for each step, in parts.
        event: What they cost.
        rows: About how many rows there are: public.
        settings: How to train.
        seed: Of draws of z.
    """

    def __init__(
        self,
        model: CVAE,
        batches: Iterator[Iterator[tuple[Rows, Tensor]]],
        event: Event,
        settings: Settings,
        *,
        rows: int,
        rows_per_unit: int,
        seed: int,
    ) -> None:
        decoder = model.decoder
        self.alone = model.config.decoder == "autoregressive"
        frozen = (decoder.start, decoder.tables) if self.alone else (decoder.tables,)
        self.ghost = Ghost(decoder if self.alone else model, frozen)
        self.batches, self.settings = batches, settings
        self.row_clip = settings.clip / rows_per_unit
        self.generator = torch.Generator().manual_seed(seed)
        parameters = self.ghost.parameters
        optimizer = NoisyOptimizer(
            torch.optim.Adam(parameters, betas=(0.9, 0.99)),
            noise_multiplier=event.noise_multiplier,
            max_grad_norm=settings.clip,
            expected_batch_size=max(round(event.sampling_rate * rows), 1),
        )
        super().__init__(model, parameters, optimizer, steps=event.times, decay=settings.decay, seed=seed)
        self.model: CVAE
        self.optimizer: NoisyOptimizer

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        return self.settings.rate(step)

    def backward(self, step: int) -> None:
        """Sum the clipped gradients of a sample, which may be empty."""
        del step
        totals = [torch.zeros_like(parameter) for parameter in self.parameters]
        for rows, labels in next(self.batches):
            sums, _ = self.ghost.clipped_sums(self._losses, rows, labels, self.row_clip)
            torch._foreach_add_(totals, sums)
        for parameter, total in zip(self.parameters, totals, strict=True):
            parameter.grad = total
        self.optimizer.accumulate()

    def _losses(self, rows: Rows, labels: Tensor) -> Tensor:
        latent_dim = self.model.config.latent_dim
        if self.alone:
            z = torch.zeros(len(labels), latent_dim)
            return -self.model.decoder.log_prob(rows, z, labels).sum(0)
        noise = torch.randn(len(labels), latent_dim, generator=self.generator)
        terms = self.model.elbo(rows, labels, noise)
        return terms.kl.sum(1) - terms.reconstruction

    def look(self, step: int, last: int) -> bool:
        """Nothing is looked at."""
        del step, last
        self.loss = math.nan
        return True
