"""Randomness that privacy rests on: from the operating system's entropy, never from a seed.

Noise is drawn by a recorded event alone, which says how much of it there is and how often.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import ndtri
from torch import Tensor

from synthvae.errors import PrivacyError

if TYPE_CHECKING:
    from synthvae.privacy.events import Mechanism
    from synthvae.privacy.ledger import RecordedEvent


Counts = npt.NDArray[np.int64]

NORMALS = 4  # added for each normal number


def noisy_counts(recorded: RecordedEvent, counts: Counts, times: int = 1) -> Counts:
    """Return counts (cells,) with independent noise in each cell, as so many releases of an event.

    Args:
        recorded: The event, whose mechanism is "discrete Gaussian" or "discrete Laplace".
        counts: Exact counts, which one unit moves by the event's sensitivity at most in each of the releases.
        times: How many releases they are.

    Raises:
        PrivacyError: The event is of another mechanism, or of fewer releases.
    """
    sampler = {"discrete Gaussian": _discrete_gaussian, "discrete Laplace": _discrete_laplace}
    event = _taken(recorded, times, *sampler)
    return counts + sampler[event.mechanism](event.scale, len(counts))


def noisy_sums(recorded: RecordedEvent, sums: Sequence[Tensor]) -> list[Tensor]:
    """Return sums of clipped gradients with independent normal noise in each number, in single precision.

    Args:
        recorded: The event, whose mechanism is "Poisson-sampled Gaussian"; this is one release of it.
        sums: Tensors of any shapes; one unit moves all of them together by the event's sensitivity, in L2.

    Raises:
        PrivacyError: The event is of another mechanism, or none of its releases is left.
    """
    scale = _taken(recorded, 1, "Poisson-sampled Gaussian").scale
    noise = [_normal(total.numel()).view_as(total) for total in sums]
    return [(total.double() + scale * one).float() for total, one in zip(sums, noise, strict=True)]


def _taken(recorded: RecordedEvent, times: int, *mechanisms: Mechanism | str) -> Any:
    if recorded.event.mechanism not in mechanisms:
        raise PrivacyError(f"{recorded.event.name!r} gets {' or '.join(mechanisms)} noise, however, it is of another")
    recorded.take(times)
    return recorded.event


def _discrete_gaussian(scale: float, count: int) -> Counts:
    """Return `count` draws of the discrete normal distribution with parameter `scale`, sampled exactly.

    Source: Canonne, Kamath, Steinke 2020, The discrete Gaussian for differential privacy,
    https://arxiv.org/abs/2004.00010, as OpenDP implements it.
    """
    import opendp.prelude as dp

    return _drawn(dp.l2_distance(T=float), dp.m.then_gaussian, scale, count)


def _discrete_laplace(scale: float, count: int) -> Counts:
    """Return `count` draws with chances proportional to exp(-|x| / scale), sampled exactly.

    Source: Canonne, Kamath, Steinke 2020, algorithm 2, as OpenDP implements it.
    """
    import opendp.prelude as dp

    return _drawn(dp.l1_distance(T=dp.i64), dp.m.then_laplace, scale, count)


def _drawn(metric: Any, mechanism: Any, scale: float, count: int) -> Counts:
    import opendp.prelude as dp

    dp.enable_features("contrib")
    release: Any = (dp.vector_domain(dp.atom_domain(T=dp.i64)), metric) >> mechanism(scale=float(scale))
    return np.array(release([0] * count), np.int64)


def uniform(count: int) -> npt.NDArray[np.float64]:
    """Return `count` uniform numbers in [0, 1), multiples of 2**-53."""
    bits = np.frombuffer(os.urandom(8 * count), np.uint64) >> np.uint64(11)
    return np.asarray(bits * 2.0**-53, np.float64)


def _normal(count: int) -> Tensor:
    """Return `count` standard normal numbers (count,), each made of several.

    One normal number in floating point shows by its last digits what it was added to; of a sum of `NORMALS`, each with
    53 random bits, that cannot be reckoned back. Source: Holohan, Braghin 2021, Secure random sampling in differential
    privacy, section 5.1, https://arxiv.org/abs/2107.10138.
    """
    shares = uniform(NORMALS * count).reshape(NORMALS, count)
    numbers = ndtri(np.maximum(shares, 2.0**-54)).sum(0) / np.sqrt(NORMALS)
    return torch.from_numpy(numbers)
