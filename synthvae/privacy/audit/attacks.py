"""Attacks on the code that releases counts of private rows: canaries, each there or not, and what is seen of them.

Each attack runs the real code on tables of canaries, and gives each canary a score, high where it seems there, and the
noise of all releases of which the attacker knows what they were without it.

Shapes: N canaries.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from synthvae.privacy.counts import binning, schema_discovery
from synthvae.privacy.counts.binning import HALVES, Ruler
from synthvae.privacy.counts.histograms import ELSE, SORTS
from synthvae.privacy.counts.schema_discovery import ENDED, HELD, VALUED, Looks
from synthvae.privacy.curator import Counts, Curator, Tables
from synthvae.privacy.events import Event
from synthvae.privacy.journal import Journal
from synthvae.privacy.ledger import Ledger, RecordedEvent

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

OTHERS = 3  # rows beside the canary in a table of counts
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
        self.seen: list[list[Any]] = []

    def keep(self, draw: Callable[[], list[Any]]) -> list[Any]:
        """Draw a release, and remember it."""
        self.seen.append(draw())
        return self.seen[-1]


def recorded(ledger: Ledger, event: Event, copies: int = 1) -> RecordedEvent:
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
            released = np.reshape(tables.release(recorded(ledger, event, len(chosen)), asked), (-1, len(chosen), 2))
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
        looked = Looks(*(recorded(ledger, event, len(chosen)) for event in events))
        base = looked.least + math.ceil(PLAIN * valued.scale) + math.ceil(looked.sure)
        own = [f"own {i}" if lone else "shared" for i in range(there * ledger.budget.rows_of_one)]
        column = pa.array(["shared"] * base + own)
        journal = _Watched()
        table = pa.table([column] * len(chosen), [f"c{i}" for i in range(len(chosen))])
        schema_discovery.discover(table, None, Curator(ledger, journal), looked)
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
            binning.grow({"x": ruler}, {"x": numbers}, Curator(ledger, journal), recorded(ledger, done))
            for level, (seen,) in enumerate(journal.seen, start=1):
                counts, children = seen.numpy(), shown.children
                scores[canary] += _ratio(counts[children == 0], 0, event).sum()
                exact = np.where(children == 0, len(own), 0) + np.where(children == 2**level - 1, OTHERS, 0)
                noise.append(counts - exact)
                shown.grow(level, counts)
    return Attack("bins of one column", "likelihood ratio", [done], scores, [(event, np.concatenate(noise)[None])])


def _ruler(depth: int) -> Ruler:
    return Ruler.over(0.0, 2.0**depth - 1, 0)
