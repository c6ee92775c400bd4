"""Lower bounds on epsilon, found by attack: to be read beside the ledger's upper bound.

What a ledger says was done is done again, by the code that did it, to a table of canaries; each is in the table or
not, as a coin falls, and an attacker who sees every noisy number guesses which are. No row of anybody's is needed.

An upper bound is proved of a description, a lower bound measured on the code: where the lower one is above, the code
does not do what the ledger says. A lower bound far below proves nothing.

Shapes: N canaries, S steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

import numpy as np
import torch
from scipy.special import logsumexp
from torch import Tensor, nn

from synthvae.errors import PrivacyError
from synthvae.model import CVAE, ModelConfig, Rows
from synthvae.privacy import mechanisms
from synthvae.privacy.bounds import Bools, Counts, Floats, from_errors, from_guesses
from synthvae.privacy.dpsgd import MICRO_BATCH, PrivateDescent, Spending
from synthvae.privacy.ledger import Event, Ledger, spent
from synthvae.privacy.plan import Descending
from synthvae.privacy.releases import Curator
from synthvae.threads import one_thread

LENGTH = 10.0  # of a canary's gradient over the clipping norm: what is not clipped is seen
OTHERS = 3  # rows beside the canary in a table of counts
BESIDE = 64  # numbers of canaries side by side in one row of a table: what is looked up stays small
FEWEST = 100  # canaries with which anything can be found


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
            f"{self.audited} ({self.attack}, by {self.method}): epsilon at least {self.lower:.3f}, "
            f"claimed at most {self.upper:.3f}: {verdict}"
        )


@dataclass(frozen=True)
class Audit:
    """What all attacks found; their lower bounds hold together with the confidence.

    Args:
        findings: Of each attack.
        upper: Epsilon of all that was done is at most this, by the ledger.
        delta: The delta of all bounds.
        confidence: That no lower bound is too high; upper bounds need none.
        canaries: How many there were, half of them in the table.
    """

    findings: tuple[Finding, ...]
    upper: float
    delta: float
    confidence: float
    canaries: int

    @property
    def lower(self) -> float:
        """Epsilon of all that was done is at least this."""
        return max(finding.lower for finding in self.findings)

    @property
    def refuted(self) -> bool:
        """Whether the code does not do what the ledger says."""
        return any(finding.refuted for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """The report in plain numbers and words."""
        return {**asdict(self), "lower": self.lower, "refuted": self.refuted}

    def __str__(self) -> str:
        head = (
            f"epsilon between {self.lower:.3f} (attack: {self.canaries:,} canaries, confidence {self.confidence:g}) "
            f"and {self.upper:.3f} (ledger), delta {self.delta:g}"
        )
        return "\n".join([head, *(f"  {finding}" for finding in self.findings)])


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
    significance, about = (1 - confidence) / (2 * len(attacks)), ledger.budget.epsilon
    found = []
    for audited, attack, events, scores in attacks:
        upper = spent(events, ledger.delta, about)
        by_errors = from_errors(scores, present, events, ledger.delta, significance, about=about)
        by_guesses = from_guesses(scores, present, ledger.delta, significance)
        found.append(Finding(audited, attack, "errors", by_errors, upper))
        found.append(Finding(audited, attack, "guesses", by_guesses, upper))
    return Audit(tuple(found), ledger.epsilon, ledger.delta, confidence, canaries)


Attack = tuple[str, str, Sequence[Event], Floats]


def _attacks(ledger: Ledger, present: Bools) -> list[Attack]:
    """What was attacked and how, the events that it cost, and the scores (N,) of the canaries."""
    tables = [event for event in ledger.events if event.mechanism == "discrete Gaussian"]
    gradients = [event for event in ledger.events if event.mechanism != "discrete Gaussian"]
    found: list[Attack] = []
    total = np.zeros(len(present))
    if tables:
        scores = of_counts(tables, ledger, present)
        total += scores
        found.append(("noisy counts", "likelihood ratio", tables, scores))
    for event in gradients:
        seen = follow(event, ledger, present)
        scores = sampled_ratios(seen, event)
        total += scores
        found.append((event.name, "likelihood ratio", [event], scores))
        if event.sampling_rate < 1 <= event.sampling_rate * event.times:
            found.append((event.name, "once an epoch, in the same batch", [event], batch_ratios(seen, event)))
    if len(ledger.events) > 1 and gradients:
        found.append(("all together", "likelihood ratio", ledger.events, total))
    return found


def of_counts(events: Sequence[Event], ledger: Ledger, present: Bools) -> Floats:
    """Return the log likelihood ratios (N,) of noisy counts, each of a table with or without the canary.

    Each canary has a small table of its own: some rows in the first cell, the canary, if it is there, in the second.
    Noise that is proportional to exp(-x^2 / 2 s^2) makes the ratio of a cell that the canary moves by a linear in the
    count x: a (x - x0 - a / 2) / s^2, x0 being the count without it.

    Args:
        events: What is released, one table after the other.
        ledger: Whose budget and unit hold.
        present: Whether each canary is there (N,).
    """
    scores = np.zeros(len(present))
    for there in (False, True):
        chosen = np.flatnonzero(present == there)
        owners = np.concatenate([np.arange(OTHERS), np.full(there * ledger.budget.rows_of_one, OTHERS)])
        cells = (owners[:, None] == OTHERS).repeat(len(chosen) * max(event.times for event in events), 1)
        curator = _curator(ledger, cells.astype(np.int64), owners)
        for event in events:
            width = len(chosen) * event.times
            released = np.reshape(curator.counts(event, [(place,) for place in range(width)]), (-1, len(chosen), 2))
            moved = np.array([0.0, event.sensitivity])
            scale = event.noise_multiplier * event.sensitivity
            scores[chosen] += (moved * (released - [OTHERS, 0] - moved / 2) / scale**2).sum((0, 2))
    return scores


def _curator(ledger: Ledger, cells: Counts, owners: Counts) -> Curator:
    """Who holds rows of `owners` (rows,), who are their conditions as well, as if nothing had been spent.

    Of `cells` (rows, T), each in one of two, tables are counted.
    """
    units = owners if ledger.budget.unit else None
    nothing = np.empty((len(owners), 0), np.int8)
    levels = [2] * cells.shape[1]
    return Curator(cells, levels, nothing, owners, units, ledger=ledger.model_copy(update={"events": ()}))


class _Canaries(nn.Module):
    """In a decoder's place: the gradient of a row is that of its own canary's number alone, and too long."""

    def __init__(self, canaries: int, length: float) -> None:
        super().__init__()
        self.start, self.tables, self.length = nn.Identity(), nn.Identity(), length
        self.numbers = nn.Embedding(-(-canaries // BESIDE), BESIDE)

    def log_prob(self, rows: Rows, z: Tensor, labels: Tensor) -> Tensor:
        """Return numbers (1, B) of the canaries `labels` (B,)."""
        del rows, z
        own = self.numbers(labels // BESIDE).gather(1, (labels % BESIDE)[:, None])
        return torch.as_tensor(-self.length * own.T)


class _CanaryModel(nn.Module):
    """In a model's place."""

    def __init__(self, canaries: int, length: float) -> None:
        super().__init__()
        self.config, self.decoder = ModelConfig(decoder="autoregressive"), _Canaries(canaries, length)


def follow(event: Event, ledger: Ledger, present: Bools) -> Floats:
    """Return what is seen of each canary at each step of private descent (S, N), in clipping norms.

    It is 1 with noise where the canary is in the sample, and noise elsewhere: its gradient points where no other's
    does. Source: Nasr et al. 2023, https://arxiv.org/abs/2302.07956 ("Dirac canaries", white box).
    """
    owners = np.flatnonzero(present).repeat(ledger.budget.rows_of_one)
    rows = _curator(ledger, np.empty((len(owners), 0), np.int64), owners).sampled(event)
    settings = Descending(steps=event.times, clip=event.sensitivity)
    run = PrivateDescent(
        cast("CVAE", _CanaryModel(len(present), LENGTH * event.sensitivity)),
        rows.samples(event.sampling_rate, event.times, MICRO_BATCH),
        Spending(event, settings, max(len(owners), 1), ledger.budget.rows_of_one),
    )
    scale = run.optimizer.expected_batch_size / event.sensitivity
    seen: list[Floats] = []

    def see(step: int, steps: int, loss: float) -> None:
        del step, steps, loss
        (gradient,) = (parameter.grad for parameter in run.parameters)
        assert gradient is not None
        seen.append(scale * gradient.flatten()[: len(present)].double().numpy())

    run.go(see)
    if len(seen) < event.times:
        raise KeyboardInterrupt  # which the loop takes for a wish to stop learning
    return np.stack(seen)


def sampled_ratios(seen: Floats, event: Event) -> Floats:
    """Return the log likelihood ratios (N,) of canaries of which `seen` (S, N) is seen, each step a sample of its own.

    Source: Mironov, Talwar, Zhang 2019, Rényi differential privacy of the sampled Gaussian mechanism,
    https://arxiv.org/abs/1908.10530, section 3: N(0, s^2) against (1 - q) N(0, s^2) + q N(1, s^2).
    """
    rate = event.sampling_rate
    inside = np.log(rate) + _ratios(seen, event)
    return np.asarray((np.logaddexp(math.log1p(-rate), inside) if rate < 1 else inside).sum(0))


def batch_ratios(seen: Floats, event: Event) -> Floats:
    """Return the log likelihood ratios (N,) of canaries that are in one of 1 / rate fixed batches, once an epoch."""
    batches = min(max(round(1 / event.sampling_rate), 1), len(seen))
    epochs = _ratios(seen, event)[: len(seen) // batches * batches].reshape(-1, batches, seen.shape[1])
    return np.asarray(logsumexp(epochs.sum(0), axis=0) - math.log(batches))


def _ratios(seen: Floats, event: Event) -> Floats:
    return (seen - 0.5) / event.noise_multiplier**2
