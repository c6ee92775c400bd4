"""The directory of a fitted model: weights as safetensors, everything else as JSON. No training rows, no pickle."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import safetensors
import safetensors.torch
from torch import Tensor

from synthvae import filesystem, safe_yaml
from synthvae.errors import ArtifactError

FORMAT = 1
DOCUMENT = "synthvae.json"
WEIGHTS = "model.safetensors"
CARD = "README.md"
FILES = {DOCUMENT, WEIGHTS, CARD}
SAVED = FILES | {f".{name}.tmp" for name in FILES}  # the files of a save, also of one that an earlier release left
SAVING = ".saving-"
RETRY_TIMEOUT = 5.0  # seconds during which a model that is being saved is awaited; two renames take microseconds
ABSENT_TRIES = 5  # a model is absent if so many tries say so: one alone may fall between the renames of two saves
LOCKLESS_WAIT = 0.5  # seconds before a save is taken for killed, since some file systems have no locks
LARGEST = {DOCUMENT: 1 << 26, WEIGHTS: 1 << 32}  # bytes: a document with many categories; a billion weights


def save(
    path: str | os.PathLike[str], document: Mapping[str, Any], weights: Mapping[str, Tensor], card: str = ""
) -> None:
    """Write a model directory atomically; a model that it holds is replaced.

    Args:
        path: The directory.
        document: The content of `synthvae.json`, without format version and checksums.
        weights: The tensors by name.
        card: The content of `README.md`.

    Raises:
        ArtifactError: The directory is a link, holds something that is not a model, or cannot be written.
    """
    folder = filesystem.local_path(path, "A model")
    check_place(folder)
    blob = safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()})
    whole = {"format": FORMAT, **document, "weights_sha256": hashlib.sha256(blob).hexdigest()}
    whole["sha256"] = _checksum(whole)
    try:
        content = {WEIGHTS: blob, DOCUMENT: json.dumps(whole, indent=1, allow_nan=False).encode()}
        for name, data in content.items():
            _refuse_larger(folder / name, len(data))
        _replace(folder, {**content, CARD: card.encode()})
    except OSError as error:
        raise ArtifactError(f"{folder} cannot be written ({error}). Nothing was changed there.") from error


def check_place(path: str | os.PathLike[str]) -> None:
    """Refuse a directory to which a model cannot be saved; called before training, which may take an hour.

    Raises:
        ArtifactError: It is a link, holds something that is not a model, or cannot be written.
    """
    folder = filesystem.local_path(path, "A model")
    try:
        filesystem.refuse_link(folder)
        filesystem.probe(folder)
        if folder.is_dir():
            filesystem.probe(folder / DOCUMENT)
        entries = _entries(folder)
    except OSError as error:
        raise ArtifactError(f"{folder} cannot be written ({error.strerror}). Choose another directory.") from error
    other = [name for name, is_odd in sorted(entries.items()) if is_odd or name not in FILES]
    if other or (entries and DOCUMENT not in entries):
        name = other[0] if other else WEIGHTS
        raise ArtifactError(f"A model needs a directory of its own, and {folder} holds {name!r}. Choose another one.")


def _entries(folder: Path) -> dict[str, bool]:
    """The entries of a directory, and whether each is no regular file; the name of a file itself."""
    if folder.is_dir():
        return filesystem.Folder(folder).entries()
    return {folder.name: True} if folder.exists() else {}


def _replace(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files to a new directory beside `folder`, then rename it to `folder`."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    _recover(folder)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}{SAVING}", dir=folder.parent))
    fresh, old, handle = beside / "new", beside / "old", filesystem.lock(beside)
    try:
        fresh.mkdir()
        for name, content in files.items():
            filesystem.Folder(fresh).write(name, content)
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
    except BaseException:
        if old.exists() and not folder.exists():
            os.replace(old, folder)  # noqa: PTH105 (restoring must not use the call that failed)
        raise
    finally:
        _discard(beside)
        filesystem.unlock(handle)


def _recover(folder: Path) -> None:
    """Remove the files of a save that was killed, and restore an old model that it had renamed."""
    for beside in _saves(folder):
        if filesystem.is_locked(beside):
            continue
        if (beside / "old").exists() and not folder.exists():
            (beside / "old").rename(folder)
        _discard(beside)


def _saves(folder: Path) -> list[Path]:
    """The directories of saves that go on or were killed: what another program has beside a model is left alone."""
    found = folder.parent.glob(f".{glob.escape(folder.name)}{SAVING}*")
    return [beside for beside in found if not beside.is_symlink() and beside.is_dir() and _is_save(beside)]


def _is_save(beside: Path) -> bool:
    """Whether a directory has what a save writes, and nothing else."""
    entries = filesystem.Folder(beside).entries()
    return bool(entries) and all(_is_saved(name) and not is_odd for name, is_odd in entries.items())


def _is_saved(entry: str) -> bool:
    """Whether an entry of the directory of a save is one of its files or directories."""
    part, _, name = entry.partition("/")
    return part in {"new", "old"} and (name in {"", *SAVED} or name.startswith(filesystem.TEMPORARY))


def _discard(beside: Path) -> None:
    """Remove the directory of a save, with the files that a save writes and no others."""
    folder = filesystem.Folder(beside)
    with contextlib.suppress(OSError):
        for entry in filter(_is_saved, folder.entries()):
            remove = folder.remove_empty if entry.endswith("/") else folder.remove
            remove(entry.rstrip("/"))
        beside.rmdir()


def load(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the document and the weights of a model directory. Loading never executes code.

    Both are of one save, also while the model is being saved again: they are read from one open directory, or again if
    another one took its place meanwhile.

    Raises:
        ArtifactError: It is absent, damaged, or of a newer format.
    """
    folder, begun, absences = filesystem.local_path(path, "A model"), time.monotonic(), 0
    while True:
        seen = _identity(folder)
        try:
            return _load_once(folder)
        except ArtifactError:
            waited = time.monotonic() - begun
            is_same = seen == _identity(folder)
            absences += is_same and seen is None and not _may_appear(folder, waited)
            if (is_same and seen is not None) or absences == ABSENT_TRIES or waited > RETRY_TIMEOUT:
                raise
            time.sleep(0.002)


def _identity(folder: Path) -> tuple[int, int, int] | None:
    """What tells a directory from another one at the same path; None if there is none."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


def _may_appear(folder: Path, waited: float) -> bool:
    """Whether a model that is absent is being saved, or could be restored after a save that was killed."""
    with contextlib.suppress(OSError):  # if the old model cannot be found or restored, reading it fails
        saves = _saves(folder)
        if saves and (waited < LOCKLESS_WAIT or any(map(filesystem.is_locked, saves))):
            return True
        _recover(folder)
        return folder.exists()
    return False


def _load_once(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the document and the weights of the model at a path, which may be replaced meanwhile."""
    try:
        with filesystem.open_folder(folder) as opened:
            document = _load_document(folder, _read(opened, DOCUMENT))
            weights = _read(opened, WEIGHTS)
    except OSError as error:
        raise ArtifactError(
            f"A model directory must hold {DOCUMENT} and {WEIGHTS}, and {error.filename or folder} cannot be read "
            f"({error.strerror}). Check the path."
        ) from error
    if hashlib.sha256(weights).hexdigest() != document.get("weights_sha256"):
        raise ArtifactError(f"{folder / WEIGHTS} is damaged (its checksum differs). Restore it or fit again.")
    try:
        return document, safetensors.torch.load(weights)
    except (safetensors.SafetensorError, ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
        reason = str(error).split("\n", 1)[0]
        raise ArtifactError(f"{folder / WEIGHTS} cannot be read ({reason}). Restore it or fit again.") from error


def _load_document(folder: Path, content: bytes) -> dict[str, Any]:
    place = folder / DOCUMENT
    try:
        document = safe_yaml.load_json(content)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{place} is damaged ({type(error).__name__}). Restore it or fit again.") from error
    version = document.get("format") if isinstance(document, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ArtifactError(f"{place} does not describe a model. Choose another directory.")
    if version > FORMAT:
        raise ArtifactError(
            f"This release reads model format {FORMAT}, and {folder} has format {version}. Install a newer synthvae."
        )
    if _checksum(document) != document.get("sha256"):
        raise ArtifactError(f"{place} is damaged (its checksum differs). Restore it or fit again.")
    return cast("dict[str, Any]", document)


def _read(folder: filesystem.Opened, name: str) -> bytes:
    with filesystem.open_file(folder, name) as stream:
        _refuse_larger(folder.path / name, os.fstat(stream.fileno()).st_size)
        return stream.read()


def _refuse_larger(path: Path, size: int) -> None:
    if size > LARGEST[path.name]:
        raise ArtifactError(
            f"{path.name} must have at most {LARGEST[path.name]:,} bytes, got {size:,} in {path.parent}. Fit to a "
            "table with fewer columns or categories."
        )


def _checksum(document: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in document.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
