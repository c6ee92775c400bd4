"""JSON lines: one object on each line, and nothing that ends the process in Arrow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthvae.errors import TableError
from synthvae.tables import ReadOptions, convert, json_lines

NULLS = [
    b"null",
    b"null\n",
    b'\xef\xbb\xbfnull\n{"a": 1}',
    b'{"a": 1}\n  null\n',
    b'{"a": 1}null',
    b"\n" * 99 + b"null",
]


@pytest.mark.parametrize("content", NULLS)
def test_json_lines_with_a_null_do_not_end_the_process(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.jsonl").write_bytes(content)
    with pytest.raises(TableError, match=r"line \d+ must be one JSON object"):
        convert.read(tmp_path / "t.jsonl")


def test_a_null_parted_by_the_blocks_of_the_search_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.jsonl").write_bytes(b'{"a": 1}\nnull\n')
    for size in range(1, 15):
        monkeypatch.setattr(json_lines, "BLOCK_BYTES", size)
        with pytest.raises(TableError, match="line 2 must be one JSON object"):
            convert.read(tmp_path / "t.jsonl")


def test_json_lines_with_null_in_a_text_are_read(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_bytes(b'\xef\xbb\xbf{"a": "x} null"}\n{"a":\tnull}\n')
    assert convert.read(tmp_path / "t.jsonl").to_pydict() == {"a": ["x} null", None]}


@pytest.mark.parametrize("content", [b'{"a": 1}\n{"a": 2, "b": "\xff"}\n', b'{"a": 1}\n{"\xff": 1}\n'])
def test_json_lines_that_are_no_utf8_are_refused_with_the_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.jsonl").write_bytes(content)
    with pytest.raises(TableError, match="the byte 0xff in line 2"):
        convert.read(tmp_path / "t.jsonl")


@pytest.mark.parametrize(
    "text",
    ['{"a": 1}\n[1]\n', '{"a": 1}\n{"a":\n', '{"a": 1}\nhello\n', '{"a": 1}\n2\n'],
)
def test_a_line_that_is_no_object_is_refused_with_its_number(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.jsonl").write_text(text)
    with pytest.raises(TableError, match="line 2 must be one JSON object"):
        convert.read(tmp_path / "t.jsonl")


def test_keys_of_two_types_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"a": "007"}\n{"a": 5}\n')
    with pytest.raises(TableError, match=r"must have one type, got two of 'a'"):
        convert.read(tmp_path / "t.jsonl")


DEEP = {
    "lists": '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "lists in lines": '{"a": ' + "[\n" * 30_000 + "]\n" * 30_000 + "}",
    "objects": '{"a": ' * 100_000 + "1" + "}" * 100_000,
    "lists beside others": '{"a": ' + "[[], " * 600 + "1" + "]" * 600 + "}",
    "lists beside texts": '{"a": ' + '["]]\\"", "\\\\", ' * 600 + "1" + "]" * 600 + "}",
    "lists after a text without an end": '{"a": "\n{"a": ' + "[" * 600 + "]" * 600 + "}",
    "lists after too many ends": "]" * 999 + '\n{"a": ' + "[" * 600 + "]" * 600 + "}",
}


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_deep_nesting_does_not_end_the_process(
    tmp_path: Path, name: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.jsonl").write_text('{"a": 1}\n' + DEEP[name] + "\n", encoding=encoding)
    options = ReadOptions(encoding=encoding)
    for size in (json_lines.BLOCK_BYTES, 1 << 10):  # lines are parted by the blocks of the search
        monkeypatch.setattr(json_lines, "BLOCK_BYTES", size)
        with pytest.raises(TableError, match="must have at most 500 nested levels"):
            convert.read(tmp_path / "t.jsonl", options=options)


JSON = st.recursive(
    st.none() | st.integers() | st.text('[]{}"\\\n a', max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('[]{}"\\', max_size=3), inner, max_size=3),
    max_leaves=20,
)


def _levels(value: Any) -> int:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if children is None else 1 + max(map(_levels, children), default=0)


@given(rows=st.lists(JSON, max_size=4), size=st.integers(1, 40))
def test_levels_are_those_of_the_parsed_values(rows: list[Any], size: int) -> None:
    content = "\n".join(map(json.dumps, rows)).encode()
    nesting = json_lines.Nesting()
    for start in range(0, len(content), size):
        nesting.add(content[start : start + size])
    nesting.finish()
    assert nesting.most == max(map(_levels, rows), default=0)


def test_many_objects_of_a_line_are_read_as_before(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"a": 1}' * 600 + "\n", encoding="utf-8")
    assert convert.read(tmp_path / "t.jsonl").num_rows == 600


def test_brackets_in_a_text_are_no_nesting(tmp_path: Path) -> None:
    texts = ["[" * 2000, "{[" * 700, "]" * 2000]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps({"a": text}) + "\n" for text in texts), encoding="utf-8")
    assert convert.read(tmp_path / "t.jsonl").column("a").to_pylist() == texts


def test_large_numbers_in_two_objects_of_a_line_are_refused(tmp_path: Path) -> None:
    """Arrow reads both, and its rounded number could not be found again."""
    (tmp_path / "t.jsonl").write_text('{"a": 1}{"a": 20000000000000000000000}\n', encoding="utf-8")
    with pytest.raises(TableError, match="line 1 must be one JSON object"):
        convert.read(tmp_path / "t.jsonl")
