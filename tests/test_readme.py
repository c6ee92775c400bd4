"""What README and examples show, runs."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.datasets import load_wine
from typer.main import get_command

from synthvae.cli.main import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("code", blocks("python"))
def test_python_block_runs(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})


@pytest.mark.slow
@pytest.mark.parametrize("script", [block for block in blocks("sh") if block.startswith("synthvae")])
def test_shell_block_runs(script: str, tmp_path: Path) -> None:
    load_wine(as_frame=True).frame.query("target < 2").to_csv(tmp_path / "table.csv", index=False)
    for line in script.strip().splitlines():
        words = shlex.split(line, comments=True)
        done = subprocess.run([sys.executable, "-m", *words], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (line, done.stderr)
        schema = tmp_path / "schema.yaml"  # a person reviews it
        schema.write_text(schema.read_text(encoding="utf-8").replace("inferred: true\n", ""), encoding="utf-8")


def test_make_block_names_targets_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = re.findall(r"^make (\w+)", blocks("sh")[0], re.MULTILINE)
    assert named == ["demo", "test"]
    assert all(f"\n{target}:" in makefile for target in named)


def test_every_command_is_documented_and_has_help() -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    commands = get_command(app).commands  # type: ignore[attr-defined]
    for name, command in commands.items():
        assert f"| `synthvae {name}`" in page
        assert command.help
    assert set(re.findall(r"^\| `synthvae (\w+)`", page, re.MULTILINE)) == set(commands)


def test_readme_is_short() -> None:
    assert len(README.splitlines()) <= 120


def test_links_and_pictures_of_readme_are_there() -> None:
    named = re.findall(r"\]\(([^)#]+)[^)]*\)", README)
    assert named
    assert not [name for name in named if not (ROOT / name).exists()]


def test_the_picture_of_readme_is_small() -> None:
    assert (ROOT / "docs" / "pictures" / "report.png").stat().st_size < 200_000


@pytest.mark.slow
@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_example_runs(example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [example.name])
    runpy.run_path(str(example), run_name="__main__")


def test_readme_disclaims_affiliation() -> None:
    assert "not affiliated with NHSX" in README


def test_help_does_not_import_torch() -> None:
    code = "import sys; from typer.testing import CliRunner; from synthvae.cli.main import app;"
    code += "assert CliRunner().invoke(app, ['--help']).exit_code == 0; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)
