"""What a fit that is broken off leaves behind, so that the same fit, asked for again, goes on where it stood."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import safetensors
import safetensors.torch
from torch import Tensor

from synthvae import filesystem
from synthvae.errors import ConfigurationError
from synthvae.filesystem import content_hash

PAGE = "fit.json"
STATE = "state"
KEPT = 2  # states: of several processes one may have kept a step that another had not
EVERY = 60.0  # seconds between two states that are kept

State = tuple[dict[str, Tensor], dict[str, Any]]


def claim(page: Path, facts: Mapping[str, Any], seed: int | None, new: int) -> int | None:
    """Mark a folder as that of a fit, or find that it is: return the fit's seed, or None if it is another's.

    Args:
        page: The file that says whose it is.
        facts: What the fit depends on.
        seed: Of the fit, if it was given.
        new: A seed for a new fit for which none was given.

    Raises:
        OSError, ValueError: The folder cannot be used.
    """
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
    page.parent.mkdir(parents=True, exist_ok=True)
    if not page.exists():
        filesystem.write(page, json.dumps({"facts": digest, "seed": new if seed is None else seed}).encode())
    found = json.loads(page.read_text(encoding="utf-8"))
    same = found["facts"] == digest and seed in (None, found["seed"])
    return int(found["seed"]) if same else None


class Checkpoint:
    """The folder of one fit.

    Args:
        folder: Where it is.
        seed: Of the fit.
        rank: Of the process, where several learn together: each keeps its own state.
        every: Seconds between two states.
    """

    def __init__(self, folder: Path, seed: int, rank: int = 0, every: float | None = None) -> None:
        self.folder, self.seed, self.rank = folder, seed, rank
        self.every = EVERY if every is None else every
        self._last = time.monotonic()

    @classmethod
    def open(cls, folder: str | os.PathLike[str], facts: Mapping[str, Any], seed: int | None, new: int) -> Self:
        """The folder of a fit with these facts, new or as it was left.

        Raises:
            ConfigurationError: It is of another fit, or cannot be written.
        """
        place = Path(folder)
        try:
            found = claim(place / PAGE, facts, seed, new)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(
                f"`journal` must be a folder that can be used, however, {place}: {error}"
            ) from error
        if found is None:
            raise ConfigurationError(
                f"a fit can be taken up with the same table, parameters and seed, however, {place} is of one with "
                "others: repeat that one, or remove the folder"
            )
        return cls(place, found)

    @property
    def is_due(self) -> bool:
        """Whether so much time has passed that the state should be kept."""
        return time.monotonic() - self._last >= self.every

    def save(self, tensors: Mapping[str, Tensor], page: Mapping[str, Any]) -> None:
        """Keep the state of training, in the place of that before.

        Raises:
            ConfigurationError: It cannot be written.
        """
        blob = safetensors.torch.save(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
            metadata={"page": json.dumps(page), "sha256": content_hash(page, tensors)},
        )
        try:
            filesystem.write(self._file(page["done"]), blob)
            for step in self._steps()[:-KEPT]:
                self._file(step).unlink(missing_ok=True)
        except OSError as error:
            raise ConfigurationError(f"the state of a fit must be kept, however, {self.folder}: {error}") from error
        self._last = time.monotonic()

    @property
    def latest(self) -> int:
        """The last step of which there is a state that is whole; 0: none."""
        return next((step for step in reversed(self._steps()) if self.load(step) is not None), 0)

    def _steps(self) -> list[int]:
        return sorted(
            int(file.stem.rpartition("-")[2]) for file in self.folder.glob(f"{STATE}-{self.rank}-*.safetensors")
        )

    def _file(self, step: int) -> Path:
        return self.folder / f"{STATE}-{self.rank}-{step:09}.safetensors"

    def load(self, step: int) -> State | None:
        """Return the state of a step, if it was kept and is whole."""
        try:
            with safetensors.safe_open(self._file(step), "pt") as file:
                told = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            page = json.loads(told["page"])
            is_whole = page["done"] == step and told["sha256"] == content_hash(page, tensors)
        except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError):
            return None
        return (tensors, page) if is_whole else None

    def remove(self) -> None:
        """Remove the folder: the fit is done."""
        shutil.rmtree(self.folder, ignore_errors=True)
