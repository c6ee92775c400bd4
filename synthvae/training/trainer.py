"""The gradients of the ELBO, looks at held-out rows, and how long to go on."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import reduce
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn

from synthvae.codes import Codes
from synthvae.devices import one_thread
from synthvae.errors import ConfigurationError
from synthvae.model import CVAE, MATCHING_ROWS, Frequencies, Rows, activity, corrupted
from synthvae.model.frequencies import Sums
from synthvae.training import state
from synthvae.training.batches import Batches, Labelled, Parts
from synthvae.training.checkpoint import Checkpoint
from synthvae.training.config import SMALL, Precision, TrainingConfig
from synthvae.training.distributed import World
from synthvae.training.history import Callback, Record
from synthvae.training.loop import Descent, copy, forked, load
from synthvae.training.optimizer import adamw, schedule
from synthvae.training.semi_supervised import UNKNOWN, Labelling

MAX_HELD_OUT = 10_000
LOOK_EVERY, SMALL_LOOK_EVERY = 50, 25
# Small batches are too little work to share: on a busy machine, threads that wait for each other cost 20-fold.
PARALLEL_BATCH = 256
EMA_DECAY = 0.998
CLIP_NORM = 5.0
FEW_MATCHING_ROWS = 8192  # drawn to match marginals after an interrupt
LOOK_ROWS = 2048  # held-out rows looked at together
DRIFT_WEIGHT = 5.0  # of the aggregate's divergence from the prior, where z has little information


class Run(Descent):
    """Training on rows that nobody hides: gradients of the ELBO, looks at held-out rows."""

    def __init__(
        self,
        model: CVAE,
        parts: Parts,
        config: TrainingConfig,
        seed: int,
        world: World,
        *,
        callback: Callback | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        device = next(model.parameters()).device
        count = self.count = int(world.total(torch.tensor(sum(parts.sizes))))
        self.config, self.world, self.callback, self.checkpoint = config, world, callback, checkpoint
        self.autocast = _autocast(device, config.precision)
        self.generator = torch.Generator(device=device).manual_seed(seed + world.rank)
        first = parts[0]
        held = held_out(first.labels, config.held_share(count), np.random.default_rng(seed))
        rows = Labelled.of(first, device)
        kept, self.held = rows.take(~held.to(device)), rows.take(held.to(device))
        learned = count - int(world.total(torch.tensor(len(self.held))))
        steps = config.steps(learned)
        looks = SMALL_LOOK_EVERY if count < SMALL else LOOK_EVERY
        self.look_every = max(min(steps // 20, looks), 1)
        self.holds_out = learned < count
        self.labelling = Labelling(model, kept.rows, kept.labels, self.generator)
        rows_here = max(config.batch(learned) // world.size, 1)
        self.batches = Batches(kept, parts, rows_here, model.conditions, self.generator, world)
        model.decoder.start_from(self._frequencies(model))
        model.start_prior(kept.rows, self.generator)
        # With much information in z, a batch shows little of the aggregate: then it weighs as in the ELBO.
        self.drift_weight = DRIFT_WEIGHT if model.config.decoder == "autoregressive" else 1.0
        self.beta = config.kl_weight(grey=model.config.likelihood == "bernoulli" and _is_grey(first))
        parameters = list(model.parameters())
        world.agree([parameter.detach() for parameter in parameters])
        super().__init__(
            model,
            parameters,
            adamw(model, config.learning_rate, config.weight_decay),
            steps=steps,
            decay=EMA_DECAY,
            seed=seed + world.rank,
        )
        self.model: CVAE
        self.best = copy(parameters)
        self.best_bound = -math.inf
        self.recent: list[tuple[Tensor, Tensor, Tensor]] = []
        self.taken_up = None if checkpoint is None else checkpoint.load(world.least(checkpoint.latest))
        self.is_due = False
        if self.taken_up is not None:
            state.restore(self, self.taken_up)
            for record in self.history.records:  # who watches sees the whole of it
                self._told(record)

    def wake(self) -> None:
        """Set the global generator as it was, if an earlier run is taken up."""
        if self.taken_up is not None:
            state.wake(self.taken_up[0], self.generator.device)

    def keep(self) -> None:
        """Keep the state, if it is time."""
        if self.checkpoint is not None and self.is_due:
            self.checkpoint.save(*state.saved(self))

    def _frequencies(self, model: CVAE) -> Frequencies:
        """Those of all rows that are learned; where labels are missing, of those that have one in the first part."""
        if self.labelling.partial:
            return _frequencies(model, [Labelled(self.labelling.rows, self.labelling.labels)], self.world)
        return _frequencies(model, self.batches.each(), self.world)

    @property
    def holds_out_of_few(self) -> bool:
        """Whether held-out rows are to be learned, too, in the end."""
        return self.holds_out and self.count < SMALL

    def sparing(self) -> AbstractContextManager[None]:
        """One thread for small batches."""
        return one_thread() if self.batches.rows < PARALLEL_BATCH else nullcontext()

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        return self.config.learning_rate * schedule(step, self.steps)

    def backward(self, step: int) -> None:
        """The gradients of a batch."""
        batch = self.batches.next()
        noise = torch.randn(
            len(batch), self.model.config.latent_dim, generator=self.generator, device=batch.labels.device
        )
        # Autocast keeps the weights that it has cast: those cast for a draw would have no gradient.
        labels = self.labelling.drawn(batch.rows, batch.labels)
        with self.autocast:
            loss, reconstruction, kl = self._loss(Labelled(batch.rows, labels), noise, step)
        loss.backward()
        due = float(self.checkpoint is not None and self.checkpoint.is_due)
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        loss, due_somewhere = self.world.average(gradients, torch.stack([loss.detach(), loss.new_full((), due)]))
        self.is_due = bool(due_somewhere > 0)
        nn.utils.clip_grad_norm_(self.parameters, CLIP_NORM)
        self.recent.append((loss.detach(), reconstruction.detach(), kl.detach()))
        self.loss = float(loss.detach())

    def _loss(self, batch: Labelled, noise: Tensor, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return what is minimised, the reconstruction and the KL of a batch, in nats per row."""
        terms = self.model.elbo(batch.rows, batch.labels, noise, self._shown(batch.rows))
        reconstruction, kl = terms.reconstruction.mean(), terms.kl.sum(1).mean()
        drift = self.model.drift(terms, batch.labels).mean()
        weight = self.beta * min(1.0, step / max(self.config.warm_up * self.steps, 1))
        information = torch.relu(kl - drift - self.config.free_bits * self.model.config.latent_dim)
        loss = weight * (information + self.drift_weight * drift) - reconstruction
        if self.labelling.partial:
            loss = loss + self.labelling.loss()
        return loss, reconstruction, kl

    def _shown(self, rows: Rows) -> Rows | None:
        """What the encoder is shown of a batch, if not all."""
        if not self.config.corruption:
            return None
        return corrupted(rows, self.model.decoder.slots, self.config.corruption, self.generator)

    def look(self, step: int, last: int) -> bool:
        """Measure the held-out rows if it is time; whether to go on."""
        if not math.isfinite(self.loss):
            self.history.stopped = "diverged"
            return False
        if step % self.look_every == 0 or step == last:
            asked = self.world.total(torch.tensor(int(self._told(self.measure(step))))) > 0
            if asked or step - self.history.best_step >= self.config.patience:
                self.history.stopped = "early"
        return self.history.stopped != "early"

    def _told(self, record: Record) -> bool:
        """Show a look to whoever watches; whether they ask to stop."""
        if self.callback is None:
            return False
        with forked(self.generator.device):  # dropout goes on as if nobody had drawn anything
            return self.callback(record) is True

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
        if not self.holds_out:
            return None
        self.model.eval()
        labels, weights = self.held.labels, self.batches.weights
        generator = torch.Generator(device=labels.device).manual_seed(0)
        total = 0.0
        for start in range(0, len(labels), LOOK_ROWS):
            some = self.held.take(slice(start, start + LOOK_ROWS))
            noise = torch.randn(len(some), self.model.config.latent_dim, generator=generator, device=labels.device)
            total += float((self._bound(some.rows, some.labels, noise) * weights[some.labels]).sum())
        all_of, weight = self.world.total(
            torch.tensor([total, float(weights[labels].sum())], dtype=torch.double)
        ).tolist()
        return float(all_of / weight)

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
        """Leave the model with the best weights, or the averaged ones if none were measured yet, marginals matched.

        Whoever interrupted training waits for this: then fewer rows are read and drawn for it.
        """
        interrupted = self.history.stopped == "interrupted"
        load(self.parameters, self.best if self.history.best_step else self.average)
        self.model.eval()
        rows = Labelled.joined(self.batches.first, self.held)
        rows = Labelled(rows.rows, self.labelling.drawn(rows.rows, rows.labels))
        others = () if self.labelling.partial or interrupted else self.batches.others()
        frequencies = _frequencies(self.model, chain([rows], others), self.world)
        self.model.match_prior(rows.rows, rows.labels, self.generator)
        drawn = FEW_MATCHING_ROWS if interrupted else MATCHING_ROWS
        self.model.match_marginals(frequencies.logs.exp(), rows.labels, self.generator, drawn)
        self.world.agree([parameter.detach() for parameter in self.parameters])
        self.history.held_out_elbo = None if self.model.is_point else self._validation()

    def measure_codes(self) -> None:
        """Measure what the codes say, as the model is now."""
        rows = self.held if len(self.held) else self.batches.first
        found = activity(self.model, rows.rows, self.labelling.drawn(rows.rows, rows.labels))
        self.history.kl_per_dimension = None if found.kl is None else found.kl.tolist()
        self.history.active_units = found.units


def _autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """What computes products of matrices, while it is entered, in a precision."""
    try:
        return torch.autocast(device.type, torch.bfloat16, enabled=precision != "float32")
    except RuntimeError as error:
        raise ConfigurationError(
            f"`precision` must be one that the device computes, however, {precision!r} on {device}: {error}: take "
            '"float32"'
        ) from error


def _is_grey(codes: Codes) -> bool:
    return bool(((codes.values > 0) & (codes.values < 1)).any())


def _frequencies(model: CVAE, parts: Iterable[Labelled], world: World) -> Frequencies:
    slots = model.decoder.slots
    sums = reduce(
        operator.add, (Sums.of(p.rows.digits, p.rows.values, model.seen(p.labels), model.told, slots) for p in parts)
    )
    sums = sums.over(world.total)
    return Frequencies(sums.logs(slots), sums.ratios(slots), sums.moments())


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
