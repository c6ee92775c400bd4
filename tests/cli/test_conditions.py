"""Conditions and imputation in the shell."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from synthvae.cli.main import app

TABLE = "age,sex,wage\n" + "".join(
    f"{20 + k % 50},{'fm'[k % 2]},{'' if k % 7 == 0 else 1000 + 10 * (k % 50)}\n" for k in range(200)
)


def run(*arguments: object, code: int = 0) -> str:
    """Run a command; return its output."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table and a model that was fitted to it."""
    place = tmp_path_factory.mktemp("conditions")
    (place / "table.csv").write_text(TABLE)
    (place / "steps.yaml").write_text("max_steps: 30\n")
    run(
        "fit", place / "table.csv", "-o", place / "model", "--conditions", "--config", place / "steps.yaml", "--seed", 0
    )
    return place


def test_rows_that_obey_conditions(folder: Path) -> None:
    out = folder / "rows.csv"
    conditions = ("--given", "age=30..40", "--given", "sex=f", "--given", "wage=..")
    run("generate", folder / "model", "-o", out, "--rows", 50, *conditions, "--overwrite")
    found = pd.read_csv(out)
    assert found.age.between(30, 40).all()
    assert (found.sex == "f").all()
    assert found.wage.notna().all()
    run("generate", folder / "model", "-o", out, "--rows", 20, "--given", "wage=", "--overwrite")
    assert pd.read_csv(out).wage.isna().all()


def test_a_row_for_each_row_of_a_file(folder: Path) -> None:
    (folder / "given.csv").write_text("age,sex\n33,\n44,m\n")
    out = folder / "filled.csv"
    run("generate", folder / "model", "-o", out, "--given-file", folder / "given.csv", "--overwrite")
    found = pd.read_csv(out)
    assert found.age.tolist() == [33, 44]
    assert found.sex[1] == "m"
    assert found.sex[0] in {"f", "m"}


def test_imputations_keep_what_is_present(folder: Path) -> None:
    out = folder / "imputed.csv"
    said = run("impute", folder / "table.csv", folder / "model", "-o", out, "--draws", 2, "--indicator", "--json")
    assert json.loads(said)["imputed"] == {"wage": 29}
    real = pd.read_csv(folder / "table.csv")
    for k in (1, 2):
        found = pd.read_csv(folder / f"imputed-{k}.csv")
        assert found.wage.notna().all()
        assert (found.wage[real.wage.notna()] == real.wage.dropna()).all()
        assert (found.missingindicator_wage == real.wage.isna()).all()
    assert np.isin(found.wage, np.arange(1000, 1500)).all()
    assert "Pass --overwrite" in run("impute", folder / "table.csv", folder / "model", "-o", out, "--draws", 2, code=1)


def test_an_imputation_states_its_seed_unless_it_is_quiet(folder: Path) -> None:
    words = ["impute", folder / "table.csv", folder / "model", "--overwrite"]
    seed = json.loads(run(*words, "-o", folder / "drawn.csv", "--json"))["seed"]
    assert run(*words, "-o", folder / "again.csv", "--seed", seed, "--quiet") == ""
    assert (folder / "drawn.csv").read_bytes() == (folder / "again.csv").read_bytes()


def test_imputed_files_have_the_rows_columns_and_numbers_of_the_caller(folder: Path) -> None:
    given, out = folder / "holed.csv", folder / "whole.csv"
    given.write_text("note,wage,sex,age\nx,1010,f,31\ny,,m,\nz,1020,,33\n")
    run("impute", given, folder / "model", "-o", out, "--overwrite")
    lines = [line.split(",") for line in out.read_text().splitlines()]
    assert lines[0] == ["note", "wage", "sex", "age"]
    assert lines[1] == ["x", "1010", "f", "31"]
    assert lines[2][1].isdigit()
    assert lines[2][3].isdigit()
    assert (lines[3][:2], lines[3][3]) == (["z", "1020"], "33")
    proper = ("--proper", "--draws", 2)
    run("impute", folder / "table.csv", folder / "model", "-o", folder / "proper.csv", *proper)
    one, two = (pd.read_csv(folder / f"proper-{k}.csv") for k in (1, 2))
    assert not one.wage.equals(two.wage)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rows", 5, "--given", "agee=3"), "must name columns of the table"),
        (("--rows", 5, "--given", "age"), "COLUMN=VALUE"),
        (("--rows", 5, "--given", "age=50..40"), "from the smaller to the larger"),
        (("--rows", 5, "--given", "age=900.."), "No value of 'age' lies between"),
        (("--rows", 5, "--given", "sex=x"), "must be a value that occurs in training"),
    ],
)
def test_impossible_conditions_are_one_error(folder: Path, arguments: tuple[object, ...], message: str) -> None:
    said = run("generate", folder / "model", "-o", folder / "none", *arguments, code=1)
    assert message in " ".join(said.split())
    assert not (folder / "none").exists()


def test_a_model_without_conditions_says_how_to_get_them(folder: Path) -> None:
    run("fit", folder / "table.csv", "-o", folder / "plain", "--config", folder / "steps.yaml", "--seed", 0)
    said = run("generate", folder / "plain", "-o", folder / "none", "--rows", 5, "--given", "sex=f", code=1)
    assert "synthvae fit --conditions" in " ".join(said.split())


def test_conditions_of_a_recipe(folder: Path) -> None:
    recipe = folder / "study.yaml"
    recipe.write_text(
        "input: table.csv\nmodel: {max_steps: 10, conditions: true}\n"
        'generation: {rows: 30, given: {age: "30..40", sex: [f], wage: null}}\n'
    )
    run("run", recipe, "--out", folder / "study")
    found = pd.read_parquet(folder / "study" / "synthetic")
    assert found.age.between(30, 40).all()
    assert (found.sex == "f").all()
    assert found.wage.isna().all()
