"""Worker processes give what a plain loop does, and end with the process that started them, whenever that is."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import psutil
import pytest
from processes import marked, new_mark, shared_memory
from written import PARTS, draw, expected, tree, write

from synthvae.generation import workers as pool

HERE = Path(__file__).parent
STAGES = ("before", "started", "python", "load", "begin", "work", "result")
HANG = 600  # seconds; far more than an end may take (`benchmarks/interrupts.py` measures that)


def nothing(*_: object) -> None:
    pass


def square(number: int) -> int:
    return number * number


class UnsendableError(Exception):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")


def fail_at(number: int, error: str, at: int) -> int:
    if number == at:
        raise {"value": ValueError("no"), "exit": SystemExit(3), "unsendable": UnsendableError("a", "b")}[error]
    return number


def die_at(number: int, at: int) -> int:
    if number == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def speak(number: int) -> int:
    print("this is no answer", flush=True)
    return number


def settings(_: int) -> tuple[str | None, list[str]]:
    return os.environ.get("OMP_NUM_THREADS"), sys.path


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_are_those_of_a_plain_loop_in_its_order(workers: int) -> None:
    seen: list[int] = []
    assert pool.LOCAL.map_parts(square, 20, workers, nothing, seen.append) == [number**2 for number in range(20)]
    assert sorted(seen) == [number**2 for number in range(20)]


def test_a_worker_has_one_thread_and_finds_the_modules_that_this_process_does() -> None:
    assert pool.LOCAL.map_parts(settings, 2, 2, nothing, nothing) == [("1", sys.path)] * 2


def test_what_a_worker_prints_is_no_answer() -> None:
    assert pool.LOCAL.map_parts(speak, 4, 2, nothing, nothing) == [0, 1, 2, 3]


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if str(pool.WORKER) in child.cmdline()]


@pytest.mark.parametrize(
    ("error", "raised", "said"),
    [("value", ValueError, "^no"), ("exit", SystemExit, "3"), ("unsendable", RuntimeError, "UnsendableError: a b")],
)
def test_what_a_worker_raises_is_raised_here_with_its_traceback(
    error: str, raised: type[BaseException], said: str
) -> None:
    with pytest.raises(raised, match=said) as caught:
        pool.LOCAL.map_parts(functools.partial(fail_at, error=error, at=3), 6, 2, nothing, nothing)
    assert error == "unsendable" or "in fail_at" in caught.value.__notes__[0]
    assert not children()


def refuse() -> None:
    raise BlockingIOError("held")


def test_a_worker_that_cannot_begin_says_why() -> None:
    with pytest.raises(BlockingIOError, match="held"):
        pool.LOCAL.map_parts(square, 6, 2, refuse, nothing)
    assert not children()


def test_a_killed_worker_is_an_error_and_the_others_end() -> None:
    with pytest.raises(BrokenProcessPool):
        pool.LOCAL.map_parts(functools.partial(die_at, at=3), 50, 3, nothing, nothing)
    assert not children()


def test_an_error_of_the_caller_ends_the_workers() -> None:
    def full(_: int) -> None:
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        pool.LOCAL.map_parts(square, 50, 3, nothing, full)
    assert not children()


def test_several_threads_may_have_workers() -> None:
    found: dict[int, list[int]] = {}

    def run(offset: int) -> None:
        found[offset] = pool.LOCAL.map_parts(square, 5 + offset, 2, nothing, nothing)

    threads = [threading.Thread(target=run, args=(offset,)) for offset in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {offset: [number**2 for number in range(5 + offset)] for offset in range(3)}


@contextlib.contextmanager
def staged(stage: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """A program that has come to a stage, and what marks its processes."""
    mark = new_mark()
    code = f"import sys; sys.path.insert(0, {str(HERE)!r}); import staged; staged.main({stage!r}, {str(folder)!r})"
    run = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, **mark}, stderr=subprocess.PIPE, text=True)
    try:
        while not (folder / "there").exists():
            assert run.poll() is None, run.communicate()[1]
            time.sleep(0.01)
        yield run, mark
    finally:
        run.kill()
        for process in marked(mark):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        run.communicate()


def interrupt(run: subprocess.Popen[str], mark: dict[str, str], how: str) -> None:
    if how == "worker":  # which is not there yet, or is at the stage
        for process in marked(mark):
            if process.pid != run.pid:
                with contextlib.suppress(psutil.NoSuchProcess):  # one that has ended meanwhile
                    process.kill()
        run.send_signal(signal.SIGINT)
        return
    run.send_signal({"error": signal.SIGUSR1}.get(how) or getattr(signal, how))


@pytest.mark.parametrize(
    "how", ["SIGINT", *(pytest.param(how, marks=pytest.mark.slow) for how in ("SIGKILL", "SIGTERM", "error", "worker"))]
)
@pytest.mark.parametrize("stage", STAGES)
def test_whatever_interrupts_a_run_at_whatever_stage_all_its_processes_end(
    stage: str, how: str, tmp_path: Path
) -> None:
    before = shared_memory()
    with staged(stage, tmp_path) as (run, mark):
        there = marked(mark)
        interrupt(run, mark, how)
        run.wait(HANG)
        (tmp_path / "go").touch()
        said = run.communicate(timeout=HANG)[1]
        _, alive = psutil.wait_procs(there, timeout=HANG)
        assert not alive, said
        assert not marked(mark)
    assert run.returncode
    assert not shared_memory() - before
    assert not (tmp_path / "out" / "_manifest.json").exists()
    write(tmp_path / "out", draw, PARTS, {"format": 1, "seed": 3}, resume=True, overwrite=True)
    assert tree(tmp_path / "out") == expected(tmp_path)


HOLDING = """
import re, sys
sys.path.insert(0, PATH)
from synthvae.generation import workers
from test_workers import hold, nothing
workers.LOCAL.map_parts(hold, 2, 2, nothing, nothing)
"""


def hold(_: int) -> None:
    """Hold the interpreter, so that no other thread of the process runs, for longer than any test."""
    Path(os.environ["BEGUN"]).touch()
    re.fullmatch(r"(a+)+", "a" * 60 + "b")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a worker ends after its call")
def test_busy_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    mark, begun = new_mark(), tmp_path / "begun"
    code = HOLDING.replace("PATH", repr(str(HERE)))
    paths = os.pathsep.join([str(HERE), str(HERE.parent), *sys.path])
    parent = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, **mark, "BEGUN": str(begun), "PYTHONPATH": paths}
    )
    try:
        end = time.monotonic() + HANG
        while not begun.exists() and time.monotonic() < end and parent.poll() is None:
            time.sleep(0.05)
        assert begun.exists()
        parent.kill()
        parent.wait()
        end = time.monotonic() + HANG
        while marked(mark) and time.monotonic() < end:
            time.sleep(0.05)
        assert not marked(mark)
    finally:
        for process in marked(mark):
            process.kill()
        parent.wait()
