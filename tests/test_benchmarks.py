"""The scripts in `tests/benchmarks`, which are run by hand, can be imported, and the documentation has their report."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS, DOCS = Path(__file__).parent / "benchmarks", Path(__file__).parents[1] / "docs"
SCRIPTS = sorted(path.stem for path in BENCHMARKS.glob("*.py"))
PEERS = {"ctgan", "mostlyai", "mbi", "be_great", "snsynth", "smartnoise"}  # what only environments of peers have
IMPORT = """
import importlib, sys
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        print(name, error.name)
"""


@pytest.mark.slow
def test_scripts_can_be_imported() -> None:
    words = [sys.executable, "-c", IMPORT, str(BENCHMARKS), *SCRIPTS]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    absent = [line for line in done.stdout.splitlines() if line.split()[1].partition(".")[0] not in PEERS]
    assert not absent


def test_the_page_of_benchmarks_is_what_the_script_writes() -> None:
    """The page of the documentation has the parts of the report, states its source, and shows its charts."""
    spec = importlib.util.spec_from_file_location("report_of_benchmarks", BENCHMARKS / "report.py")
    assert spec is not None
    assert spec.loader is not None
    report = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        patch.setitem(sys.modules, "report_of_benchmarks", report)
        spec.loader.exec_module(report)
    page = (DOCS / "benchmarks.md").read_text(encoding="utf-8")
    assert page.startswith(f"# Benchmarks\n\n{report.INTRODUCTION}\n\nSettings: ")
    assert f"\n\n{report.LEGEND}\n\n" in page
    assert re.search(r"synthvae [\d.]+ \(commit [0-9a-f]{7,}\)", page)
    assert re.search(r"^Machine: .* cores, .* of memory", page, re.MULTILINE)
    pictures = re.findall(r"!\[[^]]+\]\((\S+)\)", page)
    assert len(pictures) == 2
    assert all((DOCS / picture).is_file() for picture in pictures)
