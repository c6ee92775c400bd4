"""The linear VAE is factor analysis: scikit-learn's is the oracle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.decomposition import FactorAnalysis
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from synthvae.errors import ConfigurationError
from synthvae.estimators import VAETransformer

NATS = 0.1  # of a dimension
LINEAR: dict[str, Any] = {"likelihood": "gaussian", "decoder": "linear", "random_state": 0}


def halves(load: Callable[[], Any]) -> list[np.ndarray]:
    train, test = train_test_split(load().data, test_size=0.25, random_state=0)
    scale = StandardScaler().fit(train)
    return [scale.transform(train), scale.transform(test)]


@pytest.mark.slow
@pytest.mark.parametrize(("load", "factors"), [(load_breast_cancer, 5), (load_diabetes, 3), (load_wine, 3)])
def test_it_reaches_factor_analysis(load: Callable[[], Any], factors: int) -> None:
    """By its ELBO, and no bound is above log p(x) at its best by more than chance."""
    train, test = halves(load)
    oracle = FactorAnalysis(factors, random_state=0).fit(train).score(test)
    found = VAETransformer(factors, **LINEAR).fit(train)
    assert found.score(test) > oracle - NATS * test.shape[1]
    assert found.score_samples(test, k=50).mean() < oracle + NATS * test.shape[1]


def test_means_are_linear_in_z_and_z_in_rows() -> None:
    train, test = halves(load_wine)
    vae = VAETransformer(3, max_steps=50, **LINEAR).fit(train)
    middle = (test[:10] + test[10:20]) / 2
    for function in (vae.transform, vae.reconstruct):
        np.testing.assert_allclose(function(middle), (function(test[:10]) + function(test[10:20])) / 2, atol=1e-4)


@pytest.mark.parametrize("options", [{"likelihood": "auto"}, {"image_shape": (13, 1)}], ids=str)
def test_it_is_of_numbers_without_convolutions(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="decoder='linear'"):
        VAETransformer(3, **{**LINEAR, **options}).fit(load_wine().data)
