"""Generation of the parts of a dataset by tasks of a Ray cluster."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from synthvae.cluster.connection import LOCAL, connected
from synthvae.generation.workers import Each


def on(address: str = LOCAL) -> Each:
    """Return an executor that writes the parts of a dataset by tasks of a Ray cluster, which Ray Data schedules.

    It is the executor of `RayBackend.map_parts`. The parts are the same bytes as those of one process if all
    nodes have the same type of processor. The dataset must be in a shared folder with an absolute path, or in an object
    store.

    Args:
        address: The address of the head node, or "local".
    """

    def each(
        work: Callable[[int], Any],
        numbers: int,
        workers: int,
        begin: Callable[[], None],
        done: Callable[[Any], None],
    ) -> list[Any]:
        del begin  # this process holds the lock of the folder, and Ray ends its tasks if it ends
        found: dict[int, Any] = {}
        with connected(address, workers) as ray:
            for number, files in _written(ray, work, numbers, workers):
                found[number] = files
                done(files)
        return [found[number] for number in range(numbers)]

    return each


def _written(ray: Any, work: Callable[[int], Any], numbers: int, workers: int) -> Iterator[tuple[int, Any]]:
    """Yield the number and the files of each part when it is written."""
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
