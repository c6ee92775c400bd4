"""Where a model is trained: in this process, or elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from synthvae.training import Trainer, train

if TYPE_CHECKING:
    from synthvae.privacy.dpsgd.trainer import Descender


class Backend(Protocol):
    """What trains, given a folder to work in."""

    def trainer(self, folder: Path) -> Trainer:
        """What trains without differential privacy."""

    def descender(self, folder: Path) -> Descender:
        """What trains on private rows."""


class Local:
    """This process."""

    def trainer(self, folder: Path) -> Trainer:
        """What trains without differential privacy."""
        del folder
        return train

    def descender(self, folder: Path) -> Descender:
        """What trains on private rows."""
        from synthvae.privacy.dpsgd.trainer import descend

        shutil.rmtree(folder, ignore_errors=True)  # rows that others were given, if they were broken off
        return descend
