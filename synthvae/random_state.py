"""Seeds: what scikit-learn calls random_state, as one whole number."""

from __future__ import annotations

import secrets

import numpy as np

from synthvae.errors import ConfigurationError

Seed = int | np.random.RandomState | None


def as_seed(random_state: Seed) -> int:
    """A seed for all generators; fresh entropy for None."""
    if random_state is None:
        return secrets.randbits(63)
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    if isinstance(random_state, bool) or not isinstance(random_state, (int, np.integer)):
        raise ConfigurationError(
            f"`random_state` must be a whole number, a RandomState or None, however, it is {random_state!r}"
        )
    return int(random_state) % 2**63
