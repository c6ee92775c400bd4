"""Shards hold each row once, and each is a random sample of all rows."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from synthvae.encoding import Codes
from synthvae.training.batches import LabelledRows
from synthvae.training.shards import Shards


def numbered(start: int, rows: int) -> Codes:
    """Rows that carry their number as a value."""
    numbers = np.arange(start, start + rows)
    return Codes((numbers % 7).astype(np.int8)[:, None], numbers.astype(np.float32)[:, None], numbers % 3)


def shards_of(sizes: list[int], least: int, seed: int, folder: Path) -> list[Codes]:
    """What lies in the shards of batches of such sizes."""
    starts = np.cumsum([0, *sizes])
    batches = [numbered(int(start), size) for start, size in zip(starts, sizes, strict=False)]
    shards = Shards.write(folder, batches, sum(sizes), np.random.default_rng(seed), least)
    assert Shards.open(folder) == shards
    return [shards[place] for place in range(len(shards.sizes))]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=5), st.integers(1, 8), st.integers(0, 9))
def test_each_row_is_in_one_shard_as_it_was(sizes: list[int], least: int, seed: int) -> None:
    with TemporaryDirectory() as folder:
        found = shards_of(sizes, least, seed, Path(folder))
    assert len(found) == least
    numbers = np.concatenate([codes.values[:, 0] for codes in found]).astype(int)
    assert sorted(numbers) == list(range(sum(sizes)))
    for codes in found:
        mine = codes.values[:, 0].astype(int)
        assert (codes.digits[:, 0] == mine % 7).all()
        assert (codes.labels == mine % 3).all()


@given(st.integers(1, 9), st.integers(0, 3), st.integers(1, 40))
def test_rows_of_any_width_can_be_learned(digits: int, values: int, rows: int) -> None:
    rng = np.random.default_rng(0)
    codes = Codes(rng.integers(0, 9, (rows, digits), np.int8), rng.random((rows, values), np.float32), np.arange(rows))
    with TemporaryDirectory() as folder:
        found = Shards.write(Path(folder), [codes], rows, rng)[0]
    order = found.labels
    batch = LabelledRows.from_codes(found, torch.device("cpu"))
    np.testing.assert_array_equal(batch.rows.digits, codes.digits[order])
    np.testing.assert_array_equal(batch.rows.values, codes.values[order])


def test_the_shard_of_a_row_says_nothing_of_that_of_the_next(tmp_path: Path) -> None:
    rows = 8_000
    of = np.empty(rows, int)
    for shard, codes in enumerate(shards_of([rows // 2] * 2, 4, 0, tmp_path)):
        of[codes.values[:, 0].astype(int)] = shard
    pairs = np.histogram2d(of[:-1], of[1:], bins=4)[0] / (rows - 1)
    assert abs(pairs - 1 / 16).max() < 0.01
