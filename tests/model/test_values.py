"""Laws of continuous values: their vectors, and the mixtures that they are drawn from."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
import torch
from oracles import KNOTS, log_mixture, mixture, value_vector, weights
from torch import Tensor

from synthvae.model.embeddings import ValueEmbedding, deviates
from synthvae.model.values import (
    COMPONENTS,
    LIMIT,
    LOG_SCALES,
    PARAMETERS,
    draw_value,
    initial_bias,
    log_density,
    mean_shift,
)

DRAWS = 40_000
STEP = 0.005  # the narrowest normal is wider, so that sums over a grid are integrals
NUMBERS = torch.tensor([-30.0, -5.2, -1.1, -1e-7, 0.0, 0.3, 2.0, 9.0, math.nan], dtype=torch.float64)


def outputs(count: int, spread: float = 1.5, seed: int = 0) -> Tensor:
    """Outputs (count, 3 M) of heads, some log scales beyond their limits."""
    generator = torch.Generator().manual_seed(seed)
    return initial_bias().double() + spread * torch.randn(count, PARAMETERS, generator=generator, dtype=torch.float64)


def test_the_log_density_is_that_of_the_mixture() -> None:
    found = log_density(outputs(3, 4.0)[:, None].expand(-1, len(NUMBERS), -1), NUMBERS[:, None].expand(-1, 3))
    for v, head in enumerate(outputs(3, 4.0).numpy()):
        expected = [log_mixture(head, number) for number in NUMBERS.tolist()]
        np.testing.assert_allclose(found[v].numpy(), expected, rtol=1e-12, atol=1e-12)
    assert not found[:, -1].any()  # absent


@pytest.mark.parametrize("spread", [0.0, 1.0, 4.0])
def test_the_density_integrates_to_one(spread: float) -> None:
    """Log scales are held within limits: a normal is neither narrower than the grid nor wider than its ends."""
    heads, grid = outputs(5, spread), torch.arange(-90, 90, STEP, dtype=torch.float64)
    found = log_density(heads[:, None].expand(-1, len(grid), -1), grid[:, None].expand(-1, 5)).exp().sum(1) * STEP
    torch.testing.assert_close(found, torch.ones_like(found), atol=1e-9, rtol=0)
    scales = heads[:, 2 * COMPONENTS :]
    assert spread < 4 or ((scales < LOG_SCALES[0]).any() and (scales > LOG_SCALES[1]).any())


def distribution_function(head: Tensor, numbers: Tensor) -> Tensor:
    """The mixture's share below each number."""
    parts = mixture(head.double().numpy())
    return torch.tensor([sum(share * normal.cdf(x) for share, normal in parts) for x in numbers.tolist()])


def draws(head: Tensor, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    uniform, normal = torch.rand(DRAWS, 1, generator=generator), torch.randn(DRAWS, generator=generator)
    return draw_value(head.float()[:, None].expand(-1, DRAWS), uniform, normal)


@pytest.mark.parametrize("seed", range(3))
def test_draws_follow_the_distribution_function(seed: int) -> None:
    """Kolmogorov and Smirnov's distance; p < 0.001 beyond."""
    head = outputs(1, 0.6, seed)[0]
    drawn = draws(head, seed).sort().values
    below = distribution_function(head, drawn)
    steps = torch.arange(DRAWS + 1) / DRAWS
    inside = drawn.abs() < LIMIT
    distance = torch.maximum((below - steps[:-1]).abs(), (below - steps[1:]).abs())[inside].max()
    assert float(distance) * DRAWS**0.5 < 1.95
    assert inside.float().mean() > 0.9


def test_no_draw_lies_beyond_the_limit() -> None:
    wide = torch.cat([torch.zeros(COMPONENTS), 100 * deviates(COMPONENTS), torch.full((COMPONENTS,), 9.0)])
    drawn = draws(wide, 0)
    assert float(drawn.max()) == pytest.approx(LIMIT)
    assert float(drawn.min()) == pytest.approx(-LIMIT)


def test_a_head_starts_near_the_standard_normal() -> None:
    """Kullback and Leibler's divergence, in nats."""
    grid = torch.arange(-9, 9, STEP, dtype=torch.float64)
    normal = -0.5 * (grid.square() + math.log(2 * math.pi))
    found = log_density(initial_bias().double().expand(1, len(grid), -1), grid[:, None])[0]
    assert 0 <= float((normal.exp() * (normal - found)).sum() * STEP) < 0.15


def test_the_deviates_are_normal_quantiles() -> None:
    np.testing.assert_allclose(deviates(9).numpy(), KNOTS, rtol=0, atol=1e-7)


def test_a_vector_is_what_a_plain_loop_finds() -> None:
    embedding = ValueEmbedding(3, 4).double()
    weight = weights(embedding)["weight"]
    values = torch.stack([NUMBERS, NUMBERS.flip(0), 0.5 * NUMBERS], 1)
    found = embedding(values).detach()
    for v in range(3):
        expected = np.stack([value_vector(weight[v], number) for number in values[:, v].tolist()])
        for vectors in (found[v], embedding.one(v, values[:, v]).detach()):
            np.testing.assert_allclose(vectors.numpy(), expected, rtol=0, atol=1e-12)


def test_an_absent_value_has_the_zero_vector_and_moves_no_weight() -> None:
    embedding = ValueEmbedding(2, 4)
    vectors = embedding(torch.tensor([[math.nan, 1.0], [math.nan, -1.0]]))
    assert not vectors[0].detach().any()
    torch.autograd.backward(vectors.square().sum())
    gradient = embedding.weight.grad
    assert gradient is not None
    assert not gradient[0].any()
    assert gradient[1].isfinite().all()
    assert gradient[1].any()


def test_a_head_starts_from_the_moments_of_a_class() -> None:
    mean, std = torch.tensor([[0.0, 1.5]]), torch.tensor([[1.0, 0.4]])
    outputs = initial_bias(mean, std)[0]  # (C, 3 M)
    torch.testing.assert_close(initial_bias(), outputs[0])
    generator = torch.Generator().manual_seed(0)
    uniform, normal = torch.rand(20_000, 1, generator=generator), torch.randn(20_000, generator=generator)
    drawn = draw_value(outputs[1][:, None].expand(-1, 20_000), uniform, normal)
    assert float(drawn.mean()) == pytest.approx(1.5, abs=0.02)
    assert float(drawn.std()) == pytest.approx(0.4, rel=0.2)


@pytest.mark.parametrize("off", [0.03, -0.05, 2.0])
def test_shifted_mixtures_have_the_mean_unless_it_is_far(off: float) -> None:
    heads = outputs(200, 0.3).T
    parts = [mixture(head.numpy()) for head in heads.T]
    means = [sum(share * normal.mean for share, normal in part) for part in parts]
    widths = [
        math.sqrt(sum(share * (normal.stdev**2 + (normal.mean - mean) ** 2) for share, normal in part))
        for part, mean in zip(parts, means, strict=True)
    ]
    moved = heads + mean_shift(heads, torch.tensor(np.mean(means) + off), 0.1)[:, None]
    shift = (moved - heads)[COMPONENTS : 2 * COMPONENTS]
    expected = math.copysign(min(abs(off), 0.1 * statistics.geometric_mean(widths)), off)
    np.testing.assert_allclose(shift.numpy(), expected, rtol=1e-6)
    assert torch.equal((moved - heads)[:COMPONENTS], torch.zeros(COMPONENTS, 200))
    assert torch.equal((moved - heads)[2 * COMPONENTS :], torch.zeros(COMPONENTS, 200))
