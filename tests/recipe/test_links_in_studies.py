"""Links in the output folder of a study: refused by name before anything is written, and nothing outside changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from studies import ALL, Page, command, contents, edited, ran, study_of_wine, without_measuring, write

from synthvae import recipe
from synthvae.errors import DatasetError, SynthvaeError


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Page:
    without_measuring(monkeypatch)
    return study_of_wine(tmp_path)


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A folder of somebody else; after each test it is as it was."""
    folder = tmp_path / "victim"
    names = ["train.parquet", "fit.json", "part-00000.parquet", "synthvae.json", "history.csv", "x"]
    folder.mkdir()
    for name in names:
        (folder / name).write_text("keep", encoding="utf-8")
    yield folder
    assert contents(folder) == dict.fromkeys(names, b"keep")


FOLDERS = ["_stages", "split", "model", "synthetic", "log"]
FILES = ["evaluation.json", "report.html"]


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("name", [*FOLDERS, *FILES])
def test_a_link_in_the_place_of_an_output_is_refused(
    tmp_path: Path, page: Page, victim: Path, name: str, *, finished: bool
) -> None:
    page = edited(page, model={**page["model"], "log_dir": "log"}, report={"html": "report.html"})
    out = tmp_path / "out"
    if finished:
        assert ran(tmp_path, page) == ALL
    (out / "_stages").mkdir(exist_ok=True, parents=True)
    if (out / name).exists():
        (out / name).rename(tmp_path / "aside")
    (out / name).symlink_to(victim if name in FOLDERS else victim / "x")
    refused = command(tmp_path, page)
    assert refused.exit_code == 1
    assert f"the link '{name}'" in refused.stderr
    assert (out / name).is_symlink()


@pytest.mark.parametrize("name", ["split/train.parquet", "synthetic/part-00000.parquet", "model/synthvae.json"])
def test_a_link_below_an_output_is_refused_or_replaced(tmp_path: Path, page: Page, victim: Path, name: str) -> None:
    assert ran(tmp_path, page) == ALL
    place = tmp_path / "out" / name
    place.unlink()
    place.symlink_to(victim / place.name)
    with pytest.raises(SynthvaeError, match=r"link|synthvae\.json|train\.parquet"):
        recipe.run(write(tmp_path, page), tmp_path / "out")
    assert place.is_symlink()


@pytest.mark.parametrize("name", ["split.json", "fit.begun", "fit.json"])
def test_a_record_that_is_a_link_is_refused(tmp_path: Path, page: Page, victim: Path, name: str) -> None:
    (tmp_path / "out" / "_stages").mkdir(parents=True)
    (tmp_path / "out" / "_stages" / name).symlink_to(victim / "x")
    with pytest.raises(DatasetError, match=f"the link '_stages/{name}'"):
        recipe.run(write(tmp_path, page), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out" / "_stages"]


@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_as_output_folder_is_refused(tmp_path: Path, page: Page, victim: Path, *, dangling: bool) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "nothing" if dangling else victim)
    with pytest.raises(DatasetError, match="it is a link"):
        recipe.run(write(tmp_path, page), tmp_path / "out")
    assert not (tmp_path / "nothing").exists()


def test_a_link_that_comes_between_two_stages_is_refused(tmp_path: Path, page: Page, victim: Path) -> None:
    def watch(stage: str) -> None:
        if stage == "generate":
            (tmp_path / "out" / "synthetic").symlink_to(victim)

    with pytest.raises(DatasetError, match="the link 'synthetic'"):
        recipe.run(write(tmp_path, page), tmp_path / "out", watch=watch)


def test_links_that_are_no_outputs_are_the_users(tmp_path: Path, page: Page, victim: Path) -> None:
    assert ran(tmp_path, page) == ALL
    (tmp_path / "out" / "notes").symlink_to(victim)
    assert ran(tmp_path, page) == []
