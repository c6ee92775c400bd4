"""A table read in a process of its own, for libraries that damaged files can end or fill the memory of.

The other process has read a file of a stranger: what it answers is an Arrow stream or text, and never unpickled.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from synthvae.errors import ConfigurationError, SynthvaeError, TableError

FAILED = 3  # exit code of the process if the function raises an exception
KNOWN = {"TableError": TableError, "MemoryError": MemoryError}  # exceptions that keep their type

# What the process runs. What libraries print does not get into the answer, and the system ends the process with the one
# that started it (Linux; PR_SET_PDEATHSIG is 1).
_CHILD = f"""
import importlib, json, os, sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, 9)
answer = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)
request = json.load(sys.stdin)
sys.path[:] = request["path"]
try:
    import pyarrow
    table = getattr(importlib.import_module(request["module"]), request["name"])(*request["arguments"])
except Exception as error:
    answer.write(json.dumps([type(error).__name__, str(error)]).encode())
    answer.close()
    sys.exit({FAILED})
with pyarrow.ipc.new_stream(answer, table.schema) as stream:
    stream.write_table(table)
answer.close()
"""


class ProcessEndedError(SynthvaeError):
    """A process ended before it answered: it crashed, or the system ended it for want of memory."""


def read_isolated(function: Callable[..., pa.Table], *arguments: Any) -> pa.Table:
    """Return the table that a function returns in a new Python process, which takes about a second to start.

    The process does not import the caller's script, and ends with this one.

    Args:
        function: A function of a module.
        arguments: Its arguments, as JSON has them.

    Raises:
        ProcessEndedError: The process ended before it answered.
        ConfigurationError: There is no Python interpreter at `sys.executable`.
        TableError, MemoryError: The function raises it.
        RuntimeError: The function raises another exception; with its text.

    Example:
        >>> from synthvae.tables.isolation import example
        >>> read_isolated(example, 3).to_pydict()
        {'x': [0, 1, 2]}
    """
    request = {"path": list(map(str, sys.path)), "module": function.__module__, "name": function.__name__}
    done = _run(json.dumps({**request, "arguments": arguments}).encode())
    if done.returncode == FAILED:
        kind, text = json.loads(done.stdout)
        raise KNOWN.get(kind, RuntimeError)(text or kind)
    try:
        if done.returncode == 0:
            table = pa.ipc.open_stream(done.stdout).read_all()
            table.validate(full=True)
            return table
    except pa.ArrowInvalid:
        pass
    raise ProcessEndedError(f"the process that reads it ended with exit code {done.returncode}")


def _run(request: bytes) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603 (this Python, and the text above)
            [sys.executable or "python", "-I", "-c", _CHILD],  # -I: no variable of the environment names modules
            input=request,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # so that Ctrl-C in a terminal interrupts this process alone, which ends the other
            check=False,
        )
    except OSError as error:
        raise ConfigurationError(
            f"`sys.executable` must be a Python interpreter, which reads such files, got {sys.executable!r} "
            f"({error.strerror}). Run in one, or convert the file."
        ) from error


def example(rows: int) -> pa.Table:
    """Return a table of some rows, for the example above."""
    return pa.table({"x": range(rows)})
