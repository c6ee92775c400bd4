"""SIGKILL at random moments of `synthvae fit`, `augment`, `evaluate`, `schema` and `run`; what was found after each.

    python kills_of_commands.py [--kills 200] [--seed 0] [--jobs fit augment evaluate] [--start forkserver|spawn]

Each command is a process: a fork of one that has imported synthvae (`forkserver`), or a new Python (`spawn`), which
imports it and may be killed meanwhile. After a kill the model, or the file, must be absent, the old one or the new one,
whole. Then the command is repeated (`fit` with `--resume`) until it ends: the weights, or the file, must be those of an
undisturbed run, byte for byte, and nothing else may be left. The state of training is kept after each step. Printed:
how often each was found.
"""

from __future__ import annotations

import argparse
import collections
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from sklearn.datasets import load_wine

from synthvae import Synthesizer
from synthvae.training import checkpoint

LOADED = [
    "synthvae.estimators.augment",
    "synthvae.cli",
    "synthvae.evaluation.report",
    "synthvae.recipe",
    "torch._dynamo",
]  # torch's optimizers import it
MOST_IN_A_ROW = 5
LONGER, SHORTER = 1.05, 0.8  # how long a command is given, as the machine has more or less to do: one in five ends
CONFIG = "max_steps: 20\nwidth: 16\nbatch_size: 64\n"
RECIPE = """
input: table.csv
target: target
split: {holdout: 0.3, random_state: 0}
model: {max_steps: 10, width: 16, random_state: 0}
generation: {rows: 200, random_state: 0}
out: study
"""


@dataclass(frozen=True)
class Job:
    """A command, and the files of it whose bytes must be the same each time."""

    words: tuple[str, ...]
    files: tuple[str, ...]


JOBS = {
    "fit": Job(("fit", "table.csv", "--target", "target", "--config", "few.yaml", "--seed", "0", "-o", "model",
                "--resume", "--overwrite", "-q"), ("model/model.safetensors",)),
    "augment": Job(("augment", "table.csv", "--target", "target", "--config", "few.yaml", "--seed", "0", "-o",
                    "more.parquet", "--overwrite", "-q"), ("more.parquet",)),
    "evaluate": Job(("evaluate", "table.csv", "synthetic.csv", "--target", "target", "-o", "report.html", "--json-file",
                     "figures.json", "-q"), ("report.html", "figures.json")),
    "schema": Job(("schema", "table.csv", "-o", "schema.yaml", "--overwrite"), ("schema.yaml",)),
    "run": Job(("run", "study.yaml", "-q"), ("study/model/model.safetensors", "study/synthetic/part-*.parquet")),
}  # fmt: skip


def begin(place: Path, job: Job, start: str) -> BaseProcess:
    """Start a command in a process of its own."""
    process: BaseProcess = multiprocessing.get_context(start).Process(  # type: ignore[attr-defined]
        target=command, args=(place, job.words)
    )
    process.start()
    return process


def command(place: Path, words: tuple[str, ...]) -> None:
    """Be the shell's `synthvae`, in a folder; what it says comes into a file beside that."""
    from synthvae.cli.main import app

    os.chdir(place)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    os.dup2(os.open(told(place), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), sys.stderr.fileno())
    checkpoint.EVERY = 0.0
    app(list(words))


def told(place: Path) -> Path:
    """The file of what a command says."""
    return place.with_suffix(".told")


def complete(place: Path, job: Job, start: str) -> None:
    """Run a command to its end."""
    process = begin(place, job, start)
    process.join()
    assert process.exitcode == 0, (place, told(place).read_text(encoding="utf-8"))


def prepared(place: Path) -> Path:
    """A folder with a table and what says how it is learned."""
    place.mkdir(parents=True)
    table = load_wine(as_frame=True).frame
    table.to_csv(place / "table.csv", index=False)
    table.sample(100, random_state=0).to_csv(place / "synthetic.csv", index=False)
    (place / "few.yaml").write_text(CONFIG, encoding="utf-8")
    (place / "study.yaml").write_text(RECIPE, encoding="utf-8")
    return place


def undisturbed(place: Path, job: Job, start: str) -> tuple[dict[str, bytes], set[str], float]:
    """What a run leaves that nobody kills, the names of all files, and its seconds."""
    begun = time.monotonic()
    complete(prepared(place), job, start)
    return kept(place, job), names(place), time.monotonic() - begun


def names(place: Path) -> set[str]:
    """All files and folders."""
    return {str(path.relative_to(place)) for path in place.rglob("*")}


def kept(place: Path, job: Job) -> dict[str, bytes]:
    """Those of a command's files that are there."""
    files = [file for pattern in job.files for file in sorted(place.glob(pattern))]
    return {str(file.relative_to(place)): file.read_bytes() for file in files}


def state(place: Path, job: Job, expected: dict[str, bytes]) -> str:
    """What is there after a kill, which must be whole."""
    there = kept(place, job)
    assert there.items() <= expected.items(), place
    for name in there:
        if name.endswith("model.safetensors"):
            Synthesizer.load((place / name).parent)
    return "nothing yet" if not there else "all" if there == expected else "the model alone"


def kill(place: Path, job: Job, start: str, after: float) -> bool:
    """Kill a command after some seconds; return whether it was still there."""
    process = begin(place, job, start)
    process.join(after)
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


def chain(scratch: Path, name: str, start: str, kills: int, moments: random.Random) -> None:
    """Kill a command so many times, completing it after every few of them; print what was found so far."""
    job, found = JOBS[name], collections.Counter[str]()
    complete(prepared(scratch / f"{name}-first"), job, start)  # a server imports what it will fork
    expected, left, seconds = undisturbed(scratch / name, job, start)
    while found["killed"] < kills:
        place = prepared(scratch / f"{name}-{found.total()}")
        for _ in range(moments.randint(1, MOST_IN_A_ROW)):
            in_time = kill(place, job, start, moments.random() * seconds)
            seconds *= LONGER if in_time else SHORTER
            found["killed" if in_time else "too late"] += 1
            found[state(place, job, expected)] += 1
        complete(place, job, start)
        assert kept(place, job) == expected, place
        assert names(place) == left, names(place) ^ left
        found["the same bytes, nothing else"] += 1
        shutil.rmtree(place)
        print(name, dict(found), flush=True)


def main() -> None:
    """Kill each command so many times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", nargs="+", default=list(JOBS), choices=JOBS)
    parser.add_argument("--start", default="forkserver", choices=["forkserver", "spawn"])
    asked = parser.parse_args()
    multiprocessing.set_forkserver_preload(LOADED)
    with tempfile.TemporaryDirectory() as scratch:
        for name in asked.jobs:
            chain(Path(scratch), name, asked.start, asked.kills, random.Random(asked.seed))


if __name__ == "__main__":
    main()
