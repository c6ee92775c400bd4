"""One function called with many numbers, in several processes that end with the process that started them.

Each worker is a Python process with pipes for its input and output (`worker`), served by a thread of this process. That
is all: no semaphores, shared memory, managers or exit handlers that could outlive an interrupt. The pools of
`multiprocessing` and loky wait at exit for workers that were interrupted while they started, which may be for ever.
Workers import no script of the caller, so that one without `if __name__ == "__main__"` and a notebook will do.
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
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

WORKER = Path(__file__).with_name("worker_process.py")

Result = TypeVar("Result")


def each(
    work: Callable[[int], Result],
    numbers: int,
    workers: int,
    begin: Callable[[], None],
    done: Callable[[Result], None],
) -> list[Result]:
    """Return `work` of each number from 0, found in processes of their own if `workers` are more than one.

    Args:
        work: What is done; goes to each worker once.
        numbers: How many.
        workers: How many processes.
        begin: What each of them does first.
        done: Called here with each result, in the order in which they come.

    Raises:
        BrokenProcessPool: A worker was killed. All have ended by then, as after any other error.
    """
    found: dict[int, Result] = {}

    def take(number: int, result: Result) -> None:
        found[number] = result
        done(result)

    if workers == 1:
        for number in range(numbers):
            take(number, work(number))
    else:
        pool = _Pool(pickle.dumps((work, begin)), range(numbers))
        try:
            pool.start(workers)
            for _ in range(numbers):
                take(*pool.next())
        finally:
            pool.end()
    return [found[number] for number in range(numbers)]


class _Pool:
    """Worker processes.

    Signals are handled in the main thread alone: threads of this class start the processes, so that no interrupt can
    come between the start of one and the note that it is there.

    Args:
        content: The pickled pair of what workers do with each number and what they do first.
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
        """Have so many processes started."""
        for _ in range(workers):
            threading.Thread(target=self._serve, daemon=True).start()  # a daemon is not waited for at exit

    def end(self) -> None:
        """Kill the processes, and wait until they are gone."""
        self._ended = True  # before the list is read: a thread that adds to it afterwards sees it
        there = list(self._processes)
        for process in there:
            process.kill()
        for process in there:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):  # what was still to be sent
                    assert pipe is not None
                    pipe.close()

    def next(self) -> tuple[int, Any]:
        """A number and its result, as they come; raises what a worker raised."""
        result = self._results.get()
        if isinstance(result, BaseException):
            raise result
        return result

    def _serve(self) -> None:
        """Have a worker of its own do numbers as long as there are any."""
        try:
            process = self._started()
            while process is not None:
                number = self._waiting.get_nowait()
                self._results.put((number, _ask(process, number)))
        except Empty:
            return
        except BaseException as error:  # noqa: BLE001 (raised where the results are taken)
            self._results.put(error)

    def _started(self) -> subprocess.Popen[bytes] | None:
        """A worker that was sent what it needs; None if the pool was ended meanwhile."""
        process = subprocess.Popen(  # noqa: S603 (this Python, and a file of this package)
            [sys.executable, "-P", str(WORKER)],  # -P: the standard library, not what lies beside the script
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C in a terminal is for this process to handle
        )
        self._processes.append(process)
        if self._ended:
            process.kill()
            return None
        _send(process, sys.path)
        _send(process, self._content)
        return process


def _ask(process: subprocess.Popen[bytes], number: int) -> Any:
    """Have a worker do a number; raise what it raised."""
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
