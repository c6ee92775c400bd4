"""Lower bounds on epsilon, found by attack: to be read beside the ledger's upper bound.

What a ledger says was done is done again, by the code that did it, to a table of canaries; each is in the table or
not, as a coin falls, and an attacker who sees every noisy number guesses which are. No row of anybody's is needed.

An upper bound is proved of a description, a lower bound measured on the code: where the lower one is above, the code
does not do what the ledger says. A lower bound far below proves nothing.

Shapes: N canaries, S steps.
"""

from __future__ import annotations

from collections.abc import Iterable
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
from synthvae.privacy.audit.noise import NoiseCheck, checked
from synthvae.privacy.counts.binning import HALVES
from synthvae.privacy.counts.schema_discovery import ENDED, HELD, VALUED
from synthvae.privacy.ledger import Ledger
from synthvae.schema.values import at_most, rounded_down

FEWEST = 100  # canaries with which anything can be found
UNSEEN = (
    "how rows are read, split, capped for each unit and made to obey the schema before anything is counted; the number "
    "of rows; whether noise repeats in another process; a thousandth less noise than recorded"
)


@dataclass(frozen=True)
class Finding:
    """What one attack found.

    Args:
        audited: What was attacked.
        attack: What the attacker looked for.
        method: Whether rare "errors" or right "guesses" make the bound.
        lower: Epsilon is at least this.
        upper: What it is at most, by the ledger.
    """

    audited: str
    attack: str
    method: Literal["errors", "guesses"]
    lower: float
    upper: float

    @property
    def refuted(self) -> bool:
        """Whether the ledger's bound cannot be true."""
        return self.lower > self.upper

    def __str__(self) -> str:
        verdict = "REFUTED" if self.refuted else "not refuted"
        return (
            f"{self.audited} ({self.attack}, by {self.method}): epsilon at least "
            f"{rounded_down(self.lower):g}, claimed at most {at_most(self.upper)}: {verdict}"
        )


@dataclass(frozen=True)
class Audit:
    """What all attacks found; their lower bounds hold together with the confidence.

    Args:
        findings: Of each attack.
        noise: What checks of the noise found.
        upper: Epsilon of all that was done is at most this, by the ledger.
        delta: The delta of all bounds.
        confidence: That no lower bound is too high; upper bounds need none.
        canaries: How many there were, half of them in the table.
    """

    findings: tuple[Finding, ...]
    noise: tuple[NoiseCheck, ...]
    upper: float
    delta: float
    confidence: float
    canaries: int

    @property
    def lower(self) -> float:
        """Epsilon of all that was done is at least this."""
        return max((finding.lower for finding in self.findings), default=0.0)

    @property
    def refuted(self) -> bool:
        """Whether the code does not do what the ledger says."""
        return any(finding.refuted for finding in self.findings) or any(check.refuted for check in self.noise)

    def as_dict(self) -> dict[str, Any]:
        """The report in plain numbers and words."""
        return {**asdict(self), "lower": self.lower, "refuted": self.refuted}

    def __str__(self) -> str:
        head = (
            f"epsilon between {rounded_down(self.lower):g} (attack: {self.canaries:,} canaries, "
            f"confidence {self.confidence:g}) and {at_most(self.upper)} (ledger), delta {at_most(self.delta)}"
        )
        shown = [*self.findings, *worst(self.noise)]
        return "\n".join([head, *(f"  {found}" for found in shown), f"not seen: {UNSEEN}"])


def worst(checks: Iterable[NoiseCheck]) -> list[NoiseCheck]:
    """The check of each kind, of each event, whose p-value is the least."""
    found: dict[tuple[str, str], NoiseCheck] = {}
    for check in sorted(checks, key=lambda check: check.p_value, reverse=True):
        found[check.event, check.check] = check
    return list(found.values())


def audit(ledger: Ledger, *, canaries: int = 10_000, confidence: float = 0.95) -> Audit:
    """Do again what `ledger` says, to canaries, and see how well an attacker tells which of them there are.

    Args:
        ledger: Of a private model.
        canaries: N; with more, bounds are tighter and take longer.
        confidence: That no lower bound is above what the code spends.

    Raises:
        PrivacyError: Nothing was spent, there are too few canaries to find anything, or the confidence is no chance.
    """
    if not ledger.events or canaries < FEWEST or not 0 < confidence < 1:
        raise PrivacyError(
            f"an audit needs something that was spent, at least {FEWEST} canaries and a confidence between 0 and 1, "
            f"however, there are {len(ledger.events)} events, {canaries=} and {confidence=}"
        )
    present = mechanisms.uniform(canaries) < 0.5
    with one_thread():
        attacks = _attacks(ledger, present)
    noise = [pair for attack in attacks for pair in attack.noise]
    significance, about = (1 - confidence) / (2 * len(attacks) + 3 * len(noise)), ledger.budget.epsilon
    found = []
    for attack in attacks:
        upper = spent(attack.events, ledger.delta, about)
        scores, events = attack.scores, attack.events
        by_errors = from_errors(scores, present, events, ledger.delta, significance, about=about)
        by_guesses = from_guesses(scores, present, ledger.delta, significance)
        found.append(Finding(attack.audited, attack.attack, "errors", by_errors, upper))
        found.append(Finding(attack.audited, attack.attack, "guesses", by_guesses, upper))
    checks = [check for event, numbers in noise for check in checked(event, numbers, significance)]
    return Audit(tuple(found), tuple(checks), ledger.epsilon, ledger.delta, confidence, canaries)


def _attacks(ledger: Ledger, present: Bools) -> list[Attack]:
    """Attacks on the code of every event, and on all together."""
    names = {event.name for event in ledger.events}
    tables = [event for event in ledger.events if event.mechanism == "discrete Gaussian"]
    found = [of_counts(tables, ledger, present)] if tables else []
    for event in ledger.events:
        if event.mechanism == "Poisson-sampled Gaussian":
            found += of_gradients(event, ledger, present)
    once = [attack for attack in found if attack.attack == "likelihood ratio"]
    if len(once) > 1:
        events = [event for attack in once for event in attack.events]
        found.append(Attack("all together", "likelihood ratio", events, np.sum([a.scores for a in once], axis=0)))
    if {HELD, VALUED, ENDED} <= names:
        found += of_discovery(ledger, present)
    if HALVES in names:
        found.append(of_halvings(ledger, present))
    return found
