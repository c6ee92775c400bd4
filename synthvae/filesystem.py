"""Atomic writes of files, locks on folders, and hashes of content."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthvae.errors import ConfigurationError, DatasetError

if TYPE_CHECKING:
    from torch import Tensor

if sys.platform != "win32":
    import fcntl

LOCK_TIMEOUT = 3.0  # seconds; the workers of a killed run end sooner


DATASET_SCHEMES = ("file", "s3", "gs", "gcs")
# A scheme, or the first of several that are chained with "::". One letter is a drive of Windows. The slashes of a URL
# that was made a Path are one.
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(?=:|/)")


def scheme_of(place: str | os.PathLike[str]) -> str | None:
    """Return the scheme of a URL in lower case; None for a path.

    >>> scheme_of("S3://bucket/rows"), scheme_of("zip::s3://bucket/rows"), scheme_of("rows/a:b"), scheme_of("C:/rows")
    ('s3', 'zip', None, None)
    """
    match = SCHEME.match(os.fspath(place))
    return match[1].lower() if match else None


def local_path(place: str | os.PathLike[str], what: str = "A file") -> Path:
    """Return the path of what is read or written on this machine alone. No library sees a URL.

    Args:
        place: The path.
        what: What it is of, for the message.

    Raises:
        ConfigurationError: It is a URL.
    """
    scheme = scheme_of(place)
    if scheme is not None:
        raise ConfigurationError(
            f"{what} must be at a path on this machine, got a URL with the scheme {scheme!r}. Pass a path; only "
            f"generated datasets may be at URLs ({', '.join(DATASET_SCHEMES)})."
        )
    return Path(place)


def check_dataset_scheme(place: str | os.PathLike[str]) -> None:
    """Refuse a URL of a dataset before a library interprets it, starts a process or asks a network for it.

    Raises:
        DatasetError: Its scheme is not one of `DATASET_SCHEMES`, or several are chained.
    """
    text, scheme = os.fspath(place), scheme_of(place)
    if scheme is not None and (scheme not in DATASET_SCHEMES or not text[len(scheme) :].startswith("://")):
        raise DatasetError(
            f"A dataset must be at a path, or at a URL with one of the schemes {', '.join(DATASET_SCHEMES)}, got the "
            f"scheme {scheme!r}. Write it there, and copy it with the tool of the other place."
        )


def write(path: Path, content: bytes | memoryview) -> None:
    """Write a file under a temporary name in the same folder, flush it to disk, and rename it."""
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
    """Write a file that the user named, and create its parent folders.

    Raises:
        DatasetError: The file cannot be written; an existing one is unchanged.
    """
    local_path(path)
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, content)


def check_writable(path: Path) -> None:
    """Check, before long work, that a file can be written.

    Raises:
        DatasetError: No file can be created in its folder, or in the nearest existing one above it.
    """
    local_path(path)
    with _writing(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        probe(path)


def probe(path: Path) -> None:
    """Create and remove a temporary file in the nearest existing folder of a path.

    Raises:
        OSError: That is not possible, or the path is, or is below, a link to something that does not exist.
    """
    for place in (path.absolute(), *path.absolute().parents):
        if place.is_symlink() and not place.exists():
            raise FileNotFoundError(errno.ENOENT, f"{place.name} is a link to something that does not exist")
    nearest = next(folder for folder in path.absolute().parents if folder.exists())
    tempfile.TemporaryFile(dir=nearest).close()


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DatasetError(f"{path} cannot be written ({error.strerror or error}). Choose another place.") from error


def content_hash(metadata: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of metadata, as JSON, and of tensors, in the order of their names."""
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(tensors[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


# Locks are on the folder itself. The library filelock (4.3) needs a file for each lock, which would stay in datasets
# and model directories, whose content is fixed; its shared locks are SQLite databases, which a killed run can leave.


def lock(folder: Path) -> int | None:
    """Create a folder if it does not exist, and lock it: first exclusively, then shared with `share_lock`.

    Returns:
        A handle for `unlock`; None on Windows, where folders are not locked.

    Raises:
        BlockingIOError: Another run holds the lock.
    """
    end = time.monotonic() + LOCK_TIMEOUT
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        if sys.platform == "win32":
            return None
        handle = os.open(folder, os.O_RDONLY)
        if _flock(handle, fcntl.LOCK_EX) and _flock(handle, fcntl.LOCK_SH) and _is_same(folder, handle):
            return handle
        os.close(handle)
        if time.monotonic() > end:
            raise BlockingIOError
        time.sleep(0.05)


def share_lock(folder: Path) -> None:
    """Hold the lock of a folder, together with the run that took it, until this process ends.

    Raises:
        BlockingIOError: Another run is taking the lock.
    """
    if sys.platform != "win32" and not _flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_SH):
        raise BlockingIOError


def is_locked(folder: Path) -> bool:
    """Whether a process holds the lock of a folder; False where there are no locks."""
    if sys.platform == "win32":
        return False
    handle = os.open(folder, os.O_RDONLY)
    try:
        return not _flock(handle, fcntl.LOCK_EX)
    finally:
        os.close(handle)


def unlock(handle: int | None) -> None:
    """Release the lock of a handle that `lock` returned."""
    if handle is not None:
        os.close(handle)


def _flock(handle: int, kind: int) -> bool:
    """Try to lock, and return whether it succeeded; it does on file systems without locks."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _is_same(folder: Path, handle: int) -> bool:
    """Whether the locked folder still has its path: a run that fails removes the folder that it created."""
    try:
        return os.path.samestat(folder.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
