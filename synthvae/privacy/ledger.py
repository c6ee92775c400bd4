"""What was done to private rows, and what that costs: two things kept apart."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from synthvae.errors import PrivacyError
from synthvae.privacy.budget import PrivacyBudget

ACCOUNTANT = "PLD (dp-accounting)"
ADJACENCY = "add or remove one unit"
GRID = 5e-4  # of privacy losses, relative to epsilon; they are rounded up: what is reported is an upper bound
TOLERANCE = 1e-3  # relative, of a noise multiplier that is looked for
MOST_NOISE = 1e4
ALIKE = 3.0  # scale of counts from which on their sum is a discrete normal number, as far as doubles tell
LARGE = 1000.0  # scale from which on such a number is a normal one, rounded, as far as `_slack` tells
FAR = 16.0  # standard deviations: the chance of more is below 1e-56

Mechanism = Literal["discrete Gaussian", "Poisson-sampled Gaussian"]


class Event(BaseModel):
    """One thing that was done to the rows.

    Args:
        name: What was released.
        mechanism: How noise was added.
        noise_multiplier: Standard deviation of the noise over the L2 sensitivity.
        sensitivity: How far one unit moves what is released, in L2: rows of a count, the clipping norm of a gradient.
        sampling_rate: The chance of each unit to take part.
        times: How often it was done.
        delta: The chance, each time, that something was told that one unit alone has.
        bought: What for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    mechanism: Mechanism
    noise_multiplier: float = Field(gt=0)
    sensitivity: float = Field(gt=0)
    sampling_rate: float = Field(default=1.0, gt=0, le=1)
    times: int = Field(default=1, ge=1)
    delta: float = Field(default=0.0, ge=0, lt=1)
    bought: str = ""

    @classmethod
    def of_counts(cls, name: str, rows: int, noise: float, **facts: Any) -> Self:
        """Counts that one unit moves by so many rows at most, with a noise multiplier."""
        return cls(name=name, mechanism="discrete Gaussian", noise_multiplier=noise, sensitivity=float(rows), **facts)


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
        """The epsilon of all events together, at the budget's delta."""
        return spent(self.events, self.budget.delta, self.budget.epsilon)

    @property
    def delta(self) -> float:
        """The delta at which epsilon is stated."""
        return self.budget.delta

    def record(self, event: Event) -> Self:
        """Return the ledger with one event more; one like the last is that one again.

        Raises:
            PrivacyError: The budget does not suffice.
        """
        last = self.events[-1] if self.events else None
        if last is not None and last == event.model_copy(update={"times": last.times}):  # once more, and no more
            merged = event.model_copy(update={"times": last.times + event.times})
            ledger = self.model_copy(update={"events": (*self.events[:-1], merged)})
        else:
            ledger = self.model_copy(update={"events": (*self.events, event)})
        if ledger.epsilon > self.budget.epsilon:
            raise PrivacyError(
                f"what is spent must stay within epsilon {self.budget.epsilon:g}, however, {event.name!r} would "
                f"make it {ledger.epsilon:.4f}: grant a larger budget"
            )
        return ledger

    def statement(self) -> dict[str, Any]:
        """What is promised and what was spent, in words and numbers, for people."""
        unit = "one row" if self.budget.unit is None else f"the rows of one {self.budget.unit}"
        kept = "" if self.budget.unit is None else f", at most {self.budget.rows_per_unit} used"
        return {
            "epsilon": round(self.epsilon, 4),
            "delta": self.delta,
            "budget": self.budget.epsilon,
            "unit": unit + kept,
            "adjacency": ADJACENCY,
            "accountant": ACCOUNTANT,
            "events": [_line(event) for event in self.events],
        }


def _line(event: Event) -> str:
    often = "" if event.times == 1 else f" x {event.times:,}"
    rate = "" if event.sampling_rate == 1 else f", sampling rate {event.sampling_rate:.4g}"
    delta = "" if event.delta == 0 else f", delta {event.delta:.3g}"
    noise = f"{event.mechanism}, noise multiplier {event.noise_multiplier:.4g}"
    return f"{event.name}{often}: {noise}{rate}{delta} ({event.bought})"


def spent(events: Sequence[Event], delta: float, about: float = 1.0) -> float:
    """Return the epsilon of some events together, an upper bound, fine where it is `about` so much.

    Source: Koskela, Jälkö, Honkela 2020, https://arxiv.org/abs/1906.03049, and Doroshenko et al. 2022, Connect the
    dots, https://arxiv.org/abs/2207.04380: privacy loss distributions, as dp-accounting composes them. The chances that
    events tell what one unit alone has are taken off delta: otherwise they tell of values that both tables have.
    """
    grid = GRID * min(max(about, 0.01), 2.0)
    if not events:
        return 0.0
    delta -= sum(event.times * event.delta for event in events)
    if delta <= 0:
        return math.inf
    slack = sum(_slack(event) for event in events)
    whole = functools.reduce(lambda a, b: a.compose(b), [_loss_distribution(event, grid) for event in events])
    return float(whole.get_epsilon_for_delta(delta * math.exp(-slack))) + 2 * slack


@functools.lru_cache(maxsize=256)
def _loss_distribution(event: Event, grid: float) -> Any:
    """The privacy losses of an event.

    A unit moves the cells of a table of counts by whole numbers that sum to its rows at most. Of all ways to spread
    them, all in one cell costs most, whatever epsilon is (a test holds that), so one shift by all rows is reckoned.
    It is the same with rows in neighbouring tables: where each row is in one table alone, all are one table.
    """
    from dp_accounting.pld import privacy_loss_distribution as losses

    if event.mechanism == "Poisson-sampled Gaussian":
        one = losses.from_gaussian_mechanism(
            event.noise_multiplier, sampling_prob=event.sampling_rate, value_discretization_interval=grid
        )
        return one.self_compose(event.times)
    if _is_large(event):
        multiplier = event.noise_multiplier / event.times**0.5
        return losses.from_gaussian_mechanism(multiplier, value_discretization_interval=grid)
    scale, shift = event.noise_multiplier * event.sensitivity, round(event.sensitivity)
    if scale < ALIKE:
        one = losses.from_discrete_gaussian_mechanism(scale, shift, value_discretization_interval=grid)
        return one.self_compose(event.times)
    # What counts tell together, their sum tells. Sums of discrete normal numbers are such numbers, but for less than
    # 10 n exp(-pi^2 s^2) in log probability, which is past a double's last digit. Source: Kairouz, Liu, Steinke 2021,
    # The distributed discrete Gaussian mechanism, https://arxiv.org/abs/2102.06387.
    whole, moved = scale * event.times**0.5, shift * event.times
    return losses.from_discrete_gaussian_mechanism(whole, moved, value_discretization_interval=grid)


def _is_large(event: Event) -> bool:
    """Whether the noise of all counts together is so large that it is normal, rounded to whole numbers."""
    scale = event.noise_multiplier * event.sensitivity
    return event.mechanism == "discrete Gaussian" and scale >= ALIKE and scale * event.times**0.5 > LARGE


def _slack(event: Event) -> float:
    """How far the log probability of a count is from that of normal noise, rounded, which costs what normal noise does.

    Over x - 1/2 to x + 1/2 the density of scale s is on average between exp(-1 / 8 s^2) and sinh(a) / a < exp(a^2 / 6)
    times that at x, a being x / 2 s^2: at most x^2 / 24 s^4 off, `FAR` being the largest |x| / s that there is.
    """
    whole = event.noise_multiplier * event.sensitivity * event.times**0.5
    return FAR**2 / (24 * whole**2) if _is_large(event) else 0.0


def calibrated(events: Callable[[float], Sequence[Event]], epsilon: float, delta: float) -> float:
    """Return the least noise multiplier, up to a tolerance, with which `events` of it cost at most `epsilon`."""
    high = 4.0
    while spent(events(high), delta, epsilon) > epsilon:
        high *= 2
        if high > MOST_NOISE:
            raise PrivacyError(
                f"a budget must buy something, however, epsilon {epsilon:g} would need noise of more than "
                f"{MOST_NOISE:g} times the sensitivity: grant a larger one"
            )
    low = high / 2  # from above: the less noise, the longer the reckoning
    while spent(events(low), delta, epsilon) <= epsilon:
        low, high = low / 2, low
    while high / low > 1 + TOLERANCE:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if spent(events(middle), delta, epsilon) > epsilon else (low, middle)
    return high
