"""An audit that could not be done is no success."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from dependencies import main, told

GOOD = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
UNKNOWN = {"name": "c", "skip_reason": "Dependency not found on PyPI"}


@pytest.mark.parametrize(("found", "code", "said"), [
    ([GOOD], 0, "1 of 1"), ([GOOD, BAD], 1, "PYSEC-1, mended in 3"), ([GOOD, UNKNOWN], 2, "of 1 nothing is known"),
    ([BAD, UNKNOWN], 1, "1 known holes"), ([UNKNOWN], 2, "nothing was audited"),
])  # fmt: skip
def test_what_was_not_compared_is_said(
    found: list[dict[str, Any]], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(found) == code
    assert said in capsys.readouterr().out


def test_without_a_network_one_sentence_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "pip-audit"
    broken.write_text("#!/bin/sh\necho 'Traceback' >&2; echo 'ConnectionError: no route' >&2; exit 1\n")
    broken.chmod(0o755)
    assert main(str(broken), str(tmp_path)) == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert "cannot be reached (ConnectionError: no route)" in line
