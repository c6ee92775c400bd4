"""Distances of joint distributions and shares of variance, against plain loops."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthvae.evaluation.linked.joint_distances import (
    Binning,
    counts_distance,
    joint,
    total_variation,
    transition_distance,
    variance_share,
)

CODES = st.lists(st.integers(0, 4), min_size=1, max_size=30).map(np.array)


@given(CODES, CODES)
def test_total_variation_is_half_the_sum_of_differences(first: np.ndarray, second: np.ndarray) -> None:
    here, there = Counter(first.tolist()), Counter(second.tolist())
    expected = sum(abs(here[c] / len(first) - there[c] / len(second)) for c in {*here, *there}) / 2
    assert total_variation(first, second) == pytest.approx(expected)
    assert total_variation(first, first) == 0


@given(CODES, CODES)
def test_distance_of_counts_is_the_largest_difference_of_shares(first: np.ndarray, second: np.ndarray) -> None:
    expected = max(abs((first <= n).mean() - (second <= n).mean()) for n in range(5))
    assert counts_distance(first, second) == pytest.approx(expected)


@given(CODES, CODES)
def test_transitions_weigh_states_by_their_real_share(first: np.ndarray, second: np.ndarray) -> None:
    if min(len(first), len(second)) < 2:
        return
    pairs = [list(zip(codes[:-1].tolist(), codes[1:].tolist(), strict=True)) for codes in (first, second)]
    expected = 0.0
    for state, _ in pairs[0]:
        here, there = (np.array([after for before, after in p if before == state]) for p in pairs)
        expected += total_variation(here, there) if len(there) else 1.0
    found = transition_distance((first[:-1], first[1:]), (second[:-1], second[1:]))
    assert found == pytest.approx(expected / len(pairs[0]))


def test_share_of_variance_is_that_of_a_random_effect() -> None:
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(4000), 4)
    effect = rng.normal(0, 2, 4000)[subjects] + rng.normal(0, 1, len(subjects))
    assert variance_share(pd.Series(effect), subjects) == pytest.approx(0.8, abs=0.02)
    assert variance_share(pd.Series(rng.permutation(effect)), subjects) == pytest.approx(0, abs=0.02)
    usual = pd.Series(pd.Categorical(rng.choice(list("abc"), 4000)[subjects]))
    assert variance_share(usual, subjects) == pytest.approx(1)
    mixed = usual.where(rng.random(len(subjects)) < 0.5, pd.Series(rng.choice(list("abc"), len(subjects))))
    assert variance_share(mixed, subjects) == pytest.approx(0.25, abs=0.03)
    assert np.isnan(variance_share(pd.Series(np.ones(8)), np.repeat([0, 1], 4)))
    assert np.isnan(variance_share(pd.Series(effect[:5]), np.arange(5)))


def test_bins_are_quantiles_and_the_most_frequent_categories() -> None:
    rng = np.random.default_rng(0)
    names = [f"c{i}" for i in range(100)]
    label = pd.Series(pd.Categorical(rng.choice(names[:90], 20_000), categories=names))
    rows = pd.DataFrame({"number": np.arange(20_000.0), "label": label})
    rows.loc[:9, ["number", "label"]] = None
    binning = Binning.from_rows(rows, 20_000)
    numbers, labels = (binning.codes(rows[name]) for name in rows)
    assert np.unique(numbers).tolist() == list(range(21))
    assert (numbers[:10] == 20).all()
    assert labels.max() == 61
    assert len(np.unique(joint(numbers, labels))) <= 21 * 62
    assert len(np.unique(Binning.from_rows(rows, 500).codes(rows["number"]))) == 6
