"""Shapes of texts that are dates, times or durations, and the formats that they may have."""

from __future__ import annotations

import re
from collections.abc import Iterator

TIMEDELTA = "timedelta"  # the format of durations as pandas writes them
MAX_LETTERS = 40  # of a date or time
_TIME = r"(?P<hour>\d{1,2}:\d\d)(?P<second>:\d\d)?(?P<fraction>[.,]\d{1,9})?(?P<half> ?[AaPp][Mm])?"
_CLOCK = re.compile(_TIME)
_STAMP = re.compile(rf"(?P<date>.+?)(?:(?P<gap>T| |, ){_TIME}(?P<offset> ?(?:Z|[+-]\d\d:?\d\d))?)?")
_DATES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"\d{4}(?P<s>[-/.])\d{1,2}(?P=s)\d{1,2}", ("%Y{s}%m{s}%d",)),
    (r"\d{1,2}(?P<s>[-/.])\d{1,2}(?P=s)\d{4}", ("%d{s}%m{s}%Y", "%m{s}%d{s}%Y")),
    (r"\d{1,2}(?P<s>[-/.])\d{1,2}(?P=s)\d{2}", ("%d{s}%m{s}%y", "%m{s}%d{s}%y", "%y{s}%m{s}%d")),
    (r"\d{8}(?P<s>)", ("%Y%m%d", "%d%m%Y", "%m%d%Y")),
    (r"\d{4}(?P<s>[-/.])\d{2}", ("%Y{s}%m",)),
    (r"\d{1,2}(?P<s>[-/])\d{4}", ("%m{s}%Y",)),
    (r"\d{1,2}(?P<s>[- /]?)[A-Za-z]{3}(?P=s)\d{4}", ("%d{s}%b{s}%Y",)),
    (r"\d{1,2}(?P<s>[- /]?)[A-Za-z]{3}(?P=s)\d{2}", ("%d{s}%b{s}%y",)),
    (r"\d{1,2}(?P<s>[- ])[A-Za-z]{3,9}(?P=s)\d{4}", ("%d{s}%B{s}%Y",)),
    (r"[A-Za-z]{3} \d{1,2}, \d{4}(?P<s>)", ("%b %d, %Y",)),
    (r"[A-Za-z]{3,9} \d{1,2}, \d{4}(?P<s>)", ("%B %d, %Y",)),
    (r"[A-Za-z]{3}(?P<s>[- /]?)\d{4}", ("%b{s}%Y",)),
    (r"[A-Za-z]{3,9}(?P<s>[- ])\d{4}", ("%B{s}%Y",)),
    (r"[A-Za-z]{3}(?P<s>[- /])\d{2}", ("%b{s}%y",)),
    (r"\d{12}(?P<s>)", ("%Y%m%d%H%M",)),
    (r"\d{14}(?P<s>)", ("%Y%m%d%H%M%S",)),
    (r"\d{8}T\d{6}(?P<s>)", ("%Y%m%dT%H%M%S",)),
    (r"\d{8}T\d{6}Z(?P<s>)", ("%Y%m%dT%H%M%S%z",)),
)
_DURATION = re.compile(r"-?\d+ days \+?\d\d:\d\d:\d\d(\.\d+)?")


def formats_of_shape(text: str) -> Iterator[str]:
    """Yield the formats of dates and times that texts of the same shape may have.

    >>> list(formats_of_shape("3.4.2020 10:30")), list(formats_of_shape("10 days"))
    (['%d.%m.%Y %H:%M', '%m.%d.%Y %H:%M'], [])
    """
    if not any(letter.isdigit() for letter in text[:MAX_LETTERS]) or len(text) > MAX_LETTERS:
        return
    if _DURATION.fullmatch(text):
        yield TIMEDELTA
    if clock := _CLOCK.fullmatch(text):
        yield _time_format(clock)
    elif stamp := _STAMP.fullmatch(text):
        time = (stamp["gap"] + _time_format(stamp)) if stamp["hour"] else ""
        for shape, formats in _DATES:
            if date := re.fullmatch(shape, stamp["date"]):
                yield from (known.format(s=date["s"]) + time for known in formats)


def _time_format(found: re.Match[str]) -> str:
    """The format of a time of day."""
    hour = "%I:%M" if found["half"] else "%H:%M"
    fraction = f"{found['fraction'][0]}%f" if found["fraction"] else ""
    half = f"{' ' * found['half'].startswith(' ')}%p" if found["half"] else ""
    offset = found.groupdict().get("offset") or ""
    zone = f"{' ' * offset.startswith(' ')}%z" if offset else ""
    return hour + ":%S" * bool(found["second"]) + fraction + half + zone
