"""Read JSON lines: one object on each line."""

from __future__ import annotations

import codecs
import contextlib
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

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
BARE_NULL = r"(?:^|[\n\r}\]])(?:\xef\xbb\xbf)?[ \t\r\n]*null"  # at the start of a block, a line or behind an object


def read(path: Path, options: ReadOptions) -> pa.Table:
    """Return the rows of a file of JSON lines; text that Arrow would convert to timestamps stays text.

    Raises:
        TableError: A line is not an object, bytes are invalid in the encoding, or the values of a key do not have one
            type.
    """
    untrusted.refuse_large_csv(path)
    encoding = options.encoding
    if _may_end_arrow(path, encoding):
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


def _may_end_arrow(path: Path, encoding: str) -> bool:
    """Whether a file may have what ends the process in Arrow 26: a null in the place of an object, or deep nesting."""
    if not csv_lines.is_ascii_in(encoding, "nul\n[{"):
        return True
    openings = 0  # brackets of the line that is not at its end
    with pa.input_stream(str(path), compression="detect") as stream:
        while block := stream.read(BLOCK_BYTES):
            if pc.match_substring_regex(pa.array([block], pa.large_binary()), BARE_NULL)[0].as_py():
                return True
            if block.rstrip().endswith((b"n", b"nu", b"nul")):  # parted by the end of the block
                return True
            most, openings = _openings(block, openings)
            if most > MAX_NESTING:
                return True
    return False


def _openings(block: bytes, before: int) -> tuple[int, int]:
    """The most opening brackets in a line of a block, of whose first line some came before, and those in the last."""
    letters = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(letters == ord("\n"))
    opened = np.flatnonzero((letters == ord("[")) | (letters == ord("{")))
    by_line = np.bincount(np.searchsorted(ends, opened), minlength=len(ends) + 1)
    by_line[0] += before
    return int(by_line.max()), int(by_line[-1])


def _refuse_wrong_line(path: Path, encoding: str) -> None:
    """Raise an error for the first line that is not a JSON object, or is nested too deep.

    Raises:
        TableError: There is one.
    """
    with pa.input_stream(str(path), compression="detect") as stream:
        for number, line in enumerate(io.TextIOWrapper(stream, encoding=encoding), start=1):
            try:
                value = json.loads(line.removeprefix("\ufeff")) if line.strip() else {}
            except (ValueError, RecursionError):
                value = None
            if not isinstance(value, dict) or _depth(value) > MAX_NESTING:
                raise TableError(
                    f"{path}, line {number} must be one JSON object of at most {MAX_NESTING:,} nested levels, got "
                    "something else. Correct the line."
                )


def _depth(value: Any) -> int:
    """The levels of nested objects and lists."""
    depth, level = 0, [value]
    while level := [inner for outer in level for inner in _children(outer)]:
        depth += 1
    return depth


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
