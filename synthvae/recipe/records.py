"""What a finished stage was made from and what it made, so that it is done once: hashes of content, never dates."""

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

FOLDER = "_stages"
KEY_BYTES = 32


@dataclass(frozen=True)
class Record:
    """One finished stage.

    Args:
        inputs: A hash of all that it read: its part of the page, files, what stages before it made, the version.
        outputs: A hash of each file that it made, by name inside the output folder.
        facts: What it says of itself, as JSON has it.
    """

    inputs: str
    outputs: dict[str, str]
    facts: dict[str, Any]

    @classmethod
    def read(cls, out: Path, stage: str) -> Record | None:
        """Return the record of a stage; None if there is none, or it cannot be read."""
        try:
            page = json.loads(_place(out, stage).read_text(encoding="utf-8"))
            record = cls(**page)
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        kinds = (record.inputs, str), (record.outputs, dict), (record.facts, dict)
        return record if all(isinstance(value, kind) for value, kind in kinds) else None

    def write(self, out: Path, stage: str) -> None:
        """Write the record, once all that it speaks of lies on the disk."""
        _place(out, stage).parent.mkdir(parents=True, exist_ok=True)
        filesystem.write(_place(out, stage), json.dumps(asdict(self), indent=1).encode())
        begun(out, stage).unlink(missing_ok=True)


def begin(out: Path, stage: str, inputs: str) -> bool:
    """Note that a stage begins; return whether it had begun with the same inputs before, and was broken off."""
    place = begun(out, stage)
    place.parent.mkdir(parents=True, exist_ok=True)
    again = place.exists() and place.read_bytes() == inputs.encode()
    filesystem.write(place, inputs.encode())
    return again


def begun(out: Path, stage: str) -> Path:
    """The file that is there while a stage is under way."""
    return out / FOLDER / f"{stage}.begun"


def users_key() -> bytes:
    """Return a key of this user, made when it is first needed and kept where no study is.

    Hashes of private tables are taken under it: whoever is shown a plain one, and knows all rows but one, finds that
    one by trial.

    Raises:
        ConfigurationError: It cannot be kept.
    """
    place = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state", "synthvae", "key")
    try:
        place = place.expanduser()
        handle = filesystem.lock(place.parent)  # of several runs that need one, the first makes it
        try:
            with contextlib.suppress(FileExistsError), open(place, "xb", opener=_for_its_owner) as stream:
                stream.write(secrets.token_bytes(KEY_BYTES))
            key = place.read_bytes()
        finally:
            filesystem.unlock(handle)
    except (OSError, RuntimeError) as error:  # RuntimeError: nobody knows where home is
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"a private study needs a key of this user, however, {place} cannot be kept ({reason}): let "
            "XDG_STATE_HOME name a folder that can be written, the same one each time"
        ) from error
    if len(key) != KEY_BYTES:
        raise ConfigurationError(
            f"a key must have {KEY_BYTES} bytes, however, {place} has {len(key)}: remove it, and a new one is made"
        )
    return key


def _for_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)


def digest(facts: Any, key: bytes | None = None) -> str:
    """Return one hash for facts that JSON can say; with a key, one that nobody else can find."""
    plain = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
    return plain if key is None else hmac.new(key, plain.encode(), hashlib.sha256).hexdigest()


def digests(out: Path, names: Iterable[str], key: bytes | None = None) -> dict[str, str]:
    """Return hashes of files, and of those in folders, by name inside `out`; those that are hidden do not count.

    They are sha256 or, with a key, such as nobody else can find.
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
        raise ConfigurationError(
            f"a recipe names files that can be read, however, {path} cannot ({error.strerror}): name another"
        ) from error


def sha256(path: Path) -> str:
    """Return the hash of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif path.is_dir():
        for entry in path.iterdir():
            if not entry.name.startswith("."):
                yield from _files(entry)


def _place(out: Path, stage: str) -> Path:
    return out / FOLDER / f"{stage}.json"
