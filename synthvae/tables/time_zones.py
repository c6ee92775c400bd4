"""UTC offsets that change within a column because clocks follow a time zone, such as +01:00 and +02:00 of Berlin."""

from __future__ import annotations

import datetime as dt
import functools
import re
import zoneinfo

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

OFFSET = r"^(?P<clock>.*?)(?P<offset>Z|[+-][0-9]{2}:?[0-9]{2})$"
# Many zones had the same clocks for decades: these are tried before all others.
USUAL = (
    *(f"Europe/{city}" for city in ("Berlin", "London", "Helsinki", "Lisbon", "Moscow")),
    *(f"America/{city}" for city in ("New_York", "Chicago", "Denver", "Los_Angeles", "Halifax", "Sao_Paulo")),
    *("Australia/Sydney", "Australia/Adelaide", "Pacific/Auckland"),
)
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*")
SAMPLE = 200  # times that are tried before all
FIRST, LAST = -62_135_510_400, 253_402_214_400  # seconds between which all clocks are in the years 1 to 9999

Seconds = npt.NDArray[np.int64]


def offsets_of(texts: pa.Array) -> pa.Array:
    """Return the UTC offsets (rows,) at the ends of texts; missing where there is none."""
    return pc.struct_field(pc.extract_regex(texts, OFFSET), "offset")


def seconds_of(offsets: pa.Array) -> pa.Array:
    """Return by how many seconds the clocks of UTC offsets (rows,) such as "+02:00" are ahead.

    >>> seconds_of(pa.array(["+02:00", "-0330", "Z"])).to_pylist()
    [7200, -12600, 0]
    """

    def of(offset: str | None) -> int | None:
        if offset in (None, "Z"):
            return None if offset is None else 0
        sign, digits = offset[0], offset[1:].replace(":", "")
        return (-1 if sign == "-" else 1) * (int(digits[:2]) * 3600 + int(digits[2:]) * 60)

    return pa.array([of(offset) for offset in offsets.to_pylist()], pa.int64())


def texts_of(seconds: Seconds, *, colon: bool) -> pa.Array:
    """Return UTC offsets (rows,), with or without a colon, from the seconds by which clocks are ahead.

    >>> texts_of(np.array([7200, -12600]), colon=True).to_pylist()
    ['+02:00', '-03:30']
    """
    known, places = np.unique(seconds, return_inverse=True)
    texts = [f"{'-' if s < 0 else '+'}{abs(s) // 3600:02d}{':' * colon}{abs(s) // 60 % 60:02d}" for s in known.tolist()]
    return pa.array(texts, pa.string()).take(pa.array(places))


def is_zone(name: str) -> bool:
    """Whether a time zone of the tz database is known here.

    >>> is_zone("Europe/Berlin"), is_zone("../Europe/Berlin")
    (True, False)
    """
    return bool(NAME.fullmatch(name)) and name in _available()


@functools.cache
def _available() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def find_zone(utc: Seconds, offsets: Seconds) -> str | None:
    """Return a time zone that has these UTC offsets at these times; None if there is none.

    Args:
        utc: The times (rows,) in seconds since 1970, in UTC.
        offsets: The seconds (rows,) by which clocks are ahead of UTC.

    Example:
        >>> january, july = 1577836800, 1593561600
        >>> find_zone(np.array([january, july]), np.array([0, 3600]))
        'Europe/London'
    """
    first = np.unique(offsets, return_index=True)[1]  # each offset is in the sample
    places = np.concatenate([first, np.arange(min(len(utc), SAMPLE))])
    few = list(zip(utc[places].clip(FIRST, LAST).tolist(), offsets[places].tolist(), strict=True))
    others = sorted(name for name in _available().difference(USUAL) if "/" in name and not name.startswith("Etc/"))
    for name in (*(name for name in USUAL if name in _available()), *others):
        if _may_be(name, few) and bool((clocks_of(utc, name) - utc == offsets).all()):
            return name
    return None


def _may_be(name: str, few: list[tuple[int, int]]) -> bool:
    """Whether a zone has the offsets of some times; the first other one decides, so that 500 zones take no second."""
    zone = zoneinfo.ZoneInfo(name)
    return all(dt.datetime.fromtimestamp(time, zone).utcoffset() == dt.timedelta(seconds=ahead) for time, ahead in few)


def clocks_of(utc: Seconds, zone: str) -> Seconds:
    """Return the time on the clocks (rows,) of a zone, in seconds since 1970, in the years 1 to 9999."""
    return _seconds(_times(utc).tz_localize("UTC").tz_convert(zoneinfo.ZoneInfo(zone)).tz_localize(None))


def settle(clocks: Seconds, zone: str) -> tuple[Seconds, Seconds]:
    """Return the times on clocks (rows,), and by how many seconds each is ahead of UTC.

    A time that clocks leave out in spring is moved to the end of the gap. One that they show twice in autumn is the
    first.

    >>> clocks, offsets = settle(np.array([1585449000]), "Europe/Berlin")  # 2020-03-29 02:30
    >>> clocks - 1585449000, offsets
    (array([1800]), array([7200]))
    """
    first = np.ones(len(clocks), bool)
    zoned = _times(clocks).tz_localize(zoneinfo.ZoneInfo(zone), ambiguous=first, nonexistent="shift_forward")
    settled = _seconds(zoned.tz_localize(None))
    return settled, settled - _seconds(zoned.tz_convert("UTC").tz_localize(None))


def _times(seconds: Seconds) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(seconds.clip(FIRST, LAST).astype("datetime64[s]"))


def _seconds(times: pd.DatetimeIndex) -> Seconds:
    return np.asarray(times.to_numpy().astype("datetime64[s]").astype(np.int64))
