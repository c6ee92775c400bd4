"""The code blocks of the documentation run, page by page, in the order in which a reader meets them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+\.md)[^)]*\)")
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
RUNNABLE = [path for path in PAGES if BLOCK.search(path.read_text(encoding="utf-8"))]


def name_of(path: Path) -> str:
    return str(path.relative_to(DOCS).with_suffix(""))


def run_shell(script: str, folder: Path) -> None:
    """Run a block in bash, which stops at the first command that fails."""
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"


def run_page(text: str, folder: Path, name: str) -> None:
    """Run the blocks of a page in `folder`; those in Python share their names, as in one session."""
    session: dict[str, Any] = {"__name__": "__main__"}
    for match in BLOCK.finditer(text):
        language, block = match.groups()
        if language == "sh":
            run_shell(block, folder)
        else:
            line = text.count("\n", 0, match.start()) + 1
            exec(compile("\n" * line + block, name, "exec"), session)


@pytest.mark.slow
@pytest.mark.parametrize("page", RUNNABLE, ids=name_of)
def test_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_page(page.read_text(encoding="utf-8"), tmp_path, str(page))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_lead_somewhere(page: Path) -> None:
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    assert not [target for target in targets if not (page.parent / target).exists()]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_block_languages_are_known(page: Path) -> None:
    """A fence without a language, or with a misspelt one, would be a block that no test runs."""
    opened = re.findall(r"^```(\S*)", page.read_text(encoding="utf-8"), re.MULTILINE)[::2]
    known = {"python", "sh", "text", "console", "yaml"}
    assert not [language for language in opened if language not in known and not language.startswith("{")]
