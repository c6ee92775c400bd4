"""A file is whole, or not there, and nothing beside it is touched."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from synthvae import filesystem
from synthvae.errors import ArtifactError, DatasetError
from synthvae.synthesizer import artifact


def test_a_neighbour_stays(tmp_path: Path) -> None:
    (tmp_path / "figures.tmp").write_text("mine", encoding="utf-8")
    filesystem.write(tmp_path / "figures.json", b"{}")
    assert {path.name for path in tmp_path.iterdir()} == {"figures.tmp", "figures.json"}
    assert (tmp_path / "figures.tmp").read_text(encoding="utf-8") == "mine"


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "figures.json"
    filesystem.write(place, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        filesystem.write(place, b"new")
    assert place.read_bytes() == b"old"


@pytest.mark.parametrize("place", ["there", "file/x.json", "file/new/x.json"])
def test_a_place_that_takes_no_file_is_refused_before_the_work(tmp_path: Path, place: str) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"cannot be written .*\. Choose another"):
        filesystem.check_writable(tmp_path / place)
    filesystem.check_writable(tmp_path / "new" / "folder" / "x.json")
    assert {path.name for path in tmp_path.iterdir()} == {"there", "file"}


posix = pytest.mark.skipif(sys.platform == "win32", reason="handles and modes of POSIX")


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A folder of somebody else: after each test it is as it was."""
    folder = tmp_path / "victim"
    (folder / "inside").mkdir(parents=True)
    for name in ("x.json", "inside/x.json"):
        (folder / name).write_text("keep", encoding="utf-8")
    yield folder
    files = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert files == {"x.json": "keep", "inside/x.json": "keep"}


USES: dict[str, Callable[[filesystem.Folder, str], object]] = {
    "read": lambda folder, name: folder.read(name),
    "write": lambda folder, name: folder.write(name, b"new"),
    "append": lambda folder, name: folder.append(name, b"new"),
    "move": lambda folder, name: folder.move(name, "moved.json"),
    "move to": lambda folder, name: folder.move("mine.json", name),
    "remove": lambda folder, name: folder.remove(name),
    "create": lambda folder, name: folder.create(name).close(),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("way", ["root", "above", "deep above"])
def test_no_use_of_a_folder_follows_a_link_on_the_way(tmp_path: Path, victim: Path, use: str, way: str) -> None:
    (tmp_path / "out" / "deep").mkdir(parents=True)
    (tmp_path / "out" / "mine.json").write_text("mine", encoding="utf-8")
    (tmp_path / "out" / "above").symlink_to(victim)
    (tmp_path / "out" / "deep" / "above").symlink_to(victim)
    (tmp_path / "link").symlink_to(tmp_path / "out" if use == "move to" else victim)
    root, name = {"root": ("link", "x.json"), "above": ("out", "above/x.json")}.get(way, ("out", "deep/above/x.json"))
    with pytest.raises(OSError, match="it is a link"):
        USES[use](filesystem.Folder(tmp_path / root), name)
    assert (tmp_path / "out" / "mine.json").read_text() == "mine"


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("target", ["x.json", "nothing"])
def test_no_use_of_a_folder_follows_a_link_that_is_the_entry(
    tmp_path: Path, victim: Path, use: str, target: str
) -> None:
    """It is refused, or is itself replaced, moved or removed."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.json").write_text("mine", encoding="utf-8")
    (tmp_path / "out" / "x.json").symlink_to(victim / target)
    with contextlib.suppress(OSError):
        USES[use](filesystem.Folder(tmp_path / "out"), "x.json")
        assert use not in {"read", "append"}
    assert not (victim / "nothing").exists()


@pytest.mark.parametrize("name", ["../victim/x.json", "a/../../victim/x.json", "/etc/passwd", "a//b", "", ".", "a/."])
@pytest.mark.parametrize("use", USES)
def test_no_name_leads_out_of_a_folder(tmp_path: Path, victim: Path, use: str, name: str) -> None:
    (tmp_path / "out" / "a").mkdir(parents=True)
    (tmp_path / "out" / "mine.json").write_text("mine", encoding="utf-8")
    with pytest.raises(OSError, match="must be inside"):
        USES[use](filesystem.Folder(tmp_path / "out"), name)
    assert victim.exists()


@pytest.mark.parametrize("link", ["hard", "symbolic"])
def test_a_temporary_file_takes_no_name_that_is_there(
    tmp_path: Path, victim: Path, monkeypatch: pytest.MonkeyPatch, link: str
) -> None:
    """Not even if somebody could foresee its random name."""
    monkeypatch.setattr("secrets.token_hex", lambda _: "0" * 16)
    temporary = tmp_path / f"{filesystem.TEMPORARY}{'0' * 16}.tmp"
    (temporary.symlink_to if link == "symbolic" else temporary.hardlink_to)(victim / "x.json")
    with pytest.raises(OSError, match=r"exists|it is a link"):
        filesystem.write(tmp_path / "figures.json", b"{}")
    assert not (tmp_path / "figures.json").exists()
    assert os.path.lexists(temporary)


def test_names_of_temporary_files_are_random_and_of_one_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[str]] = []
    monkeypatch.setattr("os.fsync", lambda _: seen.append({path.name for path in tmp_path.iterdir()}))
    for name in ("a.json", "b" * 250):  # whose name could not be any longer
        filesystem.write(tmp_path / name, b"{}")
    first, second = (next(name for name in names if name.startswith(filesystem.TEMPORARY)) for names in seen)
    assert first != second
    assert len(first) == len(second)
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", "b" * 250}


@posix
@pytest.mark.parametrize(
    ("umask", "public", "private"), [(0, 0o666, 0o600), (0o022, 0o644, 0o600), (0o77, 0o600, 0o600)]
)
def test_permissions_follow_the_umask_but_private_files_are_of_one_user(
    tmp_path: Path, umask: int, public: int, private: int
) -> None:
    before = os.umask(umask)
    try:
        filesystem.write(tmp_path / "a", b"")
        filesystem.export(tmp_path / "b", b"")
        filesystem.Folder(tmp_path).append("c", b"")
        filesystem.Folder(tmp_path, private=True).write("new/d", b"")
        filesystem.Folder(tmp_path, private=True).create("e").close()
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"a": public, "b": public, "c": public, "e": private, "new": 0o700}
    assert (tmp_path / "new" / "d").stat().st_mode & 0o777 == private


@pytest.mark.parametrize("target", ["victim/x.json", "nothing"])
@pytest.mark.parametrize("write", [filesystem.check_writable, lambda path: filesystem.export(path, b"new")])
def test_an_output_that_is_a_link_is_refused(
    tmp_path: Path, victim: Path, target: str, write: Callable[[Path], None]
) -> None:
    assert victim.exists()
    (tmp_path / "figures.json").symlink_to(tmp_path / target)
    with pytest.raises(DatasetError, match="it is a link"):
        write(tmp_path / "figures.json")
    assert (tmp_path / "figures.json").is_symlink()
    assert not (tmp_path / "nothing").exists()


def test_a_folder_above_an_output_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    filesystem.export(tmp_path / "link" / "figures.json", b"{}")
    assert (tmp_path / "real" / "figures.json").read_bytes() == b"{}"


@pytest.mark.parametrize("below", ["", "model", "a/b"])
def test_a_link_to_nothing_is_refused_before_long_work(tmp_path: Path, below: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    place = tmp_path / "link" / below if below else tmp_path / "link"
    reason = "link is a link to something that does not exist" if below else "it is a link, which is not followed"
    with pytest.raises(DatasetError, match=reason):
        filesystem.check_writable(place)
    with pytest.raises(ArtifactError, match=reason):
        artifact.check_place(place)
    assert not (tmp_path / "nothing").exists()
