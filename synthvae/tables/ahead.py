"""Work on the batches of a table in threads, in the order of the batches."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

MOST = 8  # threads; with more, they wait for the interpreter's lock

T = TypeVar("T")
Result = TypeVar("Result")


def threads() -> int:
    """Return how many threads may work on batches: one for each core that this process may use, at most `MOST`."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(usable or 1, MOST)


def map_ahead(function: Callable[[T], Result], items: Iterable[T], workers: int | None = None) -> Iterator[Result]:
    """Yield the results of a function in the order of the items, while threads work on later ones.

    NumPy and pyarrow release the interpreter's lock while they compute, so that threads need no copies of the batches.
    Items are taken by the caller's thread, at most one for each thread before its result is asked for, so that memory
    is bounded.

    Args:
        function: It must not depend on the order in which it is called.
        items: The batches.
        workers: The number of threads; None: `threads()`.

    Example:
        >>> list(map_ahead(len, ["a", "bc", ""], workers=2))
        [1, 2, 0]
    """
    workers = threads() if workers is None else workers
    if workers == 1:
        yield from map(function, items)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
