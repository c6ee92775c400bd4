"""Noise has the distribution that is accounted, and follows no seed."""

from __future__ import annotations

import random

import numpy as np
import torch
from scipy import stats

from synthvae.privacy import mechanisms

RARE = 1e-6  # of a sound sampler, the chance that a test here fails


def test_discrete_noise_has_the_discrete_normal_distribution() -> None:
    scale, count = 2.5, 20_000
    drawn = mechanisms._discrete_gaussian(scale, count)
    support = np.arange(-8, 9)
    mass = np.exp(-(support**2) / (2 * scale**2))
    mass /= np.exp(-(np.arange(-60, 61) ** 2) / (2 * scale**2)).sum()
    seen = np.array([(drawn == k).sum() for k in support])
    expected = np.append(mass, 1 - mass.sum()) * count
    assert stats.chisquare(np.append(seen, count - seen.sum()), expected).pvalue > RARE


def test_laplace_noise_has_the_discrete_laplace_distribution() -> None:
    scale, count = 2.5, 20_000
    drawn = mechanisms._discrete_laplace(scale, count)
    support = np.arange(-8, 9)
    mass = np.exp(-np.abs(support) / scale) * np.tanh(1 / (2 * scale))
    seen = np.array([(drawn == k).sum() for k in support])
    expected = np.append(mass, 1 - mass.sum()) * count
    assert stats.chisquare(np.append(seen, count - seen.sum()), expected).pvalue > RARE


def test_normal_noise_is_standard_normal() -> None:
    drawn = mechanisms._normal(50_000).numpy()
    assert stats.kstest(drawn, "norm").pvalue > RARE
    assert len(np.unique(drawn)) == len(drawn)


def test_uniform_numbers_are_uniform() -> None:
    drawn = mechanisms.uniform(50_000)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert stats.kstest(drawn, "uniform").pvalue > RARE


def test_no_seed_reaches_the_noise() -> None:
    def draw() -> tuple[np.ndarray, ...]:
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002 - the global generator is what is tested
        torch.manual_seed(0)
        return mechanisms._discrete_gaussian(100.0, 20), mechanisms._normal(20).numpy(), mechanisms.uniform(20)

    assert all((first != second).any() for first, second in zip(draw(), draw(), strict=True))


def test_no_noise_is_asked_for_no_numbers() -> None:
    assert len(mechanisms._discrete_gaussian(1.0, 0)) == len(mechanisms._normal(0)) == len(mechanisms.uniform(0)) == 0
