"""Recognise whole numbers that are dates with the day or the month first, or with years of two digits.

The zeros that such numbers begin with are lost: 1012020 is 1 January 2020, and 10315 may be 15 March 2001.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from synthvae.tables.number_format import MAX_OTHERS
from synthvae.tables.time_format import TimeForm, digits_of

LONG_YEARS = ("%d%m%Y", "%m%d%Y")
SHORT_YEARS = ("%y%m%d", "%d%m%y", "%m%d%y")
FIRST_YEAR, LAST_YEAR = 1900, 2100
MIN_DATES = 8  # distinct numbers; of random ones of eight digits, one in 1,400 is a date with its year last
MANY_DATES = 20  # distinct ones with years of two digits (one in 27), with sentinel values, or that are open
DENSE = 0.5  # share of the numbers from the smallest to the largest that occur: more are counts


def find_digit_dates(known: npt.NDArray[np.float64]) -> tuple[list[str], tuple[int, ...]]:
    """Return the formats of distinct whole numbers that are dates, several if it is open, and the sentinel values.

    Args:
        known: The distinct numbers, ascending.

    Example:
        >>> days = np.array([f"{day:02d}0{month}2020" for day in (1, 9, 28) for month in (1, 2, 3)], float)
        >>> find_digit_dates(np.unique(days))
        (['%d%m%Y'], ())
    """
    if not len(known) or abs(known).max() >= 10 ** digits_of(LONG_YEARS[0]):
        return [], ()
    numbers = known.astype(np.int64)
    formats, others = _with_sentinels(numbers, LONG_YEARS)
    if not formats and len(numbers) > MANY_DATES and len(numbers) < DENSE * (numbers[-1] - numbers[0] + 1):
        formats, others = [form for form in SHORT_YEARS if not len(_others(numbers, form))], ()
    return ([], ()) if len(formats) > 1 and len(numbers) <= MANY_DATES else (formats, others)


def _with_sentinels(numbers: npt.NDArray[np.int64], tried: Sequence[str]) -> tuple[list[str], tuple[int, ...]]:
    """The formats of the numbers but for the fewest others."""
    others = {form: _others(numbers, form) for form in tried}
    fewest = min(map(len, others.values()))
    dates = len(numbers) - fewest
    if dates < MIN_DATES or fewest > MAX_OTHERS or (fewest and dates <= MANY_DATES):
        return [], ()
    formats = [form for form, found in others.items() if len(found) == fewest]
    return formats, tuple(others[formats[0]].tolist())


def _others(numbers: npt.NDArray[np.int64], form: str) -> npt.NDArray[np.int64]:
    """The numbers that are no dates from the first to the last year."""
    width = digits_of(form)
    texts = pa.array([f"{number:0{width}d}" if 0 < number < 10**width else "" for number in numbers.tolist()])
    timestamps = TimeForm(format=form).parse(texts).cast(pa.timestamp("us"))
    years = pc.year(timestamps)
    dated = pc.and_(pc.greater_equal(years, FIRST_YEAR), pc.less_equal(years, LAST_YEAR))
    known = np.asarray(dated.fill_null(pa.scalar(value=False)).to_numpy(zero_copy_only=False), bool)
    return np.asarray(numbers[~known])
