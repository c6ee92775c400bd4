"""Calls in a process of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from synthvae.errors import ConfigurationError, TableError
from synthvae.tables import isolation, statistical
from synthvae.tables.isolation import ProcessEndedError, call_isolated
from synthvae.tables.read_options import ReadOptions


def test_results_and_exceptions_are_those_of_a_plain_call() -> None:
    assert call_isolated(divmod, 17, 5) == divmod(17, 5)
    with pytest.raises(ZeroDivisionError, match="zero"):
        call_isolated(divmod, 17, 0)


def test_it_is_another_process_in_which_nothing_printed_gets_between() -> None:
    assert call_isolated(os.getpid) != os.getpid()
    assert call_isolated(os.write, 1, b"noise") == 5
    assert call_isolated(print, "noise") is None


def test_modules_are_found_where_this_process_finds_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_module_of_mine.py").write_text("def answer():\n    return 42\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    import a_module_of_mine  # type: ignore[import-not-found]

    assert call_isolated(a_module_of_mine.answer) == 42


class UnpicklableError(Exception):
    def __init__(self, *, reason: str) -> None:
        super().__init__(reason)


def _fails() -> None:
    raise UnpicklableError(reason="as it is")


def test_exceptions_that_cannot_be_sent_are_told_by_their_text() -> None:
    with pytest.raises(RuntimeError, match="UnpicklableError: as it is"):
        call_isolated(_fails)


@pytest.mark.parametrize("executable", ["", "/nothing/python"])
def test_a_program_without_an_interpreter_is_told_so(
    tmp_path: Path, executable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "t.sav").write_bytes(b"$FL2")
    with pytest.raises(ConfigurationError, match="must be a Python interpreter"):
        statistical.read_spss(tmp_path / "t.sav", ReadOptions())


def test_variables_of_the_environment_name_no_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pickle.py").write_text("raise SystemExit(3)", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert call_isolated(max, 3, 5) == 5


def test_the_end_of_the_process_is_an_error() -> None:
    with pytest.raises(ProcessEndedError, match=f"exit code -{signal.SIGKILL:d}"):
        call_isolated(signal.raise_signal, signal.SIGKILL)
    with pytest.raises(ProcessEndedError, match="exit code 0"):
        call_isolated(os._exit, 0)


def test_an_interrupt_ends_both(tmp_path: Path) -> None:
    """The process that was started is gone, too."""
    marker = tmp_path / "alive"
    code = f"import time, pathlib\nwhile True:\n pathlib.Path({str(marker)!r}).touch(); time.sleep(0.05)"
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 2.0)
    try:
        with pytest.raises(KeyboardInterrupt):
            call_isolated(exec, code)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert marker.exists()
    marker.unlink()
    time.sleep(0.3)
    assert not marker.exists()


def test_a_reader_that_crashes_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.sav").write_bytes(b"$FL2")
    monkeypatch.setattr(isolation, "_CHILD", "import signal; signal.raise_signal(signal.SIGSEGV)")
    with pytest.raises(TableError, match=r"must be an SPSS file.*exit code -11") as refused:
        statistical.read_spss(tmp_path / "t.sav", ReadOptions())
    assert "\n" not in str(refused.value)


def test_a_file_is_read_with_a_script_as_main_module(tmp_path: Path) -> None:
    """A script without a guard is not run again."""
    script = tmp_path / "script.py"
    script.write_text(
        "from synthvae.tables.isolation import call_isolated\nprint('once', call_isolated(max, 1, 2))\n",
        encoding="utf-8",
    )
    assert call_isolated(_output, str(script)) == "once 2\n"


def _output(script: str) -> str:
    return subprocess.run([sys.executable, script], capture_output=True, text=True, check=True).stdout
