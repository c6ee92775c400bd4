"""What can go wrong, by name.

Every exception is also the builtin it specialises, so that `except ValueError` written years ago still works.
A message states the rule, then the fact, then the way out.
"""

from __future__ import annotations

import sys
import textwrap
import warnings
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError


class SynthvaeError(Exception):
    """Base of every error that synthvae raises on purpose.

    Attributes:
        ledger: The privacy ledger of a fit that was refused after it had spent something; None: nothing was spent.
    """

    ledger: Any = None


class SchemaError(SynthvaeError, ValueError):
    """A schema contradicts itself, or cannot be read."""


class TableError(SynthvaeError, ValueError):
    """A table cannot be read, breaks its schema, or cannot be learned."""


class TableTypeError(TableError, TypeError):
    """An object is not a table at all."""


class RequestError(SynthvaeError, ValueError):
    """The rows asked for cannot be given: an unknown class, a negative count, no class to ask for."""


class ConfigurationError(SynthvaeError, ValueError):
    """A parameter is outside its domain."""


class PrivacyError(SynthvaeError, ValueError):
    """A guarantee cannot be given: a fact is not public, or the budget does not suffice."""


class ClusterError(SynthvaeError, RuntimeError):
    """There is no cluster, or a job failed there again and again."""


class ArtifactError(SynthvaeError, ValueError):
    """A model directory is absent, damaged, or of a newer format."""


class DatasetError(SynthvaeError, OSError):
    """A dataset, or another file of results, cannot be written or resumed."""


def listing(names: Iterable[object], limit: int = 10) -> str:
    """Return `names` as a message shows them: the first few, and how many there are."""
    shown = list(names)
    rest = f", ... ({len(shown)} in all)" if len(shown) > limit else ""
    return f"[{', '.join(map(repr, shown[:limit]))}{rest}]"


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning that points to the line outside this package from which the call came."""
    level, frame = 2, sys._getframe(1)  # noqa: SLF001 (what `warnings` itself uses)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "synthvae":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


LONGEST = 2_000  # letters of what is said of a page
_UNION_PARTS = {"int", "float", "bool", "str", "datetime", "date"}  # what pydantic calls the sides of a union


def explain(error: ValidationError) -> str:
    """The first mistake that pydantic found in a page, on one line."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if str(part) not in _UNION_PARTS)
    what = textwrap.shorten(first["msg"].removeprefix("Value error, "), LONGEST, placeholder=" [...]")
    return f"{where}: {what}" if where and not what.startswith(("column ", "a schema ")) else what
