"""One file has the rows of the dataset of the same request, and appears when it is complete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from synthvae import Synthesizer
from synthvae.errors import RequestError
from synthvae.generation import single_file
from synthvae.generation.single_file import is_single_file
from synthvae.tables import read


@pytest.fixture(scope="module")
def model() -> Synthesizer:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "n": rng.integers(0, 9, 120),
            "x": rng.normal(size=120).round(2),
            "code": np.array(["007", "012", None], dtype=object)[rng.integers(0, 3, 120)],
            "y": np.array(["a", "b=c"])[rng.integers(0, 2, 120)],
        }
    )
    return Synthesizer(target="y", max_steps=3, width=8, random_state=0).fit(frame)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".xlsx"])
def test_a_file_has_the_rows_of_the_dataset(model: Synthesizer, tmp_path: Path, suffix: str) -> None:
    if suffix == ".xlsx":
        pytest.importorskip("openpyxl")
    model.generate(tmp_path / "rows", rows=500, random_state=1)
    manifest = model.generate(tmp_path / f"t{suffix}", rows=500, random_state=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows", f"t{suffix}"]
    assert manifest["parts"] == [{"file": f"t{suffix}", "rows": 500}]
    dataset, path = pd.read_parquet(tmp_path / "rows"), tmp_path / f"t{suffix}"
    if suffix == ".parquet":
        found = pd.read_parquet(path)
    elif suffix == ".csv":
        found = pd.read_csv(path, dtype={"code": str}, keep_default_na=False, na_values=[""])
    else:
        found = read(path).to_pandas()
    pd.testing.assert_frame_equal(found.astype(object), dataset.astype(object), check_dtype=False)


def test_several_parts_are_one_file(model: Synthesizer, tmp_path: Path) -> None:
    rows = 300_000
    manifest = model.generate(tmp_path / "t.csv", rows=rows, random_state=1)
    assert manifest["rows"] == rows
    frame = pd.read_csv(tmp_path / "t.csv", dtype=str)
    assert len(frame) == rows
    assert not (frame["y"] == "y").any()  # one header
    model.generate(tmp_path / "t.parquet", rows=rows, random_state=1)
    assert pq.read_metadata(tmp_path / "t.parquet").num_rows == rows


@pytest.mark.parametrize(("options", "message"), [({"partition": True}, "--partition"), ({"resume": True}, "--resume")])
def test_what_a_file_cannot_be_is_refused(
    model: Synthesizer, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=f"`{message}` needs a folder"):
        model.generate(tmp_path / "t.csv", rows=5, **options)
    assert not list(tmp_path.iterdir())


def test_an_existing_file_is_replaced_only_if_asked(model: Synthesizer, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("mine")
    with pytest.raises(RequestError, match=r"exists already. Pass --overwrite"):
        model.generate(tmp_path / "t.csv", rows=5)
    assert (tmp_path / "t.csv").read_text() == "mine"
    model.generate(tmp_path / "t.csv", rows=5, overwrite=True)
    assert len(pd.read_csv(tmp_path / "t.csv")) == 5


def test_no_rows_are_a_file_with_a_header(model: Synthesizer, tmp_path: Path) -> None:
    model.generate(tmp_path / "t.csv", rows=0)
    assert (tmp_path / "t.csv").read_text() == "n,x,code,y\n"


def test_more_rows_than_a_sheet_holds_are_refused_before_work(model: Synthesizer, tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    with pytest.raises(RequestError, match=r"at most 1,048,575 rows, got 2,000,000"):
        model.generate(tmp_path / "t.xlsx", rows=2_000_000)


def test_what_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    assert is_single_file(tmp_path / "t.csv")
    assert not any(is_single_file(p) for p in (tmp_path / "folder.csv", tmp_path / "t", "s3://b/t.csv", "t.csv/"))


@pytest.mark.parametrize("name", ["o.CSV", "o.tsv", "o.csv.gz", "o.json", "o.xls"])
def test_other_formats_are_refused_and_no_folder_is_named_as_a_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(RequestError, match="must end in"):
        single_file._refuse_other_formats(tmp_path / name)
