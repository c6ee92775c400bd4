"""A worker process: it calls one function with each number that it receives, until its parent process ends.

`workers` runs this file as a script, so that a worker imports neither the caller's `__main__` nor any large package
before it reads its input: when the other end of the input is closed, for any reason and at any time, it ends at once.
Messages are pickled, on pipes that no other process has open: first `sys.path`, then the pickled bytes of the function
and of another one that is called before it, then numbers. The answer to a number is whether the call succeeded, and its
result or exception.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO

PR_SET_PDEATHSIG = 1  # of <linux/prctl.h>


def main() -> None:
    """Answer the parent process, which has the other ends of the input and output of this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles Ctrl-C
    _end_with(int(sys.argv[1]))
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # printed text goes to stderr
    sys.path[:] = pickle.load(requests)  # noqa: S301 (from the parent process)
    received: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(requests, received), daemon=True).start()
    call = _prepared(received.get())
    while True:
        answers.write(call(received.get()))
        answers.flush()


def _end_with(parent: int) -> None:
    """Let the system kill this process when the thread that started it ends, and with it the parent process (Linux).

    Elsewhere `_receive` ends this process, which takes as long as a call into a library that holds the interpreter.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it has ended before
            os._exit(1)


def _receive(requests: BinaryIO, received: queue.SimpleQueue[Any]) -> None:
    """Receive messages; end this process when its input is closed."""
    try:
        while True:
            received.put(pickle.load(requests))  # noqa: S301 (from the parent process)
    finally:
        os._exit(1)


def _prepared(content: bytes) -> Callable[[int], bytes]:
    """The function that answers a number. If its preparation fails, the answer to each number is that exception."""
    try:
        work, begin = pickle.loads(content)  # noqa: S301 (from the parent process)
        begin()
    except BaseException as error:  # noqa: BLE001 (the parent process raises it)
        failure = _failed(error)
        return lambda _: failure
    return lambda number: _answer(work, number)


def _answer(work: Callable[[int], Any], number: int) -> bytes:
    try:
        return pickle.dumps((True, work(number)))
    except BaseException as error:  # noqa: BLE001 (the parent process raises it)
        return _failed(error)


def _failed(error: BaseException) -> bytes:
    """The answer after an exception, which is replaced by a `RuntimeError` of its text if it cannot be pickled."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        content = pickle.dumps((False, error))
        pickle.loads(content)  # noqa: S301 (bytes of this process)
    except Exception:  # noqa: BLE001 (its own methods may raise anything)
        return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))
    return content


if __name__ == "__main__":
    main()
