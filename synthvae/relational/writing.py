"""Writing synthetic linked tables: a folder with one Parquet dataset per table, the keys, and a manifest."""

from __future__ import annotations

import functools
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from synthvae import filesystem
from synthvae.errors import DatasetError
from synthvae.generation import dataset
from synthvae.generation.request import PART_ROWS, DatasetRequest
from synthvae.generation.single_file import is_single_file
from synthvae.generation.stores import PART
from synthvae.schema.database import Database
from synthvae.tables.snapshots import MANIFEST

TABLES, KEYS = "_database.json", "_database.yaml"  # readers of Parquet ignore files with an underscore
WRITING = ".generating-"


def check_place(out: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """Return the folder to write, before anything is drawn.

    Raises:
        DatasetError: It holds something else than linked tables that this package wrote, it holds those and they must
            not be replaced, or it cannot be written.
        ConfigurationError: It is a URL.
    """
    folder = filesystem.local_path(out, "A dataset of linked tables")
    if is_single_file(out) or folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise DatasetError(
            f"Linked tables must be written to a folder, got {folder}. Name a folder that may be created."
        )
    if foreign := _foreign(folder):
        raise DatasetError(
            f"The output folder must be empty, got {folder} with {foreign[0]!r}, which belongs to no linked tables of "
            "synthvae. Choose another folder."
        )
    if (folder / TABLES).exists() and not overwrite:
        raise DatasetError(f"The output folder must be empty, got {folder} with linked tables. Pass --overwrite.")
    return folder


def write(
    folder: Path, tables: Mapping[str, pa.Table], database: Database, metadata: Mapping[str, Any]
) -> dict[str, Any]:
    """Write tables to a new folder, which takes the place of `folder` when all of them are complete.

    Args:
        folder: The folder, which `check_place` has checked.
        tables: The tables by name.
        database: Their keys.
        metadata: What determines the rows, for the manifest.

    Returns:
        The manifest: the metadata, and for each table its folder and its number of rows.

    Raises:
        DatasetError: It cannot be written; then nothing is changed there.
    """
    places = {name: folder_of(name) for name in tables}
    listed = {name: {"folder": places[name], "rows": table.num_rows} for name, table in tables.items()}
    manifest = {**metadata, "tables": listed}
    keys = database.model_copy(update={"tables": places})
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}{WRITING}", dir=folder.parent))
        try:
            fresh = beside / "new"
            fresh.mkdir()
            for name, table in tables.items():
                dataset.write(fresh / places[name], _request(name, table, metadata))
            content = {KEYS: keys.to_yaml(), TABLES: json.dumps(manifest, indent=1)}
            for name, text in content.items():
                filesystem.Folder(fresh).write(name, text.encode())
            _replace(folder, fresh, beside / "old")
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise DatasetError(
            f"{folder} cannot be written ({error.strerror or error}). Free some space, or choose another place."
        ) from error
    return manifest


def folder_of(name: str) -> str:
    """Return the name of the folder of a table; it is inside of the dataset, and no reader ignores it.

    Example:
        >>> folder_of("visits"), folder_of("../notes"), folder_of("_hidden")
        ('visits', '%2E%2E%2Fnotes', '%5Fhidden')
    """
    text = quote(name, safe=" ").replace(".", "%2E")
    return f"%5F{text[1:]}" if text.startswith("_") else text


def _request(name: str, table: pa.Table, metadata: Mapping[str, Any]) -> DatasetRequest:
    parts = max(-(-table.num_rows // PART_ROWS), 1)
    own = {**metadata, "table": name, "rows": table.num_rows}
    return DatasetRequest(functools.partial(_part, table), parts, own)


def _part(table: pa.Table, number: int) -> pa.Table:
    return table.slice(number * PART_ROWS, PART_ROWS)


def _replace(folder: Path, fresh: Path, old: Path) -> None:
    """Rename a new folder to its place; an old one is back if that fails."""
    if folder.exists():
        folder.rename(old)
    try:
        fresh.rename(folder)
    except BaseException:
        if old.exists():
            old.rename(folder)
        raise


def _foreign(folder: Path) -> list[str]:
    """The entries of a folder that no linked tables of this package have."""
    entries = filesystem.Folder(folder).entries()
    known = {TABLES, KEYS}
    for place in _listed(folder):
        known |= {f"{place}/{MANIFEST}"}
        known |= {name for name in entries if name.startswith(f"{place}/") and PART.fullmatch(name[len(place) + 1 :])}
    return sorted(name for name, is_odd in entries.items() if is_odd or name not in known)


def _listed(folder: Path) -> list[str]:
    """The folders of tables that the manifest of a folder lists; none if it is not one of this package."""
    try:
        content = json.loads(filesystem.Folder(folder).read(TABLES) or b"")
        return [table["folder"] for name, table in content["tables"].items() if table["folder"] == folder_of(name)]
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return []
