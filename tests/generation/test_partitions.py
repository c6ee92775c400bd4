"""Names of folders: labels stay inside and come back; what is not ours is left alone."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written import FACTS, PARTS, assert_whole, draw, expected, other, tree, write

from synthvae.errors import DatasetError
from synthvae.generation import partitions

# Labels that a reader must not take for numbers or for nothing: those types it infers from names of folders.
labels = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12).map(lambda text: f"l{text}")


@settings(max_examples=40, deadline=None)
@given(st.lists(labels, min_size=1, max_size=5, unique=True))
def test_any_label_stays_inside_the_folder_and_comes_back(names: list[str]) -> None:
    with TemporaryDirectory() as name:
        place = Path(name)
        table = pa.table({"y": names, "x": range(len(names))})
        write(place / "out", lambda _: table, 1, FACTS, partition_by="y")
        assert [path.name for path in place.iterdir()] == ["out"]
        assert all(path.is_file() == (path.name == "_manifest.json") for path in (place / "out").iterdir())
        read = pd.read_parquet(place / "out").sort_values("x")
        assert read["y"].astype(str).tolist() == names


ODD = ["/", "..", ".", "../../x", "a b", "100%", "%2F", "é日", "=", "x\\y", "_x", ".x", "~", "", "\0", "C:", "n" * 190]


@pytest.mark.parametrize("label", ODD)
def test_odd_labels_stay_inside_the_folder_and_come_back(tmp_path: Path, label: str) -> None:
    table = pa.table({"y": [label, "plain"], "x": [0, 1]})
    write(tmp_path / "out", lambda _: table, 1, FACTS, partition_by="y")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert_whole(tmp_path / "out")
    assert dict(pd.read_parquet(tmp_path / "out")[["x", "y"]].astype({"y": object}).to_numpy().tolist()) == {
        0: label,
        1: "plain",
    }


@pytest.mark.parametrize("column", ["y y", "é", "a/b", "..", "_y", ".y", "100%", "a=b"])
def test_odd_columns_stay_inside_the_folder_and_come_back(tmp_path: Path, column: str) -> None:
    table = pa.table({column: ["a", "b"], "x": [0, 1]})
    write(tmp_path / "out", lambda _: table, 1, FACTS, partition_by=column)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    read = pd.read_parquet(tmp_path / "out")
    assert set(read.columns) == {column, "x"}
    assert sorted(read[column].astype(str)) == ["a", "b"]


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
        write(tmp_path / "out", draw, PARTS, FACTS, **options)
    assert tree(tmp_path / "out") == {name: b"mine"}
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["notes.txt", "sub/notes.txt"])
def test_foreign_files_beside_a_dataset_survive_overwriting(tmp_path: Path, name: str) -> None:
    before = expected(tmp_path)
    mine = tmp_path / "undisturbed-draw" / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    with pytest.raises(DatasetError):
        write(tmp_path / "undisturbed-draw", other, PARTS, FACTS, overwrite=True)
    assert tree(tmp_path / "undisturbed-draw") == {**before, name: b"mine"}


@anyhow
def test_a_path_that_is_a_file_is_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(DatasetError, match="file"):
        write(tmp_path / "out", draw, PARTS, FACTS, **options)
    assert (tmp_path / "out").read_text() == "mine"


def test_a_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DatasetError):
        write(tmp_path / "file" / "out", draw, PARTS, FACTS)


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        (["A", "a"], "case"),
        (["x", ""], "1 to 255"),
        (["n" * 300], "1 to 255"),
        (["é" * 50], "1 to 255"),
        (["1", "01"], "as numbers"),
    ],
)
def test_labels_that_no_folder_gives_back_are_refused(labels: list[str], why: str) -> None:
    with pytest.raises(DatasetError, match=why):
        partitions.check_labels("y", labels)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=80), min_size=1, max_size=6, unique=True))
def test_labels_that_pass_never_leave_the_folder_nor_meet(names: list[str]) -> None:
    try:
        partitions.check_labels("y", names)
    except DatasetError:
        return
    with TemporaryDirectory() as name:
        place = Path(name)
        table = pa.table({"y": names, "x": range(len(names))})
        write(place / "out", lambda _: table, 1, FACTS, partition_by="y")
        assert_whole(place / "out")
        assert [path.name for path in place.iterdir()] == ["out"]
        folders = {path.name.lower() for path in (place / "out").iterdir() if path.is_dir()}
        assert len(folders) == len(names)


@pytest.mark.parametrize("file", ["../mine", "/mine", "y=a/../../mine", "part-00000.parquet\0", 3, None])
def test_a_manifest_that_points_elsewhere_is_none_of_ours(tmp_path: Path, file: Any) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "out").mkdir()
    page = {"plan": "p", "parts": [{"file": file}]}
    (tmp_path / "out" / "_manifest.json").write_text(json.dumps(page))
    with pytest.raises(DatasetError, match="Choose another"):
        write(tmp_path / "out", draw, PARTS, FACTS, overwrite=True, resume=True)
    assert (tmp_path / "mine").read_text() == "mine"
