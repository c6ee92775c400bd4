"""Where tensors are computed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from synthvae.errors import ConfigurationError


def find_device(name: str) -> torch.device:
    """The device that `name` means; "auto": a GPU if there is one.

    Raises:
        ConfigurationError: torch knows no such device, or it cannot compute in double precision, as bounds need it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        probe = torch.ones((), dtype=torch.float64, device=name)
        float(probe)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationError(
            f"`device` must be one that torch computes double precision on, however, {name!r}: {reason}: take "
            '"auto" or "cpu"'
        ) from error
    return probe.device


_lock = threading.Lock()
_holders: list[int] = []  # the number of threads before the first of those who now ask for one


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch work with one thread in this thread; each who leaves sets back what the first to enter found.

    torch keeps the number for each thread, and one for threads to come: to set it back is to set both. A thread takes
    the latter when torch first works or is asked there, whatever was set before: so it is asked first.
    """
    with _lock:
        here = torch.get_num_threads()
        _holders.append(_holders[0] if _holders else here)
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            torch.set_num_threads(_holders.pop())
