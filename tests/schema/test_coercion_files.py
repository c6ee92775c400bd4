"""What a file says is conformed field by field: no row has a say in what another means."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import FAMILIES, any_values, declared_schemas
from test_coercion import AGE, CODED, DAY, DOSE, SEEN, SEX, SMOKER, STAGE, YEAR, by_kind, conformed, law

from synthvae import Column, Schema
from synthvae.schema.coercion import conform
from synthvae.tables import convert, rowwise

FILE = """age,dose,stage,code,smoker,alive,day
7,1.5,1,007,true,1,2020-02-29
130,20,2,02,false,0,2021-01-01
8,,3,7,True,1,
"""
OF_FILE = Schema(
    columns=[
        Column(name="age", kind="integer", bounds=(0, 120), sentinels=["N"]),
        Column(name="dose", kind="continuous", bounds=(0, 10), decimals=1),
        Column(name="stage", kind="categorical", categories=[1, 2, 3]),
        Column(name="code", kind="categorical", categories=["7", "007", "02"], other_category="02"),
        Column(name="smoker", kind="categorical", categories=["true", "false"]),
        Column(name="alive", kind="boolean"),
        Column(name="day", kind="date", bounds=YEAR),
    ]
)
ODD_LINES = [
    "x,x,x,x,x,x,x",
    "1e400,NaN,1.0,1,1,true,2020",
    ",,,,,,",
    "9" * 30 + ",-,,,TRUE,,1/2/20",
    '"7","1.5","1","7","true","1","2020-02-29"',
    ",".join(["2020-02-29"] * 7),
    "N,inf,-inf,nan,12:30:00,0.5,20200229",
    'x,x,x,x,x,x,"x',
    'x"x,"","""x",x,x,x,x',
    "x\x00,x,x,x,x,x,x",
    '7,"1,5",2,007,"a""b",1,2020-02-29',
]


@pytest.mark.parametrize("line", ODD_LINES)
@pytest.mark.parametrize("place", [1, 3, 4])
def test_an_odd_row_of_a_file_changes_no_other(line: str, place: int, tmp_path: Path) -> None:
    lines = FILE.splitlines()
    (tmp_path / "plain.csv").write_text(FILE)
    (tmp_path / "odd.csv").write_text("\n".join([*lines[:place], line, *lines[place:]]))
    plain, odd = (conform(rowwise.read(tmp_path / name), OF_FILE) for name in ("plain.csv", "odd.csv"))
    assert odd.filter(np.arange(4) != place - 1).equals(plain)


def test_types_that_are_guessed_from_a_file_let_a_row_change_others(tmp_path: Path) -> None:
    """The guard can fail: this is why a file is read as text."""
    (tmp_path / "plain.csv").write_text("code,n\n1000.0,1\n1000,1\n")
    (tmp_path / "odd.csv").write_text("code,n\n1000.0,1\n1000,1\nx,1\n")
    schema = Schema(columns=[Column(name="code", kind="categorical", categories=["1000", "1000.0"])])
    plain, odd = (
        conform(convert.read(tmp_path / name), schema)["code"].to_pylist() for name in ("plain.csv", "odd.csv")
    )
    assert (plain, odd[:2]) == (["1000.0", "1000.0"], ["1000.0", "1000"])


FIELDS: list[tuple[Column, str]] = [
    (AGE, "7 130 -1 007 45"),
    (AGE, "7  130"),
    (AGE, "7.0  1e2 1.5"),
    (AGE, "true false"),
    (DOSE, "0.26 1e-1  11 nan inf -inf"),
    (DOSE, "1 2 3"),
    (DOSE, "True FALSE "),
    (CODED, "N -9 5 "),
    (CODED, "-9 5 -8"),
    (CODED, "-9.0 5 "),
    (CODED.model_copy(update={"sentinels": (-9, 0.5)}), "-9 0.5 5 "),
    (STAGE, "1 2 01 3 4"),
    (STAGE, "1.0 2.0 1.5 "),
    (STAGE, "1 x 02 nan"),
    (STAGE.model_copy(update={"other_category": 3}), "1.0 nan  4"),
    (STAGE.model_copy(update={"categories": ("01", "02")}), "01 02 1 3"),
    (STAGE.model_copy(update={"categories": (0.5, 1.5)}), "0.5 0.50 1.5 2 "),
    (SEX, "F M x "),
    (SEX.model_copy(update={"categories": ("true", "false")}), "true false TRUE "),
    (SMOKER, "true false True  FALSE"),
    (SMOKER, "1 0 1"),
    (SMOKER, "1 0  2"),
    (SMOKER.model_copy(update={"categories": ("no", "yes")}), "yes no "),
    (DAY, "2020-02-29 2019-01-01 2020-13-01 "),
    (DAY, "20200229 20190101 1"),
    (DAY, "20200229 20190101 "),
    (DAY, "2020-02-29T12:30:00 2020-03-01T00:00:00"),
    (SEEN, "2020-02-29T12:30:00 2020-03-01 2020-03-01T12:00:00.5 "),
    (SEEN, "12:30:00 12:31:00"),
]


@pytest.mark.parametrize(("column", "fields"), FIELDS)
def test_text_and_types_conform_alike(column: Column, fields: str, tmp_path: Path) -> None:
    """A column of fields (between blanks), read as text and with the types that its rows have."""
    (tmp_path / "t.csv").write_text("\n".join(["x,n", *[f"{field},1" for field in fields.split(" ")]]))
    text, typed = (read(tmp_path / "t.csv").column("x") for read in (rowwise.read, convert.read))
    assert conformed(column, text) == conformed(column, typed)


def test_a_category_that_is_written_exactly_comes_first(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,n\n1,0\n01,0\n1.0,0\n001,0\n")
    codes = rowwise.read(tmp_path / "t.csv").column("x")
    column = SEX.model_copy(update={"categories": ("1.0", "1", "01")})
    assert conformed(column, codes) == ["1", "01", "1.0", "1.0"]


@st.composite
def _values_of_files(draw: Any, column: Column, rows: int) -> pa.ChunkedArray:
    """Values as tables in memory have them and lines of files can hold them; the empty text is missing."""
    if column.kind in {"date", "datetime"} and draw(st.booleans()):
        moments = draw(FAMILIES[draw(st.sampled_from(["dates", "datetimes"]))](rows))
        return convert.read(pd.DataFrame({"x": moments})).column("x")
    values = draw(any_values(column, rows, draw(st.sampled_from(["string", "int64", "uint64", "float64", "bool"]))))
    values = convert.read(pa.table({"x": values})).column("x")
    gaps = pc.match_substring_regex(values, "^$|[\r\n]") if values.type == pa.string() else False
    return pc.if_else(gaps, pa.scalar(None, values.type), values)


@by_kind
@law
@given(st.data())
def test_a_table_conforms_like_the_file_it_is_written_to(kind: str, data: st.DataObject) -> None:
    column = data.draw(declared_schemas(kind, max_columns=1)).columns[0].model_copy(update={"name": "x"})
    values = data.draw(_values_of_files(column, 12))
    frame = pa.table({"x": values, "n": range(12)}).to_pandas(types_mapper=pd.ArrowDtype)
    with tempfile.TemporaryDirectory() as folder:
        frame.to_csv(f"{folder}/t.csv", index=False, lineterminator="\r\n")  # so that "\r" is quoted
        read = rowwise.read(f"{folder}/t.csv").column("x")
    assert conformed(column, read) == conformed(column, values)
