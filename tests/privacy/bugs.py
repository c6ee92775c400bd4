"""Classic bugs of differential privacy, each with a ledger that it falsifies."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from synthvae.model import Rows
from synthvae.privacy import Event, Ledger, PrivacyBudget, mechanisms
from synthvae.privacy.counts.binning import HALVES
from synthvae.privacy.counts.schema_discovery import SchemaEvents, schema_events
from synthvae.privacy.curator import Curator, Tables
from synthvae.privacy.dpsgd.ghost_clipping import GhostClipping
from synthvae.privacy.dpsgd.poisson import PrivateRows
from synthvae.privacy.ledger import RecordedEvent

SURE = 1 - 1e-5
DELTA = 1e-5

Losses = Callable[[Rows, Tensor], Tensor]
Batches = Iterator[Iterator[tuple[Rows, Tensor]]]


def counted(noise: float, times: int = 1, sensitivity: float = 1.0) -> Event:
    return Event(
        name="counts", mechanism="discrete Gaussian", noise_multiplier=noise, sensitivity=sensitivity, times=times
    )


def descended(noise: float, rate: float, steps: int) -> Event:
    return Event(
        name="gradients",
        mechanism="Poisson-sampled Gaussian",
        noise_multiplier=noise,
        sensitivity=0.5,
        sampling_rate=rate,
        times=steps,
    )


def ledger(*events: Event, unit: str | None = None, rows: int = 1) -> Ledger:
    budget = PrivacyBudget(epsilon=100.0, delta=DELTA, unit=unit, rows_per_unit=rows)
    return Ledger(budget=budget, events=events)


def recorded(event: Event, unit: str | None = None, rows: int = 1) -> RecordedEvent:
    """The event as recorded, whatever it costs."""
    return RecordedEvent(event, ledger(event, unit=unit, rows=rows))


COUNTS = ledger(counted(2.0, times=2))
DESCENT = ledger(descended(2.0, 0.1, 40))
OFTEN = ledger(descended(1.5, 0.2, 40))
EPOCHS = ledger(descended(2.1, 0.1, 400))


class NoiseBug(NamedTuple):
    """A bug that shows in the noise itself, and the check that detects it."""

    name: str
    put_in: Callable[[pytest.MonkeyPatch], None]
    ledger: Ledger
    check: str


class Bug(NamedTuple):
    """A bug, a patch that introduces it, and the ledger and number of canaries of the audit that detects it.

    Right guesses, which give weaker bounds than rare errors, detect it only if `guessed`.
    """

    name: str
    put_in: Callable[[pytest.MonkeyPatch], None]
    ledger: Ledger
    canaries: int = 2000
    guessed: bool = False


def quiet_counts(factor: float) -> Callable[[pytest.MonkeyPatch], None]:
    right = mechanisms._discrete_gaussian
    return lambda patch: patch.setattr(
        mechanisms, "_discrete_gaussian", lambda scale, count: right(factor * scale + 1e-3, count)
    )


def quiet_gradients(factor: float) -> Callable[[pytest.MonkeyPatch], None]:
    right = mechanisms._normal
    return lambda patch: patch.setattr(mechanisms, "_normal", lambda count: factor * right(count))


def counts_again(patch: pytest.MonkeyPatch) -> None:
    """Counts are drawn twice and recorded once."""
    right = Tables.release

    def twice(self: Tables, recorded: RecordedEvent, tables: list[Any]) -> list[Any]:
        again = RecordedEvent(recorded.event, recorded.ledger)
        return [*right(self, recorded, tables), *right(self, again, tables)]

    patch.setattr(Tables, "release", twice)


def gradients_again(patch: pytest.MonkeyPatch) -> None:
    """Each sample's gradients are summed twice before the noise."""
    right = GhostClipping.clipped_sums

    def twice(
        self: GhostClipping, losses: Losses, rows: Rows, labels: Tensor, clip: float
    ) -> tuple[list[Tensor], Tensor]:
        sums, lengths = right(self, losses, rows, labels, clip)
        return [2 * total for total in sums], lengths

    patch.setattr(GhostClipping, "clipped_sums", twice)


def not_clipped(patch: pytest.MonkeyPatch) -> None:
    right = GhostClipping.clipped_sums

    def sums(self: GhostClipping, losses: Losses, rows: Rows, labels: Tensor, _: float) -> tuple[list[Tensor], Tensor]:
        return right(self, losses, rows, labels, math.inf)

    patch.setattr(GhostClipping, "clipped_sums", sums)


def clipped_late(patch: pytest.MonkeyPatch) -> None:
    """The mean gradient is clipped, not the gradient of each row."""
    right = GhostClipping.clipped_sums

    def late(
        self: GhostClipping, losses: Losses, rows: Rows, labels: Tensor, clip: float
    ) -> tuple[list[Tensor], Tensor]:
        sums, lengths = right(self, losses, rows, labels, math.inf)
        mean = torch.cat([total.flatten() for total in sums]).norm() / max(len(labels), 1)
        return [total * (clip / mean).clamp_max(1.0) for total in sums], lengths

    patch.setattr(GhostClipping, "clipped_sums", late)


def fixed_batches(patch: pytest.MonkeyPatch) -> None:
    """Rows are shuffled once and split into batches; the ledger claims Poisson samples."""

    def samples(self: PrivateRows, rate: float, times: int, micro: int) -> Batches:
        split = np.array_split(np.random.default_rng(0).permutation(len(self.labels)), round(1 / rate))
        for step in range(times):
            places = split[step % len(split)]
            yield iter([self.take(places[start : start + micro]) for start in range(0, len(places), micro)])

    patch.setattr(PrivateRows, "samples", samples)


SCHEMA = schema_events(ledger(unit="patient", rows=3), 2, 1.0, 1e-6)
DISCOVERED = ledger(*SCHEMA, unit="patient", rows=3)
HALVED = ledger(Event.of_counts(HALVES, 1, 1.5, times=4))


def released_at_once(patch: pytest.MonkeyPatch) -> None:
    """Values of a single unit are released."""
    patch.setattr(SchemaEvents, "threshold", property(lambda _: 1))


def released_with_less_noise(patch: pytest.MonkeyPatch) -> None:
    """Counts of values have the noise for units of one row."""
    right = Curator.frequent_values

    def frequent(self: Curator, given: RecordedEvent, exact: Callable[[], Any], least: int) -> Any:
        less = given.event.model_copy(update={"noise_multiplier": given.event.noise_multiplier / 3})
        given.take()
        return right(self, RecordedEvent(less, given.ledger.model_copy(update={"events": (less,)})), exact, least)

    patch.setattr(Curator, "frequent_values", frequent)


def same_noise_in_every_step(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(mechanisms, "_normal", functools.lru_cache(mechanisms._normal))


def one_noise_for_two(patch: pytest.MonkeyPatch) -> None:
    right = mechanisms._normal
    patch.setattr(mechanisms, "_normal", lambda count: right(count // 2 + 1).repeat_interleave(2)[:count])


BUGS = (
    Bug("no noise on counts", quiet_counts(0.0), COUNTS, guessed=True),
    Bug("half the noise on counts", quiet_counts(0.5), COUNTS, 3000),
    Bug("counts that are not in the ledger", counts_again, ledger(counted(0.7)), 4000),
    Bug("no noise on gradients", quiet_gradients(0.0), DESCENT, guessed=True),
    Bug("half the noise on gradients", quiet_gradients(0.5), OFTEN),
    Bug("gradients summed twice", gradients_again, OFTEN),
    Bug("gradients not clipped", not_clipped, DESCENT, guessed=True),
    Bug("clipping after averaging", clipped_late, DESCENT, guessed=True),
    Bug("fixed batches counted as Poisson", fixed_batches, EPOCHS, 1500),
    Bug("values of a single unit released", released_at_once, DISCOVERED, 1000),
    Bug("half the noise on halves", quiet_counts(0.5), HALVED, 1500),
)

NOISE_BUGS = (
    NoiseBug("noise that forgets rows per unit", released_with_less_noise, DISCOVERED, "scale"),
    NoiseBug("four fifths of the noise at a rate of a fifth", quiet_gradients(0.8), OFTEN, "scale"),
    NoiseBug("the same noise in every step", same_noise_in_every_step, OFTEN, "from release to release"),
    NoiseBug("one noise for two neighbours", one_noise_for_two, OFTEN, "from cell to cell"),
    NoiseBug("less noise on halves", quiet_counts(0.8), HALVED, "scale"),
)
