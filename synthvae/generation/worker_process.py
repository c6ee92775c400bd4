"""A worker process: it calls one function with each number that it is sent, until whoever started it is gone.

`pool` runs this file as a script, so that a worker imports neither the caller's `__main__` nor anything heavy before it
listens: when the other end of its input is closed, for whatever reason and at whatever moment, it ends at once.
Messages are pickled, on pipes that nobody else holds: first `sys.path`, then the pickled bytes of the function and of
what is called before it, then numbers. The answer to each is whether it succeeded, and the result or the exception.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO


def main() -> None:
    """Serve the process that holds the other ends of this one's input and output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this process handles Ctrl-C
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what is printed goes to stderr
    sys.path[:] = pickle.load(requests)  # noqa: S301 (from the process that started this one)
    received: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(requests, received), daemon=True).start()
    call = _prepared(received.get())
    while True:
        answers.write(call(received.get()))
        answers.flush()


def _receive(requests: BinaryIO, received: queue.SimpleQueue[Any]) -> None:
    """Receive messages; end this process when there can be no more."""
    try:
        while True:
            received.put(pickle.load(requests))  # noqa: S301 (from the process that started this one)
    finally:
        os._exit(1)


def _prepared(content: bytes) -> Callable[[int], bytes]:
    """What answers a number. If preparing fails, that is the answer to each."""
    try:
        work, begin = pickle.loads(content)  # noqa: S301 (from the process that started this one)
        begin()
    except BaseException as error:  # noqa: BLE001 (whoever started this process raises it)
        refusal = _refused(error)
        return lambda _: refusal
    return lambda number: _answer(work, number)


def _answer(work: Callable[[int], Any], number: int) -> bytes:
    try:
        return pickle.dumps((True, work(number)))
    except BaseException as error:  # noqa: BLE001 (whoever started this process raises it)
        return _refused(error)


def _refused(error: BaseException) -> bytes:
    """The answer that is an exception: as it is if it can be sent, in words if not."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        content = pickle.dumps((False, error))
        pickle.loads(content)  # noqa: S301 (of this process)
    except Exception:  # noqa: BLE001 (whatever its own methods raise)
        return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))
    return content


if __name__ == "__main__":
    main()
