"""Pools of parts of fake values, drawn from Faker: a first name, a street, the last digits of a telephone number.

They depend on a provider and a locale alone. Faker is needed to draw them, and no longer once a model is fitted.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

from synthvae.encoding.fake_numbers import NUMBERS
from synthvae.errors import ConfigurationError, SchemaError, listing

DEFAULT_LOCALE = "en_US"
SEED = 0  # of Faker: the pools of a provider are the same for every table
MAX_DRAWS = 8_000  # of one provider, 0.1 to 1 s
MAX_WHOLE = 5_000  # values of a pool of whole values
MAX_PARTS = 2_000  # values of a pool of parts
FEW = 20  # names, of which a locale has more if it has its own
MAX_CHARACTERS = 1 << 20  # of a pool
MOST_SHARE = 0.6  # the share of values that shows how a locale writes addresses
DOMAINS = ("example.org", "example.com", "example.net")  # reserved by RFC 2606: no e-mail reaches anybody
HOUSES = tuple(str(number) for number in range(1, 300))
SUFFIXES = ("", *(str(number) for number in range(2, 1_000)))  # of addresses that others have
DIGITS = 4  # the last digits of a telephone number

Pool = tuple[str, ...]


class Pools(NamedTuple):
    """Parts of values: a value is one text of each pool, joined. Different choices give different values.

    Args:
        parts: The pools.
        overflow: The pool of which the first text is used as long as there are values without repeats; None: each pool
            is used alike.
    """

    parts: tuple[Pool, ...]
    overflow: int | None = None


@lru_cache(maxsize=64)
def draw_pools(provider: str, locale: str | None) -> Pools:
    """Draw the pools of a provider of Faker.

    Raises:
        ConfigurationError: Faker is not installed.
        SchemaError: There is no such provider or locale, or its values are not text.
    """
    source = Source(locale or DEFAULT_LOCALE)
    recipe = RECIPES.get(provider)
    return _whole(source, provider) if recipe is None else recipe(source)


class Source:
    """A seeded generator of Faker for one locale.

    Args:
        locale: The locale, such as "de_DE".
    """

    def __init__(self, locale: str) -> None:
        self.locale = locale
        self._fake = _generator(locale)
        self._fake.seed_instance(SEED)

    def has(self, provider: str) -> bool:
        """Whether there is a provider of that name."""
        return provider in _providers(self.locale)

    def values(self, provider: str, most: int, draws: int = MAX_DRAWS, between: str = ", ") -> Pool:
        """Draw up to `most` different texts, with `between` in the place of line breaks.

        Raises:
            SchemaError: There is no such provider, or its values are not text.
        """
        if not self.has(provider):
            near = difflib.get_close_matches(provider, _providers(self.locale), 3)
            hint = f" Did you mean {listing(near)}?" if near else " See https://faker.readthedocs.io."
            raise SchemaError(f"`provider` must be a provider of Faker, got {provider!r}.{hint}")
        found: dict[str, None] = {}
        characters = 0
        for _ in range(draws):
            value = getattr(self._fake, provider)()
            if not isinstance(value, (str, int)):
                raise SchemaError(
                    f"`provider` must give text, got {provider!r}, which gives {type(value).__name__}. Choose another "
                    "one, or another kind of column."
                )
            text = between.join(line.strip() for line in str(value).splitlines())
            characters += len(text) * (text not in found)
            if characters > MAX_CHARACTERS and found:
                break
            found[text] = None
            if len(found) >= most:
                break
        return tuple(found)


def _generator(locale: str) -> Any:
    try:
        from faker import Faker
        from faker.config import AVAILABLE_LOCALES
    except ImportError as error:
        raise ConfigurationError(
            "A column of kind fake needs Faker, which is not installed. Run `pip install 'synthvae[faker]'`, or "
            "declare `kind: id`."
        ) from error
    known = locale.replace("-", "_")
    if known not in AVAILABLE_LOCALES:
        near = difflib.get_close_matches(known, AVAILABLE_LOCALES, 3)
        hint = f" Did you mean {listing(near)}?" if near else ""
        raise SchemaError(f"`locale` must be one of Faker's, got {locale!r}.{hint}")
    return Faker(known, use_weighting=False)


@cache
def _providers(locale: str) -> tuple[str, ...]:
    """The names of the methods of Faker's providers; those that change Faker itself are none of them."""
    from faker.providers import BaseProvider

    base = set(dir(BaseProvider))
    names = {name for provider in _generator(locale).get_providers() for name in dir(provider)}
    return tuple(sorted(name for name in names - base if re.fullmatch(r"[a-z]\w*", name)))


def _whole(source: Source, provider: str) -> Pools:
    """Whole values, or the parts of numbers that have some."""
    values = source.values(provider, MAX_WHOLE)
    parts = NUMBERS[provider](values) if provider in NUMBERS else None
    return Pools((values,) if parts is None else parts)


def _names(source: Source, sex: str = "") -> Pools:
    """First and last names in the order of the locale; a second first name if there are too few."""
    whole = source.values(f"name{sex}", 50, draws=50)
    if not (source.has(f"first_name{sex}") and source.has(f"last_name{sex}")) or (not sex and _is_gendered(source)):
        return _whole(source, f"name{sex}")
    gap = " " if 2 * sum(" " in name for name in whole) > len(whole) else ""
    first = _simple(source.values(f"first_name{sex}", MAX_PARTS), gap)
    last = _simple(source.values(f"last_name{sex}", MAX_PARTS), gap)
    if min(len(first), len(last)) < FEW:
        return _whole(source, f"name{sex}")
    second = ("", *(f"{gap}{name}" for name in first))
    if not gap:
        return Pools((last, first))
    family_first = sum(name.split(gap)[0] in last for name in whole) > sum(
        name.split(gap)[0] in first for name in whole
    )
    parts = (last, (gap,), first, second) if family_first else (first, second, (gap,), last)
    return Pools(parts, overflow=3 if family_first else 1)


def _is_gendered(source: Source) -> bool:
    """Whether family names of women and men differ, so that first and last names cannot be combined at will."""
    if not source.has("last_name_female"):
        return False
    women = set(source.values("last_name_female", MAX_PARTS))
    men = set(source.values("last_name_male", MAX_PARTS))
    return len(women & men) < len(women) / 2


def _simple(names: Pool, gap: str) -> Pool:
    """Names without a space, or else of one length, so that the joined ones differ if their parts do."""
    if gap:
        return tuple(name for name in names if gap not in name) or names
    lengths = [len(name) for name in names]
    usual = max(set(lengths), key=lengths.count)
    return tuple(name for name in names if len(name) == usual)


def _emails(source: Source) -> Pools:
    """E-mail addresses of reserved domains."""
    users = _users(source).parts
    return Pools((*users, ("@",), DOMAINS), overflow=3)


def _users(source: Source) -> Pools:
    """Names of users: first and last names in Latin letters, and a number if they are taken."""
    parts = []
    for provider in ("first_name", "last_name"):
        latin = _ascii(source.values(provider, MAX_PARTS)) if source.has(provider) else ()
        parts.append(latin if len(latin) > FEW else _ascii(Source(DEFAULT_LOCALE).values(provider, MAX_PARTS)))
    return Pools((parts[0], (".",), parts[1], SUFFIXES), overflow=3)


def _ascii(names: Iterable[str]) -> Pool:
    plain = (re.sub("[^a-z]", "", unicodedata.normalize("NFKD", name).lower()) for name in names)
    return tuple(dict.fromkeys(name for name in plain if len(name) > 1))


def _phones(source: Source) -> Pools:
    """Telephone numbers of Faker with other last digits."""
    numbers = source.values("phone_number", MAX_PARTS)
    tails = [len(number) - len(number.rstrip("0123456789")) for number in numbers]
    usable = [(n, tail) for n, tail in zip(numbers, tails, strict=True) if tail >= 2]
    if not usable:
        return Pools((numbers,))
    digits = DIGITS if 2 * sum(tail >= DIGITS for _, tail in usable) > len(usable) else 2
    heads = tuple(dict.fromkeys(number[:-digits] for number, tail in usable if tail >= digits))
    return Pools((heads, tuple(f"{number:0{digits}d}" for number in range(10**digits))))


def _streets(source: Source) -> Pools:
    """Streets with other house numbers, or whole addresses where a locale writes them in another way."""
    whole = source.values("street_address", 50, draws=50)
    if source.has("street_name"):
        streets = tuple(name for name in source.values("street_name", MAX_PARTS) if ", " not in name)
        if sum(text[:1].isdigit() for text in whole) > MOST_SHARE * len(whole):
            return Pools((HOUSES, (" ",), streets))
        if sum(bool(re.fullmatch(r"\D+ \d+", text)) for text in whole) > MOST_SHARE * len(whole):
            return Pools((streets, (" ",), HOUSES))
    return _whole(source, "street_address")


def _addresses(source: Source) -> Pools:
    """Streets with house numbers, and the towns of other addresses."""
    towns = (text.partition("\n")[2] for text in source.values("address", MAX_PARTS, between="\n"))
    known = tuple(dict.fromkeys(t.replace("\n", ", ") for t in towns if t and not re.match("[ADF]PO ", t)))
    streets = _streets(source).parts
    return Pools((*streets, (", ",), known)) if len(streets) > 1 and known else _whole(source, "address")


RECIPES: Mapping[str, Callable[[Source], Pools]] = {
    "name": _names,
    "name_female": lambda source: _names(source, "_female"),
    "name_male": lambda source: _names(source, "_male"),
    "email": _emails,
    "safe_email": _emails,
    "ascii_email": _emails,
    "ascii_safe_email": _emails,
    "user_name": _users,
    "phone_number": _phones,
    "street_address": _streets,
    "address": _addresses,
}


def sizes(parts: Sequence[Sequence[str]], overflow: int | None) -> tuple[int, ...]:
    """Return the numbers of texts of the pools, of which an overflow counts as one."""
    return tuple(1 if place == overflow else len(pool) for place, pool in enumerate(parts))
