"""Folders whose entries are opened, written and removed without following links."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from synthvae.filesystem.locks import try_lock, unlock

TEMPORARY = ".synthvae-"  # how names of temporary files begin; readers of datasets ignore hidden files
PUBLIC, PRIVATE = 0o666, 0o600  # permissions of files, less the umask of this user
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0)  # O_PATH asks for no permission to list
_NO_LINK, _BINARY = getattr(os, "O_NOFOLLOW", 0), getattr(os, "O_BINARY", 0)
_ABANDONED = re.compile(rf"{re.escape(TEMPORARY)}[0-9a-f]{{16}}\.tmp")
_UNNAMED = getattr(os, "O_TMPFILE", 0)
_HANDLES = bool(_NO_LINK) and os.open in os.supports_dir_fd


def write(path: Path, content: bytes | memoryview) -> None:
    """Write a file under a random temporary name in the same folder, flush it to disk, and rename it.

    The name is new and neither it nor `path` is followed if it is a link, which is replaced.
    """
    with _opened(path.parent, follow=True) as folder:
        if _write(folder, path.name, content, PUBLIC):
            _remove_abandoned(folder)


def refuse_link(path: Path) -> None:
    """Refuse an output that is a link itself; folders above it may be links.

    Raises:
        OSError: It is a link, dangling or not.
    """
    if path.is_symlink():
        raise OSError(errno.ELOOP, "it is a link, which is not followed", str(path))


@dataclass(frozen=True)
class Folder:
    """A folder whose entries are opened without following links, neither the folder itself nor one below it.

    Names are relative to it, with slashes. On POSIX each folder on the way is opened from the one above it, so that a
    link that takes the place of a folder redirects no write; Windows has no such calls, so links are looked for first.

    Args:
        path: The folder.
        private: Whether files that are written can be read by this user alone.

    Example:
        >>> folder = Folder(Path("."))
        >>> folder.write("figures.json", b"{}")
        >>> folder.read("figures.json"), folder.read("nothing")
        (b'{}', None)
    """

    path: Path
    private: bool = False

    @property
    def _mode(self) -> int:
        return PRIVATE if self.private else PUBLIC

    def open(self, name: str) -> BinaryIO:
        """Open a regular file for reading.

        Raises:
            FileNotFoundError: There is none, or it is no regular file.
            OSError: It cannot be opened, or is reached by a link.
        """
        with self._above(name) as (folder, entry):
            return open_file(folder, entry)

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, None if there is none."""
        try:
            with self.open(name) as stream:
                return stream.read()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Write a file atomically; of the folders above it, only the last one may be absent."""
        with self._above(name, create=True) as (folder, entry):
            _write(folder, entry, content, self._mode)

    def create(self, name: str) -> BinaryIO:
        """Create a file to be written piece by piece; one of that name is removed first."""
        with self._above(name) as (folder, entry):
            _unlink(folder, entry)
            return os.fdopen(_open(folder, entry, os.O_WRONLY | os.O_CREAT | os.O_EXCL, self._mode), "wb")

    def append(self, name: str, content: bytes) -> None:
        """Append to a file, which is created if absent."""
        with self._above(name) as (folder, entry):
            handle = _open(folder, entry, os.O_WRONLY | os.O_CREAT | os.O_APPEND, self._mode)
            with os.fdopen(handle, "ab") as stream:
                stream.write(content)

    def move(self, name: str, to: str) -> None:
        """Rename a file, if it exists; the last folder of the new name may be absent."""
        with contextlib.suppress(FileNotFoundError), self._above(name) as (source, entry):
            os.stat(source.at(entry), dir_fd=source.handle, follow_symlinks=False)
            with self._above(to, create=True) as (folder, new):
                os.replace(source.at(entry), folder.at(new), src_dir_fd=source.handle, dst_dir_fd=folder.handle)

    def remove(self, name: str) -> None:
        """Remove a file if it exists, and its folder if it becomes empty; of a link, not what it leads to."""
        with contextlib.suppress(FileNotFoundError), self._above(name) as (folder, entry):
            _unlink(folder, entry)
        if "/" in name:
            with contextlib.suppress(OSError):  # it has other files
                self.remove_empty(name.rpartition("/")[0])

    def remove_empty(self, name: str) -> None:
        """Remove a folder without entries.

        Raises:
            OSError: It is none, or is not empty.
        """
        with self._above(name) as (folder, entry):
            os.rmdir(folder.at(entry), dir_fd=folder.handle)

    def entries(self) -> dict[str, bool]:
        """Return all files below, and empty folders with a slash at the end, and whether each is odd, as links are.

        Raises:
            OSError: A folder cannot be read.
        """
        if not self.path.is_dir():
            return {}
        found: dict[str, bool] = {}
        for here, folders, files in os.walk(self.path, onerror=_raise):
            place = Path(here)
            odd = {name: _is_odd(place / name) for name in files}
            odd |= {name: True for name in folders if (place / name).is_symlink()}
            if not odd and not folders and place != self.path:
                found[f"{place.relative_to(self.path).as_posix()}/"] = False
            found |= {(place / name).relative_to(self.path).as_posix(): kind for name, kind in odd.items()}
        return found

    @contextmanager
    def _above(self, name: str, *, create: bool = False) -> Iterator[tuple[Opened, str]]:
        """Open the folder of an entry."""
        *folders, entry = name.split("/")
        if {"", ".", ".."} & {*folders, entry}:
            raise OSError(errno.EINVAL, "the name must be inside the folder", name)
        if create and folders:
            with self._above("/".join(folders)) as (above, last), contextlib.suppress(FileExistsError):
                os.mkdir(above.at(last), PRIVATE | 0o100 if self.private else 0o777, dir_fd=above.handle)
        with _opened(self.path, *folders) as folder:
            yield folder, entry


class Opened(NamedTuple):
    """An open folder: its path and handle; None where folders have no handles (Windows).

    Args:
        path: The path.
        handle: The handle.
    """

    path: Path
    handle: int | None

    def at(self, entry: str) -> str:
        """Return the path of an entry for calls with `dir_fd`."""
        return str(self.path / entry) if self.handle is None else entry


@contextmanager
def _opened(path: Path, *below: str, follow: bool = False) -> Iterator[Opened]:
    """Open a folder, and the folders below it from one to the next."""
    folder = Opened(path, _enter(str(path), None, path, follow=follow))
    try:
        for name in below:
            inner = Opened(folder.path / name, _enter(name, folder.handle, folder.path / name))
            unlock(folder.handle)
            folder = inner
        yield folder
    finally:
        unlock(folder.handle)


def _enter(name: str, above: int | None, path: Path, *, follow: bool = False) -> int | None:
    if not _HANDLES:
        if not follow:
            refuse_link(path)
        return None
    try:
        return os.open(name, _FOLDER | (0 if follow else _NO_LINK), dir_fd=above)
    except OSError:
        if not follow:
            refuse_link(path)  # for which the error is "Not a directory"
        raise


@contextmanager
def open_folder(path: Path) -> Iterator[Opened]:
    """Open a folder whose files are to be of one moment, whatever takes its path meanwhile (not on Windows)."""
    with _opened(path, follow=True) as folder:
        yield folder


def open_file(folder: Opened, name: str) -> BinaryIO:
    """Open a regular file of a folder for reading: no link, no pipe, which would block, and no device.

    Raises:
        FileNotFoundError: There is none, or it is none.
        OSError: It cannot be opened, or is a link.
    """
    handle = _open(folder, name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise FileNotFoundError(errno.ENOENT, "not a file", str(folder.path / name))
    return os.fdopen(handle, "rb")


def _open(folder: Opened, name: str, flags: int, mode: int = PUBLIC) -> int:
    if folder.handle is None:
        refuse_link(folder.path / name)
    try:
        return os.open(folder.at(name), flags | _NO_LINK | _BINARY, mode, dir_fd=folder.handle)
    except OSError as error:
        if error.errno == errno.ELOOP:
            refuse_link(folder.path / name)
        error.filename = str(folder.path / name)
        raise


def _write(folder: Opened, name: str, content: bytes | memoryview, mode: int) -> bool:
    """Write a file atomically, and return whether temporary files in this folder are locked while they are used."""
    temporary = f"{TEMPORARY}{secrets.token_hex(8)}.tmp"
    if _write_unnamed(folder, temporary, name, content, mode):
        return True
    handle = _open(folder, temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with _temporary(folder, temporary):
        with os.fdopen(handle, "wb") as stream:
            try_lock(handle)
            _flush(stream, content)
        _replace(folder, temporary, name)
    return False


def _write_unnamed(folder: Opened, temporary: str, name: str, content: bytes | memoryview, mode: int) -> bool:
    """Write a file that has no name until it is complete, so that a kill before leaves none, and is locked (Linux).

    Returns:
        Whether the file system has such files.

    Raises:
        FileExistsError: The temporary name is taken.
        OSError: The file cannot be written.
    """
    if folder.handle is None or not _UNNAMED:
        return False
    try:
        handle = os.open(".", _UNNAMED | os.O_WRONLY, mode, dir_fd=folder.handle)
    except OSError:  # no such files here, or an error that a file with a name has as well
        return False
    with os.fdopen(handle, "wb") as stream:
        try_lock(handle)
        _flush(stream, content)
        try:
            # The only way to give it a name; see open(2) on O_TMPFILE.
            os.link(f"/proc/self/fd/{handle}", temporary, dst_dir_fd=folder.handle, follow_symlinks=True)
        except FileExistsError as error:
            error.filename = str(folder.path / temporary)
            raise
        except OSError:  # no /proc
            return False
        with _temporary(folder, temporary):
            _replace(folder, temporary, name)
    return True


@contextmanager
def _temporary(folder: Opened, name: str) -> Iterator[None]:
    """Remove a temporary file if what is done with it fails."""
    try:
        yield
    except BaseException:
        _unlink(folder, name)
        raise


def _replace(folder: Opened, temporary: str, name: str) -> None:
    os.replace(folder.at(temporary), folder.at(name), src_dir_fd=folder.handle, dst_dir_fd=folder.handle)


def _flush(stream: BinaryIO, content: bytes | memoryview) -> None:
    stream.write(content)
    stream.flush()
    os.fsync(stream.fileno())


def _remove_abandoned(folder: Opened) -> None:
    """Remove temporary files of processes that were killed between the last two steps of a write: they have no lock."""
    with contextlib.suppress(OSError):  # the folder may not be listed
        for name in [entry.name for entry in folder.path.iterdir() if _ABANDONED.fullmatch(entry.name)]:
            with contextlib.suppress(OSError), open_file(folder, name) as stream:  # a link, or a file of another user
                if try_lock(stream.fileno()):
                    _unlink(folder, name)


def _unlink(folder: Opened, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(folder.at(name), dir_fd=folder.handle)


def _raise(error: OSError) -> None:
    raise error


def _is_odd(path: Path) -> bool:
    """Whether an entry is no regular file."""
    with contextlib.suppress(FileNotFoundError):  # removed meanwhile
        return not stat.S_ISREG(path.lstat().st_mode)
    return False
