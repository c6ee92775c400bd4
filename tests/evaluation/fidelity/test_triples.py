"""Triples of columns: a plain loop, and relations of three columns that pairs do not show."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from synthvae.evaluation.comparison import Comparison, shuffle_columns
from synthvae.evaluation.fidelity.section import fidelity
from synthvae.evaluation.fidelity.triples import BINS, column_triples, similarity


def parity(rows: int, seed: int, related: float = 1.0) -> pd.DataFrame:
    """Two random bits, their exclusive or with a probability (else a third random bit), and a number."""
    rng = np.random.default_rng(seed)
    first, second, other = rng.integers(0, 2, (3, rows))
    third = np.where(rng.random(rows) < related, first ^ second, other)
    bits = {name: np.where(bit, "one", "none") for name, bit in (("a", first), ("b", second), ("c", third))}
    return pd.DataFrame({**bits, "x": rng.normal(size=rows)})


def measured(real: pd.DataFrame, synthetic: pd.DataFrame) -> float:
    comparison = Comparison.from_tables(real, synthetic)
    rng = np.random.default_rng(0)
    return similarity(comparison, column_triples(list(comparison.kinds), rng), rng)


def test_similarity_equals_a_plain_loop() -> None:
    real, synthetic = parity(300, 0), parity(200, 1, 0.5)
    real.loc[:20, "x"] = np.nan
    real.loc[30:50, "a"] = None
    edges = np.quantile(real["x"].dropna(), np.arange(1, BINS) / BINS)

    def cell(row: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(
            "missing" if value is None or value != value  # noqa: PLR0124 (NaN)
            else sum(value >= edge for edge in edges) if isinstance(value, float) else value
            for value in row
        )  # fmt: skip

    found = []
    for names in (["a", "b", "c"], ["a", "b", "x"], ["a", "c", "x"], ["b", "c", "x"]):
        tables = [rows[names].astype(object).itertuples(index=False, name=None) for rows in (real, synthetic)]
        here, there = (Counter(map(cell, table)) for table in tables)
        found.append(sum(min(here[key] / len(real), there[key] / len(synthetic)) for key in here))
    assert measured(real, synthetic) == pytest.approx(np.mean(found))


def test_triples_are_different_and_in_order() -> None:
    names = [str(place) for place in range(40)]
    few, many = (column_triples(names[:count], np.random.default_rng(0)) for count in (5, 40))
    assert len(few) == 10
    assert 190 < len(many) == len(set(many)) <= 200
    assert all(int(a) < int(b) < int(c) for a, b, c in many)
    assert not column_triples(names[:2], np.random.default_rng(0))


def test_relations_of_three_columns_count() -> None:
    """Each two of the bits are independent, so that pairs are those of real rows while triples are not."""
    real = parity(2000, 0)
    lost = fidelity(Comparison.from_tables(real, parity(2000, 1, 0.0)), 0)
    good = fidelity(Comparison.from_tables(real, parity(2000, 1)), 0)
    assert lost["trend"].value == pytest.approx(good["trend"].value, abs=0.03)
    assert lost["triples"].value < good["triples"].value - 0.06
    assert measured(real, real) == 1
    assert measured(real, shuffle_columns(real, 2000, np.random.default_rng(0))) < 0.9
