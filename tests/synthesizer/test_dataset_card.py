"""A described dataset has a card that Hugging Face reads and Croissant metadata that mlcroissant reads."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from synthvae import Synthesizer
from synthvae.cli.main import app
from synthvae.errors import ConfigurationError, DatasetError, RequestError
from synthvae.generation import request
from synthvae.synthesizer import dataset_card

ORACLE = Path(__file__).parents[2] / ".venv-oracle" / "bin" / "python"
ODD = "a/b ü|`x`"  # a name that Markdown and URLs interpret
SECRET = 987_654.25  # a value of a real row

# What runs beside mlcroissant: the number of errors and warnings, and all records.
SCRIPT = """
import json, sys, mlcroissant
found = mlcroissant.Dataset(sys.argv[1])
rows = [{k: v.decode() if isinstance(v, bytes) else str(v) for k, v in row.items()} for row in found.records("rows")]
issues = found.metadata.issues
print(json.dumps({"errors": len(issues.errors), "fields": [f.name for f in found.metadata.record_sets[0].fields],
                  "rows": rows}))
"""


@pytest.fixture(scope="module")
def real() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    days = pd.to_timedelta(rng.integers(0, 900, 200), "D")
    columns = {"age": rng.integers(1, 90, 200), ODD: rng.normal(size=200).round(2), "when": pd.Timestamp("2020") + days}
    frame = pd.DataFrame({**columns, "ok": rng.random(200) < 0.5, "group": rng.choice(["x", "y"], 200)})
    frame.loc[0, ODD] = SECRET
    return frame


@pytest.fixture(scope="module")
def model(real: pd.DataFrame) -> Synthesizer:
    parameters: dict[str, Any] = {"max_steps": 20, "width": 16, "device": "cpu", "random_state": 0}
    return Synthesizer(target="group", **parameters).fit(real)


def test_a_described_dataset_reads_back(model: Synthesizer, tmp_path: Path) -> None:
    manifest = model.generate(tmp_path / "out", rows=30, describe=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["README.md", "croissant.json", "data"]
    assert len(pd.read_parquet(tmp_path / "out" / "data")) == 30
    first = {name: (tmp_path / "out" / name).read_bytes() for name in ("README.md", "croissant.json")}
    assert model.generate(tmp_path / "out", rows=30, describe=True, resume=True) == manifest
    model.generate(tmp_path / "out", rows=1500, describe=True, overwrite=True)
    model.generate(tmp_path / "out", rows=30, describe=True, overwrite=True)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in first} == first


def test_the_card_is_that_of_the_rows(model: Synthesizer, tmp_path: Path) -> None:
    manifest = model.generate(tmp_path / "my rows", rows=1200, describe=True)
    card = (tmp_path / "my rows" / "README.md").read_text("utf-8")
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["size_categories"] == ["1K<n<10K"]
    assert front["configs"] == [{"config_name": "default", "data_files": "data/*.parquet"}]
    assert manifest["parts"][0]["sha256"] in card
    assert "# my rows" in card
    assert f"`x` ({manifest['classes']['x']:,})" in card
    assert all(line.count("|") == 4 for line in card.splitlines() if "continuous" in line)


def test_no_real_value_is_stated(model: Synthesizer, tmp_path: Path) -> None:
    model.generate(tmp_path / "out", rows=10, describe=True)
    for name in ("README.md", "croissant.json"):
        text = (tmp_path / "out" / name).read_text("utf-8")
        assert "987" not in text
        assert "200 rows" not in text


@pytest.mark.parametrize(("rows", "size"), [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (10**9 + 1, "100M<n<1B")])
def test_sizes_are_those_of_hugging_face(model: Synthesizer, rows: int, size: str) -> None:
    manifest = {**model.learned_.manifest(model.learned_.request(10, 0)), "rows": rows, "parts": []}
    assert f"- {size}\n" in dataset_card.card("name", manifest, {})


def test_private_rows_state_what_was_spent(model: Synthesizer) -> None:
    statement = {"epsilon": 1.0, "delta": 1e-6, "unit": "one row", "adjacency": "add/remove", "accountant": "PLD"}
    manifest = {**model.learned_.manifest(model.learned_.request(10, 0)), "parts": [], "ledger": statement}
    assert "epsilon 1 at delta 1e-06; unit: one row" in dataset_card.card("name", manifest, {})


def test_what_is_refused_changes_nothing(model: Synthesizer, tmp_path: Path) -> None:
    refused: list[tuple[str, dict[str, Any]]] = [("out.csv", {}), ("out", {"copies": 2}), ("out", {"partition": True})]
    for place, options in refused:
        with pytest.raises(RequestError, match="`describe` needs one dataset in a folder"):
            model.generate(tmp_path / place, rows=5, describe=True, **options)
    with pytest.raises(ConfigurationError, match="path"):
        model.generate("s3://bucket/rows", rows=5, describe=True)
    model.generate(tmp_path / "plain", rows=5)
    with pytest.raises(DatasetError, match="must be empty or a described dataset"):
        model.generate(tmp_path / "plain", rows=5, describe=True)
    model.generate(tmp_path / "described", rows=5, describe=True)
    with pytest.raises(DatasetError, match="Pass --overwrite"):
        model.generate(tmp_path / "described", rows=6, describe=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["described", "plain"]


def test_files_of_others_are_not_replaced(model: Synthesizer, tmp_path: Path) -> None:
    for name in ("README.md", "croissant.json"):
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        (folder / name).write_text("mine")
        with pytest.raises(DatasetError, match="no rows"):
            model.generate(folder, rows=5, describe=True)
        assert [(path.name, path.read_text()) for path in folder.iterdir()] == [(name, "mine")]
        model.generate(folder, rows=5, describe=True, overwrite=True)
        assert (folder / name).read_text() != "mine"


def test_a_complete_dataset_keeps_an_edited_card(model: Synthesizer, tmp_path: Path) -> None:
    model.generate(tmp_path, rows=5, describe=True)
    (tmp_path / "README.md").write_text("edited")
    metadata = (tmp_path / "croissant.json").read_bytes()
    (tmp_path / "croissant.json").unlink()
    model.generate(tmp_path, rows=5, describe=True, resume=True)
    assert (tmp_path / "README.md").read_text() == "edited"
    assert (tmp_path / "croissant.json").read_bytes() == metadata
    model.generate(tmp_path, rows=6, describe=True, resume=True, overwrite=True)
    assert (tmp_path / "README.md").read_text() != "edited"


def test_a_dataset_is_described_in_the_shell(model: Synthesizer, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    words = ["generate", str(tmp_path / "model"), "--rows", "5", "--describe", "-o", str(tmp_path / "out")]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert json.loads((tmp_path / "out" / "croissant.json").read_text())["@type"] == "sc:Dataset"


@pytest.mark.slow
@pytest.mark.skipif(
    not ORACLE.exists(), reason="mlcroissant has an environment of its own, which `make .venv-oracle/.dev` makes"
)
def test_mlcroissant_reads_all_rows(model: Synthesizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request, "PART_ROWS", 10)  # several files
    model.generate(tmp_path / "out", rows=45, describe=True)
    command = [str(ORACLE), "-c", SCRIPT, str(tmp_path / "out" / "croissant.json")]
    found = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert found["errors"] == 0
    assert len(found["rows"]) == 45
    own = pd.read_parquet(tmp_path / "out" / "data")
    by_field = dict(zip(found["fields"], own, strict=True))
    read = pd.DataFrame(found["rows"]).rename(columns=by_field)
    assert sorted(read["age"].astype(int)) == sorted(own["age"])
    assert sorted(read[ODD].astype(float)) == pytest.approx(sorted(own[ODD]))
    assert sorted(read["group"]) == sorted(own["group"].astype(str))
