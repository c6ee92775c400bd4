"""Tables read in a process of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa
import pytest

from synthvae.errors import ConfigurationError, TableError
from synthvae.tables import isolation, statistical
from synthvae.tables.isolation import ProcessEndedError, example, read_isolated
from synthvae.tables.read_options import ReadOptions


def told(text: str) -> pa.Table:
    """What a process says of itself: its number, after it has printed something."""
    print(text)
    os.write(1, b"noise")
    return pa.table({"pid": [os.getpid()], "c": pa.array(["x"]).dictionary_encode()})


def fails(kind: str) -> pa.Table:
    raise {"table": TableError, "value": ValueError, "memory": MemoryError}[kind](kind)


def ends(how: str) -> pa.Table:
    if how == "killed":
        signal.raise_signal(signal.SIGKILL)
    os._exit(0)


def touches(marker: str) -> pa.Table:
    while True:
        Path(marker).touch()
        time.sleep(0.05)


def output(script: str) -> pa.Table:
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    return pa.table({"out": [done.stdout]})


def test_it_is_another_process_in_which_nothing_printed_gets_between() -> None:
    found = read_isolated(told, "noise")
    assert found.column("pid")[0].as_py() != os.getpid()
    assert found.schema.field("c").type == pa.dictionary(pa.int32(), pa.string())


@pytest.mark.parametrize(("kind", "error"), [("table", TableError), ("value", RuntimeError), ("memory", MemoryError)])
def test_an_exception_is_raised_here(kind: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"^{kind}$"):
        read_isolated(fails, kind)


def test_modules_are_found_where_this_process_finds_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import pyarrow as pa\ndef answer():\n    return pa.table({'x': [42]})\n"
    (tmp_path / "a_module_of_mine.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    import a_module_of_mine  # type: ignore[import-not-found]

    assert read_isolated(a_module_of_mine.answer).to_pydict() == {"x": [42]}


def test_variables_of_the_environment_name_no_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(5)", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert read_isolated(example, 2).num_rows == 2


@pytest.mark.parametrize(("how", "code"), [("killed", -9), ("at once", 0)])
def test_the_end_of_the_process_is_an_error(how: str, code: int) -> None:
    with pytest.raises(ProcessEndedError, match=f"exit code {code}"):
        read_isolated(ends, how)


def test_an_interrupt_ends_both(tmp_path: Path) -> None:
    marker = tmp_path / "alive"

    def interrupt() -> None:
        while not marker.exists():
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        read_isolated(touches, str(marker))
    thread.join()
    marker.unlink()
    time.sleep(0.3)
    assert not marker.exists()


@pytest.mark.parametrize("executable", ["", "/nothing/python"])
def test_a_program_without_an_interpreter_is_told_so(
    tmp_path: Path, executable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "t.sav").write_bytes(b"$FL2")
    with pytest.raises(ConfigurationError, match="must be a Python interpreter"):
        statistical.read_spss(tmp_path / "t.sav", ReadOptions())


def test_a_reader_that_crashes_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.sav").write_bytes(b"$FL2")
    monkeypatch.setattr(isolation, "_CHILD", "import signal; signal.raise_signal(signal.SIGSEGV)")
    with pytest.raises(TableError, match=r"must be an SPSS file.*exit code -11") as refused:
        statistical.read_spss(tmp_path / "t.sav", ReadOptions())
    assert "\n" not in str(refused.value)


def test_a_script_without_a_guard_is_not_run_again(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from synthvae.tables.isolation import example, read_isolated\nprint('once', len(read_isolated(example, 2)))\n",
        "utf-8",
    )
    assert output(str(script)).to_pydict() == {"out": ["once 2\n"]}
