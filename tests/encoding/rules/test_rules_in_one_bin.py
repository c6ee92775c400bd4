"""Columns of one bin, of which a private fit knows nothing but the bounds: under rules, numbers are drawn within it."""

from __future__ import annotations

import numpy as np

from synthvae.encoding import TableEncoding
from synthvae.schema import Column, Inequality, Schema

ROWS = 2000


def test_numbers_of_one_bin_are_spread_and_keep_a_rule() -> None:
    columns = [Column(name=name, kind="integer", bounds=(0, 99), bins=(), nullable=False) for name in ("low", "high")]
    encoding = TableEncoding.declare(Schema(columns=columns, constraints=[Inequality(columns=["low", "high"])]), None)
    assert encoding.compiled_rules is not None
    rng = np.random.default_rng(0)
    numbers = encoding.compiled_rules.rows(encoding.layout, ROWS, rng).numbers
    low, high = numbers["low"], numbers["high"]
    assert (low <= high).all()
    assert set(high) == set(range(100))
    assert abs(high.mean() - 49.5) < 5 * 29 / ROWS**0.5
    assert abs((low / np.maximum(high, 1)).mean() - 0.5) < 0.05  # evenly below the other one
