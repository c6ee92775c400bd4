"""Numbers drawn between others are no sentinel values."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from synthvae import Column
from synthvae.encoding.numeric import NumericEncoding
from synthvae.encoding.protocol import CodedColumn
from synthvae.encoding.sentinels import beside_sentinels


def test_a_number_of_a_curve_is_not_drawn_as_a_sentinel() -> None:
    incomes = np.random.default_rng(0).normal(0, 500, 4000).round().tolist()
    table = pa.table({"x": pa.array(incomes + [47] * 50)})
    encoding = NumericEncoding.learn(Column(name="x", kind="integer", sentinels=[47, -9]), table["x"])
    scores = np.linspace(-0.5, 0.5, 5000).astype(np.float32)
    coded = CodedColumn(np.full(5000, len(encoding.atoms)), np.random.default_rng(0), scores)
    drawn = encoding.decode(coded, pa.int64()).to_pylist()
    assert {46, 48} < set(drawn)
    assert 47 not in drawn


def test_a_number_moves_up_else_down_else_stays() -> None:
    moved = beside_sentinels(np.array([1.0, 2.0, 3.0, 5.0]), (2, "3", "N"), 0, 0, np.array([9, 9, 3, 9]))
    assert moved.tolist() == [1, 4, 1, 5]
    assert beside_sentinels(np.array([3.0]), (3,), 0, 3, 3).tolist() == [3]
    assert beside_sentinels(np.array([0.5, 0.25]), (0.5,), 2, 0, 1).tolist() == [0.51, 0.25]
