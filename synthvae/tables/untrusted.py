"""What files say that anybody may have written, before it is believed: sizes, metadata, values that are none."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset

from synthvae.errors import TableError

NOT_A_TIME = -(2**63)  # NumPy's and pandas' "not a time", in any unit
LIMIT = Path("/sys/fs/cgroup/memory.max")  # what Linux lets a container have
BLOCK = 1 << 20


def memory() -> int:
    """The bytes of memory that this process can have at most."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError):  # no container, or one without a limit
        return min(physical, int(LIMIT.read_text(encoding="ascii")))
    return physical


def refuse_large_csv(path: Path) -> None:
    """Refuse a CSV file that is larger than memory once it is unpacked; it is unpacked block by block to see that.

    Raises:
        TableError: It is.
    """
    limit, size = memory(), path.stat().st_size
    if path.suffix in {".gz", ".bz2", ".zst"}:
        with pa.input_stream(str(path), compression="detect") as stream:
            size = 0
            while size <= limit and (block := stream.read(BLOCK)):
                size += len(block)
    _refuse(path, size, limit)


def refuse_large_parquet(path: Path) -> None:
    """Refuse Parquet, a file or a folder, whose values cannot fit into memory: a few bytes can stand for billions.

    Raises:
        TableError: They cannot.
    """
    found = pa.dataset.dataset(path, format="parquet")
    _refuse(path, found.count_rows() * sum(_bits(field.type) for field in found.schema) // 8, memory())


def _bits(kind: pa.DataType) -> int:
    """The least that a value takes."""
    try:
        return int(kind.bit_width)
    except ValueError:  # of any length; where it begins is written down
        return 32


def _refuse(path: Path, size: int, limit: int) -> None:
    if size > limit:
        raise TableError(
            f"a table must fit into memory, however, {path} takes more than {limit >> 20:,} MiB: read a part of it"
        )


def pandas_metadata(schema: pa.Schema) -> dict[str, Any] | None:
    """What a file says of its time in pandas; None where it says nothing, or nothing that pandas understands."""
    if b"pandas" not in (schema.metadata or {}):
        return None
    try:
        said: dict[str, Any] = {**json.loads(schema.metadata[b"pandas"])}
        schema.empty_table().to_pandas()
    except Exception:  # noqa: BLE001 (pandas believes what it reads, and fails in any way)
        return None
    return said


def without_nan(table: pa.Table) -> pa.Table:
    """Not-a-number, and not-a-time, is a missing value like any other."""
    for position, field in enumerate(table.schema):
        values = table.column(position)
        if pa.types.is_floating(field.type):
            none = pc.is_nan(values)
        elif pa.types.is_timestamp(field.type) or pa.types.is_duration(field.type):
            none = pc.equal(values.cast(pa.int64()), NOT_A_TIME)
        else:
            continue
        if pc.any(none).as_py():
            table = table.set_column(position, field, pc.if_else(none, pa.scalar(None, field.type), values))
    return table
