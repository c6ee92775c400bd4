"""Differentially private SGD: the training loop with another optimiser and another loader.

Source: Abadi et al. 2016, Deep learning with differential privacy, https://arxiv.org/abs/1607.00133.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from synthvae.errors import PrivacyError
from synthvae.model import CVAE, Rows
from synthvae.model.pixels import PixelDecoder
from synthvae.privacy import mechanisms
from synthvae.privacy.dpsgd.ghost_clipping import GhostClipping
from synthvae.privacy.dpsgd.poisson import PrivateRows
from synthvae.privacy.events import Event
from synthvae.privacy.journal import Journal
from synthvae.privacy.ledger import RecordedEvent
from synthvae.privacy.library_logging import root_logger_unchanged
from synthvae.privacy.plan import Descending
from synthvae.training.history import History
from synthvae.training.loop import Descent, Progress

with root_logger_unchanged():  # opacus calls `logging.basicConfig` when it is imported
    from opacus.optimizers import DistributedDPOptimizerFastGradientClipping, DPOptimizerFastGradientClipping

MICRO_BATCH = 512  # rows of one forward and backward pass: their tensors fit a core's cache


class NoisyOptimizer(DPOptimizerFastGradientClipping):
    """Adds noise from the operating system's entropy to sums of clipped gradients, and divides by a public number."""

    journal: Journal
    recorded: RecordedEvent

    def add_noise(self) -> None:
        """Add normal noise to each sum, or take the noisy sums from the journal."""
        for parameter, noisy in zip(self.params, self.journal.keep(self._noisy), strict=True):
            parameter.grad = noisy.to(parameter)

    def _noisy(self) -> list[Tensor]:
        return mechanisms.noisy_sums(self.recorded, [parameter.summed_grad for parameter in self.params])


class SharedOptimizer(NoisyOptimizer, DistributedDPOptimizerFastGradientClipping):
    """The optimiser for several processes of torch's default group, each with clipped gradients of its own rows.

    In opacus, the process of rank 0 adds noise to its own sum, and the sums of the others are added afterwards in
    single precision, where the last digits of the result may reveal what was added after the noise. Here the sums are
    added first; noise and guarantee are those of one process.
    """

    def _noisy(self) -> list[Tensor]:
        sums = [parameter.summed_grad for parameter in self.params]
        for total in sums:
            dist.all_reduce(total)
        return super()._noisy() if self.rank == 0 else [torch.empty_like(total) for total in sums]

    def reduce_gradients(self) -> None:
        """Do nothing: the sums are reduced before noise is added."""


@dataclass(frozen=True)
class Spending:
    """The event that is spent on gradients, and the settings of DP-SGD.

    Args:
        recorded: The recorded event.
        settings: The settings.
        rows: The public, approximate number of rows.
        rows_per_unit: The largest number of rows of one unit.
    """

    recorded: RecordedEvent
    settings: Descending
    rows: int
    rows_per_unit: int

    @property
    def event(self) -> Event:
        """The event."""
        return self.recorded.event


class NoisyDescent(Descent):
    """Training by noisy sums of clipped gradients of private units; no loss is computed, and no unit is held out.

    Args:
        model: The model.
        parameters: Those of its parameters that are trained.
        spending: The recorded event and the settings.
        journal: Where noisy gradients are stored.
        optimizer: The optimiser that adds noise: `SharedOptimizer` for several processes with rows of their own.
    """

    def __init__(
        self,
        model: nn.Module,
        parameters: list[nn.Parameter],
        spending: Spending,
        *,
        journal: Journal | None = None,
        optimizer: type[NoisyOptimizer] = NoisyOptimizer,
    ) -> None:
        event, self.settings = spending.event, spending.settings
        noisy = optimizer(
            torch.optim.Adam(parameters, betas=(0.9, 0.99)),
            noise_multiplier=event.noise_multiplier,
            max_grad_norm=self.settings.clip,
            expected_batch_size=max(round(event.sampling_rate * spending.rows), 1),
        )
        super().__init__(model, parameters, noisy, steps=event.times, decay=self.settings.decay, seed=0)
        self.optimizer: NoisyOptimizer
        self.optimizer.journal = self.journal = journal or Journal(None, 0)
        self.optimizer.recorded = spending.recorded

    @abstractmethod
    def clipped_sums(self) -> Iterator[list[Tensor]]:
        """Yield, for each parameter, the sum of clipped gradients of a part of a Poisson sample, which may be empty."""

    def rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        return self.settings.rate(step)

    def backward(self, step: int) -> None:
        """Sum the clipped gradients of a sample, unless the journal has the noisy sums of this step."""
        del step
        totals = [torch.zeros_like(parameter) for parameter in self.parameters]
        for sums in () if self.journal.has_next else self.clipped_sums():
            torch._foreach_add_(totals, sums)
        for parameter, total in zip(self.parameters, totals, strict=True):
            parameter.grad = total  # the optimiser uses it once

    def validate(self, step: int, last: int) -> bool:
        """Skip validation: it would reveal a loss of private rows."""
        del step, last
        self.state.loss = math.nan
        return True

    def train(self, progress: Progress | None = None) -> History:
        """Train the model, which ends with the averaged weights, in evaluation mode.

        Args:
            progress: Called with step, last step and NaN in place of a loss after each step.
        """
        self.run(progress)
        self.state.load(self.state.average)
        self.model.eval()
        self.history.best_step = self.steps
        return self.history


class PrivateDescent(NoisyDescent):
    """Training a decoder, with z fixed at 0, by noisy sums of clipped gradients of private rows.

    Args:
        model: The model whose decoder is trained.
        batches: Poisson samples of the rows, one for each step, in parts.
        spending: The recorded event and the settings.
        journal: Where noisy gradients are stored.
        optimizer: As of `NoisyDescent`.

    Raises:
        PrivacyError: The model has dropout.
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
        if model.config.dropout:
            raise PrivacyError(
                f"`dropout` must be 0 in a private fit, as it would follow a public seed, got {model.config.dropout}."
            )
        assert not isinstance(model.decoder, PixelDecoder), "pixels are refused earlier"
        self.ghost = GhostClipping(model.decoder, (model.decoder.start, model.decoder.tables))
        self.batches = batches
        self.row_clip = spending.settings.clip / spending.rows_per_unit
        super().__init__(model, self.ghost.parameters, spending, journal=journal, optimizer=optimizer)
        self.model: CVAE

    def clipped_sums(self) -> Iterator[list[Tensor]]:
        """Yield the sums of the clipped gradients of the parts of the next sample."""
        for rows, labels in next(self.batches):
            yield self.ghost.clipped_sums(self._losses, rows, labels, self.row_clip)[0]

    def _losses(self, rows: Rows, labels: Tensor) -> Tensor:
        z = torch.zeros(len(labels), self.model.config.latent_dim, dtype=torch.float32)
        return -self.model.decoder.log_prob(rows, z, labels).sum(0)


Descender = Callable[[CVAE, PrivateRows, Spending, Journal, Progress | None], History]
"""A function that trains a model like `descend`, in this process or elsewhere."""


def descend(
    model: CVAE,
    rows: PrivateRows,
    spending: Spending,
    journal: Journal,
    progress: Progress | None = None,
    *,
    optimizer: type[NoisyOptimizer] = NoisyOptimizer,
) -> History:
    """Train a model's decoder by DP-SGD, in place; it ends with the averaged weights, in evaluation mode.

    Args:
        model: The model.
        rows: The private rows.
        spending: The recorded event and the settings.
        journal: Where noisy gradients are stored.
        progress: Called with step, last step and NaN in place of a loss after each step.
        optimizer: The optimiser that adds noise.
    """
    event = spending.event
    batches = rows.samples(event.sampling_rate, event.times, MICRO_BATCH)
    return PrivateDescent(model, batches, spending, journal=journal, optimizer=optimizer).train(progress)
