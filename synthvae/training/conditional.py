"""Training of the distribution of any columns given any others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from synthvae.devices import one_thread
from synthvae.errors import ConfigurationError
from synthvae.model import Frequencies, Rows
from synthvae.model.calibration import Calibration, calibration_that_gains
from synthvae.model.conditional import Choice, ConditionalNetwork, cells_of, masked, random_choice
from synthvae.model.frequencies import Sums
from synthvae.training.batches import Batches, LabelledRows, Parts
from synthvae.training.config import SMALL, Schedule, TrainingConfig
from synthvae.training.distributed import ProcessGroup
from synthvae.training.history import History, Record
from synthvae.training.loop import Descent, Progress, validated
from synthvae.training.optimizer import optimizer, rate_share
from synthvae.training.split import TrainingSplit
from synthvae.training.state import copied
from synthvae.training.trainer import CALIBRATION_ROWS, CLIP_NORM, EMA_DECAY, PARALLEL_BATCH, VALIDATION_ROWS

STRETCH = 2  # as many steps as those of a model of whole rows: each sees a part of each row only
# Networks of many heads memorise few rows, unless their weight decay is that of a normal prior, which is weaker in
# proportion to the rows. With it, more epochs are better: errors of imputed numbers (2,500 rows, 30 % missing, one
# seed) with 45, 90 and 180 epochs are 0.810, 0.809 and 0.797 on SUPPORT2, 0.671, 0.664 and 0.659 on the default of
# credit, 0.761, 0.744 and 0.744 on NHANES; 120 cost two thirds of 180.
MAX_EPOCHS, FEWEST_STEPS = 120, 200
PATIENCE_SHARE = 0.25  # of the steps without a better held-out value before training stops, if more than usual
DECAY_ROWS, MAX_DECAY = 6000, 3.0
VALIDATION_ROUNDS = 2  # choices of known columns for each held-out row


def conditional_schedule(config: TrainingConfig, rows: int) -> Schedule:
    """Return how long a network of any columns is trained on `rows` rows.

    Example:
        >>> [conditional_schedule(TrainingConfig(), rows).steps for rows in (2_250, 30_000)]
        [1054, 1600]
    """
    schedule = config.schedule(rows, "autoregressive")
    if config.max_steps:
        return schedule
    steps = min(STRETCH * schedule.steps, max(MAX_EPOCHS * rows // schedule.batch, FEWEST_STEPS))
    patience = config.patience or max(schedule.patience, round(PATIENCE_SHARE * steps))
    every = min(schedule.validate_every, max(steps // 20, 1))
    return schedule._replace(steps=steps, patience=patience, validate_every=every)


def conditional_decay(config: TrainingConfig, rows: int) -> float:
    """Return the weight decay with which a network of any columns is trained on `rows` rows.

    If the steps are stated, it is that of the effort: few steps with a strong decay leave a network untrained.

    Example:
        >>> conditional_decay(TrainingConfig(), 30_000)
        0.2
    """
    if config.weight_decay is not None or config.max_steps is not None:
        return config.decay(rows)
    return max(config.decay(rows), min(DECAY_ROWS / max(rows, 1), MAX_DECAY))


Links = Mapping[int, Sequence[int]]
"""The cells whose numbers another cell may repeat, by the number of that cell."""


def train_conditional(  # noqa: PLR0917 (the inputs of a fit)
    network: ConditionalNetwork,
    parts: Parts,
    config: TrainingConfig,
    seed: int,
    progress: Progress | None = None,
    links: Links | None = None,
) -> History:
    """Fit a network to coded rows in place; it ends with the best weights, in evaluation mode.

    Each row has its digits and values twice: with a state of its own where a number repeats that of another column,
    then without. A cell is predicted with such states if the cells that it may repeat are known or predicted, too;
    otherwise that it repeats one says nothing. It is known without them.

    A small table is trained on twice, the second time with all rows, as in `train`.

    Args:
        network: The network, on its device.
        parts: The coded table.
        config: How to train.
        seed: The seed of batches, choices of columns, held-out rows and dropout.
        progress: Called after each step with the step, the last step, and the loss in nats per row.
        links: The cells that repeat numbers of others.

    Raises:
        ConfigurationError: The loss became NaN or infinite before the first validation step.
    """
    if not cells_of(network.slots):  # all columns are constant
        network.eval()
        return History()
    initial = copied(network.parameters())
    descent = ConditionalDescent(network, parts, config, seed, links or {})
    descent.run(progress)
    history = descent.history
    if history.stopped == "diverged" and not history.best_step:
        raise ConfigurationError("Training must converge, got a loss that is not finite. Lower `learning_rate`.")
    descent.state.load_best()
    network.eval()
    change = descent.calibration()
    if descent.is_small and history.stopped in ("early", "finished"):
        best = copied(descent.state.best)
        descent.state.load(initial)
        whole = config.model_copy(update={"validation_fraction": 0.0})
        second = ConditionalDescent(network, parts, whole, seed, links or {})
        second.run(progress, until=history.best_step)
        history.refitted = second.history.stopped == "finished"
        descent.state.load(second.state.average if history.refitted else best)
    if change is not None:
        network.decoder.calibrate(change)
    network.eval()
    return history


class ConditionalDescent(Descent):
    """Training on random choices of known and of wanted columns of each row.

    Args:
        network: The network, on its device.
        parts: The rows.
        config: How to train.
        seed: The seed of batches, choices, held-out rows and dropout.
        links: The cells that repeat numbers of others.
    """

    def __init__(
        self, network: ConditionalNetwork, parts: Parts, config: TrainingConfig, seed: int, links: Links
    ) -> None:
        self.links = links
        device, group = next(network.parameters()).device, ProcessGroup()
        self.network, self.generator = network, torch.Generator(device=device).manual_seed(seed)
        self.split = TrainingSplit.from_parts(parts, config, seed, group, device)
        self.schedule = conditional_schedule(config, self.split.training_rows)
        self.batches = Batches(self.split.training, parts, self.schedule.batch, 1, self.generator, group)
        self.cell_of = cells_of(network.slots)
        self.cells = max(self.cell_of) + 1
        self._initialise()
        steps, rate = self.schedule.steps, self.schedule.learning_rate
        optimiser = optimizer(network, rate, conditional_decay(config, self.split.training_rows))
        super().__init__(network, list(network.parameters()), optimiser, steps=steps, decay=EMA_DECAY, seed=seed)

    def _initialise(self) -> None:
        """Set the biases of the heads to the frequencies of the training rows."""
        slots, first = self.network.slots, self.split.training
        rows, _ = _with_and_without_links(first)
        sums = Sums.from_rows(rows.digits, rows.values, first.labels, 1, slots, first.weights)
        self.network.decoder.start_from(Frequencies(sums.logs(slots), sums.ratios(slots), sums.moments()))

    @property
    def is_small(self) -> bool:
        """Whether the table is so small that held-out rows are a loss."""
        return self.split.has_held_out and self.split.rows < SMALL

    def limited_threads(self) -> AbstractContextManager[None]:
        """Return a context that limits training on small batches to one thread."""
        return one_thread() if self.batches.batch_size < PARALLEL_BATCH else nullcontext()

    def rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        return self.schedule.learning_rate * rate_share(step, self.steps, self.schedule.rise)

    def _chosen(self, batch: LabelledRows, generator: torch.Generator) -> tuple[Rows, Rows]:
        """The known and the wanted columns of a batch, both random."""
        choice = random_choice(len(batch), self.cells, generator)
        linked, known = _with_and_without_links(batch)
        predicted = self._linked_where_available(linked, known, choice) if self.links else linked
        slots = self.network.slots
        return masked(known, choice.known, slots), masked(predicted, choice.wanted, slots)

    def _log_prob(self, batch: LabelledRows, generator: torch.Generator) -> torch.Tensor:
        """Log p (B,) of the wanted columns of a batch given the known ones, in nats."""
        return self.network.log_prob(*self._chosen(batch, generator)).sum(0)

    @torch.no_grad()
    def calibration(self) -> Calibration | None:
        """Return the change of the outputs under which held-out rows are most probable.

        None without such rows, and if they gain too little, see `calibration_that_gains`: networks trained with a
        strong weight decay are hardly overconfident, and a change fitted to few rows does others more harm than good.
        """
        held = self.split.held_out
        if not len(held):
            return None
        held = held.take(slice(None, None, -(-len(held) // CALIBRATION_ROWS)))
        generator = torch.Generator(device=self.generator.device).manual_seed(0)
        rounds = [self._chosen(held, generator) for _ in range(VALIDATION_ROUNDS)]
        known, wanted = (Rows(*map(torch.cat, zip(*rows, strict=True))) for rows in zip(*rounds, strict=True))
        weights = self.batches.times(held).repeat(VALIDATION_ROUNDS)
        outputs = self.network.outputs(known, wanted)
        return calibration_that_gains(outputs, wanted, weights, self.network.slots.sizes)

    def _linked_where_available(self, linked: Rows, plain: Rows, choice: Choice) -> Rows:
        """The rows with links in the cells whose linked cells are all known or predicted, without them elsewhere."""
        there = choice.known | choice.wanted
        kept = torch.ones_like(there)
        for cell, others in self.links.items():
            kept[:, cell] = there[:, list(others)].all(1)
        j = len(self.network.slots.sizes)
        digits, values = kept[:, list(self.cell_of[:j])], kept[:, list(self.cell_of[j:])]
        return Rows(linked.digits.where(digits, plain.digits), linked.values.where(values, plain.values))

    def backward(self, step: int) -> None:
        """Compute the gradients of a batch."""
        del step
        loss = -self._log_prob(self.batches.next(), self.generator).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, CLIP_NORM)
        self.state.loss = float(loss.detach())

    def validate(self, step: int, last: int) -> bool:
        """Validate the averaged weights if it is due; return whether to continue."""
        return validated(self, self.schedule, step, last, self._measure)

    @torch.no_grad()
    def _measure(self, step: int) -> None:
        state, held = self.state, self.split.held_out
        bound = None
        if len(held):
            generator = torch.Generator(device=self.generator.device).manual_seed(0)  # the same choices each time
            self.model.eval()
            with state.averaged():
                bound = math.fsum(
                    float(self._log_prob(held.take(slice(start, start + VALIDATION_ROWS)), generator).sum())
                    for _ in range(VALIDATION_ROUNDS)
                    for start in range(0, len(held), VALIDATION_ROWS)
                ) / (VALIDATION_ROUNDS * len(held))
        state.history.records.append(Record(step, state.loss, -state.loss, 0.0, bound))
        if bound is None or bound > state.best_bound:
            state.best_bound, state.history.best_step = bound or 0.0, step
            state.best = copied(state.average)


def _with_and_without_links(batch: LabelledRows) -> tuple[Rows, Rows]:
    """Rows whose numbers that repeat others have states of their own, and the same rows without such states."""
    digits, values = batch.rows.digits.chunk(2, 1), batch.rows.values.chunk(2, 1)
    return Rows(digits[0], values[0]), Rows(digits[1], values[1])
