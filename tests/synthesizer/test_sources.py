"""Tables on disk that are learned in batches: the same kinds, the same codes, the same model after an interruption."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import pandas as frames
from sklearn.datasets import load_breast_cancer

from synthvae import Column, Schema, Synthesizer
from synthvae.encoding import TableEncoding
from synthvae.errors import ConfigurationError, TableError
from synthvae.filesystem import Folder
from synthvae.schema.decisions import Decisions, draft
from synthvae.schema.protection import Protection, protect
from synthvae.schema.protection_rules import Frequent, Subjects
from synthvae.synthesizer.sources import InMemory, OnDisk
from synthvae.tables import ahead, convert, sampling, streaming, untrusted
from synthvae.tables.sampling import Survey
from synthvae.tables.streaming import Stream
from synthvae.tables.subjects import units_of
from synthvae.training import shards
from synthvae.training.shards import Shards

ROWS = 400


@pytest.fixture
def mixed() -> pd.DataFrame:
    """Numbers, categories (one of a single row), gaps, a count of the rows, text with a prefix."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"row": np.arange(ROWS) + 7, "height": rng.normal(170, 9, ROWS).round(1)})
    table["ward"] = rng.choice(["a", "b", "c"], ROWS)
    table.loc[333, "ward"] = "rare"
    table["beds"] = rng.poisson(3, ROWS)
    table.loc[rng.choice(ROWS, 40, replace=False), "height"] = None
    table.loc[::9, "ward"] = None
    table["ill"] = np.where(rng.random(ROWS) < 0.3, "yes", "no")
    table.loc[5, "beds"] = 400
    return table


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything on disk is large, and comes in batches of 64 rows and shards of 100."""
    monkeypatch.setattr(streaming, "LARGE", 1)
    monkeypatch.setattr(streaming, "BATCH_ROWS", 64)
    monkeypatch.setattr(untrusted, "MAX_ROW", 1 << 11)
    monkeypatch.setattr(shards, "SHARD_ROWS", 100)


def written(table: pd.DataFrame, folder: Path, kind: str) -> Path:
    """The table as one file, or as a folder of several."""
    folder.mkdir(exist_ok=True)
    path = folder / f"table.{kind.removesuffix(' folder')}"
    if kind.endswith("folder"):
        for place, part in enumerate(np.array_split(np.arange(len(table)), 3)):
            written(table.iloc[part], folder / "parts", kind.removesuffix(" folder")).rename(
                folder / "parts" / f"{place}.{kind.removesuffix(' folder')}"
            )
        return folder / "parts"
    if kind == "parquet":
        table.to_parquet(path, row_group_size=97)
    else:
        table.to_csv(path, index=False)
    return path


KINDS = ["parquet", "csv", "csv.gz", "parquet folder", "csv folder"]


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("kind", KINDS)
def test_batches_are_the_rows_that_are_read_at_once(mixed: pd.DataFrame, tmp_path: Path, kind: str) -> None:
    path = written(mixed, tmp_path, kind)
    batches = list(Stream.from_source(path).batches())
    assert len(batches) > 2
    assert all(column.num_chunks == 1 for batch in batches for column in batch.columns)
    assert pa.concat_tables(batches).equals(convert.read(path))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    fields=st.lists(
        st.sampled_from(["", "1", "-3", "2.5", "x", "true", "False", "NA", " 7", "1e3", "2020-01-01", "0", "9" * 20]),
        min_size=1,
        max_size=30,
    )
)
def test_types_of_a_csv_file_are_those_of_reading_it_at_once(tmp_path: Path, fields: list[str]) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "".join(f"{field},1\n" for field in fields), encoding="utf-8")
    found = [batch.schema.field("a").type for batch in Stream.from_source(path).batches()]
    whole = convert.read(path)
    mixes = {"true", "False"} & set(fields) and {"1", "0"} & set(fields)
    assert mixes or found[0] == whole.schema.field("a").type
    assert sum(batch.num_rows for batch in Stream.from_source(path).batches()) == whole.num_rows


def surveyed(table: pd.DataFrame, most: int, batch: int = 50) -> Survey:
    read = convert.read(table)
    return Survey.from_batches((read.slice(start, batch) for start in range(0, read.num_rows, batch)), 0, most)


columns = [
    frames.column("n", elements=st.integers(-5, 5) | st.sampled_from([10**6, -(10**6)])),
    frames.column("x", elements=st.floats(-1e6, 1e6, allow_subnormal=False) | st.none()),
    frames.column("c", elements=st.sampled_from(["u", "v", "w", "é", "aa"]) | st.none(), dtype=object),
    frames.column("b", elements=st.booleans()),
]


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(frames.data_frames(columns, index=frames.range_indexes(min_size=2, max_size=200)), st.integers(1, 40))
def test_what_a_schema_says_of_a_sample_and_its_witnesses_is_true_of_all_rows(table: pd.DataFrame, most: int) -> None:
    read, found = convert.read(table), surveyed(table, most, 30)
    assert found.rows == len(table)
    assert found.missing == {name: read.column(name).null_count for name in read.column_names}
    whole, draft = Schema.infer(read), Schema.infer(found.sample)
    for name in whole.names:
        ours, true = draft[name], whole[name]
        if ours.kind == true.kind:
            assert ours.bounds == true.bounds
            assert ours.nullable == true.nullable
    assert set(found.sample.column("c").to_pylist()) == set(read.column("c").to_pylist())
    if len(table) <= most:
        assert found.sample.equals(read)


def test_a_sample_is_drawn_evenly_from_all_rows() -> None:
    table = pd.DataFrame({"x": np.random.default_rng(1).normal(size=20_000), "place": np.arange(20_000.0)})
    found = surveyed(table, 2_000, 500).sample.column("place").to_numpy()
    assert 2_000 <= len(found) <= 2_100
    quarters = np.histogram(found, bins=4, range=(0, 20_000))[0]
    assert abs(quarters - len(found) / 4).max() < 4 * np.sqrt(len(found) / 4)


def test_witnesses_of_too_many_texts_are_dropped() -> None:
    table = pd.DataFrame({"name": [f"n{i}" for i in range(500)], "x": np.arange(500) % 7})
    table.loc[499, "x"] = 99
    before = surveyed(table, 20)
    assert before.sample.num_rows == 500
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("synthvae.tables.sampling.MAX_TEXTS", 100)
        after = surveyed(table, 20).sample
    assert after.num_rows < 60
    assert 99 in after.column("x").to_pylist()
    assert "n499" in after.column("name").to_pylist()  # the largest: fresh ids come after it


def test_a_count_of_the_rows_is_an_id() -> None:
    table = pd.DataFrame({"row": np.random.default_rng(0).permutation(3_000), "n": np.arange(3_000) % 50})
    assert surveyed(table, 200).sequences == ["row"]
    assert surveyed(table.assign(row=table["row"] // 2 * 2), 200).sequences == []


def with_rare_values(rows: int = 3_000) -> tuple[pd.DataFrame, Schema]:
    """Sentinel values and categories of 8 rows and of 2, in columns of many and of few numbers and texts."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=rows).round(3)
    table = pd.DataFrame(
        {
            "text": [f"{number:.3f}" for number in numbers],
            "number": numbers,
            "whole": rng.integers(0, 5_000, rows),
            "few": rng.choice([0.5, 1.5, np.nan], rows),
            "code": rng.choice([1, 2, 3], rows),
        }
    )
    pairs: dict[str, Any] = {
        "text": ("N", "rare"),
        "number": (-9.0, -8.0),
        "whole": (-9, -8),
        "few": (7.5, 8.5),
        "code": (8, 9),
    }
    places = iter(rng.permutation(rows))
    for name, (frequent, rare) in pairs.items():
        for value, count in ((frequent, 8), (rare, 2)):
            table.loc[[next(places) for _ in range(count)], name] = value
    kinds: dict[str, Any] = {"text": "continuous", "number": "continuous", "whole": "integer"}
    columns = [
        Column(name=n, kind=kinds.get(n, "categorical"), sentinels=pairs[n] if n in kinds else ()) for n in pairs
    ]
    return table, Schema(columns=columns)


@pytest.mark.parametrize("unit", [None, "unit"])
@pytest.mark.parametrize("most_texts", [sampling.MAX_TEXTS, 1_000])
@pytest.mark.parametrize("declared", [True, False])
def test_rare_values_of_a_stream_are_those_of_the_table(
    unit: str | None,
    most_texts: int,
    declared: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sampling, "MAX_TEXTS", most_texts)
    table, schema = with_rare_values()
    units = None
    if unit is not None:  # every second row has the subject of the row before
        table[unit] = np.arange(len(table)) // 2
    read = convert.read(table)
    sentinels = {column.name: column.sentinels for column in schema.columns} if declared else None
    parts = (read.slice(first, 500) for first in range(0, len(table), 500))
    survey = Survey.from_batches(parts, 0, 200, least=5, unit=unit, sentinels=sentinels)
    source = OnDisk(Stream((Path("t"),), 0, lambda: iter(())), survey, Path())
    units = units_of(read.column(unit)) if unit else None

    def rare(found: Protection) -> dict[str, set[Any]]:
        pairs = [(name, rule) for name, rules in found.rules.items() for rule in rules if isinstance(rule, Frequent)]
        return {name: set(rule.rare.to_pylist()) for name, rule in pairs}

    whole = rare(protect(read, schema, None, Subjects(5, units), unit))
    streamed = rare(source.protection(schema, None, 5, unit))
    assert whole == {"text": {"rare"}, "number": {-8.0}, "whole": {-8}, "few": {8.5}, "code": {9}}
    if not declared:  # numbers are not known to be sentinel values when they are counted
        for name in ("number", "whole"):
            del whole[name]
            streamed.pop(name, None)
    assert streamed == whole


def test_counts_of_a_survey_are_stored(tmp_path: Path) -> None:
    table, schema = with_rare_values()
    sentinels = {column.name: column.sentinels for column in schema.columns}
    batches = convert.read(table).to_batches()
    stream = Stream((Path("table"),), 0, lambda: iter(batches))
    source = OnDisk.open(stream, tmp_path, 0, least=5, sentinels=sentinels)
    again = OnDisk.open(Stream((Path("t"),), 0, lambda: iter(())), tmp_path, 0, least=5, sentinels=sentinels)
    for found in (source.survey, again.survey):
        assert found.rare["few"].to_pylist() == [8.5]
        assert {name: set(values.to_pylist()) for name, values in found.frequent.items()} == {
            "number": {-9.0},
            "whole": {-9},
        }


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("option", ["drop", "categorical", "ids"])
def test_a_large_table_is_drafted_with_decisions_on_what_counts_its_rows(tmp_path: Path, option: str) -> None:
    table = pd.DataFrame({"row": np.random.default_rng(0).permutation(3_000), "n": np.arange(3_000) % 50})
    source = OnDisk(Stream.from_source(written(table, tmp_path, "parquet")), surveyed(table, 200), tmp_path)
    given = Decisions(**{option: ["row"]}).apply(None, ["row", "n"])
    kept = ["n"] if option == "drop" else ["row", "n"]
    schema = source.drafted(draft(given, source.sample.select(kept)))
    assert schema.names == kept
    assert schema.declared == (() if option == "drop" else ("row",))
    assert {"drop": None, "categorical": "categorical", "ids": "id"}[option] in {None, schema.columns[0].kind}


@pytest.mark.usefixtures("large")
def test_codes_on_disk_are_those_in_memory(mixed: pd.DataFrame, tmp_path: Path) -> None:
    path = written(mixed, tmp_path, "parquet")
    source = OnDisk.open(Stream.from_source(path), tmp_path / "codes", 0)
    schema = source.drafted(Schema.infer(source.sample))
    assert schema["row"].kind == "id"
    encoding = TableEncoding.learn(source.sample, schema, "ill", 1)
    parts = source.coded(encoding, schema, 0)
    whole = InMemory(convert.read(path)).coded(encoding, schema, 0)
    assert isinstance(parts, Shards)
    assert len(parts.sizes) == 4
    assert sum(parts.sizes) == ROWS
    found = np.vstack([parts[place].digits for place in range(4)])
    assert sorted(map(tuple, found)) == sorted(map(tuple, whole.digits))
    labels = [parts[place].labels for place in range(4)]
    assert np.bincount(np.concatenate(labels)).tolist() == np.bincount(whole.labels).tolist()
    again = OnDisk.open(Stream.from_source(path), tmp_path / "codes", 0)
    assert again.sample.equals(source.sample)
    assert Shards.open(tmp_path / "codes") == parts
    (tmp_path / "codes" / "shard-001.bin").write_bytes(b"torn")
    assert Shards.open(tmp_path / "codes") is None


@pytest.mark.usefixtures("large")
def test_codes_on_disk_do_not_depend_on_threads(
    mixed: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(mixed, tmp_path, "parquet")
    files = []
    for cores in (1, 4):
        monkeypatch.setattr(ahead, "threads", lambda cores=cores: cores)
        source = OnDisk.open(Stream.from_source(path), tmp_path / str(cores), 0)
        schema = source.drafted(Schema.infer(source.sample))
        source.coded(TableEncoding.learn(source.sample, schema, "ill", 1), schema, 0)
        files.append([file.read_bytes() for file in sorted((tmp_path / str(cores)).glob("shard-*"))])
    assert files[0] == files[1]
    assert len(files[0]) > 1


@pytest.mark.slow
@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("kind", ["parquet", "csv folder"])
def test_a_table_on_disk_is_learned_like_one_in_memory(mixed: pd.DataFrame, tmp_path: Path, kind: str) -> None:
    path = written(mixed, tmp_path, kind)
    few: dict[str, Any] = {"target": "ill", "max_steps": 20, "random_state": 0}
    on_disk, in_memory = Synthesizer(**few).fit(path), Synthesizer(**few).fit(convert.read(path))
    told = on_disk.learned_.describe()
    assert told == in_memory.learned_.describe()
    assert on_disk.schema_["height"].bounds == in_memory.schema_["height"].bounds
    sample = on_disk.sample(500)
    assert sample.dtypes.equals(in_memory.sample(5).dtypes)
    assert set(sample["ward"].dropna()) <= {"a", "b", "c", "rare"}
    pd.testing.assert_frame_equal(on_disk.sample(50), Synthesizer(**few).fit(path).sample(50))
    assert on_disk.feature_names_in_.tolist() == list(mixed)


@pytest.mark.slow
@pytest.mark.usefixtures("large")
def test_parts_learn_as_well_as_the_whole(tmp_path: Path) -> None:
    table = load_breast_cancer(as_frame=True).frame.iloc[:, -8:].astype({"target": "string"})
    path = written(table, tmp_path, "parquet")
    few: dict[str, Any] = {"target": "target", "max_steps": 150, "random_state": 0, "validation_fraction": 0.2}
    held = table.sample(200, random_state=1)
    on_disk, in_memory = (Synthesizer(**few).fit(source).score(held) for source in (path, table))
    assert on_disk > in_memory - 0.5


@pytest.mark.usefixtures("large")
def test_a_dataset_is_learned_too(mixed: pd.DataFrame, tmp_path: Path) -> None:
    dataset = ds.dataset(written(mixed, tmp_path, "parquet folder"), format="parquet")
    assert Synthesizer(max_steps=2, random_state=0).fit(dataset).learned_.provenance.rows == ROWS


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.assign(ill=["once", *t["ill"][1:]]), "each class must have at least 2 rows.*'once'"),
        (
            lambda t: t.assign(name=[f"p{i}" for i in range(len(t))]),
            "'name' must have text that repeats, got 400 distinct values",
        ),
        (lambda t: t.assign(height=t["height"].replace(t["height"].max(), np.inf)), "'height'.*infinite"),
        (lambda t: t.head(1), "at least 2 rows"),
    ],
)
def test_what_cannot_be_learned_is_refused(mixed: pd.DataFrame, tmp_path: Path, spoil: Any, message: str) -> None:
    path = written(spoil(mixed), tmp_path, "parquet")
    with pytest.raises(TableError, match=message):
        Synthesizer(target="ill", max_steps=2, journal=tmp_path / "kept").fit(path)


@pytest.mark.usefixtures("large")
def test_a_row_that_breaks_a_declared_schema_is_named(mixed: pd.DataFrame, tmp_path: Path) -> None:
    schema = Schema.infer(mixed).declare("beds", kind="integer", bounds=(0, 20))
    with pytest.raises(TableError, match=r"'beds'.*bounds"):
        Synthesizer(schema=schema, max_steps=2).fit(written(mixed, tmp_path, "parquet"))


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("step", ["survey", "codes"])
def test_a_full_disk_is_told(mixed: pd.DataFrame, tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*{"survey": (Folder, "write"), "codes": (Shards, "write")}[step], full)
    with pytest.raises(ConfigurationError, match=r"cannot be written \(No space left on device\)\. Make room"):
        Synthesizer(max_steps=2).fit(written(mixed, tmp_path, "parquet"))
