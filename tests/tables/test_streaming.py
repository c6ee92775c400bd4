"""Which tables are read in batches."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from synthvae.errors import TableError
from synthvae.tables import convert, streaming


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress)])
def test_a_packed_file_counts_by_its_text(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    """One of equal rows is a thousand times as large as its file."""
    text = b"a,b\n" + b"1,2\n" * (80 << 20 >> 2)
    (tmp_path / f"t.csv.{suffix}").write_bytes(pack(text))
    size = streaming.Stream.from_source(tmp_path / f"t.csv.{suffix}").size
    assert size > len(text) / 5
    assert (tmp_path / f"t.csv.{suffix}").stat().st_size < 1 << 20


@pytest.mark.parametrize("name", ["T.CSV", "t.Tsv", "t.csv.GZ", "t.csv.bz2"])
def test_suffixes_may_be_in_capitals_and_files_damaged(tmp_path: Path, name: str) -> None:
    """Whether a file can be read is not decided here."""
    (tmp_path / name).write_bytes(b"a\tb\n1\t2\n" if name == "t.Tsv" else b"a,b\n1,2\n")
    if name[0] == "T" or name == "t.Tsv":
        assert streaming.Stream.from_source(tmp_path / name).size == 8
        assert convert.read(tmp_path / name).num_rows == 1
    else:
        with pytest.raises(TableError, match="cannot be read"):
            streaming.large(tmp_path / name)


def test_the_size_of_a_small_packed_file_is_that_of_its_text(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).normal(size=10_000)
    text = b"x\n" + "\n".join(map(repr, numbers.tolist())).encode()
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text))
    (tmp_path / "t.csv").write_bytes(text)
    sizes = {streaming.Stream.from_source(tmp_path / name).size for name in ("t.csv", "t.csv.gz")}
    assert sizes == {len(text)}
