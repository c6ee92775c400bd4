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
    """Where models are trained, given a folder for temporary files, and where datasets are generated."""

    def trainer(self, folder: Path) -> Trainer:
        """What trains without differential privacy."""

    def descender(self, folder: Path) -> Descender:
        """What trains on private rows."""


class Local(LocalProcesses):
    """Training in this process, and generation in processes that it starts."""

    def trainer(self, folder: Path) -> Trainer:
        """What trains without differential privacy."""
        del folder
        return train

    def descender(self, folder: Path) -> Descender:
        """What trains on private rows."""
        from synthvae.privacy.dpsgd.trainer import descend

        shutil.rmtree(folder, ignore_errors=True)  # rows that others were given, if they were broken off
        return descend
