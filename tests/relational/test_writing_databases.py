"""Linked tables on disk: the rows of `sample`, all tables or none, and no file that is not theirs is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from linked import database, tables

from synthvae.errors import ConfigurationError, DatasetError, RequestError
from synthvae.generation import dataset
from synthvae.relational import Database, DatabaseSynthesizer, writing
from synthvae.schema import linkage


@pytest.fixture(scope="module")
def fitted() -> DatabaseSynthesizer:
    return DatabaseSynthesizer(database(), max_steps=10, random_state=0).fit()


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_rows_are_those_of_sample(fitted: DatabaseSynthesizer, tmp_path: Path) -> None:
    manifest = fitted.generate(tmp_path / "out", subjects=30, random_state=5)
    for name, table in fitted.sample(subjects=30, random_state=5).items():
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out" / name), table)
        assert manifest["tables"][name] == {"folder": name, "rows": len(table)}
    assert manifest["seed"] == 5
    assert json.loads((tmp_path / "out" / "_database.json").read_text("utf-8")) == manifest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_the_keys_beside_the_tables_are_read_again(fitted: DatabaseSynthesizer, tmp_path: Path) -> None:
    fitted.generate(tmp_path / "out", 0.5)
    again = Database.from_yaml(tmp_path / "out" / "_database.yaml")
    assert again.foreign_keys == fitted.database.foreign_keys
    linkage.read(again)  # raises an error if a key is broken


def test_parts_of_many_rows(fitted: DatabaseSynthesizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted.generate(tmp_path / "one", subjects=30)
    monkeypatch.setattr(writing, "PART_ROWS", 7)
    fitted.generate(tmp_path / "many", subjects=30)
    assert len(list((tmp_path / "many" / "patients").glob("*.parquet"))) == 5
    for name in tables():
        one, many = (pd.read_parquet(tmp_path / place / name) for place in ("one", "many"))
        pd.testing.assert_frame_equal(one, many)


def test_an_old_dataset_is_replaced_only_if_asked(fitted: DatabaseSynthesizer, tmp_path: Path) -> None:
    fitted.generate(tmp_path / "out", subjects=10)
    with pytest.raises(DatasetError, match=r"with linked tables\. Pass --overwrite"):
        fitted.generate(tmp_path / "out", subjects=20)
    fitted.generate(tmp_path / "out", subjects=20, overwrite=True)
    assert len(pd.read_parquet(tmp_path / "out" / "patients")) == 20


def test_other_files_are_refused_and_left_alone(fitted: DatabaseSynthesizer, tmp_path: Path) -> None:
    fitted.generate(tmp_path / "out", subjects=10)
    (tmp_path / "out" / "visits" / "notes.txt").write_text("mine")
    before = content(tmp_path)
    with pytest.raises(DatasetError, match=r"with 'visits/notes.txt', which belongs to no linked tables"):
        fitted.generate(tmp_path / "out", overwrite=True)
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "part-00000.parquet").write_bytes(b"mine")
    with pytest.raises(DatasetError, match="belongs to no linked tables"):
        fitted.generate(tmp_path / "table", overwrite=True)
    (tmp_path / "link").symlink_to(tmp_path / "out")
    for place in ("link", "rows.csv"):
        with pytest.raises(DatasetError, match="must be written to a folder"):
            fitted.generate(tmp_path / place, overwrite=True)
    with pytest.raises(ConfigurationError, match="URL"):
        fitted.generate("s3://bucket/out")
    with pytest.raises(RequestError):
        fitted.generate(tmp_path / "new", subjects=1, scale=1)
    after = content(tmp_path)
    assert {name: after[name] for name in before} == before


def test_a_failure_leaves_the_old_dataset(
    fitted: DatabaseSynthesizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted.generate(tmp_path / "out", subjects=10)
    before, write = content(tmp_path), dataset.write

    def full(out: Path, request: object) -> object:
        if out.name == "labs":
            raise OSError(28, "No space left on device")
        return write(out, request)  # type: ignore[arg-type]

    monkeypatch.setattr(dataset, "write", full)
    with pytest.raises(DatasetError, match="No space left on device"):
        fitted.generate(tmp_path / "out", subjects=20, overwrite=True)
    assert content(tmp_path) == before


def test_names_of_tables_never_lead_elsewhere(tmp_path: Path) -> None:
    names = ["../p", "_v é", "database.yaml"]
    frames = [pd.DataFrame({"id": range(40), "x": [1, 2] * 20}) for _ in names]
    given = Database(tables=dict(zip(names, frames, strict=True)))
    DatabaseSynthesizer(given, max_steps=2, random_state=0).fit().generate(tmp_path / "in" / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    again = Database.from_yaml(tmp_path / "in" / "out" / "_database.yaml")
    assert {name: table.num_rows for name, table in linkage.read(again).items()} == dict.fromkeys(names, 40)
