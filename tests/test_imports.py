"""Imports point one way, and the rooms are the ones that were drawn."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "synthvae"
FORBIDDEN_ROOMS = {"util", "utils", "common", "helper", "helpers", "base", "misc"}

# Each room, and the rooms of synthvae that it may import.
MAY_IMPORT = {
    "errors": set[str](),
    "tables": {"columns", "errors", "files", "foreign"},
    "rowwise": {"columns", "errors", "files", "foreign", "tables"},
    "drafting": {"columns", "pages", "scalars", "schema"},
    "foreign": {"errors"},
    "pages": set[str](),
    "scalars": set[str](),
    "writing": set[str](),
    "columns": {"errors"},
    "checks": {"columns", "errors", "schema", "writing"},
    "schema": {"atomic", "checks", "errors", "inference", "pages", "scalars", "tables"},
    "inference": {"columns", "errors", "schema", "writing"},
    "declared": {"columns", "errors", "schema"},
    "conform": {"declared", "errors", "readings", "schema"},
    "readings": {"columns", "declared"},
    "encoding": {"columns", "declared", "errors", "inference", "schema", "slots", "writing"},
    "model": {"slots"},
    "slots": set[str](),
    "history": set[str](),
    "optimizer": set[str](),
    "descent": {"history"},
    "training": {
        "checkpoint",
        "descent",
        "encoding",
        "errors",
        "frequencies",
        "history",
        "labelling",
        "model",
        "optimizer",
        "threads",
    },
    "labelling": {"model"},
    "privacy": {
        "atomic",
        "checkpoint",
        "columns",
        "declared",
        "descent",
        "encoding",
        "errors",
        "frequencies",
        "history",
        "model",
        "pages",
        "readings",
        "scalars",
        "schema",
        "slots",
        "threads",
        "training",
    },
    "checkpoint": {"artifact", "atomic", "errors"},
    "files": {"columns", "errors", "foreign"},
    "streams": {"files", "tables"},
    "survey": {"columns", "errors"},
    "shards": {"atomic", "encoding"},
    "source": {
        "atomic",
        "encoding",
        "errors",
        "schema",
        "shards",
        "streams",
        "survey",
        "tables",
        "training",
    },
    "frequencies": {"slots"},
    "threads": set[str](),
    "generation": {"encoding", "model", "slots", "threads"},
    "locks": set[str](),
    "dataset": {"atomic", "errors", "locks"},
    "artifact": {"atomic", "errors", "locks"},
    "progress": set[str](),
    "card": {"history", "measured", "scalars", "schema"},
    "measured": {"errors"},
    "provenance": set[str](),
    "watching": {"descent", "errors", "history"},
    "asked": {"declared", "errors", "inference", "model", "pages", "privacy", "schema", "training"},
    "kept": {"artifact", "card", "described", "device", "fitted", "learned"},
    "described": {"encoding", "errors", "learned", "model", "tables"},
    "atomic": {"errors"},
    "features": {"errors", "rowwise", "tables"},
    "learned": {
        "artifact",
        "checkpoint",
        "conform",
        "descent",
        "encoding",
        "errors",
        "generation",
        "history",
        "likelihood",
        "model",
        "privacy",
        "provenance",
        "schema",
        "source",
        "threads",
        "training",
    },
    "reconstruction": {"encoding", "errors", "learned", "tables"},
    "private": {
        "columns",
        "conform",
        "declared",
        "descent",
        "encoding",
        "errors",
        "generation",
        "history",
        "learned",
        "model",
        "privacy",
        "schema",
        "seeds",
        "training",
    },
    "likelihood": {"errors", "model"},
    "fitted": {
        "dataset",
        "encoding",
        "errors",
        "features",
        "generation",
        "history",
        "learned",
        "model",
        "privacy",
        "progress",
        "reconstruction",
        "schema",
        "seeds",
        "tables",
    },
    "crew": {"privacy", "training"},
    "device": {"errors"},
    "fitting": {
        "asked",
        "checkpoint",
        "crew",
        "device",
        "encoding",
        "errors",
        "features",
        "fitted",
        "inference",
        "kept",
        "learned",
        "model",
        "privacy",
        "private",
        "progress",
        "schema",
        "seeds",
        "source",
        "streams",
        "training",
        "watching",
    },
    "synthesizer": {"asked", "crew", "errors", "fitting", "kept", "privacy", "private", "schema", "seeds", "watching"},
    "cluster": {
        "atomic",
        "checkpoint",
        "dataset",
        "descent",
        "encoding",
        "errors",
        "history",
        "model",
        "privacy",
        "shards",
        "slots",
        "synthesizer",
        "training",
    },
    "plots": {"errors", "history"},
    "seeds": {"errors"},
    "estimators": {
        "columns",
        "encoding",
        "errors",
        "features",
        "reconstruction",
        "schema",
        "seeds",
        "source",
        "synthesizer",
        "tables",
        "training",
    },
    "augmentation": {"atomic", "encoding", "errors", "estimators", "seeds", "synthesizer", "tables", "writing"},
    "interrupts": set[str](),
    "shell": {"errors", "interrupts"},
    "evaluation": {"atomic", "columns", "errors", "progress", "scalars", "schema", "seeds", "tables"},
    "demonstration": {"artifact", "errors", "evaluation", "synthesizer"},
    "cli": {
        "artifact",
        "atomic",
        "augmentation",
        "card",
        "cluster",
        "demonstration",
        "drafting",
        "errors",
        "evaluation",
        "measured",
        "privacy",
        "progress",
        "recipe",
        "rowwise",
        "schema",
        "shell",
        "source",
        "streams",
        "synthesizer",
        "tables",
    },
    "recipe": {
        "artifact",
        "atomic",
        "augmentation",
        "columns",
        "dataset",
        "errors",
        "evaluation",
        "locks",
        "pages",
        "privacy",
        "rowwise",
        "scalars",
        "schema",
        "synthesizer",
        "tables",
    },
    "__init__": {"privacy", "schema", "synthesizer"},
    "__main__": {"cli", "interrupts"},
}
TABLE_WORLD = {"pandas", "pyarrow"}
TENSOR_WORLD = {"torch"}


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Absolute names of all modules that a file imports at run time, wherever the statement stands."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in list(ast.walk(tree)):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "synthvae":
            found |= {f"synthvae.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def test_every_room_is_on_the_map() -> None:
    assert {room(path) for path in files()} == set(MAY_IMPORT)
    assert not {path.stem for path in files()} & FORBIDDEN_ROOMS


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    facade = {"Synthesizer": "synthesizer", "Schema": "schema", "Column": "schema"}
    rooms = {name.split(".")[1] for name in imports(path) if name.startswith("synthvae.")}
    rooms = {facade.get(name, name) for name in rooms} - {room(path), "__version__"}
    assert rooms <= MAY_IMPORT[room(path)]


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_tables_and_tensors_meet_only_where_rows_become_codes(path: Path) -> None:
    tops = {name.split(".")[0] for name in imports(path)}
    if room(path) not in {
        "described",
        "fitted",
        "learned",
        "private",
    }:  # the facades hand one to the other
        assert not (tops & TABLE_WORLD and tops & TENSOR_WORLD)
    assert room(path) != "model" or not tops & TABLE_WORLD
    assert room(path) != "encoding" or not tops & TENSOR_WORLD


@pytest.mark.parametrize("statement", ["import synthvae", "from synthvae import Synthesizer"])
def test_importing_loads_nothing_that_is_not_used(statement: str) -> None:
    heavy = "{'opacus', 'ray', 'plotly', 'typer', 'matplotlib', 'polars', 'tensorboard'}"
    code = f"import sys; {statement}; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
