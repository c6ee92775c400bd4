"""Parts to a Parquet dataset on disk: atomic, resumable, the manifest last. The only writer of datasets.

New files grow in `.incomplete/` inside the folder. Once all are there, an old dataset is taken away, the new parts move
up, and `_manifest.json` is written: its presence means that the dataset is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synthvae.errors import DatasetError

MANIFEST = "_manifest.json"
STAGING = ".incomplete"
PLAN = "plan.json"

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
    _check_folder(folder, resume=resume, overwrite=overwrite)
    plan = {**facts, "partition_by": partition_by, "parts": parts}
    with _staging(folder, plan, keep=resume) as staging:

        def write_part(number: int) -> list[Part]:
            files = _finished(staging, number) or _write_part(staging, number, draw(number), partition_by)
            if progress is not None:
                progress(sum(file["rows"] for file in files))
            return files

        with ThreadPoolExecutor(workers) as pool:
            try:
                written = [file for files in pool.map(write_part, range(parts)) for file in files]
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        manifest = {**facts, "partition_by": partition_by, "parts": written}
        _publish(folder, staging, manifest)
    return manifest


def _check_folder(folder: Path, *, resume: bool, overwrite: bool) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise DatasetError(f"the output must be a folder, however, {folder} is a file: choose another")
    names = {path.name for path in folder.iterdir()}
    if not names or (names == {STAGING} and (resume or overwrite)):
        return
    if MANIFEST in names and not overwrite:
        raise DatasetError(f"the output folder must be empty, however, {folder} holds a dataset: pass --overwrite")
    if MANIFEST not in names and names - {STAGING} and not _only_parts(folder):
        raise DatasetError(
            f"the output folder must be empty, however, {folder} holds {sorted(names)[0]!r}: choose another"
        )
    if not (resume or overwrite):
        raise DatasetError(
            f"{folder} holds an incomplete dataset: pass --resume to complete it, --overwrite to start anew"
        )


def _only_parts(folder: Path) -> bool:
    """Whether a folder without manifest holds nothing but parts that were about to be published."""
    files = [path for path in folder.rglob("*") if path.is_file() and STAGING not in path.parts]
    return all(path.name.startswith("part-") and path.suffix == ".parquet" for path in files)


@contextmanager
def _staging(folder: Path, plan: Mapping[str, Any], *, keep: bool) -> Iterator[Path]:
    """The folder of growing files. A failure takes it away; an interrupt leaves it for --resume."""
    made = not folder.exists()
    staging = folder / STAGING
    try:
        _stage(staging, json.dumps(plan, sort_keys=True, default=str), keep=keep)
        yield staging
    except (KeyboardInterrupt, _OtherPlanError):
        raise
    except (OSError, pa.ArrowException) as error:
        _remove(folder if made else staging)
        raise DatasetError(f"{folder} cannot be written ({error}): nothing was left there") from error
    except BaseException:
        _remove(folder if made else staging)
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
    _remove(staging)
    staging.mkdir(parents=True)
    _write_text(staging / PLAN, plan)


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
        done.append({"file": f"{place}{name}", "rows": rows.num_rows, "sha256": _sha256(temporary)})
        temporary.replace(file)
    _write_text(staging / f"part-{number:05d}.json", json.dumps(done))
    return done


def _split(table: pa.Table, partition_by: str | None) -> Iterator[tuple[str, pa.Table]]:
    """The folders of a part, and the rows of each."""
    if partition_by is None:
        yield "", table
        return
    column = table.column(partition_by)
    for value in sorted(pc.unique(column).to_pylist(), key=str):
        rows = table.filter(pc.equal(column, pa.scalar(value))).drop_columns([partition_by])
        yield f"{quote(partition_by, safe='')}={_segment(value)}/", rows


def _segment(value: Any) -> str:
    """A label as a folder name: percent-encoded, and never `.` or `..`."""
    return quote(str(value), safe="").replace(".", "%2E")


def _finished(staging: Path, number: int) -> list[Part] | None:
    """The files of a part that an earlier run finished, if they still have its bytes."""
    record = staging / f"part-{number:05d}.json"
    if not record.exists():
        return None
    files: list[Part] = json.loads(record.read_text(encoding="utf-8"))
    whole = all((staging / f["file"]).exists() and _sha256(staging / f["file"]) == f["sha256"] for f in files)
    return files if whole else None


def _publish(folder: Path, staging: Path, manifest: Mapping[str, Any]) -> None:
    (folder / MANIFEST).unlink(missing_ok=True)
    for old in [path for path in folder.iterdir() if path != staging]:
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    for part in manifest["parts"]:
        target = folder / part["file"]
        target.parent.mkdir(exist_ok=True)
        (staging / part["file"]).replace(target)
    _write_text(folder / MANIFEST, json.dumps(manifest, indent=1, default=str))
    shutil.rmtree(staging)


def _write_text(path: Path, text: str) -> None:
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
