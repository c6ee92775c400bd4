"""Stated forms of text: the reader for Python and the one of commands have the same numbers and dates."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthvae.errors import ConfigurationError
from synthvae.schema import forms
from synthvae.tables import ReadOptions, convert, number_format, read
from synthvae.tables.number_format import NumberForm
from synthvae.tables.text_forms import typed
from synthvae.tables.time_format import OR, TimeForm, parse_column

GERMAN = {"decimal": ",", "thousands": "."}


def _typed(texts: Sequence[str | None], **options: Any) -> pa.ChunkedArray:
    return typed(pa.table({"v": pa.array(texts, pa.string())}), ReadOptions(**options)).column("v")


@pytest.mark.parametrize(
    ("texts", "kind", "values"),
    [
        (["9.007.199.254.740.993", "1"], pa.int64(), [2**53 + 1, 1]),
        (["9.007.199.254.740.993", None], pa.int64(), [2**53 + 1, None]),
        (["-9.223.372.036.854.775.808"], pa.int64(), [-(2**63)]),
        (["18446744073709551615", "0"], pa.uint64(), [2**64 - 1, 0]),
        (["18446744073709551615", None], pa.uint64(), [2**64 - 1, None]),
        (["18446744073709551616", "1"], pa.string(), ["18446744073709551616", "1"]),
        (["18446744073709551615", "-1"], pa.string(), ["18446744073709551615", "-1"]),
        (["1.000", None], pa.float64(), [1000.0, None]),
        (["1,5e-3", "2"], pa.float64(), [0.0015, 2.0]),
        (["--5", "1,5"], pa.string(), ["--5", "1,5"]),
        (["0.123", "1.500"], pa.string(), ["0.123", "1.500"]),
        (["007", "1,5"], pa.string(), ["007", "1,5"]),
        (["+5", "1,5"], pa.string(), ["+5", "1,5"]),
    ],
)
def test_whole_numbers_keep_all_their_digits(texts: list[str | None], kind: pa.DataType, values: list[Any]) -> None:
    found = _typed(texts, **GERMAN)
    assert (found.type, found.to_pylist()) == (kind, values)


def test_text_stays_text_where_only_dates_are_stated() -> None:
    assert _typed(["1", "2"], date_format="%d.%m.%Y").to_pylist() == ["1", "2"]


@pytest.mark.parametrize(
    ("form", "texts", "values"),
    [
        ("%-d/%-m/%Y", ["1/2/2020", "13/4/2020"], [dt.date(2020, 2, 1), dt.date(2020, 4, 13)]),
        ("%-H:%M", ["9:30", "10:00"], [dt.datetime(1900, 1, 1, 9, 30), dt.datetime(1900, 1, 1, 10)]),  # noqa: DTZ001
        ("%d.%m.%Y", ["31.12.9999", "01.01.1500"], [dt.date(9999, 12, 31), dt.date(1500, 1, 1)]),
        ("%Y-%j", ["2020-001", "2020-366"], [dt.date(2020, 1, 1), dt.date(2020, 12, 31)]),  # of Python alone
        ("%d.%m.%Y", ["31.02.2020"], ["31.02.2020"]),
    ],
)
def test_dates_are_read_by_their_form(form: str, texts: list[str], values: list[Any]) -> None:
    assert _typed(texts, date_format=form).to_pylist() == values


def test_offsets_are_in_utc_and_fractions_keep_their_digits() -> None:
    found = _typed(["2020-01-01T10:00:00.123456789+02:00", None], date_format="%Y-%m-%dT%H:%M:%S.%f%z")
    assert found.type == pa.timestamp("ns", "UTC")
    assert found[0].value == pd.Timestamp("2020-01-01T08:00:00.123456789Z").value
    assert _typed(["2020-01-01 10:00:00.5"], date_format="%Y-%m-%d %H:%M:%S.%f").type == pa.timestamp("us")


@pytest.mark.parametrize("form", ["%H:%-M", "%Q", "%d.%m.%Y%"])
def test_directives_that_none_knows_are_refused(form: str) -> None:
    with pytest.raises(ConfigurationError, match=r"`date_format` must have directives among .*, not %"):
        _typed(["1"], date_format=form)


NUMBERS = st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=20)
AROUND = [("", ""), ("$", ""), ("", " €"), ("EUR ", ""), ("", "%"), ("$-", ""), ("", "\u00a0kr")]


@given(NUMBERS, st.integers(0, 7), st.sampled_from(number_format.SEPARATORS), st.sampled_from(AROUND))
def test_written_numbers_are_read_again(
    numbers: list[int], digits: int, separators: tuple[str, str], around: tuple[str, str]
) -> None:
    form = NumberForm(around[0], *separators, around[1])
    values = [number / 10**digits for number in numbers]
    for style in ("repr", "short", str(digits)):
        texts = [number_format.write(value, style, form.format) for value in values]
        again = form.plain(pa.array(texts)).to_pylist()
        assert [float(text) for text in again] == values
        assert NumberForm.of(form.format) == form


@given(st.lists(st.text(alphabet="-+$€% .,'0123456789eE", max_size=9), min_size=1, max_size=6))
def test_any_text_is_a_number_or_none(texts: list[str]) -> None:
    for way in number_format.recognise(texts):
        plain, others = NumberForm.of(way).split(texts)
        assert len(plain) + len(others) == len(texts)
        assert np.isfinite([float(text) for text in plain]).all()
    for decimal, thousands in ((",", "."), (".", ","), (",", None)):
        number_format.stated(texts, decimal, thousands)
        _typed(texts, decimal=decimal, thousands=thousands)


@given(NUMBERS, st.integers(0, 3), st.sampled_from([(",", "."), (",", None), (".", ","), (".", "'"), (",", "\u202f")]))
def test_both_readers_have_the_same_numbers(numbers: list[int], digits: int, marks: tuple[str, str | None]) -> None:
    form = NumberForm("", marks[1] or "", marks[0], "").format
    texts = [number_format.write(number / 10**digits, "short", form) for number in numbers]
    options: dict[str, Any] = {"decimal": marks[0], "thousands": marks[1]}
    schema = forms.resolved(None, pa.table({"v": texts}), ReadOptions(**options))
    declared = None if schema is None else schema["v"].format
    if declared is not None and OR not in declared:
        known = NumberForm.of(declared).plain(pa.chunked_array([texts]))
        assert known.cast(pa.float64()).to_pylist() == _typed(texts, **options).cast(pa.float64()).to_pylist()


FORMATS = ["%d.%m.%Y", "%-d/%-m/%Y", "%Y%m%d", "%d %b %Y", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%-I:%M %p"]


@given(st.lists(st.datetimes(dt.datetime(1000, 1, 1)), min_size=1, max_size=20), st.sampled_from(FORMATS))  # noqa: DTZ001
def test_both_readers_have_the_same_dates(when: list[dt.datetime], form: str) -> None:
    known = TimeForm(format=form)
    texts = known.write(pa.array(when, pa.timestamp("us")).cast(pa.int64()))
    values = pa.chunked_array([texts])
    ticks = parse_column(values, known)
    assert known.write(ticks.combine_chunks()).equals(texts)
    found = _typed(texts.to_pylist(), date_format=form)
    assert found.cast(pa.timestamp("us")).cast(pa.int64()).to_pylist() == ticks.to_pylist()


def test_both_readers_agree_on_a_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("n;d\n" + "".join(f"{i}.000,5;{i % 28 + 1}/12/2020\n" for i in range(1, 60)))
    options: dict[str, Any] = {"decimal": ",", "thousands": ".", "date_format": "%-d/%m/%Y"}
    table = convert.read(path, options=ReadOptions(**options))
    schema = forms.resolved(None, table, ReadOptions(**options))
    assert schema is not None
    assert [(column.kind, column.format) for column in schema.columns] == [
        ("continuous", "1.234,5"),
        ("date", "%-d/%m/%Y"),
    ]
    assert read(path, **options).column("d")[0].as_py() == dt.date(2020, 12, 2)
