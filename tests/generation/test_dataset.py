"""A dataset is whole and reads back; interrupted, it is resumed to the same bytes."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from written import FACTS, PARTS, assert_whole, draw, expected, failing, noting, other, tree, write

from synthvae.errors import DatasetError

both = pytest.mark.parametrize("options", [{}, {"partition_by": "label"}], ids=["flat", "partitioned"])


@both
@pytest.mark.parametrize("workers", [1, 2])
def test_a_dataset_is_whole_and_reads_back(tmp_path: Path, options: dict[str, Any], workers: int) -> None:
    manifest = write(tmp_path / "a" / "b", draw, PARTS, FACTS, workers=workers, **options)
    assert_whole(tmp_path / "a" / "b")
    assert json.loads((tmp_path / "a" / "b" / "_manifest.json").read_text("utf-8")) == manifest
    assert {**manifest, **FACTS} == manifest
    read = pd.read_parquet(tmp_path / "a" / "b")
    everything = pa.concat_tables(map(draw, range(PARTS))).to_pandas()
    assert sorted(zip(read["x"], read["label"].astype(str), strict=True)) == list(everything.itertuples(index=False))


def test_the_rows_of_each_part_are_reported(tmp_path: Path) -> None:
    reported: list[int] = []
    write(tmp_path / "out", draw, PARTS, FACTS, progress=reported.append)
    assert reported == [20] * PARTS


def test_there_is_no_manifest_before_the_last_part(tmp_path: Path) -> None:
    def looks(part: int) -> pa.Table:
        assert not (tmp_path / "out" / "_manifest.json").exists()
        assert not list((tmp_path / "out").glob("*.parquet"))
        return draw(part)

    write(tmp_path / "out", looks, PARTS, FACTS)
    assert_whole(tmp_path / "out")


@pytest.mark.parametrize("options", [{}, {"resume": True}])
def test_a_dataset_is_not_overwritten_unasked(tmp_path: Path, options: dict[str, Any]) -> None:
    before = expected(tmp_path)
    with pytest.raises(DatasetError, match="--overwrite"):
        write(tmp_path / "undisturbed-draw", other, PARTS, {**FACTS, "seed": 99}, **options)
    assert tree(tmp_path / "undisturbed-draw") == before


def test_resuming_what_is_whole_does_nothing(tmp_path: Path) -> None:
    before = expected(tmp_path)
    manifest = write(tmp_path / "undisturbed-draw", other, PARTS, FACTS, resume=True)
    assert tree(tmp_path / "undisturbed-draw") == before
    assert manifest["parts"] == json.loads(before["_manifest.json"])["parts"]


@both
def test_overwriting_replaces_a_dataset(tmp_path: Path, options: dict[str, Any]) -> None:
    write(tmp_path / "out", draw, PARTS + 2, FACTS)
    write(tmp_path / "out", other, PARTS, FACTS, overwrite=True, **options)
    assert tree(tmp_path / "out") == expected(tmp_path, other, **options)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("made", [False, True])
def test_a_failure_leaves_nothing(tmp_path: Path, workers: int, *, made: bool) -> None:
    if made:
        (tmp_path / "out").mkdir()
    with pytest.raises(ZeroDivisionError):
        write(tmp_path / "out", failing(ZeroDivisionError()), PARTS, FACTS, workers=workers)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["out"] * made


@pytest.mark.parametrize("error", [ZeroDivisionError(), OSError(errno.EIO, "broken"), KeyboardInterrupt()], ids=repr)
def test_a_failing_overwrite_leaves_the_old_dataset(tmp_path: Path, error: BaseException) -> None:
    before = expected(tmp_path)
    kinds = (ZeroDivisionError, DatasetError, KeyboardInterrupt)
    with pytest.raises(kinds):
        write(tmp_path / "undisturbed-draw", failing(error, rows=other), PARTS, FACTS, overwrite=True)
    after = tree(tmp_path / "undisturbed-draw")
    assert {name: after[name] for name in before} == before
    assert len(pd.read_parquet(tmp_path / "undisturbed-draw")) == 20 * PARTS


@both
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("at", [0, 3])
def test_an_interrupted_run_is_resumed_to_the_same_bytes(
    tmp_path: Path, options: dict[str, Any], workers: int, at: int
) -> None:
    folder, drawn = tmp_path / "out", tmp_path / "drawn"
    drawn.mkdir()
    with pytest.raises(KeyboardInterrupt):
        write(folder, failing(KeyboardInterrupt(), at), PARTS, FACTS, **options)
    assert not (folder / "_manifest.json").exists()
    with pytest.raises(DatasetError, match="--resume"):
        write(folder, draw, PARTS, FACTS, **options)
    finished = {int(path.stem.removeprefix("part-")) for path in (folder / ".incomplete").glob("part-*.json")}

    write(folder, noting(drawn), PARTS, FACTS, resume=True, workers=workers, **options)
    assert tree(folder) == expected(tmp_path, **options)
    assert finished >= set(range(at))
    assert {int(path.name) for path in drawn.iterdir()} == set(range(PARTS)) - finished


def test_resuming_where_nothing_was_begun_begins(tmp_path: Path) -> None:
    write(tmp_path / "out", draw, PARTS, FACTS, resume=True)
    assert tree(tmp_path / "out") == expected(tmp_path)


def interrupted(folder: Path) -> dict[str, bytes]:
    with pytest.raises(KeyboardInterrupt):
        write(folder, failing(KeyboardInterrupt()), PARTS, FACTS)
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
        write(tmp_path / "out", draw, parts, facts, resume=True, **options)
    assert tree(tmp_path / "out") == before


def test_an_interrupted_run_is_overwritten_when_asked(tmp_path: Path) -> None:
    interrupted(tmp_path / "out")
    write(tmp_path / "out", other, PARTS, {**FACTS, "seed": 4}, overwrite=True)
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
    write(tmp_path / "out", draw, PARTS, FACTS, resume=True)
    assert tree(tmp_path / "out") == expected(tmp_path)
