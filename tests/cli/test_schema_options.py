"""Columns of fake values are declared by `--fake`, with a provider of Faker or with that of what they hold."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from synthvae import Schema
from synthvae.cli.main import app

ROWS = 60
FIRST = ["Anna", "Bob", "Clara", "David", "Eva", "Hans"]
LAST = ["Stone", "Rivers", "Marsh", "Rossi", "Weber"]
NAMES = [f"{FIRST[i % 6]} {LAST[i // 6 % 5]}" for i in range(ROWS)]
NOTES = [f"text {i} {i * 31 % 977}" for i in range(ROWS)]


@pytest.fixture(name="table")
def written(tmp_path: Path) -> Path:
    frame = pd.DataFrame({"patient_name": NAMES, "note": NOTES, "x": [i % 7 for i in range(ROWS)]})
    frame.to_csv(tmp_path / "people.csv", index=False)
    (tmp_path / "quick.yaml").write_text("max_steps: 2\n")
    return tmp_path / "people.csv"


def synthvae(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def fit(table: Path, *words: object) -> Result:
    config = ("--config", table.parent / "quick.yaml", "--seed", 0, "-q", "--json")
    return synthvae("fit", table, "-o", table.parent / "model", *config, *words)


@pytest.mark.parametrize(
    ("flags", "providers"),
    [
        (["--fake", "patient_name", "--id", "note"], {"patient_name": "name"}),
        (["--fake", "patient_name=last_name", "--drop", "note"], {"patient_name": "last_name"}),
        (["--fake", "patient_name", "--fake", "note=email"], {"patient_name": "name", "note": "email"}),
    ],
)
def test_a_schema_has_fake_columns(table: Path, flags: list[str], providers: dict[str, str]) -> None:
    out = table.parent / "schema.yaml"
    done = synthvae("schema", table, "-o", out, *flags)
    assert done.exit_code == 0, done.output
    schema = Schema.from_yaml(out)
    assert {column.name: column.provider for column in schema.columns if column.kind == "fake"} == providers
    assert "# fake: as declared.\n- name: patient_name" in out.read_text()


@pytest.mark.parametrize(("flag", "words"), [("patient_name", 2), ("patient_name=last_name", 1)])
def test_a_model_generates_fake_values(table: Path, flag: str, words: int) -> None:
    done = fit(table, "--fake", flag, "--drop", "note")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["columns"]["patient_name"] == "fake"
    out = table.parent / "made"
    assert synthvae("generate", table.parent / "model", "--rows", 40, "--seed", 0, "-o", out).exit_code == 0
    made = pd.read_parquet(out)
    assert list(made) == ["patient_name", "x"]
    assert not set(made.patient_name) & set(NAMES)
    assert {len(name.split()) for name in made.patient_name} == {words}


def test_the_flags_of_a_refusal_can_be_given(table: Path) -> None:
    refused = fit(table)
    assert refused.exit_code == 1
    assert "`--fake patient_name` draws fake name values" in refused.stderr
    assert "`--fake note" not in refused.stderr
    assert fit(table, "--fake", "patient_name", "--id", "note").exit_code == 0


@pytest.mark.parametrize("command", ["schema", "fit"])
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--fake", "note"], "`--fake` needs a provider of Faker for the column 'note', got none"),
        (["--fake", "x"], "State one, such as `--fake x=name`"),
        (["--fake", "patient_nam=name"], "Did you mean 'patient_name'?"),
        (["--fake", "patient_name=../x"], "`provider` must name a provider of Faker"),
        (["--fake", "patient_name", "--id", "patient_name"], "in '--id patient_name' and '--fake patient_name'"),
    ],
)
def test_what_no_provider_makes_is_refused(table: Path, command: str, flags: list[str], message: str) -> None:
    out = () if command == "fit" else ("-o", table.parent / "schema.yaml")
    done = fit(table, *flags) if command == "fit" else synthvae("schema", table, *out, *flags)
    assert done.exit_code == 1
    assert message in done.stderr
    assert not (table.parent / "model").exists()
    assert not (table.parent / "schema.yaml").exists()


def test_a_private_fit_infers_no_provider(table: Path) -> None:
    """What the values show is not paid for, so that the provider must be stated."""
    schema = table.parent / "schema.yaml"
    schema.write_text("columns:\n- {name: x, kind: integer, bounds: [0, 6], nullable: false}\ndrop: [note]\n")
    private = ["--schema", schema, "--epsilon", 20, "--delta", 1e-5]
    refused = fit(table, *private, "--fake", "patient_name")
    assert refused.exit_code == 1
    assert "`--fake` needs a provider of Faker for the column 'patient_name'" in refused.stderr
    done = fit(table, *private, "--fake", "patient_name=name")
    assert done.exit_code == 0, done.output
