"""Random numbers that privacy rests on: drawn from the operating system's entropy, never from a seed.

Noise is drawn by a recorded event only, which says how much noise there is and how often it is drawn.
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
    from synthvae.privacy.events import Event, Mechanism
    from synthvae.privacy.ledger import RecordedEvent


Counts = npt.NDArray[np.int64]

NORMALS = 4  # normal numbers that are summed to one


def noisy_counts(recorded: RecordedEvent, counts: Counts, times: int = 1) -> Counts:
    """Return counts (cells,) with independent noise in each cell, as one or several releases of an event.

    Args:
        recorded: The event, whose mechanism is "discrete Gaussian" or "discrete Laplace".
        counts: Exact counts, which one unit changes by the event's sensitivity at most in each of the releases.
        times: The number of releases.

    Raises:
        PrivacyError: The event has another mechanism, or fewer releases are left.
    """
    sampler = {"discrete Gaussian": _discrete_gaussian, "discrete Laplace": _discrete_laplace}
    event = _taken(recorded, times, *sampler)
    return counts + sampler[event.mechanism](event.scale, len(counts))


def noisy_sums(recorded: RecordedEvent, sums: Sequence[Tensor]) -> list[Tensor]:
    """Return sums of clipped gradients with independent normal noise in each number, in single precision.

    Args:
        recorded: The event, whose mechanism is "Poisson-sampled Gaussian"; this is one release of it.
        sums: Tensors of any shapes; one unit changes all of them together by the event's sensitivity in L2 norm.

    Raises:
        PrivacyError: The event has another mechanism, or no release is left.
    """
    scale = _taken(recorded, 1, "Poisson-sampled Gaussian").scale
    noise = [_normal(total.numel()).view_as(total) for total in sums]
    return [(total.double() + scale * one).float() for total, one in zip(sums, noise, strict=True)]


def _taken(recorded: RecordedEvent, times: int, *mechanisms: Mechanism | str) -> Event:
    event = recorded.event
    if event.mechanism not in mechanisms:
        raise PrivacyError(
            f"The mechanism of {event.name!r} must be {' or '.join(mechanisms)} here, got {event.mechanism}."
        )
    recorded.take(times)
    return event


def _discrete_gaussian(scale: float, count: int) -> Counts:
    """Return `count` exact draws from the discrete Gaussian distribution with parameter `scale`.

    Source: Canonne, Kamath, Steinke 2020, The discrete Gaussian for differential privacy,
    https://arxiv.org/abs/2004.00010, as OpenDP implements it.
    """
    import opendp.prelude as dp

    return _drawn(dp.l2_distance(T=float), dp.m.then_gaussian, scale, count)


def _discrete_laplace(scale: float, count: int) -> Counts:
    """Return `count` exact draws with probabilities proportional to exp(-|x| / scale).

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
    """Return `count` standard normal numbers (count,), each the scaled sum of `NORMALS` such numbers.

    The last digits of a sum with one floating-point normal number reveal the other summand. With a sum of several
    normal numbers of 53 random bits each, that cannot be computed. Source: Holohan, Braghin 2021, Secure random
    sampling in differential privacy, section 5.1, https://arxiv.org/abs/2107.10138.
    """
    shares = uniform(NORMALS * count).reshape(NORMALS, count)
    numbers = ndtri(np.maximum(shares, 2.0**-54)).sum(0) / np.sqrt(NORMALS)
    return torch.from_numpy(numbers)
