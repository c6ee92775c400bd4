"""The forms of values that identify people whatever the name of their column: addresses, numbers with check digits."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any, NamedTuple

LONGEST = 200  # characters of a value that are compared: more is free text

EMAIL = re.compile(r"[\w.+'-]+@[\w-]+(\.[\w-]+)*\.[a-z]{2,}", re.IGNORECASE)
URL = re.compile(r"((https?|ftp)://|www\.)[^\s/]+\.[^\s]+", re.IGNORECASE)
HANDLE = re.compile(r"@\w{2,}")
MAC = re.compile(r"[0-9a-f]{2}([:-][0-9a-f]{2}){5}", re.IGNORECASE)
PHONE = re.compile(
    r"(\+|00)\d[\d ()./-]{7,18}( ?(x|ext\.?) ?\d+)?"
    r"|\(\d{2,5}\) ?\d[\d -]{5,10}( ?(x|ext\.?) ?\d+)?"
    r"|((\+|00)?1[-. ])?(\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}( ?(x|ext\.?) ?\d+)?"
    r"|0[1-9]\d{8,10}|0\d{2,4}[ /-]\d{2,4}[ -]?\d{3,5}|0\d([ .-]\d{2}){4}"
)
DIALLED = re.compile(r"\+?[\d ()./x#-]{6,26}")
SOCIAL_SECURITY = re.compile(r"\d{3}-\d{2}-\d{4}")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
HASH = re.compile(r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}", re.IGNORECASE)
IBAN = re.compile(r"[A-Z]{2}\d{2} ?[A-Z0-9]{4}( ?[A-Z0-9]{1,4}){2,7}")
CARD = re.compile(r"[2-6]\d{3}[ -]?\d{4}[ -]?\d{4}[ -]?\d{3,4}|3\d{3}[ -]?\d{6}[ -]?\d{5}")
INSURANCE_BRITISH = re.compile(r"[A-CEGHJ-PR-TW-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]|ZZ ?\d{2} ?\d{2} ?\d{2} ?[A-DT]")
TAX_ITALIAN = re.compile(r"[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]")
TAX_BRAZILIAN = re.compile(r"\d{3}\.\d{3}\.\d{3}-\d{2}")
VEHICLE = re.compile(r"(?=.*\d)(?=.*[A-Z])[A-HJ-NPR-Z0-9]{17}")
STREET_WORDS = (  # of the United States Postal Service, publication 28, appendix C1, and of Great Britain
    "st|street|ave|avenue|rd|road|ln|lane|dr|drives?|blvd|boulevard|ct|courts?|way|pl|place|plaza|sq|squares?|ter|terrace"
    "|close|crescent|parkways?|pkwy|hwy|highway|alley|bypass|camp|canyon|causeway|circles?|cliffs?|corners?|coves?|creek"
    "|crossing|dale|estates?|expressway|extensions?|falls?|ferry|fields?|flats?|fords?|forest|forges?|forks?|freeway"
    "|gardens?|gateway|glens?|greens?|groves?|harbors?|haven|heights|hills?|hollow|inlet|islands?|isle|junctions?|keys?"
    "|knolls?|lakes?|landing|lights?|loaf|locks?|lodge|loop|mall|manors?|meadows?|mews|mills?|mission|motorway|mountains?"
    "|orchard|oval|overpass|parks?|pass|passage|path|pike|pines?|plains?|points?|ports?|prairie|radial|ramp|ranch|rapids?"
    "|rest|ridges?|river|route|row|rue|run|shoals?|shores?|skyway|springs?|spurs?|station|stravenue|stream|summit"
    "|throughway|trace|track|trail|tunnel|turnpike|underpass|unions?|valleys?|via|viaduct|views?|villages?|ville|vista"
    "|walks?|wall|wells?|branch|bridge|brooks?|bluffs?|burgs?|center|centers|club|common|course|curve"
)
ADDRESS = re.compile(
    rf"(flat \w+,? |studio \w+,? )?\d{{1,5}}[a-z]?,? ([\w.'-]+ ){{1,4}}({STREET_WORDS})\b.*"
    r"|(\d|psc|unit|usns|uscgc|usnv|po box).*,.* [a-z]{2},? \d{5}(-\d{4})?"
    r"|[\w. -]+(stra(ss|ß)e|str\.?|weg|platz|allee|gasse|ring|damm|ufer|laan|straat|gatan|vej|vägen|ulica) ?\d+.*"
    r"|.*\d, ?(d-|a-|ch-)?\d{4,5} [^\W\d].*"
    r"|(\d+ ?(bis|ter)?,? )?(rue|avenue|boulevard|chemin|impasse|allée|quai|via|viale|vicolo|piazza|strada|borgo"
    r"|contrada|calle|c\.|avenida|alameda|paseo|plaza|ronda|cuesta|camino|callejón|rambla|rua|travessa|praça"
    r"|ul\.|al\.) .*\d.*"
    r"|(г|д|с|п|клх|ст)\.? .*, (ул|ш|пр|пер|наб|бул|алл)\.? .*\d.*"  # noqa: RUF001
    r"|.*[都道府県].*[市区町村郡].*\d.*|.*[省市].*[区县路街].*\d*.*",
    re.IGNORECASE,
)


class Form(NamedTuple):
    """A form of values.

    Args:
        what: The kind of values, in the plural.
        provider: The provider of Faker that makes such values; None: they are keys.
        fits: Whether a text has the form.
        share: The share of the different texts that must have it.
        distinct: The number of different texts that there must be.
    """

    what: str
    provider: str | None
    fits: Callable[[str], Any]
    share: float = 0.8
    distinct: int = 5


def _is_iban(text: str) -> bool:
    """Whether a text is an IBAN with the right check digits (ISO 13616)."""
    if not IBAN.fullmatch(text):
        return False
    plain = text.replace(" ", "")
    return int("".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])) % 97 == 1


def _is_card(text: str) -> bool:
    """Whether a text is the number of a payment card or of a mobile device, with the right check digit (ISO 7812)."""
    return CARD.fullmatch(text) is not None and _luhn(re.sub(r"\D", "", text)) == 0


def _luhn(digits: str) -> int:
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(int(digit) for digit in digits[-1::-2]) + sum(doubled)) % 10


def _is_nhs(text: str) -> bool:
    """Whether a text is a number of the British National Health Service (NHS Data Dictionary, modulus 11)."""
    if not re.fullmatch(r"\d{3}([ -]?)\d{3}\1\d{4}", text):
        return False
    digits = [int(letter) for letter in text if letter.isdigit()]
    return sum(weight * digit for weight, digit in zip(range(10, 1, -1), digits[:9], strict=True)) % 11 == (
        -digits[9] % 11
    )


def _is_french(text: str) -> bool:
    """Whether a text is a French number of social security (NIR) with the right key, modulo 97."""
    plain = text.replace(" ", "")
    return bool(re.fullmatch(r"[1-478]\d{14}", plain)) and (int(plain[:13]) + int(plain[13:])) % 97 == 0


def _is_spanish(text: str) -> bool:
    """Whether a text is a Spanish number of identity (DNI, NIE) with the right letter, modulo 23."""
    if not re.fullmatch(r"[XYZ\d]\d{7}-?[A-Z]", text):
        return False
    number = text[0].translate(str.maketrans("XYZ", "012")) + text[1:8]
    return text[-1] == "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23]


def _is_swedish(text: str) -> bool:
    """Whether a text is a Swedish number of a person with the right check digit."""
    found = re.fullmatch(r"(?:\d{2})?(\d{6})[-+](\d{4})", text)
    return found is not None and _luhn(found[1] + found[2]) == 0


def _is_polish(text: str) -> bool:
    """Whether a text is a Polish number of a person (PESEL) with the right check digit."""
    if not re.fullmatch(r"\d{11}", text):
        return False
    return sum(weight * int(digit) for weight, digit in zip((1, 3, 7, 9) * 2 + (1, 3, 1), text, strict=True)) % 10 == 0


def _is_ip(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False


CHECKED = (  # a check digit is right by chance in a tenth of the values, so that all of them must be right
    Form("payment cards", "credit_card_number", _is_card, 0.97, 10),
    Form("numbers of the National Health Service", None, _is_nhs, 0.97, 10),
    Form("numbers of social security", None, _is_french, 0.97, 10),
    Form("numbers of people", None, _is_polish, 0.97, 10),
)
"""Forms of whole numbers."""

FORMS = (
    Form("e-mail addresses", "email", EMAIL.fullmatch, 0.5),
    Form("social security numbers", "ssn", SOCIAL_SECURITY.fullmatch),
    Form("bank accounts", "iban", _is_iban),
    Form("UUIDs", None, UUID.fullmatch),
    Form("hashes", None, HASH.fullmatch, 0.97, 10),
    *CHECKED,
    Form("numbers of identity", None, _is_spanish, 0.97, 10),
    Form("numbers of people", None, _is_swedish, 0.97, 10),
    Form("numbers of people", None, TAX_ITALIAN.fullmatch, 0.97, 10),
    Form("numbers of people", None, TAX_BRAZILIAN.fullmatch, 0.97, 10),
    Form("insurance numbers", None, INSURANCE_BRITISH.fullmatch, 0.97, 10),
    Form("vehicles", "vin", VEHICLE.fullmatch, 0.97, 10),
    Form("addresses of computers", "ipv4", lambda text: _is_ip(text, 4), 0.97),
    Form("addresses of computers", "ipv6", lambda text: _is_ip(text, 6), 0.97),
    Form("addresses of computers", "mac_address", MAC.fullmatch, 0.97),
    Form("web addresses", "url", URL.fullmatch, 0.8, 10),
    Form("names of users", "user_name", HANDLE.fullmatch),
    Form("telephone numbers", "phone_number", PHONE.fullmatch),
    Form("postal addresses", "address", ADDRESS.fullmatch),
)
"""Forms of texts, the more special ones first."""


def find_form(texts: list[str], forms: tuple[Form, ...] = FORMS) -> Form | None:
    """Return the form of different texts, if enough of them have one.

    Example:
        >>> find_form([f"ann{i}@example.org" for i in range(20)]).provider
        'email'
    """
    for form in forms:
        if len(texts) >= form.distinct and sum(bool(form.fits(text)) for text in texts) >= form.share * len(texts):
            return form
    return None


def is_dialled(text: str) -> bool:
    """Whether a text has the digits of a telephone number.

    Example:
        >>> is_dialled("030 123 456"), is_dialled("yes")
        (True, False)
    """
    return bool(DIALLED.fullmatch(text)) and 6 <= sum(letter.isdigit() for letter in text) <= 18
