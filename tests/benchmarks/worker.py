"""One generator, one table, one seed, one process: the half of `bench.py` that does the work.

    python worker.py GENERATOR TRAIN.parquet STEM --target COLUMN [--seed 0] [--budget 600]

Measured, in CPU-seconds of this process and of what it started: fitting the training rows; drawing as many rows, which
go to STEM.parquet for judging; three further draws of at least 200,000 rows, fewer where those would not fit the
budget; and the peak resident memory. The figures go to STEM.json, written last: its presence means that the run is
over, its `status` how it ended. The budget is in CPU-seconds too, so that a busy machine does not decide who times out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import signal
import statistics
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from generators import GENERATORS, Generator, Setting

T = TypeVar("T")
Figures = dict[str, Any]

TIMED_ROWS = 200_000  # enough that nobody spreads them evenly
TIMED_ROUNDS = 3
AGAIN = 5.0  # seconds until the alarm rings again, should a library have swallowed the first


class OutOfBudgetError(BaseException):
    """The budget is spent; not an `Exception`, so that no library takes it for one of its own."""


@contextmanager
def budgeted(seconds: float) -> Iterator[None]:
    """Raise `OutOfBudgetError` in the block once it has used that many CPU-seconds."""

    def ring(*_: object) -> None:
        raise OutOfBudgetError

    signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds, AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def cpu_seconds() -> float:
    """Return the CPU-seconds of this process and of its children that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def clocked(work: Callable[[], T]) -> tuple[float, T]:
    """Return the CPU-seconds that `work` took, and what it returned."""
    start = cpu_seconds()
    result = work()
    return cpu_seconds() - start, result


def one_thread() -> None:
    """Hold torch, where it is there, to the one thread that the environment grants everybody."""
    with suppress(ImportError):
        import_module("torch").set_num_threads(1)


def fitted(generator: Generator, train: pd.DataFrame, budget: float) -> Figures:
    """Fit under the budget; return what it cost."""
    start = time.perf_counter()
    with budgeted(budget):
        seconds, _ = clocked(lambda: generator.fit(train))
    return {"fit_cpu_s": seconds, "fit_wall_s": time.perf_counter() - start}


def drawn(generator: Generator, rows: int, budget: float, out: Path) -> Figures:
    """Draw and write the rows that are judged."""
    with budgeted(budget):
        seconds, table = clocked(lambda: generator.sample(rows))
    table.to_parquet(out, index=False)
    return {"rows": rows, "sample_cpu_s": seconds, "rows_per_cpu_s": rows / max(seconds, 1e-3)}


def timed(generator: Generator, first: Figures, budget: float) -> Figures:
    """Draw again, some times, as many rows as the budget allows; return the median speed."""
    affordable = int(first["rows_per_cpu_s"] * budget / TIMED_ROUNDS)
    rows = max(1, min(max(first["rows"], TIMED_ROWS), affordable))
    rounds = []
    # A draw may cost more than the first one promised; what was timed by then still counts.
    with suppress(OutOfBudgetError), budgeted(budget):
        for _ in range(TIMED_ROUNDS):
            rounds.append(clocked(lambda: generator.sample(rows))[0])  # noqa: PERF401 - the rounds before an alarm count
    if not rounds:
        return {}
    speed = rows / max(statistics.median(rounds), 1e-3)
    return {"timed_rows": rows, "timed_cpu_s": rounds, "rows_per_cpu_s": speed}


def measure(name: str, setting: Setting, train: Path, stem: Path) -> Figures:
    """Fit, draw and time; whatever happens, return a status and the figures up to there."""
    figures: Figures = {"generator": name, "seed": setting.seed, "budget": setting.budget, "status": "ok"}
    generator: Generator | None = None
    try:
        table = pd.read_parquet(train)
        generator = GENERATORS[name](setting)
        figures |= fitted(generator, table, setting.budget)
        figures |= drawn(generator, len(table), setting.budget, stem.with_suffix(".parquet"))
        figures |= timed(generator, figures, setting.budget)
    except OutOfBudgetError:
        doing = " of sampling" if "fit_cpu_s" in figures else ""
        figures["status"] = f"timed out after {setting.budget:.0f} s{doing}"
    except Exception as error:  # noqa: BLE001 - a peer may fail in any way, and the report shall say so
        traceback.print_exc()
        figures["status"] = failure(error)
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB on Linux
    return figures | {"peak_mib": peak_kib / 1024} | described(generator)


def failure(error: Exception) -> str:
    """Return one short line for an error."""
    line = " ".join(str(error).split())
    return f"failed: {type(error).__name__}: {line[:160]}"


def described(generator: Generator | None) -> Figures:
    """Return versions and notes."""
    versions = {"python": platform.python_version(), "pandas": pd.__version__}
    found = {"versions": versions, "notes": [], "machine": machine(), "load": os.getloadavg()[0]}
    if generator is None:
        return found
    return found | {"versions": versions | generator.versions, "notes": generator.notes}


def machine() -> str:
    """Return the class of this machine, without its name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{platform.system()} on {platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB of memory"


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description="One generator, one table, one seed.")
    parser.add_argument("generator", choices=list(GENERATORS))
    parser.add_argument("train", type=Path, help="the training rows, Parquet")
    parser.add_argument("stem", type=Path, help="where STEM.parquet and STEM.json go")
    parser.add_argument("--target", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--budget", type=float, default=600.0, help="CPU-seconds of a fit")
    options = parser.parse_args()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    one_thread()
    setting = Setting(options.target, options.seed, options.budget)
    figures = measure(options.generator, setting, options.train, options.stem)
    options.stem.with_suffix(".json").write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
