"""Files of other programs are read with their types; what is no file is refused at once."""

from __future__ import annotations

import datetime as dt
import os
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthvae.errors import TableError
from synthvae.tables import convert, export, read, rowwise, streaming, workbooks

openpyxl = pytest.importorskip("openpyxl")
pyreadstat = pytest.importorskip("pyreadstat")

DAYS = [dt.date(2020, 1, 1), dt.date(2021, 2, 3), None]
FRAME = pd.DataFrame(
    {"n": [1, 2, 3], "f": [0.5, None, 2.5], "z": ["007", None, "NA"], "d": pd.to_datetime(pd.Series(DAYS))}
)
VALUES = {"n": [1, 2, 3], "f": [0.5, None, 2.5], "z": ["007", None, "NA"], "d": DAYS}


def days(values: list[Any]) -> list[Any]:
    return [value.date() if isinstance(value, dt.datetime) else value for value in values]


def written(folder: Path, suffix: str) -> Path:
    path = folder / f"t{suffix}"
    if suffix == ".xlsx":
        FRAME.to_excel(path, index=False)
    elif suffix == ".dta":
        FRAME.assign(z=FRAME["z"].fillna("")).to_stata(path, write_index=False)
    elif suffix == ".sav":
        pyreadstat.write_sav(FRAME.astype({"d": "datetime64[ns]"}), path)
    elif suffix == ".xpt":
        pyreadstat.write_xport(FRAME.astype({"d": "datetime64[ns]"}), path)
    elif suffix == ".feather":
        FRAME.to_feather(path)
    elif suffix == ".jsonl":
        FRAME.assign(d=FRAME["d"].dt.strftime("%Y-%m-%d")).to_json(path, orient="records", lines=True)
    else:
        FRAME.to_csv(path, index=False, sep="\t")
    return path


@pytest.mark.parametrize("suffix", [".xlsx", ".dta", ".sav", ".xpt", ".feather", ".jsonl", ".tsv", ".tab"])
def test_files_of_other_programs_are_read(tmp_path: Path, suffix: str) -> None:
    found = read(written(tmp_path, suffix)).to_pydict()
    found["d"] = days(found["d"])
    if suffix in {".jsonl", ".tsv", ".tab"}:  # whose dates are text
        found["d"] = [None if day is None else dt.date.fromisoformat(day) for day in found["d"]]
    if suffix in {".tsv", ".tab"}:
        found["z"] = VALUES["z"]  # the leading zeros of text files are tested elsewhere
    assert found == VALUES


@pytest.mark.parametrize("suffix", [".xlsx", ".dta", ".sav", ".xpt", ".jsonl"])
def test_formats_without_public_types_are_refused_under_a_budget(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(TableError, match=r"Types must be public under a privacy budget.*Parquet"):
        rowwise.read(written(tmp_path, suffix))
    assert rowwise.read(written(tmp_path, ".feather")).num_rows == 3


@pytest.mark.parametrize("suffix", [".xlsx", ".dta", ".sav", ".xpt", ".feather", ".jsonl", ".sas7bdat", ".por"])
@pytest.mark.parametrize("content", [b"", b"hello", b"PK\3\4" + bytes(100)])
def test_damaged_files_are_refused_on_one_line(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"t{suffix}"
    path.write_bytes(content)
    with pytest.raises(TableError) as refused:
        read(path)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)


def test_value_labels_are_categories_only_if_each_value_has_its_own(tmp_path: Path) -> None:
    frame = pd.DataFrame({name: [1.0, 2.0, 1.0] for name in ("all", "some", "twice")})
    labels = {"all": {2.0: "high", 1.0: "low"}, "some": {1.0: "low"}, "twice": {1.0: "low", 2.0: "low"}}
    pyreadstat.write_sav(frame, tmp_path / "t.sav", variable_value_labels=labels)
    table = read(tmp_path / "t.sav")
    assert table.to_pydict() == {"all": ["low", "high", "low"], "some": [1, 2, 1], "twice": [1, 2, 1]}
    assert pa.types.is_dictionary(table.schema.field("all").type)


def test_stata_categories_keep_their_order(tmp_path: Path) -> None:
    frame = pd.DataFrame({"c": pd.Categorical(["z", "a", "z"], ["z", "a"])})
    frame.to_stata(tmp_path / "t.dta", write_index=False)
    assert read(tmp_path / "t.dta").column("c").chunk(0).dictionary.to_pylist() == ["z", "a"]


def test_the_sheet_of_a_workbook_is_named_unless_there_is_one(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    with pd.ExcelWriter(path) as book:
        pd.DataFrame({"a": [1]}).to_excel(book, sheet_name="one", index=False)
        pd.DataFrame({"b": [2, 3]}).to_excel(book, sheet_name="2020", index=False)
        pd.DataFrame().to_excel(book, sheet_name="empty", index=False)
    with pytest.raises(TableError, match=r"one sheet with values, got \['one', '2020'\]. Name one \(`--sheet`\)"):
        read(path)
    assert read(path, sheet=2).to_pydict() == read(path, sheet="2020").to_pydict() == {"b": [2, 3]}
    with pytest.raises(TableError, match=r"must have the sheet '9', got \['one', '2020', 'empty'\]"):
        read(path, sheet="9")
    with pytest.raises(TableError, match="empty sheet"):
        read(path, sheet="empty")


def test_a_sheet_with_a_column_twice_or_without_a_name_is_refused(tmp_path: Path) -> None:
    for row in (["a", "a"], ["a", None]):
        book = openpyxl.Workbook()
        for cells in (row, [1, 2]):
            book.active.append(cells)
        book.save(tmp_path / "t.xlsx")
        with pytest.raises(TableError, match=r"distinct|must have a name"):
            read(tmp_path / "t.xlsx")


def test_numbers_beside_text_in_a_sheet_are_text(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for cells in (["v", "x"], [12, 1], ["unknown", 2], [None, None], [15.5, 3]):
        book.active.append(cells)
    book.save(tmp_path / "t.xlsx")
    assert read(tmp_path / "t.xlsx").to_pydict() == {"v": ["12", "unknown", "15.5"], "x": [1, 2, 3]}


@pytest.mark.parametrize("reading", [read, rowwise.read])
def test_a_pipe_or_a_device_is_refused_at_once(tmp_path: Path, reading: Any) -> None:
    os.mkfifo(tmp_path / "p.csv")
    for path, what in (
        (tmp_path / "p.csv", "a named pipe"),
        (tmp_path, "a named pipe"),
        (Path("/dev/null"), "a device"),
    ):
        with pytest.raises(TableError, match=f"must be a file or a folder, got {what}"):
            reading(path)
    (tmp_path / "link.csv").symlink_to(tmp_path / "p.csv")
    with pytest.raises(TableError, match="a named pipe"):
        reading(tmp_path / "link.csv")


@pytest.mark.parametrize(
    ("suffix", "way"), [(".xls", "Save it as .xlsx"), (".json", "one object on each line"), ("", "")]
)
def test_an_unknown_format_names_the_way_out(tmp_path: Path, suffix: str, way: str) -> None:
    (tmp_path / f"t{suffix}").write_bytes(b"x")
    with pytest.raises(TableError, match=rf"must end in \.csv.*{way}"):
        read(tmp_path / f"t{suffix}")


def test_a_workbook_that_is_written_is_read_again_and_has_no_formula(tmp_path: Path) -> None:
    table = pa.table(
        {
            "text": ["=1+1", "007", None],
            "n": pa.array([1, 2**60, None]),
            "f": [0.5, float("nan"), None],
            "b": [True, False, None],
            "d": [dt.date(2020, 1, 1), dt.date(1850, 1, 1), None],
            "t": pa.array([0, 1, None], pa.timestamp("s", "UTC")),
        }
    )
    export.write(table, tmp_path / "t.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "t.xlsx").active
    assert {cell.data_type for row in sheet for cell in row} <= {"s", "n", "b", "d", "inlineStr"}
    again = read(tmp_path / "t.xlsx").to_pydict()
    assert again["text"] == ["=1+1", "007", None][: len(again["text"])]
    assert again["n"] == ["1", str(2**60)]
    assert again["t"][0].startswith("1970-01-01 00:00:00")


def test_control_characters_are_refused_in_a_workbook(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="control characters"):
        export.write(pa.table({"a": ["\x07"]}), tmp_path / "t.xlsx")
    assert not list(tmp_path.iterdir())
    assert workbooks.MOST_ROWS == 1_048_576


def _workbook(path: Path, rows: list[list[object]], merged: str = "") -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    if merged:
        book.active.merge_cells(merged)
    book.save(path)
    return path


@pytest.mark.parametrize(
    ("rows", "merged", "fact"),
    [
        ([["ward", "x"], ["A", 1], [None, 2], ["B", 3]], "A2:A3", "merged cells.*A2:A3"),
        ([["a", "b"], [1, "=A2*2"], [2, "=A3*2"]], "", "formulas must have results.*B2"),
        ([["a"], [dt.datetime(2020, 1, 1)], [5]], "", "one type.*datetime.*int"),  # noqa: DTZ001 (a sheet has no zone)
    ],
)
def test_cells_that_would_be_lost_are_refused(tmp_path: Path, rows: list[list[object]], merged: str, fact: str) -> None:
    with pytest.raises(TableError, match=fact):
        convert.read(_workbook(tmp_path / "t.xlsx", rows, merged))


def test_merged_cells_of_a_title_do_not_matter(tmp_path: Path) -> None:
    path = _workbook(tmp_path / "t.xlsx", [["a", "b"], [1, "x"], ["note", None]], "A3:B3")
    assert convert.read(path).num_rows == 2


FOLDERS: dict[str, tuple[list[str], list[Any]]] = {
    "codes in one file": (["a\n1\n2\n", "a\n007\n"], ["1", "2", "007"]),
    "a header alone": (["a\nx\n", "a\n"], ["x"]),
    "no value in the first": (["a,b\n,1\n", "a,b\nx,1\n"], [None, "x"]),
    "fractions in one": (["a\n1\n", "a\n1.5\n"], [1.0, 1.5]),
    "large numbers": (["a,b\n,1\n", f"a,b\n{2**53 + 1},1\n"], [None, 2**53 + 1]),
    "beyond 64 bits signed": (["a\n1\n", f"a\n{2**63}\n"], [1, 2**63]),
    "below 0 and beyond 64 bits signed": (["a\n-1\n", f"a\n{2**63}\n"], ["-1", str(2**63)]),
    "booleans of two spellings": (["a\nTRUE\n", "a\nTrue\n"], ["TRUE", "True"]),
    "booleans of one spelling": (["a\nTRUE\n", "a\nFALSE\n"], [True, False]),
    "booleans and words": (["a\ntrue\n", "a\nunknown\n"], ["true", "unknown"]),
    "more than 64 bits and fractions": ([f"a\n{10**20}\n", "a\n1.5\n"], [1e20, 1.5]),
    "words and codes": (["a\n007\n", "a\nA12\n"], ["007", "A12"]),
    "no column in the first": (["b\n1\n", "b,a\n2,7\n"], [None, 7.0]),
    "no column and no row in the first": (["b\n", "b,a\n2,7\n"], [7]),
    "no column of words in the second": (["b,a\n1,x\n", "b\n2\n"], ["x", None]),
    "two decimals in one": (["a\n1\n", "a\n1.50\n"], [1.0, 1.5]),
    "two decimals, of which the first has no column": (["b\n1.25\n", "a,b\n1.50,1\n"], [None, 1.5]),
    "two forms of dates": (["a\n2020-01-01\n", "a\n01.01.2020\n"], ["2020-01-01", "01.01.2020"]),
    "two separators": (["a,b\n1,x\n", "a;b\n2;y\n"], [1, 2]),
    "another order": (["a,b\n1,x\n", "b,a\ny,2\n"], [1, 2]),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_of_unlike_files(tmp_path: Path, name: str) -> None:
    contents, expected = FOLDERS[name]
    for number, content in enumerate(contents):
        (tmp_path / f"{number}.csv").write_text(content)
    read = convert.read(tmp_path)
    assert read.column("a").to_pylist() == expected
    assert [type(value) for value in read.column("a").to_pylist()] == [type(value) for value in expected]
    batches = pa.concat_tables(streaming.Stream.from_source(tmp_path).batches())
    assert batches.equals(read)
    assert batches.schema.equals(read.schema, check_metadata=True)


CELLS = ["", "1", "-3", "2.5", "7.50", "true", "True", "FALSE", " 7", "1e3", "0", "9" * 20, str(2**63), "007"]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.lists(st.sampled_from(CELLS), max_size=3), min_size=1, max_size=3))
def test_the_files_of_a_folder_are_read_as_one_file_in_memory_and_in_batches(files: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "folder")
        folder.mkdir()
        lines = [[f"{cell},1\n" for cell in cells] for cells in files]
        for number, rows in enumerate(lines):
            (folder / f"{number}.csv").write_text("a,b\n" + "".join(rows))
        (one := Path(name, "one.csv")).write_text("a,b\n" + "".join(row for rows in lines for row in rows))
        found, batches, whole = map(_read_or_refused, (convert.read, _in_batches, convert.read), (folder, folder, one))
    words = {"true", "True", "FALSE"}
    mixed = any(words & set(cells) for cells in files) and any(set(cells) - words - {""} for cells in files)
    assert found == batches
    assert mixed or found == whole  # words in one file and numbers in another may be refused


def _in_batches(path: Path) -> pa.Table:
    found = list(streaming.Stream.from_source(path).batches())
    return pa.concat_tables(found) if found else convert.read(path)


def _read_or_refused(reader: Any, path: Path) -> Any:
    try:
        return reader(path).to_pydict()
    except TableError as error:
        return str(error)


@pytest.mark.parametrize("read", [convert.read, _in_batches], ids=["memory", "batches"])
def test_words_among_numbers_of_another_file_are_refused_in_one_message(tmp_path: Path, read: Any) -> None:
    (tmp_path / "1.csv").write_text("a,b,c\n1,x,2.5\n")
    (tmp_path / "2.csv").write_text("a,b,c\nword,y,true\n")
    message = r"\('a': numbers in 1.csv, words in 2.csv; 'c': numbers in 1.csv, words in 2.csv\)"
    with pytest.raises(TableError, match=message):
        read(tmp_path)


@pytest.mark.parametrize("read", [convert.read, _in_batches, rowwise.read], ids=["memory", "batches", "rows"])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_columns_that_some_files_lack_are_missing_there_after_a_warning(tmp_path: Path, read: Any, suffix: str) -> None:
    for number, frame in enumerate([{"a": ["x"], "b": ["y"]}, {"c": ["z"], "a": ["w"]}]):
        if suffix == ".csv":
            pd.DataFrame(frame).to_csv(tmp_path / f"{number}.csv", index=False)
        else:
            pd.DataFrame(frame).to_parquet(tmp_path / f"{number}.parquet", index=False)
    with pytest.warns(UserWarning, match=r"not all files have the columns \['b', 'c'\]") as warned:
        table = read(tmp_path)
    assert len(warned) == 1
    assert table.to_pydict() == {"a": ["x", "w"], "b": ["y", None], "c": [None, "z"]}


def test_columns_that_not_all_files_have_are_warned_of(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a\n1\n")
    (tmp_path / "README.txt").write_text("hello\n")
    with pytest.warns(UserWarning, match="not all files have the columns"):
        convert.read(tmp_path)


def test_parquet_files_of_a_folder_have_all_columns_and_the_wider_type(tmp_path: Path) -> None:
    pa.parquet.write_table(pa.table({"a": [1]}), tmp_path / "1.parquet")
    pa.parquet.write_table(pa.table({"a": [1.5], "b": ["x"]}), tmp_path / "2.parquet")
    with pytest.warns(UserWarning, match="not all files have the columns.*b"):
        assert convert.read(tmp_path).to_pydict() == {"a": [1.0, 1.5], "b": [None, "x"]}


@pytest.mark.parametrize(
    ("name", "content", "fact"),
    [
        ("t.csv", b"\x1f\x8b\x08\x00", "got gzip"),
        ("t.csv", b"PK\x03\x04xxxx", "Excel"),
        ("t.csv", b"PAR1xxxx", "Parquet"),
        ("t.csv", "a,b\n1,x\n".encode("utf-32"), "utf-32"),
        ("t.csv", b"a,b\n1,x,\n", "line 2.*got 3"),
        ("t.csv", b"a,b,\n1,x,\n", "none for column 3"),
        ("t.csv", b'a,b\r\n1,"x\r\n2,y\r\n', "line 2.*open quote"),
        ("t.csv", b"Report\n\na,b\n1,x\n", "line 3"),
        ("t.jsonl", b'{"a": 1}\n{"a":\n', "line 2"),
        ("t.tsv", b"", "empty file"),
    ],
)
def test_files_that_are_no_table_are_refused(tmp_path: Path, name: str, content: bytes, fact: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TableError, match=fact):
        convert.read(tmp_path / name)


def test_an_empty_path_is_no_folder() -> None:
    with pytest.raises(TableError, match="empty text"):
        convert.read("")


def test_large_numbers_of_json_lines_are_not_rounded(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(f'{{"a": {2**63 - 1}}}\n{{"a": {2**64 - 1}}}\n{{}}\n')
    assert convert.read(tmp_path / "t.jsonl").column("a").to_pylist() == [2**63 - 1, 2**64 - 1, None]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16", "utf-16-le"])
def test_json_lines_are_read_in_their_encoding(tmp_path: Path, encoding: str) -> None:
    lines = (
        f'{{"größe": {2**63}, "stadt": "Köln", "d": "2020-01-01"}}\n{{"größe": 1, "stadt": "Ulm", "d": "2020-01-02"}}\n'
    )
    (tmp_path / "t.jsonl").write_bytes(lines.encode(encoding))
    found = read(tmp_path / "t.jsonl", encoding=encoding).to_pydict()
    assert found == {"größe": [2**63, 1], "stadt": ["Köln", "Ulm"], "d": ["2020-01-01", "2020-01-02"]}


def test_bytes_that_are_invalid_in_the_encoding_of_json_lines_are_refused_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_bytes(b'{"a": "x"}\n{"a": "K\xf6ln"}\n')
    with pytest.raises(TableError, match=r"utf-8, got the byte 0xf6 in line 2.*--encoding latin-1"):
        read(tmp_path / "t.jsonl")
    assert read(tmp_path / "t.jsonl", encoding="latin-1").column("a").to_pylist() == ["x", "Köln"]
    for unknown in ("klingon", "hex"):
        with pytest.raises(TableError, match="must be known to Python"):
            read(tmp_path / "t.jsonl", encoding=unknown)


def test_a_stata_file_is_read_a_fixed_number_of_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({f"c{i}": pd.Categorical(["low", "high"][i % 2 :] * 2) for i in range(0, 20, 2)})
    frame.assign(n=range(4), text="a").to_stata(tmp_path / "t.dta", write_index=False)
    counted = mock.Mock(side_effect=pd.read_stata)
    monkeypatch.setattr(pd, "read_stata", counted)
    found = convert.to_pandas(convert.read(tmp_path / "t.dta"))
    assert found["c0"].tolist() == ["low", "high"] * 2
    assert counted.call_count == 2


def test_only_the_columns_of_a_stata_file_with_a_label_twice_are_codes(tmp_path: Path) -> None:
    names = [f"c{i}" for i in range(5)]
    frame = pd.DataFrame({name: [1, 2, 1] for name in names})
    labels: dict[Any, Any] = {name: {1: "low", 2: "high"} for name in names} | {"c3": {1: "low", 2: "low"}}
    frame.to_stata(tmp_path / "t.dta", write_index=False)
    pyreadstat.write_dta(frame, str(tmp_path / "t.dta"), variable_value_labels=labels)
    expected = {name: ["low", "high", "low"] for name in names} | {"c3": [1, 2, 1]}
    assert read(tmp_path / "t.dta").to_pydict() == expected
