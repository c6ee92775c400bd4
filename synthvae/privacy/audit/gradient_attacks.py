"""Attacks on the code that releases gradients: canaries with mutually orthogonal gradients.

Shapes: N canaries, S steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import numpy as np
from scipy.special import logsumexp
from torch import Tensor, nn

from synthvae.model import CVAE, ModelConfig, Rows
from synthvae.privacy.audit.attacks import Attack, Bools, Floats, recorded
from synthvae.privacy.dpsgd.poisson import PrivateRows
from synthvae.privacy.dpsgd.trainer import MICRO_BATCH, NoisyDescent, PrivateDescent, Spending
from synthvae.privacy.events import Event
from synthvae.privacy.ledger import Ledger
from synthvae.privacy.plan import Descending

LENGTH = 10.0  # norm of a canary's gradient over the clipping norm, so that missing clipping shows
BESIDE = 64  # canaries in one row of an embedding, which keeps its gradients small


class _Canaries(nn.Module):
    """A decoder whose gradient for a row is that of the row's own canary, and longer than the clipping norm."""

    def __init__(self, canaries: int, length: float) -> None:
        super().__init__()
        self.start, self.tables, self.length = nn.Identity(), nn.Identity(), length
        self.numbers = nn.Embedding(-(-canaries // BESIDE), BESIDE)

    def log_prob(self, rows: Rows, z: Tensor, labels: Tensor) -> Tensor:
        """Return the numbers (1, B) of the canaries `labels` (B,)."""
        del rows, z
        own = self.numbers(labels // BESIDE).gather(1, (labels % BESIDE)[:, None])
        return cast("Tensor", -self.length * own.T)


class _CanaryModel(nn.Module):
    """A model with such a decoder."""

    def __init__(self, canaries: int, length: float) -> None:
        super().__init__()
        self.config, self.decoder = ModelConfig(decoder="autoregressive"), _Canaries(canaries, length)


def follow(event: Event, ledger: Ledger, present: Bools) -> Floats:
    """Return the noisy gradient of each canary at each step of DP-SGD (S, N), in clipping norms.

    It is 1 plus noise where the canary is in the sample, and noise elsewhere, since the gradients of canaries are
    orthogonal. Source: Nasr et al. 2023, https://arxiv.org/abs/2302.07956 ("Dirac canaries", white box).
    """
    cap = ledger.budget.max_rows_of_unit
    owners = np.flatnonzero(present).repeat(cap)
    rows = PrivateRows.of(np.empty((len(owners), 0), np.int8), owners, owners, cap)
    settings = Descending(steps=event.times, clip=event.sensitivity)
    run = PrivateDescent(
        cast("CVAE", _CanaryModel(len(present), LENGTH * event.sensitivity)),
        rows.samples(event.sampling_rate, event.times, MICRO_BATCH),
        Spending(recorded(ledger, event), settings, max(len(owners), 1), cap),
    )
    return noisy_gradients(run, event, len(present))


def noisy_gradients(run: NoisyDescent, event: Event, canaries: int) -> Floats:
    """Return the noisy gradient of each canary at each step of a descent (S, N), in clipping norms.

    Args:
        run: The descent, of a model whose only parameter has one number for each canary, and then unused ones.
        event: Its event.
        canaries: The number N of canaries.
    """
    scale = run.optimizer.expected_batch_size / event.sensitivity
    observed: list[Floats] = []

    def observe(step: int, steps: int, loss: float) -> None:
        del step, steps, loss
        (gradient,) = (parameter.grad for parameter in run.parameters)
        assert gradient is not None
        observed.append(scale * gradient.flatten()[:canaries].double().numpy())

    run.run(observe)
    if len(observed) < event.times:
        raise KeyboardInterrupt  # the loop treats an interrupt as a request to stop early
    return np.stack(observed)


Follow = Callable[[Event, Ledger, Bools], Floats]
"""A function that returns what `follow` does, by the code of another descent."""


def of_gradients(event: Event, ledger: Ledger, present: Bools, follow: Follow = follow) -> list[Attack]:
    """Attack noisy gradients, assuming an independent sample in each step, or one batch that returns once an epoch.

    Args:
        event: The event of the gradients.
        ledger: The ledger with the budget and its unit.
        present: Whether each canary is present (N,).
        follow: Runs the descent on the canaries.
    """
    observed = follow(event, ledger, present)
    noise = [(event, event.sensitivity * observed[:, ~present])]
    found = [Attack(event.name, "likelihood ratio", [event], sampled_ratios(observed, event), noise)]
    if event.sampling_rate < 1 <= event.sampling_rate * event.times:
        found.append(Attack(event.name, "once an epoch, in the same batch", [event], batch_ratios(observed, event)))
    return found


def sampled_ratios(observed: Floats, event: Event) -> Floats:
    """Return the log likelihood ratios (N,) of canaries from noisy gradients (S, N), with independent Poisson samples.

    Source: Mironov, Talwar, Zhang 2019, Rényi differential privacy of the sampled Gaussian mechanism,
    https://arxiv.org/abs/1908.10530, section 3: N(0, s^2) against (1 - q) N(0, s^2) + q N(1, s^2).
    """
    rate = event.sampling_rate
    inside = np.log(rate) + _ratios(observed, event)
    return np.asarray((np.logaddexp(math.log1p(-rate), inside) if rate < 1 else inside).sum(0))


def batch_ratios(observed: Floats, event: Event) -> Floats:
    """Return the log likelihood ratios (N,) of canaries that are in one of 1 / rate fixed batches, once an epoch."""
    batches = min(max(round(1 / event.sampling_rate), 1), len(observed))
    epochs = _ratios(observed, event)[: len(observed) // batches * batches].reshape(-1, batches, observed.shape[1])
    return np.asarray(logsumexp(epochs.sum(0), axis=0) - math.log(batches))


def _ratios(observed: Floats, event: Event) -> Floats:
    return (observed - 0.5) / event.noise_multiplier**2
