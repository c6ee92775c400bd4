"""How a command ends that is interrupted: by Ctrl-C, or by SIGTERM, as batch systems and containers send it.

Imports only the standard library, since the first seconds of a command are imports. An exception that is raised in one
may be lost: extension modules and `except` clauses of libraries turn it into another error, or into none. So an
interrupt in an import ends the process at once, which loses no more than a kill does; at any other moment it raises
KeyboardInterrupt.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
EXIT_CODE = 130


def leave(*_: object) -> None:
    """End this process at once, in one line."""
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, b"error: interrupted\n")
    os._exit(EXIT_CODE)


def leave_while_loading() -> None:
    """Until `interruptible` is entered, let an interrupt end this process at once."""
    for number in SIGNALS:
        signal.signal(number, leave)


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Let both signals raise KeyboardInterrupt in the main thread. The event is set once one has."""
    interrupted = threading.Event()

    def interrupt(_: int, frame: FrameType | None) -> None:
        if is_importing(frame):
            leave()
        interrupted.set()
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # which alone may handle signals
        yield interrupted
        return
    before = {number: signal.signal(number, interrupt) for number in SIGNALS}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def is_importing(frame: FrameType | None) -> bool:
    """Whether a frame, or one that called it, is of Python's import system."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
