"""Small datasets, written in every way: what tests of this room share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from synthvae import dataset

PARTS = 5
FACTS: dict[str, Any] = {"format": 1, "seed": 3}
Draw = Callable[[int], pa.Table]


def draw(part: int) -> pa.Table:
    rows = np.arange(20) + 20 * part
    return pa.table({"x": rows, "label": [("a", "b/c")[row % 2] for row in rows.tolist()]})


def other(part: int) -> pa.Table:
    return draw(part + 100)


def failing(error: BaseException, at: int = 3, rows: Draw = draw) -> Draw:
    def fails(part: int) -> pa.Table:
        if part == at:
            raise error
        return rows(part)

    return fails


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def expected(tmp_path: Path, rows: Draw = draw, **options: Any) -> dict[str, bytes]:
    """The files of a run that nothing disturbed."""
    folder = tmp_path / f"undisturbed-{rows.__name__}"
    dataset.write(folder, rows, PARTS, FACTS, **options)
    return tree(folder)


def assert_whole(folder: Path) -> None:
    """All that the manifest names is there, with the bytes that it names, and nothing besides."""
    manifest = json.loads((folder / "_manifest.json").read_text("utf-8"))
    files = tree(folder)
    assert set(files) == {"_manifest.json", *(part["file"] for part in manifest["parts"])}
    for part in manifest["parts"]:
        assert hashlib.sha256(files[part["file"]]).hexdigest() == part["sha256"]
        assert pq.ParquetFile(folder / part["file"]).metadata.num_rows == part["rows"]
