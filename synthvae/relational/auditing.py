"""The audit of a private fit of linked tables: its events are repeated on canaries that are subjects with several rows.

Counts and gradients of the root table are attacked as those of a single table are, see `synthvae.privacy.audit`. Those
of a child table are attacked with all rows of each canary: counts must use one of them, and all of them together must
be clipped to one norm.

Shapes: N canaries, S steps.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from synthvae.codes import Codes
from synthvae.encoding.layout import Layout
from synthvae.errors import PrivacyError
from synthvae.privacy import Descending, Event, Ledger
from synthvae.privacy.allocation import GRADIENTS
from synthvae.privacy.audit import audit as attacked
from synthvae.privacy.audit.attacks import (
    OTHERS,
    Attack,
    Bools,
    Floats,
    of_counts,
    of_halvings,
    ratio,
    recorded,
)
from synthvae.privacy.audit.audit import Audit, together
from synthvae.privacy.audit.gradient_attacks import BESIDE, LENGTH, noisy_gradients, of_gradients
from synthvae.privacy.counts.binning import HALVES
from synthvae.privacy.curator import Counts, Curator, named
from synthvae.privacy.dpsgd.poisson import some_of_each
from synthvae.privacy.dpsgd.trainer import Spending
from synthvae.relational.database_synthesizer import DatabaseSynthesizer
from synthvae.relational.network import SequenceBatch, SequenceNetwork
from synthvae.relational.private_counts import MARGINALS, counted_states
from synthvae.relational.private_descent import PrivateSequenceDescent
from synthvae.relational.sequences import Family, Sequences

MOST_ROWS = 8  # of a canary in a child table: with more, an attack takes longer and finds no more
TOGETHER = 64  # canaries whose columns are counted together
BASE, DIGITS = 64, 4  # of a canary's number


def audit(
    synthesizer: DatabaseSynthesizer | str | os.PathLike[str], *, canaries: int = 10_000, confidence: float = 0.95
) -> Audit:
    """Repeat the events of a private fit of linked tables on canaries, and bound epsilon by how well they are found.

    Args:
        synthesizer: The fitted synthesizer, or the directory of a saved one.
        canaries: The number of canaries: subjects, each present with probability one half, with as many rows in a child
            table as a fit uses, up to 8.
        confidence: The probability that no lower bound is above the epsilon that the code spends.

    Raises:
        PrivacyError: It was fitted without a budget, there are too few canaries, or the confidence is not between 0
            and 1.
        NotFittedError: There is no model yet.
        ArtifactError: The directory is not a model of linked tables.
    """
    if not isinstance(synthesizer, DatabaseSynthesizer):
        synthesizer = DatabaseSynthesizer.load(synthesizer)
    ledger = synthesizer.ledger_
    if ledger is None:
        raise PrivacyError(
            "An audit needs a model with a ledger, got one that was fitted without `privacy`. Fit it with a budget."
        )
    return attacked(ledger, canaries=canaries, confidence=confidence, attacks=_attacks)


def _attacks(ledger: Ledger, present: Bools) -> list[Attack]:
    """The attacks on the code of each event of linked tables, and on all events together."""
    caps = ledger.budget.rows_of_tables or {}
    events = {event.name: event for event in ledger.events}
    of_children = {named(what, name) for name in caps for what in (HALVES, MARGINALS, GRADIENTS)}
    found, halvings = _on_root([event for name, event in events.items() if name not in of_children], ledger, present)
    for name, cap in caps.items():
        rows = min(cap, MOST_ROWS)
        halved, marginals, gradients = (events.get(named(what, name)) for what in (HALVES, MARGINALS, GRADIENTS))
        counts = [event for event in (halved, marginals) if event is not None]
        found += [of_counts_of_subjects(counts, ledger, present, rows)] if counts else []
        found += [] if gradients is None else of_gradients(gradients, ledger, present, partial(follow, rows=rows))
        halvings += [] if halved is None else [of_halvings(halved, ledger, present, rows, one_of_each)]
    return [*found, *together(found), *halvings]


def _on_root(events: Sequence[Event], ledger: Ledger, present: Bools) -> tuple[list[Attack], list[Attack]]:
    """The attacks on the events of the root table, and those on its bins."""
    counts = [event for event in events if event.mechanism == "discrete Gaussian"]
    found = [of_counts(counts, ledger, present)] if counts else []
    for event in events:
        if event.mechanism == "Poisson-sampled Gaussian":
            found += of_gradients(event, ledger, present)
    halved = [event for event in events if event.name.startswith(named(HALVES, ""))]
    return found, [of_halvings(event, ledger, present) for event in halved]


def one_of_each(numbers: Floats, subjects: Counts) -> Floats:
    """Return the numbers of the rows that a fit counts: of one random row of each subject."""
    return np.asarray(numbers[some_of_each(subjects, 1)])


def of_counts_of_subjects(events: Sequence[Event], ledger: Ledger, present: Bools, rows: int) -> Attack:
    """Attack noisy counts of a child table by log likelihood ratios; see `attacks.of_counts`.

    Each canary has a column of its own, which is 1 in all its rows and 0 in those of other subjects.

    Args:
        events: The events of the counts.
        ledger: The ledger with the budget.
        present: Whether each canary is present (N,).
        rows: The number of rows of a canary.
    """
    scores = np.zeros(len(present))
    noise = []
    for event in events:
        found = [
            _counted(event, ledger, present[start : start + TOGETHER], rows)
            for start in range(0, len(present), TOGETHER)
        ]
        released, exact = (np.concatenate(parts, 1) for parts in zip(*found, strict=True))
        scores += ratio(released[:, :, 1], 0, event).sum(0)
        noise.append((event, (released - exact).reshape(event.times, -1).astype(float)))
    return Attack("noisy counts of subjects", "likelihood ratio", events, scores, noise)


def _counted(event: Event, ledger: Ledger, present: Bools, rows: int) -> tuple[Counts, Counts]:
    """The released and the exact counts (releases, canaries, 2) of the columns of some canaries."""
    width = len(present)
    layout = Layout.from_levels({str(canary): 2 for canary in range(width)}, {}, set())
    own = np.concatenate([np.zeros((OTHERS, width), np.int8), np.eye(width, dtype=np.int8)[present]])
    subjects = np.arange(len(own)).repeat(rows)
    permission, curator = recorded(ledger, event, width), Curator(ledger)
    released = [
        list(counted_states(layout, own[subjects], subjects, curator, permission).values()) for _ in range(event.times)
    ]
    ones = own.sum(0).astype(np.int64)
    exact = np.stack([len(own) - ones, ones], 1)
    return np.array(released), np.broadcast_to(exact, (event.times, *exact.shape))


class _CanaryNetwork(nn.Module):
    """A network whose only parameter has a number for each canary."""

    def __init__(self, canaries: int) -> None:
        super().__init__()
        self.memory, self.numbers = nn.Identity(), nn.Embedding(-(-canaries // BESIDE), BESIDE)


class _CanaryDescent(PrivateSequenceDescent):
    """The descent of a fit, with a loss whose gradient is, for each row, that of its canary."""

    def losses(self, batch: SequenceBatch) -> Tensor:
        """Return the losses (N,) of rows, whose digits are those of the numbers of their canaries."""
        canary = batch.rows.digits.long() @ BASE ** torch.arange(DIGITS)
        own = cast("_CanaryNetwork", self.network).numbers(canary // BESIDE).gather(1, (canary % BESIDE)[:, None])
        return cast("Tensor", LENGTH * self.settings.clip * own[:, 0])


def follow(event: Event, ledger: Ledger, present: Bools, *, rows: int) -> Floats:
    """Return the noisy gradient of each canary at each step (S, N), in clipping norms; see `gradient_attacks.follow`.

    Each row of a canary has a gradient that is longer than the clipping norm, all in one direction.

    Args:
        event: The event of the gradients of a child table.
        ledger: The ledger with the budget.
        present: Whether each canary is present (N,).
        rows: The number of rows of a canary.
    """
    owners = np.flatnonzero(present).repeat(rows)
    numbers = (owners[:, None] // BASE ** np.arange(DIGITS) % BASE).astype(np.int8)
    coded, clock = (Codes(n, np.empty((len(owners), 0), np.float32), owners) for n in (numbers, numbers[:, :0]))
    subjects = np.arange(present.sum()).repeat(rows)
    sequences = Sequences(Family(subjects, subjects), coded, clock, (), (), ())
    settings = Descending(steps=event.times, clip=event.sensitivity)
    spending = Spending(recorded(ledger, event), settings, max(int(present.sum()), 1), 1)
    network: Any = _CanaryNetwork(len(present))
    return noisy_gradients(_CanaryDescent(cast("SequenceNetwork", network), sequences, spending), event, len(present))
