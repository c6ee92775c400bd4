"""The directory of a fitted model: weights as safetensors, everything else as JSON. No training rows, no pickle."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import json
import os
import shutil
import tempfile
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
SAVING = ".saving-"
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
        ArtifactError: The directory holds something that is not a model, or cannot be written.
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
        ArtifactError: It holds something that is not a model, or cannot be written.
    """
    folder = filesystem.local_path(path, "A model")
    try:
        filesystem.probe(folder)
        if folder.is_dir():
            filesystem.probe(folder / DOCUMENT)
        names, is_model = _names(folder), (folder / DOCUMENT).exists()
    except OSError as error:
        raise ArtifactError(f"{folder} cannot be written ({error.strerror}). Choose another directory.") from error
    if names - FILES or (names and not is_model):
        other = min(names - FILES, default=WEIGHTS)
        raise ArtifactError(f"A model needs a directory of its own, and {folder} holds {other!r}. Choose another one.")


def _names(folder: Path) -> set[str]:
    """The names in a directory; the name of a file itself."""
    if folder.is_dir():
        return {entry.name for entry in folder.iterdir()}
    return {folder.name} if folder.exists() else set()


def _replace(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files to a new directory beside `folder`, then rename it to `folder`."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    _recover(folder)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}{SAVING}", dir=folder.parent))
    fresh, old, handle = beside / "new", beside / "old", filesystem.lock(beside)
    try:
        fresh.mkdir()
        for name, content in files.items():
            filesystem.write(fresh / name, content)
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
    except BaseException:
        if old.exists() and not folder.exists():
            os.replace(old, folder)  # noqa: PTH105 (restoring must not use the call that failed)
        raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        filesystem.unlock(handle)


def _recover(folder: Path) -> None:
    """Remove the files of a save that was killed, and restore an old model that it had renamed."""
    for beside in folder.parent.glob(f".{glob.escape(folder.name)}{SAVING}*"):
        if filesystem.is_locked(beside):
            continue
        if (beside / "old").exists() and not folder.exists():
            (beside / "old").rename(folder)
        shutil.rmtree(beside, ignore_errors=True)


def load(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the document and the weights of a model directory. Loading never executes code.

    Raises:
        ArtifactError: It is absent, damaged, or of a newer format.
    """
    folder = filesystem.local_path(path, "A model")
    with contextlib.suppress(OSError):  # if the old model cannot be restored, reading it fails below
        if not folder.exists():
            _recover(folder)
    document = _load_document(folder)
    weights = _read(folder, WEIGHTS)
    if hashlib.sha256(weights).hexdigest() != document.get("weights_sha256"):
        raise ArtifactError(f"{folder / WEIGHTS} is damaged (its checksum differs). Restore it or fit again.")
    try:
        return document, safetensors.torch.load(weights)
    except (safetensors.SafetensorError, ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
        reason = str(error).split("\n", 1)[0]
        raise ArtifactError(f"{folder / WEIGHTS} cannot be read ({reason}). Restore it or fit again.") from error


def _load_document(folder: Path) -> dict[str, Any]:
    place, content = folder / DOCUMENT, _read(folder, DOCUMENT)
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


def _read(folder: Path, name: str) -> bytes:
    try:
        if not (folder / name).is_file():  # reading a pipe would block, and a device has no end
            raise FileNotFoundError(errno.ENOENT, "not a file")
        with (folder / name).open("rb") as stream:
            _refuse_larger(folder / name, os.fstat(stream.fileno()).st_size)
            return stream.read()
    except OSError as error:
        raise ArtifactError(
            f"A model directory must hold {DOCUMENT} and {WEIGHTS}, and {folder / name} cannot be read "
            f"({error.strerror}). Check the path."
        ) from error


def _refuse_larger(path: Path, size: int) -> None:
    if size > LARGEST[path.name]:
        raise ArtifactError(
            f"{path.name} must have at most {LARGEST[path.name]:,} bytes, got {size:,} in {path.parent}. Fit to a "
            "table with fewer columns or categories."
        )


def _checksum(document: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in document.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
