"""Callbacks of training: the user's functions, `history.csv`, and events for TensorBoard."""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from synthvae import filesystem
from synthvae.errors import ConfigurationError, warn_user
from synthvae.filesystem import Folder, refuse_link
from synthvae.training.history import COLUMNS, Callback, Record
from synthvae.training.loop import Progress

HISTORY = "history.csv"
TAG = "nats per row/"  # TensorBoard groups its charts by the part before the slash
PRIVATE_EVERY = 25  # steps of a private fit between two calls

Callbacks = Callback | Sequence[Callback] | None
LogDir = str | os.PathLike[str] | None


@contextmanager
def open_callbacks(callbacks: Callbacks, log_dir: LogDir) -> Iterator[Callback | None]:
    """Yield one callback that calls all given ones and writes the logs, which are closed in the end; None if none is.

    Args:
        callbacks: A function, or several.
        log_dir: The folder of `history.csv`, of which each line is on disk before training continues, and of the events
            for TensorBoard. The logs of an earlier fit are replaced, or hidden by TensorBoard.

    Raises:
        ConfigurationError: `callbacks` are not functions, or the folder cannot be written.
    """
    called = _listed(callbacks)
    with ExitStack() as stack:
        if log_dir is not None:
            called += [
                stack.enter_context(open_log(filesystem.local_path(log_dir, "A log")))
                for open_log in (_history, _events)
            ]
        yield (lambda record: _call_all(called, record)) if called else None


def steps_only(callback: Callback | None, progress: Progress | None) -> Progress | None:
    """Return the progress function of a private fit, which calls back with records of steps alone: losses are private.

    The value that the callback returns is ignored: the number of steps of such a fit is public.
    """
    if callback is None:
        return progress

    def report(step: int, steps: int, loss: float) -> None:
        if progress is not None:
            progress(step, steps, loss)
        if step % PRIVATE_EVERY == 0 or step == steps:
            callback(Record(step, math.nan, math.nan, math.nan, None))

    return report


def _listed(callbacks: Callbacks) -> list[Callback]:
    several = callbacks if isinstance(callbacks, Sequence) else [] if callbacks is None else [callbacks]
    for call in several:
        if not callable(call):
            raise ConfigurationError(
                f"`callbacks` must be a function of a record, or a list of such functions, got {call!r}."
            )
    return list(several)


def _call_all(called: list[Callback], record: Record) -> bool:
    """Call all functions, even those after one that requests to stop; return whether any does."""
    return True in [_is_true(call(record)) for call in called]


def _is_true(returned: object) -> bool:
    """Whether a value is True itself; functions may return anything else."""
    return isinstance(returned, (bool, np.bool_)) and bool(returned)


@contextmanager
def _history(folder: Path) -> Iterator[Callback]:
    """Yield a callback that adds a line to `history.csv`, which is closed after each line."""
    log = Folder(folder)
    try:
        refuse_link(folder)
        folder.mkdir(parents=True, exist_ok=True)
        log.write(HISTORY, f"{','.join(COLUMNS)}\n".encode())
    except OSError as error:
        raise ConfigurationError(
            f"`log_dir` must be a folder that can be written, got {folder} ({error.strerror}). Choose another folder."
        ) from error

    def add(record: Record) -> None:
        cells = ["" if math.isnan(value) else repr(value) for value in record.as_dict().values()]
        log.append(HISTORY, f"{','.join(cells)}\n".encode())

    yield _until_failure(add, folder / HISTORY)


@contextmanager
def _events(folder: Path) -> Iterator[Callback]:
    """Yield a callback that writes events for TensorBoard, or does nothing if it is not installed."""
    writer = _writer(folder)
    if writer is None:
        yield lambda _: None
        return

    def add(record: Record) -> None:
        for name, value in record.metrics.items():
            writer.add_scalar(TAG + name, value, record.step)
        writer.flush()

    try:
        yield _until_failure(add, folder)
    finally:
        with suppress(OSError):
            writer.close()


def _writer(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        warn_user(
            "Events for TensorBoard need the extra `synthvae[tensorboard]`, which is not installed. Only "
            f"{folder / HISTORY} is written."
        )
        return None
    # The suffix makes the name one for which no link can be prepared; `purge_step` hides the events of an earlier fit.
    return SummaryWriter(str(folder), purge_step=0, filename_suffix=f".{secrets.token_hex(8)}")


def _until_failure(add: Callable[[Record], None], path: Path) -> Callback:
    """Return a callback that adds records until that fails: a full disk ends the log, not the fit."""
    failed: list[OSError] = []

    def add_or_warn(record: Record) -> None:
        if failed:
            return
        try:
            add(record)
        except OSError as error:
            failed.append(error)
            warn_user(f"{path} cannot be written ({error.strerror}). Training continues without it.")

    return add_or_warn
