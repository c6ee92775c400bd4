"""Runs of `synthvae generate` that are killed at random moments, and what is found after each."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from written import assert_whole, tree

from synthvae import Synthesizer
from synthvae.errors import DatasetError
from synthvae.generation import request

ROWS, PART_ROWS = 30_000, 1_000
COMMAND = (
    "from synthvae.generation import request; from synthvae.cli.main import app; "
    f"request.PART_ROWS = {PART_ROWS}; app()"
)
PLAN = Path(".incomplete") / "plan.json"


@dataclasses.dataclass
class Killer:
    """Kills runs of one model in one place.

    Args:
        model: Directory of the model.
        place: Where datasets come.
        workers: Processes of each run.
        seed: Seed of the moments.
    """

    model: Path
    place: Path
    workers: int
    seed: int

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.found: collections.Counter[str] = collections.Counter()
        self.synthesizer = Synthesizer.load(self.model, device="cpu").set_params(verbose=False)
        self.complete(self.place / "new", random_state=1)
        self.complete(self.place / "old", random_state=0)
        self.new, self.old = tree(self.place / "new"), tree(self.place / "old")
        self.seconds = 1.0

    def complete(self, folder: Path, **options: Any) -> None:
        """Write a dataset here, undisturbed."""
        before, request.PART_ROWS = request.PART_ROWS, PART_ROWS
        try:
            self.synthesizer.generate(folder, rows=ROWS, **options)
        finally:
            request.PART_ROWS = before

    def begin(self, folder: Path, **how: Any) -> subprocess.Popen[str]:
        """Start a run in a process of its own."""
        options = ["--rows", str(ROWS), "--seed", "1", "--resume", "--overwrite", "--quiet"]
        command = [sys.executable, "-c", COMMAND, "generate", str(self.model), "-o", str(folder), *options]
        return subprocess.Popen(
            [*command, "--workers", str(self.workers)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            **how,
        )

    def kill(self, folder: Path) -> None:
        """Begin a run, kill it or a worker of it at some moment, and look at what is left."""
        run, started = self.begin(folder), time.monotonic()
        if self.random.random() < 0.9:  # the others die while they start
            while not (folder / PLAN).exists() and run.poll() is None:
                time.sleep(0.002)
            started = time.monotonic()
        time.sleep(self.random.random() * self.seconds)
        children = _children(run.pid)
        victim = self.random.choice(children) if children and self.random.random() < 0.3 else run.pid
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        message = run.communicate()[1]
        self.found[
            "killed: " + ("run" if run.returncode == -signal.SIGKILL else "worker" if run.returncode else "none")
        ] += 1
        if run.returncode == 0:  # too late: from now on sooner
            self.seconds = 0.9 * self.seconds + 0.1 * (time.monotonic() - started)
        assert run.returncode in {0, -signal.SIGKILL} or "--resume" in message, message
        self.found[self.state(folder)] += 1

    def state(self, folder: Path) -> str:
        """What a folder holds: nothing, the old dataset, the new one, or what must be resumed."""
        if (folder / "_manifest.json").exists():
            files = {name: content for name, content in tree(folder).items() if not name.startswith(".incomplete")}
            assert files in (self.new, self.old)
            return "old" if files == self.old else "new"
        if not (folder / ".incomplete").exists():
            assert not folder.exists() or not list(folder.iterdir())
            return "nothing"
        try:
            self.complete(folder, random_state=1)
        except DatasetError as error:
            assert "--resume" in str(error)  # noqa: PT017 (an empty folder of growing files is no dataset)
        return "incomplete"

    def resume(self, folder: Path) -> None:
        """Complete a dataset, and find the same bytes as undisturbed, and no others."""
        self.complete(folder, random_state=1, resume=True, overwrite=True)
        files = tree(folder)
        different = {name for name in files.keys() | self.new if files.get(name) != self.new.get(name)}
        assert not different, (different, files.keys() ^ self.new.keys())
        assert_whole(folder)
        self.found["resumed: same bytes"] += 1

    def chain(self, kills: int) -> None:
        """Kill so many runs, completing what they left now and then."""
        while kills:
            folder = self.place / f"{sum(self.found.values())}"
            if self.random.random() < 0.5:
                self.complete(folder, random_state=0)
            for _ in range(min(kills, self.random.randint(1, 3))):
                self.kill(folder)
                kills -= 1
            self.resume(folder)


def _children(pid: int) -> list[int]:
    """The workers of a run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = (folder / "stat").read_text("ascii").rpartition(")")[2].split()[1]
            if int(parent) == pid and b"worker.py" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found
