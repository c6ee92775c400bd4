"""Files that are whole or not there."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from synthvae.errors import DatasetError


def write(path: Path, content: bytes | memoryview) -> None:
    """Write a file beside its place, let the disk have it, and only then give it its name."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def export(path: Path, content: bytes) -> None:
    """Write a file that was asked for by name, and the folders above it.

    Raises:
        DatasetError: It cannot be written; what was there is there still.
    """
    with _telling(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, content)


def check(path: Path) -> None:
    """Refuse a file that could not be written: better before the work than after.

    Raises:
        DatasetError: No file can be made in its folder, or in the nearest one above it that is there.
    """
    with _telling(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        probe(path)


def probe(path: Path) -> None:
    """Make a file where a path leads, in the nearest folder that is there, and remove it.

    Raises:
        OSError: That cannot be done.
    """
    nearest = next(folder for folder in path.absolute().parents if folder.exists())
    tempfile.TemporaryFile(dir=nearest).close()


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DatasetError(f"{path} cannot be written ({error.strerror or error}): choose another") from error
