"""Dates and times come back as they are written."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from roundtrip import draw, there_and_back

from synthvae import Column, Schema, Synthesizer
from synthvae.errors import SchemaError, TableError
from synthvae.schema.inference import temporal_column
from synthvae.schema.interchange import fields_of_datetime
from synthvae.tables import time_zones
from synthvae.tables.time_format import TimeForm, problem_of, recognise

WHEN = pd.date_range("2019-01-05 13:05:07", periods=300, freq="31h")
FORMS = [
    "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S+02:00", "%Y-%m-%d %H:%M:%S-0500", "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S.%f", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y %H:%M", "%m/%d/%y %I:%M %p",
    "%Y/%m/%d", "%Y%m%d", "%d%m%Y", "%Y-%m", "%m/%Y", "%d %b %Y", "%d-%b-%y", "%b %d, %Y", "%d %B %Y", "%H:%M:%S",
    "%H:%M", "%I:%M%p",
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_written_form_is_recognised_and_comes_back(form: str) -> None:
    texts = WHEN.strftime(form).tolist()
    column = Schema.infer(pd.DataFrame({"x": texts})).columns[0]
    assert column.kind in ("date", "datetime")
    assert there_and_back(texts) == texts
    drawn = pd.to_datetime(pd.Series(draw(texts)), format=form, errors="coerce")
    assert drawn.notna().all()


@pytest.mark.parametrize(
    ("write", "first"),
    [
        (lambda t: f"{t.day}/{t.month}/{t.year}", "5/1/2019"),
        (lambda t: f"{t.day}.{t.month}.{t.year} {t.hour}:{t.minute:02d}", "5.1.2019 13:05"),
        (lambda t: t.strftime("%d%b%Y").upper(), "05JAN2019"),
        (lambda t: t.isoformat(timespec="milliseconds"), "2019-01-05T13:05:07.000"),
        (lambda t: str(t - pd.Timestamp("2018-01-01")), "369 days 13:05:07"),
    ],
)
def test_forms_that_strftime_does_not_write(write: Any, first: str) -> None:
    texts = [write(when) for when in WHEN]
    assert texts[0] == first
    assert there_and_back(texts) == texts


@pytest.mark.parametrize(("form", "dtype"), [("%Y%m%d", "int64"), ("%Y%m", "int32"), ("%Y%m%d", "float64")])
def test_whole_numbers_that_are_dates(form: str, dtype: str) -> None:
    numbers = pd.Series(WHEN.strftime(form).astype(int), dtype=dtype)
    column = Schema.infer(pd.DataFrame({"x": numbers})).columns[0]
    assert (column.kind, column.format) == ("date", form)
    assert there_and_back(numbers) == numbers.tolist()
    assert pd.to_datetime(pd.Series(draw(numbers)).astype(int).astype(str), format=form, errors="coerce").notna().all()


@pytest.mark.parametrize("numbers", [range(20190101, 20190401), [2019] * 30, [20190101, 20190102], [1, 20190101] * 9])
def test_other_numbers_are_no_dates(numbers: Any) -> None:
    assert Schema.infer(pd.DataFrame({"x": list(numbers)})).columns[0].kind not in ("date", "datetime")


@pytest.mark.parametrize(
    "texts", [["a1", "b2"], ["12", "13"], ["1:2", "3:4"], ["25:61"], ["10.20.30.40"], ["99/99/2020"]]
)
def test_other_texts_are_no_dates(texts: list[str]) -> None:
    assert recognise(pa.array(texts)) == []


def test_two_readings_are_asked_for_in_one_message() -> None:
    days = [f"{d:02d}/{m:02d}/2020" for d in range(1, 13) for m in range(1, 13)]
    table = pd.DataFrame({"seen": days, "left": days[::-1], "x": range(144)})
    assert Schema.infer(table)["seen"].format == "%d/%m/%Y or %m/%d/%Y"
    ways = "one reading, got '%d/%m/%Y' or '%m/%d/%Y': `--date {0}=%d/%m/%Y` or `--date {0}=%m/%d/%Y`"
    with pytest.raises(TableError, match="2 columns need a decision") as refused:
        Synthesizer(max_steps=1).fit(table)
    assert all(ways.format(name) in str(refused.value) for name in ("seen", "left"))


def test_few_texts_with_two_readings_are_categories() -> None:
    assert there_and_back(["01/02/2020", "03/04/2020"] * 30) == ["01/02/2020", "03/04/2020"] * 30


def test_offsets_of_no_time_zone_are_refused() -> None:
    texts = [f"2020-01-{i % 28 + 1:02d}T10:{i:02d}:00+0{i % 3}:00" for i in range(60)]
    column = Column(name="t", kind="datetime", format="%Y-%m-%dT%H:%M:%S%z")
    with pytest.raises(TableError, match=r"UTC offsets of one time zone, got \['\+00:00', '\+01:00'"):
        Schema(columns=[column]).check(pa.table({"t": texts}))
    with pytest.raises(TableError, match=r"offsets of no one time zone, \['\+00:00', '\+01:00', '\+02:00'\]: convert"):
        Synthesizer(max_steps=1).fit(pd.DataFrame({"t": texts, "x": range(60)}))


def test_offsets_of_a_time_zone_come_back() -> None:
    for zone, form in [
        ("Europe/Berlin", "%Y-%m-%d %H:%M:%S%:z"),
        ("America/New_York", "%Y-%m-%dT%H:%M%z"),
        ("Australia/Lord_Howe", "%Y-%m-%dT%H:%M:%S%:z"),
    ]:
        start = pd.Timestamp("2019-03-01", tz=zone)
        days = [start + pd.Timedelta(days=3 * i, hours=7 * i % 24) for i in range(150)]
        colon = "%:z" in form
        texts = [day.strftime(form.replace("%:z", "%z")) for day in days]
        texts = [f"{text[:-2]}:{text[-2:]}" if colon else text for text in texts]
        for text in there_and_back(texts):
            written = pd.Timestamp(text)
            assert written.utcoffset() == written.tz_convert(zone).utcoffset(), (zone, text)
            assert len(text) == len(texts[0])


def test_midnights_of_a_time_zone_stay_midnights() -> None:
    days = pd.date_range("2019-01-01", periods=200, tz="Europe/London")
    assert {text[11:19] for text in there_and_back([str(day) for day in days])} == {"00:00:00"}


def test_an_hour_that_clocks_show_twice_or_never() -> None:
    form = TimeForm(format="%Y-%m-%d %H:%M%z", zone="Europe/Berlin")
    twice = pa.array(["2020-10-25 02:30+02:00", "2020-10-25 02:30+01:00"])
    assert form.parse(twice).is_valid().to_pylist() == [True, True]
    assert form.write(form.parse(twice)).to_pylist() == ["2020-10-25 02:30+02:00"] * 2
    never = TimeForm(format="%Y-%m-%d %H:%M").parse(pa.array(["2020-03-29 02:30", None]))
    assert form.write(never).to_pylist() == ["2020-03-29 03:00+02:00", None]
    wrong = ["2020-07-01 12:00+01:00", "2020-03-29 02:30+01:00", None]
    assert form.parse(pa.array(wrong)).to_pylist() == [None] * 3


def test_other_texts_beside_those_of_a_time_zone() -> None:
    """A word is proposed as a sentinel value; the last moment before the year 10000 is in no zone."""
    days = [str(day) for day in pd.date_range("2019-01-01", periods=200, tz="Europe/London")]
    form = TimeForm.learn("%Y-%m-%d %H:%M:%S%z", pa.array(days))
    assert form.zone == "Europe/London"
    for other in ("unknown", "2020-05-01 00:00:00", "9999-12-31 23:59:59-05:00", "0001-01-01 00:00:00+14:00"):
        assert not form.writes(pa.array([*days, other]))
        assert form.parse(pa.array([*days, other]))[-1].as_py() is None
    assert "unknown" in there_and_back([*days, *["unknown"] * 20])
    extremes = pa.array([-(2**62), 2**62, None])
    assert form.write(extremes).is_valid().to_pylist() == [True, True, False]


def test_no_zone_is_found_where_none_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_zones, "_available", frozenset)
    texts = pa.array(["2020-01-01 00:00:00+01:00", "2020-07-01 00:00:00+02:00"])
    assert TimeForm.learn("%Y-%m-%d %H:%M:%S%z", texts).zone is None


def test_an_offset_beside_a_sentinel_value_is_kept() -> None:
    texts = pa.array(["2020-01-01 00:00:00+01:00", "2020-07-01 00:00:00+01:00", "unknown"])
    assert TimeForm.learn("%Y-%m-%d %H:%M:%S%z", texts).offset == "+01:00"


def test_a_time_of_another_offset_is_refused_by_what_was_learned() -> None:
    days = pd.date_range("2019-01-01", periods=80, tz="Europe/Berlin")
    model = Synthesizer(max_steps=1, width=8).fit(pd.DataFrame({"t": days.astype(str), "x": range(80)}))
    with pytest.raises(TableError, match=r"must be written as .*%z with the offset \+01:00, as in `fit`, got '2020-07"):
        model.log_likelihood(pd.DataFrame({"t": ["2020-07-01 00:00:00+02:00"], "x": [1]}))


@pytest.mark.parametrize("zone", ["Nowhere/Town", "../etc/passwd", "/etc/localtime", ""])
def test_time_zones_that_are_none_are_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="must be a time zone"):
        TimeForm(format="%H:%M%z", zone=zone)


@pytest.mark.parametrize("cell", ["31/02/2020", "2020-01-01", "", "1/1/20", "1/1/020", "01/01/999"])
def test_a_declared_format_is_checked(cell: str) -> None:
    column = Column(name="d", kind="date", format="%d/%m/%Y")
    with pytest.raises(TableError, match="must have the format %d/%m/%Y, got"):
        Schema(columns=[column]).check(pa.table({"d": ["01/02/2020", cell]}))


@pytest.mark.parametrize(
    ("form", "way"),
    [
        ("dd/mm/yyyy", "must have directives of strptime"),
        ("%Q", "not %Q"),
        ("%H:%-M", "not %-M"),
        ("%-y", "not %-y"),
        ("%S.%-f", "not %-f"),
        ("%Y-%j", "not %j"),
        ("%d.%m.%Y%", "not %"),
        ("100%% %Y", "not %%"),
        ("%d %-d", "must have each directive once"),
        ("%H%z%z", "must have each directive once"),
        ("%-d%m%Y", "must have %d for %-d before another digit"),
        ("%z %Y", "must have %z at its end"),
        ("%S%f", "must have %f after a point"),
    ],
)
def test_a_wrong_format_is_refused(form: str, way: str) -> None:
    with pytest.raises(SchemaError, match=f"`format` must have .*{way}, got|`format` {way}"):
        Column(name="d", kind="date", format=form)


LETTERS = st.sampled_from(
    ["%Y", "%m", "%d", "%H", "%M", "%S", "%y", "%B", "%b", "%I", "%p", "%-d", "%-m", "%-H", "%-I"]
)
BETWEEN = st.sampled_from(["", " ", "/", ".", "-", ":", ", ", "T", "Uhr "])


@given(
    st.lists(st.tuples(LETTERS, BETWEEN), min_size=1, max_size=7),
    st.lists(st.datetimes(dt.datetime(1000, 1, 1)), min_size=1, max_size=9),  # noqa: DTZ001
)
def test_what_a_format_writes_it_reads_as_the_same_text(parts: list[tuple[str, str]], when: list[dt.datetime]) -> None:
    text = "".join(map("".join, parts))
    if problem_of(text) is None:
        form = TimeForm(format=text)
        texts = form.write(pa.array(when, pa.timestamp("us")).cast(pa.int64()))
        again = form.write(form.parse(texts))
        assert all(b in (a, None) for a, b in zip(texts.to_pylist(), again.to_pylist(), strict=True))


def test_nanoseconds_beyond_64_bits_are_not_read() -> None:
    form = TimeForm(format="%Y-%m-%d %H:%M:%S.%f", digits=9)
    texts = ["9999-12-31 00:00:00.123456789", "1500-01-01 00:00:00.1", "2020-01-01 00:00:00.123456789"]
    assert form.parse(pa.array(texts)).is_valid().to_pylist() == [False, False, True]


@pytest.mark.parametrize(
    ("form", "timed"), [("%d.%m.%Y", False), ("%-H Uhr", True), ("%I %p", True), ("timedelta", True), ("%Y", False)]
)
def test_formats_with_a_time_of_day_are_of_datetimes(form: str, timed: bool) -> None:  # noqa: FBT001 (a value)
    kind = "datetime" if timed else "date"
    assert dict(fields_of_datetime(form))["kind"] == kind
    assert temporal_column("x", pa.chunked_array([[None]], pa.string()), form).kind == kind


def test_missing_and_extreme_years() -> None:
    form = TimeForm(format="%d.%m.%Y")
    texts = pa.array(["01.01.1000", None, "31.12.9999"])
    assert form.write(form.parse(texts)).equals(texts)


def test_dates_are_compared_as_dates() -> None:
    from synthvae.evaluation.comparison import Comparison

    frame = pd.DataFrame({"d": WHEN.strftime("%d/%m/%Y"), "x": np.arange(300.0)})
    compared = Comparison.from_tables(frame, frame[::-1])
    assert compared.real["d"].is_monotonic_increasing


def test_new_rows_in_another_form_are_refused() -> None:
    frame = pd.DataFrame({"d": WHEN.strftime("%d/%m/%Y"), "x": np.arange(300.0)})
    fitted = Synthesizer(max_steps=2, random_state=0).fit(frame)
    with pytest.raises(TableError, match="'d' must be written as %d/%m/%Y, as in `fit`, got '2020-01-01'"):
        fitted.transform(pd.DataFrame({"d": ["2020-01-01"], "x": [1.0]}))
