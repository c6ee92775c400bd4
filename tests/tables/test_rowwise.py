"""A private table is read row by row: an odd row is no error and changes no other, wherever it stands."""

from __future__ import annotations

import datetime as dt
import decimal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from synthvae import Column, Schema
from synthvae.errors import TableError, TableTypeError
from synthvae.schema.coercion import conform
from synthvae.tables import ReadOptions, rowwise

law = settings(deadline=None, max_examples=60)

SCHEMA = Schema(
    columns=[
        Column(name="x0", kind="continuous", bounds=(0.0, 9.0), decimals=1),
        Column(name="x1", kind="integer", bounds=(0, 9)),
        Column(name="x2", kind="categorical", categories=["a", "b", "1"], other_category="b"),
    ]
)
ROWS: list[list[Any]] = [[0.5, 1, "a"], [None, 3, "1"], [7.25, None, "b"], [2.0, 2, None]]
NUMBERS = [[0.5, 1.0, 1.0], [np.nan, 3.0, 2.0], [7.25, np.nan, 1.0]]


class Unspeakable:
    """What cannot be said."""

    def __str__(self) -> str:
        raise RuntimeError("no")


OBJECTS: list[Any] = [
    0, -0.0, 2**80, 1e400, np.nan, None, True, "", "x", "\ud800", "a\nb", '"', b"\xff", decimal.Decimal("1.5"),
    dt.date(2020, 1, 1), pd.NaT, pd.NA, [1, 2], {}, Unspeakable(), np.float32(1.5), 1j,
]  # fmt: skip
ODD = st.lists(st.sampled_from(OBJECTS), min_size=3, max_size=3)


def obeyed(table: pa.Table) -> list[tuple[Any, ...]]:
    """The rows, made to obey the schema."""
    return list(zip(*conform(table, SCHEMA).to_pydict().values(), strict=True))


def named(rows: list[list[Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=SCHEMA.names, dtype=object)


CONTAINERS: dict[str, Callable[[list[list[Any]]], Any]] = {
    "list": list,
    "frame of objects": named,
}


@pytest.mark.parametrize("container", ["list", "frame of objects"])
@law
@given(odd=ODD, place=st.integers(0, len(ROWS)))
def test_an_odd_row_of_objects_changes_no_other(container: str, odd: list[Any], place: int) -> None:
    build = CONTAINERS[container]
    plain = obeyed(rowwise.read(build(ROWS)))
    more = obeyed(rowwise.read(build([*ROWS[:place], odd, *ROWS[place:]])))
    assert [*more[:place], *more[place + 1 :]] == plain


@law
@given(odd=st.lists(st.floats(width=64), min_size=3, max_size=3), place=st.integers(0, len(NUMBERS)))
def test_an_odd_row_of_an_array_changes_no_other(odd: list[float], place: int) -> None:
    plain = obeyed(rowwise.read(np.array(NUMBERS)))
    more = obeyed(rowwise.read(np.array([*NUMBERS[:place], odd, *NUMBERS[place:]])))
    assert [*more[:place], *more[place + 1 :]] == plain


@pytest.mark.parametrize("rows", [0, 1, 2])
@pytest.mark.parametrize(
    "build",
    [
        lambda rows: np.array(NUMBERS[:rows]).reshape(-1, 3),
        lambda rows: pd.DataFrame(NUMBERS[:rows], columns=SCHEMA.names),
        lambda rows: pa.table(dict(zip(SCHEMA.names, np.array(NUMBERS[:rows]).reshape(-1, 3).T, strict=True))),
        lambda rows: pl.DataFrame(np.array(NUMBERS[:rows]).reshape(-1, 3), schema=SCHEMA.names),
    ],
    ids=["array", "frame", "Arrow", "polars"],
)
def test_few_rows_are_no_error_and_all_containers_say_the_same(build: Callable[[int], Any], rows: int) -> None:
    assert obeyed(rowwise.read(build(rows))) == [(0.5, 1, "1"), (None, 3, "b")][:rows]


LINE = st.text(st.sampled_from(',"a1.\x00\x1f \u2028é\t;'), max_size=12)


@law
@given(odd=LINE, place=st.integers(0, 4), end=st.sampled_from(["\n", "\r\n"]))
def test_an_odd_line_of_a_file_changes_no_other(odd: str, place: int, end: str) -> None:
    """Whatever it holds, it is one row, or none."""
    lines = ["0.5,1,a", '"1",3,"1"', '7.25,,"b"', '"2.0","2",']

    def read(some: list[str]) -> list[tuple[Any, ...]]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "t.csv"
            path.write_bytes(end.join(["x0,x1,x2", *some, ""]).encode())
            return list(zip(*rowwise.read(path).to_pydict().values(), strict=True))

    plain, more = read(lines), read([*lines[:place], odd, *lines[place:]])
    assert more[:place] == plain[:place]
    assert more[len(more) - 4 + place :] == plain[place:]
    assert len(more) - len(plain) in {0, 1}


def file(folder: Path, content: bytes) -> Path:
    path = folder / "t.csv"
    path.write_bytes(content)
    return path


def test_fields_stay_text(tmp_path: Path) -> None:
    table = rowwise.read(file(tmp_path, b'i,t,d,e,q\n007,true,2020-01-01,,"5"\n 1 ,,12:30,,""\n'))
    assert table.to_pydict() == {
        "i": ["007", " 1 "],
        "t": ["true", None],
        "d": ["2020-01-01", "12:30"],
        "e": [None, None],
        "q": ["5", None],
    }
    assert rowwise.read(file(tmp_path, b"x,y\n")).schema.types == [pa.string()] * 2


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b'x,y\n1,"open\n2,b\n3,c\n', [("1", "open"), ("2", "b"), ("3", "c")]),
        (b"x,y\n1\n2,b,c\n3,c\n", [("3", "c")]),
        (b"x,y\n1,\xff\n3,c\n", [("1", "\ufffdff"), ("3", "c")]),
        (b'x,y\n"a,b","c""d"\n5" pipe,6\n', [("a,b", 'c"d'), ('5" pipe', "6")]),
        (b'\xef\xbb\xbf"x",y\r\n1,2\r\n', [("1", "2")]),
        (b"x,y\n1," + b"a" * (3 << 20) + b"\n2,b\n", [("1", "a" * (3 << 20)), ("2", "b")]),
        (b'x,y\n1,"' + b"a" * (3 << 20) + b'"\n2,b\n', [("2", "b")]),
    ],
    ids=["open quote", "torn lines", "no UTF-8", "quotes", "mark of the order of bytes", "long", "long and quoted"],
)
def test_each_line_is_a_row_or_none(content: bytes, rows: list[tuple[str, str]], tmp_path: Path) -> None:
    read = rowwise.read(file(tmp_path, content))
    assert list(zip(*read.to_pydict().values(), strict=True)) == rows


def test_what_is_no_table_whatever_its_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="must have rows and columns"):
        rowwise.read(np.zeros(3))
    with pytest.raises(TableError, match="got an empty first line"):
        rowwise.read(file(tmp_path, b""))
    with pytest.raises(TableTypeError):
        rowwise.read(scipy.sparse.eye(3))
    with pytest.raises(TableError, match="none for column 2"):
        rowwise.read(file(tmp_path, b"x,\n1,2\n"))
    with pytest.raises(FileNotFoundError):
        rowwise.read(tmp_path / "absent.csv")


ENCODINGS = [
    "utf-8",
    "utf-8-sig",
    "latin-1",
    "cp1252",
    "shift_jis",
    "gb18030",
    "big5",
    "euc_jp",
    "iso2022_jp",
    "hz",
    "utf-7",
]
BYTES = st.lists(
    st.sampled_from(
        [b"\x81", b"\x1b$B", b"~{", b"+AAo-", b"\xef\xbb\xbf", b"\xff\xfe", b"\x00", b"\n", b"\r", b'"', b",", b"7"]
    )
).map(b"".join)


@pytest.mark.parametrize("encoding", ENCODINGS)
@law
@given(odd=BYTES, place=st.integers(0, 4))
def test_bytes_of_one_line_change_no_other_in_any_encoding(encoding: str, odd: bytes, place: int) -> None:
    lines = ["1,a,b", "2,c,d", "3,e,f", "4,g,h"]
    odd = odd.replace(b"\n", b"").replace(b"\r", b"")
    told = [line.encode(encoding) for line in lines]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes(b"\n".join([b"x,y,z", *told[:place], odd, *told[place:]]))
        rows = [
            ",".join(row.values())
            for row in rowwise.read(path, options=ReadOptions(encoding=encoding)).to_pylist()
            if all(row.values())
        ]
    assert len(rows) <= len(lines) + 1
    assert set(lines) <= set(rows)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "unicode_escape", "punycode"])
def test_encodings_whose_lines_cannot_be_told_apart_are_refused(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"x,y\n1,2\n\\n,\\n5,6\n3,4\n")
    with pytest.raises(TableError, match="must have an encoding with single-byte line breaks"):
        rowwise.read(path, options=ReadOptions(encoding=encoding))


@pytest.mark.parametrize("head", ["größe,y".encode("latin-1"), "x,y".encode("utf-16")])
def test_a_header_that_is_no_text_names_the_way_out(head: bytes, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(head + b"\n1,2\n")
    with pytest.raises(TableError, match=r"must be text in utf-8, got the byte .*\. Name its encoding"):
        rowwise.read(tmp_path / "t.csv")


def test_line_breaks_of_all_kinds_end_a_line_wherever_blocks_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"x,y\r\n1,2\r3,4\n5,6\r\n\r\n7,8")
    for size in range(1, 12):
        monkeypatch.setattr(rowwise, "BLOCK_BYTES", size)
        assert rowwise.read(path).to_pydict() == {"x": ["1", "3", "5", "7"], "y": ["2", "4", "6", "8"]}


def test_bytes_that_are_no_text_stay_apart(tmp_path: Path) -> None:
    """Two persons whose names differ in such bytes are two."""
    path = tmp_path / "t.csv"
    path.write_bytes(b"who,x\nM\xfcller,1\nM\xf6ller,2\n")
    assert len(set(rowwise.read(path).column("who").to_pylist())) == 2
    frame = pd.DataFrame({"who": [b"\xfc", b"\xf6", "\ud800", "\udfff"], "x": 1})
    assert len(set(rowwise.read(frame).column("who").to_pylist())) == 4


def test_equal_numbers_are_one_unit_however_they_are_kept() -> None:
    whose = [7, 7.0, np.float32(7), np.int8(7), decimal.Decimal("7.00"), 0.0, -0.0, True]
    large = [2**70, 2.0**70, decimal.Decimal(2) ** 70]
    endless = decimal.Decimal("1E+999999")
    read = rowwise.read(pd.DataFrame({"who": pd.Series([*whose, *large, endless], dtype=object)}))
    assert read.column("who").to_pylist() == ["7"] * 5 + ["0", "0", "True"] + [str(2**70)] * 3 + ["1E+999999"]


HOSTILE: list[Any] = [np.array([1, 2]), decimal.Decimal("sNaN"), decimal.Decimal("Infinity"), [[]], pd.Series([1, 2])]


@pytest.mark.parametrize("odd", HOSTILE, ids=lambda odd: type(odd).__name__)
def test_a_cell_that_cannot_be_compared_is_no_error(odd: Any) -> None:
    frame = pd.DataFrame({"x0": pd.Series([1.5, odd, 2.5], dtype=object), "x1": 1, "x2": "a"})
    kept = conform(rowwise.read(frame), SCHEMA).column("x0").to_pylist()
    assert (kept[0], kept[2]) == (1.5, 2.5)


@pytest.mark.parametrize("odd", [None, [3], [3, 4, 5], "ab", 7, [np.array([1, 2]), 4]], ids=str)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_row_of_another_length_is_no_error(odd: Any, place: int) -> None:
    rows: list[Any] = [[1, 2], [3, 4]]
    rows.insert(place, odd)
    read = rowwise.read(rows)
    assert read.column_names == ["x0", "x1"]
    assert [row for row in read.to_pylist() if row in [{"x0": "1", "x1": "2"}, {"x0": "3", "x1": "4"}]] == [
        {"x0": "1", "x1": "2"},
        {"x0": "3", "x1": "4"},
    ]


@pytest.mark.parametrize("unit", ["D", "s", "ns"])
@pytest.mark.parametrize("kind", ["datetime64", "timedelta64"])
def test_a_moment_far_away_is_no_error(kind: str, unit: str) -> None:
    array = np.array([[1, 2], [10**12, 4]]).astype(f"{kind}[{unit}]")
    assert rowwise.read(array).num_rows == 2


@pytest.mark.parametrize("unit", ["D", "s", "ns"])
def test_moments_of_numpy_are_read_as_such(unit: str) -> None:
    array = np.array([["2020-02-29", "NaT"], ["2021-01-01", "2020-01-01"]]).astype(f"datetime64[{unit}]")
    dates = Schema(
        columns=[Column(name=name, kind="date", bounds=("2020-01-01", "2022-01-01")) for name in ("x0", "x1")]
    )
    read = conform(rowwise.read(array), dates).to_pydict()
    assert read == {
        "x0": [dt.date(2020, 2, 29), dt.date(2021, 1, 1)],
        "x1": [None, dt.date(2020, 1, 1)],
    }


def test_a_dataset_of_texts_is_refused_whatever_its_rows(tmp_path: Path) -> None:
    for rows in ("1,2", "1,x"):
        (tmp_path / "t.csv").write_text(f"x,y\n{rows}\n")
        with pytest.raises(TableError, match=r"Types must be public.*Pass the path"):
            rowwise.read(pyarrow.dataset.dataset(tmp_path, format="csv"))


def of_frame(table: pa.Table) -> pd.DataFrame:
    return pd.DataFrame({"x": pd.array(table.column("x"), dtype=pd.ArrowDtype(table.column("x").type))})


DOORS: dict[str, Callable[[pa.Table], Any]] = {
    "table": lambda table: table,
    "reader": lambda table: table.to_reader(),
    "dataset": pyarrow.dataset.InMemoryDataset,
    "DataFrame": of_frame,
}


@pytest.mark.parametrize("door", list(DOORS))
def test_dictionaries_of_many_values_are_decoded(door: str) -> None:
    chunks = [
        pa.array([f"{n}" for n in some]).dictionary_encode().cast(pa.dictionary(pa.int8(), pa.string()))
        for some in (range(100), range(100, 200))
    ]
    read = rowwise.read(DOORS[door](pa.table({"x": pa.chunked_array(chunks)})))
    assert read.column("x").to_pylist() == [f"{n}" for n in range(200)]


def test_a_folder_of_another_name_changes_no_other(tmp_path: Path) -> None:
    for name in ("zip=01234", "zip=1234", "zip=XX"):
        (tmp_path / name).mkdir()
        pq.write_table(pa.table({"x": [1]}), tmp_path / name / "part.parquet")
    assert sorted(rowwise.read(tmp_path).column("zip").to_pylist()) == ["01234", "1234", "XX"]


WIDE: list[tuple[Any, Any]] = [
    (pa.array([1], pa.int32()), pa.array([1.5])),
    (pa.array([1], pa.int8()), pa.array([2**40])),
    (pa.array([1.5], pa.float32()), pa.array([2.5])),
    (pa.array([None], pa.null()), pa.array([2.5])),
    (pa.array(["a"]), pa.array(["b"], pa.large_string())),
]
LOSSY: list[tuple[Any, Any]] = [
    (pa.array([2**53 + 1]), pa.array([1.5])),
    (pa.array([1]), pa.array([1.5])),  # whatever the values are
    (pa.array([1]), pa.array([2**63], pa.uint64())),
    (pa.array([dt.datetime(9000, 1, 1)], pa.timestamp("s")), pa.array([1], pa.timestamp("ns"))),  # noqa: DTZ001
    (pa.array([1]), pa.array(["secret"])),
]


def folder_of(folder: Path, *columns: pa.Array) -> Path:
    for number, values in enumerate(columns):
        pq.write_table(pa.table({"x": values}), folder / f"{number}.parquet")
    return folder


@pytest.mark.parametrize("types", WIDE)
@pytest.mark.parametrize("order", [1, -1])
def test_parquet_files_of_several_types_are_read_if_one_type_holds_them(
    tmp_path: Path, types: tuple[Any, Any], order: int
) -> None:
    columns = types[::order]
    expected = [value for column in columns for value in column.to_pylist()]
    assert rowwise.read(folder_of(tmp_path, *columns)).column("x").to_pylist() == expected


@pytest.mark.parametrize("types", LOSSY)
@pytest.mark.parametrize("order", [1, -1])
def test_parquet_files_of_types_that_may_lose_values_are_refused_whatever_the_values_are(
    tmp_path: Path, types: tuple[Any, Any], order: int
) -> None:
    folder = folder_of(tmp_path, *types[::order])
    for source in (folder, pyarrow.dataset.dataset(folder)):
        with pytest.raises(TableError, match=r"type.*same types") as refused:
            rowwise.read(source)
        assert not any(str(column[0]) in str(refused.value) for column in types if len(str(column[0])) > 1)


def test_the_columns_of_all_parquet_files_of_a_folder_are_read(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"b": ["x"], "a": [2]}), tmp_path / "2.parquet")
    with pytest.warns(UserWarning, match=r"not all files have the columns \['b'\]"):
        assert rowwise.read(tmp_path).to_pydict() == {"a": [1, 2], "b": [None, "x"]}
