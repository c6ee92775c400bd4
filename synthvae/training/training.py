"""From coded rows to a fitted model."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from synthvae.codes import Codes
from synthvae.errors import ConfigurationError
from synthvae.model import CVAE
from synthvae.training.batches import Parts, Whole
from synthvae.training.checkpoint import Checkpoint
from synthvae.training.config import TrainingConfig
from synthvae.training.distributed import World
from synthvae.training.history import Callback, History
from synthvae.training.loop import Progress, copy, load
from synthvae.training.trainer import Run

Trainer = Callable[..., History]
"""What trains a model as `train` does, here or elsewhere."""


def train(
    model: CVAE,
    codes: Codes | Parts,
    config: TrainingConfig,
    seed: int,
    progress: Progress | None = None,
    *,
    callback: Callback | None = None,
    checkpoint: Checkpoint | None = None,
    world: World | None = None,
) -> History:
    """Fit `model` to `codes` in place; it ends with the best weights seen, in evaluation mode.

    Args:
        model: The model, on its device.
        codes: The coded table, whole or in parts.
        config: How to train.
        seed: Of batches, noise, held-out rows and dropout.
        progress: Called with step, last step and loss in nats after each step.
        callback: Called at each look, but not while all rows are learned again: with what `History.records` will hold.
            If it returns True, training stops as if by early stopping. What it raises is not caught.

        checkpoint: Where the state is kept in between; one that is there is taken up.
        world: The processes that learn together, each of them its own `codes`; None: this one alone. All must be given
            the same model, and all end with the same one.

    Ctrl-C ends training early and keeps the best weights so far; what is left to do then takes seconds. A small table,
    of which held-out rows are a loss, is learned twice: how many steps are best is found with held-out rows, then all
    rows are learned for as many steps.

    Raises:
        ConfigurationError: The loss became no number before anything was learned.
    """
    _keep_freed_memory()
    start = copy(list(model.parameters()))
    parts = Whole(codes) if isinstance(codes, Codes) else codes
    world = world or World()
    run = Run(model, parts, config, seed, world, callback=callback, checkpoint=checkpoint)
    run.go(progress)
    if run.history.stopped == "diverged" and not run.history.best_step:
        raise ConfigurationError("training must converge, however, the loss became no number: lower `learning_rate`")
    try:
        _finish(run, start, parts, progress)
    except KeyboardInterrupt:
        run.history.stopped, run.history.refitted = "interrupted", False
        run.restore()
        run.measure_codes()
    return run.history


def _finish(run: Run, start: list[Tensor], parts: Parts, progress: Progress | None) -> None:
    """Leave the model with the best weights, of all rows if they were few."""
    run.restore()
    if run.holds_out_of_few and run.history.stopped in ("early", "finished"):
        _refit(run, start, parts, progress)
    run.measure_codes()


def _refit(run: Run, start: list[Tensor], parts: Parts, progress: Progress | None) -> None:
    """Learn all rows from the start, as many steps as were best; if that does not end well, nothing has changed."""
    first = copy(run.parameters)
    load(run.parameters, start)
    again = Run(run.model, parts, run.config.model_copy(update={"validation_fraction": 0.0}), run.seed, run.world)
    again.go(progress, until=run.history.best_step)
    run.history.refitted = again.history.stopped == "finished"
    if run.history.refitted:
        again.restore()
        return
    run.history.stopped = again.history.stopped
    load(run.parameters, first)
    run.model.eval()


def _keep_freed_memory() -> None:
    """Let the C library keep what a step frees for the next one.

    glibc hands memory back to the system as it is freed, and the system clears it when it is used again: up to a
    quarter of a step. Once a block of almost 32 MiB was freed, it keeps twice as much (mallopt(3), M_MMAP_THRESHOLD).
    """
    torch.empty((32 << 20) - (1 << 16), dtype=torch.uint8)
