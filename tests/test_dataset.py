"""A dataset is whole or it is not there: interrupts, kills, full disks and foreign folders."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthvae import atomic, dataset
from synthvae.errors import DatasetError

PARTS = 5
FACTS: dict[str, Any] = {"format": 1, "seed": 3}
Draw = Callable[[int], pa.Table]


def draw(part: int) -> pa.Table:
    rows = np.arange(20) + 20 * part
    return pa.table({"x": rows, "label": [("a", "b/c")[row % 2] for row in rows.tolist()]})


def other(part: int) -> pa.Table:
    return draw(part + 100)


def failing(error: BaseException, at: int = 3, rows: Draw = draw) -> Draw:
    def fails(part: int) -> pa.Table:
        if part == at:
            raise error
        return rows(part)

    return fails


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def expected(tmp_path: Path, rows: Draw = draw, **options: Any) -> dict[str, bytes]:
    """The files of a run that nothing disturbed."""
    folder = tmp_path / f"undisturbed-{rows.__name__}"
    dataset.write(folder, rows, PARTS, FACTS, **options)
    return tree(folder)


def assert_whole(folder: Path) -> None:
    """All that the manifest names is there, with the bytes that it names, and nothing besides."""
    manifest = json.loads((folder / "_manifest.json").read_text("utf-8"))
    files = tree(folder)
    assert set(files) == {"_manifest.json", *(part["file"] for part in manifest["parts"])}
    for part in manifest["parts"]:
        assert hashlib.sha256(files[part["file"]]).hexdigest() == part["sha256"]
        assert pq.ParquetFile(folder / part["file"]).metadata.num_rows == part["rows"]


both = pytest.mark.parametrize("options", [{}, {"partition_by": "label"}], ids=["flat", "partitioned"])


@both
@pytest.mark.parametrize("workers", [1, 3])
def test_a_dataset_is_whole_and_reads_back(tmp_path: Path, options: dict[str, Any], workers: int) -> None:
    manifest = dataset.write(tmp_path / "a" / "b", draw, PARTS, FACTS, workers=workers, **options)
    assert_whole(tmp_path / "a" / "b")
    assert json.loads((tmp_path / "a" / "b" / "_manifest.json").read_text("utf-8")) == manifest
    assert {**manifest, **FACTS} == manifest
    read = pd.read_parquet(tmp_path / "a" / "b")
    everything = pa.concat_tables(map(draw, range(PARTS))).to_pandas()
    assert sorted(zip(read["x"], read["label"].astype(str), strict=True)) == list(everything.itertuples(index=False))


def test_the_rows_of_each_part_are_reported(tmp_path: Path) -> None:
    reported: list[int] = []
    dataset.write(tmp_path / "out", draw, PARTS, FACTS, progress=reported.append)
    assert reported == [20] * PARTS


def test_there_is_no_manifest_before_the_last_part(tmp_path: Path) -> None:
    def looks(part: int) -> pa.Table:
        assert not (tmp_path / "out" / "_manifest.json").exists()
        assert not list((tmp_path / "out").glob("*.parquet"))
        return draw(part)

    dataset.write(tmp_path / "out", looks, PARTS, FACTS)
    assert_whole(tmp_path / "out")


# Labels that a reader must not take for numbers or for nothing: those types it infers from names of folders.
labels = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12).map(lambda text: f"l{text}")


@settings(max_examples=40, deadline=None)
@given(st.lists(labels, min_size=1, max_size=5, unique=True))
def test_any_label_stays_inside_the_folder_and_comes_back(names: list[str]) -> None:
    with TemporaryDirectory() as name:
        place = Path(name)
        table = pa.table({"y": names, "x": range(len(names))})
        dataset.write(place / "out", lambda _: table, 1, FACTS, partition_by="y")
        assert [path.name for path in place.iterdir()] == ["out"]
        assert all(path.is_file() == (path.name == "_manifest.json") for path in (place / "out").iterdir())
        read = pd.read_parquet(place / "out").sort_values("x")
        assert read["y"].astype(str).tolist() == names


ODD = ["/", "..", ".", "../../x", "a b", "100%", "%2F", "é日", "=", "x\\y", "_x", ".x", "~", ""]


@pytest.mark.parametrize("label", ODD)
def test_odd_labels_stay_inside_the_folder_and_come_back(tmp_path: Path, label: str) -> None:
    table = pa.table({"y": [label, "plain"], "x": [0, 1]})
    dataset.write(tmp_path / "out", lambda _: table, 1, FACTS, partition_by="y")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert_whole(tmp_path / "out")
    assert dict(pd.read_parquet(tmp_path / "out")[["x", "y"]].astype({"y": str}).to_numpy().tolist()) == {
        0: label,
        1: "plain",
    }


@pytest.mark.parametrize("column", ["y y", "é", "a/b", "..", "_y", ".y", "100%", "a=b"])
def test_odd_columns_stay_inside_the_folder_and_come_back(tmp_path: Path, column: str) -> None:
    table = pa.table({column: ["a", "b"], "x": [0, 1]})
    dataset.write(tmp_path / "out", lambda _: table, 1, FACTS, partition_by=column)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    read = pd.read_parquet(tmp_path / "out")
    assert set(read.columns) == {column, "x"}
    assert sorted(read[column].astype(str)) == ["a", "b"]


@pytest.mark.parametrize("options", [{}, {"resume": True}])
def test_a_dataset_is_not_overwritten_unasked(tmp_path: Path, options: dict[str, Any]) -> None:
    before = expected(tmp_path)
    with pytest.raises(DatasetError, match="--overwrite"):
        dataset.write(tmp_path / "undisturbed-draw", other, PARTS, {**FACTS, "seed": 99}, **options)
    assert tree(tmp_path / "undisturbed-draw") == before


def test_resuming_what_is_whole_does_nothing(tmp_path: Path) -> None:
    before = expected(tmp_path)
    manifest = dataset.write(tmp_path / "undisturbed-draw", other, PARTS, FACTS, resume=True)
    assert tree(tmp_path / "undisturbed-draw") == before
    assert manifest["parts"] == json.loads(before["_manifest.json"])["parts"]


@both
def test_overwriting_replaces_a_dataset(tmp_path: Path, options: dict[str, Any]) -> None:
    dataset.write(tmp_path / "out", draw, PARTS + 2, FACTS)
    dataset.write(tmp_path / "out", other, PARTS, FACTS, overwrite=True, **options)
    assert tree(tmp_path / "out") == expected(tmp_path, other, **options)


anyhow = pytest.mark.parametrize(
    "options", [{}, {"overwrite": True}, {"resume": True}, {"overwrite": True, "resume": True}], ids=str
)


@anyhow
@pytest.mark.parametrize("name", ["notes.txt", "sub/notes.txt", "part-00000.parquet", "part-of-me.parquet", ".hidden"])
def test_a_folder_of_foreign_files_is_refused(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    mine = tmp_path / "out" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(DatasetError) as caught:
        dataset.write(tmp_path / "out", draw, PARTS, FACTS, **options)
    assert tree(tmp_path / "out") == {name: b"mine"}
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["notes.txt", "sub/notes.txt"])
def test_foreign_files_beside_a_dataset_survive_overwriting(tmp_path: Path, name: str) -> None:
    before = expected(tmp_path)
    mine = tmp_path / "undisturbed-draw" / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    with pytest.raises(DatasetError):
        dataset.write(tmp_path / "undisturbed-draw", other, PARTS, FACTS, overwrite=True)
    assert tree(tmp_path / "undisturbed-draw") == {**before, name: b"mine"}


@anyhow
def test_a_path_that_is_a_file_is_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(DatasetError, match="file"):
        dataset.write(tmp_path / "out", draw, PARTS, FACTS, **options)
    assert (tmp_path / "out").read_text() == "mine"


def test_a_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DatasetError):
        dataset.write(tmp_path / "file" / "out", draw, PARTS, FACTS)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("made", [False, True])
def test_a_failure_leaves_nothing(tmp_path: Path, workers: int, *, made: bool) -> None:
    if made:
        (tmp_path / "out").mkdir()
    with pytest.raises(ZeroDivisionError):
        dataset.write(tmp_path / "out", failing(ZeroDivisionError()), PARTS, FACTS, workers=workers)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["out"] * made


@pytest.mark.parametrize("error", [ZeroDivisionError(), OSError(errno.EIO, "broken"), KeyboardInterrupt()], ids=repr)
def test_a_failing_overwrite_leaves_the_old_dataset(tmp_path: Path, error: BaseException) -> None:
    before = expected(tmp_path)
    kinds = (ZeroDivisionError, DatasetError, KeyboardInterrupt)
    with pytest.raises(kinds):
        dataset.write(tmp_path / "undisturbed-draw", failing(error, rows=other), PARTS, FACTS, overwrite=True)
    after = tree(tmp_path / "undisturbed-draw")
    assert {name: after[name] for name in before} == before
    assert len(pd.read_parquet(tmp_path / "undisturbed-draw")) == 20 * PARTS


@both
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("at", [0, 3])
def test_an_interrupted_run_is_resumed_to_the_same_bytes(
    tmp_path: Path, options: dict[str, Any], workers: int, at: int
) -> None:
    folder, drawn = tmp_path / "out", []
    with pytest.raises(KeyboardInterrupt):
        dataset.write(folder, failing(KeyboardInterrupt(), at), PARTS, FACTS, **options)
    assert not (folder / "_manifest.json").exists()
    with pytest.raises(DatasetError, match="--resume"):
        dataset.write(folder, draw, PARTS, FACTS, **options)
    finished = {int(path.stem.removeprefix("part-")) for path in (folder / ".incomplete").glob("part-*.json")}

    def counting(part: int) -> pa.Table:
        drawn.append(part)
        return draw(part)

    dataset.write(folder, counting, PARTS, FACTS, resume=True, workers=workers, **options)
    assert tree(folder) == expected(tmp_path, **options)
    assert finished >= set(range(at))
    assert sorted(drawn) == sorted(set(range(PARTS)) - finished)


def test_resuming_where_nothing_was_begun_begins(tmp_path: Path) -> None:
    dataset.write(tmp_path / "out", draw, PARTS, FACTS, resume=True)
    assert tree(tmp_path / "out") == expected(tmp_path)


def interrupted(folder: Path) -> dict[str, bytes]:
    with pytest.raises(KeyboardInterrupt):
        dataset.write(folder, failing(KeyboardInterrupt()), PARTS, FACTS)
    return tree(folder)


@pytest.mark.parametrize(
    ("facts", "parts", "options"),
    [({"format": 1, "seed": 4}, PARTS, {}), (FACTS, PARTS + 1, {}), (FACTS, PARTS, {"partition_by": "label"})],
    ids=["seed", "parts", "partition"],
)
def test_another_request_does_not_resume(
    tmp_path: Path, facts: dict[str, Any], parts: int, options: dict[str, Any]
) -> None:
    before = interrupted(tmp_path / "out")
    with pytest.raises(DatasetError, match="same model, request and seed"):
        dataset.write(tmp_path / "out", draw, parts, facts, resume=True, **options)
    assert tree(tmp_path / "out") == before


def test_an_interrupted_run_is_overwritten_when_asked(tmp_path: Path) -> None:
    interrupted(tmp_path / "out")
    dataset.write(tmp_path / "out", other, PARTS, {**FACTS, "seed": 4}, overwrite=True)
    assert_whole(tmp_path / "out")
    assert pd.read_parquet(tmp_path / "out")["x"].min() == 2000


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("harm", [flip, empty, Path.unlink])
@pytest.mark.parametrize("suffix", ["parquet", "json"])
def test_a_harmed_part_is_drawn_again(tmp_path: Path, suffix: str, harm: Callable[[Path], None]) -> None:
    interrupted(tmp_path / "out")
    harm(tmp_path / "out" / ".incomplete" / f"part-00001.{suffix}")
    dataset.write(tmp_path / "out", draw, PARTS, FACTS, resume=True)
    assert tree(tmp_path / "out") == expected(tmp_path)


def full_disk(after: int) -> Callable[..., Any]:
    """`pq.write_table` on a disk that is full after some files."""
    written: list[Any] = []
    original = pq.write_table

    def write_table(table: pa.Table, where: Any, **options: Any) -> None:
        written.append(where)
        if len(written) > after:
            Path(where).write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(table, where, **options)

    return write_table


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("after", [0, 2])
def test_a_full_disk_is_one_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int, workers: int
) -> None:
    monkeypatch.setattr("pyarrow.parquet.write_table", full_disk(after))
    with pytest.raises(DatasetError, match="No space left") as caught:
        dataset.write(tmp_path / "out", draw, PARTS, FACTS, workers=workers)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_old_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = expected(tmp_path)
    monkeypatch.setattr("pyarrow.parquet.write_table", full_disk(2))
    with pytest.raises(DatasetError):
        dataset.write(tmp_path / "undisturbed-draw", other, PARTS, FACTS, overwrite=True)
    assert tree(tmp_path / "undisturbed-draw") == before


def no_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    original = atomic.write

    def refuses(path: Path, content: bytes) -> None:
        if path.name == "_manifest.json":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(path, content)

    monkeypatch.setattr(atomic, "write", refuses)


@pytest.mark.parametrize("made", [False, True])
def test_a_disk_too_full_for_the_manifest_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, made: bool
) -> None:
    if made:
        (tmp_path / "out").mkdir()
    no_manifest(monkeypatch)
    with pytest.raises(DatasetError):
        dataset.write(tmp_path / "out", draw, PARTS, FACTS)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["out"] * made


def test_a_disk_too_full_for_the_manifest_leaves_the_old_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = expected(tmp_path)
    no_manifest(monkeypatch)
    with pytest.raises(DatasetError):
        dataset.write(tmp_path / "undisturbed-draw", other, PARTS, FACTS, overwrite=True)
    assert tree(tmp_path / "undisturbed-draw") == before


HERE = Path(__file__).parent
CHILD = """
import sys, time
sys.path.insert(0, sys.argv[1])
import test_dataset
def slow(part):
    time.sleep(0.15)
    return test_dataset.draw(part)
test_dataset.dataset.write(sys.argv[2], slow, test_dataset.PARTS, test_dataset.FACTS)
"""


def test_a_killed_run_is_resumed_to_the_same_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(HERE), str(folder)])
    second, deadline = folder / ".incomplete" / "part-00001.json", time.monotonic() + 60
    while not second.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert second.exists()
    assert not (folder / "_manifest.json").exists()
    dataset.write(folder, draw, PARTS, FACTS, resume=True)
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

    for name in ("replace", "unlink", "rename", "mkdir"):
        monkeypatch.setattr(Path, name, guard(name, getattr(Path, name)))
    monkeypatch.setattr(shutil, "rmtree", guard("rmtree", shutil.rmtree))
    return changes


def crashing(step: int, folder: Path, **options: Any) -> bool:
    """Write in a child that crashes at `step`; whether it did."""
    child = os.fork()
    if not child:
        crash_at(step, pytest.MonkeyPatch())
        try:
            dataset.write(folder, draw, 2, FACTS, partition_by="label", **options)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


CRASHES = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_dataset as t
place, overwrite, step = Path(sys.argv[2]), sys.argv[3] == "True", 1
while True:
    folder = place / str(step)
    if overwrite:
        t.dataset.write(folder, t.other, 4, t.FACTS)
    if not t.crashing(step, folder, overwrite=overwrite):
        break
    if (folder / "_manifest.json").exists():
        for part in t.json.loads((folder / "_manifest.json").read_text())["parts"]:
            assert t.hashlib.sha256((folder / part["file"]).read_bytes()).hexdigest() == part["sha256"], step
    t.dataset.write(folder, t.draw, 2, t.FACTS, partition_by="label", resume=True, overwrite=overwrite)
    assert t.tree(folder) == t.tree(place / "reference"), step
    step += 1
print(step)
"""


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_crash_at_any_moment_leaves_what_can_be_resumed(tmp_path: Path, *, overwrite: bool) -> None:
    """With a manifest the dataset is whole; without, resuming makes it so."""
    dataset.write(tmp_path / "reference", draw, 2, FACTS, partition_by="label")
    command = [sys.executable, "-c", CRASHES, str(HERE), str(tmp_path), str(overwrite)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 15
