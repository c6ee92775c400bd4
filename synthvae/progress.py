"""Progress bars: on stderr if it is a terminal, below the cell in a notebook, and none in a log file."""

from __future__ import annotations

import html
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

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
_EVERY = 0.1  # seconds between two updates in a notebook


@contextmanager
def fitting(*, show: bool) -> Iterator[Callable[[int, int, float], None] | None]:
    """Yield a function that `train` calls after each step with (step, steps, loss), or None without a bar."""
    with _shown(_steps, show=show) as bar:
        yield None if bar is None else _Fitting(bar).step


@contextmanager
def generating(rows: int, *, show: bool) -> Iterator[Callable[[int], None] | None]:
    """Yield a function that `dataset.write` calls with the number of rows of each part, or None without a bar."""
    with _shown(_rows, show=show) as bar:
        yield None if bar is None else _Generating(bar, rows).part


@contextmanager
def measuring(*, show: bool) -> Iterator[Callable[[str], None] | None]:
    """Yield a function that an evaluation calls with the name of each section, or None without a bar."""
    with _shown(_sections, show=show) as bar:
        if bar is None:
            yield None
            return
        bar("reading", 0, None)
        yield lambda name: bar(f"measuring {name}", 0, None)


Bar = Callable[..., None]
"""A function that shows (description, completed, total, text); a total of None is unknown."""


class _Fitting:
    """The bar of a fit. Early stopping may end it before its last step, so no time is promised."""

    def __init__(self, bar: Bar) -> None:
        self.bar, self.last, self.description = bar, 0, "fitting"
        bar("fitting", 0, None, "")

    def step(self, done: int, total: int, loss: float) -> None:
        """Show a step; the loss of a private fit is NaN, and its number of steps is fixed."""
        if done < self.last:
            self.description = "fitting to all rows"
        self.last = done
        private = math.isnan(loss)
        steps = f"step {done:,} of {'' if private else 'at most '}{total:,}"
        self.bar(self.description, done, total, steps if private else f"{steps}, loss {loss:.2f} nats per row")


class _Generating:
    def __init__(self, bar: Bar, rows: int) -> None:
        self.bar, self.rows, self.done = bar, rows, 0
        bar("generating", 0, rows)

    def part(self, rows: int) -> None:
        """Show that the rows of one more part are written."""
        self.done += rows
        self.bar("generating", self.done, self.rows)


@contextmanager
def _shown(columns: Callable[[], tuple[ProgressColumn, ...]], *, show: bool) -> Iterator[Bar | None]:
    """Yield what updates a bar, which is removed at the end; None without a terminal or a notebook."""
    notebook = _notebook() if show else None
    if notebook is not None:
        try:
            yield notebook.show
        finally:
            notebook.close()
    elif show and _is_terminal():
        with Progress(*columns(), console=Console(stderr=True), transient=True) as bars:
            task = bars.add_task("", total=None, text="")

            def update(description: str, completed: int, total: int | None, text: str = "") -> None:
                bars.update(task, description=description, completed=completed, total=total, text=text)

            yield update
    else:
        yield None


def _steps() -> tuple[ProgressColumn, ...]:
    return TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"), TimeElapsedColumn()


def _rows() -> tuple[ProgressColumn, ...]:
    counts = (BarColumn(), MofNCompleteColumn(), TextColumn("rows"), _Rate(), TimeRemainingColumn())
    return TextColumn("{task.description}"), *counts


def _sections() -> tuple[ProgressColumn, ...]:
    return SpinnerColumn(), *_TIMED


def _is_terminal() -> bool:
    """Whether stderr is a terminal, and not a log file."""
    return Console(stderr=True).is_terminal


class _Rate(ProgressColumn):
    """Recent rows per second."""

    def render(self, task: Task) -> Text:
        """Return the rate, or nothing before it is known."""
        return Text("" if task.speed is None else f"{task.speed:,.0f}/s")


class _Notebook:
    """A bar below the cell of a notebook, in HTML, which needs no widgets."""

    def __init__(self, display: Any) -> None:
        self.display, self.shown = display({"text/html": "", "text/plain": ""}, raw=True, display_id=True), -math.inf

    def show(self, description: str, completed: int, total: int | None, text: str = "") -> None:
        """Show the progress, at most every tenth of a second."""
        if time.monotonic() - self.shown < _EVERY:
            return
        self.shown = time.monotonic()
        share = "" if total is None else f' max="{total}" value="{completed}"'
        said = text or ("" if total is None else f"{completed:,} of {total:,} rows")
        self._replace(f"<div>{html.escape(description)} <progress{share}></progress> {html.escape(said)}</div>")

    def close(self) -> None:
        """Remove the bar."""
        self._replace("")

    def _replace(self, markup: str) -> None:
        self.display.update({"text/html": markup, "text/plain": ""}, raw=True)


def _notebook() -> _Notebook | None:
    """A bar in the notebook that runs this process; None outside of one."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return None
    from IPython.display import display

    return _Notebook(display)
