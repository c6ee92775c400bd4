"""Tables come in from everywhere and leave as they came."""

from __future__ import annotations

import bz2
import datetime as dt
import decimal
import gzip
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import FAMILIES, frames

from synthvae.errors import TableError, TableTypeError
from synthvae.tables import ReadOptions, convert, rowwise

law = settings(deadline=None, max_examples=20)


@pytest.mark.parametrize("family", sorted(FAMILIES))
@law
@given(st.data())
def test_to_pandas_undoes_read(family: str, data: st.DataObject) -> None:
    frame = data.draw(frames(family))
    pd.testing.assert_frame_equal(convert.to_pandas(convert.read(frame)), frame)


@law
@given(frames())
def test_reading_twice_reads_once(frame: pd.DataFrame) -> None:
    table = convert.read(frame)
    again = convert.read(table)
    assert again.equals(table)
    assert again.schema.equals(table.schema, check_metadata=True)
    assert all(column.num_chunks <= 1 for column in table.columns)


@pytest.mark.parametrize(
    "dtype",
    [
        "int8", "uint64", "float16", "float32", "Int8", "UInt64", "Float32", "boolean", "bool", "object",
        "string", "string[python]", "string[pyarrow]", "str",
        "int16[pyarrow]", "double[pyarrow]", "bool[pyarrow]", "large_string[pyarrow]", "timestamp[ms, UTC][pyarrow]",
        "datetime64[s]", "datetime64[ns, Europe/Berlin]", "timedelta64[ms]", "category",
    ],
)  # fmt: skip
def test_each_dtype_comes_back(dtype: Any) -> None:
    frame = pd.DataFrame({"x": pd.Series([1, 0, 1], dtype="object" if dtype == "object" else None).astype(dtype)})
    result = convert.to_pandas(convert.read(frame))
    assert result["x"].dtype == frame["x"].dtype
    pd.testing.assert_frame_equal(result, frame)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pa.string(), "a"),
        (pa.date32(), dt.date(2020, 1, 1)),
        (pa.date64(), dt.date(2020, 1, 1)),
        (pa.time32("s"), dt.time(1)),
        (pa.duration("ms"), dt.timedelta(1)),
        (pa.decimal128(9, 2), decimal.Decimal("1.50")),
    ],
)
def test_each_arrow_dtype_comes_back(kind: pa.DataType, value: Any) -> None:
    frame = pd.DataFrame({"x": pd.Series([value, None], dtype=pd.ArrowDtype(kind))})
    pd.testing.assert_frame_equal(convert.to_pandas(convert.read(frame)), frame)


@pytest.mark.parametrize("values", [["x", None, "y"], [True, None, False], [1, None, 3]])
def test_python_objects_stay_what_they_were(values: list[Any]) -> None:
    result = convert.to_pandas(convert.read(pd.DataFrame({"x": pd.Series(values, dtype=object)})))["x"]
    assert result.dtype == object
    assert result.tolist() == values
    assert [type(value) for value in result] == [type(value) for value in values]


@pytest.mark.parametrize("columns", [["a", "b"], [0, 1], [2020, "b"], pd.RangeIndex(2)])
def test_names_of_columns_come_back(columns: Any) -> None:
    frame = pd.DataFrame([[1, 2.5], [3, 4.5]], columns=columns)
    assert convert.to_pandas(convert.read(frame)).columns.tolist() == list(columns)


def test_the_index_is_no_column() -> None:
    frame = pd.DataFrame({"x": [1, 2]}, index=pd.Index(["p", "q"], name="patient"))
    assert convert.read(frame).column_names == ["x"]


@pytest.mark.parametrize("index", [["patient"], ["patient", "visit"]])
def test_an_index_saved_in_parquet_is_columns_again(tmp_path: Path, index: list[str]) -> None:
    frame = pd.DataFrame({"patient": ["p", "q"], "visit": [1, 2], "x": [1, 2]})
    frame.set_index(index).to_parquet(tmp_path / "t.parquet")
    table = convert.read(tmp_path / "t.parquet")
    result = convert.to_pandas(table)
    assert sorted(table.column_names) == sorted(frame.columns)
    assert len(result) == 2


COLUMNS: dict[str, Any] = {"n": [1, 2, None], "s": ["a", None, "NA"], "f": [0.5, 1.25, None], "b": [True, None, False]}


@pytest.mark.parametrize(
    "source",
    [
        pa.table(COLUMNS),
        pa.record_batch(COLUMNS),
        pa.RecordBatchReader.from_batches(pa.record_batch(COLUMNS).schema, [pa.record_batch(COLUMNS)]),
        pa.dataset.dataset(pa.table(COLUMNS)),
        pl.DataFrame(COLUMNS),
        pd.DataFrame(COLUMNS).convert_dtypes(),
    ],
    ids=["table", "batch", "reader", "dataset", "polars", "pandas"],
)
def test_every_container_is_read(source: Any) -> None:
    assert convert.read(source).to_pydict() == COLUMNS


def test_chunks_are_joined() -> None:
    table = pa.concat_tables([pa.table({"x": [1]}), pa.table({"x": [2]})])
    assert convert.read(table).column("x").num_chunks == 1


def test_chunks_with_dictionaries_of_their_own_are_joined() -> None:
    parts = [pa.table({"x": pa.array([text]).dictionary_encode()}) for text in ("a", "b")]
    assert convert.read(pa.concat_tables(parts)).column("x").to_pylist() == ["a", "b"]


@pytest.mark.parametrize("source", [None, 7, [1, 2], {"x": [1]}, np.ones((2, 2)), pd.Series([1, 2], name="x")])
def test_what_is_no_table_is_refused_by_type(source: Any) -> None:
    with pytest.raises(TableTypeError, match=f"A table must be .* got a {type(source).__name__}"):
        convert.read(source)


def _file(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


PLAIN = b"age,name\n1,x\n,NA\n3,None\n"
ROWS = {"age": [1, None, 3], "name": ["x", "NA", "None"]}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", PLAIN),
        ("T.CSV", PLAIN),
        ("t.txt", PLAIN),
        ("t.csv", b"\xef\xbb\xbf" + PLAIN),
        ("t.csv", PLAIN.replace(b",", b";")),
        ("t.csv", PLAIN.replace(b",", b"|")),
        ("t.tsv", PLAIN.replace(b",", b"\t")),
        ("t.csv", PLAIN.replace(b"\n", b"\r\n")),
        ("t.csv", PLAIN.rstrip()),
        ("t.csv", b'"age","name"\n1,"x"\n,"NA"\n3,"None"\n'),
        ("t.csv.gz", gzip.compress(PLAIN, mtime=0)),
        ("t.csv.bz2", bz2.compress(PLAIN)),
        ("t.csv.zst", pa.compress(PLAIN, codec="zstd", asbytes=True)),
    ],
)
def test_text_files_are_read_whatever_their_dress(tmp_path: Path, name: str, content: bytes) -> None:
    table = convert.read(_file(tmp_path, name, content))
    assert table.to_pydict() == ROWS
    assert convert.read(str(tmp_path / name)).equals(table)


def test_only_an_empty_field_is_missing(tmp_path: Path) -> None:
    words = ["NA", "None", "nan", "null", "N/A", "#N/A", "-"]
    path = _file(tmp_path, "t.csv", "\n".join(["a,b", *[f"{word},1" for word in words], ",2"]).encode())
    assert convert.read(path).column("a").to_pylist() == [*words, None]


def test_types_in_a_text_file(tmp_path: Path) -> None:
    path = _file(tmp_path, "t.csv", b"i,f,t,d,e\n1,1.5,true,2020-01-01,\n,,,,\n2,2,false,2020-02-02,\n")
    assert convert.read(path).to_pydict() == {
        "i": [1.0, None, 2.0],  # as pandas reads it
        "f": [1.5, None, 2.0],
        "t": [True, None, False],
        "d": ["2020-01-01", None, "2020-02-02"],
        "e": [None, None, None],
    }


def test_a_field_may_hold_separators_quotes_and_lines(tmp_path: Path) -> None:
    path = _file(tmp_path, "t.csv", b'"a;b","c\nd"\n"x,y","say ""hi""\nthere"\n')
    assert convert.read(path).to_pydict() == {"a;b": ["x,y"], "c\nd": ['say "hi"\nthere']}


def test_lines_inside_fields_survive_in_a_long_file(tmp_path: Path) -> None:
    rows = 60_000
    path = _file(tmp_path, "t.csv", b"note,x\n" + b'"first line\nsecond, line",1\n' * rows)
    assert convert.read(path).column("note").unique().to_pylist() == ["first line\nsecond, line"]


def test_separators_inside_quoted_names_do_not_count(tmp_path: Path) -> None:
    path = _file(tmp_path, "t.csv", b'"a,b,c,d";e\n1;2\n')
    assert convert.read(path).to_pydict() == {"a,b,c,d": [1], "e": [2]}


def test_a_mark_late_in_a_long_file_is_found(tmp_path: Path) -> None:
    lines = [b"x,y", *[b"%d,0.5" % i for i in range(300_000)], b"N,0.5"]
    column = convert.read(_file(tmp_path, "t.csv", b"\n".join(lines))).column("x")
    assert column[-1].as_py() == "N"
    assert column[0].as_py() == "0"


LATIN = "größe,stadt\n1,Köln\n".encode("latin-1")


@pytest.mark.parametrize("content", [LATIN, "size,stadt\n1,Köln\n".encode("latin-1"), b"gr\xf6\xdfe,b\n1,2\n"])
def test_a_text_file_in_another_encoding_names_the_way_out(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(TableError, match=r"t\.csv must be text in utf-8.*latin-1"):
        convert.read(_file(tmp_path, "t.csv", content))


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "cp1252"])
def test_a_text_file_in_a_named_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    path = _file(tmp_path, "t.csv", "größe;stadt\n1;Köln\n".encode(encoding))
    assert convert.read(path, options=ReadOptions(encoding=encoding)).to_pydict() == {"größe": [1], "stadt": ["Köln"]}
    if encoding == "utf-16":
        with pytest.raises(TableError, match=r"single-byte line breaks.*, got utf-16"):
            rowwise.read(path, options=ReadOptions(encoding=encoding))
    else:
        assert rowwise.read(path, options=ReadOptions(encoding=encoding)).to_pydict() == {
            "größe": ["1"],
            "stadt": ["Köln"],
        }


def test_an_encoding_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises((LookupError, TableError), match="klingon"):
        convert.read(_file(tmp_path, "t.csv", PLAIN), options=ReadOptions(encoding="klingon"))


@pytest.mark.parametrize(
    ("name", "content", "fact"),
    [
        ("t.csv", b"a,b\n1,2\n1,2,3\n", r"t\.csv, line 3: a row must have 2 fields.*got 3.*--sep"),
        ("t.csv", b"a,b\n1,2\n1\n", r"line 3: a row must have 2 fields.*got 1"),
        ("t.csv", b"", "empty"),
        ("t.csv", b" \n\n", "empty"),
        ("t.csv", b"\xef\xbb\xbf", "(?i)empty"),
        ("t.csv", b"a,a\n1,2\n", r"distinct.*\['a'\]"),
        ("t.csv", b"a,\n1,2\n", "Every column must have a name.*column 2"),
        ("t.csv", b",a\n0,1\n", "Every column must have a name.*column 1"),
        ("t.csv.gz", gzip.compress(PLAIN * 100, mtime=0)[:-30], r"t\.csv\.gz cannot be read.*Check the file"),
        ("t.csv.gz", PLAIN, r"t\.csv\.gz cannot be read.*Check the file"),
        ("t.parquet", b"", r"t\.parquet cannot be read.*Check the file"),
        ("t.parquet", PLAIN, r"t\.parquet cannot be read.*Check the file"),
        ("t.xlsx", b"PK", r"t\.xlsx must be an Excel file.*Save it again"),
        ("t.xls", b"PK", r"must end in \.csv.*'t\.xls'.*Save it as \.xlsx"),
        ("t", b"", "must end in"),
    ],
)
def test_a_damaged_file_is_refused_on_one_line(tmp_path: Path, name: str, content: bytes, fact: str) -> None:
    path = _file(tmp_path, name, content)
    with pytest.raises(TableError, match=fact) as refused:
        convert.read(path)
    assert "\n" not in str(refused.value)


def test_a_truncated_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pd.DataFrame({"x": np.arange(1000)}).to_parquet(path)
    _file(tmp_path, "t.parquet", path.read_bytes()[:-100])
    with pytest.raises(TableError, match=r"t\.parquet cannot be read.*Check the file, or write it again"):
        convert.read(path)


def test_a_damaged_page_of_a_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pd.DataFrame({"x": np.random.default_rng(0).normal(size=5000)}).to_parquet(path)
    content = bytearray(path.read_bytes())
    content[4:400] = b"\xff" * 396
    with pytest.raises(TableError, match=r"t\.parquet cannot be read"):
        convert.read(_file(tmp_path, "t.parquet", bytes(content)))


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "folder/"])
def test_a_path_that_is_not_there_is_file_not_found(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError, match="No such table"):
        convert.read(tmp_path / name)


def test_parquet_gives_pandas_dtypes_back(tmp_path: Path) -> None:
    frame = pd.DataFrame({"n": pd.array([1, None], dtype="Int8"), "c": pd.Categorical(["x", "y"])})
    frame.to_parquet(tmp_path / "t.pq")
    pd.testing.assert_frame_equal(convert.to_pandas(convert.read(tmp_path / "t.pq")), frame)


def test_a_folder_of_parquet_is_one_table(tmp_path: Path) -> None:
    for part, numbers in enumerate(([1, 2], [3])):
        pd.DataFrame({"x": numbers}).to_parquet(tmp_path / f"part-{part}.parquet")
    _file(tmp_path, "_manifest.json", b"{}")
    assert convert.read(tmp_path).to_pydict() == {"x": [1, 2, 3]}


def test_a_folder_of_classes_is_one_table(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1, 2, 3], "y": ["a/b", "c", "a/b"]})
    frame.to_parquet(tmp_path / "data", partition_cols=["y"])
    rows = convert.read(tmp_path / "data").to_pydict()
    assert sorted(zip(rows["x"], rows["y"], strict=True)) == [(1, "a/b"), (2, "c"), (3, "a/b")]


def test_a_folder_of_text_is_one_table(tmp_path: Path) -> None:
    _file(tmp_path, "1.csv", b"x,y\n1,a\n")
    _file(tmp_path, "2.csv.gz", gzip.compress(b"x,y\n2.5,b\n", mtime=0))
    assert convert.read(tmp_path).to_pydict() == {"x": [1.0, 2.5], "y": ["a", "b"]}
    assert rowwise.read(tmp_path).to_pydict() == {"x": ["1", "2.5"], "y": ["a", "b"]}


def test_a_folder_of_text_is_read_in_the_named_encoding(tmp_path: Path) -> None:
    _file(tmp_path, "1.csv", LATIN)
    assert convert.read(tmp_path, options=ReadOptions(encoding="latin-1")).to_pydict() == {
        "größe": [1],
        "stadt": ["Köln"],
    }


@pytest.mark.parametrize("files", [{}, {"readme.md": b"hello"}])
def test_a_folder_without_tables_is_refused(tmp_path: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        _file(tmp_path, name, content)
    with pytest.raises(TableError, match="A folder must contain Parquet or CSV files"):
        convert.read(tmp_path)


@pytest.mark.parametrize("other", ["x\nword\n", "z\n1\n"])
def test_a_folder_of_unlike_files_is_refused_or_joined(tmp_path: Path, other: str) -> None:
    _file(tmp_path, "1.csv", b"x\n1\n")
    _file(tmp_path, "2.csv", other.encode())
    if other.startswith("z"):
        assert convert.read(tmp_path).to_pydict() == {"x": [1, None], "z": [None, 1]}
    else:
        with pytest.raises(TableError, match=r"cannot be read as a table.*x"):
            convert.read(tmp_path)


@pytest.mark.parametrize(
    ("frame", "fact"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), r"distinct.*\['a'\]"),
        (pd.DataFrame([[1, 2]], columns=[1, "1"]), r"distinct.*\['1'\]"),
        (pd.DataFrame([[1, 2]], columns=["a", ""]), "none for column 2"),
        (pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])), "MultiIndex"),
        (pd.DataFrame({"ok": [1, 2], "mix": [1, "1"]}), "Column 'mix'.*mix of int and str"),
        (pd.DataFrame({"mix": [1.5, "2.5", None]}), "Column 'mix'.*mix of float and str"),
        (pd.DataFrame({"mix": [dt.date(2020, 1, 1), "x"]}), "Column 'mix'.*mix of date and str"),
        (pd.DataFrame({"z": [1j, 2]}), "Column 'z'.*complex"),
    ],
)
def test_a_frame_that_is_no_table_is_refused_by_column(frame: pd.DataFrame, fact: str) -> None:
    with pytest.raises(TableError, match=fact):
        convert.read(frame)


def test_arrow_tables_with_a_name_twice_are_refused() -> None:
    with pytest.raises(TableError, match=r"distinct.*\['a'\]"):
        convert.read(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]))


ORIGINS = pd.DataFrame(
    {
        "x": [1, 2, 3],
        "nan": pd.Series([True, float("nan"), False], dtype=object),
        "stamp": pd.Series([pd.Timestamp(2020, 1, 1), None, pd.Timestamp(2021, 1, 1)], dtype=object),
        "kind": pd.Series([1, 2, 1], dtype="Int64").astype("category"),
        "text": pd.Series([1, "a", None], dtype=object),
        "string": pd.Series(["a", None, "b"], dtype="string"),
        "sparse": pd.Series(pd.arrays.SparseArray([0, 0, 1])),
        "arrow": pd.Series([1, None, 3], dtype=pd.ArrowDtype(pa.int8())),
        "uuid": pd.Series([uuid.UUID(int=1), None, uuid.UUID(int=2)], dtype=object),
    }
)


@pytest.mark.parametrize("dropped", ORIGINS.columns)
def test_a_selection_of_columns_comes_back_as_it_came(dropped: str) -> None:
    kept = convert.to_pandas(convert.read(ORIGINS).drop_columns([dropped]))
    pd.testing.assert_frame_equal(kept, ORIGINS.drop(columns=dropped))
