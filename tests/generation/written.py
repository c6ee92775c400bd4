"""Small datasets, written in every way: what tests of this room share."""

from __future__ import annotations

import functools
import hashlib
import json
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from synthvae.generation import dataset
from synthvae.generation.request import DatasetRequest, Draw

PARTS = 5
FACTS: dict[str, Any] = {"format": 1, "seed": 3}


def write(
    out: Any,
    rows: Draw,
    parts: int = PARTS,
    metadata: dict[str, Any] = FACTS,
    *,
    partition_by: str | None = None,
    **options: Any,
) -> dict[str, Any]:
    return dataset.write(out, DatasetRequest(rows, parts, metadata, partition_by), **options)


def draw(part: int) -> pa.Table:
    rows = np.arange(20) + 20 * part
    return pa.table({"x": rows, "label": [("a", "b/c")[row % 2] for row in rows.tolist()]})


def other(part: int) -> pa.Table:
    return draw(part + 100)


def failing(error: BaseException, at: int = 3, rows: Draw = draw) -> Draw:
    return functools.partial(_fails, error, at, rows)


def _fails(error: BaseException, at: int, rows: Draw, part: int) -> pa.Table:
    if part == at:
        raise error
    return rows(part)


def noting(folder: Path) -> Draw:
    """A draw that leaves a note of each part, from whichever process."""
    return functools.partial(_notes, folder)


def _notes(folder: Path, part: int) -> pa.Table:
    (folder / str(part)).touch()
    return draw(part)


def filling(rows: Draw, after: int) -> Draw:
    """A draw that leaves no room for files once some parts are written, as the kernel sees it."""
    return functools.partial(_fills, rows, after)


def _fills(rows: Draw, after: int, part: int) -> pa.Table:
    if part >= after:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, resource.RLIM_INFINITY))
    return rows(part)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def expected(tmp_path: Path, rows: Draw = draw, **options: Any) -> dict[str, bytes]:
    """The files of a run that nothing disturbed."""
    folder = tmp_path / f"undisturbed-{rows.__name__}"
    write(folder, rows, **options)
    return tree(folder)


def assert_whole(folder: Path) -> None:
    """All that the manifest names is there, with the bytes that it names, and nothing besides."""
    manifest = json.loads((folder / "_manifest.json").read_text("utf-8"))
    files = tree(folder)
    assert set(files) == {"_manifest.json", *(part["file"] for part in manifest["parts"])}
    for part in manifest["parts"]:
        assert hashlib.sha256(files[part["file"]]).hexdigest() == part["sha256"]
        assert pq.ParquetFile(folder / part["file"]).metadata.num_rows == part["rows"]
