"""Where a model is trained: in this process, or elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from synthvae.generation.workers import LocalProcesses, PartsBackend
from synthvae.training import Trainer, train

if TYPE_CHECKING:
    from synthvae.privacy.dpsgd.trainer import Descender


class Backend(PartsBackend, Protocol):
    """Supplies the functions that train a model, given a folder to work in, and those that generate datasets."""

    def trainer(self, folder: Path) -> Trainer:
        """Return the function that trains without differential privacy."""

    def descender(self, folder: Path) -> Descender:
        """Return the function that trains with differential privacy."""


class Local(LocalProcesses):
    """Training in this process, and generation in processes that it starts."""

    def trainer(self, folder: Path) -> Trainer:
        """Return the function that trains without differential privacy."""
        del folder
        return train

    def descender(self, folder: Path) -> Descender:
        """Return the function that trains with differential privacy."""
        from synthvae.privacy.dpsgd.trainer import descend

        shutil.rmtree(folder, ignore_errors=True)  # private rows that an interrupted fit on a cluster left there
        return descend
