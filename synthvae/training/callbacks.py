"""Looking while it trains: functions of the user's, `history.csv`, and events for TensorBoard."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from synthvae.errors import ConfigurationError
from synthvae.training.history import COLUMNS, Callback, Record
from synthvae.training.loop import Progress

HISTORY = "history.csv"
TAG = "nats per row/"  # TensorBoard groups what stands before the slash
UNSEEN_EVERY = 25  # steps of a private fit between two calls

Callbacks = Callback | Sequence[Callback] | None
Folder = str | os.PathLike[str] | None


@contextmanager
def watching(callbacks: Callbacks, log_dir: Folder) -> Iterator[Callback | None]:
    """Yield what is to be called at each look, or None if nobody watches; what it writes is closed in the end.

    Args:
        callbacks: A function, or several.
        log_dir: The folder of `history.csv`, of which each line is on the disk before training goes on, and of the
            events for TensorBoard. What an earlier fit wrote there is replaced, or hidden.

    Raises:
        ConfigurationError: Something else than functions is given, or the folder cannot be written.
    """
    called = _listed(callbacks)
    with ExitStack() as stack:
        if log_dir is not None:
            called += [stack.enter_context(open_log(Path(log_dir))) for open_log in (_history, _events)]
        yield (lambda record: _tell(called, record)) if called else None


def unseen(callback: Callback | None, progress: Progress | None) -> Progress | None:
    """Return the progress of a private fit that calls back, too, with steps alone: nobody may see a loss.

    What is answered has no say: when such a fit ends is public.
    """
    if callback is None:
        return progress

    def told(step: int, steps: int, loss: float) -> None:
        if progress is not None:
            progress(step, steps, loss)
        if step % UNSEEN_EVERY == 0 or step == steps:
            callback(Record(step, math.nan, math.nan, math.nan, None))

    return told


def _listed(callbacks: Callbacks) -> list[Callback]:
    several = callbacks if isinstance(callbacks, Sequence) else [] if callbacks is None else [callbacks]
    for call in several:
        if not callable(call):
            raise ConfigurationError(
                f"`callbacks` must be a function of a record, or a list of such, however, {call!r} is none: pass "
                "what can be called"
            )
    return list(several)


def _tell(called: list[Callback], record: Record) -> bool:
    """Call all of them, even those after one that asks to stop; whether any does."""
    return True in [_asks(call(record)) for call in called]


def _asks(answer: object) -> bool:
    """Whether an answer asks to stop: functions may return anything, and only what is true and a truth value does."""
    return isinstance(answer, (bool, np.bool_)) and bool(answer)


@contextmanager
def _history(folder: Path) -> Iterator[Callback]:
    """Yield what adds a line to `history.csv`, which is closed after each."""
    path = folder / HISTORY
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"`log_dir` must be a folder that can be written, however, {folder} cannot ({error.strerror}): name another"
        ) from error

    def add(record: Record) -> None:
        cells = ["" if math.isnan(value) else repr(value) for value in record.as_dict().values()]
        with path.open("a", encoding="utf-8") as stream:
            stream.write(",".join(cells) + "\n")

    yield _sparing(add, path)


@contextmanager
def _events(folder: Path) -> Iterator[Callback]:
    """Yield what adds to the events of TensorBoard, or does nothing where it is absent."""
    writer = _writer(folder)
    if writer is None:
        yield lambda _: None
        return

    def add(record: Record) -> None:
        for name, value in record.metrics.items():
            writer.add_scalar(TAG + name, value, record.step)
        writer.flush()

    try:
        yield _sparing(add, folder)
    finally:
        with suppress(OSError):
            writer.close()


def _writer(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        warnings.warn(
            f"events for TensorBoard need the extra `synthvae[tensorboard]`, which is absent: {folder / HISTORY} is "
            "written alone",
            stacklevel=2,
        )
        return None
    return SummaryWriter(str(folder), purge_step=0)  # the curves of an earlier fit would cross those of this one


def _sparing(add: Callable[[Record], None], path: Path) -> Callback:
    """What adds a record unless that failed before: a full disk ends the log, and not the fit."""
    failed: list[OSError] = []

    def add_or_warn(record: Record) -> None:
        if failed:
            return
        try:
            add(record)
        except OSError as error:
            failed.append(error)
            warnings.warn(f"{path} cannot be written ({error.strerror}): training goes on without it", stacklevel=2)

    return add_or_warn
