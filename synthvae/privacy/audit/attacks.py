"""Attacks on the code that releases counts: it is run on canaries, each of which is present or absent.

Each attack runs the real code on tables of canaries. It returns a score of each canary, high where it seems present,
and the noise of all releases whose exact values the attacker knows.

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
from synthvae.privacy.counts.binning import HALVES, Bisection
from synthvae.privacy.counts.histograms import ELSE, TYPES
from synthvae.privacy.counts.schema_discovery import FREQUENT_VALUES, SHORT_RANGES, VALUE_TYPES, SchemaEvents
from synthvae.privacy.curator import Counts, Curator, Tables
from synthvae.privacy.events import Event
from synthvae.privacy.journal import Journal
from synthvae.privacy.ledger import Ledger, RecordedEvent

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

OTHERS = 3  # rows beside the canary in a table of counts
LEVELS = 4  # halvings of a canary's column
CERTAIN = 10.0  # standard deviations above the threshold of a value that is certain to be released
REVEALED = 50.0  # log likelihood ratio of a canary whose own value is released


@dataclass(frozen=True)
class Attack:
    """The result of an attack.

    Args:
        audited: The code that was attacked.
        attack: The statistic of the attack.
        events: The events that the ledger claims for each canary.
        scores: The score (N,) of each canary.
        noise: For each event, the noise (releases, cells) of its releases.
    """

    audited: str
    attack: str
    events: Sequence[Event]
    scores: Floats
    noise: Sequence[tuple[Event, Floats]] = ()


class _Transcript(Journal):
    """A journal that stores nothing and shows the attacker every release."""

    def __init__(self) -> None:
        super().__init__(None, 0)
        self.releases: list[list[Any]] = []

    def keep(self, draw: Callable[[], list[Any]]) -> list[Any]:
        """Draw a release and remember it."""
        self.releases.append(draw())
        return self.releases[-1]


def recorded(ledger: Ledger, event: Event, copies: int = 1) -> RecordedEvent:
    """Return the event, recorded for `copies` tables side by side, of which each canary is in one."""
    many = event.model_copy(update={"times": event.times * copies})
    return RecordedEvent(many, ledger.model_copy(update={"events": (many,)}))


def of_counts(events: Sequence[Event], ledger: Ledger, present: Bools) -> Attack:
    """Attack noisy counts by log likelihood ratios.

    Each canary has a small table of its own: some rows in the first cell, the canary, if present, in the second. With
    noise proportional to exp(-x^2 / 2 s^2), the log likelihood ratio of a count x that the canary changes by a is
    a (x - x0 - a / 2) / s^2, where x0 is the count without it.

    Args:
        events: The events of the released tables.
        ledger: The ledger with the budget and its unit.
        present: Whether each canary is present (N,).
    """
    scores = np.zeros(len(present))
    noise: list[tuple[Event, Floats]] = []
    for there in (False, True):
        chosen = np.flatnonzero(present == there)
        cells = np.repeat([0, there], [OTHERS, there * ledger.budget.max_rows_of_unit])
        for event in events:
            width = len(chosen) * event.times
            tables = Tables(Curator(ledger), np.repeat(cells[:, None], width, 1), [2] * width)
            wanted = [(place,) for place in range(width)]
            released = np.reshape(tables.release(recorded(ledger, event, len(chosen)), wanted), (-1, len(chosen), 2))
            scores[chosen] += ratio(released[:, :, 1], 0, event).sum(0)
            without = released - [OTHERS, there * ledger.budget.max_rows_of_unit]
            noise.append((event, without.reshape(event.times, -1).astype(float)))
    return Attack("noisy counts", "likelihood ratio", events, scores, noise)


def ratio(counts: Counts, without: int, event: Event) -> Floats:
    """Return the log likelihood ratios of counts that a canary changes by the event's sensitivity."""
    return np.asarray(event.sensitivity * (counts - without - event.sensitivity / 2) / event.scale**2)


def of_discovery(ledger: Ledger, present: Bools) -> list[Attack]:
    """Attack the discovery of a schema by its counts, and by values of the canary alone.

    The counts are those of value types and of a frequent value. Each canary has a column of its own; the events that
    are audited are those of one column.
    """
    events = [
        event for name in (VALUE_TYPES, FREQUENT_VALUES, SHORT_RANGES) for event in ledger.events if event.name == name
    ]
    once = [event.model_copy(update={"times": 1}) for event in events]
    return [_of_discovery(ledger, once, present, lone=lone) for lone in (False, True)]


def _of_discovery(ledger: Ledger, events: list[Event], present: Bools, *, lone: bool) -> Attack:
    types, values, _ = events
    scores, noise = np.zeros(len(present)), []
    for there in (False, True):
        chosen = np.flatnonzero(present == there)
        schema_events = SchemaEvents(*(recorded(ledger, event, len(chosen)) for event in events))
        base = schema_events.threshold + math.ceil(CERTAIN * values.scale) + math.ceil(schema_events.sure)
        own = [f"own {i}" if lone else "shared" for i in range(there * ledger.budget.max_rows_of_unit)]
        column = pa.array(["shared"] * base + own)
        journal = _Transcript()
        table = pa.table([column] * len(chosen), [f"c{i}" for i in range(len(chosen))])
        schema_discovery.discover(table, None, Curator(ledger, journal), schema_events)
        (typed,), *encoded = journal.releases
        counts = typed.numpy().reshape(-1, TYPES)
        frequent = [dict(json.loads(release.numpy().tobytes())) for (release,) in encoded]
        shared = np.array([found.get("shared", base) for found in frequent])
        scores[chosen] += ratio(counts[:, ELSE], base, types)
        if lone:
            scores[chosen] += REVEALED * np.array([any(value != "shared" for value in found) for found in frequent])
        else:
            scores[chosen] += ratio(shared, base, values)
        exact = np.where(np.arange(TYPES) == ELSE, base + len(own), 0)
        noise += [(types, (counts - exact).astype(float))]
        noise += [(values, (shared - base - (0 if lone else len(own))).astype(float)[None])]
    statistic = "a value of its own" if lone else "counts"
    return Attack("schema discovery, one column", statistic, [types, values], scores, noise)


Counted = Callable[[Floats, Counts], Floats]
"""A function that returns the numbers of the rows that a fit counts, given those of all rows and their units."""


def of_halvings(event: Event, ledger: Ledger, present: Bools, rows: int = 1, counted: Counted | None = None) -> Attack:
    """Attack bins of numeric columns by the counts of the halves in which the canary would lie.

    Each canary has a column of its own, whose bounds are halved a few times.

    Args:
        event: The event of the counts.
        ledger: The ledger with the budget and its unit.
        present: Whether each canary is present (N,).
        rows: The number of rows of a unit.
        counted: Which of them a fit counts; None: all.
    """
    depth, size = min(event.times, LEVELS), round(event.sensitivity)
    done = event.model_copy(update={"times": depth})
    scores, noise = np.zeros(len(present)), []
    for there in (False, True):
        units = np.arange(OTHERS + there).repeat(rows)
        numbers = np.where(units < OTHERS, 2.0**depth - 1, 0.0)
        for canary in np.flatnonzero(present == there):
            own = numbers if counted is None else counted(numbers, units)
            journal, bisection, replayed = _Transcript(), _bisection(depth), _bisection(depth)
            binning.bisect({"x": bisection}, {"x": own}, Curator(ledger, journal), recorded(ledger, done))
            for level, (released,) in enumerate(journal.releases, start=1):
                counts, children = released.numpy(), replayed.children
                scores[canary] += ratio(counts[children == 0], 0, event).sum()
                exact = there * size * (children == 0) + OTHERS * size * (children == 2**level - 1)
                noise.append(counts - exact)
                replayed.split(level, counts)
    audited = "bins of one column" if event.name == HALVES else f"bins of one column, {event.name}"
    return Attack(audited, "likelihood ratio", [done], scores, [(event, np.concatenate(noise)[None])])


def _bisection(depth: int) -> Bisection:
    return Bisection.between(0.0, 2.0**depth - 1, 0)
