"""Where tensors are computed."""

from __future__ import annotations

import torch

from synthvae.errors import ConfigurationError


def find_device(name: str) -> torch.device:
    """The device that `name` means; "auto": a GPU if there is one.

    Raises:
        ConfigurationError: torch knows no such device, or it cannot compute in double precision, as bounds need it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        probe = torch.ones((), dtype=torch.float64, device=name)
        float(probe)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationError(
            f"`device` must be one that torch computes double precision on, however, {name!r}: {reason}: take "
            '"auto" or "cpu"'
        ) from error
    return probe.device
