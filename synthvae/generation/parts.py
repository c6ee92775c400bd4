"""One part of a dataset: its rows to Parquet files, and a record of them.

Row groups, compression and dictionaries were chosen by `tests/benchmarks/generation.py`. Of a part of Adult (262 143
rows, 14 columns beside the class) zstd makes 2.3 MB, with dictionaries or 3.6 MB without, snappy and lz4 2.9 MB; four
row groups instead of one add a tenth and are read no faster; levels 3 and 9 save 0 and 2 % and 9 takes twice the
time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synthvae.generation.partitions import folder
from synthvae.generation.stores import STAGING, Store, grown

FORMAT: dict[str, Any] = {
    "compression": "zstd",
    "compression_level": 1,
    "use_dictionary": True,
    "row_group_size": 1 << 18,
}

Part = dict[str, Any]
Draw = Callable[[int], pa.Table]


def complete_part(store: Store, draw: Draw, partition_by: str | None, number: int) -> list[Part]:
    """Write one part of a dataset that was begun, unless it is there, and return its files.

    A pure function of its arguments, all of which can be sent to another process or machine.

    Args:
        store: Where the dataset grows.
        draw: Returns the table of a part, by number.
        partition_by: Column whose values become folders.
        number: The part.

    Raises:
        OSError: It cannot be written.
    """
    return _finished(store, number) or _write_part(store, number, draw(number), partition_by)


def _write_part(store: Store, number: int, table: pa.Table, partition_by: str | None) -> list[Part]:
    done = []
    for place, rows in _split(table, partition_by):
        file, content = f"{place}part-{number:05d}.parquet", _parquet(rows)
        store.write(grown(store, file), content)
        facts = {"rows": rows.num_rows, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        done.append({"file": file, **facts})
    store.write(_record(number), json.dumps(done).encode())
    return done


def _parquet(rows: pa.Table) -> memoryview:
    """The file of some rows: in memory first, so that it is hashed and handed over whole."""
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, **FORMAT)
    return memoryview(sink.getvalue())


def _record(number: int) -> str:
    return f"{STAGING}/part-{number:05d}.json"


def _split(table: pa.Table, partition_by: str | None) -> Iterator[tuple[str, pa.Table]]:
    """The folders of a part, and the rows of each; no rows are a file without folder, so that columns are not lost."""
    if partition_by is None or not table.num_rows:
        yield "", table
        return
    column = table.column(partition_by)
    for value in sorted(pc.unique(column).to_pylist(), key=str):
        rows = table.filter(pc.equal(column, pa.scalar(value))).drop_columns([partition_by])
        yield f"{folder(partition_by, value)}/", rows


def _finished(store: Store, number: int) -> list[Part] | None:
    """The files of a part that an earlier run finished, if they still have its bytes."""
    try:
        files: list[Part] = json.loads(store.read(_record(number)) or b"")
        whole = all(_sha256(store.read(grown(store, file["file"]))) == file["sha256"] for file in files)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return files if whole else None


def _sha256(content: bytes | None) -> str | None:
    return None if content is None else hashlib.sha256(content).hexdigest()
