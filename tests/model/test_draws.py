"""The uniform numbers behind the draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from synthvae.model.draws import BLOCK, Uniforms, draw, match_marginal

ROWS = 4096


def uniforms(slots: int = 2, rows: int = ROWS, seed: int = 0, *, stratified: bool = True) -> Uniforms:
    return Uniforms(slots, rows, torch.Generator().manual_seed(seed), stratified=stratified)


@pytest.mark.parametrize("stratified", [True, False])
def test_each_number_is_uniform(*, stratified: bool) -> None:
    first = np.concatenate([uniforms(1, 20, seed, stratified=stratified).numbers[0, :1, 0] for seed in range(2000)])
    assert stats.kstest(first, "uniform").pvalue > 0.001
    assert ((first >= 0) & (first < 1)).all()


def test_stratified_numbers_are_spread_over_each_block() -> None:
    numbers = uniforms().numbers[..., 0].reshape(2, -1, BLOCK)
    assert ((numbers * BLOCK).floor().sort(2).values == torch.arange(BLOCK)).all()


@pytest.mark.parametrize("rows", [0, 1, BLOCK - 1, BLOCK + 1, 100])
def test_any_number_of_rows_has_numbers(rows: int) -> None:
    found = uniforms(3, rows).numbers
    assert found.shape == (3, rows, 1)
    assert ((found >= 0) & (found < 1)).all()


def test_numbers_of_two_slots_are_independent() -> None:
    first, second = uniforms().numbers[..., 0].numpy()
    table = np.histogram2d(first, second, bins=8, range=[[0, 1], [0, 1]])[0]
    assert stats.chi2_contingency(table).pvalue > 0.001


def test_shares_of_stratified_draws_are_near_their_probabilities() -> None:
    """Also where probabilities differ from row to row, and the mean over many draws is right for each row."""
    shuffled = torch.randperm(320, generator=torch.Generator().manual_seed(0))
    logits = torch.stack([torch.linspace(-2, 2, 320), torch.zeros(320)], 1)[shuffled]
    expected = logits.softmax(1)[:, 1].sum()
    errors = {}
    for stratified in (True, False):
        drawn = [
            draw(logits.T, uniforms(1, 320, seed, stratified=stratified).numbers[0], stratified=stratified)
            for seed in range(400)
        ]
        errors[stratified] = float(torch.stack([(d.sum() - expected).square() for d in drawn]).mean().sqrt())
        means = torch.stack(drawn).float().mean(0)
        assert float((means - logits.softmax(1)[:, 1]).abs().max()) < 0.12
    assert errors[True] < errors[False] / 3


@pytest.mark.parametrize("spread", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("levels", [1, 2, 5, 17])
def test_shifted_logits_have_the_marginal(spread: float, levels: int) -> None:
    """Also where the rows' own distributions are narrow, and a level that rows have must vanish."""
    generator = torch.Generator().manual_seed(levels)
    logits = torch.randn(5000, levels, generator=generator) * spread
    marginal = torch.rand(levels, generator=generator)
    marginal[0] *= levels == 1
    marginal /= marginal.sum()
    shift = match_marginal(logits.T, marginal, 1.0)
    torch.testing.assert_close((logits + shift).softmax(1).mean(0), marginal, atol=3e-5, rtol=2e-3)


def test_shifts_are_small_where_the_rows_determine_the_level() -> None:
    """No shift of less than 50 would draw the marginal, and the marginal is nearly right."""
    logits = torch.nn.functional.one_hot(torch.arange(1000) % 4).float() * 50
    marginal = torch.tensor([0.26, 0.24, 0.25, 0.25])
    assert match_marginal(logits.T, marginal, 1.0).abs().max() < 0.5


@pytest.mark.parametrize(
    ("logits", "marginal"),
    [
        ([[0.0, 0.0], [8.0, -2.0], [-7.0, 1.0]], [0.5, 0.0625, 0.4375]),
        ([[0.0, 0.0], [-5.0, 7.0], [2.0, -6.0]], [0.0, 0.4286, 0.5714]),
    ],
)
def test_rows_of_two_kinds_are_not_moved_away(logits: list[list[float]], marginal: list[float]) -> None:
    given, goal = torch.tensor(logits), torch.tensor(marginal)
    shift = match_marginal(given, goal, 0.98)
    before, after = (some.softmax(0).mean(1).sub(goal).abs().sum() for some in (given, given + shift[:, None]))
    assert after < 0.6 * before


@pytest.mark.parametrize("logits", [torch.full((3, 4), torch.nan), torch.zeros(3, 0)])
def test_without_a_distribution_nothing_is_shifted(logits: torch.Tensor) -> None:
    assert match_marginal(logits, torch.tensor([0.2, 0.3, 0.5]), 1.0).tolist() == [0, 0, 0]


def test_marginals_without_trust_stay() -> None:
    logits = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    assert match_marginal(logits.T, torch.tensor([1.0, 0.0, 0.0]), 0.0).tolist() == [0, 0, 0]
