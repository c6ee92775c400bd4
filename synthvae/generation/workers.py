"""One function called with many numbers, in several processes that end with the process that started them.

Each worker is a Python process with pipes for its input and output (`worker_process`), served by a thread of this
process. There are no semaphores, shared memory, managers or exit handlers that could outlive an interrupt: the pools of
`multiprocessing` and loky wait at exit for workers that were interrupted while they started, possibly for ever. Workers
do not import the caller's script, so that notebooks, and scripts without `if __name__ == "__main__"`, can use them.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeVar

from synthvae.errors import warn_user

WORKER = Path(__file__).with_name("worker_process.py")
SIGNAL_INTERVAL = 0.5  # seconds

Result = TypeVar("Result")


class PartsBackend(Protocol):
    """Where the parts of a dataset are drawn and written."""

    def map_parts(
        self,
        work: Callable[[int], Result],
        parts: int,
        workers: int,
        begin: Callable[[], None],
        done: Callable[[Result], None],
    ) -> list[Result]:
        """Return the results of `work` for the numbers from 0 to `parts` - 1, in this order.

        Args:
            work: The function; can be pickled if `workers` is more than 1.
            parts: The number of calls.
            workers: The number of processes.
            begin: Called first in each of these processes, if they are not this one.
            done: Called in this process with each result, in the order in which they arrive.

        Raises:
            BrokenProcessPool: A worker was killed.
        """


class LocalProcesses:
    """A `PartsBackend`: this process if there is one worker, otherwise processes that it starts."""

    def map_parts(
        self,
        work: Callable[[int], Result],
        parts: int,
        workers: int,
        begin: Callable[[], None],
        done: Callable[[Result], None],
    ) -> list[Result]:
        """See `PartsBackend.map_parts`. When it returns or raises, all processes have ended."""
        found: dict[int, Result] = {}

        def take(number: int, result: Result) -> None:
            found[number] = result
            done(result)

        if workers == 1:
            for number in range(parts):
                take(number, work(number))
        else:
            pool = _Pool(pickle.dumps((work, begin)), range(parts))
            try:
                pool.start(workers)
                for _ in range(parts):
                    take(*pool.next())
            finally:
                pool.end()
        return [found[number] for number in range(parts)]


LOCAL = LocalProcesses()

Each = Callable[[Callable[[int], Any], int, int, Callable[[], None], Callable[[Any], None]], list[Any]]
"""A function with the parameters of `PartsBackend.map_parts`."""


@dataclass(frozen=True)
class FunctionBackend:
    """A `PartsBackend` that calls a function with the parameters of `map_parts`."""

    map_parts: Each


def choose_backend(backend: PartsBackend | None, each: Each | None) -> PartsBackend:
    """Return the backend of `Synthesizer.generate`, one of whose parameters is deprecated."""
    if each is None:
        return backend or LOCAL
    warn_user("`each` is deprecated and will be removed in the next release. Pass `backend`.", DeprecationWarning)
    return FunctionBackend(each)


class _Pool:
    """Worker processes.

    Signals are handled in the main thread alone. Threads of this class start the processes, so that no interrupt can
    occur between the start of a process and its entry in the list of processes.

    Args:
        content: The pickled pair of the function of each number and the function that is called first.
        numbers: The numbers.
    """

    def __init__(self, content: bytes, numbers: range) -> None:
        self._content = content
        self._waiting: SimpleQueue[int] = SimpleQueue()
        for number in numbers:
            self._waiting.put(number)
        self._results: SimpleQueue[tuple[int, Any] | BaseException] = SimpleQueue()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._ended = False

    def start(self, workers: int) -> None:
        """Start so many processes, each from a thread of its own."""
        for _ in range(workers):
            threading.Thread(target=self._serve, daemon=True).start()  # Python does not wait for a daemon at exit

    def end(self) -> None:
        """Kill the processes, and wait until they have ended."""
        self._ended = True  # before the list is read: a thread that appends to it afterwards checks this
        started = list(self._processes)
        for process in started:
            process.kill()
        for process in started:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):  # raised if the pipe has unsent bytes
                    assert pipe is not None
                    pipe.close()

    def next(self) -> tuple[int, Any]:
        """Return the next number and its result, in the order of arrival; raise the exception of a worker."""
        while True:
            # A wait without a limit misses a signal that arrives after Python last checked for signals and before the
            # wait begins, which takes long where threads compete for the interpreter. Each new wait checks again.
            with contextlib.suppress(Empty):
                result = self._results.get(timeout=SIGNAL_INTERVAL)
                break
        if isinstance(result, BaseException):
            raise result
        return result

    def _serve(self) -> None:
        """Start a worker, and send it numbers as long as there are any."""
        try:
            process = self._started()
            while process is not None:
                number = self._waiting.get_nowait()
                self._results.put((number, _ask(process, number)))
        except Empty:
            return
        except BaseException as error:  # noqa: BLE001 (raised again in `next`)
            self._results.put(error)

    def _started(self) -> subprocess.Popen[bytes] | None:
        """Start a worker and send it the functions; None if the pool was ended meanwhile."""
        process = subprocess.Popen(  # noqa: S603 (this Python, and a file of this package)
            [
                sys.executable,
                "-P",
                str(WORKER),
                str(os.getpid()),
            ],  # -P: import from the standard library, not from the folder of the script
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # so that Ctrl-C in a terminal interrupts this process alone
        )
        self._processes.append(process)
        if self._ended:
            process.kill()
            return None
        _send(process, sys.path)
        _send(process, self._content)
        return process


def _ask(process: subprocess.Popen[bytes], number: int) -> Any:
    """Send a number to a worker and return the result; raise the exception of the worker."""
    _send(process, number)
    assert process.stdout is not None
    try:
        succeeded, result = pickle.load(process.stdout)  # noqa: S301 (from a process of this one)
    except (EOFError, OSError, pickle.UnpicklingError) as error:
        raise _broken(process) from error
    if succeeded:
        return result
    raise result


def _send(process: subprocess.Popen[bytes], message: Any) -> None:
    assert process.stdin is not None
    try:
        pickle.dump(message, process.stdin, pickle.HIGHEST_PROTOCOL)
        process.stdin.flush()
    except OSError as error:
        raise _broken(process) from error


def _broken(process: subprocess.Popen[bytes]) -> BrokenProcessPool:
    process.kill()  # whatever closed its pipes
    return BrokenProcessPool(f"a worker process ended with exit code {process.wait()}")
