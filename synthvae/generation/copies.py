"""Several independent datasets of one model in one folder, each analysed by itself (`synthvae.evaluation.pool`)."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synthvae import filesystem
from synthvae.errors import DatasetError, RequestError, listing
from synthvae.generation import dataset
from synthvae.generation.request import DatasetRequest
from synthvae.generation.single_file import is_single_file

MOST = 1000
OWN = {"copy", "classes", "parts", "plan"}  # keys of a manifest that are of one copy alone


def folder_of(copy: int) -> str:
    """Return the name of the folder of a copy, which are numbered from 1.

    Example:
        >>> folder_of(1)
        'copy_1'
    """
    return f"copy_{copy}"


def is_folder(name: str) -> bool:
    """Whether a name is that of the folder of a copy."""
    return re.fullmatch(r"copy_[1-9]\d*", name) is not None


def check(out: str | os.PathLike[str], copies: int) -> None:
    """Refuse a number of copies, or a place that cannot hold them, before any row is drawn.

    Raises:
        RequestError: The number is not one from 1 to `MOST`, or the place is one file.
        DatasetError: The folder has other files, or more copies.
    """
    if isinstance(copies, bool) or not isinstance(copies, int) or not 1 <= copies <= MOST:
        raise RequestError(f"`copies` must be a whole number from 1 to {MOST:,}, got {copies!r}.")
    if is_single_file(out):
        raise RequestError(f"`copies` need a folder, in which each has one, got the file {out}. Name a folder.")
    if filesystem.scheme_of(os.fspath(out)) is not None or not Path(out).is_dir():
        return
    known = {folder_of(copy) for copy in range(1, copies + 1)}
    if other := sorted(entry.name for entry in Path(out).iterdir() if entry.name not in known):
        raise DatasetError(
            f"The output folder must have nothing besides {copies} copies, got {out} with {listing(other, 3)}. Choose "
            "another folder."
        )


def write(out: str | os.PathLike[str], requests: Sequence[DatasetRequest], **how: Any) -> dict[str, Any]:
    """Write each request as a dataset of its own, `copy_1`, `copy_2`, ... in a folder, and return what they are.

    Args:
        out: The folder, which `check` has checked; or a URI.
        requests: The content of each copy.
        **how: As of `dataset.write`; with `resume` complete copies stay as they are.

    Returns:
        What the manifests of the copies have in common, and `copies`: the folder, number of rows and seed of each.

    Raises:
        DatasetError: As of `dataset.write`; the copies before are complete.
    """
    found = []
    for copy, request in enumerate(requests, 1):
        found.append(dataset.write(f"{os.fspath(out).rstrip('/')}/{folder_of(copy)}", request, **how))
    listed = [
        {"folder": folder_of(copy), "rows": manifest["rows"], "seed": manifest["seed"]}
        for copy, manifest in enumerate(found, 1)
    ]
    shared = {name: value for name, value in found[0].items() if name not in OWN}
    return {**shared, "copies": listed}
