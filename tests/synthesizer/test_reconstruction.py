"""Rows like others, and what a model makes of rows that it sees."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine

from synthvae import Synthesizer
from synthvae.errors import RequestError
from synthvae.estimators import VAETransformer

pytestmark = pytest.mark.xdist_group("reconstruction")  # what they share is fitted once


@pytest.fixture(scope="module")
def wine() -> pd.DataFrame:
    frame: pd.DataFrame = load_wine(as_frame=True).frame
    days = pd.to_datetime("2024-01-01") + pd.to_timedelta(frame["proline"].round(), "h")
    strong = pd.Series(np.where(frame["alcohol"] > 13, "strong", "light")).mask(frame.index % 5 == 0)
    return frame.assign(strength=strong, bottled=days)


@pytest.fixture(scope="module")
def fitted(wine: pd.DataFrame) -> Synthesizer:
    return Synthesizer(target="target", max_steps=150, random_state=0).fit(wine)


def test_rows_like_others_are_of_their_class_and_in_their_order(fitted: Synthesizer, wine: pd.DataFrame) -> None:
    drawn = fitted.sample_like(wine, 3, random_state=1)
    assert list(drawn) == list(wine)
    assert (drawn.dtypes == wine.dtypes).all()
    np.testing.assert_array_equal(drawn["target"], np.repeat(wine["target"], 3))
    assert drawn["alcohol"].between(wine["alcohol"].min(), wine["alcohol"].max()).all()


def test_a_class_keeps_its_means(fitted: Synthesizer, wine: pd.DataFrame) -> None:
    """Even of 178 rows, a class is told by its rows' numbers, not by what all have in common."""
    drawn = fitted.sample_like(wine, 20, random_state=0).groupby("target")["alcohol"].mean()
    np.testing.assert_allclose(drawn, wine.groupby("target")["alcohol"].mean(), atol=0.25)


def test_the_colder_the_nearer_to_each_other(fitted: Synthesizer, wine: pd.DataFrame) -> None:
    spreads = []
    for temperature in (0.0, 0.5, 1.0, 2.0):
        drawn = fitted.sample_like(wine[:40], 30, temperature, random_state=0)["color_intensity"]
        spreads.append(drawn.to_numpy().reshape(40, 30).std(1).mean())
    assert spreads[0] < 1e-6
    assert spreads == sorted(spreads)


def test_at_temperature_0_no_seed_matters(fitted: Synthesizer, wine: pd.DataFrame) -> None:
    first, second = (fitted.sample_like(wine, 1, 0.0, random_state=seed)["strength"] for seed in (1, 2))
    pd.testing.assert_series_equal(first, second)


def test_the_same_seed_draws_the_same(fitted: Synthesizer, wine: pd.DataFrame) -> None:
    first, second = (fitted.sample_like(wine, 2, random_state=5) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


def test_every_cell_has_a_distribution(fitted: Synthesizer, wine: pd.DataFrame) -> None:
    made = fitted.reconstruct(wine, draws=40, random_state=0)
    assert made.mean.shape == wine.shape
    assert list(made.mean) == list(wine)
    assert list(made.probabilities) == ["strength"]
    shares = made.probabilities["strength"]
    assert len(shares) == len(wine)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert (made.std["alcohol"] > 0).all()
    assert made.mean["bottled"].dtype.kind == "M"
    assert made.std["bottled"].dtype.kind == "m"


def test_the_moments_are_those_of_rows_drawn_alike(fitted: Synthesizer, wine: pd.DataFrame) -> None:
    made = fitted.reconstruct(wine[:5], draws=50, random_state=3)
    drawn = fitted.sample_like(wine[:5], 50, random_state=3)["ash"].to_numpy().reshape(5, 50)
    np.testing.assert_allclose(made.mean["ash"], drawn.mean(1))
    np.testing.assert_allclose(made.std["ash"], drawn.std(1))


def test_no_rows_are_no_error(fitted: Synthesizer, wine: pd.DataFrame) -> None:
    assert fitted.sample_like(wine, 0).empty
    assert len(fitted.reconstruct(wine[:1], draws=2).mean) == 1


@pytest.mark.parametrize(("n", "temperature"), [(-1, 1.0), (1.5, 1.0), (1, -0.1), (1, np.inf), (1, np.nan)])
def test_what_cannot_be_drawn_is_refused(fitted: Synthesizer, wine: pd.DataFrame, n: float, temperature: float) -> None:
    with pytest.raises(RequestError, match="must be a"):
        fitted.sample_like(wine, n, temperature)  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="`draws` must be at least 2, got 1"):
        fitted.reconstruct(wine, draws=1)


@pytest.mark.slow
def test_a_transformer_draws_and_reconstructs_what_it_was_fitted_to(wine: pd.DataFrame) -> None:
    X, y = wine.drop(columns="target"), wine["target"]
    vae = VAETransformer(4, max_steps=100, random_state=0).fit(X, y)
    made, like = vae.reconstruct(X), vae.sample_like(X[:3], 2, random_state=1)
    assert list(made) == list(like) == list(X)
    assert (like.dtypes == X.dtypes).all()
    assert made["color_intensity"].corr(X["color_intensity"]) > 0.7
    again = vae.sample_like(X[:3], 2, random_state=1)
    pd.testing.assert_frame_equal(like, again)
    cold = [vae.sample_like(X[:3], 1, 0.0, random_state=seed)["strength"] for seed in (1, 2)]
    pd.testing.assert_series_equal(*cold)


def test_arrays_come_back_as_arrays() -> None:
    X = load_wine().data
    vae = VAETransformer(4, max_steps=30, random_state=0).fit(X)
    assert vae.sample_like(X[:3], 4).shape == (12, X.shape[1])
    assert vae.reconstruct(X[:3]).shape == (3, X.shape[1])
