"""Find the line of a CSV file that is wrong: an open quote, another number of fields, invalid bytes.

Arrow does not report line numbers, and reads an open quote as a value with line breaks. These functions run only if a
file could not be read, or if a value has line breaks.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from synthvae.errors import TableError
from synthvae.tables.arrow import is_text

LINE_BREAKS = b"\n\r"


class OpenQuoteError(Exception):
    """A quoted field has no closing quote before a delimiter or the end of its line.

    Args:
        line: The number of the line in which the quote is opened, from 1.
    """

    def __init__(self, line: int) -> None:
        self.line = line
        super().__init__(line)


def records(lines: Iterable[str], sep: str) -> Iterator[tuple[int, int]]:
    """Yield the number of the first line, from 1, and the number of fields of each record; empty lines are ignored.

    Args:
        lines: The lines of a CSV file.
        sep: The separator of fields.

    Raises:
        OpenQuoteError: There is an open quote.

    Example:
        >>> list(records(["a,b", '1,"two', 'lines"', "", "3,4,5"], ","))
        [(1, 2), (2, 2), (5, 3)]
    """
    opened, first, fields = 0, 1, 1
    for number, text in enumerate(lines, start=1):
        line = text.removesuffix("\n")
        if not opened:
            first, fields = number, 1
            if not line:
                continue
        opened, more = _scanned(line, sep, opened, number)
        fields += more
        if not opened:
            yield first, fields
    if opened:
        raise OpenQuoteError(opened)


def _scanned(line: str, sep: str, opened: int, number: int) -> tuple[int, int]:
    """The line in which a quote is open after this one, or 0, and how many separators this line has."""
    if '"' not in line:
        return opened, 0 if opened else line.count(sep)
    place = separators = 0
    while True:
        if not opened:
            if line.startswith('"', place):
                opened, place = number, place + 1
            else:
                place = line.find(sep, place) + 1
                if not place:
                    return 0, separators
                separators += 1
                continue
        end = line.find('"', place)
        if end < 0:
            return opened, separators
        if line.startswith('"', end + 1):
            place = end + 2
            continue
        place = end + 1 if sep == " " else len(line) - len(line[end + 1 :].lstrip(" "))
        if place == len(line):
            return 0, separators
        if line[place] != sep:
            raise OpenQuoteError(opened)
        opened, separators, place = 0, separators + 1, place + 1


def _lines(path: Path, encoding: str) -> Iterator[str]:
    with pa.input_stream(str(path), compression="detect") as stream:
        yield from io.TextIOWrapper(stream, encoding=encoding, errors="replace")


def refuse_ragged(path: Path, encoding: str, sep: str) -> None:
    """Raise an error for the first record with an open quote or another number of fields than the header.

    Raises:
        TableError: There is one.
    """
    expected = None
    try:
        for line, fields in records(_lines(path, encoding), sep):
            expected = fields if expected is None else expected
            if fields != expected:
                raise TableError(
                    f"{path}, line {line}: a row must have {expected} fields as the header has, got {fields}. Correct "
                    "the line, or name the separator of fields (`--sep`)."
                )
    except OpenQuoteError as error:
        raise _open_quote(path, error.line) from None


def refuse_open_quotes(path: Path, encoding: str, sep: str) -> None:
    """Raise an error for the first open quote.

    Raises:
        TableError: There is one.
    """
    try:
        for _ in records(_lines(path, encoding), sep):
            pass
    except OpenQuoteError as error:
        raise _open_quote(path, error.line) from None


def _open_quote(path: Path, line: int) -> TableError:
    return TableError(
        f'{path}, line {line}: a field that begins with a quote (") must end with one before the next separator, got '
        "an open quote. Close it, or double each quote inside of a field."
    )


def is_ascii_in(encoding: str, text: str = 'a,"\n') -> bool:
    """Return whether an encoding writes text as ASCII does; then its line breaks are single bytes.

    Args:
        encoding: The encoding.
        text: At least two ASCII characters; a byte order mark may precede them.

    Raises:
        LookupError: There is no such encoding.

    Example:
        >>> is_ascii_in("cp437"), is_ascii_in("utf-8-sig"), is_ascii_in("utf-16-be"), is_ascii_in("utf-7", "+-")
        (True, True, False, False)
    """
    try:
        return text.encode(encoding).endswith(text.encode("ascii"))
    except UnicodeError:
        return False


def have_line_breaks(names: Iterable[str], columns: Iterable[pa.Array | pa.ChunkedArray]) -> bool:
    """Whether a name or a text has a line break, which only a quoted field can."""
    texts = [pa.chunked_array([list(names)], pa.string()), *(values for values in columns if is_text(values.type))]
    chunks = [values.chunks if isinstance(values, pa.ChunkedArray) else [values] for values in texts]
    return any(_has_line_break(chunk) for of_column in chunks for chunk in of_column)


def _has_line_break(texts: pa.Array) -> bool:
    """Whether the bytes of the texts have a line break; much faster than a search in each text."""
    *_, content = texts.buffers()
    letters = np.frombuffer(content or b"", np.uint8)
    return bool(any((letters == end).any() for end in LINE_BREAKS))


def refuse_undecodable(path: Path, encoding: str) -> None:
    """Raise an error for the first line with bytes that are invalid in an encoding whose line breaks are single bytes.

    Raises:
        TableError: There is one.
    """
    if not is_ascii_in(encoding):
        return
    with pa.input_stream(str(path), compression="detect") as stream:
        for number, line in enumerate(io.BufferedReader(stream), start=1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as error:
                raise undecodable(path, error, f" in line {number}") from error


def undecodable(path: Path, error: UnicodeDecodeError, where: str = "") -> TableError:
    """Return the error of a file with bytes that are invalid in its encoding."""
    return TableError(
        f"{path} must be text in {error.encoding}, got the byte {error.object[error.start]:#x}{where}. "
        "Name its encoding (`--encoding latin-1`), or save it as UTF-8."
    )
