"""Processes that are found again by a mark in their environment, whichever session they are in."""

from __future__ import annotations

import contextlib
import uuid
from pathlib import Path

import psutil

MARK = "SYNTHVAE_TEST_RUN"


def new_mark() -> dict[str, str]:
    """What to add to the environment of a process, and so of all that it starts."""
    return {MARK: uuid.uuid4().hex}


def marked(mark: dict[str, str]) -> list[psutil.Process]:
    """The processes that live, of all that were started with a mark."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if mark.items() <= process.environ().items() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def shared_memory() -> set[str]:
    """What pools of processes leave in shared memory."""
    folder = Path("/dev/shm")  # where Linux has it
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return {name for name in names if name.startswith(("psm_", "sem.", "loky-"))}
