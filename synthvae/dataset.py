"""Parts to a Parquet dataset on disk: atomic, resumable, the manifest last. The only writer of datasets.

New files grow in `.incomplete/` inside the folder. Once all are there, the manifest among them, the old manifest is put
aside, the new parts move up, the old ones go, and `_manifest.json` moves last: its presence means that the dataset is
whole. Each of these steps can be repeated, so a run that was killed among them is completed by `resume`.
Only files that a manifest of ours lists are ever removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synthvae import atomic
from synthvae.errors import DatasetError

MANIFEST = "_manifest.json"
STAGING = ".incomplete"
PLAN = "plan.json"
OLD = "old.json"
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
LONGEST_NAME = 200  # bytes that leave room for a suffix in any file system

Part = dict[str, Any]
Progress = Callable[[int], None]


def write(
    out: str | os.PathLike[str],
    draw: Callable[[int], pa.Table],
    parts: int,
    facts: Mapping[str, Any],
    *,
    partition_by: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write a dataset and return its manifest.

    Args:
        out: The folder; made if absent.
        draw: Returns the table of a part, by number.
        parts: The number of parts.
        facts: What makes the dataset what it is (model, request, seed); stands in the manifest.
        partition_by: Column whose values become folders `COLUMN=VALUE/`, instead of standing in the files.
        resume: Keep the finished parts of an interrupted run with the same facts.
        overwrite: Replace the dataset, or the interrupted run, that the folder holds.
        workers: Threads, each with one part in hand.
        progress: Called with the rows of each finished part.

    Raises:
        DatasetError: The folder holds something else, or cannot be written. Then nothing new is left in it.
    """
    folder = Path(out)
    plan = json.dumps({**facts, "partition_by": partition_by, "parts": parts}, sort_keys=True, default=str)
    manifest = _check_folder(folder, plan, resume=resume, overwrite=overwrite)
    if manifest is not None:
        return manifest
    with _staging(folder, plan, keep=resume) as staging:
        if not (staging / MANIFEST).exists():
            written = _write_parts(staging, draw, parts, partition_by, workers, progress)
            page = {**facts, "partition_by": partition_by, "parts": written, "plan": _digest(plan)}
            atomic.write(staging / MANIFEST, json.dumps(page, indent=1, default=str).encode())
        return _publish(folder, staging)


def _write_parts(  # noqa: PLR0917 (each is one of `write`)
    staging: Path,
    draw: Callable[[int], pa.Table],
    parts: int,
    partition_by: str | None,
    workers: int,
    progress: Progress | None,
) -> list[Part]:
    def write_part(number: int) -> list[Part]:
        files = _finished(staging, number) or _write_part(staging, number, draw(number), partition_by)
        if progress is not None:
            progress(sum(file["rows"] for file in files))
        return files

    with ThreadPoolExecutor(workers) as pool:
        try:
            return [file for files in pool.map(write_part, range(parts)) for file in files]
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _check_folder(folder: Path, plan: str, *, resume: bool, overwrite: bool) -> dict[str, Any] | None:
    """Refuse a folder that holds anything else; return the manifest if what is to be resumed is whole already."""
    if not folder.exists():
        return None
    if not folder.is_dir():
        raise DatasetError(f"the output must be a folder, however, {folder} is a file: choose another")
    manifest = _read_manifest(folder / MANIFEST)
    staging = folder / STAGING
    foreign = sorted(_files(folder) - _ours(folder, manifest))
    if staging.exists():
        foreign += [f"{STAGING}/{path.name}" for path in staging.iterdir() if not _grows(path.name)]
    if foreign:
        raise DatasetError(
            f"the output folder must be empty, however, {folder} holds {foreign[0]!r}, which is "
            "of no dataset made here: choose another folder"
        )
    if manifest is not None and resume and manifest.get("plan") == _digest(plan):
        _remove(staging)
        return manifest
    if manifest is not None and not overwrite:
        raise DatasetError(f"the output folder must be empty, however, {folder} holds a dataset: pass --overwrite")
    if staging.exists() and not (resume or overwrite):
        raise DatasetError(
            f"{folder} holds an incomplete dataset: pass --resume to complete it, --overwrite to start anew"
        )
    return None


def _files(folder: Path) -> set[str]:
    """Every file of a folder, but for the growing ones, and every folder without files."""
    found = [path for path in folder.rglob("*") if STAGING not in path.relative_to(folder).parts[:1]]
    return {str(path.relative_to(folder)) for path in found if path.is_file() or not any(path.iterdir())}


def _ours(folder: Path, manifest: dict[str, Any] | None) -> set[str]:
    """The files that manifests of ours list: of the dataset in place, the new one, and the one put aside."""
    pages = [manifest, _read_manifest(folder / STAGING / MANIFEST), _read_manifest(folder / STAGING / OLD)]
    known = [page for page in pages if page is not None]
    emptied = {str(Path(part["file"]).parent) for page in known for part in page["parts"]}
    return {MANIFEST} | {part["file"] for page in known for part in page["parts"]} | emptied if known else set()


def _read_manifest(path: Path) -> dict[str, Any] | None:
    """A manifest, if the file is one of ours."""
    try:
        page = json.loads(path.read_text(encoding="utf-8"))
        ours = isinstance(page["plan"], str) and all(isinstance(part["file"], str) for part in page["parts"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return cast("dict[str, Any]", page) if ours else None


@contextmanager
def _staging(folder: Path, plan: str, *, keep: bool) -> Iterator[Path]:
    """The folder of growing files. A failure takes it away; an interrupt leaves it for --resume."""
    made = not folder.exists()
    staging = folder / STAGING
    try:
        _stage(staging, plan, keep=keep)
        yield staging
    except (KeyboardInterrupt, _OtherPlanError):
        raise
    except (OSError, pa.ArrowException) as error:
        _abandon(folder, staging, made=made)
        raise DatasetError(f"{folder} cannot be written ({error}): make room or choose another") from error
    except BaseException:
        _abandon(folder, staging, made=made)
        raise


class _OtherPlanError(DatasetError):
    """What is to be resumed is another request; it stays as it is."""


def _stage(staging: Path, plan: str, *, keep: bool) -> None:
    if keep and (staging / PLAN).exists():
        if (staging / PLAN).read_text(encoding="utf-8") != plan:
            raise _OtherPlanError(
                "a run can be resumed with the same model, request and seed, however, "
                f"{staging.parent} was begun with others: repeat those or pass --overwrite"
            )
        return
    if (staging / OLD).exists():  # a run killed while it replaced a dataset: nothing of ours is forgotten
        _publish(staging.parent, staging)
    _remove(staging)
    staging.mkdir(parents=True)
    atomic.write(staging / PLAN, plan.encode())


def _abandon(folder: Path, staging: Path, *, made: bool) -> None:
    """Take growing files away; once an old dataset was put aside, only resuming can help."""
    if (staging / OLD).exists():
        return
    _remove(staging)
    if made:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _grows(name: str) -> bool:
    """Whether a name is one that the folder of growing files may hold."""
    pages = {name for page in (PLAN, MANIFEST, OLD) for name in (page, f".{page}.tmp")}
    return name in pages or name.startswith(("part-", ".part-")) or "=" in name


def _begun(staging: Path) -> dict[str, Any] | None:
    """The plan of a run that was begun, if the folder of growing files is ours."""
    for name in (PLAN, MANIFEST, OLD):
        try:
            page = json.loads((staging / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(page, dict) and "parts" in page:
            return page
    return None


def seed_begun(out: str | os.PathLike[str]) -> int | None:
    """The seed of the run that a folder holds, begun or whole, so that it can be resumed without naming it."""
    page = _begun(Path(out) / STAGING) or _read_manifest(Path(out) / MANIFEST)
    seed = page.get("seed") if page else None
    return seed if isinstance(seed, int) else None


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _write_part(staging: Path, number: int, table: pa.Table, partition_by: str | None) -> list[Part]:
    name = f"part-{number:05d}.parquet"
    done = []
    for place, rows in _split(table, partition_by):
        file = staging / place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(".tmp")
        pq.write_table(rows, temporary, compression="zstd")
        _sync(temporary)
        done.append({"file": f"{place}{name}", "rows": rows.num_rows, "sha256": _sha256(temporary)})
        temporary.replace(file)
    atomic.write(staging / f"part-{number:05d}.json", json.dumps(done).encode())
    return done


def _split(table: pa.Table, partition_by: str | None) -> Iterator[tuple[str, pa.Table]]:
    """The folders of a part, and the rows of each; no rows are a file without folder, so that columns are not lost."""
    if partition_by is None or not table.num_rows:
        yield "", table
        return
    column = table.column(partition_by)
    for value in sorted(pc.unique(column).to_pylist(), key=str):
        rows = table.filter(pc.equal(column, pa.scalar(value))).drop_columns([partition_by])
        yield f"{_segment(partition_by)}={_segment(value)}/", rows


def _segment(value: Any) -> str:
    """A name or label as a folder name: percent-encoded, never `.` or `..`, never hidden from readers."""
    text = quote(str(value), safe="").replace(".", "%2E")
    return f"%5F{text[1:]}" if text.startswith("_") else text


def check_labels(labels: Sequence[Any]) -> None:
    """Refuse labels that do not come back from folder names.

    Raises:
        DatasetError: One is empty, too long, or read as the same number as another.
    """
    for label in labels:
        size = len(_segment(label))
        if str(label) in ("", HIVE_NULL) or size > LONGEST_NAME:
            raise DatasetError(
                f"a label that names a folder must have 1 to {LONGEST_NAME} bytes, however, {str(label)[:40]!r} has "
                f"{size}: leave out --partition"
            )
    numbers = [int(str(label)) for label in labels if str(label).lstrip("+-").isdecimal()]
    if len(set(numbers)) < len(numbers) == len(labels):
        raise DatasetError(
            "labels that name folders must differ as numbers, since readers take them for numbers, however, "
            f"{list(map(str, labels))[:5]} do not: leave out --partition"
        )


def _finished(staging: Path, number: int) -> list[Part] | None:
    """The files of a part that an earlier run finished, if they still have its bytes."""
    record = staging / f"part-{number:05d}.json"
    if not record.exists():
        return None
    try:
        files: list[Part] = json.loads(record.read_text(encoding="utf-8"))
        whole = all(_sha256(staging / file["file"]) == file["sha256"] for file in files)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return files if whole else None


def _publish(folder: Path, staging: Path) -> dict[str, Any]:
    """Put the finished dataset in place; may be repeated after a crash at any point."""
    if (folder / MANIFEST).exists() and (staging / MANIFEST).exists():
        (folder / MANIFEST).replace(staging / OLD)
    manifest = _read_manifest(staging / MANIFEST)
    old = _read_manifest(staging / OLD)
    if manifest is not None:
        for part in manifest["parts"]:
            if (staging / part["file"]).exists():
                (folder / part["file"]).parent.mkdir(exist_ok=True)
                (staging / part["file"]).replace(folder / part["file"])
    new = manifest or _read_manifest(folder / MANIFEST)  # it moved before the run was killed
    kept = {part["file"] for part in new["parts"]} if new else set()
    for part in old["parts"] if old else []:
        if part["file"] not in kept:
            (folder / part["file"]).unlink(missing_ok=True)
            _remove_empty((folder / part["file"]).parent, folder)
    if manifest is not None:
        (staging / MANIFEST).replace(folder / MANIFEST)
    _remove(staging)
    return manifest or {}


def _remove_empty(place: Path, folder: Path) -> None:
    if place != folder and place.exists() and not any(place.iterdir()):
        place.rmdir()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
