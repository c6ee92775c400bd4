"""Trees of columns: edges without a circle, and draws with the frequencies that they were given."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthvae.encoding import Layout
from synthvae.privacy import Event, Ledger, Plan, PrivacyBudget, mechanisms
from synthvae.privacy.allocation import Allocation, Scope
from synthvae.privacy.counts import marginals
from synthvae.privacy.counts.tree import CodedTree, Tree, matched, rooted, spanning_forest
from synthvae.privacy.curator import Curator, Tables

law = settings(deadline=None, max_examples=60)


@law
@given(st.integers(2, 8), st.randoms(use_true_random=False))
def test_a_forest_has_no_circle_and_weighs_most(columns: int, random: object) -> None:
    rng = np.random.default_rng(random.getrandbits(32))  # type: ignore[attr-defined]
    names = [f"c{i}" for i in range(columns)]
    scores = {pair: float(rng.normal()) for pair in combinations(names, 2)}
    edges = spanning_forest(scores)
    assert len(edges) < columns
    assert all(scores[edge] > 0 for edge in edges)
    left_out = [pair for pair in scores if scores[pair] > 0 and pair not in edges]
    for pair in left_out:  # its ends hang together by edges that score more
        assert connected(pair, [edge for edge in edges if scores[edge] >= scores[pair]])
    children = [child for _, child in rooted(edges)]
    assert len(set(children)) == len(edges)  # each has one parent


def connected(pair: tuple[str, str], edges: list[tuple[str, str]]) -> bool:
    reached = {pair[0]}
    for _ in edges:
        reached |= {name for edge in edges if reached & set(edge) for name in edge}
    return pair[1] in reached


def test_draws_have_the_frequencies_of_the_tree() -> None:
    """Two classes, a chain a -> b; c alone."""
    rng = np.random.default_rng(0)
    singles = {name: rng.dirichlet(np.ones(3), 2) for name in "abc"}
    joint = rng.dirichlet(np.ones(9), 2).reshape(2, 3, 3)
    given = matched(joint, singles["b"])
    tree = Tree(singles, {"b": ("a", given)})
    source = CodedTree(tree, Layout.from_levels({"a": 3, "const": 1, "b": 3, "c": 3}))
    for label in (0, 1):
        digits = source.sample(label, 20_000, torch.Generator().manual_seed(0)).digits.numpy()
        shares = [np.bincount(digits[:, j], minlength=3) / len(digits) for j in range(3)]
        np.testing.assert_allclose(shares[0], singles["a"][label], atol=1e-3)
        np.testing.assert_allclose(shares[2], singles["c"][label], atol=1e-3)
        both = np.bincount(digits[:, 0] * 3 + digits[:, 1], minlength=9).reshape(3, 3) / len(digits)
        expected = singles["a"][label][:, None] * given[label] / given[label].sum(1, keepdims=True)
        np.testing.assert_allclose(both, expected, atol=2e-3)


def test_without_noise_a_tree_is_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three columns of which two are the same, the edge between these is found, and its table is exact."""
    monkeypatch.setattr(mechanisms, "_discrete_gaussian", lambda *asked: np.zeros(asked[1], np.int64))
    rng = np.random.default_rng(1)
    labels, a, c = (rng.integers(0, k, 4000) for k in (2, 5, 4))
    states = np.stack([labels, a, a, c], 1)
    curator = Curator(Ledger(budget=PrivacyBudget(epsilon=1.0, delta=1e-5, rows=4000)))
    allocation = Allocation.record(curator, Scope(0, 0, 3), Plan(strategy="tables"), lambda: 4000)
    tables = Tables(curator, states, [2, 5, 5, 4])
    tree = marginals.release_tree(tables, ["a", "same", "c"], np.bincount(labels).astype(float), allocation)
    assert [event.left for event in (allocation.singles, allocation.scores, allocation.pairs) if event] == [0, 0, 0]
    assert list(tree.given) == ["same"]
    drawn = tree.draw(labels, np.random.default_rng(2))
    assert (drawn["a"] == drawn["same"]).mean() > 0.99


def test_distances_are_those_of_a_plain_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mechanisms, "_discrete_gaussian", lambda *asked: np.zeros(asked[1], np.int64))
    rng = np.random.default_rng(3)
    states = rng.integers(0, 3, (50, 3))
    curator = Curator(Ledger(budget=PrivacyBudget(epsilon=1.0, delta=1e-5)))
    event = Event(name="off", mechanism="discrete Gaussian", noise_multiplier=20, sensitivity=1)
    tables = Tables(curator, states, [3, 3, 3])
    guess = rng.uniform(0, 5, (3, 3))
    counts = [[sum(row[1] == i and row[2] == j for row in states.tolist()) for j in range(3)] for i in range(3)]
    loop = sum(abs(counts[i][j] - round(guess[i, j])) for i in range(3) for j in range(3))
    assert tables.distances(curator.record(event), [(1, 2)], lambda _: guess).tolist() == [loop]
    assert curator.ledger.events == (event,)
