"""Progress bars on stderr, shown if it is a terminal."""

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
    """Yield a function that `train` calls after each step with (step, steps, loss), or None without a bar."""
    if not (show and _is_terminal()):
        yield None
        return
    with _bars("{task.fields[loss]}") as bars:
        task = bars.add_task("fitting", loss="", total=None)

        def step(done: int, total: int, loss: float) -> None:
            bars.update(task, completed=done, total=total, loss="" if math.isnan(loss) else f"{loss:.2f} nats")

        yield step


@contextmanager
def generating(rows: int, *, show: bool) -> Iterator[Callable[[int], None] | None]:
    """Yield a function that `dataset.write` calls with the number of rows of each part, or None without a bar."""
    if not (show and _is_terminal()):
        yield None
        return
    with _bars("rows", _Rate()) as bars:
        task = bars.add_task("generating", total=rows)
        yield lambda done: bars.update(task, advance=done)


@contextmanager
def measuring(*, show: bool) -> Iterator[Callable[[str], None] | None]:
    """Yield a function that an evaluation calls with the name of each section, or None without a bar."""
    if not (show and _is_terminal()):
        yield None
        return
    with Progress(SpinnerColumn(), *_TIMED, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("reading", total=None)
        yield lambda name: bars.update(task, description=f"measuring {name}")


def _is_terminal() -> bool:
    """Whether stderr is a terminal, and not a log file."""
    return Console(stderr=True).is_terminal


class _Rate(ProgressColumn):
    """Recent rows per second."""

    def render(self, task: Task) -> Text:
        """Return the rate, or nothing before it is known."""
        return Text("" if task.speed is None else f"{task.speed:,.0f}/s")


def _bars(unit: str, *more: ProgressColumn) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit), *more)
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
