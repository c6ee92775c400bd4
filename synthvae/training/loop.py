"""The training loop, which private and non-private training share: subclasses compute the gradients."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn

from synthvae.model.dropout import seed_dropout
from synthvae.training.config import Schedule
from synthvae.training.history import History
from synthvae.training.optimizer import Optimizer
from synthvae.training.state import TrainingState

Progress = Callable[[int, int, float], None]
"""Called after each step with the step, the last step of the schedule, and the loss in nats per row."""


class Descent(ABC):
    """Gradient descent with a moving average of the parameters.

    Args:
        model: The model, on its device.
        parameters: Those of its parameters that are trained.
        optimizer: Their optimiser.
        steps: The last step of the schedule.
        decay: The decay of the moving average.
        seed: The seed of dropout.
    """

    def __init__(
        self,
        model: nn.Module,
        parameters: list[nn.Parameter],
        optimizer: Optimizer,
        *,
        steps: int,
        decay: float,
        seed: int,
    ) -> None:
        self.model, self.optimizer = model, optimizer
        self.steps, self.decay, self.seed = steps, decay, seed
        self.dropout = torch.Generator(device=parameters[0].device).manual_seed(seed)
        self.state = TrainingState(parameters, optimizer)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The parameters that are trained."""
        return self.state.parameters

    @property
    def history(self) -> History:
        """The validation steps so far."""
        return self.state.history

    @abstractmethod
    def rate(self, step: int) -> float:
        """Return the learning rate of a step."""

    @abstractmethod
    def backward(self, step: int) -> None:
        """Compute the gradients of a step, and its loss unless it is private."""

    @abstractmethod
    def validate(self, step: int, last: int) -> bool:
        """Validate if a validation step is due; return whether to continue."""

    def save(self) -> None:  # noqa: B027 (a hook)
        """Save a checkpoint if one is due."""

    def limited_threads(self) -> AbstractContextManager[None]:
        """Return a context that limits the number of threads during training."""
        return nullcontext()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Context in which steps may be taken: dropout has its generator, and threads are limited."""
        seed_dropout(self.model, self.dropout)
        try:
            with self.limited_threads():
                yield
        finally:
            seed_dropout(self.model, None)

    def run(self, progress: Progress | None, until: int | None = None) -> None:
        """Train to step `until`, or to the last one. Ctrl-C ends training early."""
        last = until or self.steps
        try:
            with self.running():
                for step in range(self.state.done + 1, last + 1):
                    self.step(step)
                    self.state.done = step
                    if progress is not None:
                        progress(step, self.steps, self.state.loss)
                    if not self.validate(step, last):
                        break
                    self.save()
        except KeyboardInterrupt:
            self.history.stopped = "interrupted"

    def step(self, step: int) -> None:
        """Take one step of the optimiser."""
        # torch's LambdaLR and AveragedModel give the same bits. They are not used, since the former has a state that a
        # checkpoint would have to store, where the rate is a function of the step, and the latter, which groups the
        # tensors anew in each step, takes five times as long as the one call below.
        if not self.model.training:  # to tell each layer takes a twentieth of a small step
            self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(step)
        self.optimizer.zero_grad(set_to_none=True)
        self.backward(step)
        self.optimizer.step()
        decay = min(self.decay, (1 + step) / (10 + step))  # the average starts with a short memory
        torch._foreach_lerp_(self.state.average, [p.detach() for p in self.parameters], 1 - decay)


def validated(descent: Descent, schedule: Schedule, step: int, last: int, measure: Callable[[int], object]) -> bool:
    """Validate if the schedule says so; return whether to continue: neither diverged nor out of patience.

    Args:
        descent: The descent, whose history says why it ended.
        schedule: When it validates, and for how many steps without a better bound it goes on.
        step: The step.
        last: The last step.
        measure: Adds the record of a step to the history.
    """
    history = descent.history
    if not math.isfinite(descent.state.loss):
        history.stopped = "diverged"
    elif step % schedule.validate_every == 0 or step == last:
        measure(step)
        if step - history.best_step >= schedule.patience:
            history.stopped = "early"
    return history.stopped == "finished"
