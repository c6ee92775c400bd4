"""The one training loop: steps of an optimiser, averaged, along gradients that are found in one way or another."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn

from synthvae.training.history import History

Progress = Callable[[int, int, float], None]


class Descent(ABC):
    """The state of one training run. What is learned from, and how a gradient is found, is said by those below it.

    Args:
        model: What is trained, on its device.
        parameters: Those of its parameters that are.
        optimizer: Theirs.
        steps: The last step of the schedule.
        decay: Of the moving average of the parameters.
        seed: Of dropout.
    """

    def __init__(
        self,
        model: nn.Module,
        parameters: list[nn.Parameter],
        optimizer: torch.optim.Optimizer,
        *,
        steps: int,
        decay: float,
        seed: int,
    ) -> None:
        self.model, self.parameters, self.optimizer = model, parameters, optimizer
        self.steps, self.decay, self.seed = steps, decay, seed
        self.average = copy(parameters)
        self.loss, self.done = math.nan, 0
        self.history = History()

    @abstractmethod
    def rate(self, step: int) -> float:
        """The learning rate of a step."""

    @abstractmethod
    def backward(self, step: int) -> None:
        """Find the gradients of a step, and the loss, unless that is nobody's business."""

    @abstractmethod
    def look(self, step: int, last: int) -> bool:
        """See how training goes; whether to go on."""

    def wake(self) -> None:  # noqa: B027 (a hook)
        """Set the global generator as it was, if an earlier run is taken up."""

    def keep(self) -> None:  # noqa: B027 (a hook)
        """Keep the state, if it is time."""

    def sparing(self) -> AbstractContextManager[None]:
        """What spares the machine while training goes on."""
        return nullcontext()

    def go(self, progress: Progress | None, until: int | None = None) -> None:
        """Train, at most `until` a step. Ctrl-C ends it."""
        last = until or self.steps
        try:
            with _seeded(self.seed, self.average[0].device), self.sparing():
                self.wake()
                for step in range(self.done + 1, last + 1):
                    self.step(step)
                    self.done = step
                    if progress is not None:
                        progress(step, self.steps, self.loss)
                    if not self.look(step, last):
                        break
                    self.keep()
        except KeyboardInterrupt:
            self.history.stopped = "interrupted"

    def step(self, step: int) -> None:
        """One step of the optimiser."""
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(step)
        self.optimizer.zero_grad(set_to_none=True)
        self.backward(step)
        self.optimizer.step()
        decay = min(self.decay, (1 + step) / (10 + step))  # a short memory at first
        torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - decay)


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Dropout knows only the global generator: seed it here, and leave it as it was."""
    with forked(device):
        torch.default_generator.manual_seed(seed)
        if device.type != "cpu":
            module = torch.get_device_module(device)
            with module.device(device):
                module.manual_seed(seed)
        yield


def forked(device: torch.device) -> AbstractContextManager[None]:
    """What leaves the global generators as they were: torch's own on the host, and that of a GPU if it is used."""
    return torch.random.fork_rng([] if device.type == "cpu" else [device], device_type=device.type)


def copy(parameters: list[nn.Parameter]) -> list[Tensor]:
    """Return the values of parameters."""
    return [parameter.detach().clone() for parameter in parameters]


@torch.no_grad()
def load(parameters: list[nn.Parameter], values: list[Tensor]) -> None:
    """Set parameters to values."""
    for parameter, value in zip(parameters, values, strict=True):
        parameter.copy_(value)
