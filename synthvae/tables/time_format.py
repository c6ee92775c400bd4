"""Written forms of dates and times, as text or as whole numbers: parsing, writing, and recognition.

A format is one of `datetime.strptime`, with `%-d` and so on for numbers without leading zeros, or "timedelta" for
durations as pandas writes them. Timestamps are whole numbers of microseconds since 1970 (nanoseconds where a fraction
has more than six digits), on the clock of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from synthvae.tables.arrow import is_text, whole_as_text

TIMEDELTA = "timedelta"
OR = " or "  # between the formats of a column that can be read in several ways
DIRECTIVES = "YmdHMSfzyBbIpj"  # that Arrow parses and writes; %j alone is read by no part of it
UNPADDED = re.compile(r"%-([dmHI])")
PARTS = re.compile(r"(%f|%z|%-[dmHI])")
FRACTION = r"^(?P<head>.*)[.,](?P<fraction>[0-9]{1,9})(?P<tail>[^0-9].*)?$"
OFFSET = r"^(?P<clock>.*?)(?P<offset>Z|[+-][0-9]{2}:?[0-9]{2})$"
MICRO, NANO = 6, 9  # digits of a fraction in microseconds and in nanoseconds
SAMPLE = 200  # texts that are tried before all

Case = Literal["", "upper", "lower"]


class TimeForm(BaseModel):
    """How a column writes its dates or times.

    Args:
        format: The format.
        digits: Digits of the fraction of a second, for `%f`.
        offset: The UTC offset that all texts have, for `%z`; None: any, and timestamps are in UTC.
        case: Case of the names of months, and of AM and PM.

    Example:
        >>> form = TimeForm(format="%d/%m/%Y")
        >>> form.write(form.parse(pa.array(["31/12/2020", "31/02/2020"]))).to_pylist()
        ['31/12/2020', None]
    """

    model_config = ConfigDict(frozen=True)

    format: str
    digits: int = Field(default=MICRO, ge=1, le=NANO)
    offset: str | None = None
    case: Case = ""

    @classmethod
    def learn(cls, format: str, texts: pa.Array) -> Self:  # noqa: A002 (the word of strptime)
        """Return the form in which distinct texts are written; where they differ, numbers have leading zeros."""
        for form in cls._candidates(format, texts):
            if form.writes(texts):
                return form
        return next(cls._candidates(format, texts))

    @classmethod
    def _candidates(cls, format: str, texts: pa.Array) -> Iterator[Self]:  # noqa: A002
        digits = max((len(f or "") for f in _fractions(texts)), default=0) if "%f" in format else 0
        offsets = set(_offsets(texts)) if "%z" in format else set()
        offset = offsets.pop() if len(offsets) == 1 else None
        named = any(name in format for name in ("%b", "%B", "%p"))
        cases: tuple[Case, ...] = ("", "upper", "lower") if named else ("",)
        for known in dict.fromkeys(
            (format, _unpadded(format, "dm"), _unpadded(format, "HI"), _unpadded(format, "dmHI"))
        ):
            for case in cases:
                yield cls(format=known, digits=digits or MICRO, offset=offset, case=case)

    @property
    def scale(self) -> int:
        """Ticks in a second."""
        return int(10 ** (NANO if self.digits > MICRO else MICRO))

    def writes(self, texts: pa.Array) -> bool:
        """Whether all texts are read, and written in the same way again."""
        return bool(self.write(self.parse(texts)).equals(texts.cast(pa.string())))

    def parse(self, texts: pa.Array) -> pa.Array:
        """Return the ticks (rows,) of texts or whole numbers; missing where one does not have the format."""
        if self.format == TIMEDELTA:
            return _durations(texts)
        clock, fraction, offset = self._split(texts)
        plain = UNPADDED.sub(r"%\1", re.sub(r"[.,]?%f|%z", "", self.format))
        seconds = pc.strptime(clock, format=plain, unit="s", error_is_null=True)
        again = pc.strftime(seconds, format=plain, locale="C")
        seconds = pc.if_else(pc.equal(_normal(again), _normal(clock)), seconds.cast(pa.int64()), None)
        valid = pc.and_(seconds.is_valid(), pc.and_(fraction.is_valid(), offset.is_valid()))
        ticks = (_integers(seconds) - _integers(offset)) * self.scale + _integers(fraction)
        return pc.if_else(valid, pa.array(ticks), None)

    def _split(self, texts: pa.Array) -> tuple[pa.Array, pa.Array, pa.Array]:
        """The texts without fraction and offset, the fraction in ticks, and the seconds by which clocks are ahead."""
        clock = texts.cast(pa.string())
        none = pa.array(np.zeros(len(texts), np.int64))
        fraction, offset = none, none
        if "%z" in self.format:
            found = pc.extract_regex(clock, OFFSET)
            clock, offset = pc.struct_field(found, "clock"), pc.struct_field(found, "offset")
            known = self.offset is not None
            offset = pc.if_else(pc.equal(offset, self.offset), 0, None) if known else _seconds(offset)
        if "%f" in self.format:
            found = pc.extract_regex(clock, FRACTION)
            clock = pc.binary_join_element_wise(pc.struct_field(found, "head"), pc.struct_field(found, "tail"), "")
            width = NANO if self.digits > MICRO else MICRO
            padded = pc.utf8_rpad(pc.struct_field(found, "fraction"), width, "0")
            fraction = pc.utf8_slice_codeunits(padded, 0, width).cast(pa.int64())
        return clock, fraction, offset

    def write(self, ticks: pa.Array) -> pa.Array:
        """Return ticks (rows,) as text."""
        if self.format == TIMEDELTA:
            return pa.array([None if t is None else str(pd.Timedelta(t, "us")) for t in ticks.to_pylist()], pa.string())
        whole, part = np.divmod(_integers(ticks), self.scale)
        clock = pa.array(whole, mask=ticks.is_null().to_numpy(zero_copy_only=False)).cast(pa.timestamp("s"))
        parts = [self._part(piece, clock, part) for piece in PARTS.split(self.format) if piece]
        text = pc.binary_join_element_wise(*parts, "")
        return {"": lambda t: t, "upper": pc.utf8_upper, "lower": pc.utf8_lower}[self.case](text)

    def _part(self, piece: str, clock: pa.Array, fraction: npt.NDArray[np.int64]) -> pa.Array:
        if piece == "%z":
            return pa.array([self.offset or "Z"] * len(clock), pa.string())
        if piece == "%f":
            width = NANO if self.digits > MICRO else MICRO
            return pc.utf8_slice_codeunits(
                pc.utf8_lpad(pa.array(fraction).cast(pa.string()), width, "0"), 0, self.digits
            )
        if UNPADDED.fullmatch(piece):
            number = pc.strftime(clock, format=piece.replace("-", ""), locale="C")
            return number.cast(pa.int64()).cast(pa.string())
        return pc.strftime(clock, format=piece, locale="C")


def problem_of(format: str) -> str | None:  # noqa: A002
    """Return what is wrong with a format; None if nothing is.

    >>> problem_of("%d/%m/%Y"), problem_of("dd/mm/yyyy")
    (None, 'must have directives of strptime (%d/%m/%Y)')
    """
    if format == TIMEDELTA:
        return None
    found = re.findall(r"%-?(.)", format)
    if not found:
        return "must have directives of strptime (%d/%m/%Y)"
    unknown = [f"%{letter}" for letter in found if letter not in DIRECTIVES]
    if unknown or "j" in found:
        return f"must have directives among %{', %'.join(DIRECTIVES.replace('j', ''))}"
    if "%z" in format and not format.endswith("%z"):
        return "must have %z at its end"
    return "must have %f after a point or comma" if re.search(r"(?<![.,])%f", format) else None


def readings(format: str) -> list[str]:  # noqa: A002
    """Return the formats of a column: one, or several if it is open which one it has."""
    return format.split(OR)


def digits_of(format: str) -> int:  # noqa: A002
    """Return the number of digits of a format without separators, of which a number may lack the first zeros; else 0.

    >>> digits_of("%d%m%Y"), digits_of("%d/%m/%Y")
    (8, 0)
    """
    return sum(4 if part == "Y" else 2 for part in format[1::2]) if re.fullmatch("(%[YymdHMS])+", format) else 0


def parse_column(values: pa.ChunkedArray, form: TimeForm) -> pa.ChunkedArray:
    """Return the ticks (rows,) of a column of text or whole numbers; missing where a value does not have the form."""
    texts = values if is_text(values.type) else whole_as_text(values, digits_of(form.format))
    if not is_text(texts.type):
        return pa.chunked_array([pa.nulls(len(values), pa.int64())])
    coded = texts.combine_chunks().dictionary_encode()
    return pa.chunked_array([form.parse(coded.dictionary).take(coded.indices)])


def to_timestamps(values: pa.ChunkedArray, format: str) -> pa.ChunkedArray:  # noqa: A002
    """Return the timestamps (rows,), in microseconds, of text or whole numbers; missing where one is not readable."""
    form = TimeForm(format=readings(format)[0])
    return parse_column(values, form).cast(pa.timestamp("us"))


def several_offsets(values: pa.ChunkedArray, format: str) -> list[str]:  # noqa: A002
    """Return the UTC offsets of texts, if a format has one and the texts have several, which no model keeps."""
    if "%z" not in format or not is_text(values.type):
        return []
    found = sorted({offset for offset in _offsets(pc.unique(values)) if offset is not None})
    return found if len(found) > 1 else []


def recognise(texts: pa.Array) -> list[str]:
    """Return the formats with which all of some distinct texts are read and written again.

    >>> recognise(pa.array(["3/4/2020", "13/4/2020"])), recognise(pa.array(["03.04.2020"]))
    (['%d/%m/%Y'], ['%d.%m.%Y', '%m.%d.%Y'])
    """
    found = []
    for format in _shaped(texts[0].as_py()) if len(texts) else []:  # noqa: A001
        head = texts.slice(0, SAMPLE)
        if TimeForm.learn(format, head).writes(head) and TimeForm.learn(format, texts).writes(texts):
            found.append(format)
    return found


def recognise_beside(texts: list[str], most: int) -> tuple[list[str], list[str]]:
    """Return the formats of all but a few distinct texts, and these, which no format of the others reads.

    Args:
        texts: The texts.
        most: The number of texts that may have another form.

    Example:
        >>> recognise_beside(["2020-05-01", "2020-06-13", "unknown", "0000-00-00"], 2)
        (['%Y-%m-%d'], ['unknown', '0000-00-00'])
    """
    array = pa.array(texts, pa.string())
    tried = dict.fromkeys(known for text in texts[: SAMPLE // 4] for known in _shaped(text))
    read = [TimeForm(format=known).parse(array).is_valid() for known in tried]
    for valid in read:
        others = array.filter(pc.invert(valid))
        if len(others) > most or not pc.any(valid).as_py():
            continue
        if any(pc.any(pc.and_not(other, valid)).as_py() for other in read):
            return [], []  # a second format: no sentinel values
        formats = recognise(array.filter(valid))
        if formats:
            return formats, others.to_pylist()
    return [], []


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


def _shaped(text: str) -> Iterator[str]:
    """The formats of texts of the same shape."""
    if not any(letter.isdigit() for letter in text[:40]) or len(text) > 40:
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


def _unpadded(format: str, letters: str) -> str:  # noqa: A002
    return re.sub(rf"%([{letters}])", r"%-\1", format)


def _normal(texts: pa.Array) -> pa.Array:
    """Texts in lower case, without the leading zeros of numbers of two digits; years keep theirs."""
    for _ in range(2):  # neighbours share the character between them, so that one pass misses every second one
        texts = pc.replace_substring_regex(texts, r"(^|[^0-9])0([0-9])([^0-9]|$)", r"\1\2\3")
    return pc.utf8_lower(texts)


def _fractions(texts: pa.Array) -> list[str]:
    clock = pc.replace_substring_regex(texts, r" ?(Z|[+-][0-9]{2}:?[0-9]{2})$", "")
    return list(pc.struct_field(pc.extract_regex(clock, FRACTION), "fraction").to_pylist())


def _offsets(texts: pa.Array) -> list[str]:
    return list(pc.struct_field(pc.extract_regex(texts, OFFSET), "offset").to_pylist())


def _seconds(offsets: pa.Array) -> pa.Array:
    """Seconds by which the clocks of UTC offsets such as "+02:00" are ahead."""

    def of(offset: str | None) -> int | None:
        if offset in (None, "Z"):
            return None if offset is None else 0
        sign, digits = offset[0], offset[1:].replace(":", "")
        return (-1 if sign == "-" else 1) * (int(digits[:2]) * 3600 + int(digits[2:]) * 60)

    return pa.array([of(offset) for offset in offsets.to_pylist()], pa.int64())


def _durations(texts: pa.Array) -> pa.Array:
    found = pd.to_timedelta(pd.Series(texts.to_pylist(), dtype=object), errors="coerce")
    return pa.array([None if pd.isna(d) else d.value // 1000 for d in found.astype("timedelta64[ns]")], pa.int64())


def _integers(values: pa.Array) -> npt.NDArray[np.int64]:
    return np.asarray(values.fill_null(0).to_numpy(zero_copy_only=False), np.int64)
