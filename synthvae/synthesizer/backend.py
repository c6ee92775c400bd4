"""Who trains: this process alone, or others in its place."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from synthvae.training import Trainer, train

if TYPE_CHECKING:
    from synthvae.privacy.dpsgd.trainer import Descender


class Crew(Protocol):
    """What trains, given a folder to work in."""

    def trainer(self, folder: Path) -> Trainer:
        """What trains on rows that nobody hides."""

    def descender(self, folder: Path) -> Descender:
        """What trains on private rows."""


class Alone:
    """This process."""

    def trainer(self, folder: Path) -> Trainer:
        """What trains on rows that nobody hides."""
        del folder
        return train

    def descender(self, folder: Path) -> Descender:
        """What trains on private rows."""
        from synthvae.privacy.dpsgd.trainer import descend

        shutil.rmtree(folder, ignore_errors=True)  # rows that others were given, if they were broken off
        return descend
