"""Training of a `SequenceNetwork` by maximum likelihood, with early stopping on held-out subjects."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager

import numpy as np
import torch
from torch import nn

from synthvae.devices import one_thread
from synthvae.errors import ConfigurationError
from synthvae.model.calibration import Calibration
from synthvae.model.decoders import AutoregressiveDecoder
from synthvae.relational.network import SequenceNetwork
from synthvae.relational.sequences import Places, Sequences, split_by_rows
from synthvae.training.config import SMALL, TrainingConfig
from synthvae.training.history import History, Record
from synthvae.training.loop import Descent, Progress, validated
from synthvae.training.optimizer import optimizer, rate_share
from synthvae.training.split import MAX_HELD_OUT
from synthvae.training.state import copied
from synthvae.training.trainer import CALIBRATION_ROWS, CLIP_NORM, EMA_DECAY

BATCH_ROWS = 512  # of many rows: subjects of one batch are alike in part, so that it needs more rows than others
STRETCH = 2  # as many steps as those of a model of so many independent rows
START_ROWS = 20_000  # whose frequencies the biases start from
VALIDATION_ROWS = 4096


def train_sequences(
    network: SequenceNetwork,
    sequences: Sequences,
    config: TrainingConfig,
    seed: int,
    progress: Progress | None = None,
) -> History:
    """Fit a network to the rows of all subjects in place; it ends with the best weights, in evaluation mode.

    A small table is trained on twice, the second time with all subjects, as in `train`.

    Args:
        network: The network, on its device.
        sequences: The coded rows.
        config: How to train.
        seed: The seed of batches, held-out subjects and dropout.
        progress: Called after each step with the step, the last step, and the loss in nats per row.

    Raises:
        ConfigurationError: The loss became NaN or infinite before the first validation step.
    """
    if not len(sequences.family) or not network.is_random:
        network.eval()
        return History()
    initial = copied(network.parameters())
    descent = SequenceDescent(network, sequences, config, seed)
    descent.run(progress)
    history = descent.history
    if history.stopped == "diverged" and not history.best_step:
        raise ConfigurationError("Training must converge, got a loss that is not finite. Lower `learning_rate`.")
    descent.state.load_best()
    network.eval()
    if not descent.is_small:  # the held-out rows of a small table are too few
        for decoder, change in descent.calibrations():
            decoder.calibrate(change)
    history.held_out_elbo = descent.bound() if len(descent.held) else None
    if descent.is_small and history.stopped in ("early", "finished"):
        descent.state.load(initial)
        whole = config.model_copy(update={"validation_fraction": 0.0})
        second = SequenceDescent(network, sequences, whole, seed)
        second.run(progress, until=history.best_step)
        history.refitted = second.history.stopped == "finished"
        descent.state.load(second.state.average if history.refitted else descent.state.best)
        network.eval()
    return history


class SequenceDescent(Descent):
    """Training on batches of whole subjects.

    Args:
        network: The network, on its device.
        sequences: The coded rows.
        config: How to train.
        seed: The seed of batches, held-out subjects and dropout.
    """

    def __init__(self, network: SequenceNetwork, sequences: Sequences, config: TrainingConfig, seed: int) -> None:
        self.network, self.sequences = network, sequences
        self.device, self.rng = next(network.parameters()).device, np.random.default_rng(seed)
        self.training, self.held = self._split(config)
        lengths = sequences.family.lengths
        rows = int(lengths[self.training].sum())
        schedule = config.schedule(rows, "autoregressive")
        self.schedule = schedule if config.max_steps else schedule._replace(steps=STRETCH * schedule.steps)
        self.batch_rows = self.schedule.batch if self.is_small or config.batch_size else BATCH_ROWS
        self.queue: list[Places] = []
        start = split_by_rows(lengths, self.training, START_ROWS)[0]
        network.start_from(sequences.batch(start, self.device))
        steps, rate = self.schedule.steps, self.schedule.learning_rate
        optimiser = optimizer(network, rate, config.decay(rows))
        super().__init__(network, list(network.parameters()), optimiser, steps=steps, decay=EMA_DECAY, seed=seed)

    def _split(self, config: TrainingConfig) -> tuple[Places, Places]:
        """Subjects to train on, and those held out, in random order."""
        lengths = self.sequences.family.lengths
        order = self.rng.permutation(len(lengths))
        share = config.held_share(int(lengths.sum()))
        held = min(int(share * len(lengths)), int(MAX_HELD_OUT / lengths.mean()) + 1)
        return order[held:], order[:held]

    @property
    def is_small(self) -> bool:
        """Whether the table is so small that held-out subjects are a loss."""
        return len(self.sequences.family) < SMALL

    def limited_threads(self) -> AbstractContextManager[None]:
        """Return a context that limits training to one thread: a batch is too little work to share."""
        return one_thread()

    def rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        return self.schedule.learning_rate * rate_share(step, self.steps, self.schedule.rise)

    def backward(self, step: int) -> None:
        """Compute the gradients of a batch."""
        del step
        if not self.queue:
            order = self.training[self.rng.permutation(len(self.training))]
            self.queue = split_by_rows(self.sequences.family.lengths, order, self.batch_rows)
        batch = self.sequences.batch(self.queue.pop(), self.device)
        loss = -self.network.log_prob(batch).sum() / self.batch_rows  # each subject weighs as many as it has rows
        if loss.requires_grad:  # a batch may have first rows alone, whose columns are all constant
            loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, CLIP_NORM)
        self.state.loss = float(loss.detach()) * self.batch_rows / len(batch)

    def validate(self, step: int, last: int) -> bool:
        """Validate the averaged weights if it is due; return whether to continue."""
        return validated(self, self.schedule, step, last, self._measure)

    @torch.no_grad()
    def _measure(self, step: int) -> None:
        state, bound = self.state, None
        if len(self.held):
            self.model.eval()
            with state.averaged():
                bound = self.bound()
        state.history.records.append(Record(step, state.loss, -state.loss, 0.0, bound))
        if bound is None or bound > state.best_bound:
            state.best_bound, state.history.best_step = bound or 0.0, step
            state.best = copied(state.average)

    @torch.no_grad()
    def bound(self) -> float:
        """Return the mean log p of the rows of held-out subjects, in nats per row."""
        lengths = self.sequences.family.lengths
        parts = split_by_rows(lengths, self.held, VALIDATION_ROWS)
        sums = [float(self.network.log_prob(self.sequences.batch(part, self.device)).sum()) for part in parts]
        return math.fsum(sums) / int(lengths[self.held].sum())

    def calibrations(self) -> list[tuple[AutoregressiveDecoder, Calibration]]:
        """Return each decoder with the change of its outputs under which held-out rows are most probable."""
        if not len(self.held):
            return []
        part = split_by_rows(self.sequences.family.lengths, self.held, CALIBRATION_ROWS)[0]
        return self.network.calibrations(self.sequences.batch(part, self.device))
