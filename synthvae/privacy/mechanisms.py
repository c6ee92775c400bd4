"""Randomness that privacy rests on: from the operating system's entropy, never from a seed."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import ndtri
from torch import Tensor

NORMALS = 4  # added for each normal number


def discrete_gaussian(scale: float, count: int) -> npt.NDArray[np.int64]:
    """Return `count` draws of the discrete normal distribution with parameter `scale`, sampled exactly.

    Source: Canonne, Kamath, Steinke 2020, The discrete Gaussian for differential privacy,
    https://arxiv.org/abs/2004.00010, as OpenDP implements it.
    """
    import opendp.prelude as dp

    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T=dp.i64)), dp.l2_distance(T=float)
    mechanism: Any = space >> dp.m.then_gaussian(scale=float(scale))
    return np.array(mechanism([0] * count), np.int64)


def uniform(count: int) -> npt.NDArray[np.float64]:
    """Return `count` uniform numbers in [0, 1), multiples of 2**-53."""
    bits = np.frombuffer(os.urandom(8 * count), np.uint64) >> np.uint64(11)
    return np.asarray(bits * 2.0**-53, np.float64)


def normal(count: int) -> Tensor:
    """Return `count` standard normal numbers (count,), each made of several.

    One normal number in floating point shows by its last digits what it was added to; of a sum of `NORMALS`, each with
    53 random bits, that cannot be reckoned back. Source: Holohan, Braghin 2021, Secure random sampling in differential
    privacy, section 5.1, https://arxiv.org/abs/2107.10138.
    """
    shares = uniform(NORMALS * count).reshape(NORMALS, count)
    numbers = ndtri(np.maximum(shares, 2.0**-54)).sum(0) / np.sqrt(NORMALS)
    return torch.from_numpy(numbers)
