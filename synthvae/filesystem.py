"""Files that are whole or not there, locks on folders, and hashes of content."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthvae.errors import DatasetError

if TYPE_CHECKING:
    from torch import Tensor

if sys.platform != "win32":
    import fcntl

PATIENCE = 3.0  # seconds; the workers of a run that was killed are gone sooner


def write(path: Path, content: bytes | memoryview) -> None:
    """Write a file beside its place, let the disk have it, and only then give it its name."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def export(path: Path, content: bytes) -> None:
    """Write a file that was asked for by name, and the folders above it.

    Raises:
        DatasetError: It cannot be written; what was there is there still.
    """
    with _telling(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, content)


def check_writable(path: Path) -> None:
    """Refuse a file that could not be written: better before the work than after.

    Raises:
        DatasetError: No file can be made in its folder, or in the nearest one above it that is there.
    """
    with _telling(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        probe(path)


def probe(path: Path) -> None:
    """Make a file where a path leads, in the nearest folder that is there, and remove it.

    Raises:
        OSError: That cannot be done.
    """
    nearest = next(folder for folder in path.absolute().parents if folder.exists())
    tempfile.TemporaryFile(dir=nearest).close()


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DatasetError(f"{path} cannot be written ({error.strerror or error}): choose another") from error


def content_hash(metadata: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Return one SHA-256 of metadata, as JSON, and of tensors, in the order of their names."""
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(tensors[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def lock(folder: Path) -> int | None:
    """Make a folder if need be and return a handle that locks it: alone for a moment, then beside `share_lock`.

    Raises:
        BlockingIOError: Another run holds it.
    """
    end = time.monotonic() + PATIENCE
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        if sys.platform == "win32":
            return None
        handle = os.open(folder, os.O_RDONLY)
        if _flock(handle, fcntl.LOCK_EX) and _flock(handle, fcntl.LOCK_SH) and _still(folder, handle):
            return handle
        os.close(handle)
        if time.monotonic() > end:
            raise BlockingIOError
        time.sleep(0.05)


def share_lock(folder: Path) -> None:
    """Hold a folder beside the run that took it, until this process ends.

    Raises:
        BlockingIOError: Another run is taking it.
    """
    if sys.platform != "win32" and not _flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_SH):
        raise BlockingIOError


def is_locked(folder: Path) -> bool:
    """Whether a process holds a folder; where there are no locks, none does."""
    if sys.platform == "win32":
        return False
    handle = os.open(folder, os.O_RDONLY)
    try:
        return not _flock(handle, fcntl.LOCK_EX)
    finally:
        os.close(handle)


def unlock(handle: int | None) -> None:
    """Let the next one in."""
    if handle is not None:
        os.close(handle)


def _flock(handle: int, kind: int) -> bool:
    """Whether the lock was got; a file system without locks gives every one."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _still(folder: Path, handle: int) -> bool:
    """Whether it is the folder of that name: a run that failed removes the one that it made."""
    try:
        return os.path.samestat(folder.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
