"""Synthetic tabular data from a conditional VAE, optionally with differential privacy."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from synthvae._version import __version__

if TYPE_CHECKING:
    from synthvae.privacy import PrivacyBudget
    from synthvae.schema import Column, Schema
    from synthvae.synthesizer import Synthesizer

__all__ = ["Column", "PrivacyBudget", "Schema", "Synthesizer", "__version__"]

_MODULES = {
    "Column": "synthvae.schema",
    "PrivacyBudget": "synthvae.privacy",
    "Schema": "synthvae.schema",
    "Synthesizer": "synthvae.synthesizer",
}


def __getattr__(name: str) -> Any:
    """Import public names on first use, so that `synthvae --help` does not import torch."""
    if name not in _MODULES:
        raise AttributeError(f"module 'synthvae' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return __all__
