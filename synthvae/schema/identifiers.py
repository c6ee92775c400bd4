"""Find the columns that identify people: names, contact data, record numbers and keys of rows or of repeated subjects.

A column is found by its name and by its values. Patterns are used, since detectors of personal data in free text need a
language model, and tables have column names. Nothing here depends on an installed extra.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthvae.schema.column import Column
from synthvae.schema.identifier_forms import CHECKED, LONGEST, find_form, is_dialled
from synthvae.schema.identifier_words import (
    ADDRESSES,
    ANY_KEYS,
    BARE_KEYS,
    CODES,
    DATES,
    NAMES,
    PHONES,
    PLATES,
    RECORDS,
    ROW_KEYS,
    SHORT_RECORDS,
    SUBJECT_KEYS,
    UNIQUE_KEYS,
    USERS,
    VAGUE_NAMES,
    VAGUE_USERS,
)
from synthvae.schema.people_names import folded, is_family_name, is_full_name, is_given_name, names_a_person
from synthvae.tables.arrow import LARGEST_EXACT, is_text, plain_type

SAMPLED = 500  # values that are compared with patterns
MOST_SHARE = 0.8  # share of the different values that have a pattern
HALF = 0.5
FEW_MARKS = 0.15  # share of names of users that have digits or marks
MIN_DISTINCT = 10  # different values of a key or record number: fewer are codes
FEW = 5  # different values of a pattern: fewer are categories
KEY_SHARE = 0.01  # different values per row of keys of repeated subjects
ROW_KEY_SHARE = 0.9  # of columns whose name says no more than "id"
REPEATED = "keys of subjects that repeat"
SHORTEST_PHONE = 100_000  # smaller numbers are counts of calls
SHORTEST_RECORD = 1_000_000
DECIMAL_DIGITS = 76  # that Arrow has

DIGITS = re.compile(r"(%[A-Za-z])+( or (%[A-Za-z])+)*")  # formats of dates without separators
CODE = re.compile(r"\S*\d\S*|\S{6,}")
RECORD = re.compile(r"(?!\d{4}-\d\d-\d\d)(?=.*\d)[\w ./()-]{4,30}")
LONG_RECORD = re.compile(r"(?=(\D*\d){5})[\w ./()-]{6,30}")
USER = re.compile(r"[\w-]*\d[\w.-]*|\w+[._-][\w.-]+")
PLATE = re.compile(r"(?=.*\d)(?=.*[^\W\d])[\w -]{4,11}|\d{1,4}[ -]?\d{3,5}")


class Finding(NamedTuple):
    """What identifies people in a column.

    Args:
        what: The kind of values, in the plural.
        provider: The provider of Faker that makes such values; None: they are keys, and new ones are generated.
        by: "name" or "values", by which the column was found.
        repeats: Whether they are keys of subjects with several rows.
    """

    what: str
    provider: str | None
    by: str
    repeats: bool = False

    def __str__(self) -> str:
        return f"{self.what}, by its {self.by}"


def find_identifier(name: str, values: pa.ChunkedArray) -> Finding | None:
    """Find out whether a column identifies people.

    Args:
        name: The name of the column.
        values: Its values.
    """
    found = _find(_ColumnName.of(name), values)
    if found is None or found.provider is not None:
        return found
    present = values.cast(plain_type(values.type)).drop_null()
    return found._replace(repeats=len(pc.unique(present)) < len(present))


def is_named_as_key(name: str) -> bool:
    """Whether a column has a name of keys or record numbers, whatever its values.

    >>> is_named_as_key("machine_id"), is_named_as_key("paid")
    (True, False)
    """
    words = _ColumnName.of(name)
    return words.end_in(RECORDS) or any(words.are(p) for p in (SUBJECT_KEYS, BARE_KEYS, ROW_KEYS, ANY_KEYS))


def is_named_as_code(name: str) -> bool:
    """Whether a column has a name of codes and not of dates, so that its digits are none.

    >>> is_named_as_code("postcode"), is_named_as_code("visit_no"), is_named_as_code("date_key")
    (True, True, False)
    """
    words = _ColumnName.of(name)
    return words.end_in(CODES) and DATES.search(words.whole) is None


def _find(words: _ColumnName, values: pa.ChunkedArray) -> Finding | None:
    kind = plain_type(values.type)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _find_number(words, values.cast(kind))
    if not is_text(kind):
        return None
    texts = _sampled(values)
    if len(texts) < 2:
        return None
    form = find_form(texts)
    if form is not None and not (form.provider == "phone_number" and words.end_in(RECORDS)):
        return Finding(form.what, form.provider, "values")
    return _find_person(words, texts) or _find_contact(words, texts) or _find_key(words, values, texts)


def identified(column: Column, values: pa.ChunkedArray) -> Column:
    """Return an inferred column as one of fake values or ids, if it identifies people; else as it is."""
    if not _may_identify(column):
        return column
    finding = find_identifier(column.name, values)
    if finding is None:
        return column
    if finding.provider is None:
        return Column(name=column.name, kind="id", nullable=column.nullable)
    return Column(name=column.name, kind="fake", provider=finding.provider, nullable=column.nullable)


def _may_identify(column: Column) -> bool:
    """Whether a column may be one of identifiers, rather than of the kind that was inferred from its values.

    Telephone and record numbers may be dates by chance (03312345), or have separators as numbers do. Of columns with a
    written form only the name says so, and one that merely ends in "id" or "key" does not (paid, date_key).
    """
    if column.format is None:
        return column.kind in {"categorical", "integer", "id"}
    digits = column.kind == "integer" or (column.kind == "date" and DIGITS.fullmatch(column.format) is not None)
    words = _ColumnName.of(column.name)
    return digits and any(words.are(p) for p in (NAMES, USERS, PHONES, RECORDS, SUBJECT_KEYS, ROW_KEYS))


class _ColumnName(NamedTuple):
    """The name of a column: in lower case and without accents or what separates its words, and its last words so."""

    whole: str
    ends: tuple[str, ...]

    @classmethod
    def of(cls, name: str) -> _ColumnName:
        parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
        words = [word for word in re.split(r"[\W_]+", folded(parted)) if word]
        return cls(*_joined(words))

    def are(self, pattern: re.Pattern[str]) -> bool:
        """Whether the name has a pattern, as it is or without a number behind it."""
        return any(pattern.fullmatch(text) for text in {self.whole, self.whole.rstrip("0123456789")})

    def end_in(self, pattern: re.Pattern[str]) -> bool:
        """Whether the name, or its last words, have a pattern."""
        return self.are(pattern) or any(pattern.fullmatch(text) for text in self.ends)


def _joined(words: list[str]) -> tuple[str, tuple[str, ...]]:
    return "".join(words), tuple("".join(words[place:]) for place in range(1, len(words)))


def _sampled(values: pa.ChunkedArray) -> list[str]:
    """Different texts of a column in one line, from rows that are drawn with a fixed seed if there are many."""
    present = values if not values.null_count else values.drop_null()
    places = np.random.default_rng(0).integers(
        0, max(len(present), 1), SAMPLED
    )  # equal distances would miss what is periodic
    taken = present.take(np.sort(places)) if len(present) > SAMPLED else present
    texts = map(str, pc.unique(taken).to_pylist())
    return [", ".join(text.split("\n"))[:LONGEST].strip() for text in texts if text.strip()]


def _share(texts: Sequence[str], fits: Callable[[str], Any]) -> float:
    return sum(bool(fits(text)) for text in texts) / len(texts)


def _find_person(words: _ColumnName, texts: list[str]) -> Finding | None:
    """Names of people, by the name of the column or by the values."""
    if words.end_in(NAMES):
        return Finding("names of people", _provider_of_name(words.whole), "name")
    vague = words.are(VAGUE_NAMES)
    full = len(texts) >= MIN_DISTINCT and _share(texts, is_full_name) >= MOST_SHARE
    if full and _share(texts, names_a_person) >= (HALF / 2 if vague else HALF):
        return Finding("names of people", "name", "values")
    least, many = (HALF, FEW) if vague else (MOST_SHARE, 2 * MIN_DISTINCT)
    if len(texts) < many:
        return None
    for provider, fits in (("first_name", is_given_name), ("last_name", is_family_name)):
        if (vague or provider == "first_name") and _share(texts, fits) >= least:
            return Finding("names of people", provider, "values")
    return None


def _provider_of_name(compact: str) -> str:
    if re.search(
        "first|given|fore|vor(?!und|namen)|prenom|fname|voornaam|roepnaam|fornavn|fornamn|imie|etunimi", compact
    ):
        return "first_name" if not re.search("nachname|etnom|prenoms?nom|nomprenom|nazwisko", compact) else "name"
    last = (
        "last|sur|family|familien|nach|zuname|apellido|cognome|lname|achternaam|efter|etter|nazwisko|sukunimi|фамилия"
    )
    if re.search(last, compact):
        return "last_name" if not re.search("vorname|nombre|nome.*cognome|cognome.+nome|imie|имя", compact) else "name"
    return "name"


def _find_contact(words: _ColumnName, texts: list[str]) -> Finding | None:
    """Users, telephone numbers, addresses and plates, by the name of the column."""
    return next(_contacts(words, texts), None) if len(texts) >= FEW else None


def _contacts(words: _ColumnName, texts: list[str]) -> Iterator[Finding]:
    if words.are(USERS) or (words.are(VAGUE_USERS) and _are_users(texts)):
        yield Finding("names of users", "user_name", "name")
    if words.are(PHONES) and _share(texts, is_dialled) >= MOST_SHARE:
        yield Finding("telephone numbers", "phone_number", "name")
    if words.are(ADDRESSES) and _share(texts, lambda text: " " in text or not text.isascii()) >= HALF:
        yield Finding("postal addresses", "street_address" if "street" in words.whole else "address", "name")
    if words.end_in(PLATES) and len(texts) >= MIN_DISTINCT and _share(texts, PLATE.fullmatch) >= MOST_SHARE:
        yield Finding("licence plates", "license_plate", "name")


def _are_users(texts: list[str]) -> bool:
    """Whether texts are names of users and no roles: many single words, some with digits or marks."""
    words = _share(texts, re.compile(r"[\w.@-]+").fullmatch) >= MOST_SHARE
    return len(texts) >= 2 * MIN_DISTINCT and words and _share(texts, USER.fullmatch) >= FEW_MARKS


def _find_number(words: _ColumnName, values: pa.ChunkedArray) -> Finding | None:
    """Keys, record numbers and telephone numbers among whole numbers, by the name of the column or by check digits."""
    numbers = _whole(values.drop_null())
    if numbers is None:
        return None
    if words.are(PHONES):
        typical = np.median(numbers.to_numpy()) if len(numbers) else 0
        return Finding("telephone numbers", None, "name") if typical >= SHORTEST_PHONE else None
    found = _find_key(words, numbers, None)
    if found is None and (form := find_form(_sampled(numbers), CHECKED)) is not None:
        found = Finding(form.what, None, "values")
    return found


def _whole(numbers: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Numbers (rows,) as whole ones; None if one is none, or more than doubles distinguish."""
    if pa.types.is_decimal(numbers.type):
        try:
            return numbers.cast(pa.decimal256(DECIMAL_DIGITS, 0))
        except pa.ArrowInvalid:
            return None
    if not pa.types.is_floating(numbers.type):
        return numbers
    known = numbers.to_numpy().astype(np.float64)
    if not len(known) or (np.abs(known) >= LARGEST_EXACT).any() or (known != np.rint(known)).any():
        return None
    return numbers.cast(pa.int64())


def _are_records(words: _ColumnName, values: pa.ChunkedArray, texts: list[str] | None) -> bool:
    """Whether values are numbers of records or insurances; short words for them need long numbers."""
    if words.end_in(RECORDS):
        return texts is None or _share(texts, RECORD.fullmatch) >= MOST_SHARE
    if not words.are(SHORT_RECORDS):
        return False
    if texts is None:
        return len(values) > 0 and float(np.median(values.to_numpy())) >= SHORTEST_RECORD
    return _share(texts, LONG_RECORD.fullmatch) >= MOST_SHARE


def _find_key(words: _ColumnName, values: pa.ChunkedArray, texts: list[str] | None) -> Finding | None:
    """Keys and record numbers, by the name of the column and the number of different values."""
    if _are_records(words, values, texts):
        known = len(pc.unique(values.drop_null())) >= MIN_DISTINCT
        return Finding("record or insurance numbers", None, "name") if known else None
    subject = words.are(SUBJECT_KEYS) or any(SUBJECT_KEYS.fullmatch(text) for text in words.ends[:-1])
    row, vague = words.are(ROW_KEYS), words.are(ANY_KEYS)
    bare, unique = words.are(BARE_KEYS), words.are(UNIQUE_KEYS)
    if not (subject or row or vague or bare or unique) or (
        texts is not None and _share(texts, CODE.fullmatch) < MOST_SHARE
    ):
        return None  # keys are codes and not words
    present = values.drop_null()
    distinct, rows = len(pc.unique(present)), len(present)
    if distinct < MIN_DISTINCT:
        return None
    least = KEY_SHARE if subject or bare else KEY_SHARE * 2 if row else 1 if unique else ROW_KEY_SHARE
    if distinct < least * rows and not (subject and distinct >= 2 * MIN_DISTINCT and words.whole != "id"):
        return None
    return Finding("keys of rows" if distinct == rows else REPEATED, None, "name")
