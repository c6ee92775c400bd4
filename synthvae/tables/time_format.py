"""Written forms of dates and times, as text or as whole numbers: parsing, writing, and recognition.

A format is one of `datetime.strptime`, with `%-d` and so on for numbers without leading zeros, or "timedelta" for
durations as pandas writes them. Timestamps are whole numbers of microseconds since 1970 (nanoseconds where a fraction
has more than six digits), on the clock of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from synthvae.tables.arrow import is_text, whole_as_text
from synthvae.tables.time_shapes import TIMEDELTA, formats_of_shape
from synthvae.tables.time_zones import OFFSET, clocks_of, find_zone, is_zone, offsets_of, seconds_of, settle, texts_of

OR = " or "  # between the formats of a column that can be read in several ways
DIRECTIVES = "YmdHMSfzyBbIp"  # that Arrow parses and writes
SHORT = "dmHI"  # directives of numbers that can have no leading zeros
UNPADDED = re.compile(rf"%-([{SHORT}])")
PARTS = re.compile(rf"(%f|%z|%-[{SHORT}])")
KNOWN = (*(f"%{letter}" for letter in DIRECTIVES), *(f"%-{letter}" for letter in SHORT))
RUN_ON = re.compile(rf"%-[{SHORT}](?=[0-9]|%-?[YmdHMSfyI])")  # numbers whose border nothing shows
TIMES = re.compile(r"%[-#]?[HIMSfpXcTRr]")  # directives of times of day, of any library
FRACTION = r"^(?P<head>.*)[.,](?P<fraction>[0-9]{1,9})(?P<tail>[^0-9].*)?$"
LAST = 2**63 - 1  # ticks that 64 bits hold
DAY = 86_400  # seconds, more than any offset
MICRO, NANO = 6, 9  # digits of a fraction in microseconds and in nanoseconds
SAMPLE = 200  # texts that are tried before all

Case = Literal["", "upper", "lower"]


def _known(zone: str) -> str:
    if not is_zone(zone):
        raise ValueError("must be a time zone of the tz database")
    return zone


Zone = Annotated[str, AfterValidator(_known)]


class TimeForm(BaseModel):
    """How a column writes its dates or times.

    Args:
        format: The format.
        digits: Digits of the fraction of a second, for `%f`.
        offset: The UTC offset that all texts have, for `%z`; None: any, and timestamps are in UTC.
        zone: The time zone that several offsets are those of.
        colon: Whether offsets of a zone have a colon, as +02:00.
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
    zone: Zone | None = None
    colon: bool = True
    case: Case = ""

    def __str__(self) -> str:
        offset = "" if self.offset is None else f" with the offset {self.offset}"
        return f"{self.format}{offset if self.zone is None else f' with the offsets of {self.zone}'}"

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
        offsets = set(offsets_of(texts).drop_null().to_pylist()) if "%z" in format else set()
        colons = {":" in known for known in offsets}
        zone = _zone_of(texts, format) if len(offsets) > 1 and len(colons) == 1 and "Z" not in offsets else None
        colon = zone is None or True in colons
        offset = offsets.pop() if len(offsets) == 1 else None
        named = any(name in format for name in ("%b", "%B", "%p"))
        cases: tuple[Case, ...] = ("", "upper", "lower") if named else ("",)
        for known in dict.fromkeys(
            (format, _unpadded(format, "dm"), _unpadded(format, "HI"), _unpadded(format, "dmHI"))
        ):
            for case in cases:
                yield cls(format=known, digits=digits or MICRO, offset=offset, zone=zone, colon=colon, case=case)

    @property
    def scale(self) -> int:
        """Ticks in a second."""
        return int(10 ** (NANO if self.digits > MICRO else MICRO))

    def writes(self, texts: pa.Array) -> bool:
        """Whether all texts are read, and written in the same way again."""
        written, texts = self.write(self.parse(texts)), texts.cast(pa.string())
        if self.zone is not None:  # of an hour that clocks show twice, the first is written
            if written.null_count:
                return False
            written, texts = (pc.struct_field(pc.extract_regex(part, OFFSET), "clock") for part in (written, texts))
        return bool(written.equals(texts))

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
        valid = pc.and_(valid, pc.less(pc.abs(seconds.fill_null(0)), LAST // self.scale - DAY))
        ticks = (_integers(seconds) - _integers(offset)) * self.scale + _integers(fraction)
        return pc.if_else(valid, pa.array(ticks), None) if self.zone is None else self._on_clocks(ticks, offset, valid)

    def _on_clocks(self, ticks: npt.NDArray[np.int64], offset: pa.Array, valid: pa.Array) -> pa.Array:
        """The ticks of clocks of the zone from those in UTC; missing where the zone has another offset."""
        assert self.zone is not None
        utc = ticks // self.scale
        clocks, ahead = clocks_of(utc, self.zone), _integers(offset)
        return pc.if_else(pc.and_(valid, pa.array(clocks - utc == ahead)), pa.array(ticks + ahead * self.scale), None)

    def _split(self, texts: pa.Array) -> tuple[pa.Array, pa.Array, pa.Array]:
        """The texts without fraction and offset, the fraction in ticks, and the seconds by which clocks are ahead."""
        clock = texts.cast(pa.string())
        none = pa.array(np.zeros(len(texts), np.int64))
        fraction, offset = none, none
        if "%z" in self.format:
            found = pc.extract_regex(clock, OFFSET)
            clock, offset = pc.struct_field(found, "clock"), pc.struct_field(found, "offset")
            known = self.offset is not None
            offset = pc.if_else(pc.equal(offset, self.offset), 0, None) if known else seconds_of(offset)
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
        offsets = pa.array([self.offset or "Z"] * len(whole), pa.string())
        if self.zone is not None:
            whole, ahead = settle(whole, self.zone)
            offsets = texts_of(ahead, colon=self.colon)
        clock = pa.array(whole, mask=ticks.is_null().to_numpy(zero_copy_only=False)).cast(pa.timestamp("s"))
        parts = [
            offsets if piece == "%z" else self._part(piece, clock, part) for piece in PARTS.split(self.format) if piece
        ]
        text = pc.binary_join_element_wise(*parts, "")
        return {"": lambda t: t, "upper": pc.utf8_upper, "lower": pc.utf8_lower}[self.case](text)

    def _part(self, piece: str, clock: pa.Array, fraction: npt.NDArray[np.int64]) -> pa.Array:
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
    found = re.findall(r"%-?.?", format, re.DOTALL)
    if not found:
        return "must have directives of strptime (%d/%m/%Y)"
    unknown = [directive for directive in found if directive not in KNOWN]
    if unknown:
        return f"must have directives among {', '.join(KNOWN)}, not {unknown[0]}"
    letters = [directive[-1] for directive in found]
    if len(set(letters)) < len(letters):
        return "must have each directive once"
    return _misplaced(format)


def _misplaced(format: str) -> str | None:  # noqa: A002
    """What is wrong with the places of directives."""
    if "%z" in format and not format.endswith("%z"):
        return "must have %z at its end"
    if run_on := RUN_ON.search(format):
        return f"must have {run_on[0].replace('-', '')} for {run_on[0]} before another digit"
    return "must have %f after a point or comma" if re.search(r"(?<![.,])%f", format) else None


def has_time(format: str) -> bool:  # noqa: A002
    """Whether a format, or one of several, has a time of day or is one of durations.

    >>> has_time("%d.%m.%Y"), has_time("%-H Uhr"), has_time("timedelta")
    (False, True, True)
    """
    return bool(TIMES.search(format)) or TIMEDELTA in readings(format)


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


def exact_timestamps(texts: pa.Array, format: str) -> pa.Array:  # noqa: A002
    """Return the timestamps (rows,) of texts, in UTC if the format has an offset; missing where one is not readable.

    Their unit is nanoseconds if a fraction has more than six digits, else microseconds.

    >>> exact_timestamps(pa.array(["1/2/2020", "31/2/2020"]), "%-d/%-m/%Y").cast(pa.date32()).to_pylist()
    [datetime.date(2020, 2, 1), None]
    """
    fine = "%f" in format and max((len(digits or "") for digits in _fractions(texts)), default=0) > MICRO
    unit, digits = ("ns", NANO) if fine else ("us", MICRO)
    kind = pa.timestamp(unit, "UTC" if "%z" in format else None)
    return TimeForm(format=format, digits=digits).parse(texts).cast(kind)


def to_timestamps(values: pa.ChunkedArray, format: str) -> pa.ChunkedArray:  # noqa: A002
    """Return the timestamps (rows,), in microseconds, of text or whole numbers; missing where one is not readable."""
    form = TimeForm(format=readings(format)[0])
    return parse_column(values, form).cast(pa.timestamp("us"))


def several_offsets(values: pa.ChunkedArray, format: str) -> list[str]:  # noqa: A002
    """Return the UTC offsets of texts, if they have several that are not those of a time zone, which no model keeps."""
    if "%z" not in format or not is_text(values.type):
        return []
    texts = pc.unique(values.drop_null())
    found = sorted({offset for offset in offsets_of(texts).to_pylist() if offset is not None})
    return found if len(found) > 1 and TimeForm.learn(format, texts).zone is None else []


def offsets_without_zone(values: pa.ChunkedArray) -> list[str]:
    """Return the UTC offsets of texts that have the shape of times, if they have several that are of no time zone."""
    text = next((text for text in values[:SAMPLE].to_pylist() if text is not None), "")
    formats = (known for known in formats_of_shape(str(text)) if "%z" in known)
    return next((offsets for known in formats if (offsets := several_offsets(values, known))), [])


def recognise(texts: pa.Array) -> list[str]:
    """Return the formats with which all of some distinct texts are read and written again.

    >>> recognise(pa.array(["3/4/2020", "13/4/2020"])), recognise(pa.array(["03.04.2020"]))
    (['%d/%m/%Y'], ['%d.%m.%Y', '%m.%d.%Y'])
    """
    found = []
    for format in formats_of_shape(texts[0].as_py()) if len(texts) else []:  # noqa: A001
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
    tried = dict.fromkeys(known for text in texts[: SAMPLE // 4] for known in formats_of_shape(text))
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


def _zone_of(texts: pa.Array, format: str) -> str | None:  # noqa: A002
    """The time zone of texts of several UTC offsets."""
    ticks = TimeForm(format=format).parse(texts)
    read = texts.filter(ticks.is_valid())
    return find_zone(_integers(ticks.drop_null()) // 10**MICRO, _integers(seconds_of(offsets_of(read))))


def _durations(texts: pa.Array) -> pa.Array:
    found = pd.to_timedelta(pd.Series(texts.to_pylist(), dtype=object), errors="coerce")
    return pa.array([None if pd.isna(d) else d.value // 1000 for d in found.astype("timedelta64[ns]")], pa.int64())


def _integers(values: pa.Array) -> npt.NDArray[np.int64]:
    return np.asarray(values.fill_null(0).to_numpy(zero_copy_only=False), np.int64)
