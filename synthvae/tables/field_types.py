"""The types of the columns of CSV files: the narrowest to which all fields of a column can be converted.

They are those that `files.read` infers from one file, for any number of files, read in batches of text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from synthvae.errors import TableError
from synthvae.tables import text_codes
from synthvae.tables.arrow import LARGEST_EXACT, are_whole

NUMERAL = r"^ *[+-]?[0-9][0-9.,]*(e[+-]?[0-9]+)? *$"
FIRST = 64  # texts that are converted first, since Arrow takes long to fail at many
NULL, INT64, UINT64, WHOLE, FLOAT64, BOOL, TEXT = range(7)
_TYPES = (pa.null(), pa.int64(), pa.uint64(), pa.string(), pa.float64(), pa.bool_(), pa.string())


@dataclass
class FieldType:
    """The narrowest type of the fields of a column so far, as a place in `_TYPES`; `WHOLE` are large whole numbers.

    Args:
        decimal: The decimal separator: where it is no point, 1.500 may be 1500, so that fractions are text.
    """

    decimal: str

    place: int = NULL
    empty: bool = True  # no row
    missing: bool = False
    negative: bool = False
    large: bool = False  # beyond the whole numbers that doubles distinguish
    whole: bool = True  # no fraction
    powers: bool = False
    numerals: bool = True  # all text is written as numbers: dates and words are not
    words: set[str] = field(default_factory=set)  # of booleans

    def add(self, texts: pa.Array) -> None:
        """Take account of more fields."""
        trimmed, before = pc.utf8_trim_whitespace(texts), self.place
        self.empty &= not len(texts)
        self.missing |= bool(texts.null_count)
        while not self._holds(trimmed):
            self.place += 1
        coded = INT64 <= self.place <= FLOAT64 and text_codes.hold_codes(trimmed)
        if self.place == BOOL:
            self.words |= set(pc.unique(trimmed.drop_null()).to_pylist())
        mixed = INT64 <= before <= FLOAT64 or not self._are_booleans()
        if coded or (self.place == BOOL and mixed) or (self.place == FLOAT64 and self.decimal != "."):
            self.place = TEXT
        if self.numerals and self.place == TEXT:
            self.numerals = pc.all(pc.match_substring_regex(texts, NUMERAL)).as_py() is not False

    def _are_booleans(self) -> bool:
        return text_codes.are_booleans(pa.array(sorted(self.words), pa.string()))

    def _holds(self, texts: pa.Array) -> bool:
        if self.place == NULL:
            return bool(texts.null_count == len(texts))
        if self.place == WHOLE:
            return bool(pc.all(pc.match_substring_regex(texts, text_codes.WHOLE)).as_py() is not False)
        try:
            pc.cast(texts.slice(0, FIRST), _TYPES[self.place])
            values = pc.cast(texts, _TYPES[self.place])
        except pa.ArrowInvalid:
            return False
        if self.place == INT64 and (low := pc.min(values).as_py()) is not None:
            self.negative |= low < 0
            self.large |= max(abs(low), abs(pc.max(values).as_py())) > LARGEST_EXACT
        if self.place == FLOAT64:
            self.whole &= are_whole(values)
            self.powers |= text_codes.hold_powers(texts)
        return not (self.place == UINT64 and self.negative)

    def join(self, other: FieldType) -> None:
        """Take account of the fields of another file, as `add` does if both are in one file."""
        low, high = sorted((self.place, other.place))
        self.missing |= other.missing
        self.negative |= other.negative
        self.large |= other.large
        self.whole &= other.whole
        self.powers |= other.powers
        self.words |= other.words
        self.place = WHOLE if (low, high) == (INT64, UINT64) and self.negative else high
        if high == BOOL and (INT64 <= low <= FLOAT64 or not self._are_booleans()):
            self.place = TEXT

    @property
    def is_number(self) -> bool:
        """Whether the fields are read as numbers."""
        return INT64 <= self.place <= FLOAT64 and self.type != pa.string()

    @property
    def is_word(self) -> bool:
        """Whether some fields are not written as numbers."""
        return self.place == BOOL or (self.place == TEXT and not self.numerals)

    @property
    def type(self) -> pa.DataType:
        """The type of all fields; that of whole numbers with missing values, and of no value, is float as in pandas.

        A column with codes such as 1E5 and no fraction is text.
        """
        if self.place == FLOAT64 and self.powers and self.whole:
            return pa.string()
        small = self.place == INT64 and self.missing and not self.large
        return pa.float64() if self.place == NULL or small else _TYPES[self.place]


def common(found: Mapping[Path, Mapping[str, FieldType]], decimal: str) -> dict[str, pa.DataType]:
    """Return the types of the columns of several files, by name, in the order in which the files first have them.

    Args:
        found: For each file, the types of the fields of its columns; values of columns that it lacks are missing.
        decimal: The decimal separator.

    Raises:
        TableError: Columns have words in one file and numbers in another.
    """
    _refuse_words_among_numbers(found)
    names = dict.fromkeys(name for columns in found.values() for name in columns)
    joined = {name: FieldType(decimal) for name in names}
    for columns in found.values():
        absent = FieldType(decimal, missing=any(not fields.empty for fields in columns.values()))
        for name, fields in joined.items():
            fields.join(columns.get(name, absent))
    return {name: fields.type for name, fields in joined.items()}


def _refuse_words_among_numbers(found: Mapping[Path, Mapping[str, FieldType]]) -> None:
    problems = []
    for name in dict.fromkeys(name for columns in found.values() for name in columns):
        of = {file: columns[name] for file, columns in found.items() if name in columns}
        numbers = [file.name for file, fields in of.items() if fields.is_number]
        words = [file.name for file, fields in of.items() if fields.is_word]
        if numbers and words:
            problems.append(f"{name!r}: numbers in {numbers[0]}, words in {words[0]}")
    if problems:
        raise TableError(
            f"{next(iter(found)).parent} cannot be read as a table: a column must have one type in all files, got "
            f"others ({'; '.join(problems)}). Correct the files, or read them one by one."
        )
