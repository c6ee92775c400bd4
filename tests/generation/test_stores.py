"""Datasets in an object store: a server of S3, in this process, as its clients see it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from pyarrow import fs
from written import FACTS, PARTS, draw, expected, failing, other, write

from synthvae import Synthesizer
from synthvae.errors import DatasetError
from synthvae.generation import request, stores
from synthvae.generation.request import Draw

BUCKET = "bucket"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Where S3 is, with an empty bucket, for as long as this module is tested."""
    moto = pytest.importorskip("moto.server", reason="no S3 server")
    credentials = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_EC2_METADATA_DISABLED": "true"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in credentials.items():
            patch.setenv(name, value)
        running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        running.start()
        host, port = running.get_host_and_port()
        options = f"endpoint_override=http://{host}:{port}&region=us-east-1"
        fs.S3FileSystem(
            endpoint_override=f"{host}:{port}", scheme="http", region="us-east-1", allow_bucket_creation=True
        ).create_dir(BUCKET)
        yield options
        running.stop()


@pytest.fixture
def place(server: str) -> str:
    """A prefix that nothing has."""
    return f"s3://{BUCKET}/{uuid.uuid4().hex}/out?{server}"


def objects(place: str) -> dict[str, bytes]:
    """All objects below a prefix, the growing ones included."""
    system, root = fs.FileSystem.from_uri(place)
    found = system.get_file_info(fs.FileSelector(root, recursive=True, allow_not_found=True))
    files = [info.path for info in found if info.type == fs.FileType.File]
    return {path.removeprefix(f"{root}/"): system.open_input_stream(path).read() for path in files}


both = pytest.mark.parametrize("options", [{}, {"partition_by": "label"}], ids=["flat", "partitioned"])


@both
def test_a_store_holds_the_bytes_of_a_folder(place: str, tmp_path: Path, options: dict[str, Any]) -> None:
    manifest = write(place, draw, PARTS, FACTS, **options)
    assert objects(place) == expected(tmp_path, **options)
    assert json.loads(objects(place)["_manifest.json"]) == manifest
    system, root = fs.FileSystem.from_uri(place)
    assert ds.dataset(root, filesystem=system, format="parquet").count_rows() == 20 * PARTS
    read = pd.read_parquet(root, filesystem=system)
    assert sorted(read["x"]) == list(range(20 * PARTS))


@pytest.mark.slow
def test_workers_write_to_a_store(place: str, tmp_path: Path) -> None:
    write(place, draw, PARTS, FACTS, workers=2)
    assert objects(place) == expected(tmp_path)


def test_a_synthesizer_writes_to_a_store(
    fitted: Synthesizer, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request, "PART_ROWS", 50)
    assert fitted.generate(place, rows=130, random_state=3) == fitted.generate(tmp_path, rows=130, random_state=3)
    assert objects(place) == {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert fitted.generate(place, rows=130, random_state=3, resume=True)["rows"] == 130


def test_a_uri_of_files_is_a_folder(tmp_path: Path) -> None:
    write((tmp_path / "out").as_uri(), draw, PARTS, FACTS)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == expected(tmp_path)


def _without_manifest(place: str, part: int) -> pa.Table:
    assert "_manifest.json" not in objects(place)
    return draw(part)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_store_has_no_manifest_while_parts_are_written(place: str, *, overwrite: bool) -> None:
    if overwrite:
        write(place, other, PARTS, FACTS)
    write(place, partial(_without_manifest, place), PARTS, FACTS, overwrite=overwrite)
    assert len(objects(place)) == PARTS + 1


@both
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("the line is dead")], ids=repr)
def test_what_broke_off_is_resumed_to_the_same_bytes(
    place: str, tmp_path: Path, error: BaseException, options: dict[str, Any]
) -> None:
    write(place, other, PARTS + 2, FACTS)
    with pytest.raises((KeyboardInterrupt, DatasetError), match="--resume"):
        write(place, failing(error), PARTS, FACTS, overwrite=True, **options)
    with pytest.raises(DatasetError, match="--resume"):
        write(place, draw, PARTS, FACTS, **options)
    write(place, draw, PARTS, FACTS, resume=True, **options)
    assert objects(place) == expected(tmp_path, **options)


def test_another_request_takes_the_place_of_what_broke_off(place: str, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write(place, failing(KeyboardInterrupt(), rows=other), PARTS, {"seed": 9}, partition_by="label")
    write(place, draw, PARTS, FACTS, overwrite=True)
    assert objects(place) == expected(tmp_path)


def _change(store: stores.Store, file: str) -> None:
    store.write(file, b"changed")


def _remove(store: stores.Store, file: str) -> None:
    store.remove([file])


@pytest.mark.parametrize("harm", [_change, _remove])
@pytest.mark.parametrize("file", ["part-00001.parquet", ".incomplete/part-00001.json"])
def test_a_harmed_part_of_a_store_is_drawn_again(place: str, tmp_path: Path, file: str, harm: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        write(place, failing(KeyboardInterrupt()), PARTS, FACTS)
    harm(stores.open_store(place), file)
    write(place, draw, PARTS, FACTS, resume=True)
    assert objects(place) == expected(tmp_path)


class _Stops:
    """Breaks off before the nth change of a store."""

    def __init__(self, step: int, patch: pytest.MonkeyPatch) -> None:
        self.left = step
        for name in ("write", "clear", "remove"):
            patch.setattr(stores.ObjectStore, name, self._guard(getattr(stores.ObjectStore, name)))

    def _guard(self, original: Any) -> Any:
        def changes(*args: Any) -> Any:
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt
            return original(*args)

        return changes


@pytest.mark.slow
@pytest.mark.parametrize("rows", [None, other], ids=["fresh", "overwriting"])
def test_a_store_broken_off_before_any_change_can_be_resumed(server: str, tmp_path: Path, rows: Draw | None) -> None:
    """Its manifest, while there is one, lists what is there."""
    undisturbed, step, stopped = expected(tmp_path), 0, True
    while stopped:
        step += 1
        place = f"s3://{BUCKET}/{uuid.uuid4().hex}?{server}"
        if rows is not None:
            write(place, rows, PARTS + 1, FACTS)
        with pytest.MonkeyPatch.context() as patch:
            stops = _Stops(step, patch)
            try:
                write(place, draw, PARTS, FACTS, overwrite=True)
            except KeyboardInterrupt:
                assert stops.left == 0
        stopped = stops.left <= 0
        left = objects(place)
        assert all(part["file"] in left for part in json.loads(left.get("_manifest.json", b'{"parts": []}'))["parts"])
        write(place, draw, PARTS, FACTS, resume=True, overwrite=True)
        assert objects(place) == undisturbed, step
    assert step > 10


def test_foreign_objects_are_left_alone(place: str) -> None:
    stores.open_store(place).write("part-00000.parquet", b"mine")
    with pytest.raises(DatasetError, match="Choose another"):
        write(place, draw, PARTS, FACTS, overwrite=True, resume=True)
    assert objects(place) == {"part-00000.parquet": b"mine"}


@pytest.mark.parametrize("uri", ["s3://absent-bucket/out?", "ftp://key:secret@host/out?", "s3://key:secret@?"])
def test_a_place_that_is_none_is_one_error(server: str, uri: str) -> None:
    with pytest.raises(DatasetError) as caught:
        write(f"{uri}{server}", draw, PARTS, FACTS)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_message_shows_no_credentials(server: str) -> None:
    assert "secret" not in str(stores.open_store(f"s3://key:secret@{BUCKET}/out?{server}"))
    with pytest.raises(DatasetError) as caught:
        write(f"s3://key:secret@absent-bucket/out?{server}", draw, PARTS, FACTS)
    assert "secret" not in str(caught.value)
