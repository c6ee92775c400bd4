"""A dataset is read as it was at one moment, or the error says that it is not whole."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from synthvae import filesystem
from synthvae.errors import TableError
from synthvae.generation import dataset
from synthvae.generation.request import DatasetRequest
from synthvae.tables import convert, rowwise, snapshots, streaming
from synthvae.tables.streaming import Stream

PARTS = 4


def write(out: Path, run: int, **options: Any) -> None:
    """Write a dataset all of whose values are the number of its run; even runs are partitioned."""

    def draw(_: int) -> pa.Table:
        return pa.table({"run": np.full(30, run), "label": ["a", "b"] * 15})

    place = "label" if run % 2 == 0 else None
    dataset.write(out, DatasetRequest(draw, PARTS, {"run": run}, place), **options)


@pytest.mark.parametrize("read", [convert.read, rowwise.read])
def test_a_reader_while_a_dataset_is_replaced_sees_the_old_or_the_new_one(
    tmp_path: Path, read: Callable[[Path], pa.Table]
) -> None:
    out, ended, runs, seen = tmp_path / "out", threading.Event(), [1], list[list[int]]()
    write(out, 1)

    def replace() -> None:
        while not ended.is_set():
            runs.append(runs[-1] + 1)
            write(out, runs[-1], overwrite=True)

    writer = threading.Thread(target=replace)
    writer.start()
    try:
        while (len(runs) < 12 or len({rows[0] for rows in seen}) < 2) and writer.is_alive():
            seen.append(read(out).column("run").to_pylist())
    finally:
        ended.set()
        writer.join()
    assert all(len(set(rows)) == 1 and len(rows) == 30 * PARTS for rows in seen)
    assert len({rows[0] for rows in seen}) > 1


def halfway(out: Path) -> None:
    """Leave a dataset as a run does that is killed while it moves its parts."""
    write(out, 1)
    (out / ".incomplete").mkdir()
    (out / "_manifest.json").rename(out / ".incomplete" / "old.json")


@pytest.mark.parametrize("read", [convert.read, rowwise.read, Stream.from_source], ids=["table", "rows", "stream"])
def test_half_a_dataset_is_refused(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    halfway(tmp_path / "out")
    with pytest.raises(TableError, match="--resume"):
        read(tmp_path / "out")


def test_a_run_that_is_moving_its_parts_is_awaited(tmp_path: Path) -> None:
    halfway(tmp_path / "out")
    handle = filesystem.lock(tmp_path / "out")

    def finish() -> None:
        (tmp_path / "out" / ".incomplete" / "old.json").rename(tmp_path / "out" / "_manifest.json")

    timer = threading.Timer(2 * snapshots.LOCKLESS_WAIT, finish)
    timer.start()
    assert convert.read(tmp_path / "out").num_rows == 30 * PARTS
    timer.join()
    filesystem.unlock(handle)


def test_a_stream_of_a_dataset_that_is_replaced_ends_in_an_error(tmp_path: Path) -> None:
    """Its first batches were used already."""
    write(tmp_path / "out", 1)
    stream = streaming.Stream.from_source(tmp_path / "out")
    assert sum(batch.num_rows for batch in stream.batches()) == 30 * PARTS
    batches = stream.batches()
    next(batches)
    write(tmp_path / "out", 3, overwrite=True)
    with pytest.raises(TableError, match="another run replaced"):
        list(batches)
    with pytest.raises(TableError, match="another run replaced"):
        list(stream.batches())


def test_an_error_of_a_folder_that_stays_is_raised_once(tmp_path: Path) -> None:
    calls: list[int] = []

    def fails() -> None:
        calls.append(1)
        raise TableError("no table")

    with pytest.raises(TableError, match="no table"):
        snapshots.read(tmp_path, fails)
    assert calls == [1]


def test_folders_without_manifest_are_read_as_they_are(tmp_path: Path) -> None:
    pa.parquet.write_table(pa.table({"x": [1]}), tmp_path / "a.parquet")
    (tmp_path / ".incomplete").mkdir()
    assert convert.read(tmp_path).num_rows == 1
