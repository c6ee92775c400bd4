"""Attacks on the code that releases private rows: canaries, each there or not, and what an attacker sees of them.

Each attack runs the real code on tables of canaries, and gives each canary a score, high where it seems there, and the
noise of all releases of which the attacker knows what they were without it.

Shapes: N canaries, S steps.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.special import logsumexp
from torch import Tensor, nn

from synthvae.model import CVAE, ModelConfig, Rows
from synthvae.privacy import discovery, partition
from synthvae.privacy.curator import Counts, Curator, Tables
from synthvae.privacy.discovery import ENDED, HELD, VALUED, Looks
from synthvae.privacy.dpsgd import MICRO_BATCH, PrivateDescent, Spending
from synthvae.privacy.events import Event
from synthvae.privacy.journal import Journal
from synthvae.privacy.ledger import Ledger, RecordedEvent
from synthvae.privacy.looks import ELSE, SORTS
from synthvae.privacy.partition import HALVES, Ruler
from synthvae.privacy.plan import Descending
from synthvae.privacy.sampling import PrivateRows

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

LENGTH = 10.0  # of a canary's gradient over the clipping norm: what is not clipped is seen
OTHERS = 3  # rows beside the canary in a table of counts
BESIDE = 64  # numbers of canaries side by side in one row of a table: what is looked up stays small
LEVELS = 4  # halvings of a canary's column
PLAIN = 10.0  # standard deviations above the threshold of a value that everybody knows to be told
TOLD = 50.0  # log likelihood ratio of a canary whose own value is told


@dataclass(frozen=True)
class Attack:
    """What an attack saw.

    Args:
        audited: What was attacked.
        attack: What the attacker looked for.
        events: What was done, by the ledger, to each canary.
        scores: A score (N,) of each canary.
        noise: For each event, the noise (releases, cells) that its releases had.
    """

    audited: str
    attack: str
    events: Sequence[Event]
    scores: Floats
    noise: Sequence[tuple[Event, Floats]] = ()


class _Watched(Journal):
    """Keeps nothing, and shows the attacker every release."""

    def __init__(self) -> None:
        super().__init__(None, 0)
        self.seen: list[list[Tensor]] = []

    def keep(self, draw: Callable[[], list[Tensor]]) -> list[Tensor]:
        """Draw a release, and remember it."""
        self.seen.append(draw())
        return self.seen[-1]


def _recorded(ledger: Ledger, event: Event, copies: int = 1) -> RecordedEvent:
    """The event, recorded for so many tables beside each other, of which each canary is in one."""
    many = event.model_copy(update={"times": event.times * copies})
    return RecordedEvent(many, ledger.model_copy(update={"events": (many,)}))


def of_counts(events: Sequence[Event], ledger: Ledger, present: Bools) -> Attack:
    """Attack noisy counts by log likelihood ratios.

    Each canary has a small table of its own: some rows in the first cell, the canary, if it is there, in the second.
    Noise that is proportional to exp(-x^2 / 2 s^2) makes the ratio of a cell that the canary moves by a linear in the
    count x: a (x - x0 - a / 2) / s^2, x0 being the count without it.

    Args:
        events: What is released, one table after the other.
        ledger: Whose budget and unit hold.
        present: Whether each canary is there (N,).
    """
    scores = np.zeros(len(present))
    noise: list[tuple[Event, Floats]] = []
    for there in (False, True):
        chosen = np.flatnonzero(present == there)
        cells = np.repeat([0, there], [OTHERS, there * ledger.budget.rows_of_one])
        for event in events:
            width = len(chosen) * event.times
            tables = Tables(Curator(ledger), np.repeat(cells[:, None], width, 1), [2] * width)
            asked = [(place,) for place in range(width)]
            released = np.reshape(tables.release(_recorded(ledger, event, len(chosen)), asked), (-1, len(chosen), 2))
            scores[chosen] += _ratio(released[:, :, 1], 0, event).sum(0)
            without = released - [OTHERS, there * ledger.budget.rows_of_one]
            noise.append((event, without.reshape(event.times, -1).astype(float)))
    return Attack("noisy counts", "likelihood ratio", events, scores, noise)


def _ratio(counts: Counts, without: int, event: Event) -> Floats:
    """The log likelihood ratios of counts that a canary moves by the event's sensitivity."""
    return np.asarray(event.sensitivity * (counts - without - event.sensitivity / 2) / event.scale**2)


def of_discovery(ledger: Ledger, present: Bools) -> list[Attack]:
    """Attack the discovery of a schema by its counts, and by values that the canary alone has.

    The counts are those of what a column holds and of a value that many share. Each canary has a column of its own;
    claimed is what the ledger says of one column.
    """
    events = [event for name in (HELD, VALUED, ENDED) for event in ledger.events if event.name == name]
    once = [event.model_copy(update={"times": 1}) for event in events]
    return [_of_discovery(ledger, once, present, lone=lone) for lone in (False, True)]


def _of_discovery(ledger: Ledger, events: list[Event], present: Bools, *, lone: bool) -> Attack:
    held, valued, _ = events
    scores, noise = np.zeros(len(present)), []
    for there in (False, True):
        chosen = np.flatnonzero(present == there)
        looked = Looks(*(_recorded(ledger, event, len(chosen)) for event in events))
        base = looked.least + math.ceil(PLAIN * valued.scale) + math.ceil(looked.sure)
        own = [f"own {i}" if lone else "shared" for i in range(there * ledger.budget.rows_of_one)]
        column = pa.array(["shared"] * base + own)
        journal = _Watched()
        table = pa.table([column] * len(chosen), [f"c{i}" for i in range(len(chosen))])
        discovery.discover(table, None, Curator(ledger, journal), looked)
        (sorts,), *pages = journal.seen
        counts = sorts.numpy().reshape(-1, SORTS)
        told = [dict(json.loads(page.numpy().tobytes())) for (page,) in pages]
        shared = np.array([page.get("shared", base) for page in told])
        scores[chosen] += _ratio(counts[:, ELSE], base, held)
        if lone:
            scores[chosen] += TOLD * np.array([any(value != "shared" for value in page) for page in told])
        else:
            scores[chosen] += _ratio(shared, base, valued)
        exact = np.where(np.arange(SORTS) == ELSE, base + len(own), 0)
        noise += [(held, (counts - exact).astype(float))]
        noise += [(valued, (shared - base - (0 if lone else len(own))).astype(float)[None])]
    what = "a value of its own" if lone else "counts"
    return Attack("schema discovery, one column", what, [held, valued], scores, noise)


def of_halvings(ledger: Ledger, present: Bools) -> Attack:
    """Attack bins of numbers by the counts of the halves in which the canary would lie.

    Each canary has a column of its own, whose bounds are halved a few times.
    """
    (event,) = (event for event in ledger.events if event.name == HALVES)
    depth = min(event.times, LEVELS)
    done = event.model_copy(update={"times": depth})
    scores, noise = np.zeros(len(present)), []
    for there in (False, True):
        own = np.zeros(there * ledger.budget.rows_of_one)
        numbers = np.concatenate([np.full(OTHERS, 2.0**depth - 1), own])
        for canary in np.flatnonzero(present == there):
            journal, ruler, shown = _Watched(), _ruler(depth), _ruler(depth)
            partition.grow({"x": ruler}, {"x": numbers}, Curator(ledger, journal), _recorded(ledger, done))
            for level, (seen,) in enumerate(journal.seen, start=1):
                counts, children = seen.numpy(), shown.children
                scores[canary] += _ratio(counts[children == 0], 0, event).sum()
                exact = np.where(children == 0, len(own), 0) + np.where(children == 2**level - 1, OTHERS, 0)
                noise.append(counts - exact)
                shown.grow(level, counts)
    return Attack("bins of one column", "likelihood ratio", [done], scores, [(event, np.concatenate(noise)[None])])


def _ruler(depth: int) -> Ruler:
    return Ruler.over(0.0, 2.0**depth - 1, 0)


class _Canaries(nn.Module):
    """In a decoder's place: the gradient of a row is that of its own canary's number alone, and too long."""

    def __init__(self, canaries: int, length: float) -> None:
        super().__init__()
        self.start, self.tables, self.length = nn.Identity(), nn.Identity(), length
        self.numbers = nn.Embedding(-(-canaries // BESIDE), BESIDE)

    def log_prob(self, rows: Rows, z: Tensor, labels: Tensor) -> Tensor:
        """Return numbers (1, B) of the canaries `labels` (B,)."""
        del rows, z
        own = self.numbers(labels // BESIDE).gather(1, (labels % BESIDE)[:, None])
        return cast("Tensor", -self.length * own.T)


class _CanaryModel(nn.Module):
    """In a model's place."""

    def __init__(self, canaries: int, length: float) -> None:
        super().__init__()
        self.config, self.decoder = ModelConfig(decoder="autoregressive"), _Canaries(canaries, length)


def follow(event: Event, ledger: Ledger, present: Bools) -> Floats:
    """Return what is seen of each canary at each step of private descent (S, N), in clipping norms.

    It is 1 with noise where the canary is in the sample, and noise elsewhere: its gradient points where no other's
    does. Source: Nasr et al. 2023, https://arxiv.org/abs/2302.07956 ("Dirac canaries", white box).
    """
    cap = ledger.budget.rows_of_one
    owners = np.flatnonzero(present).repeat(cap)
    rows = PrivateRows.of(np.empty((len(owners), 0), np.int8), owners, owners, cap)
    settings = Descending(steps=event.times, clip=event.sensitivity)
    run = PrivateDescent(
        cast("CVAE", _CanaryModel(len(present), LENGTH * event.sensitivity)),
        rows.samples(event.sampling_rate, event.times, MICRO_BATCH),
        Spending(_recorded(ledger, event), settings, max(len(owners), 1), cap),
    )
    scale = run.optimizer.expected_batch_size / event.sensitivity
    seen: list[Floats] = []

    def see(step: int, steps: int, loss: float) -> None:
        del step, steps, loss
        (gradient,) = (parameter.grad for parameter in run.parameters)
        assert gradient is not None
        seen.append(scale * gradient.flatten()[: len(present)].double().numpy())

    run.go(see)
    if len(seen) < event.times:
        raise KeyboardInterrupt  # which the loop takes for a wish to stop learning
    return np.stack(seen)


def of_gradients(event: Event, ledger: Ledger, present: Bools) -> list[Attack]:
    """Attack noisy gradients: each step a sample of its own, or the same batch once an epoch."""
    seen = follow(event, ledger, present)
    noise = [(event, event.sensitivity * seen[:, ~present])]
    found = [Attack(event.name, "likelihood ratio", [event], sampled_ratios(seen, event), noise)]
    if event.sampling_rate < 1 <= event.sampling_rate * event.times:
        found.append(Attack(event.name, "once an epoch, in the same batch", [event], batch_ratios(seen, event)))
    return found


def sampled_ratios(seen: Floats, event: Event) -> Floats:
    """Return the log likelihood ratios (N,) of canaries of which `seen` (S, N) is seen, each step a sample of its own.

    Source: Mironov, Talwar, Zhang 2019, Rényi differential privacy of the sampled Gaussian mechanism,
    https://arxiv.org/abs/1908.10530, section 3: N(0, s^2) against (1 - q) N(0, s^2) + q N(1, s^2).
    """
    rate = event.sampling_rate
    inside = np.log(rate) + _ratios(seen, event)
    return np.asarray((np.logaddexp(math.log1p(-rate), inside) if rate < 1 else inside).sum(0))


def batch_ratios(seen: Floats, event: Event) -> Floats:
    """Return the log likelihood ratios (N,) of canaries that are in one of 1 / rate fixed batches, once an epoch."""
    batches = min(max(round(1 / event.sampling_rate), 1), len(seen))
    epochs = _ratios(seen, event)[: len(seen) // batches * batches].reshape(-1, batches, seen.shape[1])
    return np.asarray(logsumexp(epochs.sum(0), axis=0) - math.log(batches))


def _ratios(seen: Floats, event: Event) -> Floats:
    return (seen - 0.5) / event.noise_multiplier**2
