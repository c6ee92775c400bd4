"""Where a dataset lies: a folder of a disk, or a prefix of an object store."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol

from synthvae import filesystem
from synthvae.errors import DatasetError

MANIFEST = "_manifest.json"
STAGING = ".incomplete"
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # a drive has one letter


class Store(Protocol):
    """What a dataset needs of the place where it lies; names are relative to it, with slashes. Can be sent elsewhere.

    Attributes:
        in_place: Whether parts grow under their final names, since moving them would copy them.
    """

    @property
    def in_place(self) -> bool:
        """Whether parts grow under their final names."""

    def read(self, name: str) -> bytes | None:
        """The content of a file, None if there is none."""

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Write a file, whole or not at all."""

    def move(self, name: str, to: str) -> None:
        """Give a file another name, if it is there."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, and folders that are empty then."""

    def names(self) -> set[str]:
        """All files, but for growing ones, and all folders without files."""

    def staged(self) -> set[str]:
        """What lies right in the folder of growing files."""

    def absent(self, names: Iterable[str]) -> list[str]:
        """Return those of the files that cannot be seen from here."""

    def clear(self) -> None:
        """Remove the folder of growing files."""

    def writing(self) -> contextlib.AbstractContextManager[None]:
        """Be the only one who writes."""

    def join(self) -> None:
        """Help the one who writes, until this process ends."""


def open_store(out: str | os.PathLike[str]) -> Store:
    """The place that a path or URI means.

    Raises:
        DatasetError: It is a file, or a URI that pyarrow does not know.
    """
    if URI.match(str(out)):
        store = ObjectStore(str(out))
        if store.scheme != "local":
            return store
        out = store.root
    if Path(out).exists() and not Path(out).is_dir():
        raise DatasetError(f"the output must be a folder, however, {out} is a file: choose another")
    return LocalStore(Path(out))


def grown(store: Store, name: str) -> str:
    """Where a file of the dataset lies until the dataset is whole."""
    return name if store.in_place else f"{STAGING}/{name}"


@dataclass(frozen=True)
class LocalStore:
    """A folder of a disk.

    Args:
        folder: The folder; made if absent.
    """

    folder: Path
    in_place: ClassVar[bool] = False

    def __str__(self) -> str:
        return str(self.folder)

    def read(self, name: str) -> bytes | None:
        """The content of a file, None if there is none."""
        try:
            return (self.folder / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Write a file, whole or not at all; of the folders above it only the last one may be absent."""
        (self.folder / name).parent.mkdir(exist_ok=True)
        filesystem.write(self.folder / name, content)

    def move(self, name: str, to: str) -> None:
        """Give a file another name, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            (self.folder / to).parent.mkdir(exist_ok=True)
            (self.folder / name).replace(self.folder / to)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, and folders that are empty then."""
        for file in [self.folder / name for name in names]:
            file.unlink(missing_ok=True)
            if file.parent != self.folder and file.parent.exists() and not any(file.parent.iterdir()):
                file.parent.rmdir()

    def names(self) -> set[str]:
        """All files, but for growing ones, and all folders without files."""
        found = [path for path in self.folder.rglob("*") if STAGING not in path.relative_to(self.folder).parts[:1]]
        there = [path for path in found if not path.is_dir() or not any(path.iterdir())]
        return {path.relative_to(self.folder).as_posix() for path in there}

    def staged(self) -> set[str]:
        """What lies right in the folder of growing files."""
        staging = self.folder / STAGING
        return {path.name for path in staging.iterdir()} if staging.is_dir() else set()

    def absent(self, names: Iterable[str]) -> list[str]:
        """Return those of the files that cannot be seen from here."""
        return [name for name in names if not (self.folder / name).exists()]

    def clear(self) -> None:
        """Remove the folder of growing files."""
        shutil.rmtree(self.folder / STAGING, ignore_errors=True)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only one who writes; a folder that was made for nothing goes again.

        Raises:
            DatasetError: Another process writes here.
        """
        made = not self.folder.exists()
        try:
            handle = filesystem.lock(self.folder)
        except BlockingIOError as error:
            raise DatasetError(
                f"a dataset is written by one run at a time, however, another one writes {self}: wait for it or choose "
                "another folder"
            ) from error
        try:
            yield
        finally:
            if made:
                with contextlib.suppress(OSError):
                    self.folder.rmdir()
            filesystem.unlock(handle)

    def join(self) -> None:
        """Help the one who writes, until this process ends."""
        filesystem.share_lock(self.folder)


@dataclass(frozen=True)
class ObjectStore:
    """A prefix of an object store, as pyarrow knows it: `s3://bucket/prefix`, `gs://bucket/prefix`.

    Credentials are those of the environment, or of the URI, which also takes `endpoint_override` and `region`
    (https://arrow.apache.org/docs/python/filesystems.html). There is no lock: a second run is refused once the first
    has left its plan there.

    Args:
        uri: The URI.
    """

    uri: str
    in_place: ClassVar[bool] = True

    @cached_property
    def _place(self) -> tuple[Any, str]:
        """The file system, and the prefix in it."""
        from pyarrow import fs

        system, path = fs.FileSystem.from_uri(self.uri)
        return system, path.rstrip("/")

    @property
    def scheme(self) -> str:
        """What pyarrow calls the kind of store."""
        return str(self._place[0].type_name)

    @property
    def root(self) -> str:
        """The prefix, the bucket first."""
        return self._place[1]

    def __str__(self) -> str:
        return f"{URI.match(self.uri)[0]}{self.root}"  # type: ignore[index]  # without credentials

    def read(self, name: str) -> bytes | None:
        """The content of an object, None if there is none."""
        system, root = self._place
        try:
            with system.open_input_stream(f"{root}/{name}") as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Write an object: it is there when the last byte was sent."""
        system, root = self._place
        with system.open_output_stream(f"{root}/{name}") as stream:
            stream.write(content)

    def move(self, name: str, to: str) -> None:
        """Copy an object, if it is there, then remove it."""
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
        """All objects, but for records of those that grow."""
        return {name for name in self._list("") if not name.startswith(f"{STAGING}/")}

    def staged(self) -> set[str]:
        """The names of those records."""
        return {name.split("/")[0] for name in self._list(f"/{STAGING}")}

    def _list(self, below: str) -> list[str]:
        from pyarrow import fs

        system, root = self._place
        found = system.get_file_info(fs.FileSelector(f"{root}{below}", recursive=True, allow_not_found=True))
        return [info.path.removeprefix(f"{root}{below}/") for info in found if info.type == fs.FileType.File]

    def absent(self, names: Iterable[str]) -> list[str]:
        """Nothing: what was sent to a bucket is there for all."""
        del names
        return []

    def clear(self) -> None:
        """Remove those records."""
        system, root = self._place
        if self.scheme == "gcs":  # there a folder is what is in it: to remove one that is not there is an error
            self.remove([f"{STAGING}/{name}" for name in self._list(f"/{STAGING}")])
            return
        with contextlib.suppress(FileNotFoundError):
            system.delete_dir(f"{root}/{STAGING}")

    def writing(self) -> contextlib.AbstractContextManager[None]:
        """Nothing keeps two runs apart but their plans."""
        return contextlib.nullcontext()

    def join(self) -> None:
        """Nothing to wait for."""
