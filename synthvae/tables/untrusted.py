"""Guards for tables from untrusted sources: size limits, metadata, and values that stand for missing ones."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset

from synthvae.errors import TableError

NOT_A_TIME = -(2**63)  # NumPy's and pandas' NaT, in any unit
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")  # memory limit of a Linux container
BLOCK_BYTES = 1 << 20

# Limits of text files, which synthvae sets for all readers alike, whatever their own limits are.
MAX_HEADER = 1 << 20  # bytes
MAX_CELL = 3 << 20  # bytes
MAX_ROW = 8 << 20  # bytes of all cells of a row


def memory() -> int:
    """Return the bytes of memory that this process can use at most."""
    physical = int(psutil.virtual_memory().total)
    with contextlib.suppress(OSError, ValueError):  # not in a container, or in one without a limit
        return min(physical, int(CGROUP_LIMIT.read_text(encoding="ascii")))
    return physical


def refuse_large_csv(path: Path) -> None:
    """Raise an error for a CSV file that is larger than memory, decompressed in blocks if it is compressed.

    Raises:
        TableError: It is.
    """
    limit, size = memory(), path.stat().st_size
    if path.suffix in {".gz", ".bz2", ".zst"}:
        with pa.input_stream(str(path), compression="detect") as stream:
            size = 0
            while size <= limit and (block := stream.read(BLOCK_BYTES)):
                size += len(block)
    _refuse(path, size, limit)


def refuse_large_parquet(path: Path) -> None:
    """Raise an error for a Parquet file or folder whose values do not fit into memory: few bytes can encode billions.

    Raises:
        TableError: They do not.
    """
    found = pa.dataset.dataset(path, format="parquet")
    _refuse(path, found.count_rows() * sum(_min_bits(field.type) for field in found.schema) // 8, memory())


def _min_bits(kind: pa.DataType) -> int:
    try:
        return int(kind.bit_width)
    except ValueError:  # of variable length: its offset
        return 32


def refuse_long_header(path: Path, head: bytes) -> None:
    """Raise an error for a text file of which the first `MAX_HEADER` bytes are one line.

    Raises:
        TableError: They are.
    """
    if len(head) > MAX_HEADER and not {b"\n"[0], b"\r"[0]} & set(head[:MAX_HEADER]):
        raise TableError(
            f"{path}: a header must have at most {MAX_HEADER:,} bytes, got a longer first line. Check that it is a "
            "table; write one with so many columns as Parquet."
        )


def refuse_long_cells(path: Path, names: Iterable[str], columns: Iterable[pa.Array | pa.ChunkedArray]) -> None:
    """Raise an error for a cell of more than `MAX_CELL` bytes of text, and for a row of more than `MAX_ROW`.

    Raises:
        TableError: There is one.
    """
    texts = [of for of in zip(names, columns, strict=True) if pa.types.is_string(of[1].type) or is_bytes(of[1].type)]
    sizes = {name: pc.fill_null(pc.binary_length(values), 0) for name, values in texts}
    longest = {name: pc.max(size).as_py() or 0 for name, size in sizes.items()}
    for name, size in longest.items():
        if size > MAX_CELL:
            raise TableError(
                f"{path}: a cell must have at most {MAX_CELL:,} bytes, got {size:,} in column {name[:100]!r}. Shorten "
                "it, or write the table as Parquet."
            )
    if sum(longest.values()) > MAX_ROW and pc.max(functools.reduce(pc.add, sizes.values())).as_py() > MAX_ROW:
        raise _long_row(path)


def is_bytes(kind: pa.DataType) -> bool:
    """Whether values are bytes, as Arrow reads text that is not UTF-8."""
    return bool(pa.types.is_binary(kind))


def refuse_long_row(path: Path, error: Exception) -> None:
    """Raise an error in place of that of a reader whose blocks have `MAX_ROW` bytes, if a row did not fit into two.

    Raises:
        TableError: That is the error.
    """
    if "straddling" in str(error):
        raise _long_row(path) from error


def _long_row(path: Path) -> TableError:
    return TableError(
        f"{path}: a row must have at most {MAX_ROW:,} bytes, got a longer one. Shorten its cells, or write the table "
        "as Parquet."
    )


def refuse_size(path: Path | str, size: int) -> None:
    """Raise an error for a file whose content takes more than memory.

    Raises:
        TableError: It does.
    """
    _refuse(path, size, memory())


def _refuse(path: Path | str, size: int, limit: int) -> None:
    if size > limit:
        raise TableError(
            f"A table must fit into memory, got {path}, which takes more than {limit >> 20:,} MiB. Read a part of it."
        )


def pandas_metadata(schema: pa.Schema) -> dict[str, Any] | None:
    """Return the metadata that pandas wrote into a schema; None if there is none, or pandas cannot interpret it."""
    if b"pandas" not in (schema.metadata or {}) or not _interpretable(schema.serialize().to_pybytes()):
        return None
    metadata: dict[str, Any] = json.loads(schema.metadata[b"pandas"])
    return metadata


@functools.lru_cache(maxsize=64)  # each batch of a large table has the schema again
def _interpretable(serialised: bytes) -> bool:
    schema = pa.ipc.read_schema(pa.py_buffer(serialised))
    try:
        schema.empty_table().to_pandas()
        return isinstance(json.loads(schema.metadata[b"pandas"]), dict)
    except Exception:  # noqa: BLE001 (pandas does not validate metadata, and raises anything)
        return False


def without_nan(table: pa.Table) -> pa.Table:
    """Return the table with NaN and NaT as missing values."""
    for position, field in enumerate(table.schema):
        values = table.column(position)
        if pa.types.is_floating(field.type):
            missing = pc.is_nan(values)
        elif pa.types.is_timestamp(field.type) or pa.types.is_duration(field.type):
            missing = pc.equal(values.cast(pa.int64()), NOT_A_TIME)
        else:
            continue
        if pc.any(missing).as_py():
            table = table.set_column(position, field, pc.if_else(missing, pa.scalar(None, field.type), values))
    return table
