"""The packages of synthvae, their floors, and the rule that an import leads to a lower one."""

from __future__ import annotations

import ast
import itertools
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "synthvae"
FLOORS = [
    {"_version", "errors"},
    {"codes", "notebook", "progress", "safe_yaml"},
    {"devices", "filesystem", "model", "random_state"},
    {"tables", "training"},
    {"plots", "schema"},
    {"encoding", "evaluation"},
    {"generation"},
    {"privacy"},
    {"synthesizer"},
    {"cluster", "estimators", "relational"},
    {"recipe"},
    {"cli"},
    {"__init__", "__main__"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS, start=1) for room in rooms}
PUBLIC = {"Column": "schema", "PrivacyBudget": "privacy", "Schema": "schema", "Synthesizer": "synthesizer"}
MEETING = {"generation", "privacy", "synthesizer"}  # where tables and tensors meet
TABLES = {"pandas", "pyarrow"}
FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {".".join(("synthvae", *path.relative_to(PACKAGE).with_suffix("").parts)): path for path in FILES}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Full names of all that a file imports, wherever the statement stands, also for types alone."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def rooms(path: Path) -> set[str]:
    """The packages and root modules of synthvae that a file imports from."""
    names = {name.split(".")[1] for name in imports(path) if name.startswith("synthvae.")}
    return {PUBLIC.get(name, name) for name in names}


def names(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", FILES, ids=names)
def test_imports_lead_to_lower_floors(path: Path) -> None:
    others = rooms(path) - {room(path)}
    assert others <= FLOOR.keys()
    floor = FLOOR[room(path)]
    wrong = {other for other in others if FLOOR[other] >= floor}
    assert not wrong or (room(path) == "errors" and not others)


@pytest.mark.parametrize("path", FILES, ids=names)
def test_tables_and_tensors_meet_in_few_packages(path: Path) -> None:
    tops = {name.split(".")[0] for name in imports(path)}
    assert room(path) != "model" or not tops & TABLES
    assert room(path) not in {"tables", "schema", "encoding", "evaluation"} or "torch" not in tops
    assert room(path) in MEETING or not ("torch" in tops and tops & TABLES)


def test_no_import_is_circular() -> None:
    """Within a package, too; files that import each other cannot be understood one by one."""
    graph = {
        module: {found for name in imports(path) if (found := owner(name)) and found != module}
        for module, path in MODULES.items()
        if path.name != "__init__.py"
    }
    left = dict(graph)
    while free := {module for module, used in left.items() if not used & left.keys()}:
        left = {module: used for module, used in left.items() if module not in free}
    assert not left


def owner(name: str) -> str | None:
    """The module that a full name is, or is defined in."""
    return next((found for found in (name, name.rpartition(".")[0]) if found in MODULES), None)


def test_the_root_has_few_doors() -> None:
    root = {path.stem for path in PACKAGE.glob("*.py")}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert root | packages <= FLOOR.keys()
    assert len(root) <= 11
    assert len(packages) <= 15
    junk = {"base", "common", "helper", "helpers", "misc", "util", "utils"}
    assert not junk & {part.removesuffix(".py") for path in FILES for part in path.relative_to(PACKAGE).parts}


def test_nothing_is_on_two_floors() -> None:
    assert not any(first & second for first, second in itertools.combinations(FLOORS, 2))


@pytest.mark.parametrize("statement", ["import synthvae", "from synthvae import Synthesizer"])
def test_importing_loads_nothing_that_is_not_used(statement: str) -> None:
    heavy = "{'opacus', 'ray', 'plotly', 'typer', 'matplotlib', 'polars', 'tensorboard'}"
    code = f"import sys; {statement}; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
