"""Pools of the parts of fake numbers: of bank accounts, payment cards, computers and social security.

Each first part goes with each last part, check digits included, so that a few thousand texts give millions of numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

Parts = tuple[tuple[str, ...], ...]

MAX_PARTS = 2_000  # texts of a pool
TAIL = 6  # last digits of a bank account that are drawn on their own
CARD_TAIL = 4  # last digits of a payment card


def split(pattern: str) -> Callable[[Iterable[str]], Parts | None]:
    """Return a function that splits numbers into first and last parts, the two groups of a pattern.

    It returns None if a number does not have the pattern.

    >>> split(r"([0-9]+[.])([0-9]+)")(["1.2", "3.4"])
    (('1.', '3.'), ('2', '4'))
    """

    def parts(numbers: Iterable[str]) -> Parts | None:
        found = [re.fullmatch(pattern, number) for number in numbers]
        known = [match for match in found if match is not None]
        if len(known) < len(found) or not known:
            return None
        return tuple(tuple(dict.fromkeys(match[place] for match in known))[:MAX_PARTS] for place in (1, 2))

    return parts


def accounts(numbers: Iterable[str]) -> Parts | None:
    """Return first and last parts of IBANs; None if one does not end in digits.

    The last parts are multiples of 97, so that the check digits (ISO 13616) are those of the first parts.

    >>> [len(part) for part in accounts(["DE89370400440532013000"])]
    [1, 10310]
    """
    heads: dict[str, None] = {}
    for number in numbers:
        country, account = number[:2], number[4:-TAIL]
        if not (re.fullmatch(r"[A-Z]{2}\d\d[A-Z0-9]+", number) and number[-TAIL:].isdecimal()):
            return None
        digits = "".join(str(int(letter, 36)) for letter in f"{account}{'0' * TAIL}{country}00")
        heads[f"{country}{98 - int(digits) % 97:02d}{account}"] = None
    tails = (f"{tail:0{TAIL}d}" for tail in range(0, 10**TAIL, 97))
    return (tuple(heads)[:MAX_PARTS], tuple(tails)) if heads else None


def cards(numbers: Iterable[str]) -> Parts | None:
    """Return first and last parts of numbers of payment cards; None if one has other characters than digits.

    The digits of either part sum to a multiple of 10 as Luhn's algorithm (ISO 7812) counts them.

    >>> [len(part) for part in cards(["4242424242424242"])]
    [1, 1000]
    """
    heads: dict[str, None] = {}
    for number in numbers:
        if not number.isdecimal():
            return None
        head = number[:-CARD_TAIL]
        heads[f"{head[:-1]}{(int(head[-1]) - _luhn(head + '0' * CARD_TAIL)) % 10}"] = None
    tails = tuple(text for tail in range(10**CARD_TAIL) if _luhn(text := f"{tail:0{CARD_TAIL}d}") == 0)
    return (tuple(heads)[:MAX_PARTS], tails) if heads else None


def _luhn(digits: str) -> int:
    """The sum of Luhn's algorithm, modulo 10."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(int(digit) for digit in digits[-1::-2]) + sum(doubled)) % 10


NUMBERS: Mapping[str, Callable[[Iterable[str]], Parts | None]] = {
    "ssn": split(r"(\d{3}-\d{2}-)(\d{4})"),  # of the United States; other countries have check digits
    "ipv4": split(r"(\d+\.\d+\.)(\d+\.\d+)"),
    "ipv6": split(r"((?:[0-9a-f]+:){4})([0-9a-f:]+)"),
    "mac_address": split(r"((?:\w\w[:-]){3})(\w\w[:-]\w\w[:-]\w\w)"),
    "uuid4": split(r"(\w{8}-\w{4}-\w{4}-)(\w{4}-\w{12})"),
    "iban": accounts,
    "credit_card_number": cards,
}
"""What splits the values of a provider of Faker."""
