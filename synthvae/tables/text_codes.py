"""Fields of CSV files that are written like numbers: codes with leading zeros, and numbers that doubles would round.

`0123` read as a number comes back as `123`, and `1E5` as `100000`. A column with such a field is read as text, so that
every field stays as it was written. Whole numbers beyond 2**53 stay whole numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from synthvae.tables import csv_lines
from synthvae.tables.arrow import LARGEST_EXACT, are_whole

BLOCK_BYTES = 16 << 20
OVERLAP_BYTES = 64  # of two blocks, so that a field at their border is seen
CODE = r"[ \t]*(\+[0-9.]|-?0[0-9xX])"  # begins a field that is a code; Arrow trims spaces and tabs of numbers
# A code such as 1E5: whole numbers have no exponent, and programs that write one give it a sign, or a point before it.
POWER = "^[0-9]+[eE][0-9]+$"
BOOLEANS = [{"True", "False"}, {"true", "false"}, {"TRUE", "FALSE"}]
WHOLE = "^(0|-?[1-9][0-9]*)$"


def hold_codes(texts: pa.Array | pa.ChunkedArray) -> bool:
    """Whether one of the texts starts with a superfluous zero, a plus sign or 0x, as codes and phone numbers do.

    >>> hold_codes(pa.array(["0", "0.5", "-0.5", "10"])), hold_codes(pa.array(["501", "02116"]))
    (False, True)
    """
    chunks = texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]
    return any(_holds_code(chunk.drop_null()) for chunk in chunks)


def _holds_code(texts: pa.Array) -> bool:
    """Whether one of the texts is a code; one search in the joined texts is faster than one in each."""
    joined = pc.binary_join(pa.ListArray.from_arrays([0, len(texts)], texts), "\n")
    return bool(pc.match_substring_regex(joined, rf"(^|\n){CODE}")[0].as_py())


def hold_powers(texts: pa.Array | pa.ChunkedArray) -> bool:
    """Whether one of the texts has an exponent without a sign and no point, as codes of plates and lots have.

    >>> hold_powers(pa.array(["1E5", "200"])), hold_powers(pa.array(["1e+05", "1.0E5"]))
    (True, False)
    """
    return bool(pc.any(pc.match_substring_regex(texts, POWER)).as_py())


def are_booleans(texts: pa.Array | pa.ChunkedArray) -> bool:
    """Whether all texts are the two words of one spelling, so that booleans can be written as they are.

    >>> are_booleans(pa.array(["TRUE", "FALSE"])), are_booleans(pa.array(["True", "0"]))
    (True, False)
    """
    found = set(pc.unique(texts.drop_null()).to_pylist())
    return any(found <= words for words in BOOLEANS)


def exact_types(
    path: Path, table: pa.Table, options: Mapping[str, Any], missing: Sequence[str] = ("",)
) -> dict[str, pa.DataType]:
    """Return the types of those columns of a CSV file, read as `table`, that would not keep their fields.

    Args:
        path: The file.
        table: Its rows, of the types that Arrow infers.
        options: Arrow's options for reading and parsing it.
        missing: Fields that are missing values.
    """
    encoding = options["read_options"].encoding
    numeric = [f.name for f in table.schema if pa.types.is_integer(f.type) or pa.types.is_floating(f.type)]
    coded = numeric if numeric and _may_hold_codes(path, encoding, options["parse_options"].delimiter) else []
    large = [name for name in numeric if _is_rounded(table.column(name))]
    powers = [name for name in numeric if _may_hold_powers(table.column(name))]
    names = [name for name in numeric if name in coded or name in large or name in powers]
    names += [field.name for field in table.schema if pa.types.is_boolean(field.type)]
    if not names:
        return {}
    text = pa.csv.ConvertOptions(
        include_columns=names,
        column_types=dict.fromkeys(names, pa.string()),
        null_values=list(missing),
        strings_can_be_null=True,
    )
    fields = pa.csv.read_csv(path, **options, convert_options=text)
    kinds = {name: _exact_type(fields.column(name), table.column(name)) for name in names}
    return {name: kind for name, kind in kinds.items() if kind is not None}


def _exact_type(texts: pa.ChunkedArray, numbers: pa.ChunkedArray) -> pa.DataType | None:
    """The type that keeps all texts; None if they are kept as numbers, too."""
    if not pa.types.is_string(texts.type):  # invalid UTF-8 is read as binary, and refused later
        return None
    trimmed = pc.utf8_trim_whitespace(texts)
    if pa.types.is_boolean(numbers.type):
        return None if are_booleans(trimmed) else pa.string()
    if hold_codes(trimmed) or (_may_hold_powers(numbers) and hold_powers(trimmed)):
        return pa.string()
    if not _is_rounded(numbers) or not pc.all(pc.match_substring_regex(trimmed, WHOLE)).as_py():
        return None
    return whole_type(trimmed) or pa.string()


def whole_type(texts: pa.ChunkedArray) -> pa.DataType | None:
    """Return the integer type that holds all texts; None if there is none."""
    for kind in (pa.int64(), pa.uint64()):
        try:
            texts.cast(kind)
        except pa.ArrowInvalid:
            continue
        return kind
    return None


def _may_hold_powers(numbers: pa.ChunkedArray) -> bool:
    """Whether all numbers are whole and were not read as such."""
    return pa.types.is_floating(numbers.type) and numbers.null_count < len(numbers) and are_whole(numbers)


def _is_rounded(numbers: pa.ChunkedArray) -> bool:
    """Whether a column may hold whole numbers that doubles do not distinguish, and is read as doubles."""
    if not pa.types.is_floating(numbers.type) and not numbers.null_count:
        return False
    span = pc.min_max(numbers).as_py()
    return span["min"] is not None and max(abs(span["min"]), abs(span["max"])) > LARGEST_EXACT


def _may_hold_codes(path: Path, encoding: str, delimiter: str) -> bool:
    """Whether a field of the file begins like a code; a search of bytes, much faster than reading all fields as text.

    It may be wrong where it says yes.
    """
    if not csv_lines.is_ascii_in(encoding, f'{delimiter}"\n\r0+-'):
        return True  # bytes are not characters in this encoding
    code = rf'(^|["\n\r{re.escape(delimiter)}]){CODE}'
    return any(
        pc.match_substring_regex(pa.array([block], pa.large_binary()), code)[0].as_py() for block in _blocks(path)
    )


def _blocks(path: Path) -> Iterator[bytes]:
    last = b""
    with pa.input_stream(str(path), compression="detect") as stream:
        while block := stream.read(BLOCK_BYTES):
            yield last + block
            last = block[-OVERLAP_BYTES:]
