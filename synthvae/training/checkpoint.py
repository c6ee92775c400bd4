"""Checkpoints of a fit: a fit that is repeated after an interruption continues from the last one."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import safetensors
import safetensors.torch
from torch import Tensor

from synthvae import filesystem
from synthvae.errors import ConfigurationError, brief
from synthvae.filesystem import content_hash

OWNER = "fit.json"  # the file that states to which fit a folder belongs
STATE = "state"
RETAINED = 2  # snapshots: of several processes, one may have saved a step that another has not
EVERY = 60.0  # seconds between two snapshots


@dataclass(frozen=True)
class Snapshot:
    """A part of the state of training.

    Args:
        tensors: Tensors by name.
        values: Values by name, which JSON can represent.
    """

    __repr__ = brief

    tensors: dict[str, Tensor] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    def __or__(self, other: Snapshot) -> Snapshot:
        return Snapshot(self.tensors | other.tensors, self.values | other.values)


def claim(file: Path, inputs: Mapping[str, Any], seed: int | None, default_seed: int) -> int | None:
    """Claim a folder for a fit, and return the seed of the fit; None if the folder belongs to another fit.

    Args:
        file: The file in the folder that states to which fit it belongs; it is written if it does not exist.
        inputs: What the fit depends on.
        seed: The seed of the fit, if one was given.
        default_seed: The seed of a new fit for which none was given.

    Raises:
        OSError, ValueError: The folder cannot be used.
    """
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        # "facts" is the key of the folders that earlier versions wrote, as "page" is in `Checkpoint.save`.
        document = {"facts": digest, "seed": default_seed if seed is None else seed}
        filesystem.write(file, json.dumps(document).encode())
    found = json.loads(file.read_text(encoding="utf-8"))
    same = found["facts"] == digest and seed in (None, found["seed"])
    return int(found["seed"]) if same else None


class Checkpoint:
    """The folder with the snapshots of one fit.

    Args:
        folder: The folder.
        seed: The seed of the fit.
        rank: The rank of this process, where several train together: each stores its own snapshots.
        every: Seconds between two snapshots; None: `EVERY`.
    """

    def __init__(self, folder: Path, seed: int, rank: int = 0, every: float | None = None) -> None:
        self.folder, self.seed, self.rank = folder, seed, rank
        self.every = EVERY if every is None else every
        self._last = time.monotonic()

    @classmethod
    def open(
        cls, folder: str | os.PathLike[str], inputs: Mapping[str, Any], seed: int | None, default_seed: int
    ) -> Self:
        """Return the checkpoint of the fit with these inputs, new or as an earlier run left it; see `claim`.

        Raises:
            ConfigurationError: The folder belongs to another fit, or cannot be written.
        """
        place = filesystem.local_path(folder, "A journal")
        try:
            found = claim(place / OWNER, inputs, seed, default_seed)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(f"`journal` must be a folder that can be used, got {place} ({error}).") from error
        if found is None:
            raise ConfigurationError(
                f"`journal` must be the folder of a fit with the same table, parameters and seed, got {place}, which "
                "belongs to another fit. Repeat that fit, or remove the folder."
            )
        return cls(place, found)

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next snapshot."""
        return time.monotonic() - self._last >= self.every

    def save(self, snapshot: Snapshot) -> None:
        """Store a snapshot, and remove old ones.

        Raises:
            ConfigurationError: It cannot be written.
        """
        blob = safetensors.torch.save(
            {name: tensor.detach().cpu().contiguous() for name, tensor in snapshot.tensors.items()},
            metadata={
                "page": json.dumps(snapshot.values),
                "sha256": content_hash(snapshot.values, snapshot.tensors),
            },
        )
        try:
            filesystem.write(self._file(snapshot.values["done"]), blob)
            for step in self._steps()[:-RETAINED]:
                self._file(step).unlink(missing_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"`journal` must be a folder that can be written, got {self.folder} ({error})."
            ) from error
        self._last = time.monotonic()

    @property
    def latest(self) -> int:
        """The last step with an undamaged snapshot; 0: none."""
        return next((step for step in reversed(self._steps()) if self.load(step) is not None), 0)

    def _steps(self) -> list[int]:
        return sorted(
            int(file.stem.rpartition("-")[2]) for file in self.folder.glob(f"{STATE}-{self.rank}-*.safetensors")
        )

    def _file(self, step: int) -> Path:
        return self.folder / f"{STATE}-{self.rank}-{step:09}.safetensors"

    def load(self, step: int) -> Snapshot | None:
        """Return the snapshot of a step; None if there is none, or it is damaged."""
        try:
            with safetensors.safe_open(self._file(step), "pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            values = json.loads(metadata["page"])
            is_whole = values["done"] == step and metadata["sha256"] == content_hash(values, tensors)
        except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError):
            return None
        return Snapshot(tensors, values) if is_whole else None

    def remove(self) -> None:
        """Remove the folder of a fit that is complete."""
        shutil.rmtree(self.folder, ignore_errors=True)
