"""Stratified draws: each is a draw as any other, and the mean of the copies of a row varies less."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synthvae.codes import Slots, Value
from synthvae.model import Rows
from synthvae.model.build import build_conditional
from synthvae.model.conditional import ConditionalConfig
from synthvae.model.conditional_draws import draw_rows

COPIES = 20


@pytest.fixture(scope="module")
def drawn() -> dict[int, Rows]:
    """Draws of a digit and a value of 2000 rows, each 20 times, independent or stratified."""
    network = build_conditional(Slots((7,), (Value(1),), (None,)), ConditionalConfig(width=16), 3).eval()
    rows = 2000 * COPIES
    known = Rows(torch.full((rows, 1), -1), torch.full((rows, 1), float("nan")))
    wanted = torch.ones(rows, 2, dtype=torch.bool)
    return {
        strata: draw_rows(network, known, wanted, torch.Generator().manual_seed(0), strata=strata)[0]
        for strata in (1, COPIES)
    }


def test_marginals_are_those_of_independent_draws(drawn: dict[int, Rows]) -> None:
    shares = [np.bincount(rows.digits[:, 0].numpy(), minlength=7) / len(rows.digits) for rows in drawn.values()]
    assert np.abs(shares[0] - shares[1]).max() < 0.01
    quantiles = [np.quantile(rows.values[:, 0].numpy(), [0.05, 0.5, 0.95]) for rows in drawn.values()]
    assert np.abs(quantiles[0] - quantiles[1]).max() < 0.06
    first = drawn[COPIES].values[::COPIES, 0].numpy()  # one copy of each row
    assert np.abs(np.quantile(first, [0.05, 0.5, 0.95]) - quantiles[0]).max() < 0.2


def test_means_of_copies_vary_less(drawn: dict[int, Rows]) -> None:
    for kind in ("digits", "values"):
        means = [getattr(rows, kind)[:, 0].double().reshape(-1, COPIES).mean(1).var() for rows in drawn.values()]
        assert means[1] < 0.3 * means[0]
    counts = (drawn[COPIES].digits[:, 0].reshape(-1, COPIES) == 0).sum(1)
    assert counts.max() - counts.min() <= 2
