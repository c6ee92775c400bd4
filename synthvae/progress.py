"""Progress bars on stderr, for people who watch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

_TIMED = (TextColumn("{task.description}"), TimeElapsedColumn())


@contextmanager
def fitting(*, show: bool) -> Iterator[Callable[[int, int, float], None] | None]:
    """Yield what `train` calls after each step, or None."""
    if not (show and _watched()):
        yield None
        return
    with _bars("{task.fields[loss]}") as bars:
        task = bars.add_task("fitting", loss="", total=None)

        def step(done: int, total: int, loss: float) -> None:
            bars.update(task, completed=done, total=total, loss="" if math.isnan(loss) else f"{loss:.2f} nats")

        yield step


@contextmanager
def generating(rows: int, *, show: bool) -> Iterator[Callable[[int], None] | None]:
    """Yield what `dataset.write` calls with the rows of each part, or None."""
    if not (show and _watched()):
        yield None
        return
    with _bars("rows", _Rate()) as bars:
        task = bars.add_task("generating", total=rows)
        yield lambda done: bars.update(task, advance=done)


@contextmanager
def measuring(*, show: bool) -> Iterator[Callable[[str], None] | None]:
    """Yield what an evaluation calls with the name of each section, or None."""
    if not (show and _watched()):
        yield None
        return
    with Progress(SpinnerColumn(), *_TIMED, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("reading", total=None)
        yield lambda name: bars.update(task, description=f"measuring {name}")


def _watched() -> bool:
    """Whether somebody watches: a log file has no use for bars."""
    return Console(stderr=True).is_terminal


class _Rate(ProgressColumn):
    """Rows a second, of late."""

    def render(self, task: Task) -> Text:
        """The rate, once there is one."""
        return Text("" if task.speed is None else f"{task.speed:,.0f}/s")


def _bars(unit: str, *more: ProgressColumn) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit), *more)
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
