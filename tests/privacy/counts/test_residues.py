"""Residues of numbers: weights follow the counts where these are more than noise, and are even where they are not."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from synthvae import Schema
from synthvae.encoding.binned import BinnedEncoding
from synthvae.privacy import Event, Ledger, PrivacyBudget, mechanisms
from synthvae.privacy.counts.residues import RESIDUES, rounded_columns, weights, with_residues
from synthvae.privacy.curator import Curator

COLUMNS = [
    {"name": "weight", "kind": "integer", "bounds": (0, 300), "nullable": False},
    {"name": "price", "kind": "continuous", "decimals": 1, "bounds": (0, 900), "nullable": True},
    {"name": "few", "kind": "integer", "bounds": (0, 9), "nullable": False},
    {"name": "length", "kind": "continuous", "bounds": (0, 2), "nullable": False},
    {"name": "sex", "kind": "categorical", "categories": ["f", "m"], "nullable": False},
]


def test_columns_of_many_numbers_with_public_decimals_are_counted() -> None:
    assert rounded_columns(Schema(columns=COLUMNS)) == ["weight", "price"]


def test_weights_are_the_counts_where_noise_is_small_and_even_where_it_is_large() -> None:
    counts = np.where(np.arange(30) % 5, 10, 1000)
    assert weights(counts, 1.0) == pytest.approx(counts / counts.mean(), abs=0.01)
    noise = np.round(np.random.default_rng(0).normal(0, 50, 30)).astype(np.int64)
    assert np.ptp(weights(300 + noise, 60.0)) < 0.1
    assert weights(np.zeros(30, np.int64), 5.0).tolist() == [1.0] * 30
    assert (weights(noise, 5.0) >= 0).all()


def test_each_column_is_one_release_whose_noise_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mechanisms, "_discrete_gaussian", lambda *asked: np.zeros(asked[1], np.int64))
    encodings = {
        "weight": BinnedEncoding(edges=(0, 100, 300), decimals=0, missing=False),
        "price": BinnedEncoding(edges=(0, 100, 900), decimals=1, missing=True),
    }
    weight, price = [5 * k for k in range(60)] + [7], [None, 0.5, 1.0] + [10.0] * 58
    table = pa.table({"weight": weight, "price": pa.array(price, pa.float64())})
    curator = Curator(Ledger(budget=PrivacyBudget(epsilon=3.0, delta=1e-6, rows=61)))
    event = Event.of_counts(RESIDUES, 1, 9.0, times=2, purpose="last digits")
    found = with_residues(encodings, list(encodings), table, curator, curator.record(event))
    for name, values in (("weight", weight), ("price", [10 * v for v in price if v is not None])):
        counts = np.bincount([round(v) % 30 for v in values], minlength=30)
        assert np.ptp(counts) > 0
        assert found[name].residues == pytest.approx(weights(counts, event.scale).tolist())
    assert not encodings["weight"].residues
