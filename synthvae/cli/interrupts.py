"""How a command ends when it is interrupted by Ctrl-C or, as batch systems and containers do, by SIGTERM.

Only the standard library is imported here, since the first seconds of a command are imports. An exception raised during
an import may be lost: extension modules and `except` clauses of libraries turn it into another error, or into none. So
an interrupt during an import ends the process at once, which loses no more than a kill does; at any other time it
raises KeyboardInterrupt.
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
    """End this process at once with one line on stderr."""
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, b"error: interrupted\n")
    os._exit(EXIT_CODE)


def leave_while_loading() -> None:
    """Let an interrupt end this process at once until `interruptible` is entered."""
    for number in SIGNALS:
        signal.signal(number, leave)


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Let both signals raise KeyboardInterrupt in the main thread. The event is set when one does."""
    interrupted = threading.Event()

    def interrupt(_: int, frame: FrameType | None) -> None:
        if is_importing(frame):
            leave()
        interrupted.set()
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # only the main thread may handle signals
        yield interrupted
        return
    before = {number: signal.signal(number, interrupt) for number in SIGNALS}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def is_importing(frame: FrameType | None) -> bool:
    """Whether a frame, or one of its callers, belongs to Python's import system."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
