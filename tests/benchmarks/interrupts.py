"""Interrupt commands at random moments, on a busy machine, and measure how long they and their processes go on.

    python tests/benchmarks/interrupts.py --runs 200 --load 2 --seed 0

Each run is a command of the shell in a session of its own, interrupted as a terminal does (SIGINT to the group) or as a
batch system does (SIGTERM to the process). It fails if a process outlives the bound, a command ends otherwise than done
or interrupted, says more than one line (Python may, before the command begins), or leaves something in shared memory.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import psutil
from sklearn.datasets import load_breast_cancer

sys.path.insert(0, str(Path(__file__).parents[1]))

from processes import marked, new_mark, shared_memory

BOUNDS = {"fit": 15.0}  # seconds; others
BOUND = 5.0
RECIPE = """\
input: table.csv
target: target
split: {{holdout: 0.3, random_state: 0}}
model: {{max_steps: 300, random_state: 0}}
generation: {{rows: 1100000, workers: 2, random_state: 0}}
evaluation: {{attacks: false, random_state: 0}}
report: {{html: report.html}}
out: {out}
"""


@dataclasses.dataclass
class Ended:
    """How a run ended.

    Args:
        code: Its exit code.
        seconds: From the interrupt until the last of its processes was gone.
        lines: What it said.
        left: Processes that outlived the bound, and names in shared memory.
    """

    code: int
    seconds: float
    lines: list[str]
    left: list[str]


def prepare(home: Path) -> None:
    """A table, a model and a recipe."""
    load_breast_cancer(as_frame=True).frame.iloc[:, -2:].to_csv(home / "table.csv", index=False)
    (home / "few.yaml").write_text("max_steps: 60\n", encoding="utf-8")
    subprocess.run(
        synthvae("fit", "table.csv", "--target", "target", "--config", "few.yaml", "-o", "model"), cwd=home, check=True
    )
    synthetic = pd.read_csv(home / "table.csv").sample(frac=1, replace=True, random_state=0)
    synthetic.to_csv(home / "synthetic.csv", index=False)


def synthvae(*words: str) -> list[str]:
    return [sys.executable, "-m", "synthvae", *words, *([] if words[0] == "evaluate" else ["--quiet"])]


def command(name: str, home: Path, number: int) -> list[str]:
    """A command that takes some seconds, and writes where no other run does."""
    out = f"{name}-{number}"
    if name == "generate":
        return synthvae("generate", "model", "--rows", "1100000", "--workers", "2", "--seed", "0", "-o", out)
    if name == "fit":
        return synthvae("fit", "table.csv", "--target", "target", "-o", out)
    if name == "augment":
        return synthvae("augment", "table.csv", "--target", "target", "-o", f"{out}.csv")
    if name == "evaluate":
        return synthvae("evaluate", "table.csv", "synthetic.csv", "--target", "target", "-o", f"{out}.html")
    (home / f"{out}.yaml").write_text(RECIPE.format(out=out), encoding="utf-8")
    return synthvae("run", f"{out}.yaml")


def interrupted(words: list[str], home: Path, after: float, number: signal.Signals, bound: float) -> Ended:
    """Start a command, interrupt it, and wait for the end of all its processes."""
    mark = new_mark()
    before = shared_memory()
    with tempfile.TemporaryFile("w+") as said:
        run = subprocess.Popen(
            words, cwd=home, env={**os.environ, **mark}, start_new_session=True, stdout=subprocess.DEVNULL, stderr=said
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(after)
        began = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if number == signal.SIGINT else os.kill)(run.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(4 * bound)
        there = marked(mark)
        psutil.wait_procs(there, timeout=bound)
        seconds = time.monotonic() - began
        left = [f"{process.pid} {' '.join(process.cmdline())[:80]}" for process in marked(mark)]
        for process in marked(mark):
            process.kill()
        left += sorted(shared_memory() - before)
        said.seek(0)
        lines = [line for line in said.read().splitlines() if line.strip()]
    return Ended(run.wait(), seconds, lines, left)


@contextlib.contextmanager
def load(processes: int) -> Iterator[None]:
    """Keep cores busy."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()


def whole(words: list[str], home: Path) -> float:
    """Seconds of a command that nothing interrupts."""
    began = time.monotonic()
    subprocess.run(words, cwd=home, check=True, capture_output=True)
    return time.monotonic() - began


def main() -> None:
    """Interrupt, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--load", type=int, default=2, help="processes that keep cores busy")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", nargs="+", default=["generate", "fit", "augment", "evaluate", "run"])
    given = parser.parse_args()
    rng, failures = random.Random(given.seed), 0
    with tempfile.TemporaryDirectory() as folder, load(given.load):
        home = Path(folder)
        prepare(home)
        for name in given.commands:
            seconds = whole(command(name, home, 999_999), home)
            bound, codes, slowest = BOUNDS.get(name, BOUND), collections.Counter[int](), 0.0
            for number in range(given.runs):
                how = rng.choice([signal.SIGINT, signal.SIGTERM])
                after = rng.random() * seconds
                ended = interrupted(command(name, home, number), home, after, how, bound)
                codes[ended.code] += 1
                slowest = max(slowest, ended.seconds)
                early = ended.code in {-signal.SIGTERM, -signal.SIGINT}  # before Python or the command had a say
                bad = not early and (ended.code not in {0, 130} or len(ended.lines) > 2)
                if ended.left or ended.seconds > bound or bad:
                    failures += 1
                    print(f"{name} {how.name} after {after:.2f} s: {ended}", flush=True)
                if sys.stderr.isatty():
                    print(f"\r{name}: {number + 1} of {given.runs}", end="", file=sys.stderr)
            print(
                f"{name}: {given.runs} runs of {seconds:.1f} s, exit codes {dict(codes)}, slowest {slowest:.1f} s",
                flush=True,
            )
    print(f"{failures} failures")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
