"""A conditional VAE that learns a table and writes synthetic rows of each class."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from synthvae._version import __version__

if TYPE_CHECKING:
    from synthvae.privacy import PrivacyBudget
    from synthvae.schema import Column, Schema
    from synthvae.synthesizer import Synthesizer

__all__ = ["Column", "PrivacyBudget", "Schema", "Synthesizer", "__version__"]

_HOMES = {
    "Column": "synthvae.schema",
    "PrivacyBudget": "synthvae.privacy",
    "Schema": "synthvae.schema",
    "Synthesizer": "synthvae.synthesizer",
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that the shell's help does not wait for torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'synthvae' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
