"""Moments and days: their step, unit, zone and writing."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from roundtrip import assert_kept_or_refused, draw, learn_column, there_and_back

from synthvae import Column, Schema

DATETIME = Column(name="x", kind="datetime")
DATE = Column(name="x", kind="date")


@pytest.mark.parametrize(("unit", "ticks"), [("D", 1), ("h", 6), ("min", 15), ("s", 1), ("ms", 1), ("ns", 7)])
def test_the_step_is_kept(unit: Any, ticks: int) -> None:
    step = pd.Timedelta(ticks, unit=unit)
    steps = np.random.default_rng(0).integers(0, 5000, 400).tolist()
    moments = pd.Series([pd.Timestamp("2020-02-28") + count * step for count in steps])
    drawn = [pd.Timestamp(moment) for moment in draw(moments, DATETIME)]
    assert all((moment - moments.min()) % step == pd.Timedelta(0) for moment in drawn)
    assert moments.min() <= min(drawn)
    assert max(drawn) <= moments.max()


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kathmandu"])
def test_the_hour_that_comes_twice_stays_two_hours(zone: str) -> None:
    moments = pd.Series(pd.date_range("2024-10-27 00:00", periods=6, freq="30min", tz="UTC")).dt.tz_convert(zone)
    back = [pd.Timestamp(moment).tz_convert("UTC") for moment in there_and_back(moments)]
    assert back == moments.dt.tz_convert("UTC").tolist()


@pytest.mark.parametrize(
    "moments",
    [
        [pd.Timestamp("1970-01-01 00:00:00.000000001"), pd.Timestamp("2020-01-01 00:00:00.000000002")],
        [pd.Timestamp("1990-01-01"), pd.Timestamp("2200-12-31 23:59:59.999999999")],
    ],
)
def test_few_moments_come_back_to_the_nanosecond(moments: list[pd.Timestamp]) -> None:
    table, encoding = learn_column(pd.Series(moments, dtype="datetime64[ns]"))
    decoded = encoding.decode(encoding.encode(table), np.random.default_rng(0))
    assert decoded.column("x").cast(pa.int64()).to_pylist() == table.column("x").cast(pa.int64()).to_pylist()


@pytest.mark.parametrize(
    "moments",
    [
        [pd.Timestamp("1900-01-01"), pd.Timestamp("2200-12-31 23:59:59.999999999")],
        [pd.Timestamp.min, pd.Timestamp.max],
    ],
)
def test_moments_finer_than_doubles_are_kept_or_refused(moments: list[pd.Timestamp]) -> None:
    assert_kept_or_refused(pd.Series(moments, dtype="datetime64[ns]"))


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("date", ["2020-02-29", "1999-12-31", None]),
        ("datetime", ["2020-02-29 12:30:00", "1999-12-31 00:00:00", None]),
    ],
)
def test_iso_text_stays_iso_text(kind: Any, texts: list[str | None]) -> None:
    assert Schema.infer(pd.DataFrame({"x": texts}))["x"].kind == kind
    assert there_and_back(texts * 5) == texts * 5


@pytest.mark.parametrize(
    "texts",
    [
        ["2020-02-29T12:30:00", "1999-12-31T00:00:00"],
        ["2020-02-29T12:30", "1999-12-31T00:00"],
        ["2020-02-29 12:30:00.250", "1999-12-31 00:00:00.500"],
        ["2020-02-29T12:30:00Z", "1999-12-31T00:00:00Z"],
        ["20200229", "19991231"],
    ],
)
@pytest.mark.parametrize("column", [DATETIME, DATE, None])
def test_other_iso_text_is_kept_as_written_or_refused(texts: list[str], column: Column | None) -> None:
    assert_kept_or_refused(texts * 5, column)


def test_categoricals_of_iso_text_declared_dates_are_kept_or_refused() -> None:
    assert_kept_or_refused(pd.Categorical(["2020-01-01", "2020-01-02", None]), DATE)


def test_many_days_stay_days() -> None:
    days = [dt.date(2020, 1, 1) + dt.timedelta(days=int(i)) for i in np.random.default_rng(0).integers(0, 3000, 500)]
    drawn = draw(days, DATE)
    assert {type(day) for day in drawn} == {dt.date}
    assert min(days) <= min(drawn)
    assert max(drawn) <= max(days)


@pytest.mark.parametrize("days", [["0001-01-01", "9999-12-31"], ["1582-10-04", "1582-10-15"]])
def test_days_far_away_come_back(days: list[str]) -> None:
    values = [dt.date.fromisoformat(day) for day in days]
    assert there_and_back(values) == values
    assert_kept_or_refused(pd.Series(np.array(days, dtype="datetime64[s]")))


@pytest.mark.parametrize("count", [200, 3000])
def test_many_moments_come_back_beside_gaps(count: int) -> None:
    """Few hundred that repeat to the second; of thousands all but the outermost."""
    seconds = np.random.default_rng(0).integers(0, 10**9, count).tolist() * (2 if count == 200 else 1)
    moments = [*(pd.Timestamp(2**30 + second, unit="s") for second in seconds), pd.NaT]
    back = there_and_back(pd.Series(moments, dtype="datetime64[s]"), Column(name="x", kind="datetime", nullable=True))
    apart = [abs(pd.Timestamp(a) - pd.Timestamp(2**30 + b, unit="s")) for a, b in zip(back[:-1], seconds, strict=True)]
    assert back[-1] is None
    assert max(apart) <= (pd.Timedelta(0) if count == 200 else pd.Timedelta(days=6))
