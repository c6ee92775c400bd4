"""A small study of wine, whose evaluation takes no time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from sklearn.datasets import load_wine
from typer.testing import CliRunner, Result

from synthvae import evaluation, recipe
from synthvae.cli.main import app

Page = dict[str, Any]
QUICK = {"max_steps": 4, "width": 8, "latent_dim": 2, "device": "cpu"}
ALL = ["split", "fit", "generate", "evaluate", "report"]


class FewFigures:
    """Two figures, at once, in the place of all that can be measured."""

    def __init__(self, real: pa.Table, synthetic: pa.Table, holdout: pa.Table | None) -> None:
        self.rows = {"real": real.num_rows, "synthetic": synthetic.num_rows, "holdout": holdout and holdout.num_rows}
        metric = evaluation.Metric("trend", "Trend", "higher", "", "")
        self.figures = {"trend": evaluation.Figure(metric, 0.8123456)}

    def to_json(self, path: Path) -> None:
        figures = {name: figure.to_dict() for name, figure in self.figures.items()}
        rows = {name: count for name, count in self.rows.items() if count is not None}
        path.write_text(json.dumps({"rows": rows, "seed": 0, "sections": {"fidelity": {"figures": figures}}}))

    def to_html(self, path: Path) -> None:
        path.write_text(f"<html>{self.rows}</html>")


def write(folder: Path, page: Any) -> Path:
    path = folder / "study.yaml"
    path.write_text(page if isinstance(page, str) else yaml.safe_dump(page))
    return path


def run(folder: Path, page: Page, **options: Any) -> dict[str, str]:
    """What became of each stage."""
    return {step.stage: step.done for step in recipe.run(write(folder, page), folder / "out", **options).steps}


def ran(folder: Path, page: Page, **options: Any) -> list[str]:
    return [name for name, done in run(folder, page, **options).items() if done == "ran"]


def command(folder: Path, page: Any, *words: str) -> Result:
    return CliRunner().invoke(app, ["run", str(write(folder, page)), "-o", str(folder / "out"), *words])


def contents(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def edited(page: Page, **sections: Any) -> Page:
    """The page with other sections, None: without them."""
    return {name: value for name, value in {**page, **sections}.items() if value is not None}


def without_measuring(monkeypatch: pytest.MonkeyPatch) -> list[Page]:
    """What `evaluate` is asked from now on, in the place of being done."""
    asked: list[Page] = []

    def evaluate(**given: Any) -> FewFigures:
        asked.append(given)
        return FewFigures(given["real"], given["synthetic"], given["holdout"])

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    return asked


def study_of_wine(folder: Path) -> Page:
    """A page, and the table that it names beside it."""
    frame = load_wine(as_frame=True).frame.iloc[:, [0, 6, 12, 13]]
    frame.assign(target=frame["target"].map({0: "a", 1: "b", 2: "c"})).to_csv(folder / "wine.csv", index=False)
    return {
        "input": "wine.csv",
        "target": "target",
        "split": {"holdout": 0.25},
        "model": QUICK,
        "generation": {"rows": 50},
        "evaluation": {"attacks": False},
        "report": {"html": "report.html", "json": "report.json"},
    }
