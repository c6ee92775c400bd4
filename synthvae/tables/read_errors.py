"""Errors of readers of files as errors of this package, with the line of a text file that is wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from synthvae.errors import TableError
from synthvae.tables import csv_lines, untrusted


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Convert every error of reading a file to a `TableError`."""
    try:
        yield
    except TableError:
        raise
    except UnicodeDecodeError as error:
        if path.is_file():
            csv_lines.refuse_undecodable(path, error.encoding)
        raise csv_lines.undecodable(path, error) from error
    except LookupError as error:
        raise TableError(f"The character encoding must be known to Python ({error}). Try utf-8 or latin-1.") from error
    except (pa.ArrowException, EOFError, OSError) as error:
        reason = str(error).splitlines()[0][:300]
        raise TableError(f"{path} cannot be read as a table ({reason}). Check the file, or write it again.") from error


@contextlib.contextmanager
def locating(path: Path, options: Mapping[str, Any]) -> Iterator[None]:
    """Name the line of an error of Arrow, whose own message has a row of the table and no line."""
    try:
        yield
    except pa.ArrowInvalid as error:
        encoding = options["read_options"].encoding
        csv_lines.refuse_undecodable(path, encoding)
        csv_lines.refuse_ragged(path, encoding, options["parse_options"].delimiter)
        untrusted.refuse_long_row(path, error)
        raise
