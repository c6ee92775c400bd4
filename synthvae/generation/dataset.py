"""A whole dataset: what may be written over, in which order names change, and how a run is taken up again."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, cast

import pyarrow as pa

from synthvae.errors import DatasetError
from synthvae.generation import workers as pool
from synthvae.generation.parts import Draw, Part, complete_part
from synthvae.generation.stores import MANIFEST, STAGING, Store, grown, open_store

PLAN = f"{STAGING}/plan.json"
NEW = f"{STAGING}/{MANIFEST}"
OLD = f"{STAGING}/old.json"
PART = re.compile(r"([^/\\\0]+=[^/\\\0]*/)?part-\d{5,}\.parquet")  # never outside the folder

Progress = Callable[[int], None]
Work = Callable[[int], list[Part]]
Done = Callable[[list[Part]], None]
Each = Callable[[Work, int, int, Callable[[], None], Done], list[list[Part]]]
"""What returns `work` of each number from 0, as `pool.each` does: work, numbers, workers, begin, done."""


def write(
    out: str | os.PathLike[str],
    draw: Draw,
    parts: int,
    facts: Mapping[str, Any],
    *,
    partition_by: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    workers: int = 1,
    each: Each = pool.each,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write a dataset and return its manifest.

    Args:
        out: The folder, made if absent; or a URI that pyarrow knows: `s3://bucket/prefix`, `gs://bucket/prefix`.
        draw: Returns the table of a part, by number; goes to each worker as pickled bytes.
        parts: The number of parts.
        facts: What makes the dataset what it is (model, request, seed); stands in the manifest.
        partition_by: Column whose values become folders `COLUMN=VALUE/`, instead of standing in the files.
        resume: Keep the finished parts of an interrupted run with the same facts.
        overwrite: Replace the dataset, or the interrupted run, that the folder holds.
        workers: Processes, each with one part in hand; 1: this one.
        each: What has the parts written, by how many workers: `pool.each`, or what does the same elsewhere.
        progress: Called with the rows of each finished part.

    Raises:
        DatasetError: The folder holds something else, another run writes it, or it cannot be written: then nothing new
            is left in it, except in an object store. A worker was killed: then the finished parts are.
        KeyboardInterrupt: The run was interrupted; the finished parts are left.
    """
    plan = json.dumps({**facts, "partition_by": partition_by, "parts": parts}, sort_keys=True, default=str)
    with _telling(str(out)):
        store = open_store(out)
        with store.writing():
            manifest = _check(store, plan, resume=resume, overwrite=overwrite)
            if manifest is not None:
                return manifest
            with _begun(store, plan, keep=resume):
                if store.read(NEW) is None:
                    written = _write_parts(store, draw, parts, partition_by, workers, each, progress)
                    page = {**facts, "partition_by": partition_by, "parts": written, "plan": _digest(plan)}
                    store.write(NEW, json.dumps(page, indent=1, default=str).encode())
                return _publish(store)


@contextmanager
def _telling(out: str) -> Iterator[None]:
    try:
        yield
    except DatasetError:
        raise
    except (OSError, pa.ArrowException) as error:
        said = f"{out} cannot be written ({' '.join(str(error).split())}): make room or choose another"
        raise DatasetError(re.sub("//[^/ ]*@", "//", said)) from error  # without credentials


def _write_parts(  # noqa: PLR0917 (each is one of `write`)
    store: Store,
    draw: Draw,
    parts: int,
    partition_by: str | None,
    workers: int,
    each: Each,
    progress: Progress | None,
) -> list[Part]:
    def done(files: list[Part]) -> None:
        if progress is not None:
            progress(sum(file["rows"] for file in files))

    work = functools.partial(complete_part, store, draw, partition_by)
    written = [file for files in each(work, parts, min(workers, parts), store.join, done) for file in files]
    absent = store.absent(grown(store, file["file"]) for file in written)
    if absent:
        raise _KeptError(
            f"all workers must write to one place, however, {absent[0]} is not in {store}: choose a folder that all of "
            "them see, or an object store"
        )
    return written


def _check(store: Store, plan: str, *, resume: bool, overwrite: bool) -> dict[str, Any] | None:
    """Refuse a place that holds anything else; return the manifest if what is to be resumed is whole already."""
    manifest, staged = _read_manifest(store, MANIFEST), store.staged()
    foreign = sorted(store.names() - _ours(store)) + [f"{STAGING}/{name}" for name in staged if not _grows(name)]
    foreign = [name for name in foreign if not (store.in_place and staged and PART.fullmatch(name))]
    if foreign:
        raise DatasetError(
            f"the output folder must be empty, however, {store} holds {foreign[0]!r}, which is "
            "of no dataset made here: choose another folder"
        )
    if manifest is not None and resume and manifest.get("plan") == _digest(plan):
        store.clear()
        return manifest
    if manifest is not None and not overwrite:
        raise DatasetError(f"the output folder must be empty, however, {store} holds a dataset: pass --overwrite")
    if staged and not (resume or overwrite):
        raise DatasetError(
            f"{store} holds an incomplete dataset: pass --resume to complete it, --overwrite to start anew"
        )
    return None


def _ours(store: Store) -> set[str]:
    """The files that manifests of ours list: of the dataset in place, the new one, and the one put aside."""
    pages = [_read_manifest(store, name) for name in (MANIFEST, NEW, OLD)]
    files = {part["file"] for page in pages if page is not None for part in page["parts"]}
    emptied = {file.rpartition("/")[0] for file in files}
    return {MANIFEST} | files | emptied if any(pages) else set()


def _read_manifest(store: Store, name: str) -> dict[str, Any] | None:
    """A manifest, if the file is one of ours."""
    try:
        page = json.loads(store.read(name) or b"")
        ours = isinstance(page["plan"], str) and all(PART.fullmatch(part["file"]) for part in page["parts"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return cast("dict[str, Any]", page) if ours else None


class _KeptError(DatasetError):
    """What was written stays where it is."""


@contextmanager
def _begun(store: Store, plan: str, *, keep: bool) -> Iterator[None]:
    """A run that was begun. A failure on a disk takes it away; what comes from without leaves it for --resume."""
    try:
        _begin(store, plan, keep=keep)
        yield
    except _KeptError:
        raise
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(f"interrupted: {store} keeps the parts that are finished: pass --resume") from error
    except BrokenProcessPool as error:
        raise _KeptError(
            f"workers must live until the dataset is whole, however, one was killed (for want of memory?): {store} "
            "keeps the parts that are finished: pass --resume, and perhaps fewer --workers"
        ) from error
    except (OSError, pa.ArrowException) as error:
        if not store.in_place:
            _abandon(store)
            raise
        reason = " ".join(str(error).split())
        raise _KeptError(f"{store} cannot be written ({reason}): what is finished is kept: pass --resume") from error
    except BaseException:
        if not store.in_place:
            _abandon(store)
        raise


def _begin(store: Store, plan: str, *, keep: bool) -> None:
    begun = store.read(PLAN)
    if keep and begun is not None:
        if begun != plan.encode():
            raise _KeptError(
                "a run can be resumed with the same model, request and seed, however, "
                f"{store} was begun with others: repeat those or pass --overwrite"
            )
    else:
        _clear(store)
        store.write(PLAN, plan.encode())
    if store.in_place:
        store.move(MANIFEST, OLD)


def _clear(store: Store) -> None:
    """Take what an earlier run left, so that nothing of ours is forgotten."""
    if not store.in_place and store.read(OLD) is not None:  # killed while it replaced a dataset
        _publish(store)
    if store.in_place and store.read(MANIFEST) is None:  # killed while it wrote one
        store.remove(store.names())
    store.clear()


def _abandon(store: Store) -> None:
    """Take growing files away; once an old dataset was put aside, only resuming can help."""
    if store.read(OLD) is None:
        store.clear()


def _grows(name: str) -> bool:
    """Whether a name is one that the folder of growing files may hold."""
    pages = {name.rpartition("/")[2] for name in (PLAN, NEW, OLD)}
    return name.removeprefix(".").removesuffix(".tmp") in pages or name.startswith(("part-", ".part-")) or "=" in name


def seed_begun(out: str | os.PathLike[str]) -> int | None:
    """The seed of the run that a folder holds, begun or whole, so that it can be resumed without naming it."""
    with _telling(str(out)):
        store = open_store(out)
        page = _plan_begun(store) or _read_manifest(store, MANIFEST)
    seed = page.get("seed") if page else None
    return seed if isinstance(seed, int) else None


def _plan_begun(store: Store) -> dict[str, Any] | None:
    """The plan of a run that was begun, if the folder of growing files is ours."""
    for name in (PLAN, NEW, OLD):
        try:
            page = json.loads(store.read(name) or b"")
        except (ValueError, RecursionError):
            continue
        if isinstance(page, dict) and "parts" in page:
            return page
    return None


def _publish(store: Store) -> dict[str, Any]:
    """Put the finished dataset in place; may be repeated after a crash at any point."""
    manifest = _read_manifest(store, NEW)
    if manifest is not None and not store.in_place:
        store.move(MANIFEST, OLD)
        for part in manifest["parts"]:
            store.move(grown(store, part["file"]), part["file"])
    old = _read_manifest(store, OLD)
    new = manifest or _read_manifest(store, MANIFEST)  # it moved before the run was killed
    kept = {part["file"] for part in new["parts"]} if new else set()
    store.remove(part["file"] for part in (old["parts"] if old else []) if part["file"] not in kept)
    store.move(NEW, MANIFEST)
    store.clear()
    return manifest or {}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
