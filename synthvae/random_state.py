"""Conversion of scikit-learn's `random_state` to a seed."""

from __future__ import annotations

import secrets

import numpy as np

from synthvae.errors import ConfigurationError

Seed = int | np.random.RandomState | None
DRAWN_SEEDS = 10**9  # a drawn seed has at most nine digits, since people repeat runs by typing it


def as_seed(random_state: Seed) -> int:
    """Return a seed (63 bits) for all random generators; for None one of `DRAWN_SEEDS`, by the operating system.

    Raises:
        ConfigurationError: `random_state` is not a whole number, a RandomState or None.

    >>> as_seed(7)
    7
    """
    if random_state is None:
        return secrets.randbelow(DRAWN_SEEDS)
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    if isinstance(random_state, bool) or not isinstance(random_state, (int, np.integer)):
        raise ConfigurationError(f"`random_state` must be a whole number, a RandomState or None, got {random_state!r}.")
    return int(random_state) % 2**63
