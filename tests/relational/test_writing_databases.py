"""Linked tables on disk: the rows of `sample` in parts by subject, the same bytes however they are drawn."""

from __future__ import annotations

import json
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from linked import database

from synthvae.errors import DatasetError, RequestError
from synthvae.generation.workers import FunctionBackend
from synthvae.relational import Database, DatabaseSynthesizer, linked_draw
from synthvae.relational.linked_draw import LinkedDraw
from synthvae.schema import linkage

SUBJECTS = 90
SMALL_PARTS = "from synthvae.relational import linked_draw; linked_draw.PART_ROWS, linked_draw.PILOT_SUBJECTS = 150, 20"
TWO_PARTS = (  # a run that waits in its third part
    "import time; Draw = linked_draw.LinkedDraw; draw = Draw.__call__; "
    "Draw.__call__ = lambda self, part: time.sleep(600) if part > 1 else draw(self, part)"
)


@pytest.fixture(scope="module")
def fitted() -> DatabaseSynthesizer:
    return DatabaseSynthesizer(database(), max_steps=10, random_state=0).fit()


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linked_draw, "PART_ROWS", 150)
    monkeypatch.setattr(linked_draw, "PILOT_SUBJECTS", 20)


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def written(folder: Path) -> dict[str, pd.DataFrame]:
    """The tables in a folder, whose keys must be whole."""
    given = Database.from_yaml(folder / "_database.yaml")
    found = linkage.read(given)
    return {name: pd.read_parquet(folder / name) for name in found}


def test_the_rows_are_those_of_sample(fitted: DatabaseSynthesizer, tmp_path: Path) -> None:
    manifest = fitted.generate(tmp_path / "out", subjects=30, random_state=5)
    for name, table in fitted.sample(subjects=30, random_state=5).items():
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out" / name), table)
        assert manifest["tables"][name] == {"folder": name, "rows": len(table)}
    assert manifest["seed"] == 5
    listed = json.loads((tmp_path / "out" / "_manifest.json").read_text("utf-8"))
    assert {part["file"] for part in listed["parts"]} | {"_manifest.json"} == set(content(tmp_path / "out"))


def test_the_keys_beside_the_tables_are_read_again(fitted: DatabaseSynthesizer, tmp_path: Path) -> None:
    fitted.generate(tmp_path / "out", 0.5)
    again = Database.from_yaml(tmp_path / "out" / "_database.yaml")
    assert again.foreign_keys == fitted.database.foreign_keys
    linkage.read(again)  # raises an error if a key is broken


@pytest.mark.usefixtures("small_parts")
def test_parts_are_of_whole_subjects_and_have_other_keys(fitted: DatabaseSynthesizer, tmp_path: Path) -> None:
    fitted.generate(tmp_path / "out", subjects=SUBJECTS)
    found = written(tmp_path / "out")
    for name, table in fitted.sample(subjects=SUBJECTS).items():
        pd.testing.assert_frame_equal(found[name], table)
    assert len(found["patients"]) == SUBJECTS
    files = sorted((tmp_path / "out" / "patients").glob("*.parquet"))
    assert len(files) > 3
    for file in files:
        patients, visits, labs = (
            pd.read_parquet(file.parents[1] / n / file.name) for n in ("patients", "visits", "labs")
        )
        assert visits["patient"].isin(patients["id"]).all()
        assert labs["visit"].isin(visits["visit"]).all()
        assert labs["ordered_at"].dropna().isin(visits["visit"]).all()
    for name, key in (("patients", "id"), ("visits", "visit")):
        assert found[name][key].is_unique
    assert (found["patients"]["id"] == [f"P-{200 + i}".replace("-", "-0") for i in range(SUBJECTS)]).all()


def backwards(
    work: Callable[[int], Any], parts: int, workers: int, begin: Callable[[], None], done: Callable[[Any], None]
) -> list[Any]:
    """Another machine, which gets the draw as a pickle and draws the last part first."""
    del workers, begin
    found = {number: pickle.loads(pickle.dumps(work))(number) for number in reversed(range(parts))}
    for files in found.values():
        done(files)
    return [found[number] for number in range(parts)]


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    "where", [{"backend": FunctionBackend(backwards)}, pytest.param({}, marks=pytest.mark.slow)], ids=["else", "here"]
)
def test_bytes_do_not_depend_on_workers(fitted: DatabaseSynthesizer, tmp_path: Path, where: dict[str, Any]) -> None:
    fitted.generate(tmp_path / "one", subjects=SUBJECTS)
    fitted.generate(tmp_path / "two", subjects=SUBJECTS, workers=2, **where)
    assert content(tmp_path / "two") == content(tmp_path / "one")


@pytest.mark.slow
@pytest.mark.usefixtures("small_parts")
def test_a_killed_run_is_resumed_with_the_same_bytes(fitted: DatabaseSynthesizer, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    folder = tmp_path / "killed"
    options = f"({str(folder)!r}, subjects=400, random_state=3, resume=True)"
    where = f"DatabaseSynthesizer.load({str(tmp_path / 'model')!r}).generate{options}"
    command = f"{SMALL_PARTS}; {TWO_PARTS}; from synthvae.relational import DatabaseSynthesizer; {where}"
    run = subprocess.Popen([sys.executable, "-c", command])
    while run.poll() is None and not (folder / ".incomplete" / "part-00001.json").exists():
        time.sleep(0.001)
    run.kill()
    assert run.wait() == -signal.SIGKILL
    assert not (folder / "_manifest.json").exists()
    assert len(list((folder / ".incomplete" / "patients").glob("*.parquet"))) >= 2
    again = DatabaseSynthesizer.load(tmp_path / "model")
    for place in (folder, tmp_path / "whole"):
        again.generate(place, subjects=400, random_state=3, resume=True)
    assert content(folder) == content(tmp_path / "whole")


@pytest.mark.usefixtures("small_parts")
def test_another_request_does_not_resume_a_run(fitted: DatabaseSynthesizer, tmp_path: Path) -> None:
    def stop(*_: Any) -> list[Any]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fitted.generate(tmp_path / "out", subjects=SUBJECTS, backend=FunctionBackend(stop))
    with pytest.raises(DatasetError, match="the same model, request and seed"):
        fitted.generate(tmp_path / "out", subjects=SUBJECTS + 1, resume=True)
    with pytest.raises(RequestError, match="`workers` must be at least 1"):
        fitted.generate(tmp_path / "new", subjects=5, workers=0)


def rows_between() -> Database:
    """Two trees, whose rows are linked across in both directions."""
    rng = np.random.default_rng(0)
    drugs = pd.DataFrame({"drug": [f"D{i}" for i in range(40)], "dose": np.arange(40) % 4})
    patients = pd.DataFrame({"id": range(60), "age": rng.integers(20, 80, 60)})
    given = pd.DataFrame({"id": rng.integers(0, 60, 300), "drug": rng.choice(drugs["drug"], 300)})
    given = given.drop_duplicates().assign(size=lambda rows: np.arange(len(rows)) % 5)
    notes = pd.DataFrame({"drug": rng.choice(drugs["drug"], 60), "author": rng.permutation(60)})
    return Database(
        tables={"patients": patients, "drugs": drugs, "given": given, "notes": notes},
        primary_keys={"patients": "id", "drugs": "drug", "given": ("id", "drug")},
        foreign_keys=[
            ("given", "id", "patients", "id"),
            ("given", "drug", "drugs", "drug"),
            ("notes", "drug", "drugs", "drug"),
            ("notes", "author", "patients", "id"),
        ],
    )


@pytest.mark.usefixtures("small_parts")
def test_links_between_trees_lead_to_rows_of_all_parts(tmp_path: Path) -> None:
    fitted = DatabaseSynthesizer(rows_between(), max_steps=10, random_state=0).fit()
    fitted.generate(tmp_path / "out", subjects=SUBJECTS)
    found = written(tmp_path / "out")
    assert not found["given"].duplicated(["id", "drug"]).any()
    assert not found["notes"]["author"].duplicated().any()  # no real row is linked to twice
    parts = [pd.read_parquet(file) for file in sorted((tmp_path / "out" / "given").glob("*.parquet"))]
    assert len(parts) > 3
    assert min(part["drug"].nunique() for part in parts) > SUBJECTS / len(parts) * 1.5
    for name, table in fitted.sample(subjects=SUBJECTS).items():
        pd.testing.assert_frame_equal(found[name], table)


@pytest.mark.usefixtures("small_parts")
def test_tables_whose_keys_are_learned_values_are_one_part() -> None:
    days = pd.date_range("2020-01-01", periods=20)
    p = pd.DataFrame({"from": np.repeat(days[:3], 20), "to": list(days) * 3, "x": range(60)})
    given = Database(tables={"p": p}, primary_keys={"p": ("from", "to")})
    fitted = DatabaseSynthesizer(given, max_steps=10, random_state=0).fit()
    draw = LinkedDraw.divided(fitted.learned_, {"p": 600}, 0)
    assert draw.request.parts == 1
    assert not pa.Table.to_pandas(draw(0)["p"]).duplicated(["from", "to"]).any()


def test_an_old_dataset_is_replaced_only_if_asked(fitted: DatabaseSynthesizer, tmp_path: Path) -> None:
    fitted.generate(tmp_path / "out", subjects=10)
    with pytest.raises(DatasetError, match=r"with a dataset\. Pass --overwrite"):
        fitted.generate(tmp_path / "out", subjects=20)
    fitted.generate(tmp_path / "out", subjects=20, overwrite=True)
    assert len(pd.read_parquet(tmp_path / "out" / "patients")) == 20


def test_other_files_are_refused_and_left_alone(fitted: DatabaseSynthesizer, tmp_path: Path) -> None:
    fitted.generate(tmp_path / "out", subjects=10)
    (tmp_path / "out" / "visits" / "notes.txt").write_text("mine")
    before = content(tmp_path)
    with pytest.raises(DatasetError, match=r"with 'visits/notes.txt', which belongs to no dataset"):
        fitted.generate(tmp_path / "out", overwrite=True)
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "part-00000.parquet").write_bytes(b"mine")
    with pytest.raises(DatasetError, match="belongs to no dataset"):
        fitted.generate(tmp_path / "table", overwrite=True)
    (tmp_path / "link").symlink_to(tmp_path / "out")
    for place, message in (("link", "must be a folder, got the link"), ("rows.csv", "must be written to a folder")):
        with pytest.raises(DatasetError, match=message):
            fitted.generate(tmp_path / place, overwrite=True)
    with pytest.raises(RequestError):
        fitted.generate(tmp_path / "new", subjects=1, scale=1)
    after = content(tmp_path)
    assert {name: after[name] for name in before} == before


def test_names_of_tables_never_lead_elsewhere(tmp_path: Path) -> None:
    names = ["../p", "_v é", "database.yaml"]
    frames = [pd.DataFrame({"id": range(40), "x": [1, 2] * 20}) for _ in names]
    given = Database(tables=dict(zip(names, frames, strict=True)))
    DatabaseSynthesizer(given, max_steps=2, random_state=0).fit().generate(tmp_path / "in" / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["out"]
    again = Database.from_yaml(tmp_path / "in" / "out" / "_database.yaml")
    assert {name: table.num_rows for name, table in linkage.read(again).items()} == dict.fromkeys(names, 40)
