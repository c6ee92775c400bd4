"""The ledger: a budget and the events recorded against it. Noise is drawn by a recorded event only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from synthvae.errors import PrivacyError, brief
from synthvae.notebook import html_table
from synthvae.privacy.accounting import spent
from synthvae.privacy.budget import PrivacyBudget
from synthvae.privacy.events import Event
from synthvae.schema.values import at_most, rounded_up

ACCOUNTANT = "PLD (dp-accounting)"
ADJACENCY = "add or remove one unit"


class Ledger(BaseModel):
    """A budget and all events that were recorded against it.

    Args:
        budget: The promise.
        events: The events, in order.

    Example:
        >>> ledger = Ledger(budget=PrivacyBudget(epsilon=1.0, delta=1e-6))
        >>> ledger = ledger.record(Event.of_counts("rows of each class", rows=1, noise=20.0))
        >>> 0 < ledger.epsilon < 1
        True
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    __repr__ = __str__ = brief

    budget: PrivacyBudget
    events: tuple[Event, ...] = ()

    def _repr_html_(self) -> str:
        stated = self.statement()
        rows = [(name, at_most(stated[name])) for name in ("epsilon", "budget", "delta")]
        events = [("spent on", event) for event in stated["events"]]
        return html_table("Differential privacy", [*rows, ("unit", stated["unit"]), *events])

    @property
    def epsilon(self) -> float:
        """The epsilon of all events together, at the budget's delta.

        Where the noise of events follows from a number of rows that was itself released, the bound is the whole budget,
        which holds for any such number.
        """
        if len(self.events) > 1 and any(event.mechanism == "discrete Laplace" for event in self.events):
            return self.budget.epsilon
        return spent(self.events, self.budget.delta, self.budget.epsilon)

    @property
    def delta(self) -> float:
        """The delta at which epsilon is stated."""
        return self.budget.delta

    def record(self, event: Event) -> Self:
        """Return the ledger with one more event.

        Raises:
            PrivacyError: The budget does not suffice.
        """
        ledger = self.model_copy(update={"events": (*self.events, event)})
        cost = spent(ledger.events, self.budget.delta, self.budget.epsilon)
        if cost > self.budget.epsilon:
            raise PrivacyError(
                f"The events of a fit must cost at most epsilon {at_most(self.budget.epsilon)}, got {at_most(cost)} "
                f"with {event.name!r}. Grant a larger budget."
            )
        return ledger

    def statement(self) -> dict[str, Any]:
        """Return the promise and its events in words and numbers, for people; epsilon is rounded up."""
        unit = "one row" if self.budget.unit is None else f"the rows of one {self.budget.unit}"
        used = "" if self.budget.unit is None else f", at most {self.budget.rows_per_unit} used"
        if self.budget.rows_of_tables is not None:
            unit = "one row of a root table with all its rows in the other tables"
            most = ", ".join(f"{most} of {table!r}" for table, most in self.budget.rows_of_tables.items())
            used = f", at most {most} used" if most else ""
        return {
            "epsilon": rounded_up(self.epsilon),
            "delta": self.delta,
            "budget": self.budget.epsilon,
            "unit": unit + used,
            "adjacency": ADJACENCY,
            "accountant": ACCOUNTANT,
            "events": [str(event) for event in self.events],
        }


@dataclass
class RecordedEvent:
    """An event that is in a ledger, with the number of releases that are left: the permission to draw its noise.

    Args:
        event: The event.
        ledger: The ledger that contains it.

    Raises:
        PrivacyError: The ledger does not contain it.
    """

    event: Event
    ledger: Ledger
    left: int = field(init=False)

    def __post_init__(self) -> None:
        if self.event not in self.ledger.events:
            raise PrivacyError(
                f"Noise must be drawn by a recorded event, got {self.event.name!r}, which is in no ledger."
            )
        self.left = self.event.times

    def take(self, times: int = 1) -> None:
        """Use some of the releases that are left.

        Raises:
            PrivacyError: Fewer are left.
        """
        if times > self.left:
            raise PrivacyError(
                f"{self.event.name!r} was recorded for {self.event.times} releases, got a request for "
                f"{times - self.left} more. Record them first."
            )
        self.left -= times
