"""The curator: it holds the ledger, and releases counts of private rows with noise, by recorded events only."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from synthvae.errors import PrivacyError, SynthvaeError
from synthvae.privacy import mechanisms
from synthvae.privacy.budget import PrivacyBudget
from synthvae.privacy.events import Event
from synthvae.privacy.journal import Journal
from synthvae.privacy.ledger import Ledger, RecordedEvent
from synthvae.schema.values import at_most

Counts = npt.NDArray[np.int64]
Variables = tuple[int, ...]  # the variables of a table, by their positions

MARGIN = 3.0  # noise scales added to the number of rows: the bound then fails with probability exp(-3) / 2, 1 in 40


def named(event: str, part: str) -> str:
    """Return the name that an event of a part of a fit has in the ledger of the whole.

    Example:
        >>> named("gradients", "visits")
        'gradients of visits'
    """
    return f"{event} of {part}"


class Curator:
    """Records events in a ledger, and releases counts by recorded events.

    Args:
        ledger: The ledger in which events are recorded.
        journal: Where releases are stored before they are used.

    Attributes:
        drawn: The names of the events by which something was released.
    """

    def __init__(self, ledger: Ledger, journal: Journal | None = None) -> None:
        self.ledger, self.journal = ledger, journal or Journal(None, 0)
        self.drawn: set[str] = set()

    def record(self, event: Event) -> RecordedEvent:
        """Record an event in the ledger.

        Raises:
            PrivacyError: The budget does not suffice.
        """
        self.ledger = self.ledger.record(event)
        return RecordedEvent(event, self.ledger)

    def counts(self, recorded: RecordedEvent, exact: Callable[[], Counts], times: int = 1) -> Counts:
        """Return noisy counts (cells,), or those that the journal holds: one or several releases of an event.

        Args:
            recorded: The event.
            exact: Returns exact counts, which one unit changes by the event's sensitivity at most in each release.
            times: The number of releases.
        """

        def draw() -> list[Tensor]:
            return [torch.from_numpy(mechanisms.noisy_counts(recorded, exact(), times))]

        (released,) = self._released(recorded, times, lambda: self.journal.keep(draw))
        return np.asarray(released.numpy(), np.int64)

    def row_bound(self, recorded: RecordedEvent, exact: Callable[[], int]) -> int:
        """Return an upper bound on the number of rows: one noisy count plus `MARGIN` scales of its noise."""
        (noisy,) = self.counts(recorded, lambda: np.array([exact()], np.int64))
        return max(int(noisy) + math.ceil(MARGIN * recorded.event.scale), 1)

    def frequent_values(
        self, recorded: RecordedEvent, exact: Callable[[], dict[Any, int]], threshold: int
    ) -> dict[Any, int]:
        """Return the values whose noisy count reaches a threshold, with that count; one release of an event.

        Args:
            recorded: The event; its delta is the probability that a value of a single unit is among them.
            exact: Returns the count of each value; one unit changes all together by the event's sensitivity at most.
            threshold: The least noisy count of a value that is released.
        """

        def draw() -> list[tuple[Any, int]]:
            found = exact()
            counts = mechanisms.noisy_counts(recorded, np.array(list(found.values()), np.int64))
            pairs = zip(found, counts.tolist(), strict=True)
            return sorted((pair for pair in pairs if pair[1] >= threshold), key=lambda pair: str(pair[0]))

        return dict(self._released(recorded, 1, lambda: self.journal.keep_json(draw)))

    def _released(self, recorded: RecordedEvent, times: int, keep: Callable[[], Any]) -> Any:
        """Return a release, drawn now or taken from the journal; either uses up releases of the event."""
        left = recorded.left
        self.lend(recorded)
        released = keep()
        if recorded.left == left:  # nothing was drawn: the journal had it
            recorded.take(times)
        return released

    def lend(self, recorded: RecordedEvent) -> RecordedEvent:
        """Hand over an event for drawing; from then on it counts as spent, in the journal as well."""
        self.drawn.add(recorded.event.name)
        self.journal.note(self.ledger)
        return recorded

    @property
    def spent(self) -> Ledger:
        """The ledger with the events by which something was released."""
        return self.ledger.model_copy(update={"events": tuple(e for e in self.ledger.events if e.name in self.drawn)})

    @contextmanager
    def reporting_failures(self) -> Iterator[None]:
        """Add what was spent, and the ledger, to an exception that is raised after a release."""
        try:
            yield
        except BaseException as error:
            if self.drawn:
                _add_spent(error, self.spent)
            raise


class PartCurator(Curator):
    """The curator of a part of a fit, such as one of several tables, with a budget of its own.

    All that it records is in the ledger of the whole as well, before anything is released, and its releases are stored
    in the same journal.

    Args:
        whole: The curator of the whole fit.
        budget: The budget of the part.
        name: The part, by which the whole tells its events from others.
    """

    def __init__(self, whole: Curator, budget: PrivacyBudget, name: str) -> None:
        super().__init__(Ledger(budget=budget), whole.journal)
        self.whole, self.name = whole, name

    def record(self, event: Event) -> RecordedEvent:
        """Record an event in both ledgers.

        Raises:
            PrivacyError: A budget does not suffice.
        """
        self.whole.record(event.model_copy(update={"name": named(event.name, self.name)}))
        return super().record(event)

    def lend(self, recorded: RecordedEvent) -> RecordedEvent:
        """Hand over an event for drawing; from then on it counts as spent by the whole."""
        self.drawn.add(recorded.event.name)
        self.whole.drawn.add(named(recorded.event.name, self.name))
        self.journal.note(self.whole.ledger)
        return recorded

    @contextmanager
    def reporting_failures(self) -> Iterator[None]:
        """Leave it to the whole to say what was spent."""
        yield


class DryRun(Curator):
    """A curator that records events and releases nothing: a plan is the allocation of a fit, made by a dry run.

    Args:
        ledger: The ledger in which events are recorded.
        rows: The number of rows that is assumed where a fit would release a noisy one.
    """

    def __init__(self, ledger: Ledger, rows: int) -> None:
        super().__init__(ledger)
        self.rows = rows

    def row_bound(self, recorded: RecordedEvent, exact: Callable[[], int]) -> int:
        """Return the number of rows that is assumed; nothing is counted."""
        del recorded, exact
        return self.rows

    def lend(self, recorded: RecordedEvent) -> NoReturn:
        """Refuse a release: every release calls this method first.

        Raises:
            PrivacyError: Always.
        """
        raise PrivacyError(f"A dry run releases nothing, got a request for {recorded.event.name!r}.")


def _add_spent(error: BaseException, ledger: Ledger) -> None:
    message = f"epsilon {at_most(ledger.epsilon)} of {at_most(ledger.budget.epsilon)} was spent"
    if isinstance(error, SynthvaeError):
        error.args = (f"{error} ({message})",)
        error.ledger = ledger
    else:
        error.add_note(message)


class Tables:
    """Private rows as states of variables, of which a curator releases contingency tables.

    Args:
        curator: The curator.
        states: The state of each row in each of T variables (rows, T).
        levels: The number of states of each variable (T,).
    """

    def __init__(self, curator: Curator, states: Counts, levels: Sequence[int]) -> None:
        self.curator, self._states, self.levels = curator, states.T, levels

    def release(self, recorded: RecordedEvent, tables: Sequence[Variables]) -> list[Counts]:
        """Return noisy tables of the levels of their variables, each one release of the event."""
        shapes = [self.shape(table) for table in tables]
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
        flat = self.curator.counts(
            recorded, lambda: np.concatenate([self._exact(table).ravel() for table in tables]), len(tables)
        )
        return [part.reshape(shape) for part, shape in zip(np.split(flat, ends), shapes, strict=True)]

    def distances(
        self, recorded: RecordedEvent, tables: Sequence[Variables], guessed: Callable[[int], npt.NDArray[np.float64]]
    ) -> Counts:
        """Return the noisy L1 distance (tables,) of each table from a guess that is rounded to whole rows.

        A row changes the difference in one cell by one, so that a unit changes it by the event's sensitivity at most.

        Args:
            recorded: The event, one release for each table.
            tables: The variables of each table.
            guessed: Returns the guess for a table, by its position; it may depend on rows through releases only.
        """

        def exact() -> Counts:
            off = (np.abs(self._exact(t) - np.rint(guessed(i)).astype(np.int64)).sum() for i, t in enumerate(tables))
            return np.fromiter(off, np.int64)

        return self.curator.counts(recorded, exact, len(tables))

    def shape(self, table: Variables) -> tuple[int, ...]:
        """Return the shape of a table of some variables."""
        return tuple(self.levels[place] for place in table)

    def _exact(self, table: Variables) -> Counts:
        shape = self.shape(table)
        cells = np.ravel_multi_index(tuple(self._states[place] for place in table), shape)
        return np.bincount(cells, minlength=int(np.prod(shape))).reshape(shape)
