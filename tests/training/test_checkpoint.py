"""The folder of a fit: of this user alone, without links, and removed only if a fit has claimed it."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from synthvae.errors import ConfigurationError, PrivacyError
from synthvae.privacy import Journal
from synthvae.training.checkpoint import Checkpoint, Snapshot, claim, remove

EITHER = (ConfigurationError, PrivacyError)


def checkpoint(folder: Path) -> None:
    opened = Checkpoint.open(folder, {}, None, 0)
    opened.save(Snapshot({"a": torch.zeros(3)}, {"done": 1}))


def journal(folder: Path) -> None:
    opened = Journal.open(folder, {}, None, 0)
    for _ in range(opened.kept + 1):
        opened.keep(lambda: [torch.zeros(3)])


both = pytest.mark.parametrize("use", [checkpoint, journal])
Use = Callable[[Path], None]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@both
@pytest.mark.parametrize("name", ["notes.txt", "model.safetensors", "deep/state-0-000000001.safetensors", "fit.yaml"])
def test_a_folder_of_somebody_else_is_refused_and_stays(tmp_path: Path, use: Use, name: str) -> None:
    (tmp_path / "kept" / name).parent.mkdir(parents=True)
    (tmp_path / "kept" / name).write_text("mine")
    with pytest.raises(EITHER, match=f"it holds '{name}', which is of no fit"):
        use(tmp_path / "kept")
    remove(tmp_path / "kept")
    with pytest.raises(EITHER), Journal.until_saved(tmp_path / "kept"):
        use(tmp_path / "kept")
    assert tree(tmp_path) == {f"kept/{name}": b"mine"}


def refused_without_claim(folder: Path) -> None:
    with Journal.until_saved(folder):
        pass


def test_a_folder_that_no_fit_has_claimed_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "notes.txt").write_text("mine")
    refused_without_claim(tmp_path / "kept")
    assert tree(tmp_path) == {"kept/notes.txt": b"mine"}


@both
def test_a_claimed_folder_is_removed_and_one_that_is_empty_is_claimed(tmp_path: Path, use: Use) -> None:
    (tmp_path / "kept").mkdir()
    use(tmp_path / "kept")
    use(tmp_path / "kept")
    remove(tmp_path / "kept")
    assert not list(tmp_path.iterdir())


@both
@pytest.mark.parametrize("claimed", [False, True])
@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_as_folder_is_refused_and_not_removed(
    tmp_path: Path, use: Use, *, claimed: bool, dangling: bool
) -> None:
    (tmp_path / "theirs").mkdir()
    if claimed:
        use(tmp_path / "theirs")
    before = tree(tmp_path)
    (tmp_path / "kept").symlink_to(tmp_path / ("nothing" if dangling else "theirs"))
    with pytest.raises(EITHER, match="it is a link"):
        use(tmp_path / "kept")
    remove(tmp_path / "kept")
    assert tree(tmp_path / "theirs") == {name.removeprefix("theirs/"): content for name, content in before.items()}
    assert (tmp_path / "kept").is_symlink()
    assert not (tmp_path / "nothing").exists()


@both
@pytest.mark.parametrize("claimed", [False, True])
@pytest.mark.parametrize(
    "name", ["fit.json", "journal.json", "ledger.json", "000001.safetensors", "state-0-000000001.safetensors", "shares"]
)
def test_a_link_in_the_folder_is_refused(tmp_path: Path, use: Use, name: str, *, claimed: bool) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "x").write_text("keep")
    (tmp_path / "kept").mkdir()
    if claimed:
        use(tmp_path / "kept")
    (tmp_path / "kept" / name).unlink(missing_ok=True)
    (tmp_path / "kept" / name).symlink_to(tmp_path / "theirs" / ("x" if "." in name else ""))
    with pytest.raises(EITHER, match=r"is a link|is of no fit"):
        use(tmp_path / "kept")
    assert tree(tmp_path / "theirs") == {"x": b"keep"}


@pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")
@both
@pytest.mark.parametrize("made", [False, True])
@pytest.mark.parametrize("umask", [0, 0o022])
def test_only_this_user_reads_what_a_fit_stores(tmp_path: Path, use: Use, umask: int, *, made: bool) -> None:
    before = os.umask(umask)
    try:
        if made:
            (tmp_path / "kept").mkdir()
        use(tmp_path / "kept")
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "kept").iterdir()}
    assert modes == {0o600}
    assert made or stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o700


def test_half_written_files_of_a_fit_that_lost_its_page_are_ours(tmp_path: Path) -> None:
    for name in (".fit.json.tmp", f".synthvae-{'a' * 16}.tmp", "state-0-000000001.safetensors", "shard-000.bin"):
        (tmp_path / name).write_bytes(b"half")
    inputs: dict[str, Any] = {}
    assert claim(tmp_path / "fit.json", inputs, 3, 0) == 3
