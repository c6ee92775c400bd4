"""One part of a dataset: its rows to Parquet files, and a record of these files.

Row groups, compression and dictionaries were chosen by `tests/benchmarks/generation.py`. For a part of Adult (262,143
rows, 14 columns besides the class), zstd takes 2.3 MB with dictionaries and 3.6 MB without, snappy and lz4 2.9 MB; four
row groups instead of one take a tenth more and are not read faster; levels 3 and 9 save 0 and 2 %, and 9 takes twice
the time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, TypedDict

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synthvae.generation.partitions import folder
from synthvae.generation.request import Draw, LinkedPart
from synthvae.generation.stores import PART, STAGING, Store, staged_name

FORMAT: dict[str, Any] = {
    "compression": "zstd",
    "compression_level": 1,
    "use_dictionary": True,
    "row_group_size": 1 << 18,
}


class FileRecord(TypedDict):
    """One file of a dataset, as its manifest lists it."""

    file: str
    rows: int
    bytes: int
    sha256: str


def complete_part(store: Store, draw: Draw, partition_by: str | None, number: int) -> list[FileRecord]:
    """Write one part of a dataset, unless an earlier run finished it, and return the records of its files.

    The result depends on the arguments alone, all of which can be pickled and sent to another process or machine.

    Args:
        store: The place of the dataset.
        draw: Returns the table or tables of a part, by number.
        partition_by: The column whose values become folders.
        number: The part.

    Raises:
        OSError: It cannot be written.
    """
    return _finished(store, number) or _write_part(store, number, draw(number), partition_by)


def _write_part(store: Store, number: int, part: pa.Table | LinkedPart, partition_by: str | None) -> list[FileRecord]:
    done: list[FileRecord] = []
    for file, content, rows in _contents(part, number, partition_by):
        store.write(staged_name(store, file), content)
        digest = hashlib.sha256(content).hexdigest()
        done.append({"file": file, "rows": rows, "bytes": len(content), "sha256": digest})
    store.write(_record(number), json.dumps(done).encode())
    return done


def _contents(
    part: pa.Table | LinkedPart, number: int, partition_by: str | None
) -> Iterator[tuple[str, bytes | memoryview, int]]:
    """The name, the content and the number of rows of each file of a part."""
    name = f"part-{number:05d}.parquet"
    if isinstance(part, pa.Table):
        for place, rows in _split(part, partition_by):
            yield f"{place}{name}", _parquet(rows), rows.num_rows
        return
    for place, content in part.items():
        if isinstance(content, bytes):
            yield place, content, 0
        else:
            yield f"{place}/{name}", _parquet(content), content.num_rows


def _parquet(rows: pa.Table) -> memoryview:
    """The Parquet file of some rows, in memory, so that it is hashed and written at once."""
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, **FORMAT)
    return memoryview(sink.getvalue())


def _record(number: int) -> str:
    """The file that records a finished part."""
    return f"{STAGING}/part-{number:05d}.json"


def _split(table: pa.Table, partition_by: str | None) -> Iterator[tuple[str, pa.Table]]:
    """The folders of a part, and the rows of each; an empty part is a file in no folder, which keeps the columns."""
    if partition_by is None or not table.num_rows:
        yield "", table
        return
    column = table.column(partition_by)
    for value in sorted(pc.unique(column).to_pylist(), key=str):
        rows = table.filter(pc.equal(column, pa.scalar(value))).drop_columns([partition_by])
        yield f"{folder(partition_by, value)}/", rows


def _finished(store: Store, number: int) -> list[FileRecord] | None:
    """The files of a part that an earlier run finished; None if one of them is absent or damaged."""
    try:
        files: list[FileRecord] = json.loads(store.read(_record(number)) or b"")
        ours = all(PART.fullmatch(file["file"]) for file in files)  # no other file is published, whatever a record says
        whole = ours and all(_sha256(store.read(staged_name(store, file["file"]))) == file["sha256"] for file in files)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return files if whole else None


def _sha256(content: bytes | None) -> str | None:
    return None if content is None else hashlib.sha256(content).hexdigest()
