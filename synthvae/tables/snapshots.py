"""Datasets of this package as they were at one moment, though another run may replace them meanwhile.

A run that replaces a dataset on a disk sets its manifest aside first and moves the new one to its place last. Between
two equal manifests no part was replaced, so what was read there is one dataset; otherwise it is read again. An object
store promises no such order to its readers, and files without a manifest are read as they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from synthvae import filesystem
from synthvae.errors import SynthvaeError, TableError

MANIFEST = "_manifest.json"
STAGING = ".incomplete"
TIMEOUT = 60.0  # seconds during which a dataset that is being replaced is awaited: renaming 100,000 files takes a few
RETRIES, PAUSE = 5, 0.02  # after errors although the manifest is the same; seconds between them
LOCKLESS_WAIT = 0.5  # seconds before a run is taken for killed, since some file systems have no locks

T = TypeVar("T")


class Version(NamedTuple):
    """What tells a manifest from another one at the same path."""

    file: int
    modified: int
    size: int


def read(path: Path, reader: Callable[[], T]) -> T:
    """Return what a function reads of a path; it is called again if the dataset there was replaced meanwhile.

    Args:
        path: A file, or a folder that may be a dataset of this package.
        reader: The function.

    Raises:
        TableError: The dataset is incomplete, since a run that replaced it was killed.

    Example:
        >>> read(Path("table.csv"), lambda: 3)
        3
    """
    end, failures = time.monotonic() + TIMEOUT, 0
    while True:
        before = version(path)
        try:
            found = reader()
        except (SynthvaeError, OSError):
            failures += 1
            # A run that has put its manifest in place still removes its staging folder, which readers may list.
            settled = version(path) == before and (before is None or failures > RETRIES)
            if settled or time.monotonic() > end:
                raise
            time.sleep(PAUSE)
        else:
            if version(path) == before:
                return found
            if time.monotonic() > end:
                raise _replaced(path)


def unchanged(path: Path, batches: Callable[[], Iterator[T]]) -> Callable[[], Iterator[T]]:
    """Return a function that yields the same batches, and raises an error if the dataset was replaced since now.

    Batches that were used cannot be taken back, so that they are not read again.
    """
    before = version(path)

    def checked() -> Iterator[T]:
        try:
            yield from batches()
        except (TableError, OSError, ValueError) as error:
            if version(path) != before:
                raise _replaced(path) from error
            raise
        if version(path) != before:
            raise _replaced(path)

    return checked


def version(path: Path) -> Version | None:
    """Return the version of the dataset in a folder, after a run that is replacing it; None for any other path.

    Raises:
        TableError: A run that replaced it was killed.
    """
    begun = time.monotonic()
    while True:
        found = _manifest(path)
        waited = time.monotonic() - begun
        if found is not None or not _is_moving(path):
            return found
        if waited > TIMEOUT or (waited > LOCKLESS_WAIT and not filesystem.is_locked(path)):
            raise TableError(
                f"A dataset must be complete, got {path}, which a run was replacing when it ended. Repeat that run "
                "with --resume."
            )
        time.sleep(0.005)


def _manifest(path: Path) -> Version | None:
    try:
        found = (path / MANIFEST).stat()
    except OSError:
        return None
    return Version(found.st_ino, found.st_mtime_ns, found.st_size)


def _is_moving(path: Path) -> bool:
    """Whether the files of a complete dataset are being moved to their places."""
    try:
        return any((path / STAGING / name).is_file() for name in (MANIFEST, "old.json"))
    except OSError:  # the reader's own error says more
        return False


def _replaced(path: Path) -> TableError:
    return TableError(f"A dataset must not change while it is read, got {path}, which another run replaced. Repeat.")
