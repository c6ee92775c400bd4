"""A program that writes a dataset with two workers and stops at a named stage, until it is interrupted.

    python -c "import staged; staged.main(STAGE, FOLDER)"

`FOLDER/there` tells that the stage was reached. SIGUSR1 makes the program fail in its main thread. A worker that stops
while Python starts goes on once `FOLDER/go` is there, since nothing that it could run watches its parent until then.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import written

from synthvae.generation import workers as pool

STARTUP = """
import os, time
if "STOP_AT_START" in os.environ:
    try:
        os.close(os.open(os.environ["STOP_AT_START"], os.O_CREAT | os.O_EXCL))
        while not os.path.exists(os.environ["STOP_AT_START"].removesuffix("there") + "go"):
            time.sleep(0.01)
    except FileExistsError:  # the other worker goes on
        pass
"""


def stop(folder: Path) -> None:
    """Tell that the stage was reached, and go no further."""
    (folder / "there").touch()
    time.sleep(600)


class Draws:
    """The parts, and where to stop: while a worker loads this, or while it draws the third part."""

    def __init__(self, stage: str, folder: Path) -> None:
        self.stage, self.folder = stage, folder

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.stage == "load":
            stop(self.folder)

    def __call__(self, part: int) -> pa.Table:
        if self.stage == "work" and part == 2:
            stop(self.folder)
        return written.draw(part)


class Joins:
    """What each worker does first."""

    def __init__(self, stage: str, folder: Path, join: Any) -> None:
        self.stage, self.folder, self.join = stage, folder, join

    def __call__(self) -> None:
        if self.stage == "begin":
            stop(self.folder)
        self.join()


def main(stage: str, place: str) -> None:
    folder = Path(place)

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def map_parts(work: Any, parts: int, workers: int, begin: Any, done: Any) -> Any:
        return pool.LOCAL.map_parts(work, parts, workers, Joins(stage, folder, begin), done)

    def progress(_: int) -> None:
        if stage == "result":
            stop(folder)

    signal.signal(signal.SIGUSR1, fail)

    class Stopping(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **options: Any) -> None:
            if stage == "before":
                stop(folder)
            super().__init__(*args, **options)
            if stage == "started":
                stop(folder)

    subprocess.Popen = Stopping  # type: ignore[assignment,misc]
    if stage == "python":
        (folder / "site").mkdir()
        (folder / "site" / "sitecustomize.py").write_text(STARTUP, encoding="utf-8")
        os.environ |= {"STOP_AT_START": str(folder / "there"), "PYTHONPATH": str(folder / "site")}
    draws = Draws(stage, folder)
    written.write(
        folder / "out",
        draws,
        workers=2,
        backend=pool.FunctionBackend(map_parts),
        progress=progress,
    )
