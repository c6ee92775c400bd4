"""Full disks, kills and crashes: afterwards a dataset is whole, or it is not there, or it can be resumed."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from killing import PLAN, Killer
from written import FACTS, PARTS, draw, expected, filling, other, tree, write

from synthvae import filesystem
from synthvae.errors import DatasetError
from synthvae.generation import dataset, stores


@pytest.fixture
def roomy() -> Iterator[None]:
    """Sets back the size that files may have."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("roomy")
@pytest.mark.parametrize(("after", "workers"), [(0, 1), (2, 1), (2, 2)])
def test_a_full_disk_is_one_error_and_leaves_nothing(tmp_path: Path, after: int, workers: int) -> None:
    with pytest.raises(DatasetError, match="File too large") as caught:
        write(tmp_path / "out", filling(draw, after), PARTS, FACTS, workers=workers)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("roomy")
def test_a_full_disk_leaves_the_old_dataset(tmp_path: Path) -> None:
    before = expected(tmp_path)
    with pytest.raises(DatasetError):
        write(tmp_path / "undisturbed-draw", filling(other, 2), PARTS, FACTS, overwrite=True)
    assert tree(tmp_path / "undisturbed-draw") == before


def no_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    original = filesystem.Folder.write

    def refuses(folder: filesystem.Folder, name: str, content: bytes | memoryview) -> None:
        if name.endswith("_manifest.json"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(folder, name, content)

    monkeypatch.setattr(filesystem.Folder, "write", refuses)


@pytest.mark.parametrize("made", [False, True])
def test_a_disk_too_full_for_the_manifest_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, made: bool
) -> None:
    if made:
        (tmp_path / "out").mkdir()
    no_manifest(monkeypatch)
    with pytest.raises(DatasetError):
        write(tmp_path / "out", draw, PARTS, FACTS)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["out"] * made


def test_a_disk_too_full_for_the_manifest_leaves_the_old_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = expected(tmp_path)
    no_manifest(monkeypatch)
    with pytest.raises(DatasetError):
        write(tmp_path / "undisturbed-draw", other, PARTS, FACTS, overwrite=True)
    assert tree(tmp_path / "undisturbed-draw") == before


HERE = Path(__file__).parent
CHILD = """
import sys, time
sys.path.insert(0, sys.argv[1])
import written
def until_the_third(part):
    if part == 2:
        time.sleep(600)
    return written.draw(part)
written.write(sys.argv[2], until_the_third, written.PARTS, written.FACTS)
"""


def test_a_killed_run_is_resumed_to_the_same_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(HERE), str(folder)])
    second = folder / ".incomplete" / "part-00001.json"
    while not second.exists() and child.poll() is None:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert second.exists()
    assert not (folder / "_manifest.json").exists()
    write(folder, draw, PARTS, FACTS, resume=True)
    assert tree(folder) == expected(tmp_path)


def crash_at(step: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stop the process, without a last word, just before its nth change of a name on disk."""
    changes: list[str] = []

    def guard(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def changing(*args: Any, **options: Any) -> Any:
            changes.append(name)
            if len(changes) == step:
                os._exit(9)
            return original(*args, **options)

        return changing

    for name in ("replace", "unlink", "rename", "mkdir", "rmdir"):
        monkeypatch.setattr(os, name, guard(name, getattr(os, name)))
    return changes


def crashing(step: int, folder: Path, **options: Any) -> bool:
    """Write in a child that crashes at `step`; whether it did."""
    child = os.fork()
    if not child:
        crash_at(step, pytest.MonkeyPatch())
        try:
            write(folder, draw, 2, FACTS, partition_by="label", **options)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


CRASHES = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_faults, written as t
place, overwrite, step = Path(sys.argv[2]), sys.argv[3] == "True", 1
while True:
    folder = place / str(step)
    if overwrite:
        t.write(folder, t.other, 4, t.FACTS)
    if not test_faults.crashing(step, folder, overwrite=overwrite):
        break
    if (folder / "_manifest.json").exists():
        for part in t.json.loads((folder / "_manifest.json").read_text())["parts"]:
            assert t.hashlib.sha256((folder / part["file"]).read_bytes()).hexdigest() == part["sha256"], step
    t.write(folder, t.draw, 2, t.FACTS, partition_by="label", resume=True, overwrite=overwrite)
    assert t.tree(folder) == t.tree(place / "reference"), step
    step += 1
print(step)
"""


@pytest.mark.slow
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_crash_at_any_moment_leaves_what_can_be_resumed(tmp_path: Path, *, overwrite: bool) -> None:
    """With a manifest the dataset is whole; without, resuming makes it so."""
    write(tmp_path / "reference", draw, 2, FACTS, partition_by="label")
    command = [sys.executable, "-c", CRASHES, str(HERE), str(tmp_path), str(overwrite)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 15


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "kills"), [(1, 3), (2, 2)])
def test_kills_at_random_moments_lose_nothing(saved: Path, tmp_path: Path, workers: int, kills: int) -> None:
    """Few; `benchmarks/kills.py` does many."""
    killer = Killer(saved, tmp_path, workers, seed=workers)
    killer.chain(kills)
    assert killer.found["resumed: same bytes"] > 0


def _signals(number: int, part: int) -> pa.Table:
    if part == 1:
        os.kill(os.getpid(), number)
        time.sleep(60)
    return draw(part)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_is_killed_is_one_error_and_parts_are_kept(tmp_path: Path, number: int) -> None:
    with pytest.raises(DatasetError, match="--resume") as caught:
        write(tmp_path / "out", functools.partial(_signals, number), PARTS, FACTS, workers=2)
    assert "\n" not in str(caught.value)
    write(tmp_path / "out", draw, PARTS, FACTS, resume=True)
    assert tree(tmp_path / "out") == expected(tmp_path)


def _again(folder: Path, part: int) -> pa.Table:
    """Another run, while this one has the folder."""
    with pytest.raises(DatasetError, match="one run at a time"):
        write(folder, draw, PARTS, FACTS, resume=True, overwrite=True)
    return draw(part)


def test_a_second_run_is_refused_and_harms_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synthvae.filesystem.locks.LOCK_TIMEOUT", 0.1)
    write(tmp_path / "out", functools.partial(_again, tmp_path / "out"), PARTS, FACTS)
    assert tree(tmp_path / "out") == expected(tmp_path)


def test_a_reader_never_sees_a_manifest_of_what_is_not_there(tmp_path: Path) -> None:
    """Also while one dataset takes the place of another, again and again."""
    folder, seen, ended = tmp_path / "out", set[bool](), threading.Event()

    def read() -> None:
        last = False
        while not last:  # the last time when all is written
            last = ended.is_set()
            with contextlib.suppress(FileNotFoundError):
                before = (folder / "_manifest.json").stat()
                page = json.loads((folder / "_manifest.json").read_text("utf-8"))
                digests = [hashlib.sha256((folder / part["file"]).read_bytes()).hexdigest() for part in page["parts"]]
                if os.path.samestat(before, (folder / "_manifest.json").stat()):  # the dataset is the same still
                    seen.add(digests == [part["sha256"] for part in page["parts"]])

    reader = threading.Thread(target=read)
    reader.start()
    for run in range(30):
        write(folder, (draw, other)[run % 2], PARTS, {**FACTS, "run": run}, overwrite=True)
    ended.set()
    reader.join()
    assert seen == {True}


UNGUARDED = """
import functools, sys
sys.path.insert(0, sys.argv[1])
import written
print("once")
written.write(sys.argv[2], written.draw, written.PARTS, written.FACTS, workers=2)
"""


def test_a_script_that_is_not_guarded_may_use_workers(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED)
    command = [sys.executable, str(script), str(HERE), str(tmp_path / "out")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "once\n"
    assert tree(tmp_path / "out") == expected(tmp_path)


@pytest.mark.slow
def test_an_interrupt_from_the_keyboard_reaches_all_and_ends_in_one_line(saved: Path, tmp_path: Path) -> None:
    killer = Killer(saved, tmp_path, 2, seed=0)
    run = killer.begin(tmp_path / "out", start_new_session=True)
    while not (tmp_path / "out" / PLAN).exists():
        time.sleep(0.005)
    time.sleep(0.5)  # the workers are on their way
    os.killpg(run.pid, signal.SIGINT)
    message = run.communicate()[1]
    assert (run.returncode, message.count("\n")) == (130, 1)
    assert message.startswith("error: interrupted")
    assert "--resume" in message
    killer.resume(tmp_path / "out")


@pytest.mark.parametrize("looks", [1, 3])
def test_files_of_other_machines_may_be_seen_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looks: int) -> None:
    """As on NFS, whose clients believe for a while what they have seen of a folder."""
    plain, seen = stores.LocalStore.absent, []

    def late(store: stores.LocalStore, names: Iterable[str]) -> list[str]:
        seen.append(0)
        return list(names) if len(seen) <= looks else plain(store, names)

    monkeypatch.setattr(stores.LocalStore, "absent", late)
    write(tmp_path / "late", draw, PARTS, FACTS)
    assert tree(tmp_path / "late") == expected(tmp_path)
    assert len(seen) >= looks + 1


def test_files_that_stay_absent_are_an_error_that_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(dataset, "VISIBLE_WITHIN", 0.0)
        patch.setattr(stores.LocalStore, "absent", lambda _, names: list(names))
        with pytest.raises(DatasetError, match="All workers must write to one place"):
            write(tmp_path / "out", draw, PARTS, FACTS)
    write(tmp_path / "out", draw, PARTS, FACTS, resume=True)
    assert tree(tmp_path / "out") == expected(tmp_path)
