"""Read JSON lines: one object on each line."""

from __future__ import annotations

import codecs
import contextlib
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from synthvae.errors import TableError
from synthvae.tables import csv_lines, untrusted
from synthvae.tables.arrow import LARGEST_EXACT, as_array
from synthvae.tables.read_options import ReadOptions

BLOCK_BYTES = 16 << 20
BARE_NULL = r"(?:^|[\n\r}\]])(?:\xef\xbb\xbf)?[ \t\r\n]*null"  # at the start of a block, a line or behind an object


def read(path: Path, options: ReadOptions) -> pa.Table:
    """Return the rows of a file of JSON lines; text that Arrow would convert to timestamps stays text.

    Raises:
        TableError: A line is not an object, bytes are invalid in the encoding, or the values of a key do not have one
            type.
    """
    untrusted.refuse_large_csv(path)
    encoding = options.encoding
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
        rows = [json.loads(line.removeprefix("\ufeff")) for line in lines if line.strip()]
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
                raise TableError(f"{path}, line {number} must be a JSON object, got something else. Correct the line.")
