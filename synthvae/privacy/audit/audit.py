"""The audit: lower bounds on epsilon by attack, to be compared with the ledger's upper bound.

The events of a ledger are repeated, by the code of a fit, on a table of canaries. Each canary is present with
probability one half, and an attacker who has every noisy number guesses which are. No real row is needed.

The upper bound is proved for a description, the lower bound is measured on the code: if the lower bound is above, the
code does not do what the ledger states. A lower bound far below proves nothing.

Shapes: N canaries, S steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from synthvae.devices import one_thread
from synthvae.errors import PrivacyError
from synthvae.privacy import mechanisms
from synthvae.privacy.accounting import spent
from synthvae.privacy.audit.attacks import Attack, Bools, of_counts, of_discovery, of_halvings
from synthvae.privacy.audit.bounds import from_errors, from_guesses
from synthvae.privacy.audit.gradient_attacks import of_gradients
from synthvae.privacy.audit.noise import NoiseCheck, check_noise
from synthvae.privacy.counts.binning import HALVES
from synthvae.privacy.counts.schema_discovery import FREQUENT_VALUES, SHORT_RANGES, VALUE_TYPES
from synthvae.privacy.ledger import Ledger
from synthvae.schema.values import at_most, rounded_down

FEWEST = 100  # canaries; with fewer nothing is found
NOT_AUDITED = (
    "how rows are read, split, capped for each unit and made to obey the schema before anything is counted; the number "
    "of rows; whether noise repeats in another process; a thousandth less noise than recorded"
)


@dataclass(frozen=True)
class Finding:
    """The bounds of one attack.

    Args:
        audited: The code that was attacked.
        attack: The statistic of the attack.
        method: Whether the bound rests on rare "errors" or right "guesses".
        lower: The lower bound on epsilon, by the attack.
        upper: The upper bound on epsilon, by the ledger.
    """

    audited: str
    attack: str
    method: Literal["errors", "guesses"]
    lower: float
    upper: float

    @property
    def refuted(self) -> bool:
        """Whether the lower bound is above the ledger's bound."""
        return self.lower > self.upper

    def __str__(self) -> str:
        verdict = "REFUTED" if self.refuted else "not refuted"
        return (
            f"{self.audited} ({self.attack}, by {self.method}): epsilon at least "
            f"{rounded_down(self.lower):g}, claimed at most {at_most(self.upper)}: {verdict}"
        )


@dataclass(frozen=True)
class Audit:
    """The result of an audit; all lower bounds hold together with the confidence.

    Args:
        findings: The bounds of each attack.
        noise: The checks of the noise.
        upper: The upper bound on epsilon of all events together, by the ledger.
        delta: The delta of all bounds.
        confidence: The probability that no lower bound is too high; upper bounds are certain.
        canaries: The number of canaries, of which about half are present.
    """

    findings: tuple[Finding, ...]
    noise: tuple[NoiseCheck, ...]
    upper: float
    delta: float
    confidence: float
    canaries: int

    @property
    def lower(self) -> float:
        """The largest lower bound on epsilon."""
        return max((finding.lower for finding in self.findings), default=0.0)

    @property
    def refuted(self) -> bool:
        """Whether the code does not do what the ledger states."""
        return any(finding.refuted for finding in self.findings) or any(check.refuted for check in self.noise)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a dict of numbers and strings."""
        return {**asdict(self), "lower": self.lower, "refuted": self.refuted}

    def __str__(self) -> str:
        head = (
            f"epsilon between {rounded_down(self.lower):g} (attack: {self.canaries:,} canaries, "
            f"confidence {self.confidence:g}) and {at_most(self.upper)} (ledger), delta {at_most(self.delta)}"
        )
        shown = [*self.findings, *worst(self.noise)]
        return "\n".join([head, *(f"  {found}" for found in shown), f"not audited: {NOT_AUDITED}"])


def worst(checks: Iterable[NoiseCheck]) -> list[NoiseCheck]:
    """Return the check with the least p-value of each kind and each event."""
    found: dict[tuple[str, str], NoiseCheck] = {}
    for check in sorted(checks, key=lambda check: check.p_value, reverse=True):
        found[check.event, check.check] = check
    return list(found.values())


Attacks = Callable[[Ledger, Bools], list[Attack]]
"""A function that returns attacks on the code of the events of a ledger, given which canaries are present."""


def audit(ledger: Ledger, *, canaries: int = 10_000, confidence: float = 0.95, attacks: Attacks | None = None) -> Audit:
    """Repeat the events of a ledger on canaries, and bound epsilon by how well an attacker tells which are present.

    Args:
        ledger: The ledger of a private model.
        canaries: The number N of canaries; with more, bounds are tighter and take longer.
        confidence: The probability that no lower bound is above the epsilon that the code spends.
        attacks: The attacks on the code of the fit; None: those on fits of single tables.

    Raises:
        PrivacyError: The ledger has no event, there are too few canaries, or the confidence is not between 0 and 1; or
            it is the ledger of linked tables, which `synthvae.relational.auditing.audit` audits.

    Example:
        >>> from synthvae.privacy import Event, Ledger, PrivacyBudget
        >>> ledger = Ledger(budget=PrivacyBudget(epsilon=1.0, delta=1e-6))
        >>> ledger = ledger.record(Event.of_counts("rows of each class", rows=1, noise=20.0))
        >>> audit(ledger, canaries=200, confidence=0.999999).refuted
        False
    """
    if not ledger.events or canaries < FEWEST or not 0 < confidence < 1:
        raise PrivacyError(
            f"An audit needs a ledger with events, at least {FEWEST} canaries and a confidence between 0 and 1, got "
            f"{len(ledger.events)} events, {canaries=} and {confidence=}."
        )
    if attacks is None and ledger.budget.rows_of_tables is not None:
        raise PrivacyError(
            "An audit of a ledger needs one of a single table, got one of linked tables, whose units are subjects with "
            "several rows. Pass the model to `synthvae.relational.auditing.audit`."
        )
    present = mechanisms.uniform(canaries) < 0.5
    with one_thread():
        done = (attacks or _attacks)(ledger, present)
    noise = [pair for attack in done for pair in attack.noise]
    significance, about = (1 - confidence) / (2 * len(done) + 3 * len(noise)), ledger.budget.epsilon
    found = []
    for attack in done:
        upper = spent(attack.events, ledger.delta, about)
        scores, events = attack.scores, attack.events
        by_errors = from_errors(scores, present, events, ledger.delta, significance, about=about)
        by_guesses = from_guesses(scores, present, ledger.delta, significance)
        found.append(Finding(attack.audited, attack.attack, "errors", by_errors, upper))
        found.append(Finding(attack.audited, attack.attack, "guesses", by_guesses, upper))
    checks = [check for event, numbers in noise for check in check_noise(event, numbers, significance)]
    return Audit(tuple(found), tuple(checks), ledger.epsilon, ledger.delta, confidence, canaries)


def _attacks(ledger: Ledger, present: Bools) -> list[Attack]:
    """The attacks on the code of each event of a single table, and on all events together."""
    names = {event.name for event in ledger.events}
    tables = [event for event in ledger.events if event.mechanism == "discrete Gaussian"]
    found = [of_counts(tables, ledger, present)] if tables else []
    for event in ledger.events:
        if event.mechanism == "Poisson-sampled Gaussian":
            found += of_gradients(event, ledger, present)
    found += together(found)
    if {VALUE_TYPES, FREQUENT_VALUES, SHORT_RANGES} <= names:
        found += of_discovery(ledger, present)
    halvings, rows = [event for event in ledger.events if event.name == HALVES], ledger.budget.max_rows_of_unit
    return found + [of_halvings(event, ledger, present, rows) for event in halvings]


def together(found: Sequence[Attack]) -> list[Attack]:
    """Return the attack by all likelihood ratios of some attacks, if there are several; no two share an event."""
    once = [attack for attack in found if attack.attack == "likelihood ratio"]
    if len(once) < 2:
        return []
    events = [event for attack in once for event in attack.events]
    return [Attack("all together", "likelihood ratio", events, np.sum([a.scores for a in once], axis=0))]
