"""Locks on folders, which end with the process that holds them."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

if sys.platform != "win32":
    import fcntl

LOCK_TIMEOUT = 3.0  # seconds; the workers of a killed run end sooner

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


def try_lock(handle: int) -> bool:
    """Lock an open file exclusively until it is closed, and return whether that succeeded; not without locks."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


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
