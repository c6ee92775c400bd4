"""Recipes of linked tables and of long ones: stages are done once, subjects stay whole, and other keys are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from studies import Page, command, contents, edited, ran, run, write

from synthvae import evaluation, filesystem, recipe
from synthvae.errors import ConfigurationError
from synthvae.privacy import Journal
from synthvae.recipe import Recipe
from synthvae.relational import Database
from synthvae.schema import Column, Schema, linkage

ALL = ["split", "fit", "generate", "evaluate", "report"]
KEYS: Page = {
    "tables": {"people": "people.csv", "stays": "stays.parquet"},
    "primary_keys": {"people": "id"},
    "foreign_keys": [["stays", "person", "people", "id"]],
    "order": {"stays": "day"},
}


class FewFigures:
    """One figure of linked tables, at once, in the place of all that can be measured."""

    def __init__(self, rows: dict[str, int]) -> None:
        self.rows = rows
        metric = evaluation.Metric("children", "Numbers of rows", "lower", "", "")
        self.figures = {"stays.children": evaluation.Figure(metric, 0.25)}

    def to_json(self, path: Path) -> None:
        figures = {"children": self.figures["stays.children"].to_dict()}
        document = {"tables": {"stays": {"rows": self.rows, "sections": {"sequences": {"figures": figures}}}}}
        filesystem.export(path, json.dumps(document).encode())

    def to_html(self, path: Path) -> None:
        path.write_text(f"<html>{self.rows}</html>")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Page]:
    """What `evaluate_database` is asked, in the place of being done."""
    found: list[Page] = []

    def evaluate_database(real: Database, synthetic: Any, **given: Any) -> FewFigures:
        found.append({"real": real, "synthetic": synthetic, **given})
        return FewFigures({name: len(linkage.read(real)[name]) for name in real.tables})

    monkeypatch.setattr(evaluation, "evaluate_database", evaluate_database)
    return found


def tables() -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(0)
    people = pd.DataFrame({"id": range(40), "age": rng.integers(20, 60, 40), "sex": rng.choice(["f", "m"], 40)})
    owner = np.repeat(np.arange(40), rng.integers(0, 4, 40))
    stays = pd.DataFrame(
        {"person": owner, "day": rng.integers(0, 99, len(owner)), "ward": rng.choice(["a", "b"], len(owner))}
    )
    return {"people": people, "stays": stays}


@pytest.fixture
def page(tmp_path: Path, asked: list[Page]) -> Page:
    del asked
    given = tables()
    given["people"].to_csv(tmp_path / "people.csv", index=False)
    given["stays"].to_parquet(tmp_path / "stays.parquet")
    given["stays"].merge(given["people"], left_on="person", right_on="id").drop(columns="id").to_csv(
        tmp_path / "long.csv", index=False
    )
    return {
        "database": KEYS,
        "split": {"holdout": 0.25},
        "model": {"max_steps": 4, "device": "cpu"},
        "generation": {"scale": 2.0},
        "evaluation": {"attacks": False},
        "report": {"html": "report.html", "json": "report.json"},
    }


def long(page: Page) -> Page:
    return edited(page, database=None, input="long.csv", entity="person", time="day", generation={"subjects": 30})


@pytest.mark.parametrize("of", [dict, long], ids=["database", "long"])
def test_what_is_done_is_kept_and_its_bytes_are_the_same(tmp_path: Path, page: Page, of: Any) -> None:
    page = of(page)
    assert ran(tmp_path, page) == ALL
    before = contents(tmp_path / "out")
    assert set(run(tmp_path, page).values()) == {"kept"}
    assert contents(tmp_path / "out") == before
    recipe.run(tmp_path / "study.yaml", tmp_path / "again")
    assert contents(tmp_path / "again") == before


def test_only_what_reads_a_change_is_run_again(tmp_path: Path, page: Page) -> None:
    run(tmp_path, page)
    page = edited(page, generation={"scale": 1.0, "workers": 2})
    assert ran(tmp_path, page) == ["generate", "evaluate", "report"]
    victim = next((tmp_path / "out" / "synthetic" / "stays").glob("*.parquet"))
    victim.write_bytes(b"")
    assert ran(tmp_path, page)[0] == "generate"
    (tmp_path / "out" / "synthetic" / "_manifest.json").write_text("{}")
    assert ran(tmp_path, page)[0] == "generate"
    given = tables()["people"]
    given.assign(age=given["age"] + 1).to_csv(tmp_path / "people.csv", index=False)
    assert ran(tmp_path, page) == ALL


def test_subjects_are_whole_on_both_sides_of_a_split(tmp_path: Path, page: Page, asked: list[Page]) -> None:
    run(tmp_path, page)
    sides = [Database.from_yaml(tmp_path / "out" / "split" / part / "_database.yaml") for part in ("train", "holdout")]
    found = [{name: pd.read_parquet(place) for name, place in side.tables.items()} for side in sides]
    assert [len(side["people"]) for side in found] == [30, 10]
    for side in found:
        assert set(side["stays"]["person"]) <= set(side["people"]["id"])
    for name, table in tables().items():
        both = pd.concat([side[name] for side in found]).sort_values(table.columns.to_list()).reset_index(drop=True)
        pd.testing.assert_frame_equal(
            both, table.sort_values(table.columns.to_list()).reset_index(drop=True), check_dtype=False
        )
    assert asked[0]["names"] == {"real": "split/train", "synthetic": "synthetic", "holdout": "split/holdout"}
    written = Database.from_yaml(tmp_path / "out" / "synthetic" / "_database.yaml")
    assert len(pd.read_parquet(written.tables["people"])) == 60


def test_a_file_of_keys_gives_the_same_rows_as_the_keys_themselves(tmp_path: Path, page: Page) -> None:
    (tmp_path / "keys").mkdir()
    beside = {**KEYS, "tables": {"people": "../people.csv", "stays": "../stays.parquet"}}
    Database.from_dict(beside).to_yaml(tmp_path / "keys" / "db.yaml")
    run(tmp_path, page)
    recipe.run(write(tmp_path, edited(page, database="keys/db.yaml")), tmp_path / "other", until="generate")
    first, second = (contents(tmp_path / out / "synthetic") for out in ("out", "other"))
    assert first == second


def test_thresholds_are_of_a_table_and_a_metric(tmp_path: Path, page: Page) -> None:
    met = edited(page, report={"fail_over": {"stays.children": 0.5}})
    assert command(tmp_path, met).exit_code == 0
    failed = command(tmp_path, edited(page, report={"fail_over": {"stays.children": 0.1}}))
    assert failed.exit_code == 1
    assert "error: `stays.children` must be at most 0.1, got 0.25." in failed.stderr


def test_entities_stay_whole_and_static_columns_constant(tmp_path: Path, page: Page, asked: list[Page]) -> None:
    run(tmp_path, long(page))
    parts = [pd.read_parquet(tmp_path / "out" / "split" / f"{part}.parquet") for part in ("train", "holdout")]
    assert not set(parts[0]["person"]) & set(parts[1]["person"])
    rows = pd.read_parquet(tmp_path / "out" / "synthetic")
    assert list(rows) == ["person", "day", "ward", "age", "sex"]
    assert rows["person"].nunique() == 30
    assert rows.groupby("person")[["age", "sex"]].nunique().max().max() == 1
    assert set(asked[0]["real"].tables) == {"entities", "rows"}
    assert {len(asked[0][role]["rows"]) for role in ("synthetic",)} == {len(rows)}


def test_existing_tables_are_only_evaluated(tmp_path: Path, page: Page, asked: list[Page]) -> None:
    alone = edited(page, split=None, model=None, generation=None, evaluation={"synthetic": "made"})
    (tmp_path / "made").mkdir()
    for name, table in tables().items():
        table.to_csv(tmp_path / "made" / f"{name}.csv", index=False)
    assert ran(tmp_path, alone) == ["evaluate", "report"]
    assert asked[0]["synthetic"] == tmp_path / "made"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input": "people.csv"}, "exactly one of `input` and `database` must be given, got both"),
        ({"database": None}, "exactly one of `input` and `database` must be given, got neither"),
        ({"database": None, "input": "long.csv"}, "`generation.scale` is of linked tables"),
        ({"database": None, "input": "long.csv", "time": "day"}, "`time` is of a long table with an `entity`"),
        ({"target": "sex"}, "with `database` must not have `target`"),
        ({"schema": "s.yaml"}, "must not have `schema`"),
        ({"model": {"latent_dim": 4}}, "must not have `model.latent_dim`"),
        ({"generation": {"rows": 9}}, "must not have `generation.rows`"),
        ({"generation": {"scale": 1.0, "copies": 2}}, "must not have `generation.copies`"),
        ({"split": {"holdout": 0.3, "unit": "id"}}, "must not have `split.unit`"),
        ({"evaluation": {"group": "sex"}}, "must not have `evaluation.group`"),
        ({"privacy": {"epsilon": 1, "delta": 1e-5}}, "needs `rows_of_tables`"),
        ({"database": {"tables": {"a": "a.csv"}, "order": {"b": "x"}}}, "`order` must name tables among"),
        ({"database": {"tables": {"a": "postgresql://h/d"}}}, "must be files, got a URL"),
        (
            {"database": None, "input": "long.csv", "entity": "person", "privacy": {"epsilon": 1, "delta": 1e-5}},
            "with `entity` must not have `privacy`",
        ),
    ],
)
def test_keys_of_other_recipes_are_refused(tmp_path: Path, page: Page, changes: Page, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Recipe.read(write(tmp_path, edited(page, **changes)))


def test_tables_that_cannot_be_divided_are_refused(tmp_path: Path, page: Page) -> None:
    given = tables()
    given["stays"].assign(referred_by=np.arange(len(given["stays"])) % 40).to_parquet(tmp_path / "stays.parquet")
    crossed = {**KEYS, "foreign_keys": [*KEYS["foreign_keys"], ["stays", "referred_by", "people", "id"]]}
    result = command(tmp_path, edited(page, database=crossed))
    assert "error: `split` must leave all rows to which rows of a subject are linked on its side." in result.stderr
    named = {**KEYS, "tables": ["people", "stays"]}
    assert "must name a file for each table" in command(tmp_path, edited(page, database=named)).stderr
    absent = {**KEYS, "tables": {"people": "people.csv", "stays": "gone.csv"}}
    assert "gone.csv cannot be opened" in command(tmp_path, edited(page, database=absent)).stderr


@pytest.mark.slow
def test_a_private_fit_of_linked_tables_that_was_broken_off_buys_nothing_twice(
    tmp_path: Path, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    age = Column(name="age", kind="integer", bounds=(18, 80), nullable=False)
    sex = Column(name="sex", kind="categorical", categories=["f", "m"], nullable=False)
    day = Column(name="day", kind="integer", bounds=(0, 99), nullable=False)
    ward = Column(name="ward", kind="categorical", categories=["a", "b"], nullable=False)
    schemas = {"people": Schema(columns=[age, sex]), "stays": Schema(columns=[day, ward])}
    files = {"people": "people.csv", "stays": "stays.csv"}
    tables()["stays"].to_csv(tmp_path / "stays.csv", index=False)
    Database(**{**KEYS, "tables": files, "schemas": schemas}).to_yaml(tmp_path / "db.yaml")
    budget = {"epsilon": 3.0, "delta": 0.001, "rows_of_tables": {"stays": 3}}
    page = edited(page, database="db.yaml", privacy=budget, split=None, evaluation=None, report=None)
    keep, remove, seen = Journal.keep, Journal.remove, dict[str, bytes]()

    def interrupted(journal: Journal, draw: Callable[[], Any]) -> Any:
        bought = keep(journal, draw)
        if journal.kept == 2:
            raise KeyboardInterrupt
        return bought

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "keep", interrupted)
        result = command(tmp_path, page)
        assert result.exit_code == 130, result.output
    (folder,) = (tmp_path / "out").glob(".model.*.releases")
    bought = {path.name: path.read_bytes() for path in folder.rglob("*.safetensors")}
    assert len(bought) == 2

    def removed(journal: Journal) -> None:
        seen.update({path.name: path.read_bytes() for path in folder.rglob("*.safetensors")})
        remove(journal)

    monkeypatch.setattr(Journal, "remove", removed)
    assert ran(tmp_path, page) == ["fit", "generate"]
    assert bought.items() <= seen.items()
    assert not folder.exists()
