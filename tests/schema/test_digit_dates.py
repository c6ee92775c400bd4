"""Numbers that are dates without their first zeros, and codes that only look like dates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from synthvae import Column, Schema, Synthesizer
from synthvae.errors import TableError
from synthvae.schema.coercion import conform
from synthvae.schema.decisions import Decisions
from synthvae.schema.digit_dates import find_digit_dates
from synthvae.schema.forms import resolved
from synthvae.tables import convert
from synthvae.tables.read_options import ReadOptions

DAYS = pd.Series(pd.date_range("1950", "2020", freq="7D")).sample(400, random_state=0, ignore_index=True)
FORMS = ["%d%m%Y", "%m%d%Y", "%y%m%d", "%d%m%y", "%m%d%y"]
CODES = ["code", "zip", "postcode", "icd_code", "ProductCode", "plz", "lot", "order_no", "SKU", "serial_number"]


def inferred(values: Any, name: str = "x") -> Column:
    return Schema.infer(pd.DataFrame({name: values}))[name]


@pytest.mark.parametrize("dtype", ["int64", "int32", "float64", "Int64", "str"])
@pytest.mark.parametrize("form", FORMS)
def test_numbers_without_their_first_zeros_are_dates_and_come_back(form: str, dtype: Any, tmp_path: Path) -> None:
    texts = DAYS.dt.strftime(form)
    values = texts if dtype == "str" else texts.astype(int).astype(dtype)
    column = inferred(values)
    assert (column.kind, column.format, column.sentinels) == ("date", form, ())
    table = pd.DataFrame({"x": values, "n": np.arange(400) % 7})
    made = Synthesizer(max_steps=20, random_state=0).fit(table).sample(300)
    assert made["x"].dtype == table["x"].dtype
    written = made["x"] if dtype == "str" else made["x"].astype(int).astype(str).str.zfill(len(texts[0]))
    read = pd.to_datetime(written, format=form, errors="coerce")
    assert read.notna().all()
    table.to_csv(tmp_path / "t.csv", index=False)
    assert Schema.infer(tmp_path / "t.csv")["x"].format == form


def test_few_numbers_beside_dates_are_sentinel_values() -> None:
    column = inferred([*DAYS.dt.strftime("%d%m%Y").astype(int), 99999999, 0, 99999999])
    assert (column.format, column.sentinels) == ("%d%m%Y", (0, 99999999))


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("form", ["%d%m%Y", "%d%m%y", "%y%m%d"])
def test_two_readings_of_digits_are_asked_for(form: str, as_text: bool) -> None:  # noqa: FBT001
    days = pd.Series(pd.date_range("2001", "2012", freq="D"))
    days = days[days.dt.day <= 12].sample(200, random_state=0)
    texts = days.dt.strftime(form)
    table = pd.DataFrame({"seen": texts if as_text else texts.astype(int), "x": np.arange(200) % 7})
    with pytest.raises(TableError) as refused:
        Synthesizer(max_steps=1).fit(table)
    ways = (f"`--date seen={form}`", "`--categorical seen` if they are codes", "`kind: integer` in a schema")
    assert all(way in str(refused.value) for way in ways)
    schema = Decisions(dates=[f"seen={form}"]).apply(None, ["seen", "x"])
    made = Synthesizer(schema=schema, max_steps=2, random_state=0).fit(table).sample(50)
    written = made["seen"].astype(str).str.zfill(len(texts.iloc[0]))
    assert pd.to_datetime(written, format=form, errors="coerce").notna().all()
    numbers = Schema(columns=[Column(name="seen", kind="categorical")])
    assert Synthesizer(schema=numbers, max_steps=2, random_state=0, protect=0).fit(table).schema_.names == ["seen", "x"]


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize("form", ["%Y%m%d", "%Y%m", *FORMS])
def test_codes_that_are_dates_by_chance_are_none(name: str, form: str) -> None:
    texts = DAYS.dt.strftime(form)
    for values in (texts, texts.astype(int), texts.astype(float), [*texts, "N"]):
        assert inferred(values, name).kind not in {"date", "datetime"}


@pytest.mark.parametrize("name", ["date_key", "datecode", "birth_no", "visit", "Geburtsdatum", "month_id", "x"])
def test_other_names_do_not_hide_dates(name: str) -> None:
    assert inferred(DAYS.dt.strftime("%Y%m%d").astype(int), name).kind == "date"


def test_a_stated_date_may_have_any_name() -> None:
    table = convert.read(pd.DataFrame({"code": DAYS.dt.strftime("%d%m%Y").astype(int)}))
    found = Decisions(dates=["code"]).apply(None, ["code"], table)
    assert found is not None
    assert found["code"].format == "%d%m%Y"


def test_a_stated_form_of_digits_is_none_of_codes() -> None:
    numbers = DAYS.dt.strftime("%d%m%Y").astype(int)
    table = convert.read(pd.DataFrame({"zip": numbers, "seen": numbers}))
    found = resolved(None, table, ReadOptions(date_format=("%d%m%Y",)))
    assert found is not None
    assert found.names == ["seen"]


@pytest.mark.parametrize(
    "numbers",
    [
        range(10101, 10132),  # dense: a range of room numbers
        range(100101, 100132),
        np.random.default_rng(0).integers(0, 10**6, 300),
        np.random.default_rng(0).integers(0, 10**8, 300),
        [10115, 10117, 10119, 10178, 10179] * 9,  # postcodes
        [1012020, 2012020, 3012020],
        [-1012020 - day * 10**6 for day in range(30)],
        [1010001 + day * 10**6 for day in range(28)],  # the year 1
        [],
    ],
)
def test_other_numbers_are_none(numbers: Any) -> None:
    assert find_digit_dates(np.unique(np.array(list(numbers), float))) == ([], ())


def test_lost_zeros_are_read_under_a_budget_too() -> None:
    column = Column(name="x", kind="date", format="%d%m%Y", bounds=("2020-01-01", "2020-12-31"))
    schema = Schema(columns=[column])
    for values in ([1012020, 31122020], ["01012020", "31122020"], [1012020.0, 31122020.0]):
        found = conform(pa.table({"x": pa.array(values)}), schema).column("x")
        assert [str(day) for day in found.to_pylist()] == ["2020-01-01", "2020-12-31"]
