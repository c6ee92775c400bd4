"""An interrupt ends a command, also while libraries are imported that would lose it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from synthvae.cli.interrupts import SIGNALS, interruptible

SWALLOWS = """
import pathlib, time
pathlib.Path({there!r}).touch()
try:
    time.sleep(600)
except BaseException:
    pass
"""
WORKING = """
import sys
sys.path.insert(0, sys.argv[1])
from synthvae.cli.interrupts import interruptible
with interruptible():
    import swallows
print("went on")
"""
LOADING = """
import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            import swallows
sys.meta_path.insert(0, Finder())
"""
RAISING = """
import pathlib, sys, time
from synthvae.cli.interrupts import interruptible
with interruptible() as interrupted:
    try:
        pathlib.Path(sys.argv[1], "there").touch()
        time.sleep(600)
    except KeyboardInterrupt:
        print("raised", interrupted.is_set())
"""


@contextlib.contextmanager
def stopped(folder: Path, *command: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has stopped where `folder/there` says so."""
    (folder / "swallows.py").write_text(SWALLOWS.format(there=str(folder / "there")), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    piped = subprocess.PIPE
    with subprocess.Popen([sys.executable, *command], env=environment, text=True, stdout=piped, stderr=piped) as run:
        while not (folder / "there").exists():
            assert run.poll() is None, run.communicate()[1]
            time.sleep(0.01)
        yield run


@pytest.mark.parametrize("number", SIGNALS)
def test_an_import_that_loses_exceptions_is_left_at_once(number: signal.Signals, tmp_path: Path) -> None:
    with stopped(tmp_path, "-c", WORKING, str(tmp_path)) as run:
        run.send_signal(number)
        assert run.communicate() == ("", "error: interrupted\n")
    assert run.returncode == 130


@pytest.mark.parametrize("number", SIGNALS)
def test_a_shell_that_is_loading_is_left_at_once(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(LOADING, encoding="utf-8")
    with stopped(tmp_path, "-m", "synthvae", "--help") as run:
        run.send_signal(number)
        assert run.communicate() == ("", "error: interrupted\n")
    assert run.returncode == 130


@pytest.mark.parametrize("number", SIGNALS)
def test_at_any_other_moment_an_interrupt_raises(number: signal.Signals, tmp_path: Path) -> None:
    with stopped(tmp_path, "-c", RAISING, str(tmp_path)) as run:
        run.send_signal(number)
        assert run.communicate() == ("raised True\n", "")
    assert run.returncode == 0


def test_handlers_are_set_back_and_other_threads_set_none() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with interruptible():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before
    seen: list[object] = []

    def elsewhere() -> None:
        with interruptible():
            seen.extend(signal.getsignal(number) for number in SIGNALS)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == before
