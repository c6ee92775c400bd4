"""The allocation of a budget: all events of a fit are recorded, by public numbers alone, before any is drawn.

If the noise, the sampling rate or the strategy followed from noisy releases, the events would not compose like those of
a ledger that is fixed beforehand. The one number that determines them and need not be public is that of the rows: where
it is not declared, it is released first, for a small epsilon of its own that is added to all others (`accounting`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from synthvae.errors import PrivacyError
from synthvae.privacy.accounting import calibrated
from synthvae.privacy.budget import PrivacyBudget
from synthvae.privacy.counts import binning
from synthvae.privacy.counts.schema_discovery import SchemaEvents
from synthvae.privacy.curator import Curator
from synthvae.privacy.events import Event
from synthvae.privacy.ledger import Ledger, RecordedEvent
from synthvae.privacy.plan import Plan

ROWS_SHARE = 0.02  # of epsilon, for the number of rows
CLASS_SHARE = 0.01  # of the squared budget, for the counts of the classes
SINGLES_SHARE, SCORES_SHARE = 0.6, 0.05  # of the squared budget, for tables of one column and for choosing edges
MAX_PAIRS = 20_000  # with more pairs none is scored, since counting them would take too long
DOUBT = 2.0  # standard deviations by which the score of an edge must exceed its noise

# The names of events, as ledgers, cards and `synthvae info` show them.
ROWS = "number of rows"
CLASSES = "rows of each class"
SINGLES = "marginals within classes"
SCORES = "distances of column pairs from independence"
PAIRS = "pairwise marginals within classes"
GRADIENTS = "gradients"


@dataclass(frozen=True)
class Scope:
    """The public properties of a table that determine the number of releases.

    Args:
        discovered: Number of columns whose schema is measured; 0 if the schema is declared.
        halvings: Number of halvings of the bounds of columns, all together.
        modelled: Number of columns with more than one state, without a target that is declared to have classes.
    """

    discovered: int
    halvings: int
    modelled: int


@dataclass(frozen=True)
class Allocation:
    """The recorded events of a fit; None: nothing of the kind is released.

    Args:
        rows: The number of rows, as far as it is public.
        schema: For the schema.
        halvings: For bins of numeric columns.
        classes: For the number of rows of each class.
        singles: For a table of each column within classes.
        scores: For the distance of each pair of columns from independence.
        pairs: For a table of each edge of a tree of columns.
        gradients: For the steps of a decoder.
    """

    rows: int
    schema: SchemaEvents | None
    halvings: RecordedEvent | None
    classes: RecordedEvent
    singles: RecordedEvent | None = None
    scores: RecordedEvent | None = None
    pairs: RecordedEvent | None = None
    gradients: RecordedEvent | None = None

    @classmethod
    def record(cls, curator: Curator, scope: Scope, plan: Plan, count_rows: Callable[[], int]) -> Allocation:
        """Record all events of a fit.

        Args:
            curator: The curator that records them: one that releases, or a `DryRun`.
            scope: The public properties of the table.
            plan: How the budget is spent.
            count_rows: Counts the rows. It is called only if the budget declares no number of rows, and by a curator
                that releases: the number leaves with noise.

        Raises:
            PrivacyError: The budget does not suffice, or delta is too large for the number of rows.
        """
        budget = curator.ledger.budget
        counted = curator.record(_rows(budget)) if budget.rows is None else None
        schema = SchemaEvents.record(curator, scope.discovered) if scope.discovered else None
        halvings = curator.record(binning.halvings(curator.ledger, scope.halvings)) if scope.halvings else None
        classes = curator.record(_classes(curator.ledger, scope.modelled))
        known = curator.row_bound(counted, count_rows) if counted else budget.rows or 1
        refuse_delta(budget.delta, known)
        if not scope.modelled:
            return cls(known, schema, halvings, classes)
        if plan.strategy_for(budget, known, scope.modelled) == "tables":
            tables = _tables(curator.ledger, scope.modelled, known)
            return cls(known, schema, halvings, classes, **{kind: curator.record(e) for kind, e in tables.items()})
        singles = curator.record(_starting_tables(curator.ledger, scope.modelled, plan))
        gradients = curator.record(_gradients(curator.ledger, plan, known))
        return cls(known, schema, halvings, classes, singles, gradients=gradients)


def _rows(budget: PrivacyBudget) -> Event:
    return Event(
        name=ROWS,
        mechanism="discrete Laplace",
        noise_multiplier=1 / (ROWS_SHARE * budget.epsilon),
        sensitivity=float(budget.max_rows_of_unit),
        purpose="noise and sampling rate of the other events",
    )


def refuse_delta(delta: float, rows: int) -> None:
    """Refuse a delta that permits to publish a whole row.

    Raises:
        PrivacyError: It is not less than one over the number of rows.
    """
    if delta >= 1 / rows:
        raise PrivacyError(
            f"delta must be less than one over the number of rows (at most about {rows:,}), got {delta:g}. "
            "Promise a smaller one."
        )


def _classes(ledger: Ledger, columns: int) -> Event:
    """A share of the squared budget, all of it where there is nothing else to release."""
    share = CLASS_SHARE if columns else 1.0

    def event(noise: float) -> Event:
        return _counts(ledger, CLASSES, noise, "class frequencies")

    return event(_rest(ledger, lambda noise: [event(noise)]) / share**0.5)


def _starting_tables(ledger: Ledger, columns: int, plan: Plan) -> Event:
    """Together with the classes, the plan's share of epsilon."""

    def event(noise: float) -> Event:
        return _counts(ledger, SINGLES, noise, "initial weights and final marginals of the model", columns)

    share = plan.tables_share * ledger.budget.epsilon
    return event(calibrated(lambda noise: [ledger.events[-1], event(noise)], share, ledger.budget.delta))


def _gradients(ledger: Ledger, plan: Plan, rows: int) -> Event:
    """The rest of the budget."""
    settings = plan.descent

    def event(noise: float) -> Event:
        return Event(
            name=GRADIENTS,
            mechanism="Poisson-sampled Gaussian",
            noise_multiplier=noise,
            sensitivity=settings.clip,
            sampling_rate=min(settings.batch / rows, 1.0),
            times=settings.steps,
            purpose="dependence between columns",
        )

    return event(_rest(ledger, lambda noise: [event(noise)]))


def _tables(ledger: Ledger, columns: int, rows: int) -> dict[str, Event]:
    """The rest of the budget, for tables of one column and, where they can be informative, of pairs."""
    pairs = columns * (columns - 1) // 2

    def singles(noise: float) -> Event:
        return _counts(ledger, SINGLES, noise, "marginals", columns)

    def divided(noise: float) -> dict[str, Event]:
        scores = noise * (pairs / SCORES_SHARE) ** 0.5
        tables = noise * ((columns - 1) / (1 - SINGLES_SHARE - SCORES_SHARE)) ** 0.5
        return {
            "singles": singles(noise * (columns / SINGLES_SHARE) ** 0.5),
            "scores": _counts(ledger, SCORES, scores, "edges of a tree of columns", pairs),
            "pairs": _counts(ledger, PAIRS, tables, "dependence between columns", columns - 1),
        }

    if 0 < pairs <= MAX_PAIRS:
        events = divided(_rest(ledger, lambda noise: list(divided(noise).values())))
        if DOUBT * events["scores"].scale < 2 * rows:  # no distance is larger
            return events
    return {"singles": singles(_rest(ledger, lambda noise: [singles(noise)]))}


def _counts(ledger: Ledger, name: str, noise: float, purpose: str, times: int = 1) -> Event:
    return Event.of_counts(name, ledger.budget.max_rows_of_unit, noise, times=times, purpose=purpose)


def _rest(ledger: Ledger, events: Callable[[float], list[Event]]) -> float:
    """Return the noise multiplier with which events cost the rest of the budget."""
    return calibrated(lambda noise: [*ledger.events, *events(noise)], ledger.budget.epsilon, ledger.budget.delta)
