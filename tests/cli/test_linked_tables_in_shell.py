"""Linked tables in the shell: a YAML file is fitted, its model is described, and a folder of datasets is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from synthvae import Synthesizer
from synthvae.cli.main import app
from synthvae.relational import Database, DatabaseSynthesizer
from synthvae.schema import linkage


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "100"})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two tables, what links them, and a fitted model."""
    folder = tmp_path_factory.mktemp("linked")
    (folder / "data").mkdir()
    patients = pd.DataFrame({"id": range(1, 41), "age": np.arange(40) % 9 + 40})
    visits = pd.DataFrame({"patient": np.arange(80) % 40 + 1, "day": np.arange(80) // 40, "x": np.arange(80) % 5})
    patients.to_csv(folder / "data" / "patients.csv", index=False)
    visits.to_csv(folder / "data" / "visits.csv", index=False)
    database = Database(
        tables={"patients": "data/patients.csv", "visits": "data/visits.csv"},
        primary_keys={"patients": "id"},
        foreign_keys=[("visits", "patient", "patients", "id")],
        order={"visits": "day"},
    )
    database.to_yaml(folder / "clinic.yaml")
    (folder / "quick.yaml").write_text("max_steps: 4\n")
    done = fit(folder, "model", "--seed", 0)
    assert done.exit_code == 0, done.output
    return folder


def fit(home: Path, out: str, *more: object) -> Result:
    return run("fit", home / "clinic.yaml", "--config", home / "quick.yaml", "-o", home / out, *more)


def test_paths_are_relative_to_the_file_and_the_fit_is_summarised(home: Path) -> None:
    done = fit(home, "again")
    assert done.exit_code == 0
    assert "tables    2: patients, visits" in done.output
    assert "links     visits(patient) -> patients(id)" in done.output
    assert "repeats the fit" in done.output
    assert f"synthvae generate {home / 'again'} --scale 1 -o synthetic" in done.output.replace("\n", "")
    assert json.loads(fit(home, "third", "--json", "--quiet", "--protect", 0).stdout)["roots"] == {
        "patients": {"rows": 40}
    }


def test_generate_writes_the_rows_of_sample(home: Path, tmp_path: Path) -> None:
    words = ("generate", home / "model", "-o", tmp_path / "out", "--seed", 3)
    done = run(*words, "--subjects", 25)
    assert done.exit_code == 0, done.output
    assert "patients: 25" in done.output
    expected = DatabaseSynthesizer.load(home / "model").sample(subjects=25, random_state=3)
    for name, table in expected.items():
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out" / name), table)
    linkage.read(Database.from_yaml(tmp_path / "out" / "_database.yaml"))
    assert run(*words, "--scale", 2).exit_code == 1
    done = run(*words, "--scale", 2, "--overwrite", "--json")
    assert json.loads(done.stdout)["tables"]["patients"]["rows"] == 80


def test_children_of_given_parents_are_written_and_a_run_is_resumed(home: Path, tmp_path: Path) -> None:
    parents = DatabaseSynthesizer.load(home / "model").sample(subjects=30, random_state=4)["patients"]
    parents.to_csv(tmp_path / "parents.csv", index=False)
    words = ("generate", home / "model", "-o", tmp_path / "out", "--given-file", tmp_path / "parents.csv")
    for more in ([], ["--resume", "--workers", 2]):
        done = run(*words, "--seed", 1, *more)
        assert done.exit_code == 0, done.output
    found = {name: pd.read_parquet(tmp_path / "out" / name) for name in ("patients", "visits")}
    pd.testing.assert_frame_equal(found["patients"], parents)
    assert found["visits"]["patient"].isin(parents["id"]).all()


def test_info_says_what_the_model_is(home: Path) -> None:
    done = run("info", home / "model")
    assert "of linked tables" in done.output
    assert "subjects  40 of patients" in done.output
    assert "none: training rows may be reflected" in done.output
    assert "- visits: patient, day, x" in done.output
    assert json.loads(run("info", home / "model", "--json").stdout)["order"] == {"visits": "day"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epsilon", 1, "--delta", 1e-6], "`--epsilon` must not be given for linked tables"),
        (["--rows-per-unit", 2], "`--rows-per-unit` must not be given for linked tables"),
        (["--plan", 100], "`--plan` must not be given for linked tables"),
        (["--conditions"], "must not be given: --conditions. Declare columns under `schemas`"),
        (["--target", "x", "--schema", "s.yaml"], "must not be given: --target, --schema."),
        (["--id", "x"], "must not be given: options of columns."),
        (["--sep", ";"], "must not be given: options of table files."),
        (["--num-workers", 3, "--resume"], "must not be given: --resume, --num-workers."),
    ],
)
def test_options_of_single_tables_are_refused(home: Path, options: list[object], message: str) -> None:
    done = fit(home, "new", *options)
    assert done.exit_code == 1
    assert message in done.output
    assert not (home / "new").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rows", 20], "must not be given: --rows. Give --subjects or --scale."),
        (["--scale", 1, "--rows", 2, "--partition"], "must not be given: --rows, --partition."),
        (["--scale", 1, "--class", "a=1"], "must not be given: --class."),
        (["--scale", 1, "--rows", 0], "must not be given: --rows."),
        (["--scale", 1, "--subjects", 3], "give exactly one of --subjects, --scale and --given-file"),
        ([], "give exactly one of --subjects, --scale and --given-file"),
    ],
)
def test_requests_of_single_tables_are_refused(home: Path, options: list[object], message: str, tmp_path: Path) -> None:
    done = run("generate", home / "model", "-o", tmp_path / "out", *options)
    assert done.exit_code in (1, 2)
    assert message in " ".join(done.output.replace("│", " ").split())
    assert not (tmp_path / "out").exists()


def test_files_that_are_no_database_are_refused(home: Path, tmp_path: Path) -> None:
    assert (
        f"{home / 'quick.yaml'} must describe a database"
        in run("fit", home / "quick.yaml", "-o", tmp_path / "m").output
    )
    assert "No such file" in run("fit", tmp_path / "absent.yaml", "-o", tmp_path / "m").output
    done = fit(home, "model")
    assert done.exit_code == 1
    assert "has a model. Pass --overwrite" in done.output
    assert fit(home, "model", "--seed", 0, "--overwrite").exit_code == 0
    assert "max_step" in run("fit", home / "clinic.yaml", "--config", home / "clinic.yaml", "-o", tmp_path / "m").output


def test_models_of_the_other_kind_are_refused(home: Path, tmp_path: Path) -> None:
    Synthesizer(max_steps=2, random_state=0).fit(pd.DataFrame({"x": range(40)})).save(tmp_path / "single")
    done = run("generate", tmp_path / "single", "--subjects", 3, "-o", tmp_path / "out")
    assert "need a model of linked tables" in done.output
    absent = run("generate", tmp_path / "absent", "--subjects", 3, "-o", tmp_path / "out")
    assert "No such file" in absent.output
    refused = run("impute", home / "data" / "visits.csv", home / "model", "-o", tmp_path / "c.csv").output
    assert "must be the model of a single table, got one of linked tables" in refused
    assert "got one that was fitted without `privacy`" in run("audit", home / "model").output
    assert "is described alone" in run("info", home / "model", tmp_path / "single").output
    assert "is described alone" in run("info", home / "model", "--card").output
