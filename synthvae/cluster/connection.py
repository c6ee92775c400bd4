"""The way to a Ray cluster."""

from __future__ import annotations

import re
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from synthvae.errors import ClusterError

LOCAL = "local"  # in an address' place: a cluster on this machine, for as long as the job takes
PATIENCE = 10.0  # seconds in which the head node must answer


@contextmanager
def connected(address: str, cpus: int) -> Iterator[Any]:
    """Connect to a cluster, unless this process is connected to one already.

    Args:
        address: That of the head node, or "local": a cluster of so many CPUs on this machine.
        cpus: How many.

    Raises:
        ClusterError: Ray is not installed, or there is no cluster.
    """
    try:
        import ray
    except ImportError as error:
        raise ClusterError("a cluster needs Ray, however, it is absent: `pip install 'synthvae[ray]'`") from error
    if ray.is_initialized():
        yield ray
        return
    _reach(address)
    where: dict[str, Any] = {"num_cpus": cpus, "include_dashboard": False} if address == LOCAL else {}
    try:
        with _own_handler():
            ray.init(address=address, log_to_driver=False, **where)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ClusterError(f"there must be a cluster at the address, however, {address!r}: {reason}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def _own_handler() -> Iterator[None]:
    """Ray puts a handler of SIGTERM of its own in the place of the caller's, which ends this process at once."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _reach(address: str) -> None:
    """Refuse an address at which nobody listens, for which Ray waits ten minutes before it ends the process."""
    named = re.fullmatch(r"(?:ray://)?([^:/]+):(\d+)", address)
    if named is None:  # "local", "auto"
        return
    try:
        socket.create_connection((named[1], int(named[2])), PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(f"there must be a cluster at the address, however, {address!r}: {error}") from error
