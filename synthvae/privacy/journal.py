"""What noise made of the rows is kept before it is used, so that a fit that is broken off does not spend it twice.

A release that was lost is spent all the same: to draw it again would cost its price again. With a journal, a fit that
is repeated takes up the noisy numbers that there are, and draws only those that there are not.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import safetensors
import safetensors.torch
import torch
import torch.distributed as dist
from torch import Tensor

from synthvae import filesystem
from synthvae.errors import PrivacyError, SynthvaeError
from synthvae.training.checkpoint import claim

if TYPE_CHECKING:
    from synthvae.privacy.ledger import Ledger


PAGE, LEDGER = "journal.json", "ledger.json"


class Journal:
    """The noisy numbers of one fit, in order.

    Args:
        folder: Where they are kept; None keeps nothing.
        seed: Of the fit: what is not private follows it.

    Attributes:
        passed: How many releases were taken from it.
    """

    def __init__(self, folder: Path | None, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self.passed = 0
        self._noted: Ledger | None = None
        self._bought = max((int(file.stem) + 1 for file in self._files("[0-9]" * 6)), default=0)

    @classmethod
    def open(cls, folder: str | os.PathLike[str] | None, facts: Mapping[str, Any], seed: int | None, new: int) -> Self:
        """The journal of a fit: that which lies in `folder`, if it is of a fit with the same facts.

        Args:
            folder: Where it is kept; None keeps nothing.
            facts: What the fit depends on, but for the rows.
            seed: Of the fit, if it was given.
            new: A seed for a new journal of a fit for which none was given.

        Raises:
            PrivacyError: It is of another fit, or cannot be written.
        """
        if folder is None:
            return cls(None, new if seed is None else seed)
        place = Path(folder)
        try:
            found = claim(place / PAGE, facts, seed, new)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PrivacyError(f"releases must be kept, however, {place} cannot be used ({error})") from error
        if found is None:
            raise PrivacyError(
                f"a journal is of one fit, however, {place} is of one with another budget, schema, target, seed or "
                "plan: repeat that one, or remove the folder (what was spent stays spent)"
            )
        return cls(place, found)

    @property
    def kept(self) -> int:
        """How many releases there are, or states of a fit that buys none."""
        return len(self._files("*"))

    def _files(self, names: str) -> list[Path]:
        return [] if self.folder is None else list(self.folder.glob(f"{names}.safetensors"))

    @property
    def has_next(self) -> bool:
        """Whether the next release was bought already."""
        return self.passed < self._bought

    @property
    def _entry(self) -> Path:
        assert self.folder is not None
        return self.folder / f"{self.passed:06}.safetensors"

    def keep(self, draw: Callable[[], list[Tensor]]) -> list[Tensor]:
        """Return the next release: the one that is there, or what `draw` draws, once it is kept.

        Raises:
            PrivacyError: It is lost or damaged, or cannot be kept.
        """
        if self.folder is None:
            return draw()
        release = self._read() if self.has_next else self._write(draw())
        self.passed += 1
        return release

    def _read(self) -> list[Tensor]:
        try:
            found = safetensors.torch.load(self._entry.read_bytes())
            return [found[f"{i:06}"] for i in range(len(found))]
        except (OSError, LookupError, ValueError, safetensors.SafetensorError) as error:
            raise PrivacyError(
                f"what was bought is not bought twice, however, {self._entry} cannot be read ({error}): restore it, or "
                f"remove {self.folder} (what was spent stays spent)"
            ) from error

    def _write(self, release: list[Tensor]) -> list[Tensor]:
        named = {f"{i:06}": tensor.detach().contiguous() for i, tensor in enumerate(release)}
        if self._entry.exists():
            raise PrivacyError(
                f"a release is bought once, however, {self._entry} was kept by another process: let that one end, and "
                "repeat the fit"
            )
        with self._written(self._entry):
            filesystem.write(self._entry, safetensors.torch.save(named))
        return release

    @staticmethod
    @contextmanager
    def _written(path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise PrivacyError(
                f"releases must be kept, however, {path} cannot be written ({error.strerror}): make room there, "
                "and go on with the same fit"
            ) from error

    def keep_page(self, draw: Callable[[], Any]) -> Any:
        """The same for a release that is no tensor, but what JSON can say."""

        def as_tensors() -> list[Tensor]:
            return [torch.frombuffer(bytearray(json.dumps(draw()).encode()), dtype=torch.uint8)]

        (page,) = self.keep(as_tensors)
        return json.loads(page.numpy().tobytes())

    def note(self, ledger: Ledger) -> None:
        """Keep what the ledger says before anything is released by it, in `ledger.json`: a refused fit has spent it.

        Raises:
            PrivacyError: It cannot be kept.
        """
        if self.folder is None or ledger is self._noted:
            return
        with self._written(self.folder / LEDGER):
            filesystem.write(self.folder / LEDGER, json.dumps(ledger.statement(), indent=1).encode())
        self._noted = ledger

    @classmethod
    @contextmanager
    def until_saved(cls, folder: Path) -> Iterator[Self]:
        """A journal that is removed once the model is saved, or if the fit was refused before anything was bought."""
        journal = cls(folder, 0)
        try:
            yield journal
        except SynthvaeError:
            if not journal.kept:
                journal.remove()
            raise
        journal.remove()

    def remove(self) -> None:
        """Remove what is kept."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


class SharedJournal(Journal):
    """The journal of processes of torch's default group that learn together; all see its folder.

    The first process keeps releases, and all take the same: those that were there when they began, and new ones.

    Args:
        folder: Where they are kept.
        seed: Of the fit.
        passed: How many releases were taken from it before.
    """

    def __init__(self, folder: Path, seed: int, passed: int) -> None:
        super().__init__(folder, seed)
        self.passed, self.rank = passed, dist.get_rank()
        bought = torch.tensor(self._bought)
        dist.broadcast(bought, 0)  # by its own count, one might find what another has just kept
        self._bought = int(bought)

    def _write(self, release: list[Tensor]) -> list[Tensor]:
        if self.rank == 0:
            super()._write(release)
        for tensor in release:
            dist.broadcast(tensor, 0)
        return release
