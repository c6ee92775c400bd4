"""What was found by fuzzing, each with the smallest input that showed it."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyreadstat
import pytest
import safetensors.torch
import targets
import torch
from mutation import MAKERS

from synthvae import Column, Schema, Synthesizer
from synthvae.encoding.identifier import IdEncoding
from synthvae.errors import ArtifactError, ConfigurationError, SchemaError, TableError
from synthvae.recipe import Recipe
from synthvae.synthesizer import artifact
from synthvae.tables import ReadOptions, convert, untrusted

PAGES = {
    "index": "!!int ''", "float index": "!!float ''", "key": "!!bool x", "attribute": "!!timestamp x",
    "overflow": ":".join(["1"] * 190) + ".5", "long": "9" * 5000, "long hexadecimal": "0x" + "f" * 5000,
    "key as text": "{0x" + "f" * 5000 + ": 1}", "sexagesimal": ":".join(["1"] * 100_000),
    "code": "!!python/name:os.system",
}  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "columns: [{1: a}]\n",
        "columns: [{name: a, kind: continuous, bounds: [0.0, 9.0], bins: [1.0], decimals: -400}]\n",
        f"columns: [{{name: {list(range(9_000))}, kind: id}}]\n",
    ],
    ids=["a key that is no text", "decimals before bins", "a name that is a list"],
)
def test_a_schema_is_refused_in_one_short_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "page.yaml").write_text(text)
    with pytest.raises(SchemaError) as refused:
        Schema.from_yaml(tmp_path / "page.yaml")
    assert len(str(refused.value)) < 3_000


@pytest.mark.parametrize("value", PAGES.values(), ids=PAGES)
def test_yaml_that_breaks_its_reader_is_refused(tmp_path: Path, value: str) -> None:
    for text in (f"columns: {value}\n", f"? {value}\n: 1\n"):
        (tmp_path / "page.yaml").write_text(text)
        with pytest.raises(SchemaError):
            Schema.from_yaml(tmp_path / "page.yaml")
        with pytest.raises(ConfigurationError):
            Recipe.read(tmp_path / "page.yaml")


def test_aliases_of_a_schema_are_refused_and_so_is_a_key_that_is_there_twice() -> None:
    bomb = "a: &a [1, 1]\n" + "".join(f"{x}: &{x} [*{y}, *{y}]\n" for y, x in zip("abcdefgh", "bcdefghi", strict=True))
    with pytest.raises(SchemaError, match="alias"):
        Schema.from_yaml(bomb)
    with pytest.raises(SchemaError, match="duplicate of 'kind'"):
        Schema.from_yaml("columns:\n- {name: a, kind: id, kind: integer}\n")


def test_a_page_of_many_keys_takes_linear_time(tmp_path: Path) -> None:
    (tmp_path / "page.yaml").write_text("".join(f"k{number}: 1\n" for number in range(20_000)))
    with pytest.raises(ConfigurationError, match="unknown key"):
        Recipe.read(tmp_path / "page.yaml")
    (tmp_path / "page.yaml").write_text("".join(f"k{number}: 1\n" for number in range(40_000)))
    with pytest.raises(ConfigurationError, match="at most 50,000 values"):
        Recipe.read(tmp_path / "page.yaml")


@pytest.mark.parametrize("facts", [{"bounds": (0, 10**400)}, {"bounds": (0, 9), "bins": (1, 10**400)}])
def test_whole_numbers_that_nothing_holds_are_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(SchemaError, match="64 bits"):
        Column(name="a", kind="integer", **facts)


def test_categories_that_no_one_type_holds_are_refused_when_a_table_is_there() -> None:
    schema = Schema(columns=[Column(name="a", kind="categorical", categories=[-1, 2**64 - 1])])
    with pytest.raises(TableError, match="must fit"):
        schema.check(pa.table({"a": [1, 2]}))


def changed(page: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """The page with a value, at a place with dots, replaced."""
    *sections, last = key.split(".")
    inside = page
    for section in sections:
        inside = inside[section]
    inside[last] = value
    return page


HOSTILE: dict[str, tuple[str, Any]] = {
    "width": ("model.width", 10**6), "hidden": ("model.hidden", 10**9), "latents": ("model.latent_dim", 2**40),
    "more than 64 bits": ("model.width", 10**30), "padding": ("encoding.columns.id.digits", 10**9),
    "style": ("encoding.columns.lab.style", "999999999"), "no counts": ("encoding.target.counts", []),
    "negative counts": ("encoding.target.counts", [-1, 1, 1]), "no rows": ("encoding.target.counts", [0, 0, 0]),
    "no arrow": ("encoding.arrow", "AAAA"),
    "link to nowhere": ("encoding.columns.dose.links", [{"to": "x", "firm": True}]),
    "step as text": ("history.best_step", "x"), "other names": ("encoding.names", ["id"]),
    "many marks": ("encoding.columns.lab.marks", list(map(str, range(300)))),
    "knots": ("encoding.columns.dose.curve", {"shares": [0, 1], "knots": [0], "half": 0, "margin": 0.1}),
    "few knots": (
        "encoding.columns.dose.curve", {"shares": [0, 0.2, 0.8, 0.9, 1], "knots": [0, 1, 2], "half": 0, "margin": 0.1}
    ),
    "rows without end": ("table.rows", float("inf")),
    "counts that nothing holds": ("encoding.target.counts", [10**400, 1, 1]),
}  # fmt: skip


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_page_that_is_signed_and_hostile_is_refused_before_memory_is_taken(change: tuple[str, Any]) -> None:
    page = changed(json.loads(targets.model()[artifact.DOCUMENT]), *change)
    weights = targets.model()[artifact.WEIGHTS]
    signed = targets.signed(json.dumps(page).encode(), weights)
    with targets.room() as folder, pytest.raises(ArtifactError) as caught:
        Synthesizer.load(targets.place(folder, {artifact.WEIGHTS: weights, artifact.DOCUMENT: signed}), device="cpu")
    assert "allocat" not in str(caught.value)


def with_arrow(kind: pa.DataType) -> bytes:
    """The page of the small model, one of whose columns has another type."""
    import base64

    page = json.loads(targets.model()[artifact.DOCUMENT])
    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(page["encoding"]["arrow"])))
    schema = schema.set(schema.get_field_index("sex"), pa.field("sex", kind))
    page["encoding"]["arrow"] = base64.b64encode(schema.serialize().to_pybytes()).decode()
    return json.dumps(page).encode()


@pytest.mark.parametrize("kind", [pa.binary(2**27), pa.list_(pa.int8(), 2**31 - 1)], ids=str)
def test_a_type_whose_gaps_take_gigabytes_is_refused(kind: pa.DataType) -> None:
    weights = targets.model()[artifact.WEIGHTS]
    files = {artifact.WEIGHTS: weights, artifact.DOCUMENT: targets.signed(with_arrow(kind), weights)}
    with targets.room() as folder, pytest.raises(ArtifactError, match="'sex'"):
        Synthesizer.load(targets.place(folder, files), device="cpu")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(number: float) -> None:
    weights = safetensors.torch.load(targets.model()[artifact.WEIGHTS])
    weights["encoder.mean.weight" if "encoder.mean.weight" in weights else max(weights)].fill_(number)
    data = safetensors.torch.save(weights)
    files = {artifact.WEIGHTS: data, artifact.DOCUMENT: targets.signed(targets.model()[artifact.DOCUMENT], data)}
    with targets.room() as folder, pytest.raises(ArtifactError, match="is not finite"):
        Synthesizer.load(targets.place(folder, files), device="cpu")


def test_a_model_names_no_place_on_the_disk_of_whoever_loads_it() -> None:
    page = json.loads(targets.model()[artifact.DOCUMENT])
    page["parameters"] |= {"log_dir": "/tmp/elsewhere", "journal": "/tmp/elsewhere"}
    weights = targets.model()[artifact.WEIGHTS]
    signed = targets.signed(json.dumps(page).encode(), weights)
    with targets.room() as folder:
        loaded = Synthesizer.load(
            targets.place(folder, {artifact.WEIGHTS: weights, artifact.DOCUMENT: signed}), device="cpu"
        )
    assert loaded.log_dir is None
    assert loaded.journal is None


@pytest.mark.parametrize("name", [artifact.DOCUMENT, artifact.WEIGHTS])
@pytest.mark.parametrize("what", ["pipe", "device", "huge", "folder"])
def test_what_is_no_file_of_a_model_is_not_read(name: str, what: str) -> None:
    with targets.room() as folder:
        targets.place(folder, targets.model())
        (folder / name).unlink()
        if what == "pipe":
            os.mkfifo(folder / name)
        elif what == "device":
            (folder / name).symlink_to("/dev/zero")
        elif what == "huge":
            with (folder / name).open("wb") as stream:
                stream.truncate(artifact.LARGEST[name] + 1)
        else:
            (folder / name).mkdir()
        with pytest.raises(ArtifactError):
            Synthesizer.load(folder)


def test_a_model_that_could_not_be_loaded_is_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(artifact.LARGEST, artifact.DOCUMENT, 100)
    with pytest.raises(ArtifactError, match="at most 100 bytes"):
        artifact.save(tmp_path / "model", {"x": "x" * 100}, {"a": torch.zeros(1)})
    assert not list(tmp_path.iterdir())


def test_digits_without_end_are_free_text() -> None:
    column = Column(name="a", kind="id")
    for text in ("1" * 5000, "1" * 200_000 + "x"):
        learned = IdEncoding.learn(column, pa.chunked_array([[text, "b"]]))
        assert learned.prefix == "a-"


def written(folder: Path, table: pa.Table) -> Path:
    pq.write_table(table, folder / "table.parquet")
    return folder / "table.parquet"


def test_not_a_time_is_missing() -> None:
    for kind in (pa.timestamp("ns"), pa.timestamp("us", "UTC"), pa.duration("ns")):
        column = pa.array([-(2**63), 5], pa.int64()).cast(kind)
        read = convert.read(pa.table({"a": column}))
        assert read.column("a").null_count == 1
        Schema.infer(read).check(read)


@pytest.mark.parametrize(("values", "message"), [
    (pa.array([2**31 - 1], pa.int32()).cast(pa.date32()), "years 1 to 9999"),
    (pa.array([1], pa.time64("ns")), "whole microseconds"),
])  # fmt: skip
def test_days_and_times_that_python_cannot_say_are_refused(values: pa.Array, message: str) -> None:
    table = pa.table({"a": values})
    with pytest.raises(TableError, match=message):
        Schema.infer(table).check(convert.read(table))


@pytest.mark.parametrize("said", ["{", "[]", "{}", "null", '{"columns": []}', '{"columns": [{"name": "a"}]}', "\x00"])
def test_what_pandas_does_not_understand_is_not_believed(tmp_path: Path, said: str) -> None:
    table = pa.table({"a": [1, 2]}).replace_schema_metadata({"pandas": said})
    frame = convert.to_pandas(convert.read(written(tmp_path, table)))
    assert frame["a"].tolist() == [1, 2]


def test_text_that_is_no_text_is_refused_when_it_is_read(tmp_path: Path) -> None:
    broken = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(np.array([0, 1], np.int32)), pa.py_buffer(b"\xff")]
    )
    with pytest.raises(TableError, match="UTF"):
        convert.read(written(tmp_path, pa.table({"a": broken})))


@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress], ids=["plain", "packed"])
def test_a_csv_file_larger_than_memory_is_refused_before_it_is_read(
    tmp_path: Path, pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ("a.csv" if pack(b"") == b"" else "a.csv.gz")
    path.write_bytes(pack(b"a,b\n" + b"1,2\n" * 100_000))
    assert convert.read(path).num_rows == 100_000
    monkeypatch.setattr(untrusted, "memory", lambda: 100_000)
    with pytest.raises(TableError, match="fit into memory"):
        convert.read(path)


def test_a_few_bytes_of_parquet_that_stand_for_gigabytes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, pa.table({"a": pa.array(np.zeros(10_000_000))}))
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(untrusted, "memory", lambda: 10_000_000)
    for source in (path, tmp_path):
        with pytest.raises(TableError, match="fit into memory"):
            convert.read(source)


def test_memory_is_known() -> None:
    assert 1 << 28 < untrusted.memory() < 1 << 50


@pytest.mark.parametrize("zone", ["Nowhere/Atlantis", "x" * 300, "+99:99"])
def test_a_time_zone_that_nobody_knows_is_refused(tmp_path: Path, zone: str) -> None:
    pq.write_table(pa.table({"when": pa.array([0, 1], pa.timestamp("s", zone))}), tmp_path / "t.parquet")
    read = convert.read(tmp_path / "t.parquet")
    schema = Schema.infer(read)
    with pytest.raises(TableError, match="time zone"):
        schema.check(read)


def test_weights_of_an_impossible_size_are_refused_in_one_line(tmp_path: Path) -> None:
    data = MAKERS["weights"](Random(21277))
    with pytest.raises(ArtifactError) as refused:
        Synthesizer.load(
            targets.place(
                tmp_path / "m",
                {artifact.WEIGHTS: data, artifact.DOCUMENT: targets.signed(targets.model()[artifact.DOCUMENT], data)},
            )
        )
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("seed", [1002851, 1026369, 1066870, 1083259, 1092547])
def test_a_page_that_was_found_to_break_a_model_does_so_no_more(seed: int) -> None:
    targets.TARGETS["page"](MAKERS["page"](Random(seed)))


@pytest.mark.parametrize(
    ("name", "seed"), [("excel", 0), ("excel", 79), ("stata", 2), ("stata", 3), ("stata", 9), ("sas", 54)]
)
def test_damaged_files_of_other_programs_are_refused(name: str, seed: int) -> None:
    """Errors of XML, of iterators and of attributes; sizes that need more memory than there is."""
    targets.TARGETS[name](MAKERS[name](Random(seed)))


def test_a_sheet_with_damaged_xml_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1]}).to_excel(tmp_path / "good.xlsx", index=False)
    for part in ("[Content_Types].xml", "xl/workbook.xml", "xl/worksheets/sheet1.xml"):
        with zipfile.ZipFile(tmp_path / "good.xlsx") as old, zipfile.ZipFile(tmp_path / "t.xlsx", "w") as new:
            for name in old.namelist():
                new.writestr(name, old.read(name)[: -9 if name == part else None])
        with pytest.raises(TableError, match="must be an Excel file") as refused:
            convert.read(tmp_path / "t.xlsx")
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("at", "value"), [(7, 58), (12, 99)], ids=["width", "missing values"])
def test_a_damaged_record_of_spss_does_not_end_the_process(tmp_path: Path, at: int, value: int) -> None:
    path = tmp_path / "t.sav"
    pyreadstat.write_sav(pd.DataFrame({"a": [1.5], "b": ["x"]}), str(path), column_labels=["A long label", "B"])
    assert convert.read(path).num_rows == 1
    data = bytearray(path.read_bytes())
    data[176 + at] = value
    path.write_bytes(data)
    with pytest.raises(TableError, match="must be an SPSS file, got one that cannot be read"):
        convert.read(path)


@pytest.mark.parametrize("statement", ["SELECT CAST(x'41b942' AS TEXT) AS a", "SELECT 1 AS a UNION SELECT x'ff'"])
def test_text_of_a_database_that_is_no_utf8_is_refused(tmp_path: Path, statement: str) -> None:
    sqlite3.connect(tmp_path / "t.db").close()
    (tmp_path / "t.db").touch()
    with pytest.raises(TableError, match=r"cannot be read|must be numbers, text"):
        convert.read(f"sqlite:///{tmp_path / 't.db'}", options=ReadOptions(query=statement))
