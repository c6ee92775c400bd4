"""Formats of numbers in text columns, so that generated numbers have the same format."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple, Self

import pyarrow as pa
import pyarrow.compute as pc

STYLES = ("repr", "short")  # besides a fixed number of decimals: "0", "1", ...


def is_number(text: str) -> bool:
    """Whether a text is a finite decimal number without spaces or underscores."""
    try:
        return math.isfinite(float(text)) and text.strip() == text and "_" not in text
    except ValueError:
        return False


def write(value: float, style: str, format: str | None = None) -> str:  # noqa: A002 (the field of a column)
    """Format a number with fixed decimals, or as short as possible with ("repr") or without ("short") a ".0".

    >>> write(-1234.5, "2"), write(-1234.5, "2", "1.234,5 €")
    ('-1234.50', '-1.234,50 €')
    """
    text = _plain(value, style)
    return text if format is None else NumberForm.of(format).localised(text)


def _plain(value: float, style: str) -> str:
    if style == "repr":
        return repr(value)
    if style == "short":
        return repr(value).removesuffix(".0")
    return f"{value:.{style}f}"


def find_style(texts: Iterable[str]) -> str | None:
    """Return the format of all numbers in `texts`; None if they have more than one."""
    known = list(texts)
    places = {len(text.partition(".")[2]) for text in known}
    fixed = [str(digits) for digits in places] if len(places) == 1 else []
    for style in (*fixed, *STYLES):
        if all(_plain(float(text), style) == text for text in known):
            return style
    return None


def shown_style(texts: pa.Array) -> str | None:
    """Return the format of texts (values,) that are read as numbers; None if one is not a number, or none is there.

    It is that of `find_style`, much faster. Numbers that have several, such as 7, 1.50 and 2.5, are as short as
    possible if whole ones have no point.

    >>> shown_style(pa.array(["7.50", "2.00"])), shown_style(pa.array(["7", "1.50", "2.5"]))
    ('2', 'short')
    """
    if not len(texts) or not pc.all(pc.match_substring_regex(texts, PLAIN)).as_py():
        return None
    point = pc.find_substring(texts, ".")
    places = pc.if_else(pc.less(point, 0), 0, pc.subtract(pc.subtract(pc.binary_length(texts), point), 1))
    span = pc.min_max(places)
    fixed = not pc.any(pc.match_substring_regex(texts, "[eE]")).as_py()
    if fixed and span["min"] == span["max"]:
        return str(span["min"].as_py())
    short, long = (pc.any(pc.match_substring_regex(texts, whole)).as_py() for whole in (WHOLE, WHOLE_POINT))
    return "short" if short and not long else "repr"


PLAIN = r"^-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?$"
WHOLE = r"^-?[0-9]+$"
WHOLE_POINT = r"^-?[0-9]+\.0+$"
EXAMPLE = re.compile(r"(?P<prefix>\D*?)1(?P<thousands>[.,' _\u00a0\u202f\u2019]?)234(?P<decimal>[.,])5(?P<suffix>\D*)")
CURRENCY = r"[$€£¥₹%‰]|EUR|USD|CHF|GBP|JPY|SEK|NOK|DKK|PLN|INR"
SPACES = (" ", "\u00a0", "\u202f")  # of French and international numbers; no-break and narrow ones, too
SEPARATORS = (
    *(("", "."), ("", ","), (",", "."), (".", ","), ("'", "."), ("\u2019", ".")),
    *((space, decimal) for decimal in (",", ".") for space in SPACES),
)
MAX_TRIED = 1_000  # texts that show what stands around the numbers
MAX_OTHERS = 10  # distinct texts among numbers or dates in text that are sentinel values


class NumberForm(NamedTuple):
    """How a column writes its numbers: what stands around them, and their separators.

    Example:
        >>> form = NumberForm.of("$1,234.5")
        >>> form.localised("-1234567.80"), form.plain(pa.array(["$1,200", "1200"])).to_pylist()
        ('-$1,234,567.80', ['1200', None])
    """

    prefix: str
    thousands: str
    decimal: str
    suffix: str

    @classmethod
    @cache
    def of(cls, format: str) -> Self:  # noqa: A002
        """Return the form of a format: the number 1234.5 as the column would write it."""
        found = EXAMPLE.fullmatch(format)
        if found is None or found["thousands"] == found["decimal"]:
            raise ValueError("must be the number 1234.5 as the column writes it (1.234,5 or $1,234.5 or 1234.5%)")
        return cls(found["prefix"], found["thousands"], found["decimal"], found["suffix"])

    @property
    def format(self) -> str:
        """The number 1234.5 in this form."""
        return f"{self.prefix}1{self.thousands}234{self.decimal}5{self.suffix}"

    def localised(self, text: str) -> str:
        """Return a number that is written plainly in this form."""
        sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
        whole, _, fraction = digits.partition(".")
        if self.thousands and whole.isdigit():
            whole = f"{int(whole):,}".replace(",", self.thousands)
        if "-" in self.prefix:  # the place of the sign
            sign, before = "", self.prefix.replace("-", sign)
        else:
            before = self.prefix
        return f"{sign}{before}{whole}{self.decimal + fraction if fraction else ''}{self.suffix}"

    def split(self, texts: list[str]) -> tuple[list[str], list[str]]:
        """Return the numbers among texts, written plainly, and the other texts."""
        plain = self.plain(pa.array(texts, pa.string())).to_pylist()
        others = [text for text, known in zip(texts, plain, strict=True) if known is None]
        return [text for text in plain if text is not None], others

    def plain(self, texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
        """Return texts (rows,) as plain numbers; missing where one does not have this form."""
        grouped = rf"[0-9]{{1,3}}(?:{re.escape(self.thousands)}[0-9]{{3}})+|" if self.thousands else ""
        number = rf"({grouped}[0-9]+)(?:{re.escape(self.decimal)}([0-9]+))?([eE][-+]?[0-9]+)?"
        before, _, after = self.prefix.partition("-")
        around = rf"^(-?){re.escape(before)}(-?){re.escape(after)}{number}{re.escape(self.suffix)}$"
        texts = texts.cast(pa.string())
        known = pc.if_else(pc.match_substring_regex(texts, around), texts, pa.scalar(None, pa.string()))
        whole = pc.replace_substring_regex(known, around, r"\1\2\3")
        whole = pc.if_else(pc.starts_with(whole, "--"), pa.scalar(None, pa.string()), whole)
        if self.thousands:
            whole = pc.replace_substring(whole, self.thousands, "")
        fraction = pc.replace_substring_regex(known, around, r"\4")
        point = pc.if_else(pc.equal(pc.binary_length(fraction), 0), "", ".")
        exponent = pc.replace_substring_regex(known, around, r"\5")
        return pc.binary_join_element_wise(whole, point, fraction, exponent, "")


def recognise(texts: list[str]) -> list[str]:
    """Return the formats in which distinct texts, but for a few that are no numbers, are written; several if open.

    >>> recognise(["1.200,50", "3,25"]), recognise(["12,5 %", "n/a", "3,0 %"]), recognise(["1,250", "3,500"])
    (['1.234,5'], ['1234,5 %'], ['1234,5', '1,234.5'])
    """
    found: dict[tuple[float | None, ...], str] = {}
    for form in _candidates(texts, SEPARATORS):
        plain = _plain_in(form, texts)
        if form.format != "1234.5" and plain is not None and _writes(form, plain, texts):
            found.setdefault(tuple(None if text is None else float(text) for text in plain), form.format)
    return list(found.values())


def stated(texts: list[str], decimal: str, thousands: str | None) -> str | None:
    """Return the format with the stated separators in which distinct texts, but for a few, are numbers.

    A separator must occur. Numbers that differ in their digits after it or in their groups have one format, too, since
    the format is stated; numbers with superfluous zeros are codes.

    >>> stated(["1.200,50", "3,2", "n/a"], ",", "."), stated(["1.5", "2.5"], ",", "."), stated(["1", "2"], ",", ".")
    ('1.234,5', None, None)
    """
    separators = ((thousands, decimal), ("", decimal)) if thousands else (("", decimal),)
    found = [(form, plain) for form in _candidates(texts, separators) if (plain := _plain_in(form, texts)) is not None]
    shown = [(form, plain) for form, plain in found if _shows(form, plain, texts)]
    exact = (form.format for form, plain in shown if _writes(form, plain, texts))
    return next(exact, next((form.format for form, plain in shown if not _hold_zeros(plain)), None))


def _plain_in(form: NumberForm, texts: list[str]) -> list[str | None] | None:
    """Texts as plain numbers, None for a few others; None if they do not have a form."""
    plain: list[str | None] = form.plain(pa.array(texts, pa.string())).to_pylist()
    others = [original for text, original in zip(plain, texts, strict=True) if text is None]
    if len(others) == len(texts) or len(others) > MAX_OTHERS:
        return None
    return None if any(map(_shape, others)) else plain  # there is a number in another form


def _shows(form: NumberForm, plain: list[str | None], texts: list[str]) -> bool:
    """Whether one of the numbers has a separator."""
    marks = [mark for mark in (form.thousands, form.decimal) if mark]
    numbers = (original for text, original in zip(plain, texts, strict=True) if text is not None)
    return any(mark in text for text in numbers for mark in marks)


def _writes(form: NumberForm, plain: list[str | None], texts: list[str]) -> bool:
    """Whether plain numbers, written in a form and in one style, are the texts."""
    style = find_style(text for text in plain if text is not None)
    return style is not None and all(
        text is None or write(float(text), style, form.format) == original
        for text, original in zip(plain, texts, strict=True)
    )


def _hold_zeros(plain: list[str | None]) -> bool:
    return any(re.match("-?0[0-9]", text) for text in plain if text is not None)


NUMBER = r"[0-9](?:[0-9.,' \u00a0\u202f\u2019]*[0-9])?"
SHAPE = re.compile(rf"-?(?P<prefix>(?:{CURRENCY})?[ \u00a0]?)(?P<sign>-?){NUMBER}(?P<suffix>[ \u00a0]?(?:{CURRENCY})?)")


def _shape(text: str) -> re.Match[str] | None:
    """A text that has the shape of a number, whatever its separators, with a currency or per cent."""
    return SHAPE.fullmatch(text)


def _candidates(texts: list[str], separators: Iterable[tuple[str, str]]) -> Iterator[NumberForm]:
    shapes = [found for text in texts[:MAX_TRIED] if (found := _shape(text))]
    if not shapes:
        return
    first = shapes[0]
    signed = "-" * any(found["prefix"] and found["sign"] for found in shapes)
    for thousands, decimal in separators:
        yield NumberForm(first["prefix"] + signed, thousands, decimal, first["suffix"])
