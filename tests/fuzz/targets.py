"""What a stranger may hand in, one function for each: bytes go in, and only our own errors may come out."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow as pa
import readers

from synthvae import Column, Schema, Synthesizer
from synthvae.encoding import TableEncoding
from synthvae.errors import SynthvaeError
from synthvae.generation import stores
from synthvae.generation import stores as dataset
from synthvae.recipe import Recipe
from synthvae.schema.domain import refuse_undeclared
from synthvae.synthesizer import artifact
from synthvae.tables import ReadOptions, convert, rowwise, statistical

Target = Callable[[bytes], None]


@functools.cache
def table() -> pd.DataFrame:
    """A row of each kind of column there is, forty times."""
    rng, rows = np.random.default_rng(0), 40
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 400, rows), "D")
    return pd.DataFrame(
        {
            "id": np.arange(5, 5 + rows),
            "dose": rng.normal(size=rows).round(2),
            "lab": [*map(str, range(10, 8 + rows)), "N", None],
            "seen": days,
            "day": days.strftime("%Y-%m-%d"),
            "sex": pd.Categorical(rng.choice(["F", "M"], rows)),
            "site": rng.choice(["a/b", "..", "ü ß"], rows),
        }
    )


@functools.cache
def model() -> dict[str, bytes]:
    """The files of a small model."""
    parameters: dict[str, Any] = {"max_steps": 4, "width": 8, "latent_dim": 2, "device": "cpu", "random_state": 0}
    schema = Schema.infer(table()).declare("id", kind="id").declare("lab", kind="integer", sentinels=["N"])
    with room() as folder:
        Synthesizer(target="site", schema=schema, **parameters).fit(table()).save(folder / "model")
        return {path.name: path.read_bytes() for path in (folder / "model").iterdir()}


@functools.cache
def files() -> dict[str, bytes]:
    """What lies in the folder of a small dataset, whole, or as it was when its run was killed."""
    with room() as folder:
        whole = generated(folder, {})
        staging = {f"{stores.STAGING}/{name}": content for name, content in whole.items()}
        plan = json.loads(whole[dataset.MANIFEST])
        staging[stores.PLAN] = json.dumps({**plan, "parts": 1}).encode()
        record = json.dumps(plan["parts"]).encode()
        return {**whole, **staging, f"{stores.STAGING}/part-00000.json": record}


def generated(
    folder: Path, there: dict[str, bytes], *, resume: bool = False, overwrite: bool = False
) -> dict[str, bytes]:
    """The files of a dataset that is written over what is `there`."""
    place(folder / "model", model())
    place(folder / "out", there)
    loaded().generate(folder / "out", rows=3, random_state=0, resume=resume, overwrite=overwrite)
    return {str(p.relative_to(folder / "out")): p.read_bytes() for p in (folder / "out").rglob("*") if p.is_file()}


@functools.cache
def loaded() -> Synthesizer:
    """The small model, loaded."""
    with room() as folder:
        return Synthesizer.load(place(folder, model()), device="cpu")


@contextlib.contextmanager
def room() -> Iterator[Path]:
    """A folder of its own, in memory if that can be."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=memory if memory.is_dir() else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def place(folder: Path, content: dict[str, bytes]) -> Path:
    """Write files into a folder."""
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@contextlib.contextmanager
def refused() -> Iterator[None]:
    """Our own errors may come out, in one line, for a reason other than that memory ran out; nothing else may."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except SynthvaeError as error:
            said = str(error)
        else:
            return
    assert "\n" not in said, said
    assert len(said) < 10_000, len(said)
    assert "allocat" not in said, said


def schema_page(data: bytes) -> None:
    """A schema; what is read can be written, and is read again."""
    with room() as folder, refused():
        read = Schema.from_yaml(place(folder, {"schema.yaml": data}) / "schema.yaml")
        again = Schema.from_yaml(read.to_yaml() + "\n")
        assert repr(again.to_dict()) == repr(read.to_dict())
        for column in read.columns:
            check_column(column)
        TableEncoding.declare(refuse_undeclared(read), None).layout.slots  # noqa: B018 (reckoned when it is asked for)


def check_column(column: Column) -> None:
    """Values of any type obey a column, or are refused."""
    frame = table()
    for name in frame:
        with refused():
            values = pa.array(frame[name], from_pandas=True)
            Schema(columns=[column]).check(pa.table({column.name: values}))


def recipe_page(data: bytes) -> None:
    """A recipe."""
    with room() as folder, refused():
        Recipe.read(place(folder, {"study.yaml": data}) / "study.yaml")


def signed(page: bytes, weights: bytes) -> bytes:
    """A page with checksums that are right, as a stranger would write them."""
    try:
        document = json.loads(page)
        document["weights_sha256"] = hashlib.sha256(weights).hexdigest()
        document["sha256"] = artifact._checksum(document)
        return json.dumps(document).encode()
    except (ValueError, TypeError, RecursionError):
        return page


def load_and_use(files: dict[str, bytes]) -> None:
    """What is loaded can be used, or should not have been loaded."""
    with room() as folder, refused():
        read = Synthesizer.load(place(folder, files), device="cpu")
        read.card()
        rows = read.sample(5, random_state=0)
        assert list(rows.columns) == list(read.encoding_.names)


def model_page(data: bytes) -> None:
    """`synthvae.json`."""
    weights = model()[artifact.WEIGHTS]
    load_and_use({artifact.WEIGHTS: weights, artifact.DOCUMENT: signed(data, weights)})


def model_weights(data: bytes) -> None:
    """`model.safetensors`."""
    load_and_use({artifact.WEIGHTS: data, artifact.DOCUMENT: signed(model()[artifact.DOCUMENT], data)})


def dataset_folder(data: bytes) -> None:
    """A manifest, plan or record in the folder of a dataset; the first byte says which, and what is asked.

    Whatever is written there, nothing outside the folder is made, changed or removed.
    """
    names = sorted(name for name in files() if name.endswith(".json"))
    pick, data = (data[0], data[1:]) if data else (0, b"")
    staged = {name: content for name, content in files().items() if (pick & 1) or stores.STAGING not in name}
    there = {**staged, [*names, stores.OLD][(pick >> 3) % (len(names) + 1)]: data}
    with room() as folder:
        place(folder, {"precious.txt": b"mine", "beside/precious.txt": b"mine"})
        with refused():
            generated(folder, there, resume=bool(pick & 2), overwrite=bool(pick & 4))
        beside = {path.name for path in folder.iterdir()}
        assert beside == {"precious.txt", "beside", "model", "out"}, beside
        assert (folder / "precious.txt").read_bytes() == b"mine"
        assert [path.name for path in (folder / "beside").iterdir()] == ["precious.txt"]


def read_table(name: str, data: bytes) -> None:
    """A table file; the schema that is inferred of it holds for it, and can be written."""
    # In this process, whose end a long run counts as a find: the users' own process reads on (`test_finds.py`).
    here = mock.patch.object(statistical, "read_isolated", lambda read, *arguments: read(*arguments))
    with room() as folder, refused(), here:
        path = place(folder, {name: data}) / name
        database = name.endswith(".db")
        options = ReadOptions(query="SELECT * FROM t" if database else None)
        read = convert.read(f"sqlite:///{path}" if database else path, options=options)
        schema = Schema.infer(read)
        convert.to_pandas(schema.check(read))
        Schema.from_yaml(schema.to_yaml() + "\n")


def csv_file(data: bytes) -> None:
    """A CSV file, as typed values and as texts."""
    read_table("table.csv", data)
    with room() as folder, refused():
        text = rowwise.read(place(folder, {"table.csv": data}) / "table.csv")
        Schema(columns=[Column(name=name, kind="categorical") for name in text.column_names]).check(text)


def packed_csv(data: bytes) -> None:
    """A compressed CSV file."""
    read_table("table.csv.gz", data)


def parquet_file(data: bytes) -> None:
    """A Parquet file."""
    read_table("table.parquet", data)


TARGETS: dict[str, Target] = {
    "schema": schema_page,
    "recipe": recipe_page,
    "page": model_page,
    "weights": model_weights,
    "dataset": dataset_folder,
    "csv": csv_file,
    "packed": packed_csv,
    "parquet": parquet_file,
    **{name: functools.partial(read_table, f"table{suffix}") for name, suffix in readers.SUFFIX.items()},
}
