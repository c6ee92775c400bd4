"""Options say how a table is written; what they do not fit is refused or left as it is."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from synthvae.errors import ConfigurationError, TableError
from synthvae.tables import ReadOptions, convert, files, read, rowwise
from synthvae.tables.streaming import large

GERMAN = "betrag;datum;zeit;leer\n1.234,50;31.12.2020;01.01.2020 10:30;-\n-12,00;01.01.2021;02.01.2020 11:00;x\n"


def place(folder: Path, text: str, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_declared_forms_are_numbers_dates_and_timestamps(tmp_path: Path) -> None:
    path = place(tmp_path, GERMAN)
    formats = ["%d.%m.%Y", "%d.%m.%Y %H:%M"]
    assert read(path, decimal=",", thousands=".", date_format=formats, na_values="-").to_pydict() == {
        "betrag": [1234.5, -12.0],
        "datum": [dt.date(2020, 12, 31), dt.date(2021, 1, 1)],
        "zeit": [dt.datetime(2020, 1, 1, 10, 30), dt.datetime(2020, 1, 2, 11)],  # noqa: DTZ001 (they have no zone)
        "leer": [None, "x"],
    }


@pytest.mark.parametrize(
    ("texts", "options", "values"),
    [
        (["1.500", "2.250"], {"decimal": ",", "thousands": "."}, [1500, 2250]),  # not 1.5
        (["1.500", "2.250"], {"decimal": ","}, ["1.500", "2.250"]),
        (["1,500", "12"], {"thousands": ","}, [1500, 12]),
        (["1,50", "12"], {"thousands": ","}, ["1,50", "12"]),  # no group of three digits
        (["1,5", "2"], {"decimal": ","}, [1.5, 2.0]),
        (["1,5", "N"], {"decimal": ","}, ["1,5", "N"]),  # numbers beside text are left to the schema
        (["1'000", "-2'000'000,5"], {"decimal": ",", "thousands": "'"}, [1000.0, -2000000.5]),
        (["01.02.2020", "30.12.2020"], {"date_format": "%d.%m.%Y"}, [dt.date(2020, 2, 1), dt.date(2020, 12, 30)]),
        (["01.02.2020", "31.02.2020"], {"date_format": "%d.%m.%Y"}, ["01.02.2020", "31.02.2020"]),  # no such day
        (["1", "-"], {"na_values": "-"}, [1.0, None]),
        (["1", "-", "NA"], {"na_values": ["-", "NA"]}, [1.0, None, None]),
        (["1", "-"], {"na_values": "-", "thousands": ","}, [1.0, None]),
    ],
)
def test_only_columns_whose_values_all_have_the_form_change(
    tmp_path: Path, texts: list[str], options: dict[str, Any], values: list[Any]
) -> None:
    rows = "".join(f"{text};{number}\n" for number, text in enumerate(texts))
    table = read(place(tmp_path, "v;x\n" + rows), **options)
    assert table.column("v").to_pylist() == values
    assert table.column("x").to_pylist() == list(range(len(texts)))


@pytest.mark.parametrize("sep", [";", "|", "tab", "\t", "^", "~"])
def test_a_separator_is_found_or_named(tmp_path: Path, sep: str) -> None:
    character = "\t" if sep == "tab" else sep
    path = place(tmp_path, f"a,1{character}b\n1{character}2\n")
    assert read(path, sep=sep).to_pydict() == {"a,1": [1], "b": [2]}
    assert rowwise.read(path, options=ReadOptions(sep=sep)).to_pydict() == {"a,1": ["1"], "b": ["2"]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sep": "ab"}, "`sep` must be one character"),
        ({"sep": "1"}, "`sep` must be one character"),
        ({"decimal": ""}, "`decimal` must be one character"),
        ({"thousands": "."}, "must be different, got '.' for both"),
        ({"date_format": "dd.mm.yyyy"}, "must have directives such as"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ReadOptions(**options)


@pytest.mark.parametrize("options", [{"decimal": ","}, {"thousands": ","}, {"date_format": "%Y"}, {"sheet": 1}])
def test_options_that_infer_types_are_refused_under_a_budget(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(TableError, match="one by one under a privacy budget"):
        rowwise.read(place(tmp_path, GERMAN), options=ReadOptions(**options))


def test_texts_that_mean_missing_are_read_row_by_row_too(tmp_path: Path) -> None:
    table = rowwise.read(place(tmp_path, GERMAN), options=ReadOptions(na_values="-"))
    assert table.column("leer").to_pylist() == [None, "x"]


@pytest.mark.parametrize("options", [{"sheet": "a"}, {"query": "SELECT 1"}])
def test_options_that_a_format_does_not_use_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(TableError, match=f"`--{next(iter(options))}` is not used for a csv table"):
        read(place(tmp_path, GERMAN), **options)


def test_a_large_table_is_read_in_batches_whatever_its_forms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = place(tmp_path, GERMAN)
    monkeypatch.setattr("synthvae.tables.streaming.LARGE", 1)
    options = ReadOptions(na_values="-", sep=";", decimal=",", thousands=".", date_format="%d.%m.%Y")
    (batch,) = large(path, options=options).batches()  # type: ignore[union-attr]
    assert batch.column("leer").to_pylist() == [None, "x"]
    assert batch.equals(convert.read(path, options=options))


def test_the_reader_of_commands_leaves_text_as_it_is_written(tmp_path: Path) -> None:
    path = place(tmp_path, "v;w;x\n1.500;01.02.2020;1\n2.250;02.02.2020;2\n")
    options = ReadOptions(decimal=",", thousands=".", date_format="%d.%m.%Y")
    written = {"v": ["1.500", "2.250"], "w": ["01.02.2020", "02.02.2020"], "x": [1, 2]}
    assert convert.read(path, options=options).to_pydict() == written
    assert convert.read(path).column("v").to_pylist() == [1.5, 2.25]


@pytest.mark.parametrize(
    ("parts", "options", "values"),
    [
        (["7", "1,5"], {"decimal": ","}, ["7", "1,5"]),
        (["101", "0102"], {}, ["101", "0102"]),  # codes
        (["7", "1.5"], {}, [7.0, 1.5]),
        (["", "0102"], {}, [None, "0102"]),
    ],
)
def test_the_files_of_a_folder_have_one_type(
    tmp_path: Path, parts: list[str], options: dict[str, Any], values: list[Any]
) -> None:
    for number, part in enumerate(parts):
        place(tmp_path, f"v;x\n{part};1\n", f"{number}.csv")
    assert convert.read(tmp_path, options=ReadOptions(**options)).column("v").to_pylist() == values


def test_synthetic_rows_are_utf8_with_the_decimal_separator_of_the_real_ones() -> None:
    options = ReadOptions(encoding="latin-1", sep=";", decimal=",", date_format="%d.%m.%Y", na_values="-")
    assert options.of_synthetic("csv") == ReadOptions(decimal=",")
    assert options.of_synthetic("parquet") == ReadOptions()


@pytest.mark.parametrize("name", ["t.parquet", "t.feather", "t.dta"])
def test_the_encoding_of_a_file_that_states_it_is_refused(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame({"x": [1, 2]})
    if name == "t.dta":
        frame.to_stata(tmp_path / name, write_index=False)
    else:
        (frame.to_parquet if name == "t.parquet" else frame.to_feather)(tmp_path / name)
    with pytest.raises(TableError, match=r"`--encoding` is not used for a .* table. Omit it, since the file states"):
        read(tmp_path / name, encoding="latin-1")
    options = ReadOptions(encoding="latin-1").taken_by(files.format_of(tmp_path / name))
    assert convert.read(tmp_path / name, options=options).num_rows == 2
