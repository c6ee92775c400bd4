"""A folder that one run writes at a time: the lock is on the folder itself, so that no file is left over.

It belongs to the processes that hold it and goes with them, however they end. Where the system or the file system has
no such locks (Windows, some network drives), two runs are not kept apart.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

if sys.platform != "win32":
    import fcntl

PATIENCE = 3.0  # seconds; the workers of a run that was killed are gone sooner


def take(folder: Path) -> int | None:
    """Make a folder if need be and return a handle that holds it: alone for a moment, then beside those who `join`.

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


def join(folder: Path) -> None:
    """Hold a folder beside the run that took it, until this process ends.

    Raises:
        BlockingIOError: Another run is taking it.
    """
    if sys.platform != "win32" and not _flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_SH):
        raise BlockingIOError


def is_held(folder: Path) -> bool:
    """Whether a process holds a folder; where there are no locks, none does."""
    if sys.platform == "win32":
        return False
    handle = os.open(folder, os.O_RDONLY)
    try:
        return not _flock(handle, fcntl.LOCK_EX)
    finally:
        os.close(handle)


def release(handle: int | None) -> None:
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
