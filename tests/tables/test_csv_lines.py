"""The line of a CSV file that is wrong is named, and legitimate files are not refused."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthvae.errors import TableError
from synthvae.tables import convert, csv_lines, read, untrusted
from synthvae.tables.streaming import Stream

law = settings(deadline=None, max_examples=100)
ROWS = b"1,x\n" * 500


def place(folder: Path, content: bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("rest", [b"2,y\n" * 500, b'2,"y"\n' * 500, b'2,"y"\n3,"z"\n' * 7, b"", b'2,""\n' * 3])
@pytest.mark.parametrize("packed", [False, True])
def test_an_open_quote_is_refused_with_its_line(tmp_path: Path, rest: bytes, *, packed: bool) -> None:
    content = b"a,b\n" + ROWS + b'7,"oops\n' + rest
    path = place(tmp_path, gzip.compress(content), "t.csv.gz") if packed else place(tmp_path, content)
    with pytest.raises(TableError, match=r"line 502: a field that begins with a quote"):
        read(path)
    with pytest.raises(TableError, match=r"line 502: a field that begins with a quote"):
        list(Stream.from_source(path).batches())


@pytest.mark.parametrize("open_", [b'"a,b\n1,x\n', b'a,"b\n1,x\n2,y\n'])
def test_an_open_quote_in_the_header_is_refused(tmp_path: Path, open_: bytes) -> None:
    with pytest.raises(TableError, match=r"line 1: a field that begins with a quote"):
        read(place(tmp_path, open_))


def test_an_open_quote_before_many_rows_is_refused(tmp_path: Path) -> None:
    content = b"a,b\n" + ROWS + b'7,"oops\n' + b"2,y\n" * 1_000_000
    with pytest.raises(TableError, match="line 502: a field"):
        read(place(tmp_path, content))


@pytest.mark.parametrize(("row", "got"), [(b"1,2,3\n", 3), (b"1\n", 1)])
@pytest.mark.parametrize("before", [500, 400_000])
def test_a_ragged_line_is_refused_with_its_number(tmp_path: Path, row: bytes, got: int, before: int) -> None:
    path = place(tmp_path, b'a,b\n1,"two\nlines"\n\n' + b"1,x\n" * before + row + ROWS)
    line = before + 5
    for reading in (read, lambda p: list(Stream.from_source(p).batches())):
        with pytest.raises(TableError, match=rf"line {line}: a row must have 2 fields as the header has, got {got}"):
            reading(path)


def test_the_message_has_no_value_of_the_row(tmp_path: Path) -> None:
    with pytest.raises(TableError) as refused:
        read(place(tmp_path, b"a,b\n1,2\nAnn Stone,1,2\n"))
    assert "Ann" not in str(refused.value)


@pytest.mark.parametrize("before", [1, 400_000])
def test_bytes_of_another_encoding_are_refused_with_their_line(tmp_path: Path, before: int) -> None:
    path = place(tmp_path, b"a,b\n" + b"1,x\n" * before + "1,Köln\n".encode("latin-1") + b"2,y\n")
    for reading in (read, lambda p: list(Stream.from_source(p).batches())):
        with pytest.raises(TableError, match=rf"utf-8, got the byte 0xf6 in line {before + 2}.*latin-1"):
            reading(path)


def test_utf16_without_a_mark_is_not_read_as_utf8(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"NUL bytes.*--encoding utf-16"):
        read(place(tmp_path, "a,b\n1,x\n".encode("utf-16-le")))


def test_line_breaks_in_quoted_values_are_read(tmp_path: Path) -> None:
    path = place(tmp_path, b'a,"b\nc"\r\n1,"x ""y""\r\nz"\r\n2," ,"\r\n3,""\r\n')
    assert read(path).to_pydict() == {"a": [1, 2, 3], "b\nc": ['x "y"\r\nz', " ,", None]}


cells = st.text(st.sampled_from('ab",;\n \t'), max_size=5)


@law
@given(st.lists(st.lists(cells, min_size=2, max_size=3), min_size=1, max_size=6), st.sampled_from(",;\t"))
def test_records_are_those_of_the_csv_module(rows: list[list[str]], sep: str) -> None:
    out = io.StringIO()
    csv.writer(out, delimiter=sep, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    lines = out.getvalue().splitlines(keepends=True)
    assert [fields for _, fields in csv_lines.records(lines, sep)] == [len(row) for row in rows]


def test_open_quotes_are_searched_once_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(untrusted, "MAX_ROW", 1 << 10)  # bytes of a batch
    path = place(tmp_path, b"a,b\n" + b'1,"x\ny"\n' * 1000)
    searched = mock.Mock(wraps=csv_lines.refuse_open_quotes)
    monkeypatch.setattr(csv_lines, "refuse_open_quotes", searched)
    assert len(list(Stream.from_source(path).batches())) > 3
    assert searched.call_count == 1


def test_in_memory_and_in_batches_a_file_with_quotes_is_the_same(tmp_path: Path) -> None:
    path = place(tmp_path, b'a,b\n1,"x\ny"\n' * 1 + b'2,"z"\n' * 10)
    (batch,) = Stream.from_source(path).batches()
    assert batch.equals(convert.read(path))


def test_an_open_quote_is_refused_if_lines_end_with_carriage_returns(tmp_path: Path) -> None:
    path = place(tmp_path, b'a,b\r1,x\r7,"oops\r2,y\r')
    for reading in (read, lambda p: list(Stream.from_source(p).batches())):
        with pytest.raises(TableError, match=r"line 3: a field that begins with a quote"):
            reading(path)


@pytest.mark.parametrize("encoding", ["cp874", "cp1257", "iso8859_7", "koi8_t", "shift_jis"])
def test_invalid_bytes_are_found_in_each_encoding_with_single_byte_line_breaks(tmp_path: Path, encoding: str) -> None:
    invalid = next(bytes([byte]) for byte in range(128, 256) if not _is_valid(bytes([byte]), encoding))
    path = place(tmp_path, b"a,b\n1,x\n2,y" + invalid + b"\n")
    with pytest.raises(TableError, match=rf"got the byte {invalid[0]:#x} in line 3"):
        csv_lines.refuse_undecodable(path, encoding)


def _is_valid(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
