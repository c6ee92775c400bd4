"""Checkpoints of a fit: a fit that is repeated after an interruption continues from the last one."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import safetensors
import safetensors.torch
from torch import Tensor

from synthvae.errors import ConfigurationError, brief
from synthvae.filesystem import TEMPORARY, Folder, local_path, refuse_link

OWNER = "fit.json"  # the file that states to which fit a folder belongs
OWNERS = (OWNER, "journal.json")  # of a fit without and with a budget
# What a fit stores beside it: a folder that lost its owner has nothing else. Half-written files have a name that begins
# like the last one, or as earlier releases named them.
STORED = re.compile(
    r"(ledger|shards|protected|error)\.json|survey\.arrow|shard-\d{3,}\.bin|(state-\d+-)?\d{6,}\.safetensors"
    rf"|(start|result)\.safetensors|\.\S+\.tmp|{re.escape(TEMPORARY)}[0-9a-f]+\.tmp"
)
STATE = "state"
RETAINED = 2  # snapshots: of several processes, one may have saved a step that another has not
EVERY = 60.0  # seconds between two snapshots


def content_hash(metadata: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of metadata, as JSON, and of tensors, in the order of their names."""
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(tensors[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


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
        OSError, ValueError: The folder cannot be used: it is a link, holds other files, or cannot be written.
    """
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()
    refuse_link(file.parent)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = Folder(file.parent, private=True)
    claimed = folder.read(file.name)
    _refuse_foreign(folder, claimed=claimed is not None)
    if claimed is None:
        # "facts" is the key of the folders that earlier versions wrote, as "page" is in `Checkpoint.save`.
        document = {"facts": digest, "seed": default_seed if seed is None else seed}
        folder.write(file.name, json.dumps(document).encode())
    found = json.loads(folder.read(file.name) or b"")
    same = found["facts"] == digest and seed in (None, found["seed"])
    return int(found["seed"]) if same else None


def _refuse_foreign(folder: Folder, *, claimed: bool) -> None:
    """Refuse a folder with a link, or without owner but with entries that no fit stored: it is removed as a whole."""
    for name, is_odd in sorted(folder.entries().items()):
        if (is_odd and "/" not in name) or not (claimed or STORED.fullmatch(name)):
            raise FileExistsError(errno.EEXIST, f"it holds {name!r}, which is of no fit", str(folder.path))


def remove(folder: Path) -> None:
    """Remove the folder of a fit: one that no fit has claimed, or a link, is left alone."""
    if not folder.is_symlink() and any((folder / owner).is_file() for owner in OWNERS):
        shutil.rmtree(folder, ignore_errors=True)


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
        place = local_path(folder, "A journal")
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
            self._folder.write(self._name(snapshot.values["done"]), blob)
            for step in self._steps()[:-RETAINED]:
                self._folder.remove(self._name(step))
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

    @property
    def _folder(self) -> Folder:
        return Folder(self.folder, private=True)

    def _name(self, step: int) -> str:
        return f"{STATE}-{self.rank}-{step:09}.safetensors"

    def load(self, step: int) -> Snapshot | None:
        """Return the snapshot of a step; None if there is none, or it is damaged."""
        try:
            with safetensors.safe_open(self.folder / self._name(step), "pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            values = json.loads(metadata["page"])
            is_whole = values["done"] == step and metadata["sha256"] == content_hash(values, tensors)
        except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError):
            return None
        return Snapshot(tensors, values) if is_whole else None

    def remove(self) -> None:
        """Remove the folder of a fit that is complete."""
        remove(self.folder)
