"""Attacks on the code that releases gradients: canaries whose gradients point where no others do.

Shapes: N canaries, S steps.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np
from scipy.special import logsumexp
from torch import Tensor, nn

from synthvae.model import CVAE, ModelConfig, Rows
from synthvae.privacy.audit.attacks import Attack, Bools, Floats, recorded
from synthvae.privacy.dpsgd.poisson import PrivateRows
from synthvae.privacy.dpsgd.trainer import MICRO_BATCH, PrivateDescent, Spending
from synthvae.privacy.events import Event
from synthvae.privacy.ledger import Ledger
from synthvae.privacy.plan import Descending

LENGTH = 10.0  # of a canary's gradient over the clipping norm: what is not clipped is seen
BESIDE = 64  # numbers of canaries side by side in one row of a table: what is looked up stays small


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
        return cast("Tensor", -self.length * own.T)


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
    cap = ledger.budget.rows_of_one
    owners = np.flatnonzero(present).repeat(cap)
    rows = PrivateRows.of(np.empty((len(owners), 0), np.int8), owners, owners, cap)
    settings = Descending(steps=event.times, clip=event.sensitivity)
    run = PrivateDescent(
        cast("CVAE", _CanaryModel(len(present), LENGTH * event.sensitivity)),
        rows.samples(event.sampling_rate, event.times, MICRO_BATCH),
        Spending(recorded(ledger, event), settings, max(len(owners), 1), cap),
    )
    scale = run.optimizer.expected_batch_size / event.sensitivity
    seen: list[Floats] = []

    def see(step: int, steps: int, loss: float) -> None:
        del step, steps, loss
        (gradient,) = (parameter.grad for parameter in run.parameters)
        assert gradient is not None
        seen.append(scale * gradient.flatten()[: len(present)].double().numpy())

    run.run(see)
    if len(seen) < event.times:
        raise KeyboardInterrupt  # which the loop takes for a wish to stop learning
    return np.stack(seen)


def of_gradients(event: Event, ledger: Ledger, present: Bools) -> list[Attack]:
    """Attack noisy gradients: each step a sample of its own, or the same batch once an epoch."""
    seen = follow(event, ledger, present)
    noise = [(event, event.sensitivity * seen[:, ~present])]
    found = [Attack(event.name, "likelihood ratio", [event], sampled_ratios(seen, event), noise)]
    if event.sampling_rate < 1 <= event.sampling_rate * event.times:
        found.append(Attack(event.name, "once an epoch, in the same batch", [event], batch_ratios(seen, event)))
    return found


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
