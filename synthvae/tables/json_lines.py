"""Read JSON lines: one object on each line."""

from __future__ import annotations

import codecs
import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from synthvae.errors import TableError
from synthvae.tables import csv_lines, untrusted
from synthvae.tables.arrow import LARGEST_EXACT, as_array
from synthvae.tables.read_options import ReadOptions

BLOCK_BYTES = 16 << 20
MAX_NESTING = 500  # levels of objects and lists; Arrow ends the process at some 20,000
LONGEST_LINE = 2 * untrusted.MAX_ROW  # bytes
STEPS = np.zeros(256, np.int8)  # what each letter adds to the level
STEPS[[ord("["), ord("{")]], STEPS[[ord("]"), ord("}")]] = 1, -1
BARE_NULL = r"(?:^|[\n\r}\]])(?:\xef\xbb\xbf)?[ \t\r\n]*null"  # at the start of a block, a line or behind an object


def read(path: Path, options: ReadOptions) -> pa.Table:
    """Return the rows of a file of JSON lines; text that Arrow would convert to timestamps stays text.

    Raises:
        TableError: A line is not an object, bytes are invalid in the encoding, or the values of a key do not have one
            type.
    """
    untrusted.refuse_large_csv(path)
    encoding = options.encoding
    _refuse_deep_nesting(path, encoding)
    if _may_have_null_lines(path, encoding):
        _refuse_wrong_line(path, encoding)
    try:
        table = _read(path, encoding, None)
        untrusted.refuse_long_cells(path, table.column_names, table.columns)
        texts = [field.with_type(pa.string()) for field in table.schema if pa.types.is_temporal(field.type)]
        if texts:
            table = _read(path, encoding, pa.schema(texts)).select(table.column_names)
        table.validate(full=True)  # Arrow reads bytes that are not UTF-8 as text
        return _exact(path, encoding, table)
    except pa.ArrowInvalid as error:
        csv_lines.refuse_undecodable(path, encoding)
        _refuse_wrong_line(path, encoding)
        reason = str(error).splitlines()[0].partition("(/")[2].partition(")")
        if not reason[1]:
            untrusted.refuse_long_row(path, error)
            raise
        raise TableError(
            f"{path}: the values of a key must have one type, got two of {reason[0]!r} ({reason[2].strip()}). Write "
            "all of them as text, or as numbers."
        ) from error


def _exact(path: Path, encoding: str, table: pa.Table) -> pa.Table:
    """The table with whole numbers that Arrow read as rounded doubles as they are written."""
    rounded = [
        field.name
        for field in table.schema
        if pa.types.is_floating(field.type) and (pc.max(pc.abs(table.column(field.name))).as_py() or 0) > LARGEST_EXACT
    ]
    if not rounded:
        return table
    with pa.input_stream(str(path), compression="detect") as stream:
        lines = io.TextIOWrapper(stream, encoding=encoding)
        try:
            rows = [json.loads(line.removeprefix("\ufeff")) for line in lines if line.strip()]
        except ValueError:  # Arrow also reads several objects in a line
            _refuse_wrong_line(path, encoding)
            raise
    for name in rounded:
        numbers = [row.get(name) for row in rows]
        if all(number is None or (isinstance(number, int) and abs(number) < 1 << 64) for number in numbers):
            with contextlib.suppress(pa.ArrowInvalid, OverflowError):  # some below 0 and some beyond 2**63
                table = table.set_column(table.column_names.index(name), name, pa.chunked_array([as_array(numbers)]))
    return table


def _read(path: Path, encoding: str, schema: pa.Schema | None) -> pa.Table:
    with pa.input_stream(str(path), compression="detect") as file:
        "".encode(encoding)  # (`codecs.lookup` also knows codecs that are no text encodings)
        utf8 = codecs.lookup(encoding).name in {"utf-8", "utf-8-sig"}
        stream = file if utf8 else pa.transcoding_input_stream(file, encoding, "utf-8")
        how = pa.json.ReadOptions(block_size=untrusted.MAX_ROW)
        return pa.json.read_json(stream, how, pa.json.ParseOptions(explicit_schema=schema))


def _may_have_null_lines(path: Path, encoding: str) -> bool:
    """Whether a file may have a null in the place of an object, which ends the process in Arrow 26."""
    if not csv_lines.is_ascii_in(encoding, "nul\n"):
        return True
    with pa.input_stream(str(path), compression="detect") as stream:
        while block := stream.read(BLOCK_BYTES):
            if pc.match_substring_regex(pa.array([block], pa.large_binary()), BARE_NULL)[0].as_py():
                return True
            if block.rstrip().endswith((b"n", b"nu", b"nul")):  # parted by the end of the block
                return True
    return False


def _refuse_deep_nesting(path: Path, encoding: str) -> None:
    """Raise an error for objects or lists in each other, of which Arrow 26 takes so many before they end the process.

    Raises:
        TableError: There are more than `MAX_NESTING`.
    """
    nesting = Nesting()
    with pa.input_stream(str(path), compression="detect") as stream:
        if csv_lines.is_ascii_in(encoding, '"\\\n[]{}'):
            while nesting.most <= MAX_NESTING and (block := stream.read(BLOCK_BYTES)):
                nesting.add(block)
        else:
            text = io.TextIOWrapper(stream, encoding=encoding, errors="replace")
            while nesting.most <= MAX_NESTING and (letters := text.read(BLOCK_BYTES)):
                nesting.add(letters.encode())
    nesting.finish()
    if nesting.most > MAX_NESTING:
        raise TableError(
            f"{path} must have at most {MAX_NESTING:,} nested levels of objects and lists, got more. Flatten it."
        )


def _refuse_wrong_line(path: Path, encoding: str) -> None:
    """Raise an error for the first line that is not a JSON object.

    Raises:
        TableError: There is one.
    """
    with pa.input_stream(str(path), compression="detect") as stream:
        for number, line in enumerate(io.TextIOWrapper(stream, encoding=encoding), start=1):
            try:
                right = not line.strip() or isinstance(json.loads(line.removeprefix("\ufeff")), dict)
            except (ValueError, RecursionError):
                right = False
            if not right:
                raise TableError(
                    f"{path}, line {number} must be one JSON object, got something else. Correct the line."
                )


class Nesting:
    """The most objects and lists in each other of JSON that is read block by block, valid or not.

    Brackets in strings do not count. A string ends with its line, as it must, and a bracket too many closes nothing, so
    that what is wrong in one line hides nothing in another.

    Attributes:
        most: The number so far.

    Example:
        >>> nesting = Nesting()
        >>> nesting.add(b'{"a": [[1], "[[["]}')
        >>> nesting.finish()
        >>> nesting.most
        3
    """

    def __init__(self) -> None:
        self.most = 0
        self._depth = 0
        self._rest = b""  # the part of a line whose end is in a later block

    def add(self, block: bytes) -> None:
        """Count the next block."""
        lines, end, rest = (self._rest + block).rpartition(b"\n")
        self._rest = rest if len(rest) <= LONGEST_LINE else b""  # longer ones are refused by Arrow
        self._count(lines + end)

    def finish(self) -> None:
        """Count the last line."""
        self._count(self._rest)

    def _count(self, lines: bytes) -> None:
        """Count whole lines."""
        letters = np.frombuffer(lines.replace(b"\\\\", b"__").replace(b'\\"', b"__"), np.uint8)
        steps = STEPS[letters]
        places = np.flatnonzero(steps)
        quotes = np.flatnonzero(letters == ord('"'))
        ends = np.flatnonzero((letters == ord("\n")) | (letters == ord("\r")))
        before_line = np.searchsorted(quotes, np.concatenate([[0], ends]))
        in_line = np.searchsorted(quotes, places) - before_line[np.searchsorted(ends, places)]
        depth = self._depth + np.cumsum(steps[places[in_line % 2 == 0]], dtype=np.int64)
        if len(depth):
            depth -= np.minimum(np.minimum.accumulate(depth), 0)
            self.most, self._depth = max(self.most, int(depth.max())), int(depth[-1])
