"""Dropout: its shares, its scale, and its generator."""

from __future__ import annotations

import pytest
import torch

from synthvae.model.dropout import Dropout, seed_dropout


@pytest.mark.parametrize("p", [0.05, 0.1, 0.5, 0.9])
def test_activations_are_dropped_at_the_rate_and_scaled(p: float) -> None:
    layer = Dropout(p)
    seed_dropout(layer, torch.Generator().manual_seed(0))
    factors = layer(torch.ones(401, 1001))
    kept = factors > 0
    torch.testing.assert_close(factors[kept], torch.full_like(factors[kept], 1 / (1 - p)))
    assert abs(float(kept.float().mean()) - (1 - p)) < 4 * (p * (1 - p) / factors.numel()) ** 0.5 + 2**-16
    neighbours = torch.corrcoef(torch.stack([kept[:, 1:].flatten(), kept[:, :-1].flatten()]).float())[0, 1]
    assert abs(float(neighbours)) < 0.01


def test_nothing_is_dropped_in_evaluation_or_at_rate_zero() -> None:
    assert Dropout(0.5).eval()(torch.ones(3)).tolist() == [1, 1, 1]
    assert Dropout(0.0)(torch.ones(3)).tolist() == [1, 1, 1]
