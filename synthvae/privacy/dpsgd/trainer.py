"""Differentially private stochastic gradient descent: another optimiser and another loader, the same loop.

Source: Abadi et al. 2016, Deep learning with differential privacy, https://arxiv.org/abs/1607.00133.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.distributed as dist
from opacus.optimizers import DistributedDPOptimizerFastGradientClipping, DPOptimizerFastGradientClipping
from torch import Tensor

from synthvae.errors import PrivacyError
from synthvae.model import CVAE, Rows
from synthvae.model.pixels import PixelDecoder
from synthvae.privacy import mechanisms
from synthvae.privacy.dpsgd.ghost_clipping import Ghost
from synthvae.privacy.dpsgd.poisson import PrivateRows
from synthvae.privacy.events import Event
from synthvae.privacy.journal import Journal
from synthvae.privacy.ledger import RecordedEvent
from synthvae.privacy.plan import Descending
from synthvae.training.history import History
from synthvae.training.loop import Descent, Progress, load

MICRO_BATCH = 512  # rows of which gradients are found together: their tensors stay in a core's cache


class NoisyOptimizer(DPOptimizerFastGradientClipping):
    """Adds noise from the operating system's entropy to sums of clipped gradients, and divides by a public number."""

    journal: Journal
    recorded: RecordedEvent

    def add_noise(self) -> None:
        """Add normal noise to each sum, unless that was done before."""
        for parameter, noisy in zip(self.params, self.journal.keep(self._noisy), strict=True):
            parameter.grad = noisy.to(parameter)

    def _noisy(self) -> list[Tensor]:
        return mechanisms.noisy_sums(self.recorded, [parameter.summed_grad for parameter in self.params])


class SharedOptimizer(NoisyOptimizer, DistributedDPOptimizerFastGradientClipping):
    """opacus' optimizer for several processes of torch's default group, each with clipped gradients of its own rows.

    opacus has the first process add noise to its own sum, and then adds those of the others, in single precision, where
    the last digits of what comes out may tell of what was added after the noise. Here the sums are added first: the
    noise is that of one process, and so is what it hides.
    """

    def _noisy(self) -> list[Tensor]:
        sums = [parameter.summed_grad for parameter in self.params]
        for total in sums:
            dist.all_reduce(total)
        return super()._noisy() if self.rank == 0 else [torch.empty_like(total) for total in sums]

    def reduce_gradients(self) -> None:
        """Nothing is left to be added."""


@dataclass(frozen=True)
class Spending:
    """What gradients cost, and how they are followed.

    Args:
        recorded: What they cost.
        settings: How to train.
        rows: About how many rows there are: public.
        rows_per_unit: How many of them one unit may have.
    """

    recorded: RecordedEvent
    settings: Descending
    rows: int
    rows_per_unit: int

    @property
    def event(self) -> Event:
        """The event that was recorded."""
        return self.recorded.event


class PrivateDescent(Descent):
    """Training a decoder on rows that only noisy sums of clipped gradients leave, z being 0.

    No loss is known, and no row held out.

    Args:
        model: The model whose decoder is trained.
        batches: Poisson samples of the rows, one for each step, in parts.
        spending: What they cost, and how to train.
        journal: Where noisy gradients are kept.
        optimizer: What adds noise: `SharedOptimizer` where several processes learn together, each its own rows.
    """

    def __init__(
        self,
        model: CVAE,
        batches: Iterator[Iterator[tuple[Rows, Tensor]]],
        spending: Spending,
        *,
        journal: Journal | None = None,
        optimizer: type[NoisyOptimizer] = NoisyOptimizer,
    ) -> None:
        event, settings = spending.event, spending.settings
        if model.config.dropout:
            raise PrivacyError(
                f"a private fit has no dropout, which would follow a public seed, however, it is {model.config.dropout}"
            )
        assert not isinstance(model.decoder, PixelDecoder), "pixels are refused before"
        self.ghost = Ghost(model.decoder, (model.decoder.start, model.decoder.tables))
        self.batches, self.settings = batches, settings
        self.row_clip = settings.clip / spending.rows_per_unit
        parameters = self.ghost.parameters
        noisy = optimizer(
            torch.optim.Adam(parameters, betas=(0.9, 0.99)),
            noise_multiplier=event.noise_multiplier,
            max_grad_norm=settings.clip,
            expected_batch_size=max(round(event.sampling_rate * spending.rows), 1),
        )
        super().__init__(model, parameters, noisy, steps=event.times, decay=settings.decay, seed=0)
        self.model: CVAE
        self.optimizer: NoisyOptimizer
        self.optimizer.journal = self.journal = journal or Journal(None, 0)
        self.optimizer.recorded = spending.recorded

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


Descender = Callable[[CVAE, PrivateRows, Spending, Journal, Progress | None], History]
"""What trains a model as `descend` does, here or elsewhere."""


def descend(
    model: CVAE,
    rows: PrivateRows,
    spending: Spending,
    journal: Journal,
    progress: Progress | None = None,
    *,
    optimizer: type[NoisyOptimizer] = NoisyOptimizer,
) -> History:
    """Train a model's decoder along noisy gradients, in place; it ends with the averaged weights, in evaluation mode.

    Args:
        model: The model.
        rows: What it learns.
        spending: What that costs, which is in the ledger.
        journal: Where noisy gradients are kept.
        progress: Called with step, last step and no number after each step.
        optimizer: What adds noise.
    """
    event = spending.event
    batches = rows.samples(event.sampling_rate, event.times, MICRO_BATCH)
    run = PrivateDescent(model, batches, spending, journal=journal, optimizer=optimizer)
    run.go(progress)
    load(run.parameters, run.average)
    model.eval()
    run.history.best_step = event.times
    return run.history
