"""What `make` installs is pinned, so that it gives tomorrow what it gave today."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

ROOT = Path(__file__).parents[1]
FILES = [ROOT / "constraints.txt", *sorted((ROOT / "tests" / "constraints").glob("*.txt"))]
PINS = runpy.run_path(str(ROOT / "tests" / "constraints" / "pins.py"))


def pinned(file: Path) -> dict[str, str]:
    return PINS["pinned"](file.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def wanted(environment: str) -> set[str]:
    """The packages that the project names for an environment: "docs", or the one of all other extras and groups."""
    extras, groups = project()["project"]["optional-dependencies"], project()["dependency-groups"]
    chosen = [names for extra, names in extras.items() if (extra == "docs") == (environment == "docs")]
    chosen += (
        [groups["build"]] if environment == "docs" else [groups[name] for name in ("dev", "test", "core", "build")]
    )
    named = [*project()["project"]["dependencies"], *(name for names in chosen for name in names)]
    texts = (re.split(r"[\[<>=~ ]", text)[0] for text in named if isinstance(text, str))
    return {PINS["canonical"](text) for text in texts}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_constraints_are_names_and_versions_alone(file: Path) -> None:
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.!]*", line) for line in lines)
    assert len(pinned(file)) == len(lines)


def test_all_that_the_project_names_is_pinned() -> None:
    assert not wanted("all") - pinned(ROOT / "constraints.txt").keys()
    assert not wanted("docs") - pinned(ROOT / "tests" / "constraints" / "docs.txt").keys()


def test_the_lowest_versions_that_the_project_names_are_run() -> None:
    """All but those of torch, which every environment shares, and of what only the site and clusters need."""
    pins = pinned(ROOT / "tests" / "constraints" / "lowest.txt")
    extras = project()["project"]["optional-dependencies"]
    chosen = [names for extra, names in extras.items() if extra not in {"docs", "ray"}]
    bounds = [name.split(">=") for name in sum(chosen, project()["project"]["dependencies"])]
    assert [name for name, lowest in bounds if Version(pins[PINS["canonical"](name)]) != Version(lowest)] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_pip_is_pinned_and_torch_is_the_same_everywhere(file: Path) -> None:
    pins = pinned(file)
    assert "pip" in pins
    assert pins.get("torch") in {None, pinned(ROOT / "constraints.txt")["torch"]}


def test_a_package_without_a_pin_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pins.txt"
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join(line for line in lines if not line.startswith("numpy==")), encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["pins.py", "check", str(file)])
    with pytest.raises(SystemExit, match="numpy=="):
        PINS["main"]()
