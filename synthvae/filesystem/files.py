"""Atomic writes of files that a user names."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from synthvae.errors import DatasetError
from synthvae.filesystem.folders import refuse_link, write
from synthvae.filesystem.schemes import local_path


def export(path: Path, content: bytes) -> None:
    """Write a file that the user named, and create its parent folders.

    Raises:
        DatasetError: The file is a link, or cannot be written; an existing one is unchanged.
    """
    local_path(path)
    with _writing(path):
        refuse_link(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, content)


def check_writable(path: Path) -> None:
    """Check, before long work, that a file can be written.

    Raises:
        DatasetError: No file can be created in its folder, or in the nearest existing one above it.
    """
    local_path(path)
    with _writing(path):
        refuse_link(path)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        probe(path)


def probe(path: Path) -> None:
    """Create and remove a temporary file in the nearest existing folder of a path.

    Raises:
        OSError: That is not possible, or the path is, or is below, a link to something that does not exist.
    """
    for place in (path.absolute(), *path.absolute().parents):
        if place.is_symlink() and not place.exists():
            raise FileNotFoundError(errno.ENOENT, f"{place.name} is a link to something that does not exist")
    nearest = next(folder for folder in path.absolute().parents if folder.exists())
    tempfile.TemporaryFile(dir=nearest).close()


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DatasetError(f"{path} cannot be written ({error.strerror or error}). Choose another place.") from error
