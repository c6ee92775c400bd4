"""The journal: releases are stored before they are used, so that an interrupted fit does not spend the budget twice.

A release that is lost is spent all the same: drawing it again would cost as much again. With a journal, a fit that is
repeated reuses the stored releases and draws only those that are missing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import safetensors
import safetensors.torch
import torch
import torch.distributed as dist
from torch import Tensor

from synthvae.errors import PrivacyError, SynthvaeError
from synthvae.filesystem import Folder, local_path
from synthvae.training import checkpoint
from synthvae.training.checkpoint import claim

if TYPE_CHECKING:
    from synthvae.privacy.ledger import Ledger


METADATA, LEDGER = "journal.json", "ledger.json"


class Journal:
    """The releases of one fit, in order.

    Args:
        folder: The folder in which they are stored; None: nothing is stored.
        seed: The seed of the fit, for everything that is not private.

    Attributes:
        passed: The number of releases that the fit has taken so far.

    Example:
        >>> Journal(None, seed=0).passed
        0
    """

    def __init__(self, folder: Path | None, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self.passed = 0
        self._noted: Ledger | None = None
        self._stored = max((int(file.stem) + 1 for file in self._files("[0-9]" * 6)), default=0)

    @classmethod
    def open(
        cls, folder: str | os.PathLike[str] | None, metadata: Mapping[str, Any], seed: int | None, new: int
    ) -> Self:
        """Return the journal in `folder`, which must be of a fit with the same metadata, or a new one.

        Args:
            folder: The folder; None: nothing is stored.
            metadata: Everything that the fit depends on, without the rows.
            seed: The seed of the fit, if one was given.
            new: The seed of a new journal for a fit without a given seed.

        Raises:
            PrivacyError: The journal is of another fit, or cannot be written.
        """
        if folder is None:
            return cls(None, new if seed is None else seed)
        place = local_path(folder, "A journal")
        try:
            found = claim(place / METADATA, metadata, seed, new)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PrivacyError(f"The journal must be a folder that can be written, got {place} ({error}).") from error
        if found is None:
            raise PrivacyError(
                f"The journal in {place} is of a fit with another budget, schema, target, seed or plan. Repeat that "
                "fit, or remove the folder (what was spent stays spent)."
            )
        return cls(place, found)

    @property
    def kept(self) -> int:
        """The number of stored releases, or of checkpoints of a fit without a budget."""
        return len(self._files("*"))

    def _files(self, names: str) -> list[Path]:
        return [] if self.folder is None else list(self.folder.glob(f"{names}.safetensors"))

    @property
    def has_next(self) -> bool:
        """Whether the next release is stored already."""
        return self.passed < self._stored

    @property
    def _entry(self) -> Path:
        assert self.folder is not None
        return self.folder / f"{self.passed:06}.safetensors"

    @property
    def _place(self) -> Folder:
        assert self.folder is not None
        return Folder(self.folder, private=True)

    def keep(self, draw: Callable[[], list[Tensor]]) -> list[Tensor]:
        """Return the next release: the stored one, or else what `draw` draws, after storing it.

        Raises:
            PrivacyError: It is lost or damaged, or cannot be stored.
        """
        if self.folder is None:
            return draw()
        release = self._read() if self.has_next else self._write(draw())
        self.passed += 1
        return release

    def _read(self) -> list[Tensor]:
        try:
            with self._place.open(self._entry.name) as stream:
                found = safetensors.torch.load(stream.read())
            return [found[f"{i:06}"] for i in range(len(found))]
        except (OSError, LookupError, ValueError, safetensors.SafetensorError) as error:
            raise PrivacyError(
                f"A release is not drawn twice, and {self._entry} cannot be read ({error}). Restore it, or remove "
                f"{self.folder} (what was spent stays spent)."
            ) from error

    def _write(self, release: list[Tensor]) -> list[Tensor]:
        named = {f"{i:06}": tensor.detach().contiguous() for i, tensor in enumerate(release)}
        if self._entry.exists():
            raise PrivacyError(
                f"A release is not drawn twice, and {self._entry} was stored by another process. Let that process end, "
                "and repeat the fit."
            )
        with self._written(self._entry):
            self._place.write(self._entry.name, safetensors.torch.save(named))
        return release

    @staticmethod
    @contextmanager
    def _written(path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise PrivacyError(
                f"A release must be stored before it is used, and {path} cannot be written ({error.strerror}). Free "
                "space there, and repeat the same fit."
            ) from error

    def keep_json(self, draw: Callable[[], Any]) -> Any:
        """Return the next release like `keep`, for a release that is JSON and no tensor."""

        def as_tensors() -> list[Tensor]:
            return [torch.frombuffer(bytearray(json.dumps(draw()).encode()), dtype=torch.uint8)]

        (encoded,) = self.keep(as_tensors)
        return json.loads(encoded.numpy().tobytes())

    def note(self, ledger: Ledger) -> None:
        """Store the statement of a ledger as `ledger.json` before anything is released: a refused fit has spent it.

        Raises:
            PrivacyError: It cannot be stored.
        """
        if self.folder is None or ledger is self._noted:
            return
        with self._written(self.folder / LEDGER):
            self._place.write(LEDGER, json.dumps(ledger.statement(), indent=1).encode())
        self._noted = ledger

    @classmethod
    @contextmanager
    def until_saved(cls, folder: Path) -> Iterator[Self]:
        """A journal that is removed when the model is saved, or if the fit is refused before any release."""
        journal = cls(folder, 0)
        try:
            yield journal
        except SynthvaeError:
            if not journal.kept:
                journal.remove()
            raise
        journal.remove()

    def remove(self) -> None:
        """Remove the folder, if it is one of a fit."""
        if self.folder is not None:
            checkpoint.remove(self.folder)


class SharedJournal(Journal):
    """The journal of all processes of torch's default group; its folder is visible to each of them.

    The process of rank 0 stores releases, and all processes use the same ones: stored and new.

    Args:
        folder: The folder in which they are stored.
        seed: The seed of the fit.
        passed: The number of releases that were taken from it before.
    """

    def __init__(self, folder: Path, seed: int, passed: int) -> None:
        super().__init__(folder, seed)
        self.passed, self.rank = passed, dist.get_rank()
        stored = torch.tensor(self._stored)
        dist.broadcast(stored, 0)  # by its own count, a process might find a release that rank 0 has just stored
        self._stored = int(stored)

    def _write(self, release: list[Tensor]) -> list[Tensor]:
        if self.rank == 0:
            super()._write(release)
        for tensor in release:
            dist.broadcast(tensor, 0)
        return release
