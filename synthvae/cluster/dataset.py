"""Parts of a dataset as tasks of a Ray cluster."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from synthvae.cluster.connection import LOCAL, connected
from synthvae.generation.workers import Each


def on(address: str = LOCAL) -> Each:
    """Return what has the parts of a dataset written by tasks of a Ray cluster: Ray Data schedules and repeats them.

    The parts are those of one process, byte for byte, if all nodes have processors of one kind. Pass it to
    `RayBackend.map_parts`. The dataset must lie in a folder that all nodes see, by an absolute
    path, or in an object store.

    Args:
        address: Of the head node, or "local".
    """

    def each(
        work: Callable[[int], Any],
        numbers: int,
        workers: int,
        begin: Callable[[], None],
        done: Callable[[Any], None],
    ) -> list[Any]:
        del begin  # this process holds the folder, and Ray ends the tasks of one that is gone
        found: dict[int, Any] = {}
        with connected(address, workers) as ray:
            for number, files in _written(ray, work, numbers, workers):
                found[number] = files
                done(files)
        return [found[number] for number in range(numbers)]

    return each


def _written(ray: Any, work: Callable[[int], Any], numbers: int, workers: int) -> Iterator[tuple[int, Any]]:
    """The files of each part, as they are written."""
    shared = ray.put(work)

    def write(row: dict[str, Any]) -> dict[str, Any]:
        return {"number": row["id"], "files": json.dumps(ray.get(shared)(int(row["id"])))}

    rows = ray.data.range(numbers, override_num_blocks=max(numbers, 1)).map(write, concurrency=workers)
    try:
        for row in rows.iter_rows():
            yield int(row["number"]), json.loads(row["files"])
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise BrokenProcessPool(reason) from error
