"""The connection to a Ray cluster."""

from __future__ import annotations

import re
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from synthvae.errors import ClusterError

LOCAL = "local"  # instead of an address: a cluster on this machine that ends with the job
TIMEOUT = 10.0  # seconds in which the head node must answer


@contextmanager
def connected(address: str, cpus: int) -> Iterator[Any]:
    """Connect to a cluster, unless this process is connected to one already, and yield the module `ray`.

    Args:
        address: The address of the head node, or "local" for a cluster on this machine.
        cpus: The number of CPUs of a local cluster.

    Raises:
        ClusterError: Ray is not installed, or there is no cluster.
    """
    try:
        import ray
    except ImportError as error:
        raise ClusterError("A cluster needs Ray, which is not installed. Run `pip install 'synthvae[ray]'`.") from error
    if ray.is_initialized():
        yield ray
        return
    _reach(address)
    where: dict[str, Any] = {"num_cpus": cpus, "include_dashboard": False} if address == LOCAL else {}
    try:
        with _retained_handler():
            ray.init(address=address, log_to_driver=False, **where)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ClusterError(f"There is no cluster at {address!r}: {reason}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def _retained_handler() -> Iterator[None]:
    """Restore the handler of SIGTERM, which Ray replaces by one that ends this process at once."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _reach(address: str) -> None:
    """Refuse an address that does not answer: Ray would wait ten minutes and then end this process."""
    named = re.fullmatch(r"(?:ray://)?([^:/]+):(\d+)", address)
    if named is None:  # "local", "auto"
        return
    try:
        socket.create_connection((named[1], int(named[2])), TIMEOUT).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(f"There is no cluster at {address!r}: {error}") from error
