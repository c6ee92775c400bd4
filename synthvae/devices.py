"""Devices and threads of torch."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from synthvae.errors import ConfigurationError


def find_device(name: str) -> torch.device:
    """Return the torch device called `name`; for "auto" a GPU if there is one, else the CPU.

    Raises:
        ConfigurationError: There is no such device, or it does not support double precision, which bounds require.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        probe = torch.ones((), dtype=torch.float64, device=name)
        float(probe)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationError(
            f'`device` must be a torch device with double precision, got {name!r} ({reason}). Use "auto" or "cpu".'
        ) from error
    return probe.device


@contextmanager
def own_modes() -> Iterator[None]:
    """Context, and decorator, in which the modes of torch that the caller has set do not matter.

    These are autocast, `no_grad`, `inference_mode` and a default device; they hold for one thread. The default dtype
    holds for the process: it does not matter either, since every tensor states its own.
    """
    with ExitStack() as modes:
        modes.enter_context(torch.inference_mode(mode=False))
        modes.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                modes.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            modes.enter_context(torch.device("cpu"))
        yield


_lock = threading.Lock()
_holders: list[int] = []  # for each context that is open: the number of threads before the first was opened


@contextmanager
def one_thread() -> Iterator[None]:
    """Context in which torch uses one thread in this thread; on exit the number before all open contexts is restored.

    torch stores the number of threads for each thread, and one for new threads; setting it sets both. A thread takes
    over the latter when torch is first used or queried in it, even if it was set before, so it is queried first.
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
