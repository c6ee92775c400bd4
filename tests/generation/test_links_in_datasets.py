"""Links, forged manifests and files of somebody else in the folder of a dataset: refused by name, nothing changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from written import FACTS, PARTS, draw, expected, failing, other, tree, write

from synthvae.errors import DatasetError, RequestError
from synthvae.generation import single_file
from synthvae.generation.request import DatasetRequest

CALLS = pytest.mark.parametrize(
    "options", [{}, {"overwrite": True}, {"resume": True}, {"resume": True, "overwrite": True}], ids=str
)


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A folder of somebody else, with files named as a dataset names its own; after each test it is as it was."""
    folder = tmp_path / "victim"
    names = ["part-00000.parquet", "_manifest.json", "plan.json", "old.json", "label=a/part-00000.parquet", "notes.txt"]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("keep", encoding="utf-8")
    yield folder
    assert tree(folder) == dict.fromkeys(names, b"keep")


def state(folder: Path) -> dict[str, str | bytes]:
    """All files and links, without following any."""
    found = [path for path in folder.rglob("*") if path.is_symlink() or path.is_file()]
    return {
        str(path.relative_to(folder)): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in found
    }


def whole(folder: Path) -> None:
    write(folder, draw, PARTS, FACTS, partition_by="label")


def broken_off(folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write(folder, failing(KeyboardInterrupt()), PARTS, FACTS, partition_by="label")


def empty(folder: Path) -> None:
    folder.mkdir()


ENTRIES = ["part-00000.parquet", "_manifest.json", ".incomplete", "label=a", "label=new", "notes.txt"]
INSIDE = [".incomplete/plan.json", ".incomplete/label=a", ".incomplete/label=new", ".incomplete/part-00001.json"]


@CALLS
@pytest.mark.parametrize("entry", [*ENTRIES, *INSIDE, ".incomplete/old.json", "label=a/part-00000.parquet"])
@pytest.mark.parametrize("begin", [empty, whole, broken_off])
@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_anywhere_in_the_folder_is_refused_by_name(
    tmp_path: Path,
    victim: Path,
    entry: str,
    begin: Callable[[Path], None],
    options: dict[str, Any],
    *,
    dangling: bool,
) -> None:
    folder = tmp_path / "out"
    begin(folder)
    link = folder / entry
    if link.is_dir():
        link.rename(tmp_path / "aside")
    link.unlink(missing_ok=True)
    link.parent.mkdir(exist_ok=True)
    target = victim / entry.rpartition("/")[2]
    link.symlink_to(tmp_path / "nothing" if dangling else target if target.exists() else victim)
    before = state(folder)
    with pytest.raises(DatasetError, match=entry.replace(".", r"\.")):
        write(folder, other, PARTS, FACTS, partition_by="label", **options)
    assert state(folder) == before
    assert not (tmp_path / "nothing").exists()


@CALLS
@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_as_output_is_refused(tmp_path: Path, victim: Path, options: dict[str, Any], *, dangling: bool) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "nothing" if dangling else victim)
    with pytest.raises(DatasetError, match="got the link"):
        write(tmp_path / "out", draw, PARTS, FACTS, **options)
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_as_single_file_is_refused(tmp_path: Path, victim: Path, suffix: str, *, dangling: bool) -> None:
    place = tmp_path / f"rows.{suffix}"
    place.symlink_to(tmp_path / "nothing" if dangling else victim / "notes.txt")
    with pytest.raises((DatasetError, RequestError), match="link"):
        single_file.write(place, DatasetRequest(draw, PARTS, FACTS, None), overwrite=True)
    assert place.is_symlink()


FORGED = ["../victim/part-00000.parquet", "/{victim}/part-00000.parquet", "x=/../../victim/part-00000.parquet"]
FORGED += ["..=/part-00000.parquet", "label=a\\..\\part-00000.parquet", "./part-00000.parquet", "notes.txt"]


@CALLS
@pytest.mark.parametrize("file", FORGED)
@pytest.mark.parametrize("page", ["_manifest.json", ".incomplete/_manifest.json", ".incomplete/old.json"])
def test_a_forged_manifest_deletes_nothing_outside(
    tmp_path: Path, victim: Path, file: str, page: str, options: dict[str, Any]
) -> None:
    folder = tmp_path / "out"
    whole(folder)
    manifest = json.loads((folder / "_manifest.json").read_bytes())
    manifest["parts"].append({**manifest["parts"][0], "file": file.format(victim=victim)})
    (folder / page).parent.mkdir(exist_ok=True)
    (folder / page).write_text(json.dumps(manifest), encoding="utf-8")
    (tmp_path / "part-00000.parquet").write_text("keep", encoding="utf-8")
    try:
        write(folder, other, PARTS, {**FACTS, "seed": 5}, partition_by="label", **options)
    except DatasetError as error:
        assert "\n" not in str(error)  # noqa: PT017 (some of them are none)
    assert (tmp_path / "part-00000.parquet").read_bytes() == b"keep"
    assert {path.name for path in tmp_path.iterdir()} == {"out", "victim", "part-00000.parquet"}


@CALLS
@pytest.mark.parametrize("page", ["_manifest.json", ".incomplete/_manifest.json", ".incomplete/old.json"])
def test_a_forged_manifest_makes_no_other_file_ours(tmp_path: Path, page: str, options: dict[str, Any]) -> None:
    folder = tmp_path / "out"
    whole(folder)
    manifest = json.loads((folder / "_manifest.json").read_bytes())
    manifest["parts"].append({**manifest["parts"][0], "file": "notes.txt"})
    (folder / page).parent.mkdir(exist_ok=True)
    (folder / page).write_text(json.dumps(manifest), encoding="utf-8")
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    before = tree(folder)
    with pytest.raises(DatasetError, match="belongs to no dataset"):
        write(folder, other, PARTS, FACTS, **options)
    assert tree(folder) == before


@pytest.mark.parametrize("file", ["../../victim/notes.txt", "plan.json"])
def test_a_forged_record_publishes_no_other_file(tmp_path: Path, victim: Path, file: str) -> None:
    folder = tmp_path / "out"
    broken_off(folder)
    record = folder / ".incomplete" / "part-00001.json"
    digest = hashlib.sha256((folder / ".incomplete" / file).read_bytes()).hexdigest()
    entry = {"file": file, "rows": 1, "bytes": 4, "sha256": digest}
    record.write_text(json.dumps([entry]), encoding="utf-8")
    write(folder, draw, PARTS, FACTS, partition_by="label", resume=True)
    assert tree(folder) == expected(tmp_path, partition_by="label")
    assert victim.exists()


@CALLS
@pytest.mark.parametrize(
    "names",
    [
        ["notes.txt"],
        ["part-00000.parquet"],  # without a plan that says whose it is
        ["label=a/part-00000.parquet"],
        ["plan.json", "notes.txt"],
        ["plan.json", "part-notes.txt"],
        ["plan.json", "label=a/notes.txt"],
        ["plan.json", "label=a/deep/part-00000.parquet"],
        ["plan.json", "a=b"],
    ],
    ids=str,
)
def test_a_folder_named_incomplete_of_somebody_else_is_left_alone(
    tmp_path: Path, names: list[str], options: dict[str, Any]
) -> None:
    for name in names:
        place = tmp_path / "out" / ".incomplete" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("mine", encoding="utf-8")
    before = tree(tmp_path)
    with pytest.raises(DatasetError, match=r"\.incomplete/.*Choose another folder"):
        write(tmp_path / "out", draw, PARTS, FACTS, **options)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", [".plan.json.tmp", ".part-00001.parquet.tmp", f".synthvae-{'a' * 16}.tmp"])
def test_what_a_kill_left_half_written_is_ours(tmp_path: Path, name: str) -> None:
    broken_off(tmp_path / "out")
    for place in (name, f"label=a/{name}"):
        (tmp_path / "out" / ".incomplete" / place).write_bytes(b"half")
    write(tmp_path / "out", draw, PARTS, FACTS, partition_by="label", resume=True)
    assert tree(tmp_path / "out") == expected(tmp_path, partition_by="label")


def test_what_is_put_into_the_folder_of_incomplete_files_during_a_run_stays(tmp_path: Path) -> None:
    def puts(part: int) -> Any:
        (tmp_path / "out" / ".incomplete" / "notes.txt").write_text("mine", encoding="utf-8")
        return draw(part)

    write(tmp_path / "out", puts, PARTS, FACTS)
    assert (tmp_path / "out" / ".incomplete" / "notes.txt").read_text() == "mine"
