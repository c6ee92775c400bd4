"""How a budget is divided: every event is recorded by public numbers alone, before any of them is drawn.

Were the noise, the rate of sampling or the strategy chosen by noisy answers, the events would not compose as those of a
ledger that was fixed beforehand do. The one number that settles them and need not be public is that of the rows: where
it is not declared, it is released first, for a small epsilon of its own that is added to all others (`accounting`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from synthvae.errors import PrivacyError
from synthvae.privacy.accounting import calibrated
from synthvae.privacy.budget import PrivacyBudget
from synthvae.privacy.counts import binning
from synthvae.privacy.counts.schema_discovery import Looks
from synthvae.privacy.curator import Curator
from synthvae.privacy.events import Event
from synthvae.privacy.ledger import Ledger, RecordedEvent
from synthvae.privacy.plan import Plan

ROWS_SHARE = 0.02  # of epsilon, for the number of rows
CLASS_SHARE = 0.01  # of the squared budget, for the counts of the classes
SINGLES_SHARE, SCORES_SHARE = 0.6, 0.05  # of the squared budget, for tables of one column and for choosing edges
MOST_PAIRS = 20_000  # of more none is scored: to count them would take too long
DOUBT = 2.0  # standard deviations by which an edge must be known to say something
SINGLES = "one column within classes"


@dataclass(frozen=True)
class Scope:
    """What is public of a table, and settles how often something is released at most.

    Args:
        discovered: Columns whose schema is measured; 0: it is declared.
        halvings: How often the bounds of columns can be halved, all together.
        modelled: Columns with more than one state, but for a target that is declared to have classes.
    """

    discovered: int
    halvings: int
    modelled: int


@dataclass(frozen=True)
class Allocation:
    """The recorded events of a fit; None: there is nothing of the kind to release.

    Args:
        rows: How many rows there are, as far as is public.
        looks: For the schema.
        halvings: For bins of numbers.
        classes: For the number of rows of each class.
        singles: For a table of each column within classes.
        scores: For how far each pair of columns is from independent.
        pairs: For a table of each edge of a tree of columns.
        gradients: For the steps of a decoder.
    """

    rows: int
    looks: Looks | None
    halvings: RecordedEvent | None
    classes: RecordedEvent
    singles: RecordedEvent | None = None
    scores: RecordedEvent | None = None
    pairs: RecordedEvent | None = None
    gradients: RecordedEvent | None = None

    @classmethod
    def record(cls, curator: Curator, scope: Scope, plan: Plan, count_rows: Callable[[], int]) -> Allocation:
        """Record all that a fit releases.

        Args:
            curator: Who records it: one that releases, or a `DryRun`.
            scope: What is public of the table.
            plan: What the budget is for.
            count_rows: Counts the rows. It is called only if the budget declares no number of rows, and by a curator
                that releases: the number leaves with noise.

        Raises:
            PrivacyError: The budget does not suffice, or delta is too large for so many rows.
        """
        budget = curator.ledger.budget
        counted = curator.record(_rows(budget)) if budget.rows is None else None
        looks = Looks.record(curator, scope.discovered) if scope.discovered else None
        cut = curator.record(binning.halvings(curator.ledger, scope.halvings)) if scope.halvings else None
        classes = curator.record(_classes(curator.ledger, scope.modelled))
        known = curator.row_bound(counted, count_rows) if counted else budget.rows or 1
        refuse_delta(budget.delta, known)
        if not scope.modelled:
            return cls(known, looks, cut, classes)
        if plan.strategy_for(budget, known, scope.modelled) == "tables":
            tables = _tables(curator.ledger, scope.modelled, known)
            return cls(known, looks, cut, classes, **{name: curator.record(event) for name, event in tables.items()})
        singles = curator.record(_starting_tables(curator.ledger, scope.modelled, plan))
        gradients = curator.record(_gradients(curator.ledger, plan, known))
        return cls(known, looks, cut, classes, singles, gradients=gradients)


def _rows(budget: PrivacyBudget) -> Event:
    return Event(
        name="number of rows",
        mechanism="discrete Laplace",
        noise_multiplier=1 / (ROWS_SHARE * budget.epsilon),
        sensitivity=float(budget.rows_of_one),
        bought="how the rest is spent",
    )


def refuse_delta(delta: float, rows: int) -> None:
    """Refuse a delta at which a whole row may be told.

    Raises:
        PrivacyError: It is not less than one over the rows.
    """
    if delta >= 1 / rows:
        raise PrivacyError(
            f"delta must be less than one over the number of rows (at most about {rows:,}), however, it is {delta:g}: "
            "promise a smaller one"
        )


def _classes(ledger: Ledger, columns: int) -> Event:
    """A share of the squared budget, all of it where there is nothing else to learn."""
    share = CLASS_SHARE if columns else 1.0
    whole = _rest(ledger, lambda noise: [_counts(ledger, "rows of each class", noise, "shares of the classes")])
    return _counts(ledger, "rows of each class", whole / share**0.5, "shares of the classes")


def _starting_tables(ledger: Ledger, columns: int, plan: Plan) -> Event:
    """With the classes, the plan's share of epsilon."""

    def event(noise: float) -> Event:
        return _counts(ledger, SINGLES, noise, "where the model starts, and the marginals it is matched to", columns)

    share = plan.tables_share * ledger.budget.epsilon
    return event(calibrated(lambda noise: [ledger.events[-1], event(noise)], share, ledger.budget.delta))


def _gradients(ledger: Ledger, plan: Plan, rows: int) -> Event:
    """All that is left."""
    settings = plan.descent

    def event(noise: float) -> Event:
        return Event(
            name="gradients",
            mechanism="Poisson-sampled Gaussian",
            noise_multiplier=noise,
            sensitivity=settings.clip,
            sampling_rate=min(settings.batch / rows, 1.0),
            times=settings.steps,
            bought="how columns depend on each other",
        )

    return event(_rest(ledger, lambda noise: [event(noise)]))


def _tables(ledger: Ledger, columns: int, rows: int) -> dict[str, Event]:
    """All that is left, for tables of one column and, where they can say anything, of pairs."""
    pairs = columns * (columns - 1) // 2

    def singles(noise: float) -> Event:
        return _counts(ledger, SINGLES, noise, "marginals", columns)

    def divided(noise: float) -> dict[str, Event]:
        scores = noise * (pairs / SCORES_SHARE) ** 0.5
        tables = noise * ((columns - 1) / (1 - SINGLES_SHARE - SCORES_SHARE)) ** 0.5
        return {
            "singles": singles(noise * (columns / SINGLES_SHARE) ** 0.5),
            "scores": _counts(ledger, "pairs that are off", scores, "edges of a tree", pairs),
            "pairs": _counts(ledger, "two columns", tables, "how columns depend on each other", columns - 1),
        }

    if 0 < pairs <= MOST_PAIRS:
        events = divided(_rest(ledger, lambda noise: list(divided(noise).values())))
        if DOUBT * events["scores"].scale < 2 * rows:  # no pair is off by more
            return events
    return {"singles": singles(_rest(ledger, lambda noise: [singles(noise)]))}


def _counts(ledger: Ledger, name: str, noise: float, bought: str, times: int = 1) -> Event:
    return Event.of_counts(name, ledger.budget.rows_of_one, noise, times=times, bought=bought)


def _rest(ledger: Ledger, events: Callable[[float], list[Event]]) -> float:
    """The noise multiplier with which events cost all that is left."""
    return calibrated(lambda noise: [*ledger.events, *events(noise)], ledger.budget.epsilon, ledger.budget.delta)
