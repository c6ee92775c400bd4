"""Records of finished stages: hashes of the content of inputs and outputs, so that a stage is run once."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from synthvae import filesystem
from synthvae.errors import ConfigurationError
from synthvae.filesystem import Folder

FOLDER = "_stages"
KEY_BYTES = 32


@dataclass(frozen=True)
class StageRecord:
    """One finished stage.

    Args:
        inputs: A hash of all inputs: its part of the recipe, files, outputs of earlier stages, the version.
        outputs: A hash of each file that it wrote, by name inside the output folder.
        facts: Its summary, as JSON.
    """

    inputs: str
    outputs: dict[str, str]
    facts: dict[str, Any]

    @classmethod
    def read(cls, out: Path, stage: str) -> StageRecord | None:
        """Return the record of a stage; None if there is none, or it cannot be read."""
        try:
            record = cls(**json.loads(Folder(out).read(_place(stage)) or b""))
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        kinds = (record.inputs, str), (record.outputs, dict), (record.facts, dict)
        return record if all(isinstance(value, kind) for value, kind in kinds) else None

    def write(self, out: Path, stage: str) -> None:
        """Write the record after all its outputs are on disk."""
        Folder(out).write(_place(stage), json.dumps(asdict(self), indent=1).encode())
        Folder(out).remove(begun(stage))


def begin(out: Path, stage: str, inputs: str) -> bool:
    """StageRecord that a stage begins; return whether it began with the same inputs before and was interrupted."""
    again = Folder(out).read(begun(stage)) == inputs.encode()
    Folder(out).write(begun(stage), inputs.encode())
    return again


def begun(stage: str) -> str:
    """Return the file inside the output folder that exists while a stage is running."""
    return f"{FOLDER}/{stage}.begun"


def link_on_the_way(out: Path, names: Iterable[str]) -> str | None:
    """Return a link in the place of some paths inside `out`, of a folder above them, or of a record; None: none."""
    for name in (FOLDER, *names):
        parts = Path(name).parts
        for count in range(1, len(parts) + 1):
            if out.joinpath(*parts[:count]).is_symlink():
                return str(Path(*parts[:count]))
    records = Folder(out / FOLDER).entries().items()
    return next((f"{FOLDER}/{name}" for name, is_odd in records if is_odd), None)


def users_key() -> bytes:
    """Return the secret key of this user, created on first use and stored outside all studies.

    Hashes of private tables are keyed by it: somebody who has a plain hash, and knows all rows but one, could find
    that row by trial.

    Raises:
        ConfigurationError: It cannot be stored.
    """
    place = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state", "synthvae", "key")
    try:
        place = place.expanduser()
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = filesystem.lock(place.parent)  # of several concurrent runs, the first creates it
        try:
            with contextlib.suppress(FileExistsError), open(place, "xb", opener=_open_privately) as stream:
                stream.write(secrets.token_bytes(KEY_BYTES))
            key = place.read_bytes()
        finally:
            filesystem.unlock(handle)
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home directory
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"a private study needs a key of this user, but {place} cannot be written ({reason}). Set XDG_STATE_HOME "
            "to a writable folder, the same one each time."
        ) from error
    if len(key) != KEY_BYTES:
        raise ConfigurationError(
            f"{place} must have {KEY_BYTES} bytes, got {len(key)}. Remove it, and a new key is created."
        )
    return key


def _open_privately(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)


def digest(content: Any, key: bytes | None = None) -> str:
    """Return a hash of anything that JSON can represent: sha256, or with a key HMAC-SHA256."""
    plain = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
    return plain if key is None else hmac.new(key, plain.encode(), hashlib.sha256).hexdigest()


def digests(out: Path, names: Iterable[str], key: bytes | None = None) -> dict[str, str]:
    """Return hashes of files, and of those in folders, by name inside `out`, without hidden files.

    They are sha256, or with a key HMAC-SHA256.
    """
    found = [file for name in names for file in _files(out / name)]
    plain = {file.relative_to(out).as_posix(): sha256(file) for file in sorted(found)}
    return plain if key is None else {name: digest(of, key) for name, of in plain.items()}


def content(path: Path) -> dict[str, str]:
    """Return the sha256 of a file, or of all files of a folder, by name inside it.

    Raises:
        ConfigurationError: It cannot be read.
    """
    try:
        inside = path if path.is_dir() else path.parent
        return {file.relative_to(inside).as_posix(): sha256(file) for file in sorted(_files(path))}
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror}). Name another file.") from error


def sha256(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif path.is_dir():
        for entry in path.iterdir():
            if not entry.name.startswith("."):
                yield from _files(entry)


def _place(stage: str) -> str:
    return f"{FOLDER}/{stage}.json"
