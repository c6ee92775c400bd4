"""Fitting a model to coded rows."""

from __future__ import annotations

from collections.abc import Callable

import torch

from synthvae.codes import Codes
from synthvae.errors import ConfigurationError
from synthvae.model import CVAE
from synthvae.training.batches import Parts, SinglePart
from synthvae.training.checkpoint import Checkpoint
from synthvae.training.config import TrainingConfig
from synthvae.training.distributed import ProcessGroup
from synthvae.training.history import Callback, History
from synthvae.training.loop import Progress
from synthvae.training.trainer import ElboDescent

Trainer = Callable[..., History]
"""A function with the signature of `train`."""


def train(
    model: CVAE,
    codes: Codes | Parts,
    config: TrainingConfig,
    seed: int,
    progress: Progress | None = None,
    *,
    callback: Callback | None = None,
    checkpoint: Checkpoint | None = None,
) -> History:
    """Fit `model` to `codes` in place; it ends with the best weights, in evaluation mode.

    Ctrl-C ends training early and retains the best weights so far; what is left to do then takes seconds. A small
    table, of which held-out rows are a loss, is trained on twice: the best number of steps is found with held-out rows,
    then all rows are trained on for as many steps.

    Args:
        model: The model, on its device.
        codes: The coded table, whole or in parts.
        config: How to train.
        seed: The seed of batches, noise, held-out rows and dropout.
        progress: Called after each step with the step, the last step, and the loss in nats per row.
        callback: Called with the record of each validation step, but not while all rows are trained on again. If it
            returns True, training stops as if by early stopping. What it raises is not caught.
        checkpoint: Where snapshots are stored; the last one is resumed.

    Returns:
        The validation steps, and diagnostics of the fitted model.

    Raises:
        ConfigurationError: The loss became NaN or infinite before the first validation step.

    Example:
        >>> import numpy as np
        >>> from synthvae.codes import Codes, Slots
        >>> from synthvae.model import CVAE, ModelConfig
        >>> from synthvae.training import TrainingConfig, train
        >>> codes = Codes(np.zeros((20, 1), np.int8), np.empty((20, 0), np.float32), np.zeros(20, np.int64))
        >>> model = CVAE(Slots((2,)), conditions=1, config=ModelConfig(latent_dim=1, width=4))
        >>> train(model, codes, TrainingConfig(max_steps=2), seed=0).stopped
        'finished'
    """
    parts = SinglePart(codes) if isinstance(codes, Codes) else codes
    return _fit(
        ElboDescent(model, parts, config, seed, ProcessGroup(), callback=callback, checkpoint=checkpoint), progress
    )


def train_in_group(
    model: CVAE, parts: Parts, config: TrainingConfig, checkpoint: Checkpoint, group: ProcessGroup
) -> History:
    """Fit `model` as one of several processes that train together, each of them on rows of its own; see `train`.

    Args:
        model: The model, the same in all processes; all end with the same one.
        parts: The rows of this process.
        config: How to train.
        checkpoint: Where the snapshots of this process are stored, and the seed of the fit.
        group: The processes.
    """
    return _fit(ElboDescent(model, parts, config, checkpoint.seed, group, checkpoint=checkpoint), None)


def _fit(descent: ElboDescent, progress: Progress | None) -> History:
    _retain_freed_memory()
    descent.run(progress)
    history = descent.history
    if history.stopped == "diverged" and not history.best_step:
        raise ConfigurationError("Training must converge, got a loss that is not finite. Lower `learning_rate`.")
    try:
        refits = descent.is_small and history.stopped in ("early", "finished")
        descent.finish(matching=not refits)
        if refits:
            _refit(descent, progress)
        descent.measure_activity()
    except KeyboardInterrupt:
        history.stopped, history.refitted = "interrupted", False
        descent.finish()
        descent.measure_activity()
    return history


def _refit(descent: ElboDescent, progress: Progress | None) -> None:
    """Train on all rows for the best number of steps; if that fails, the model is left as it was."""
    second = descent.on_all_rows()
    second.run(progress, until=descent.history.best_step)
    descent.history.refitted = second.history.stopped == "finished"
    if descent.history.refitted:
        second.finish()
        return
    descent.history.stopped = second.history.stopped
    descent.finish()


def _retain_freed_memory() -> None:
    """Let the C library retain the memory that a step frees for the next one.

    glibc hands memory back to the system as it is freed, and the system clears it when it is used again: up to a
    quarter of a step. Once a block of almost 32 MiB was freed, it retains twice as much (mallopt(3), M_MMAP_THRESHOLD).
    """
    torch.empty((32 << 20) - (1 << 16), dtype=torch.uint8)
