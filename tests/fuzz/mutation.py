"""Hostile inputs made from good ones: flipped bytes, pages with hostile values, tables with odd cells."""

from __future__ import annotations

import base64
import copy
import functools
import gzip
import io
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import readers
import targets
import yaml

from synthvae import Schema

HUGE: list[Any] = [10**9, 2**31, 2**63 - 1, 2**63, 2**64, 10**30, 10**400, -1, -(2**63), 0, 1, 1e308, 5e-324, 1e-300]
ODD: list[Any] = [float("nan"), float("inf"), -float("inf"), None, True, False, "", "x", "\ud800", "../x", "/etc/x"]
ODD += [[], {}, [[]], {"x": 1}, [1, 2], ["a", "a"], "1e400", "0x10", "\0", "9" * 50, "int64", "ms", "sequence"]
CHUNKS = [
    b"\0",
    b"\xff",
    b"\xff\xfe",
    b"\x80",
    b"9" * 400,
    b"nan",
    b"1e999",
    b"-",
    b"..",
    b"/",
    b'"',
    b"\n",
    b"\r",
    b",",
    b"=",
    b"\t",
    b"\xef\xbb\xbf",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b"&a",
    b"*a",
    b"<<: ",
    b"!!int ",
    b"!!float ''",
    b"!!binary ",
    b"!!set",
    b"!!timestamp x",
    b"!!bool x",
    b"!!python/object/apply:os.system [ls]",
    b"? ",
    b"| ",
    b"> ",
    b"%YAML 9.9\n",
    b"--- ",
    b"...\n",
    b"1:1:1:1.5",
    b"0x",
    b"0b1",
    b"2020-99-99",
    b"0001-01-01",
    b"9999-12-31 23:59:59+23:59",
    b".nan",
    b".inf",
    b"-.inf",
    b"~",
    b"1_000",
    b"\xc2\x85",
    b"\xe2\x80\xa8",
    b"kind: ",
    b"bounds: [1, 0]\n",
    b"categories: ",
    b"bins: [0]\n",
    b"decimals: 99\n",
    b"sentinels: [1]\n",
    b"- {name: a, kind: integer, bounds: [",
    b"ordered: true\n",
    b"nullable: no\n",
    b"other_category: 1\n",
]
CELLS = [
    "",
    "NA",
    "nan",
    "inf",
    "-1e999",
    "1e400",
    "9" * 30,
    "0x1F",
    "2020-01-01",
    "0000-00-00",
    "99999-01-01",
    "true",
    "2020-01-01 00:00:00.123456789",
    "2020-01-01T00:00:00Z",
    '"',
    '""',
    '"a\nb"',
    "=1+1",
    "é",
    "\x00",
    "1,5",
    "1;5",
    "-0",
    "+1",
    "1_000",
    " 1",
    "1 ",
    "12:30",
    "1e5",
    ".5",
    "5.",
    "18446744073709551616",
    "a" * 2000,
    "\ufeff",
]


def flipped(random: Random, data: bytes) -> bytes:
    """Some bytes are other ones, are gone, there twice, or have others between them."""
    content = bytearray(data)
    for _ in range(random.choice([1, 1, 1, 2, 3, 8])):
        at = random.randrange(len(content) + 1)
        end = min(at + random.choice([0, 1, 1, 4, 40]), len(content))
        new = [bytes([random.randrange(256)]), random.choice(CHUNKS), bytes(content[at:end]) * 2, b""]
        content[at:end] = random.choice(new)
        if random.random() < 0.05:
            del content[random.randrange(len(content) + 1) :]
    return bytes(content)


def _places(page: Any) -> Iterator[tuple[Any, Any]]:
    """All containers of a page with their keys."""
    for key in page if isinstance(page, dict) else range(len(page)) if isinstance(page, list) else ():
        yield page, key
        yield from _places(page[key])


def _value(random: Random, old: Any, others: list[tuple[Any, Any]]) -> Any:
    if isinstance(old, (int, float)) and random.random() < 0.3:
        return random.choice([-old, old + 1, old * 10**6, old // 3, [old], str(old)])
    if isinstance(old, list) and old and random.random() < 0.5:
        return random.choice([old[1:], old[::-1], old * 2, old[:1] * 1000, [*old, copy.deepcopy(random.choice(ODD))]])
    if random.random() < 0.2:
        container, key = random.choice(others)
        return copy.deepcopy(container[key])
    return copy.deepcopy(random.choice([*HUGE, *ODD]))  # whoever changes it changes no other case


def harmed(random: Random, page: Any) -> Any:
    """The page with some values replaced, and keys taken away or added."""
    page = copy.deepcopy(page)
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        known = list(_places(page))
        if not known:
            return page
        container, key = random.choice(known)
        chance = random.random()
        if chance < 0.1:
            del container[key]
        elif chance < 0.2 and isinstance(container, dict):
            container[random.choice(["x", "kind", "name", "other_category", "log_dir", "journal"])] = copy.deepcopy(
                random.choice(ODD)
            )
        else:
            container[key] = _value(random, container[key], known)
    return page


def as_json(random: Random, good: bytes) -> bytes:
    """A page of JSON, harmed in its values, or in its bytes."""
    if random.random() < 0.1:
        return flipped(random, good)
    return json.dumps(harmed(random, json.loads(good))).encode()


def model_page(random: Random) -> bytes:
    """A page of a model; the Arrow schema in it is harmed byte by byte."""
    good = targets.model()["synthvae.json"]
    if random.random() < 0.1:
        page = json.loads(good)
        arrow = flipped(random, base64.b64decode(page["encoding"]["arrow"]))
        page["encoding"]["arrow"] = base64.b64encode(arrow).decode()
        return json.dumps(page).encode()
    return as_json(random, good)


def weights(random: Random) -> bytes:
    """Tensors with a harmed header, or harmed bytes."""
    good = targets.model()["model.safetensors"]
    size = struct.unpack("<Q", good[:8])[0]
    header, body = json.loads(good[8 : 8 + size]), good[8 + size :]
    if random.random() < 0.3:
        return flipped(random, good)
    if random.random() < 0.1:
        return struct.pack("<Q", random.choice([0, 1, 2**63, 2**64 - 1, 2**40, size + 8])) + good[8:]
    text = json.dumps(harmed(random, header)).encode()
    if random.random() < 0.3:
        body = flipped(random, body)
    return struct.pack("<Q", len(text)) + text + body


def dataset_page(random: Random) -> bytes:
    """A byte that says what is asked, and a page of a dataset that is harmed."""
    pages = [content for name, content in targets.files().items() if name.endswith(".json")]
    page = harmed(random, json.loads(random.choice(pages)))
    files = [part for part, key in _places(page) if key == "file"]
    if files and random.random() < 0.5:
        outside = [
            "../precious.txt",
            "/etc/hostname",
            "..",
            ".",
            "",
            "../beside/precious.txt",
            "a/../../x",
            "\0",
            "a" * 300,
        ]
        random.choice(files)["file"] = random.choice(outside)
    data = json.dumps(page).encode()
    return bytes([random.randrange(256)]) + (flipped(random, data) if random.random() < 0.1 else data)


def csv(random: Random) -> bytes:
    """Odd cells, between odd marks; sometimes with harmed bytes."""
    mark, end = random.choice([",", ",", ";", "\t", "|"]), random.choice(["\n", "\n", "\r\n", "\r"])
    width = random.choice([1, 2, 3, 5])
    names = [random.choice([f"c{j}", f"c{j}", random.choice(CELLS)]) for j in range(width)]
    pools = [random.sample(CELLS, random.choice([1, 1, 2, 4])) + random.choice([[], list("12345")]) for _ in names]
    rows = [mark.join(random.choice(pool) for pool in pools) for _ in range(random.choice([0, 1, 3, 30]))]
    data = end.join([mark.join(names), *rows, ""]).encode(
        random.choice(["utf-8", "utf-8", "latin-1", "utf-16"]), "replace"
    )
    return flipped(random, data) if random.random() < 0.3 else data


def packed(random: Random) -> bytes:
    """A compressed CSV file, harmed before or after."""
    good = gzip.compress(csv(random), 1)
    return flipped(random, good) if random.random() < 0.5 else good


def parquet(random: Random) -> bytes:
    """A Parquet file of odd columns, or one with harmed bytes."""
    arrow: dict[str, Callable[[], pa.Array]] = {
        "int": lambda: pa.array([random.choice([0, 1, -1, 2**63 - 1, -(2**63), None]) for _ in range(4)]),
        "float": lambda: pa.array(
            [random.choice([0.0, -0.0, 1e308, float("nan"), float("inf"), None]) for _ in range(4)]
        ),
        "text": lambda: pa.array([random.choice([*CELLS, None]) for _ in range(4)], pa.string()),
        "moment": lambda: pa.array(
            [random.choice([0, 2**63 - 1, -(2**63), None]) for _ in range(4)], pa.timestamp("ns")
        ),
        "far": lambda: pa.array([random.choice([0, 2**62, None]) for _ in range(4)], pa.timestamp("us", "Asia/Tokyo")),
        "bool": lambda: pa.array([random.choice([True, False, None]) for _ in range(4)]),
        "codes": lambda: pa.array([random.choice(["a", "b", None]) for _ in range(4)], pa.string()).dictionary_encode(),
        "bytes": lambda: pa.array([b"\xff"] * 4),
        "list": lambda: pa.array([[1], [], None, [2]]),
        "struct": lambda: pa.array([{"a": 1}] * 4),
        "time": lambda: pa.array([0, 1, 2, None], pa.time64("ns")),
        "duration": lambda: pa.array([0, 2**63 - 1, None, 1], pa.duration("ns")),
        "decimal": lambda: pa.array([1, 2, None, 3]).cast(pa.decimal128(38, 3)),
        "day": lambda: pa.array([0, 2**31 - 1, -(2**31), None], pa.int32()).cast(pa.date32()),
    }
    chosen = random.sample(sorted(arrow), random.choice([1, 1, 2, 4]))
    made = pa.table({name: arrow[name]() for name in chosen})
    if random.random() < 0.3:
        made = made.replace_schema_metadata({random.choice(["pandas", "synthvae"]): random.choice(METADATA)})
    buffer = io.BytesIO()
    pq.write_table(made, buffer, compression=random.choice(["none", "snappy", "zstd"]))
    data = buffer.getvalue()
    return flipped(random, data) if random.random() < 0.6 else data


METADATA = [
    "",
    "{",
    "[]",
    "null",
    "{}",
    '{"container": "pandas"}',
    '{"container": "pandas", "string": {"x": "y"}}',
    '{"columns": []}',
    '{"index_columns": ["int"]}',
    '{"container": 3}',
    "\ud7ff",
    '{"arrow": 1}',
    '{"container": "pandas", "object": ["absent"], "arrow": ["absent"], "labels": {"int": [1]}}',
]


@functools.cache
def _read(text: bytes) -> Any:
    return yaml.safe_load(text)


def yaml_page(good: Callable[[], list[bytes]]) -> Callable[[Random], bytes]:
    """Pages of YAML: harmed in their values, or in their bytes."""

    def make(random: Random) -> bytes:
        text = random.choice(good())
        if random.random() < 0.4:
            return flipped(random, text)
        page = harmed(random, copy.deepcopy(_read(text)))
        try:
            return str(yaml.dump(page, Dumper=DUMPER, sort_keys=False)).encode()
        except (yaml.YAMLError, ValueError):
            return json.dumps(page, default=str).encode()

    return make


DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
STUDIES = Path(__file__).parents[2] / "pipelines"


@functools.cache
def _schemas() -> list[bytes]:
    declared = Schema.infer(targets.table()).declare(
        "dose", kind="continuous", bounds=(-9, 9), decimals=2, bins=[0.0, 1.0]
    )
    named = declared.declare("site", kind="categorical", categories=["a", "b"], other_category="a")
    return [named.to_yaml().encode(), Schema.infer(targets.table()).to_yaml().encode()]


@functools.cache
def _recipes() -> list[bytes]:
    return [path.read_bytes() for path in sorted(STUDIES.glob("*.yaml"))]


MAKERS: dict[str, Callable[[Random], bytes]] = {
    "schema": yaml_page(_schemas),
    "recipe": yaml_page(_recipes),
    "page": model_page,
    "weights": weights,
    "dataset": dataset_page,
    "csv": csv,
    "packed": packed,
    "parquet": parquet,
    **{name: readers.maker(name, CELLS, flipped) for name in readers.WRITERS},
}
