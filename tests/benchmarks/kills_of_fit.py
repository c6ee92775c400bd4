"""SIGKILL at random moments of `synthvae fit`, `augment` and `run`; what was found after each.

    python kills_of_fit.py [--kills 60] [--seed 0]

After a kill the model, or the file, must be absent, the old one or the new one, whole. Then the command is repeated
(`fit` with `--resume`) until it ends: the weights, or the file, must be those of an undisturbed run, byte for byte, and
nothing else may be left. The state of training is kept after each step. Printed: how often each was found.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sklearn.datasets import load_wine

from synthvae import Synthesizer
from synthvae.errors import SynthvaeError

COMMAND = "from synthvae import checkpoint; checkpoint.EVERY = 0.0; from synthvae.cli import app; app()"
CONFIG = "max_steps: 60\nwidth: 16\nbatch_size: 64\n"
RECIPE = """
input: table.csv
target: target
split: {holdout: 0.3, random_state: 0}
model: {max_steps: 30, width: 16, random_state: 0}
generation: {rows: 200, random_state: 0}
out: study
"""


@dataclass(frozen=True)
class Job:
    """A command, the files that it leaves, and those among them whose bytes must be the same each time."""

    words: tuple[str, ...]
    kept: Callable[[Path], dict[str, bytes]]


def weights(place: Path) -> dict[str, bytes]:
    """The model's weights."""
    return {"weights": (place / "model" / "model.safetensors").read_bytes()}


def rows(place: Path) -> dict[str, bytes]:
    """The augmented table."""
    return {"rows": (place / "more.parquet").read_bytes()}


def study(place: Path) -> dict[str, bytes]:
    """Weights and rows of a recipe."""
    parts = sorted((place / "study").rglob("part-*.parquet"))
    found = {str(part.relative_to(place)): part.read_bytes() for part in parts}
    return {**found, "weights": (place / "study" / "model" / "model.safetensors").read_bytes()}


JOBS = {
    "fit": Job(("fit", "table.csv", "--target", "target", "--config", "few.yaml", "--seed", "0", "-o", "model",
                "--resume"), weights),
    "augment": Job(("augment", "table.csv", "--target", "target", "--config", "few.yaml", "--seed", "0", "-o",
                    "more.parquet", "--overwrite"), rows),
    "run": Job(("run", "study.yaml"), study),
}  # fmt: skip


def begin(place: Path, job: Job) -> subprocess.Popen[str]:
    """Start a command in a process of its own."""
    command = [sys.executable, "-c", COMMAND, *job.words, "-q"]
    return subprocess.Popen(command, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def prepared(place: Path) -> Path:
    """A folder with a table and what says how it is learned."""
    place.mkdir(parents=True)
    load_wine(as_frame=True).frame.to_csv(place / "table.csv", index=False)
    (place / "few.yaml").write_text(CONFIG, encoding="utf-8")
    (place / "study.yaml").write_text(RECIPE, encoding="utf-8")
    return place


def undisturbed(place: Path, job: Job) -> tuple[dict[str, bytes], set[str], float]:
    """What a run leaves that nobody kills, the names of all files, and its seconds."""
    start = time.monotonic()
    message = begin(prepared(place), job).communicate()[1]
    assert not message, message
    return job.kept(place), names(place), time.monotonic() - start


def names(place: Path) -> set[str]:
    """All files and folders."""
    return {str(path.relative_to(place)) for path in place.rglob("*")}


def whole_or_absent(place: Path) -> str:
    """What of a model is there after a kill."""
    if not (place / "model").exists() and not list(place.glob(".model.saving-*")):
        return "nothing yet"
    with contextlib.suppress(SynthvaeError):
        Synthesizer.load(place / "model")
        return "a whole model"
    return "nothing yet"


def main() -> None:
    """Kill each command so many times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", nargs="+", default=list(JOBS))
    asked = parser.parse_args()
    moments = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as scratch:
        for name in asked.jobs:
            job, found = JOBS[name], collections.Counter[str]()
            expected, left, seconds = undisturbed(Path(scratch) / name, job)
            while found["killed"] < asked.kills:
                place = prepared(Path(scratch) / f"{name}-{sum(found.values())}")
                for _ in range(moments.randint(1, 3)):
                    process = begin(place, job)
                    time.sleep(moments.random() * seconds)
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process.pid, signal.SIGKILL)
                    process.communicate()
                    found["killed" if process.returncode == -signal.SIGKILL else "too late"] += 1
                    found[whole_or_absent(place)] += name == "fit"
                message = begin(place, job).communicate()[1]
                assert job.kept(place) == expected, (place, message)
                assert names(place) == left, names(place) ^ left
                found["the same bytes, nothing else"] += 1
                shutil.rmtree(place)
            print(name, dict(found), flush=True)


if __name__ == "__main__":
    main()
