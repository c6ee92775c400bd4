"""A whole dataset: which folders may be overwritten, in which order files are renamed, and how a run is resumed."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, cast

import pyarrow as pa

from synthvae.errors import DatasetError
from synthvae.generation.parts import FileRecord, complete_part
from synthvae.generation.request import DatasetRequest
from synthvae.generation.stores import (
    MANIFEST,
    MARKS,
    NEW,
    OLD,
    PART,
    PLAN,
    STAGING,
    Store,
    is_staged,
    open_store,
    staged_name,
)
from synthvae.generation.workers import LOCAL, PartsBackend
from synthvae.random_state import Seed, as_seed

Progress = Callable[[int], None]

VISIBLE_WITHIN = 75.0  # seconds in which files that other machines wrote are waited for


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
    """Write a dataset and return its manifest.

    Args:
        out: The folder, created if absent; or a URI of pyarrow: `s3://bucket/prefix`, `gs://bucket/prefix`.
        request: The content of the dataset.
        resume: Reuse the finished parts of an interrupted run of the same plan.
        overwrite: Replace the dataset, or the interrupted run, in the folder.
        workers: The number of processes, each of which has one part in memory at a time; 1: this process.
        backend: Where the parts are drawn and written.
        progress: Called with the number of rows of each finished part.

    Raises:
        DatasetError: The folder has other files, another run writes it, or it cannot be written: then no new file is
            left in it, except in an object store. Or a worker was killed: then the finished parts are left.
        KeyboardInterrupt: The run was interrupted; the finished parts are left.
    """
    with _dataset_errors(str(out)):
        store = open_store(out)
        with store.writing():
            manifest = _check(store, request.plan, resume=resume, overwrite=overwrite)
            if manifest is not None:
                return manifest
            with _running(store, request.plan, keep=resume):
                if store.read(NEW) is None:
                    written = _write_parts(store, request, workers, backend, progress)
                    store.write(NEW, _manifest(request, written))
                return _publish(store)


def _manifest(request: DatasetRequest, files: list[FileRecord]) -> bytes:
    fields = {"partition_by": request.partition_by, "parts": files, "plan": _digest(request.plan)}
    return json.dumps({**request.metadata, **fields}, indent=1, default=str).encode()


@contextmanager
def _dataset_errors(out: str) -> Iterator[None]:
    """Raise errors of the file system as a `DatasetError`."""
    try:
        yield
    except DatasetError:
        raise
    except (OSError, pa.ArrowException) as error:
        message = f"{out} cannot be written ({' '.join(str(error).split())}). Free some space, or choose another place."
        raise DatasetError(re.sub("//[^/ ]*@", "//", message)) from error  # without credentials


def _write_parts(
    store: Store, request: DatasetRequest, workers: int, backend: PartsBackend, progress: Progress | None
) -> list[FileRecord]:
    def done(files: list[FileRecord]) -> None:
        if progress is not None:
            progress(sum(file["rows"] for file in files))

    work = functools.partial(complete_part, store, request.draw, request.partition_by)
    parts = backend.map_parts(work, request.parts, min(workers, request.parts), store.join, done)
    written = [file for files in parts for file in files]
    absent = _absent(store, [staged_name(store, file["file"]) for file in written])
    if absent:
        raise _ResumableError(
            f"All workers must write to one place, got {absent[0]}, which is absent from {store}. Choose a folder that "
            "all of them share, or an object store."
        )
    return written


def _absent(store: Store, names: list[str]) -> list[str]:
    """Return those of the files that this process does not find, also after a while.

    What a client of NFS has seen of a folder, it may believe for as long as a minute (acdirmax, see nfs(5)).
    """
    end = time.monotonic() + VISIBLE_WITHIN
    while (absent := store.absent(names)) and time.monotonic() < end:
        time.sleep(0.5)
    return absent


def _check(store: Store, plan: str, *, resume: bool, overwrite: bool) -> dict[str, Any] | None:
    """Refuse a place with other files; return the manifest if the dataset to be resumed is complete."""
    manifest, staged = _read_manifest(store, MANIFEST), store.staged()
    _refuse_foreign(store, staged)
    if manifest is not None and resume and manifest.get("plan") == _digest(plan):
        store.clear()
        return manifest
    if manifest is not None and not overwrite:
        raise DatasetError(f"The output folder must be empty, got {store} with a dataset. Pass --overwrite.")
    if staged and not (resume or overwrite):
        raise DatasetError(
            f"{store} contains an incomplete dataset. Pass --resume to complete it, or --overwrite to start again."
        )
    return None


def _refuse_foreign(store: Store, staged: set[str]) -> None:
    """Refuse a place with an entry that no dataset of this package has, or with a link, before any is changed."""
    odd = sorted(store.odd())
    foreign = odd + sorted(store.names() - _listed(store))
    # Of objects, parts have their final names before a manifest lists them.
    foreign = [name for name in foreign if not (store.in_place and staged and PART.fullmatch(name))]
    marked = store.in_place or staged & MARKS
    foreign += [
        f"{STAGING}/{name}" for name in sorted(staged) if not is_staged(name) or (not marked and PART.fullmatch(name))
    ]
    if foreign:
        what = "which is a link or no file" if odd else "which belongs to no dataset of synthvae"
        raise DatasetError(
            f"The output folder must be empty, got {store} with {foreign[0]!r}, {what}. Choose another folder."
        )


def _listed(store: Store) -> set[str]:
    """The files that manifests list: of the dataset in place, of the new one, and of the one set aside."""
    manifests = [_read_manifest(store, name) for name in (MANIFEST, NEW, OLD)]
    files = {part["file"] for manifest in manifests if manifest is not None for part in manifest["parts"]}
    emptied = {f"{file.rpartition('/')[0]}/" for file in files}
    return {MANIFEST} | files | emptied if any(manifests) else set()


def _read_manifest(store: Store, name: str) -> dict[str, Any] | None:
    """The content of a file, if it is a manifest of this package."""
    try:
        content = json.loads(store.read(name) or b"")
        ours = isinstance(content["plan"], str) and all(PART.fullmatch(part["file"]) for part in content["parts"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return cast("dict[str, Any]", content) if ours else None


class _ResumableError(DatasetError):
    """An error after which the finished parts are left, so that the run can be resumed."""


@contextmanager
def _running(store: Store, plan: str, *, keep: bool) -> Iterator[None]:
    """Record the plan of a run, and decide on its files if it fails.

    After an error on a disk they are removed. After an interrupt, or the death of a worker, they are left for --resume.
    """
    try:
        _begin(store, plan, keep=keep)
        yield
    except _ResumableError:
        raise
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(f"interrupted: the finished parts are left in {store}. Pass --resume.") from error
    except BrokenProcessPool as error:
        raise _ResumableError(
            "A worker was killed before the dataset was complete, possibly as memory ran out. The finished parts are "
            f"left in {store}. Pass --resume, and perhaps fewer --workers."
        ) from error
    except (OSError, pa.ArrowException) as error:
        if not store.in_place:
            _abandon(store)
            raise
        reason = " ".join(str(error).split())
        raise _ResumableError(
            f"{store} cannot be written ({reason}). The finished parts are left there. Pass --resume."
        ) from error
    except BaseException:
        if not store.in_place:
            _abandon(store)
        raise


def _begin(store: Store, plan: str, *, keep: bool) -> None:
    """Prepare the folder of incomplete files; `keep` those of an earlier run of the same plan."""
    begun = store.read(PLAN)
    if keep and begun is not None:
        if begun != plan.encode():
            raise _ResumableError(
                "A run can be resumed with the same model, request and seed only, got others than those with which "
                f"{store} was begun. Repeat those, or pass --overwrite."
            )
    else:
        _clear(store)
        store.write(PLAN, plan.encode())
    if store.in_place:
        store.move(MANIFEST, OLD)


def _clear(store: Store) -> None:
    """Remove the files of an earlier run, after the steps that would otherwise leave files that nothing lists."""
    if not store.in_place and store.read(OLD) is not None:  # killed while it replaced a dataset
        _publish(store)
    if store.in_place and store.read(MANIFEST) is None:  # killed while it wrote one
        store.remove(store.names())
    store.clear()


def _abandon(store: Store) -> None:
    """Remove incomplete files, unless an old dataset was set aside, so that the run must be resumed."""
    if store.read(OLD) is None:
        store.clear()


def seed_of_run(out: str | os.PathLike[str], own: Seed, asked: Seed, *, resume: bool) -> int:
    """Return the seed of a run: of a resumed one without a seed, that with which it began.

    Args:
        out: The folder or the file.
        own: The seed of the synthesizer, which counts if none is asked for.
        asked: The seed of the request.
        resume: Whether an interrupted run is resumed.

    Raises:
        ConfigurationError: The seed is none.
        DatasetError: The run that is resumed cannot be read.
    """
    stated = own if asked is None else asked
    begun = seed_begun(out) if resume and stated is None else None
    return as_seed(stated if begun is None else begun)


def seed_begun(out: str | os.PathLike[str]) -> int | None:
    """Return the seed of the run, complete or not, in a folder, so that it can be resumed without its seed.

    Raises:
        DatasetError: The folder cannot be read.
    """
    with _dataset_errors(str(out)):
        store = open_store(out)
        plan = _plan_begun(store) or _read_manifest(store, MANIFEST)
    seed = plan.get("seed") if plan else None
    return seed if isinstance(seed, int) else None


def _plan_begun(store: Store) -> dict[str, Any] | None:
    """The plan of a run that was begun, if the folder of incomplete files has one."""
    for name in (PLAN, NEW, OLD):
        try:
            plan = json.loads(store.read(name) or b"")
        except (ValueError, RecursionError):
            continue
        if isinstance(plan, dict) and "parts" in plan:
            return plan
    return None


def _publish(store: Store) -> dict[str, Any]:
    """Move the finished dataset to its place and return its manifest; may be repeated after a crash at any point."""
    manifest = _read_manifest(store, NEW)
    if manifest is not None and not store.in_place:
        store.move(MANIFEST, OLD)
        for part in manifest["parts"]:
            store.move(staged_name(store, part["file"]), part["file"])
    old = _read_manifest(store, OLD)
    new = manifest or _read_manifest(store, MANIFEST)  # moved already, if the run was killed afterwards
    current = {part["file"] for part in new["parts"]} if new else set()
    store.remove(part["file"] for part in (old["parts"] if old else []) if part["file"] not in current)
    store.move(NEW, MANIFEST)
    store.clear()
    return manifest or {}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
