"""A file is whole, or not there, and nothing beside it is touched."""

from __future__ import annotations

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


@pytest.mark.parametrize("below", ["", "model", "a/b"])
def test_a_link_to_nothing_is_refused_before_long_work(tmp_path: Path, below: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    place = tmp_path / "link" / below if below else tmp_path / "link"
    with pytest.raises(DatasetError, match="link is a link to something that does not exist"):
        filesystem.check_writable(place)
    with pytest.raises(ArtifactError, match="link is a link to something that does not exist"):
        artifact.check_place(place)
    assert not (tmp_path / "nothing").exists()
