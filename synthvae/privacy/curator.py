"""Who releases what private rows say: a count leaves with noise, by a recorded event, or not at all."""

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
from synthvae.privacy.events import Event
from synthvae.privacy.journal import Journal
from synthvae.privacy.ledger import Ledger, RecordedEvent
from synthvae.schema.values import at_most

Counts = npt.NDArray[np.int64]
Variables = tuple[int, ...]  # which ones a table is of

MARGIN = 3.0  # noise scales added to the number of rows: the bound then fails with probability exp(-3) / 2, 1 in 40


class Curator:
    """Records events in a ledger, and releases counts by recorded events.

    Args:
        ledger: Where events are recorded.
        journal: Where noisy numbers are kept before anybody uses them.
    """

    def __init__(self, ledger: Ledger, journal: Journal | None = None) -> None:
        self.ledger, self.journal = ledger, journal or Journal(None, 0)
        self.drawn: set[str] = set()  # names of the events by which something was released

    def record(self, event: Event) -> RecordedEvent:
        """Enter an event in the ledger, and in the journal's copy of it.

        Raises:
            PrivacyError: The budget does not suffice.
        """
        self.ledger = self.ledger.record(event)
        return RecordedEvent(event, self.ledger)

    def counts(self, recorded: RecordedEvent, exact: Callable[[], Counts], times: int = 1) -> Counts:
        """Return noisy counts (cells,), or those that the journal kept: so many releases of an event.

        Args:
            recorded: What they cost.
            exact: Counts, which one unit moves by the event's sensitivity at most in each of the releases.
            times: How many releases they are.
        """

        def draw() -> list[Tensor]:
            return [torch.from_numpy(mechanisms.noisy_counts(recorded, exact(), times))]

        (released,) = self._kept(recorded, times, lambda: self.journal.keep(draw))
        return np.asarray(released.numpy(), np.int64)

    def row_bound(self, recorded: RecordedEvent, exact: Callable[[], int]) -> int:
        """Return an upper bound on the number of rows: one noisy count plus `MARGIN` scales of its noise."""
        (noisy,) = self.counts(recorded, lambda: np.array([exact()], np.int64))
        return max(int(noisy) + math.ceil(MARGIN * recorded.event.scale), 1)

    def frequent(self, recorded: RecordedEvent, exact: Callable[[], dict[Any, int]], least: int) -> dict[Any, int]:
        """Return the values, and their noisy counts, that have at least so many; one release of an event.

        Args:
            recorded: What it costs; its delta is the chance that a value of one unit alone is among them.
            exact: How often each value occurs; one unit moves all together by the event's sensitivity at most.
            least: The least noisy count of a value that is released.
        """

        def draw() -> list[tuple[Any, int]]:
            found = exact()
            counts = mechanisms.noisy_counts(recorded, np.array(list(found.values()), np.int64))
            pairs = zip(found, counts.tolist(), strict=True)
            return sorted((pair for pair in pairs if pair[1] >= least), key=lambda pair: str(pair[0]))

        return dict(self._kept(recorded, 1, lambda: self.journal.keep_page(draw)))

    def _kept(self, recorded: RecordedEvent, times: int, keep: Callable[[], Any]) -> Any:
        """What is released, drawn now or before: either takes releases of the event."""
        left = recorded.left
        self.lend(recorded)
        released = keep()
        if recorded.left == left:  # nothing was drawn: the journal had it
            recorded.take(times)
        return released

    def lend(self, recorded: RecordedEvent) -> RecordedEvent:
        """Hand a recorded event to who draws by it; from then on it counts as spent."""
        self.drawn.add(recorded.event.name)
        self.journal.note(self.ledger)
        return recorded

    @property
    def spent(self) -> Ledger:
        """The ledger with the events by which something was released."""
        return self.ledger.model_copy(update={"events": tuple(e for e in self.ledger.events if e.name in self.drawn)})

    @contextmanager
    def accountable(self) -> Iterator[None]:
        """Whatever fails after a release says what was spent, and carries the ledger."""
        try:
            yield
        except BaseException as error:
            if self.drawn:
                _say(error, self.spent)
            raise


class DryRun(Curator):
    """A curator that records events and releases nothing: a plan is the allocation of a fit, made by a dry run.

    Args:
        ledger: Where events are recorded.
        rows: The number of rows assumed where a fit would release a noisy one.
    """

    def __init__(self, ledger: Ledger, rows: int) -> None:
        super().__init__(ledger)
        self.rows = rows

    def row_bound(self, recorded: RecordedEvent, exact: Callable[[], int]) -> int:
        """Return the number of rows that is assumed; nothing is counted."""
        del recorded, exact
        return self.rows

    def lend(self, recorded: RecordedEvent) -> NoReturn:
        """Refuse: every release passes here.

        Raises:
            PrivacyError: Always.
        """
        raise PrivacyError(f"A dry run releases nothing, got a request for {recorded.event.name!r}.")


def _say(error: BaseException, ledger: Ledger) -> None:
    said = f"epsilon {at_most(ledger.epsilon)} of {at_most(ledger.budget.epsilon)} was spent"
    if isinstance(error, SynthvaeError):
        error.args = (f"{error} ({said})",)
        error.ledger = ledger
    else:
        error.add_note(said)


class Tables:
    """Private rows as states, of which a curator releases tables.

    Args:
        curator: Who releases.
        states: A row's state in each of T variables (rows, T).
        levels: How many states each has (T,).
    """

    def __init__(self, curator: Curator, states: Counts, levels: Sequence[int]) -> None:
        self.curator, self._states, self.levels = curator, states.T, levels

    def release(self, recorded: RecordedEvent, tables: Sequence[Variables]) -> list[Counts]:
        """Return noisy tables, each of the levels of its variables and one release of the event."""
        shapes = [self.shape(table) for table in tables]
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
        flat = self.curator.counts(
            recorded, lambda: np.concatenate([self._exact(table).ravel() for table in tables]), len(tables)
        )
        return [part.reshape(shape) for part, shape in zip(np.split(flat, ends), shapes, strict=True)]

    def distances(
        self, recorded: RecordedEvent, tables: Sequence[Variables], guessed: Callable[[int], npt.NDArray[np.float64]]
    ) -> Counts:
        """Return noisy numbers (tables,): by how many rows each table differs from whole numbers near a guess.

        A row moves the difference in one cell by one, so that a unit moves it by the event's sensitivity at most.

        Args:
            recorded: What they cost, one release for each table.
            tables: The variables of each.
            guessed: The guess at a table, by its place; it must not depend on rows but by what was released.
        """

        def exact() -> Counts:
            off = (np.abs(self._exact(t) - np.rint(guessed(i)).astype(np.int64)).sum() for i, t in enumerate(tables))
            return np.fromiter(off, np.int64)

        return self.curator.counts(recorded, exact, len(tables))

    def shape(self, table: Variables) -> tuple[int, ...]:
        """The shape of a table of some variables."""
        return tuple(self.levels[place] for place in table)

    def _exact(self, table: Variables) -> Counts:
        shape = self.shape(table)
        cells = np.ravel_multi_index(tuple(self._states[place] for place in table), shape)
        return np.bincount(cells, minlength=int(np.prod(shape))).reshape(shape)
