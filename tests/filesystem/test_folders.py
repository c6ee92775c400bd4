"""A file is whole, or not there, and nothing beside it is touched."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from synthvae import filesystem
from synthvae.errors import ArtifactError, DatasetError
from synthvae.filesystem import folders
from synthvae.synthesizer import artifact


def test_a_neighbour_stays(tmp_path: Path) -> None:
    (tmp_path / "figures.tmp").write_text("mine", encoding="utf-8")
    filesystem.write(tmp_path / "figures.json", b"{}")
    assert {path.name for path in tmp_path.iterdir()} == {"figures.tmp", "figures.json"}
    assert (tmp_path / "figures.tmp").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("place", ["there", "file/x.json", "file/new/x.json"])
def test_a_place_that_takes_no_file_is_refused_before_the_work(tmp_path: Path, place: str) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"cannot be written .*\. Choose another"):
        filesystem.check_writable(tmp_path / place)
    filesystem.check_writable(tmp_path / "new" / "folder" / "x.json")
    assert {path.name for path in tmp_path.iterdir()} == {"there", "file"}


@pytest.fixture(params=["unnamed", "named", "no proc"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How a file is written that is not complete yet; file systems such as NFS have no files without a name."""

    plain = os.link

    def link(source: str, *to: Any, **options: Any) -> None:
        if str(source).startswith("/proc/"):
            raise FileNotFoundError(errno.ENOENT, "no /proc")
        plain(source, *to, **options)

    if request.param == "named":
        monkeypatch.setattr(folders, "_UNNAMED", 0)
    if request.param == "no proc":
        monkeypatch.setattr("os.link", link)
    return str(request.param)


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


@pytest.mark.usefixtures("way")
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


def test_a_file_is_replaced_at_once(tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.json").write_text("old", encoding="utf-8")
    filesystem.write(tmp_path / "x.json", b"new")
    assert (tmp_path / "x.json").read_text() == "new"
    for name in ("os.fsync", "os.replace"):
        with monkeypatch.context() as patch:
            patch.setattr(name, _full)
            with pytest.raises(OSError, match="full"):
                filesystem.write(tmp_path / "x.json", b"newer")
        assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"x.json": "new"}, way


def _full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "full")


@pytest.mark.skipif(not folders._UNNAMED, reason="files without a name")
def test_a_process_that_is_killed_while_it_writes_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import os,signal,synthvae.filesystem as f,pathlib\nos.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    code += f"f.write(pathlib.Path({str(tmp_path / 'x.json')!r}), b'new')"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not folders._UNNAMED, reason="files without a name")
def test_the_next_write_removes_what_a_kill_left(tmp_path: Path) -> None:
    """A process that is killed between the last two steps leaves a name; one that is still at work keeps its own."""
    code = "import os,signal,sys,time,pathlib,synthvae.filesystem as f\n"
    code += "stop = {'kill': lambda *a, **k: os.kill(os.getpid(), 9), 'wait': lambda *a, **k: time.sleep(100)}\n"
    code += "os.replace = stop[sys.argv[1]]\n"
    code += f"f.write(pathlib.Path({str(tmp_path / 'x.json')!r}), b'new')"
    assert subprocess.run([sys.executable, "-c", code, "kill"], check=False).returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    with subprocess.Popen([sys.executable, "-c", code, "wait"]) as at_work, _killed(at_work):
        while len(list(tmp_path.iterdir())) < 2:
            assert at_work.poll() is None
        (other,) = set(tmp_path.iterdir()) - {left}
        assert other.read_bytes() == b"new"
        (tmp_path / f"{filesystem.TEMPORARY}notes").write_text("mine", encoding="utf-8")
        (tmp_path / f"{filesystem.TEMPORARY}{'0' * 16}.tmp").symlink_to(left)  # a link stays, and hinders nothing
        filesystem.write(tmp_path / "y.json", b"{}")
        assert {path.name for path in tmp_path.iterdir()} == {
            *("y.json", other.name, f"{filesystem.TEMPORARY}notes", f"{filesystem.TEMPORARY}{'0' * 16}.tmp")
        }


@contextlib.contextmanager
def _killed(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.kill()


def test_names_of_temporary_files_are_random_and_of_one_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[str]] = []
    monkeypatch.setattr(folders, "_UNNAMED", 0)
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
