"""Find the columns that identify people: names, contact data, record numbers and keys of rows or of repeated subjects.

A column is found by its name and by its values. Patterns are used, since detectors of personal data in free text need a
language model, and tables have column names. Nothing here depends on an installed extra.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthvae.schema.column import Column
from synthvae.schema.identifier_words import (
    ADDRESSES,
    ANY_KEYS,
    GIVEN_NAMES,
    NAMES,
    PHONES,
    RECORDS,
    ROW_KEYS,
    SUBJECT_KEYS,
    USERS,
    VAGUE_NAMES,
)
from synthvae.tables.arrow import is_text, plain_type

SAMPLED = 500  # values that are compared with patterns
LONGEST = 200  # characters of a value that are compared: more is free text
MOST = 0.8  # share of the different values that have a pattern
HALF = 0.5
MIN_DISTINCT = 10  # different values of a key or record number: fewer are codes
FEW = 5  # different values of a pattern: fewer are categories
KEY_SHARE = 0.01  # different values per row of keys of repeated subjects
ROW_KEY_SHARE = 0.9  # of columns whose name says no more than "id"

REPEATED = "keys of subjects that repeat"
SHORTEST_PHONE = 100_000  # smaller numbers are counts of calls

EMAIL = re.compile(r"[\w.+'-]+@[\w-]+(\.[\w-]+)*\.[a-z]{2,}", re.IGNORECASE)
PHONE = re.compile(r"\+\d[\d ()./-]{7,18}|\(\d{2,5}\) ?\d[\d -]{5,10}( ?x\d+)?|\d{3}[-.]\d{3}[-.]\d{4}( ?x\d+)?")
DIALLED = re.compile(r"\+?[\d ()./x#-]{6,26}")
DIGITS = re.compile(r"(%[A-Za-z])+( or (%[A-Za-z])+)*")  # formats of dates without separators
SOCIAL_SECURITY = re.compile(r"\d{3}-\d{2}-\d{4}")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
IBAN = re.compile(r"[A-Z]{2}\d{2} ?[A-Z0-9]{4}( ?[A-Z0-9]{1,4}){2,7}")
FULL_NAME = re.compile(r"[^\W\d_][\w.'\u2019-]*,?( [^\W\d_][\w.'\u2019()\"-]*){1,4}")
ADDRESS = re.compile(
    r"\d{1,5}[a-z]?,? ([\w.'-]+ ){1,4}(st|street|ave|avenue|rd|road|ln|lane|dr|drive|blvd|boulevard|ct|court|way|pl"
    r"|place|sq|square|ter|terrace|close|crescent|parkway|pkwy|hwy|highway)\b.*"
    r"|[\w. -]+(stra(ss|ß)e|str\.|weg|platz|allee|gasse|ring|laan|straat|gatan|vej|vägen) ?\d+ ?[a-z]?\b.*"
    r"|(\d+ ?(bis|ter)?,? )?(rue|avenue|boulevard|chemin|impasse|via|viale|piazza|calle|avenida|rua|plaza) .*\d.*",
    re.IGNORECASE,
)


class Finding(NamedTuple):
    """What identifies people in a column.

    Args:
        what: The kind of values, in the plural.
        provider: The provider of Faker that makes such values; None: they are keys, and new ones are generated.
        by: "name" or "values", by which the column was found.
    """

    what: str
    provider: str | None
    by: str

    def __str__(self) -> str:
        return f"{self.what}, by its {self.by}"

    @property
    def repeats(self) -> bool:
        """Whether the values are keys of subjects with several rows."""
        return self.what == REPEATED


def find_identifier(name: str, values: pa.ChunkedArray) -> Finding | None:
    """Find out whether a column identifies people.

    Args:
        name: The name of the column.
        values: Its values.
    """
    compact = _compact(name)
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        return _find_number(compact, values)
    kind = plain_type(values.type)
    if not is_text(kind):
        return None
    texts = _sampled(values)
    if len(texts) < 2:
        return None
    return _find_pattern(texts) or _find_person(compact, texts) or _find_key(compact, values, texts)


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
    compact = _compact(column.name)
    return digits and any(p.fullmatch(compact) for p in (NAMES, USERS, PHONES, RECORDS, SUBJECT_KEYS, ROW_KEYS))


def _compact(name: str) -> str:
    """A name in lower case, without what separates its words."""
    return re.sub(r"[\W_]+", "", name.casefold())


def _sampled(values: pa.ChunkedArray) -> list[str]:
    """Different texts of a column, from rows that are drawn with a fixed seed if there are many."""
    present = values if not values.null_count else values.drop_null()
    places = np.random.default_rng(0).integers(
        0, max(len(present), 1), SAMPLED
    )  # equal distances would miss what is periodic
    taken = present.take(np.sort(places)) if len(present) > SAMPLED else present
    return [text.strip()[:LONGEST] for text in map(str, pc.unique(taken).to_pylist()) if text.strip()]


def _share(texts: Sequence[str], fits: Callable[[str], Any]) -> float:
    return sum(bool(fits(text)) for text in texts) / len(texts)


def _find_pattern(texts: list[str]) -> Finding | None:
    """Values whose form says what they are."""
    forms: list[tuple[str, str | None, Callable[[str], Any]]] = [
        ("e-mail addresses", "email", EMAIL.fullmatch),
        ("social security numbers", "ssn", SOCIAL_SECURITY.fullmatch),
        ("bank accounts", "iban", _is_iban),
        ("UUIDs", None, UUID.fullmatch),
        ("telephone numbers", "phone_number", PHONE.fullmatch),
        ("postal addresses", "address", ADDRESS.fullmatch),
    ]
    if len(texts) < FEW:
        return None
    least = HALF if any("@" in text for text in texts[:20]) else MOST
    found = (Finding(what, provider, "values") for what, provider, fits in forms if _share(texts, fits) >= least)
    return next(found, None)


def _is_iban(text: str) -> bool:
    """Whether a text is an IBAN with the right check digits (ISO 13616)."""
    if not IBAN.fullmatch(text):
        return False
    plain = text.replace(" ", "")
    digits = "".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])
    return int(digits) % 97 == 1


def _find_person(compact: str, texts: list[str]) -> Finding | None:  # noqa: PLR0911 (a table of rules)
    """Names, users, telephone numbers and addresses, by the name of the column."""
    if NAMES.fullmatch(compact):
        return Finding("names of people", _provider_of_name(compact), "name")
    full = len(texts) >= MIN_DISTINCT and _share(texts, FULL_NAME.fullmatch) >= MOST
    given = HALF / 2 if VAGUE_NAMES.fullmatch(compact) else HALF
    if full and _share(texts, _has_given_name) >= given:
        return Finding("names of people", "name", "values")
    if VAGUE_NAMES.fullmatch(compact) and len(texts) >= FEW and _share(texts, _is_given_name) >= HALF:
        return Finding("names of people", "first_name", "values")
    if USERS.fullmatch(compact) and len(texts) >= FEW:
        return Finding("names of users", "user_name", "name")
    if PHONES.fullmatch(compact) and _share(texts, _is_dialled) >= MOST:
        return Finding("telephone numbers", "phone_number", "name")
    if ADDRESSES.fullmatch(compact) and len(texts) >= FEW and _share(texts, lambda text: " " in text) >= HALF:
        return Finding("postal addresses", "street_address" if "street" in compact else "address", "name")
    return None


def _provider_of_name(compact: str) -> str:
    if re.search("first|given|fore|vor(?!und)|prenom|fname|voornaam|fornavn|fornamn|imie", compact):
        return "first_name"
    if re.search(
        "last|sur|family|familien|nach(?!vor)|zuname|apellido|cognome|lname|achternaam|efter|nazwisko", compact
    ):
        return "last_name" if "vorund" not in compact else "name"
    return "name"


def _is_given_name(text: str) -> bool:
    return text.casefold() in GIVEN_NAMES


def _has_given_name(text: str) -> bool:
    """Whether the first word, or the one after a comma, is a given name; "San Jose" is a city."""
    family, comma, given = text.casefold().partition(",")
    words = re.findall(r"[^\W\d_]+", given if comma else family)
    titles = {"mr", "mrs", "ms", "miss", "dr", "prof", "herr", "frau"}
    return next((word in GIVEN_NAMES for word in words if word not in titles), False)


def _is_dialled(text: str) -> bool:
    return bool(DIALLED.fullmatch(text)) and 6 <= sum(letter.isdigit() for letter in text) <= 18


def _find_number(compact: str, values: pa.ChunkedArray) -> Finding | None:
    """Keys, record numbers and telephone numbers among whole numbers, by the name of the column."""
    if not any(pattern.fullmatch(compact) for pattern in (*KEYS, RECORDS, PHONES)):
        return None
    numbers = values.drop_null()
    if pa.types.is_floating(values.type) and not pc.all(pc.equal(numbers, pc.round(numbers))).as_py():
        return None
    if PHONES.fullmatch(compact):
        typical = np.median(numbers.to_numpy()) if len(numbers) else 0
        return Finding("telephone numbers", None, "name") if typical >= SHORTEST_PHONE else None
    return _find_key(compact, values, None)


KEYS = (SUBJECT_KEYS, ROW_KEYS, ANY_KEYS)


def _find_key(compact: str, values: pa.ChunkedArray, texts: list[str] | None) -> Finding | None:
    """Keys and record numbers, by the name of the column and the number of different values."""
    subject, row, vague, record = (p.fullmatch(compact) for p in (*KEYS, RECORDS))
    if not (subject or row or vague or record):
        return None
    if texts is not None and _share(texts, re.compile(r"\S*\d\S*|\S{6,}").fullmatch) < MOST:
        return None  # keys are codes and not words
    distinct, rows = len(pc.unique(values.drop_null())), len(values) - values.null_count
    if distinct < MIN_DISTINCT:
        return None
    if record:
        return Finding("record or insurance numbers", None, "name")
    least = KEY_SHARE if subject else KEY_SHARE * 2 if row else ROW_KEY_SHARE
    if distinct < least * rows and not (subject and distinct >= 2 * MIN_DISTINCT and compact != "id"):
        return None
    return Finding("keys of rows" if distinct == rows else REPEATED, None, "name")
