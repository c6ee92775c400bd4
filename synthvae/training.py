"""Training on rows that nobody hides."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from synthvae.descent import Descent, Progress, copy, load
from synthvae.encoding.table import Codes
from synthvae.errors import ConfigurationError
from synthvae.frequencies import class_moments, class_weights, log_frequencies, log_ratios
from synthvae.history import Callback, History, Record
from synthvae.labelling import UNKNOWN, Labelling
from synthvae.model import CVAE, Frequencies, Rows, activity, corrupted
from synthvae.optimizer import adamw, schedule
from synthvae.threads import one_thread

SMALL = 2048  # rows below which batches are small and dropout guards against memorising
MAX_HELD_OUT = 10_000
HELD_SHARE, SMALL_HELD_SHARE = 0.1, 0.2
LOOK_EVERY, SMALL_LOOK_EVERY = 50, 25
# Small batches are too little work to share: on a busy machine, threads that wait for each other cost 20-fold.
PARALLEL_BATCH = 256
USUAL_ROWS, USUAL_STEPS, LONGEST_DESCENT = 30_000, 1000, 1.6
EMA_DECAY = 0.998
CLIP_NORM = 5.0
LOOK_ROWS = 2048  # held-out rows looked at together
GREY_BETA = 0.05
DRIFT_WEIGHT = 5.0  # of the aggregate's divergence from the prior, where z has little information


class TrainingConfig(BaseModel):
    """How a model is trained; what is None follows the table.

    Args:
        max_steps: Steps of the optimiser; early stopping may end before.
        batch_size: Rows of a step.
        learning_rate: Peak of the schedule: linear warm-up, then cosine to 2 %.
        weight_decay: AdamW's, on matrices only.
        beta: Weight of the KL term; None: 1, or 0.05 for grey pixels under a Bernoulli,
            which takes a pixel for one draw, though a grey one says as much as many draws averaged.
        free_bits: Nats of information for each latent dimension, all together, that the KL term leaves free. Only
            information is: the aggregate of all codes is held to the prior, so that what is drawn from the prior
            is what the decoder knows.
        warm_up: Share of the steps over which the weight of the KL term rises from 0 to beta.
        corruption: Share of the cells that the encoder is not shown in training, others in each step; all of a row is
            reconstructed.
        validation_fraction: Share of each class held out for early stopping; 0 trains on all rows, to the end; None: a
            tenth, or a fifth of a small table.
        patience: Steps without a better held-out ELBO before training stops.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_steps: int | None = Field(default=None, ge=1)
    batch_size: int | None = Field(default=None, ge=1)
    learning_rate: float = Field(default=3e-3, gt=0, allow_inf_nan=False)
    weight_decay: float = Field(default=1e-2, ge=0, allow_inf_nan=False)
    beta: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    free_bits: float = Field(default=0.2, ge=0, allow_inf_nan=False)
    warm_up: float = Field(default=0.1, ge=0, le=1)
    corruption: float = Field(default=0.0, ge=0, lt=1)
    validation_fraction: float | None = Field(default=None, ge=0, lt=1)
    patience: int = Field(default=300, ge=1)

    def batch(self, rows: int) -> int:
        """Rows of a step for a table of `rows`."""
        return min(rows, self.batch_size or (64 if rows < SMALL else 512))

    def kl_weight(self, *, grey: bool) -> float:
        """The weight of the KL term."""
        return (GREY_BETA if grey else 1.0) if self.beta is None else self.beta

    def held_share(self, rows: int) -> float:
        """The share of a table of `rows` that is held out."""
        if self.validation_fraction is not None:
            return self.validation_fraction
        return SMALL_HELD_SHARE if rows < SMALL else HELD_SHARE

    def steps(self, rows: int) -> int:
        """The largest number of steps for a table of `rows`.

        More rows than usual take more steps, but each is seen less often; fewer rows take a slower descent, which early
        stopping ends.
        """
        share = max(rows, 1) / USUAL_ROWS
        times = share**0.75 if share > 1 else min(share**-0.5, LONGEST_DESCENT)
        return self.max_steps or round(USUAL_STEPS * times)


def train(
    model: CVAE,
    codes: Codes,
    config: TrainingConfig,
    seed: int,
    progress: Progress | None = None,
    *,
    callback: Callback | None = None,
) -> History:
    """Fit `model` to `codes` in place; it ends with the best weights seen, in evaluation mode.

    Args:
        model: The model, on its device.
        codes: The coded table.
        config: How to train.
        seed: Of batches, noise, held-out rows and dropout.
        progress: Called with step, last step and loss in nats after each step.
        callback: Called at each look, but not while all rows are learned again: with what `History.records` will hold.
            If it returns True, training stops as if by early stopping. What it raises is not caught.

    Ctrl-C ends training early and keeps the best weights so far. A small table, of which held-out rows are a loss, is
    learned twice: how many steps are best is found with held-out rows, then all rows are learned for as many steps.

    Raises:
        ConfigurationError: The loss became no number before anything was learned.
    """
    _keep_freed_memory()
    start = copy(list(model.parameters()))
    run = _Run(model, codes, config, seed, callback)
    run.go(progress)
    if run.history.stopped == "diverged" and not run.history.best_step:
        raise ConfigurationError("training must converge, however, the loss became no number: lower `learning_rate`")
    run.restore()
    if run.holds_out_of_few and run.history.stopped in ("early", "finished"):
        _refit(run, start, codes, progress)
    run.measure_codes()
    return run.history


def _refit(run: _Run, start: list[Tensor], codes: Codes, progress: Progress | None) -> None:
    """Learn all rows from the start, as many steps as were best; if that does not end well, nothing has changed."""
    first = copy(run.parameters)
    load(run.parameters, start)
    again = _Run(run.model, codes, run.config.model_copy(update={"validation_fraction": 0.0}), run.seed)
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


class _Run(Descent):
    """Training on rows that nobody hides: gradients of the ELBO, looks at held-out rows."""

    def __init__(
        self, model: CVAE, codes: Codes, config: TrainingConfig, seed: int, callback: Callback | None = None
    ) -> None:
        device = next(model.parameters()).device
        self.config, self.callback = config, callback
        self.generator = torch.Generator(device=device).manual_seed(seed)
        held = held_out(codes.labels, config.held_share(len(codes)), np.random.default_rng(seed))
        rows = Rows(torch.from_numpy(codes.digits).to(device), torch.from_numpy(codes.values).to(device))
        labels = torch.from_numpy(codes.labels).to(device)
        self.rows, self.labels = rows.take(~held), labels[~held]
        self.held_rows, self.held_labels = rows.take(held), labels[held]
        self.batch, steps = config.batch(len(self.labels)), config.steps(len(self.labels))
        looks = SMALL_LOOK_EVERY if len(labels) < SMALL else LOOK_EVERY
        self.look_every = max(min(steps // 20, looks), 1)
        self.labelling = Labelling(model, self.rows, self.labels, self.generator)
        model.decoder.start_from(_frequencies(model, self.labelling.rows, self.labelling.labels))
        model.start_prior(self.rows, self.generator)
        # With much information in z, a batch shows little of the aggregate: then it weighs as in the ELBO.
        self.drift_weight = DRIFT_WEIGHT if model.config.decoder == "autoregressive" else 1.0
        self.beta = config.kl_weight(grey=model.config.likelihood == "bernoulli" and _is_grey(codes))
        weights = class_weights(self.labelling.labels, model.conditions)
        self.weights = torch.cat([weights, weights.new_ones(1)])  # the last one is that of rows without a label
        parameters = list(model.parameters())
        super().__init__(
            model,
            parameters,
            adamw(model, config.learning_rate, config.weight_decay),
            steps=steps,
            decay=EMA_DECAY,
            seed=seed,
        )
        self.model: CVAE
        self.best = copy(parameters)
        self.best_bound = -math.inf
        self.recent: list[tuple[Tensor, Tensor, Tensor]] = []
        self.order = iter(())  # type: Iterator[Tensor]

    @property
    def holds_out_of_few(self) -> bool:
        """Whether held-out rows are to be learned, too, in the end."""
        return len(self.held_labels) > 0 and len(self.labels) + len(self.held_labels) < SMALL

    def sparing(self) -> AbstractContextManager[None]:
        """One thread for small batches."""
        return one_thread() if self.batch < PARALLEL_BATCH else nullcontext()

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        return self.config.learning_rate * schedule(step, self.steps)

    def backward(self, step: int) -> None:
        """The gradients of a batch."""
        rows = self._next_batch()
        latent_dim = self.model.config.latent_dim
        noise = torch.randn(len(rows), latent_dim, generator=self.generator, device=rows.device)
        labels = self.labelling.drawn(self.rows.take(rows), self.labels[rows])
        terms = self.model.elbo(self.rows.take(rows), labels, noise, self._shown(rows))
        reconstruction, kl = terms.reconstruction.mean(), terms.kl.sum(1).mean()
        drift = self.model.drift(terms, labels).mean()
        weight = self.beta * min(1.0, step / max(self.config.warm_up * self.steps, 1))
        information = torch.relu(kl - drift - self.config.free_bits * latent_dim)
        loss = weight * (information + self.drift_weight * drift) - reconstruction
        if self.labelling.partial:
            loss = loss + self.labelling.loss()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, CLIP_NORM)
        self.recent.append((loss.detach(), reconstruction.detach(), kl.detach()))
        self.loss = float(loss.detach())

    def _shown(self, rows: Tensor) -> Rows | None:
        """What the encoder is shown of a batch, if not all."""
        if not self.config.corruption:
            return None
        return corrupted(self.rows.take(rows), self.model.decoder.slots, self.config.corruption, self.generator)

    def look(self, step: int, last: int) -> bool:
        """Measure the held-out rows if it is time; whether to go on."""
        if not math.isfinite(self.loss):
            self.history.stopped = "diverged"
            return False
        if step % self.look_every == 0 or step == last:
            asked = self._told(self.measure(step))
            if asked or step - self.history.best_step >= self.config.patience:
                self.history.stopped = "early"
        return self.history.stopped != "early"

    def _told(self, record: Record) -> bool:
        """Show a look to whoever watches; whether they ask to stop."""
        if self.callback is None:
            return False
        with torch.random.fork_rng():  # dropout goes on as if nobody had drawn anything
            return self.callback(record) is True

    def _next_batch(self) -> Tensor:
        rows = next(self.order, None)
        if rows is None:
            # A row is seen as often as its class weighs: the fraction of a time by chance.
            chance = torch.rand(len(self.labels), generator=self.generator, device=self.labels.device)
            seen = torch.repeat_interleave((self.weights[self.labels] + chance).long())
            order = torch.randperm(len(seen), generator=self.generator, device=self.labels.device)
            self.order = iter(seen[order[: len(order) // self.batch * self.batch]].split(self.batch))
            rows = next(self.order)
        return rows

    def measure(self, step: int) -> Record:
        """Measure the averaged weights on the held-out rows, and keep them if they are the best."""
        with self._averaged():
            bound = self._validation()
        loss, reconstruction, kl = (float(torch.stack(values).mean()) for values in zip(*self.recent, strict=True))
        self.recent.clear()
        record = Record(step, loss, reconstruction, kl, bound)
        self.history.records.append(record)
        if bound is None or bound > self.best_bound:
            self.best_bound, self.history.best_step = bound or 0.0, step
            self.best = [parameter.clone() for parameter in self.average]
        return record

    @torch.no_grad()
    def _validation(self) -> float | None:
        if not len(self.held_labels):
            return None
        self.model.eval()
        generator = torch.Generator(device=self.labels.device).manual_seed(0)
        total = 0.0
        for start in range(0, len(self.held_labels), LOOK_ROWS):
            batch = slice(start, start + LOOK_ROWS)
            rows, labels = self.held_rows.take(batch), self.held_labels[batch]
            noise = torch.randn(len(labels), self.model.config.latent_dim, generator=generator, device=labels.device)
            total += float((self._bound(rows, labels, noise) * self.weights[labels]).sum())
        return total / float(self.weights[self.held_labels].sum())

    def _bound(self, rows: Rows, labels: Tensor, noise: Tensor) -> Tensor:
        """The bound (B,) on log p(x | y), or on log p(x) where y is unknown."""
        if not self.labelling.partial:
            terms = self.model.elbo(rows, labels, noise)
            return terms.reconstruction - self.beta * terms.kl.sum(1)
        scores = self.labelling.scores(rows, noise, self.beta)
        given = (scores - self.labelling.log_shares).gather(1, labels.clamp_min(0)[:, None])[:, 0]
        return torch.where(labels == UNKNOWN, scores.logsumexp(1), given)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        live = copy(self.parameters)
        load(self.parameters, self.average)
        yield
        load(self.parameters, live)

    def restore(self) -> None:
        """Leave the model with the best weights, or the averaged ones if none were measured yet, marginals matched."""
        load(self.parameters, self.best if self.history.best_step else self.average)
        self.model.eval()
        labels = torch.cat([self.labels, self.held_labels])
        rows = Rows(*(torch.cat(parts) for parts in zip(self.rows, self.held_rows, strict=True)))
        labels = self.labelling.drawn(rows, labels)
        frequencies = _frequencies(self.model, rows, labels)
        self.model.match_prior(rows, labels, self.generator)
        self.model.match_marginals(frequencies.logs.exp(), labels, self.generator)
        self.history.held_out_elbo = None if self.model.is_point else self._validation()

    def measure_codes(self) -> None:
        """Measure what the codes say, as the model is now."""
        rows, labels = (self.held_rows, self.held_labels) if len(self.held_labels) else (self.rows, self.labels)
        found = activity(self.model, rows, self.labelling.drawn(rows, labels))
        self.history.kl_per_dimension = None if found.kl is None else found.kl.tolist()
        self.history.active_units = found.units


def _is_grey(codes: Codes) -> bool:
    return bool(((codes.values > 0) & (codes.values < 1)).any())


def _frequencies(model: CVAE, rows: Rows, labels: Tensor) -> Frequencies:
    slots, seen = model.decoder.slots, model.seen(labels)
    logs = log_frequencies(rows.digits, seen, model.told, slots.sizes)
    return Frequencies(logs, log_ratios(rows.digits, slots), class_moments(rows.values, seen, model.told))


def held_out(labels: np.ndarray, fraction: float, rng: np.random.Generator) -> Tensor:
    """Choose rows (mask) to hold out: `fraction` of each class, rounded down, so that no class is left without rows.

    At most `MAX_HELD_OUT` in all: more say no more, and cost time at each look.
    """
    fraction = min(fraction, MAX_HELD_OUT / max(len(labels), 1))
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        held[rng.permutation(rows)[: int(fraction * len(rows))]] = True
    return torch.from_numpy(held)
