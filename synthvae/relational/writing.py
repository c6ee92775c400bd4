"""Writing synthetic linked tables: one dataset with a folder of parts for each table, and the keys beside them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from synthvae._version import __version__
from synthvae.errors import DatasetError, brief
from synthvae.generation import dataset
from synthvae.generation.drawing import useful_workers
from synthvae.generation.request import DatasetRequest, LinkedPart
from synthvae.generation.single_file import is_single_file
from synthvae.generation.stores import KEYS
from synthvae.generation.workers import LOCAL, PartsBackend
from synthvae.relational import saving
from synthvae.relational.linked_draw import LinkedDraw


@dataclass(frozen=True)
class FilesOfPart:
    """The function that returns what is written of a part: its tables by folder; the first one has all public ones.

    Args:
        draw: Draws the modelled tables.
    """

    __repr__ = brief

    draw: LinkedDraw

    def __call__(self, part: int) -> LinkedPart:
        """Return the tables and files of a part."""
        tables: dict[str, pa.Table] = self.draw(part)
        if part:
            return {folder_of(name): table for name, table in tables.items()}
        database = self.draw.fitted.database
        keys = database.model_copy(update={"tables": {name: folder_of(name) for name in database.tables}})
        tables = {**tables, **self.draw.fitted.public}
        return {**{folder_of(name): table for name, table in tables.items()}, KEYS: keys.to_yaml().encode()}


def write(
    out: str | os.PathLike[str],
    draw: LinkedDraw,
    *,
    resume: bool = False,
    overwrite: bool = False,
    workers: int = 1,
    backend: PartsBackend | None = None,
) -> dict[str, Any]:
    """Write linked tables and return the manifest; parameters as of `dataset.write`.

    Args:
        out: The folder, or a URI of an object store.
        draw: Draws the parts.
        resume: Complete an interrupted run of the same request.
        overwrite: Replace linked tables in the folder.
        workers: Largest number of processes.
        backend: Where parts are drawn; None: on this machine.

    Raises:
        DatasetError: The output is a file, or as of `dataset.write`.
        RequestError: `workers` is less than 1.
    """
    if is_single_file(out):
        raise DatasetError(f"Linked tables must be written to a folder, got {out}. Name a folder that may be created.")
    request = DatasetRequest(FilesOfPart(draw), draw.request.parts, _metadata(draw))
    manifest = dataset.write(
        out,
        request,
        resume=resume,
        overwrite=overwrite,
        workers=useful_workers(workers, draw.request.parts),
        backend=backend or LOCAL,
    )
    return {**manifest, "tables": _with_rows(manifest)}


def folder_of(name: str) -> str:
    """Return the name of the folder of a table; it is inside of the dataset, and no reader ignores it.

    Example:
        >>> folder_of("visits"), folder_of("../notes"), folder_of("_hidden")
        ('visits', '%2E%2E%2Fnotes', '%5Fhidden')
    """
    text = quote(name, safe=" ").replace(".", "%2E")
    return f"%5F{text[1:]}" if text.startswith("_") else text


def _metadata(draw: LinkedDraw) -> dict[str, Any]:
    """What determines the rows."""
    ledger = draw.fitted.ledger
    return {
        "format": 1,
        "synthvae": __version__,
        "seed": draw.request.seed,
        "subjects": dict(draw.request.roots),
        **(
            {"given": {name: table_hash(table.rows) for name, table in draw.request.given.items()}}
            if draw.request.given
            else {}
        ),
        "tables": {name: {"folder": folder_of(name)} for name in draw.fitted.database.tables},
        "model_sha256": saving.fingerprint(draw.fitted),
        **({} if ledger is None else {"ledger": ledger.statement()}),
    }


def table_hash(table: pa.Table) -> str:
    """Return a hash of the rows of a table."""
    digest = hashlib.sha256()
    for batch in table.combine_chunks().to_batches():
        digest.update(batch.serialize())
    return digest.hexdigest()


def _with_rows(manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The folder of each table, and the number of its rows."""
    rows: dict[str, int] = {}
    for part in manifest["parts"]:
        folder = part["file"].rpartition("/")[0]
        rows[folder] = rows.get(folder, 0) + part["rows"]
    return {name: {**table, "rows": rows.get(table["folder"], 0)} for name, table in manifest["tables"].items()}
