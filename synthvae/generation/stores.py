"""The place of a dataset: a folder on a disk, or a prefix of an object store."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol

from synthvae import filesystem
from synthvae.errors import DatasetError
from synthvae.filesystem import TEMPORARY, Folder
from synthvae.tables import snapshots

MANIFEST, STAGING = snapshots.MANIFEST, snapshots.STAGING
PLAN = f"{STAGING}/plan.json"
NEW = f"{STAGING}/{MANIFEST}"
OLD = f"{STAGING}/old.json"
KEYS = "_database.yaml"  # of linked tables; readers of Parquet ignore files with an underscore
_FOLDER = r"(?!\.)[^/\\\0]+"  # of a class or of a table; never outside of the dataset
PART = re.compile(rf"({_FOLDER}/)?part-\d{{5,}}\.parquet|{re.escape(KEYS)}")
MARKS = {name.partition("/")[2] for name in (PLAN, NEW, OLD)}
# What a run writes to the folder of incomplete files besides: records, parts, and files that a kill left half-written,
# also under the names that earlier releases gave them.
_RECORD = r"part-\d{5,}\.json"
_HALF = rf"{re.escape(TEMPORARY)}[0-9a-f]{{16}}\.tmp|\.(plan|_manifest|part-\d{{5,}})\.(json|parquet)\.tmp"
_STAGED = re.compile(rf"{_RECORD}|{PART.pattern}|{_FOLDER}/|({_FOLDER}/)?({_HALF})")
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # at least two letters: one is a drive of Windows


class Store(Protocol):
    """The operations of a dataset on its place. Names are relative to it, with slashes. Can be pickled."""

    @property
    def in_place(self) -> bool:
        """Whether parts are written under their final names, since moving a file would copy it."""

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, None if there is none."""

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Write a file atomically."""

    def move(self, name: str, to: str) -> None:
        """Rename a file, if it exists."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, and folders that become empty."""

    def names(self) -> set[str]:
        """Return all files but for incomplete ones, and all folders without files, with a slash at the end."""

    def odd(self) -> set[str]:
        """Return the entries that are neither files nor folders, such as links, incomplete ones included."""

    def staged(self) -> set[str]:
        """Return the incomplete files, and folders without files, by name inside their folder."""

    def absent(self, names: Iterable[str]) -> list[str]:
        """Return those of the files that this process cannot find."""

    def clear(self) -> None:
        """Remove the folder of incomplete files."""

    def writing(self) -> contextlib.AbstractContextManager[None]:
        """Exclude other writers."""

    def join(self) -> None:
        """Share the lock of the writer until this process ends."""


def open_store(out: str | os.PathLike[str]) -> Store:
    """Return the place at a path or URI.

    Raises:
        DatasetError: It is a file, a link, or a URL with another scheme than `filesystem.DATASET_SCHEMES`.
        ArrowException: pyarrow does not support the URI.
    """
    filesystem.check_dataset_scheme(out)
    if URI.match(str(out)):
        store = ObjectStore(str(out))
        if store.scheme != "local":
            return store
        out = store.root
    if Path(out).is_symlink():
        raise DatasetError(f"The output must be a folder, got the link {out}. Name the folder that it leads to.")
    if Path(out).exists() and not Path(out).is_dir():
        raise DatasetError(f"The output must be a folder, got the file {out}. Choose another.")
    return LocalStore(Path(out))


def staged_name(store: Store, name: str) -> str:
    """Return the name of a file of the dataset until the dataset is complete."""
    return name if store.in_place else f"{STAGING}/{name}"


def is_staged(name: str) -> bool:
    """Whether a name is one that the folder of incomplete files may contain.

    Example:
        >>> is_staged("plan.json"), is_staged("part-00000.json"), is_staged("notes.txt")
        (True, True, False)
    """
    return name in MARKS or _STAGED.fullmatch(name) is not None


@dataclass(frozen=True)
class LocalStore:
    """A folder on a disk.

    Args:
        folder: The folder; created if absent.
    """

    folder: Path
    in_place: ClassVar[bool] = False

    def __str__(self) -> str:
        return str(self.folder)

    @property
    def _files(self) -> Folder:
        return Folder(self.folder)

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, None if there is none."""
        return self._files.read(name)

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Write a file atomically; of the folders above it, only the last one may be absent."""
        self._files.write(name, content)

    def move(self, name: str, to: str) -> None:
        """Rename a file, if it exists."""
        self._files.move(name, to)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, and folders that become empty."""
        for name in names:
            self._files.remove(name)

    def names(self) -> set[str]:
        """Return all files but for incomplete ones, and all folders without files, with a slash at the end."""
        return {name for name in self._files.entries() if name.partition("/")[0] != STAGING}

    def odd(self) -> set[str]:
        """Return the entries that are neither files nor folders, such as links, incomplete ones included."""
        return {name for name, is_odd in self._files.entries().items() if is_odd}

    def staged(self) -> set[str]:
        """Return the incomplete files, and folders without files, by name inside their folder."""
        return {name.partition("/")[2] for name in self._files.entries() if name.startswith(f"{STAGING}/")} - {""}

    def absent(self, names: Iterable[str]) -> list[str]:
        """Return those of the files that this process cannot find, whose folders are listed anew."""
        entries = self._files.entries()
        return [name for name in names if name not in entries]

    def clear(self) -> None:
        """Remove the folder of incomplete files, the plan last, since it marks the folder as one of this package."""
        staged = [name for name in self.staged() if is_staged(name)]
        with contextlib.suppress(OSError):  # the dataset is complete, or an error is being raised
            for name in sorted(staged, key=lambda name: (name in MARKS, name)):
                remove = self._files.remove_empty if name.endswith("/") else self._files.remove
                remove(f"{STAGING}/{name}".rstrip("/"))
            self._files.remove_empty(STAGING)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Lock the folder; remove it afterwards if it was created here and is empty.

        Raises:
            DatasetError: Another process writes to the folder.
        """
        created = not self.folder.exists()
        try:
            handle = filesystem.lock(self.folder)
        except BlockingIOError as error:
            raise DatasetError(
                f"A dataset must be written by one run at a time, got another run that writes {self}. Wait for it, or "
                "choose another folder."
            ) from error
        try:
            yield
        finally:
            if created:
                with contextlib.suppress(OSError):
                    self.folder.rmdir()
            filesystem.unlock(handle)

    def join(self) -> None:
        """Share the lock of the writer until this process ends."""
        filesystem.share_lock(self.folder)


@dataclass(frozen=True)
class ObjectStore:
    """A prefix of an object store of pyarrow: `s3://bucket/prefix`, `gs://bucket/prefix`.

    Credentials are those of the environment, or of the URI, which also accepts `endpoint_override` and `region`
    (https://arrow.apache.org/docs/python/filesystems.html). There is no lock: a second run is refused from the time at
    which the first has written its plan.

    Args:
        uri: The URI.
    """

    uri: str
    in_place: ClassVar[bool] = True

    @cached_property
    def _place(self) -> tuple[Any, str]:
        """The file system of pyarrow, and the prefix in it."""
        from pyarrow import fs

        system, path = fs.FileSystem.from_uri(self.uri)
        return system, path.rstrip("/")

    @property
    def scheme(self) -> str:
        """The name of the kind of store in pyarrow."""
        return str(self._place[0].type_name)

    @property
    def root(self) -> str:
        """The prefix, including the bucket."""
        return self._place[1]

    def __str__(self) -> str:
        return f"{URI.match(self.uri)[0]}{self.root}"  # type: ignore[index]  # without credentials

    def read(self, name: str) -> bytes | None:
        """Return the content of an object, None if there is none."""
        system, root = self._place
        try:
            with system.open_input_stream(f"{root}/{name}") as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Write an object, which exists once its last byte is sent."""
        system, root = self._place
        with system.open_output_stream(f"{root}/{name}") as stream:
            stream.write(content)

    def move(self, name: str, to: str) -> None:
        """Copy an object, if it exists, then remove it."""
        content = self.read(name)
        if content is not None:
            self.write(to, content)
            self.remove([name])

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects."""
        system, root = self._place
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                system.delete_file(f"{root}/{name}")

    def names(self) -> set[str]:
        """Return all objects but for records of incomplete parts."""
        return {name for name in self._list("") if not name.startswith(f"{STAGING}/")}

    def odd(self) -> set[str]:
        """Return nothing: an object store has no links."""
        return set()

    def staged(self) -> set[str]:
        """Return the names of records of incomplete parts."""
        return set(self._list(f"/{STAGING}"))

    def _list(self, below: str) -> list[str]:
        from pyarrow import fs

        system, root = self._place
        found = system.get_file_info(fs.FileSelector(f"{root}{below}", recursive=True, allow_not_found=True))
        return [info.path.removeprefix(f"{root}{below}/") for info in found if info.type == fs.FileType.File]

    def absent(self, names: Iterable[str]) -> list[str]:
        """Return no file: all workers see the objects of a bucket."""
        del names
        return []

    def clear(self) -> None:
        """Remove records of incomplete parts."""
        system, root = self._place
        if self.scheme == "gcs":  # has no folders: removing one that is absent is an error
            self.remove([f"{STAGING}/{name}" for name in self._list(f"/{STAGING}")])
            return
        with contextlib.suppress(FileNotFoundError):
            system.delete_dir(f"{root}/{STAGING}")

    def writing(self) -> contextlib.AbstractContextManager[None]:
        """Exclude nothing: an object store has no locks."""
        return contextlib.nullcontext()

    def join(self) -> None:
        """Do nothing: an object store has no locks."""
