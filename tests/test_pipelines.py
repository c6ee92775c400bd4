"""The recipes that are shipped run as they are: here with few steps and rows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from typer.testing import CliRunner

from synthvae import recipe
from synthvae.cli.main import app
from synthvae.recipe import Recipe
from synthvae.relational import Database
from synthvae.schema import linkage

jsonschema = pytest.importorskip("jsonschema")
PIPELINES = Path(__file__).parents[1] / "pipelines"
RECIPES = sorted(PIPELINES.glob("*.yaml"))
README = (PIPELINES / "README.md").read_text(encoding="utf-8")
SMOKE: dict[str, dict[str, Any]] = {
    "model": {"max_steps": 10, "width": 16},
    "generation": {"rows": 150},
    "evaluation": {"attacks": False},
}
LINKED: dict[str, dict[str, Any]] = {**SMOKE, "model": {"max_steps": 10}, "generation": {"subjects": 150}}


def smoke(path: Path, folder: Path) -> Path:
    """A copy of a recipe that asks for little, with its data beside it."""
    shutil.copytree(PIPELINES / "data", folder / "data")
    page = yaml.safe_load(path.read_text(encoding="utf-8"))
    is_linked = "database" in page or "entity" in page
    for section, less in (LINKED if is_linked else SMOKE).items():
        if section in page or (section == "model" and "generation" in page):
            kept = {name: value for name, value in page.get(section, {}).items() if name != "scale"}
            page[section] = {**kept, **less}
    copy = folder / path.name
    copy.write_text(yaml.safe_dump(page))
    return copy


def test_the_recipes_are_there() -> None:
    assert {path.stem for path in RECIPES} >= {"tabular", "private_medical", "augment_rare_class", "evaluate_only"} | {
        "relational",
        "longitudinal",
    }


@pytest.mark.slow
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipe_runs_and_is_kept(path: Path, tmp_path: Path) -> None:
    for extra in ("plotly", "jinja2"):
        pytest.importorskip(extra)
    page, out = smoke(path, tmp_path), tmp_path / "out"
    words = ["run", str(page), "-o", str(out), "--json", "--quiet"]
    first = CliRunner().invoke(app, words)
    assert first.exit_code == 0, first.stderr
    assert all((out / name).exists() for step in json.loads(first.stdout)["steps"] for name in step["where"])
    report = (out / "report.html").read_text(encoding="utf-8")
    assert report.startswith("<!")
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    again = CliRunner().invoke(app, words)
    assert {step["done"] for step in json.loads(again.stdout)["steps"]} == {"kept"}
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before
    figures = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    assert (figures["ledger"] is not None) == (Recipe.read(page).privacy is not None)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipe_obeys_the_schema_that_editors_read(path: Path) -> None:
    schema = json.loads((PIPELINES / "schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), schema)
    jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), recipe.json_schema())
    assert "$schema=schema.json" in path.read_text(encoding="utf-8").splitlines()[0]


def test_editors_read_the_schema_of_today() -> None:
    shipped = json.loads((PIPELINES / "schema.json").read_text(encoding="utf-8"))
    assert shipped == json.loads(json.dumps(recipe.json_schema())), "synthvae run --json-schema > pipelines/schema.json"


@pytest.mark.parametrize(
    "page",
    [{"input": "a.csv", "database": "b.yaml"}, {"input": "a.csv", "modle": {}}, {"target": "a"}, {"input": 1}, []],
)
def test_editors_mark_what_is_refused(page: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(page, recipe.json_schema())


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_readme_shows_each_recipe_and_its_picture(path: Path) -> None:
    assert f"synthvae run pipelines/{path.name}" in README
    assert f"(pictures/{path.stem}.png)" in README
    assert (PIPELINES / "pictures" / f"{path.stem}.png").exists()


def test_the_tables_are_those_of_scikit_learn() -> None:
    data = PIPELINES / "data"
    cancer, shipped = load_breast_cancer(as_frame=True), pd.read_csv(data / "breast_cancer.csv")
    pd.testing.assert_frame_equal(shipped.drop(columns="diagnosis"), cancer.data)
    assert (shipped["diagnosis"] == cancer.target.map(dict(enumerate(cancer.target_names)))).all()
    rare = pd.read_csv(data / "rare_tumours.csv")
    assert rare["diagnosis"].value_counts().to_dict() == {"benign": 357, "malignant": 40}
    assert len(rare.merge(shipped)) == len(rare)
    wine = pd.concat([pd.read_csv(data / f"wine_{part}.csv") for part in ("learned", "held_out")])
    assert wine["alcohol"].sum() == pytest.approx(load_wine(as_frame=True).data["alcohol"].sum())
    patients, original = pd.read_csv(data / "diabetes.csv"), load_diabetes(as_frame=True, scaled=False).frame
    assert (patients["age"] == original["age"]).all()
    assert ((patients["progression"] == "fast") == (original["target"] > 150)).all()


def test_the_linked_tables_keep_their_keys_rules_and_totals() -> None:
    tables = {name: pd.read_csv(PIPELINES / "data" / f"{name}.csv") for name in ("patients", "admissions", "diagnoses")}
    linkage.read(Database.from_yaml(PIPELINES / "data" / "clinic.yaml"))
    whole = tables["admissions"].merge(tables["patients"], on="patient")
    assert ((whole["born"] <= whole["admitted"]) & (whole["admitted"] <= whole["discharged"])).all()
    costs = whole["stay"].map(tables["diagnoses"].groupby("stay")["cost"].sum())
    assert (whole["cost"] - costs).abs().max() < 1e-6
    visits = pd.read_csv(PIPELINES / "data" / "visits.csv")
    assert (visits["diastolic"] <= visits["systolic"]).all()
    assert visits.groupby("patient")[["sex", "age"]].nunique().max().max() == 1
