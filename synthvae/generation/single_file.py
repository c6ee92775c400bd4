"""Write all rows of a request to one file, whose suffix names its format."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from synthvae import filesystem
from synthvae.errors import DatasetError, RequestError
from synthvae.filesystem import TEMPORARY
from synthvae.generation import dataset
from synthvae.generation.dataset import Progress
from synthvae.generation.request import DatasetRequest
from synthvae.generation.workers import LOCAL, PartsBackend
from synthvae.tables import export, workbooks


def is_single_file(out: str | os.PathLike[str]) -> bool:
    """Whether an output is one file: it has the suffix of one, and is neither a folder nor a URI.

    Example:
        >>> is_single_file("rows.csv"), is_single_file("rows"), is_single_file("s3://bucket/rows.csv")
        (True, False, False)
    """
    text = os.fspath(out)
    return (
        Path(text).suffix in export.SUFFIXES
        and filesystem.scheme_of(text) is None
        and not text.endswith("/")
        and not Path(text).is_dir()
    )


def write(
    out: str | os.PathLike[str],
    request: DatasetRequest,
    *,
    resume: bool = False,
    overwrite: bool = False,
    workers: int = 1,
    backend: PartsBackend = LOCAL,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write one file if the output is one, else a dataset; return the manifest.

    The rows are those of the dataset of the same request. They are written to a temporary dataset beside it first,
    so that memory does not grow with their number, except for an Excel file. The file appears when it is complete.

    Args:
        out: A file named .csv, .parquet or .xlsx; anything else is the place of a dataset.
        request: The content.
        resume: As of `dataset.write`; a file cannot be resumed.
        overwrite: Replace an existing file or dataset.
        workers: The number of processes.
        backend: Where the parts are drawn.
        progress: Called with the number of rows of each finished part.

    Raises:
        RequestError: The file exists, or cannot hold the request: parts of a run, folders of classes, too many rows.
        DatasetError: The file cannot be written.
    """
    given: dict[str, Any] = {"workers": workers, "backend": backend, "progress": progress}
    if not is_single_file(out):
        _refuse_other_formats(Path(out))
        if request.escape_formulas:
            raise RequestError(f"Escaping formulas requires a .csv file, got {out}. Omit the option, or write .csv.")
        return dataset.write(out, request, resume=resume, overwrite=overwrite, **given)
    path = Path(out)
    _check(path, request, resume=resume, overwrite=overwrite)
    try:
        with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=path.absolute().parent) as folder:
            manifest = dataset.write(Path(folder, "dataset"), request, **given)
            parts = [Path(folder, "dataset", part["file"]) for part in manifest["parts"]]
            complete = Path(folder, path.name)
            export.write_parts(parts, complete, escape_formulas=request.escape_formulas)
            complete.replace(path)
    except OSError as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{path} cannot be written ({error.strerror or error}). Choose another place.") from error
    return {**manifest, "parts": [{"file": path.name, "rows": sum(part["rows"] for part in manifest["parts"])}]}


OTHER_FORMATS = {".tsv", ".txt", ".xls", ".json", ".jsonl", ".gz", ".bz2", ".zst", ".zip", ".pq", ".feather"}


def _refuse_other_formats(path: Path) -> None:
    """Refuse a new folder with the name of a file that is not written.

    Raises:
        RequestError: It has one.
    """
    suffix = path.suffix.lower()
    if not path.exists() and (suffix in OTHER_FORMATS or (suffix in export.SUFFIXES and suffix != path.suffix)):
        raise RequestError(
            f"An output file must end in {', '.join(export.SUFFIXES)}, got {path.name!r}. Choose one of them, "
            "or name a folder."
        )


def _check(path: Path, request: DatasetRequest, *, resume: bool, overwrite: bool) -> None:
    """Refuse, before any row is drawn, what a file cannot be.

    Raises:
        RequestError: It cannot be written, or cannot hold the rows.
    """
    if resume or request.partition_by is not None:
        option = "--resume" if resume else "--partition"
        raise RequestError(f"`{option}` needs a folder, got the file {path}. Omit it, or name a folder.")
    export.check_place(path, overwrite=overwrite, escape_formulas=request.escape_formulas)
    rows = request.metadata.get("rows", 0)
    if path.suffix == ".xlsx" and rows >= workbooks.MOST_ROWS:
        raise RequestError(
            f"An Excel sheet holds at most {workbooks.MOST_ROWS - 1:,} rows, got {rows:,}. Write .csv or .parquet."
        )
