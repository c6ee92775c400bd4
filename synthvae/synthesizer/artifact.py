"""A fitted model on disk: weights as safetensors, everything else as JSON. No row of training, no pickle."""

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

from synthvae import filesystem
from synthvae.errors import ArtifactError

FORMAT = 1
PAGE = "synthvae.json"
WEIGHTS = "model.safetensors"
CARD = "README.md"
FILES = {PAGE, WEIGHTS, CARD}
SAVING = ".saving-"
LARGEST = {PAGE: 1 << 26, WEIGHTS: 1 << 32}  # bytes: a page of many categories; a billion weights


def save(path: str | os.PathLike[str], page: Mapping[str, Any], weights: Mapping[str, Tensor], card: str = "") -> None:
    """Write a model directory, whole or not at all; a model that is there already is replaced.

    Args:
        path: The directory.
        page: What stands in `synthvae.json`, apart from format version and checksums.
        weights: The tensors, by name.
        card: What stands in `README.md`, for people.

    Raises:
        ArtifactError: The directory holds something that is not a model, or cannot be written.
    """
    folder = Path(path)
    check_place(folder)
    blob = safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()})
    document = {"format": FORMAT, **page, "weights_sha256": hashlib.sha256(blob).hexdigest()}
    document["sha256"] = _checksum(document)
    try:
        content = {WEIGHTS: blob, PAGE: json.dumps(document, indent=1, allow_nan=False).encode()}
        for name, data in content.items():
            _refuse_larger(folder / name, len(data))
        _replace(folder, {**content, CARD: card.encode()})
    except OSError as error:
        raise ArtifactError(f"{folder} cannot be written ({error}): nothing was changed there") from error


def check_place(path: str | os.PathLike[str]) -> None:
    """Refuse a directory that a model cannot take: better before an hour of training than after.

    Raises:
        ArtifactError: It holds something that is not a model, or cannot be written.
    """
    folder = Path(path)
    try:
        filesystem.probe(folder)
        if folder.is_dir():
            filesystem.probe(folder / PAGE)
        names, is_model = _names(folder), (folder / PAGE).exists()
    except OSError as error:
        raise ArtifactError(f"{folder} cannot be written ({error.strerror}): choose another") from error
    if names - FILES or (names and not is_model):
        other = min(names - FILES, default=WEIGHTS)
        raise ArtifactError(f"a model needs a directory of its own, however, {folder} holds {other!r}: choose another")


def _names(folder: Path) -> set[str]:
    """What a directory holds; of a file its own name."""
    if folder.is_dir():
        return {entry.name for entry in folder.iterdir()}
    return {folder.name} if folder.exists() else set()


def _replace(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files beside `folder`, then let them take its place."""
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
            os.replace(old, folder)  # noqa: PTH105 (the way back must not share the way that failed)
        raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        filesystem.unlock(handle)


def _recover(folder: Path) -> None:
    """Take away what a save that was killed left; an old model that it had put aside is put back."""
    for beside in folder.parent.glob(f".{glob.escape(folder.name)}{SAVING}*"):
        if filesystem.is_locked(beside):
            continue
        if (beside / "old").exists() and not folder.exists():
            (beside / "old").rename(folder)
        shutil.rmtree(beside, ignore_errors=True)


def load(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the page and the weights of a model directory. Loading never runs code.

    Raises:
        ArtifactError: It is absent, damaged, or of a newer format.
    """
    folder = Path(path)
    with contextlib.suppress(OSError):  # what may not be put back is told when it is read
        if not folder.exists():
            _recover(folder)
    page = _load_page(folder)
    weights = _read(folder, WEIGHTS)
    if hashlib.sha256(weights).hexdigest() != page.get("weights_sha256"):
        raise ArtifactError(f"{folder / WEIGHTS} is damaged (its checksum differs): restore it or fit again")
    try:
        return page, safetensors.torch.load(weights)
    except (safetensors.SafetensorError, ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
        reason = str(error).split("\n", 1)[0]
        raise ArtifactError(f"{folder / WEIGHTS} cannot be read ({reason}): restore it or fit again") from error


def _load_page(folder: Path) -> dict[str, Any]:
    content = _read(folder, PAGE)
    try:
        page = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{folder / PAGE} is damaged ({type(error).__name__}): restore it or fit again") from error
    if not isinstance(page, dict) or not isinstance(page.get("format"), int):
        raise ArtifactError(f"{folder / PAGE} is not the page of a model: choose another directory")
    if page["format"] > FORMAT:
        raise ArtifactError(
            f"this release reads model format {FORMAT}, however, {folder} is of format {page['format']}: "
            "install a newer synthvae"
        )
    if _checksum(page) != page.get("sha256"):
        raise ArtifactError(f"{folder / PAGE} is damaged (its checksum differs): restore it or fit again")
    return cast("dict[str, Any]", page)


def _read(folder: Path, name: str) -> bytes:
    try:
        if not (folder / name).is_file():  # a pipe would be waited for, a device has no end
            raise FileNotFoundError(errno.ENOENT, "it is no file")
        with (folder / name).open("rb") as stream:
            _refuse_larger(folder / name, os.fstat(stream.fileno()).st_size)
            return stream.read()
    except OSError as error:
        raise ArtifactError(
            f"a model directory must hold {PAGE} and {WEIGHTS}, however, {folder / name} cannot be read "
            f"({error.strerror}): check the path"
        ) from error


def _refuse_larger(path: Path, size: int) -> None:
    if size > LARGEST[path.name]:
        raise ArtifactError(
            f"{path.name} must have at most {LARGEST[path.name]:,} bytes, however, that of {path.parent} has {size:,}: "
            "learn a table of fewer columns or categories"
        )


def _checksum(page: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in page.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
