"""Generation of the parts of a dataset by tasks of a Ray cluster."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from synthvae.cluster.connection import LOCAL, connected
from synthvae.generation.dataset import Done, Each, Work
from synthvae.generation.parts import Part


def on(address: str = LOCAL) -> Each:
    """Return an executor that writes the parts of a dataset by tasks of a Ray cluster, which Ray Data schedules.

    Pass it to `Synthesizer.generate(..., each=on(address))`. The parts are the same bytes as those of one process if
    all nodes have the same type of processor. The dataset must be in a shared folder with an absolute path, or in an
    object store.

    Args:
        address: The address of the head node, or "local".
    """

    def each(work: Work, numbers: int, workers: int, begin: Callable[[], None], done: Done) -> list[list[Part]]:
        del begin  # this process holds the lock of the folder, and Ray ends its tasks if it ends
        found: dict[int, list[Part]] = {}
        with connected(address, workers) as ray:
            for number, files in _written(ray, work, numbers, workers):
                found[number] = files
                done(files)
        return [found[number] for number in range(numbers)]

    return each


def _written(ray: Any, work: Work, numbers: int, workers: int) -> Iterator[tuple[int, list[Part]]]:
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
