"""The scripts in `tests/benchmarks`, which are run by hand, can be imported: all that they use is still there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = sorted(path.stem for path in (Path(__file__).parent / "benchmarks").glob("*.py"))
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
    folder = Path(__file__).parent / "benchmarks"
    words = [sys.executable, "-c", IMPORT, str(folder), *SCRIPTS]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    absent = [line for line in done.stdout.splitlines() if line.split()[1].partition(".")[0] not in PEERS]
    assert not absent
