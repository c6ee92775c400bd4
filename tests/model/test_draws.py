"""The uniform numbers behind the draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from synthvae.model.draws import BLOCK, Uniforms, draw

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
    logits = torch.stack([torch.linspace(-2, 2, 320), torch.zeros(320)], 1)[torch.randperm(320)]
    expected = logits.softmax(1)[:, 1].sum()
    errors = {}
    for stratified in (True, False):
        drawn = [
            draw(logits, uniforms(1, 320, seed, stratified=stratified).numbers[0], stratified=stratified)
            for seed in range(400)
        ]
        errors[stratified] = float(torch.stack([(d.sum() - expected).square() for d in drawn]).mean().sqrt())
        means = torch.stack(drawn).float().mean(0)
        assert float((means - logits.softmax(1)[:, 1]).abs().max()) < 0.12
    assert errors[True] < errors[False] / 3
