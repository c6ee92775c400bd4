"""How a CSV file is written, as far as its first bytes show it: its format, its encoding, its delimiter."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from synthvae.errors import TableError
from synthvae.tables import untrusted
from synthvae.tables.read_options import ReadOptions


def arrow_options(path: Path, options: ReadOptions) -> tuple[dict[str, Any], pa.csv.ConvertOptions]:
    """Return Arrow's options for reading and parsing a CSV file, and for converting its fields."""
    sniffed = _delimiter_of(path, options.encoding)
    parse = pa.csv.ParseOptions(delimiter=options.sep or sniffed, newlines_in_values=True)
    how = pa.csv.ReadOptions(encoding=options.encoding, block_size=untrusted.MAX_ROW)
    given = {"read_options": how, "parse_options": parse}
    missing = ["", *options.na_values]
    return given, pa.csv.ConvertOptions(null_values=missing, strings_can_be_null=True)


def _delimiter_of(path: Path, encoding: str) -> str:
    """The delimiter of the fields of a CSV file."""
    with pa.input_stream(str(path), compression="detect") as stream:
        head = stream.read(untrusted.MAX_HEADER + 1)
    _refuse_other_format(path, head)
    untrusted.refuse_long_header(path, head)
    if not head.strip():
        raise TableError(f"{path} must contain a header and rows, got an empty file.")
    if head.startswith(codecs.BOM_UTF32_LE):
        if "32" not in encoding:
            raise TableError(f"{path} must be text in {encoding}, got UTF-32. Name its encoding (`--encoding utf-32`).")
    elif head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and "16" not in encoding:
        raise TableError(f"{path} must be text in {encoding}, got UTF-16. Name its encoding (`--encoding utf-16`).")
    text = head.decode(encoding, errors="replace")
    if "\0" in text.partition("\n")[0]:
        raise TableError(f"{path} must be text in {encoding}, got NUL bytes. Name its encoding (`--encoding utf-16`).")
    return delimiter(text, path)


_MAGIC = {
    b"PK\x03\x04": "a zip archive or an Excel file (.xlsx)",
    b"\x1f\x8b": "gzip (.csv.gz)",
    b"BZh": "bzip2 (.csv.bz2)",
    b"\x28\xb5\x2f\xfd": "Zstandard (.csv.zst)",
    b"PAR1": "Parquet (.parquet)",
    b"ARROW1": "Feather (.feather)",
    b"\xd0\xcf\x11\xe0": "an old Excel file (.xls)",
    b"%PDF": "PDF",
}


def _refuse_other_format(path: Path, head: bytes) -> None:
    """Raise an error for a file whose first bytes say that it is no text."""
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            raise TableError(f"{path} must be text, got {what}. Rename the file, or unpack it.")


def delimiter(head: str, path: Path) -> str:
    """Return the most frequent delimiter in the header of a file, outside of quotes."""
    if {".tsv", ".tab"} & set(path.suffixes):
        return "\t"
    bare = re.sub(r'"[^"]*"', "", head).split("\n", 1)[0]
    return max(",;\t|", key=lambda character: (bare.count(character), -",;\t|".index(character)))
