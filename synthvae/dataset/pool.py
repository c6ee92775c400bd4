"""Many calls in several processes: each loads what it works with once, and few calls are under way at a time.

The processes are loky's, as scikit-learn starts them: they import no script of the caller, so that one without
`if __name__ == "__main__"` and a notebook will do, and share no thread or lock with it as a fork would.
Source: https://loky.readthedocs.io.
"""

from __future__ import annotations

import itertools
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from multiprocessing.shared_memory import SharedMemory
from typing import Any, ClassVar, TypeVar

AHEAD = 2  # calls for each worker, so that none waits for the next one
WATCH = 0.1  # seconds between two looks whether the process that began all is there

Result = TypeVar("Result")


class _Worker:
    """What this process, begun by another one, is here for."""

    work: ClassVar[Callable[[int], Any]]


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
        with _pool(workers, work, begin) as submit:
            _hand_out(submit, numbers, AHEAD * workers, take)
    return [found[number] for number in range(numbers)]


def _hand_out(
    submit: Callable[[int], Future[Result]], numbers: int, ahead: int, take: Callable[[int, Result], None]
) -> None:
    """Submit numbers, a few ahead of those that are done."""
    waiting = iter(range(numbers))
    running = {submit(number): number for number in itertools.islice(waiting, ahead)}
    while running:
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            take(running.pop(future), future.result())
        running |= {submit(number): number for number in itertools.islice(waiting, len(finished))}


@contextmanager
def _pool(
    workers: int, work: Callable[[int], Result], begin: Callable[[], None]
) -> Iterator[Callable[[int], Future[Result]]]:
    """Processes with one thread each, which end with this block."""
    from joblib.externals.loky import ProcessPoolExecutor

    with _shared((work, begin)) as name:
        pool = ProcessPoolExecutor(
            workers, initializer=_start, initargs=(name, os.getpid()), env={"OMP_NUM_THREADS": "1"}
        )
        yield from _ending(pool)


@contextmanager
def _shared(things: Any) -> Iterator[str]:
    """The name of the memory where processes find things that are large.

    To send them as a process begins would wait for ever for one that was killed by then.
    """
    content = pickle.dumps(things)
    memory = SharedMemory(create=True, size=len(content))
    try:
        memoryview(memory.buf or b"")[: len(content)] = content
        yield memory.name
    finally:
        memory.close()
        memory.unlink()


def _ending(pool: Any) -> Iterator[Callable[[int], Future[Any]]]:
    """What submits to a pool, which is ended afterwards."""

    def submit(number: int) -> Future[Any]:
        with _no_interrupt():
            return pool.submit(_do, number)  # type: ignore[no-any-return]

    try:
        yield submit
    except BaseException:
        pool.shutdown(wait=True, kill_workers=True)
        raise
    pool.shutdown(wait=True)


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Processes that are begun meanwhile never see an interrupt from the keyboard, which is for this one to handle."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(name: str, parent: int) -> None:
    memory = SharedMemory(name)
    _Worker.work, begin = pickle.loads(memory.buf or b"")  # noqa: S301 (this run's own)
    memory.close()
    begin()
    if os.getppid() != parent:
        os._exit(1)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End when the process that began this one has: if it was killed, nobody else would see to that."""
    while os.getppid() == parent:
        time.sleep(WATCH)
    os._exit(1)


def _do(number: int) -> Any:
    return _Worker.work(number)
