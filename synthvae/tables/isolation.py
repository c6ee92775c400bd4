"""A call in a process of its own, for libraries that damaged files can end or fill the memory of."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from synthvae.errors import ConfigurationError, SynthvaeError

Result = TypeVar("Result")

# What the process runs: input and output are pickled, what libraries print does not get between, and the system ends
# the process with the one that started it (Linux; PR_SET_PDEATHSIG is 1).
_CHILD = """
import os, pickle, sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, 9)
answer = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)
sys.path[:] = pickle.load(sys.stdin.buffer)
function, arguments = pickle.load(sys.stdin.buffer)
try:
    result = pickle.dumps((True, function(*arguments)), pickle.HIGHEST_PROTOCOL)
except Exception as error:
    try:
        result = pickle.dumps((False, error))
        pickle.loads(result)
    except Exception:
        result = pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))
answer.write(result)
"""


class ProcessEndedError(SynthvaeError):
    """A process ended before it answered: it crashed, or the system ended it for want of memory."""


def call_isolated(function: Callable[..., Result], *arguments: Any) -> Result:
    """Return what a function returns in a new Python process; it takes about a second to start.

    The process does not import the caller's script, and Ctrl-C ends it with this one.

    Args:
        function: A function of a module.
        arguments: Its arguments, which can be pickled.

    Raises:
        ProcessEndedError: The process ended before it answered.
        ConfigurationError: There is no Python interpreter at `sys.executable`.
        Exception: What the function raises; a RuntimeError with its text if it cannot be pickled.

    Example:
        >>> call_isolated(max, 3, 5)
        5
    """
    request = pickle.dumps(sys.path) + pickle.dumps((function, arguments))
    try:
        done = subprocess.run(  # noqa: S603 (this Python, and the text above)
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
    try:
        succeeded, result = pickle.loads(done.stdout)  # noqa: S301 (from a process of this one)
    except (EOFError, pickle.UnpicklingError) as error:
        raise ProcessEndedError(f"the process that reads it ended with exit code {done.returncode}") from error
    if succeeded:
        return result  # type: ignore[no-any-return]
    raise result
