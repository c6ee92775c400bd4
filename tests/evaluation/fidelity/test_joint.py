"""Joint distributions for charts: shares of all rows, as a plain loop counts them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from synthvae.evaluation import Comparison
from synthvae.evaluation.fidelity.joint import joint_shares


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    rng = np.random.default_rng(0)
    frames = [
        pd.DataFrame(
            {
                "amount": np.where(rng.random(300) < 0.1, np.nan, rng.exponential(size=300)),
                "ward": [f"w{k}" for k in rng.integers(0, 12, 300)],
                "sex": pd.Series(["f", "m", None]).sample(300, replace=True, random_state=rng).to_numpy(),
            }
        )
        for _ in range(2)
    ]
    return Comparison.from_tables(*frames)


def test_shares_of_each_pair_add_up_to_one(comparison: Comparison) -> None:
    found = joint_shares(comparison, [("amount", "ward"), ("ward", "sex")])
    sums = found.groupby(["first", "second"], sort=False)[["real", "synthetic"]].sum()
    np.testing.assert_allclose(sums, 1)
    assert sums.index.tolist() == [("amount", "ward"), ("ward", "sex")]
    levels = found.groupby("first")["first_level"].nunique()
    assert levels["ward"] == 8 + 1  # others
    assert levels["amount"] == 8 + 1  # missing values


def test_categories_are_counted_as_by_a_plain_loop(comparison: Comparison) -> None:
    found = joint_shares(comparison, [("ward", "sex")])
    frequent = comparison.real["ward"].value_counts().index[:8]
    for who in ("real", "synthetic"):
        rows = getattr(comparison, who)
        pairs = zip(rows["ward"], rows["sex"], strict=True)
        counted = Counter((w if w in frequent else "other", "missing" if pd.isna(s) else s) for w, s in pairs)
        known = found.groupby(["first_label", "second_label"])[who].sum()
        assert {pair: share for pair, share in known.items() if share} == pytest.approx(
            {pair: count / len(rows) for pair, count in counted.items()}
        )


def test_intervals_of_numbers_hold_equal_shares_of_real_rows(comparison: Comparison) -> None:
    found = joint_shares(comparison, [("amount", "sex")]).groupby("first_label", sort=False)["real"].sum()
    present = found.drop("missing")
    assert present.max() - present.min() <= 2 / 300
    assert found["missing"] == pytest.approx(comparison.real["amount"].isna().mean())


def test_no_pairs_have_no_rows(comparison: Comparison) -> None:
    assert joint_shares(comparison, []).empty
