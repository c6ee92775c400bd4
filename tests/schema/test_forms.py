"""Stated forms of numbers and dates are knowledge of columns, whose text stays as it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from synthvae import Column, Schema, Synthesizer
from synthvae.errors import ConfigurationError, TableError
from synthvae.schema.decisions import complete
from synthvae.schema.forms import resolved
from synthvae.tables import ReadOptions, convert
from synthvae.tables.streaming import Stream, large

DAYS = [f"{i % 12 + 1:02d}/{i // 12 % 12 + 1:02d}/20{i // 144 + 10}" for i in range(300)]  # none beyond 12
GERMAN = {"decimal": ",", "thousands": "."}


def fields(values: Any, options: dict[str, Any], name: str = "v") -> tuple[Any, ...] | None:
    """The kind, format and sentinel values of a column; None if it is left to inference."""
    schema = resolved(None, pa.table({name: values}), ReadOptions(**options))
    return None if schema is None else (schema[name].kind, schema[name].format, schema[name].sentinels)


@pytest.mark.parametrize(
    ("values", "options", "found"),
    [
        (["1.234,50", "12,00"], GERMAN, ("continuous", "1.234,5", ())),
        (["1.500", "2.250"], GERMAN, ("integer", "1.234,5", ())),  # not 1.5
        (["1234,5", "12,5"], GERMAN, ("continuous", "1234,5", ())),  # written without groups
        (["1.234,50", "1234,5", "2"], GERMAN, ("continuous", "1.234,5", ())),  # in several styles
        (["1.200,50 €", "3,20 €", "n/a"], GERMAN, ("continuous", "1.234,5 €", ("n/a",))),
        (["0,5", "<0,5", "n/a", "12,0"], GERMAN, ("continuous", "1.234,5", ("<0,5", "n/a"))),
        (["1,250", "3,500"], {"decimal": ","}, ("continuous", "1234,5", ())),
        (["1,250", "3,500"], {"thousands": ","}, ("integer", "1,234.5", ())),
        (["1\u202f250", "12,5"], {"decimal": ",", "thousands": "\u202f"}, ("continuous", "1\u202f234,5", ())),
        (["1'250.5", "12"], {"thousands": "'"}, ("continuous", "1'234.5", ())),
        (["12", "7", "n/a"], GERMAN, None),  # no separator occurs
        (["007,5", "12,5"], GERMAN, None),  # codes
        (["12.5", "1,5"], GERMAN, None),  # several forms
        (["a,b", "c"], GERMAN, None),
        ([1.5, 2.5], GERMAN, None),
        (["1.500", "2.250"], {"decimal": ","}, ("integer", "1.234,5 or 1234.5", ())),
        (["12.5", "401.9"], {"decimal": ","}, None),  # a point that separates no groups
        (["31/12/2020", None], {"date_format": "%d/%m/%Y"}, ("date", "%d/%m/%Y", ())),
        (["01-Feb-20", "30-Dec-21"], {"date_format": "%d-%b-%y"}, ("date", "%d-%b-%y", ())),
        (["31.12.2020 09:30"], {"date_format": ["%d.%m.%Y", "%d.%m.%Y %H:%M"]}, ("datetime", "%d.%m.%Y %H:%M", ())),
        (["9:30", "10:15"], {"date_format": "%H:%M"}, ("datetime", "%H:%M", ())),
        (["2020-1-5", "2020-12-31"], {"date_format": "%Y-%m-%d"}, ("date", "%Y-%m-%d", ())),
        (["31/02/2020", "01/01/2020"], {"date_format": "%d/%m/%Y"}, None),  # no such day
        ([31122020 + i * 10000 for i in range(9)], {"date_format": "%d%m%Y"}, None),  # no such month
        ([10122020 + i * 1000000 for i in range(9)], {"date_format": "%d%m%Y"}, ("date", "%d%m%Y", ())),
        ([2001, 2002, 2003], {"date_format": "%Y"}, None),  # numbers
        ([None, None], {"date_format": "%Y", **GERMAN}, None),
        (["1,5", "2"], {}, None),  # nothing is stated
    ],
)
def test_columns_with_a_stated_form_are_declared(
    values: list[Any], options: dict[str, Any], found: tuple[Any, ...] | None
) -> None:
    values = pa.array(values, pa.string()) if not any(isinstance(v, (int, float)) for v in values) else values
    assert fields(values, options) == found


def test_digits_of_people_are_no_dates() -> None:
    phones = [f"0{i % 9 + 1}12{i // 9 % 90 + 1910}" for i in range(300)]
    assert fields(phones, {"date_format": "%d%m%Y"}, "phone") is None
    assert fields(phones, {"date_format": "%d%m%Y"}, "day") == ("date", "%d%m%Y", ())


def test_a_schema_wins_and_its_open_formats_are_chosen() -> None:
    table = pa.table({"a": DAYS, "b": DAYS, "c": DAYS, "d": DAYS, "n": ["1,250", "3,500"] * 150})
    given = Schema(
        columns=[
            Column(name="n", kind="continuous", format="1234,5 or 1,234.5"),
            Column(name="b", kind="date", format="%d/%m/%Y or %m/%d/%Y"),
            Column(name="a", kind="categorical"),
        ],
        drop=["d"],
    )
    found = resolved(given, table, ReadOptions(date_format=["%Y", "%m/%d/%Y"], thousands=","))
    assert found is not None
    assert [(c.name, c.kind, c.format) for c in found.columns] == [
        ("a", "categorical", None),
        ("b", "date", "%m/%d/%Y"),
        ("c", "date", "%m/%d/%Y"),
        ("n", "continuous", "1,234.5"),
    ]
    other = resolved(given, table.select(["n"]), ReadOptions(date_format="%Y"))
    assert other is not None
    assert other["n"].format == "1234,5 or 1,234.5"  # none of them is stated


def test_points_that_may_separate_groups_are_asked_for_beside_all_other_columns() -> None:
    table = pa.table({"n": ["1.500", "2.250", "3.750"] * 20, "day": DAYS[:60]})
    with pytest.raises(TableError, match=r"2 columns need a decision.*'n'.*'1\.234,5' or '1234\.5'.*'day'"):
        complete(resolved(None, table, ReadOptions(decimal=",")), table)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decimal": ":"}, r"`--decimal` must be \. or , and `--thousands` one of .*, got ':'"),
        ({"thousands": ";"}, r"got '\.' and ';'"),
        ({"date_format": "%c"}, r"`--date-format` must have directives among .*, got '%c'"),
    ],
)
def test_forms_that_no_column_has_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        resolved(None, pa.table({"x": ["1"]}), ReadOptions(**options))


def test_numbers_in_several_styles_are_written_in_the_shortest() -> None:
    table = pd.DataFrame({"v": ["1,5", "2,25", "1.300", "7,50", "n/a"] * 20})
    schema = resolved(None, convert.read(table), ReadOptions(**GERMAN))
    made = Synthesizer(schema=schema, max_steps=2, random_state=0).fit(table).sample(60)["v"]
    assert set(made) <= {"1,5", "2,25", "1.300", "7,5", "n/a"}


def test_large_files_and_files_in_memory_have_the_same_forms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "".join(f"{i % 7}.500;1,{i % 9};{day};{i}\n" for i, day in enumerate(DAYS))
    (tmp_path / "t.csv").write_text("n;x;day;i\n" + rows)
    options = ReadOptions(decimal=",", thousands=".", date_format="%m/%d/%Y")
    whole = convert.read(tmp_path / "t.csv", options=options)
    monkeypatch.setattr("synthvae.tables.streaming.LARGE", 1)
    stream = large(tmp_path / "t.csv", options=options)
    assert isinstance(stream, Stream)
    (batch,) = stream.batches()
    assert batch.equals(whole)
    assert whole["n"][1].as_py() == "1.500"
    assert pa.types.is_int64(whole["i"].type)
    schema = resolved(None, batch, options)
    made = Synthesizer(schema=schema, max_steps=2, random_state=0).fit(stream).sample(50)
    assert set(made["n"]) <= set(whole["n"].to_pylist())
    assert made["x"].str.fullmatch("1,[0-9]").all()
    assert pd.to_datetime(made["day"], format="%m/%d/%Y").notna().all()
