"""Private fits of linked tables in the shell: a journal beside the model, and an audit of what was saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from synthvae.cli.main import app
from synthvae.privacy import fit as private_fit
from synthvae.relational import Database, DatabaseSynthesizer
from synthvae.relational.private_descent import PrivateSequenceDescent

CONFIG = "max_steps: 4\nprivacy: {epsilon: 3.0, delta: 1.0e-4, rows: 40, rows_of_tables: {visits: 3}}\n"


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "100"})


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two tables and the keys and the budget of a private fit."""
    monkeypatch.setattr(private_fit, "DRAWN_ROWS", (300, 400))
    (tmp_path / "data").mkdir()
    patients = pd.DataFrame({"id": range(1, 41), "sex": ["f", "m"] * 20})
    visits = pd.DataFrame({"patient": np.arange(80) % 40 + 1, "day": np.arange(80) // 40, "x": ["a", "b"] * 40})
    patients.to_csv(tmp_path / "data" / "patients.csv", index=False)
    visits.to_csv(tmp_path / "data" / "visits.csv", index=False)
    schemas: dict[str, Any] = {
        "patients": {"columns": [{"name": "sex", "kind": "categorical", "categories": ["f", "m"]}]},
        "visits": {
            "columns": [
                {"name": "day", "kind": "integer", "bounds": [0, 9], "nullable": False},
                {"name": "x", "kind": "categorical", "categories": ["a", "b"]},
            ]
        },
    }
    Database(
        tables={"patients": "data/patients.csv", "visits": "data/visits.csv"},
        primary_keys={"patients": "id"},
        foreign_keys=[("visits", "patient", "patients", "id")],
        order={"visits": "day"},
        schemas=schemas,
    ).to_yaml(tmp_path / "clinic.yaml")
    (tmp_path / "private.yaml").write_text(CONFIG)
    return tmp_path


def fit(home: Path, *more: object) -> Result:
    return run("fit", home / "clinic.yaml", "--config", home / "private.yaml", "-o", home / "model", *more)


@pytest.mark.slow
def test_an_interrupted_fit_goes_on_and_its_journal_is_removed_when_the_model_is_saved(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, backward = home / ".model.releases", PrivateSequenceDescent.backward

    def interrupted(self: PrivateSequenceDescent, step: int) -> None:
        if step == 3:
            raise KeyboardInterrupt
        backward(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(PrivateSequenceDescent, "backward", interrupted)
        assert fit(home, "--quiet").exit_code == 130
    kept = {path.name: path.read_bytes() for path in journal.glob("*.safetensors")}
    assert len(kept) > 2
    assert not (home / "model").exists()
    done = fit(home, "--resume", "--json")
    assert done.exit_code == 0, done.output
    assert "resuming an interrupted fit" in done.output
    assert not journal.exists()
    ledger = DatabaseSynthesizer.load(home / "model").ledger_
    assert ledger is not None
    assert ledger.events[-1].name == "gradients of visits"
    refused = fit(home)
    assert refused.exit_code == 1
    assert "has a model. Pass --overwrite" in refused.output


@pytest.mark.slow
def test_a_model_is_audited(home: Path) -> None:
    fitted = fit(home)
    assert fitted.exit_code == 0, fitted.output
    assert "seed" not in fitted.output  # noise has none
    # A bound of confidence .95 is too high by chance in up to one audit of 20, in four one after the other in 160,000.
    audits = (run("audit", home / "model", "--canaries", 200, "--json") for _ in range(4))
    done = next((done for done in audits if done.exit_code == 0), None)
    assert done is not None
    report = json.loads(done.stdout)
    assert {"noisy counts of subjects", "gradients of visits"} <= {one["audited"] for one in report["findings"]}
    assert report["lower"] <= report["upper"] <= 3.0
