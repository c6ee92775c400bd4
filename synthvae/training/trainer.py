"""Gradient descent on the negative ELBO, with validation, early stopping and checkpoints."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import reduce
from itertools import chain

import torch
from torch import Tensor, nn

from synthvae.devices import one_thread
from synthvae.errors import ConfigurationError
from synthvae.model import CVAE, MATCHING_ROWS, Frequencies, activity
from synthvae.model.decoders import AutoregressiveDecoder
from synthvae.model.draws import standard_normal
from synthvae.model.frequencies import Sums
from synthvae.training.batches import Batches, LabelledRows, Parts
from synthvae.training.checkpoint import Checkpoint, Snapshot
from synthvae.training.config import SMALL, TrainingConfig
from synthvae.training.distributed import ProcessGroup
from synthvae.training.history import Callback, Record
from synthvae.training.loop import Descent
from synthvae.training.objective import Objective
from synthvae.training.optimizer import optimizer, rate_share
from synthvae.training.split import TrainingSplit
from synthvae.training.state import copied, generator_states, restore_dropout

# Small batches are too little work to share: on a busy machine, threads that wait for each other cost 20-fold.
PARALLEL_BATCH = 256
EMA_DECAY = 0.998
CLIP_NORM = 5.0
FEW_MATCHING_ROWS = 8192  # drawn to match marginals after an interrupt
CALIBRATION_ROWS = 2048  # held-out rows by which outputs are calibrated
VALIDATION_ROWS = 512  # held-out rows of one batch: the matrices of a slot stay in a cache


class ElboDescent(Descent):
    """Training without differential privacy.

    Args:
        model: The model, on its device.
        parts: The rows.
        config: How to train.
        seed: The seed of batches, noise, held-out rows and dropout.
        group: The processes that train together.
        callback: Called with the record of each validation step.
        checkpoint: Where snapshots are stored; the last one is resumed.
    """

    model: CVAE

    def __init__(
        self,
        model: CVAE,
        parts: Parts,
        config: TrainingConfig,
        seed: int,
        group: ProcessGroup,
        *,
        callback: Callback | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        device, self.initial_values = next(model.parameters()).device, copied(model.parameters())
        self.config, self.group, self.callback, self.checkpoint = config, group, callback, checkpoint
        self.generator = torch.Generator(device=device).manual_seed(seed + group.rank)
        self.split = TrainingSplit.from_parts(parts, config, seed, group, device)
        self.objective = Objective(model, config, self.split, self.generator)
        self.schedule = config.schedule(self.split.training_rows, model.config.decoder)
        batch_size = max(self.schedule.batch // group.size, 1)
        self.batches = Batches(self.split.training, parts, batch_size, model.conditions, self.generator, group)
        self._initialise(model)
        super().__init__(
            model,
            list(model.parameters()),
            optimizer(model, self.schedule.learning_rate, config.decay(self.split.training_rows)),
            steps=self.schedule.steps,
            decay=EMA_DECAY,
            seed=seed + group.rank,
        )
        self.is_due = False
        self._resume()

    def _initialise(self, model: CVAE) -> None:
        """Set the biases of the decoder and the prior from the training rows, the same in all processes."""
        labels = self.objective.labels
        parts = [labels.labelled] if labels.is_needed else self.batches.all_parts()
        model.decoder.start_from(_frequencies(model, parts, self.group, self.batches.scale))
        model.start_prior(self.split.training.rows, self.generator)
        self.group.broadcast([parameter.detach() for parameter in model.parameters()])

    def _resume(self) -> None:
        """Restore the last snapshot that all processes have.

        Raises:
            ConfigurationError: It is of another number of processes, or of another kind of device.
        """
        if self.checkpoint is None:
            return
        snapshot = self.checkpoint.load(self.group.min(self.checkpoint.latest))
        if snapshot is None:
            return
        if snapshot.values["by"] != self._by:
            raise ConfigurationError(
                f"a fit must be resumed as it was started, by {snapshot.values['by']}, got {self._by}. Fit with the "
                "same processes and device, or remove the folder of the journal."
            )
        self.batches.restore(snapshot)
        self.state.restore(snapshot)
        self.generator.set_state(snapshot.tensors["generator"])
        restore_dropout(snapshot, self.dropout)
        for record in self.history.records:  # callbacks receive the whole history
            self._report(record)

    @property
    def _by(self) -> str:
        return f"{self.group.size} process(es) on {self.generator.device.type}"

    def save(self) -> None:
        """Save a snapshot if one is due."""
        if self.checkpoint is not None and self.is_due:
            parts = (self.batches.snapshot(), self.state.snapshot(), generator_states(self.generator, self.dropout))
            self.checkpoint.save(reduce(operator.or_, parts, Snapshot(values={"by": self._by})))

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

    def backward(self, step: int) -> None:
        """Compute the gradients of a batch, and their means over all processes."""
        warm_up = min(1.0, step / max(self.config.warm_up * self.steps, 1))
        loss, reconstruction, kl = self.objective.loss(self.batches.next(), warm_up)
        loss.backward()
        due = float(self.checkpoint is not None and self.checkpoint.is_due)
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        loss, due_somewhere = self.group.average(gradients, torch.stack([loss.detach(), loss.new_full((), due)]))
        self.is_due = bool(due_somewhere > 0)
        nn.utils.clip_grad_norm_(self.parameters, CLIP_NORM)
        self.state.recent.append((loss.detach(), reconstruction.detach(), kl.detach()))
        self.state.loss = float(loss.detach())

    def validate(self, step: int, last: int) -> bool:
        """Compute the validation bound if it is due; return whether to continue."""
        history = self.history
        if not math.isfinite(self.state.loss):
            history.stopped = "diverged"
            return False
        if step % self.schedule.validate_every == 0 or step == last:
            stop = self.group.sum(torch.tensor(int(self._report(self.measure(step))))) > 0
            if stop or step - history.best_step >= self.schedule.patience:
                history.stopped = "early"
        return history.stopped != "early"

    def _report(self, record: Record) -> bool:
        """Call the callback with a record; return whether it requests to stop."""
        if self.callback is None:
            return False
        return self.callback(record) is True

    def measure(self, step: int) -> Record:
        """Validate the averaged weights, and store them if they are the best."""
        state = self.state
        with state.averaged():
            bound = self._validation_bound()
        loss, reconstruction, kl = (float(torch.stack(values).mean()) for values in zip(*state.recent, strict=True))
        state.recent.clear()
        record = Record(step, loss, reconstruction, kl, bound)
        state.history.records.append(record)
        if bound is None or bound > state.best_bound:
            state.best_bound, state.history.best_step = bound or 0.0, step
            state.best = copied(state.average)
        return record

    @torch.no_grad()
    def _validation_bound(self) -> float | None:
        """Return the mean bound of the held-out rows of all processes, weighted by class; None without such rows."""
        if not self.split.has_held_out:
            return None
        self.model.eval()
        held, device = self.split.held_out, self.generator.device
        weights = self.batches.times(held)
        generator = torch.Generator(device=device).manual_seed(0)
        total = 0.0
        for start in range(0, len(held), VALIDATION_ROWS):
            some = slice(start, start + VALIDATION_ROWS)
            batch = held.take(some)
            noise = standard_normal(len(batch), self.model.config.latent_dim, generator=generator)
            total += float((self.objective.bound(batch, noise) * weights[some]).sum())
        sums = self.group.sum(torch.tensor([total, float(weights.sum())], dtype=torch.double))
        bound, weight = sums.tolist()
        return float(bound / weight)

    def on_all_rows(self) -> ElboDescent:
        """Return a descent from the initial weights on all rows, the held-out ones included."""
        self.state.load(self.initial_values)
        config = self.config.model_copy(update={"validation_fraction": 0.0})
        return ElboDescent(self.model, self.batches.parts, config, self.seed, self.group)

    def finish(self, *, matching: bool = True) -> None:
        """Load the best weights, calibrate them, fit the prior, and match the marginals of the decoder to the data.

        After an interrupt the user waits for this: then fewer rows are read and drawn.

        Args:
            matching: Whether to match the marginals, which a model that is trained again does not need.
        """
        self.state.load_best()
        self.model.eval()
        if not self.is_small:
            self._calibrate()
        first = self.objective.labels.complete(self.split.training + self.split.held_out)
        drawn = first.repeated(self.generator)
        self.model.match_prior(drawn.rows, drawn.labels, self.generator)
        if matching:
            self._match_marginals(first, drawn.labels)
        self.group.broadcast([parameter.detach() for parameter in self.parameters])
        self.history.held_out_elbo = None if self.model.is_point else self._validation_bound()

    def _calibrate(self) -> None:
        """Calibrate the decoder by the held-out rows; those of a small table are too few."""
        every = -(-len(self.split.held_out) // CALIBRATION_ROWS) or 1
        held = self.objective.labels.complete(self.split.held_out.take(slice(None, None, every)))
        if not len(held):
            return
        generator = torch.Generator(device=self.generator.device).manual_seed(0)  # the same each time
        change = self.model.calibration(held.rows, held.labels, self.batches.times(held), generator)
        if change is not None:
            assert isinstance(self.model.decoder, AutoregressiveDecoder)
            self.model.decoder.calibrate(change)

    def _match_marginals(self, first: LabelledRows, drawn: Tensor) -> None:
        """Match the marginals to those of all rows.

        Args:
            first: The rows of the first part.
            drawn: Their labels (B,), in proportion to their weights.
        """
        interrupted = self.history.stopped == "interrupted"
        others = () if self.objective.labels.is_needed or interrupted else self.batches.later_parts()
        frequencies = _frequencies(self.model, chain([first], others), self.group, self.batches.scale)
        # Of a model that is conditional, every class is needed, and the weights within one are in the frequencies.
        labels = first.labels if self.model.network_conditions > 1 else drawn
        most = FEW_MATCHING_ROWS if interrupted else MATCHING_ROWS
        means = None if frequencies.moments is None else frequencies.moments[0]
        self.model.match_marginals(frequencies.logs.exp(), labels, self.generator, most, means)

    def measure_activity(self) -> None:
        """Measure the KL of each latent dimension and count the active units."""
        held = self.split.held_out
        rows = self.objective.labels.complete(held if len(held) else self.split.training)
        found = activity(self.model, rows.rows, rows.labels)
        self.history.kl_per_dimension = None if found.kl is None else found.kl.tolist()
        self.history.active_units = found.units


def _frequencies(
    model: CVAE, parts: Iterable[LabelledRows], group: ProcessGroup, rows_per_weight: float
) -> Frequencies:
    """Count the rows of all parts and processes; a weighted row counts as `rows_per_weight` times its weight."""
    slots = model.decoder.slots

    def counted(part: LabelledRows) -> Sums:
        labels, weights = model.network_labels(part.labels), part.weights
        scaled = None if weights is None else weights * rows_per_weight
        return Sums.from_rows(part.rows.digits, part.rows.values, labels, model.network_conditions, slots, scaled)

    sums = reduce(operator.add, map(counted, parts)).reduced(group.sum)
    return Frequencies(sums.logs(slots), sums.ratios(slots), sums.moments())
