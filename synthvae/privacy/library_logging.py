"""Imports of libraries that configure the root logger, which belongs to the program of the user."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def root_logger_unchanged() -> Iterator[None]:
    """Context in which `logging.basicConfig` does nothing, since the root logger has a handler.

    Example:
        >>> before = list(logging.getLogger().handlers)
        >>> with root_logger_unchanged():
        ...     logging.basicConfig(level=logging.DEBUG)
        >>> logging.getLogger().handlers == before
        True
    """
    root, handler = logging.getLogger(), logging.NullHandler()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
