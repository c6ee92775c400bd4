"""What was promised, and what was recorded of it. Nothing is drawn but by a recorded event."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from synthvae.errors import PrivacyError
from synthvae.privacy.accounting import spent
from synthvae.privacy.budget import PrivacyBudget
from synthvae.privacy.events import Event
from synthvae.schema.values import at_most, rounded_up

ACCOUNTANT = "PLD (dp-accounting)"
ADJACENCY = "add or remove one unit"


class Ledger(BaseModel):
    """A budget and all that was spent of it.

    Args:
        budget: The promise.
        events: What was done, in order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    budget: PrivacyBudget
    events: tuple[Event, ...] = ()

    @property
    def epsilon(self) -> float:
        """The epsilon of all events together, at the budget's delta.

        Where the noise of events follows a number of rows that was itself released, the bound holds for the whole
        budget, for whatever that number is, and is stated as such.
        """
        if len(self.events) > 1 and any(event.mechanism == "discrete Laplace" for event in self.events):
            return self.budget.epsilon
        return spent(self.events, self.budget.delta, self.budget.epsilon)

    @property
    def delta(self) -> float:
        """The delta at which epsilon is stated."""
        return self.budget.delta

    def record(self, event: Event) -> Self:
        """Return the ledger with one event more.

        Raises:
            PrivacyError: The budget does not suffice.
        """
        ledger = self.model_copy(update={"events": (*self.events, event)})
        cost = spent(ledger.events, self.budget.delta, self.budget.epsilon)
        if cost > self.budget.epsilon:
            raise PrivacyError(
                f"what is spent must stay within epsilon {at_most(self.budget.epsilon)}, however, {event.name!r} would "
                f"make it {at_most(cost)}: grant a larger budget"
            )
        return ledger

    def statement(self) -> dict[str, Any]:
        """What is promised and what was spent, in words and numbers, for people; epsilon is rounded up."""
        unit = "one row" if self.budget.unit is None else f"the rows of one {self.budget.unit}"
        kept = "" if self.budget.unit is None else f", at most {self.budget.rows_per_unit} used"
        return {
            "epsilon": rounded_up(self.epsilon),
            "delta": self.delta,
            "budget": self.budget.epsilon,
            "unit": unit + kept,
            "adjacency": ADJACENCY,
            "accountant": ACCOUNTANT,
            "events": [str(event) for event in self.events],
        }


@dataclass
class RecordedEvent:
    """An event that stands in a ledger: what a release needs, and can be drawn by as often as was recorded.

    Args:
        event: The event.
        ledger: Where it stands.

    Raises:
        PrivacyError: It does not stand there.
    """

    event: Event
    ledger: Ledger
    left: int = field(init=False)

    def __post_init__(self) -> None:
        if self.event not in self.ledger.events:
            raise PrivacyError(f"noise is drawn by a recorded event, however, {self.event.name!r} is in no ledger")
        self.left = self.event.times

    def take(self, times: int = 1) -> None:
        """Use some of its releases.

        Raises:
            PrivacyError: There are not so many left.
        """
        if times > self.left:
            raise PrivacyError(
                f"{self.event.name!r} was recorded for {self.event.times} releases, however, there would be "
                f"{times - self.left} more: record them"
            )
        self.left -= times
