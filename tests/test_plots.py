"""Pictures show what they say, and open no window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_wine

from synthvae import Synthesizer, plots
from synthvae.errors import RequestError
from synthvae.estimators import VAETransformer

SHAPE = (8, 8)


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    return np.asarray(load_digits(n_class=3).data[:200] / 16)


@pytest.fixture(scope="module")
def coder(digits: np.ndarray) -> VAETransformer:
    return VAETransformer(2, likelihood="bernoulli", max_steps=60, random_state=0).fit(digits)


def shown(figure: Any) -> np.ndarray:
    return np.asarray(figure.axes[0].get_images()[0].get_array())


@pytest.mark.slow
def test_a_history_is_drawn(tmp_path: Path) -> None:
    history = Synthesizer(max_steps=60, random_state=0).fit(load_wine(as_frame=True).frame).history_
    figure = plots.training(history)
    steps = figure.axes[0].get_lines()[0].get_xdata()
    np.testing.assert_array_equal(np.asarray(steps), history.table()["step"])
    figure.savefig(tmp_path / "history.png")


@pytest.mark.parametrize("latent", [1, 2, 5])
def test_every_code_is_a_dot_of_its_class(latent: int) -> None:
    rng = np.random.default_rng(0)
    figure = plots.scatter(rng.normal(size=(40, latent)), rng.choice(["a", "b"], 40))
    assert sum(len(np.asarray(dots.get_offsets())) for dots in figure.axes[0].collections) == 40
    assert figure.axes[0].get_legend_handles_labels()[1] == ["a", "b"]


def test_images_stand_in_lines_of_so_many(digits: np.ndarray) -> None:
    picture = shown(plots.images(digits[:7], SHAPE, columns=3))
    assert picture.shape == (3 * 10, 3 * 10)
    np.testing.assert_array_equal(picture[11:19, 1:9], digits[3].reshape(SHAPE))
    assert not picture[20:, 10:].any()


def test_the_manifold_is_that_of_the_plane(coder: VAETransformer, digits: np.ndarray) -> None:
    figure = plots.manifold(coder, digits, SHAPE, side=4)
    assert shown(figure).shape == (40, 40)
    z = coder.transform(digits)
    corner = z.mean(0) + plots.RANGE * z.std(0) * [-1, 1]
    found = coder.inverse_transform(corner[None].astype(np.float32), 0, temperature=0.0)
    np.testing.assert_allclose(shown(figure)[1:9, 1:9], found.reshape(SHAPE), atol=1e-4)


def test_ways_end_at_reconstructions(coder: VAETransformer, digits: np.ndarray) -> None:
    picture = shown(plots.interpolation(coder, digits[:2], digits[2:4], SHAPE, steps=5))
    means = coder.reconstruct(digits[:4]).reshape(-1, *SHAPE)
    np.testing.assert_allclose(picture[1:9, 1:9], means[0], atol=2e-3)
    np.testing.assert_allclose(picture[11:19, 41:49], means[3], atol=2e-3)


def test_a_traversal_has_a_line_for_each_dimension(coder: VAETransformer, digits: np.ndarray) -> None:
    assert shown(plots.traversal(coder, digits, SHAPE, steps=6)).shape == (20, 60)


def test_what_cannot_be_drawn_is_refused(coder: VAETransformer, digits: np.ndarray) -> None:
    with pytest.raises(RequestError, match=r"must have 63 pixels, got 64"):
        plots.images(digits, (7, 9))
    with pytest.raises(RequestError, match="two latent dimensions, got 3"):
        plots.manifold(VAETransformer(3, max_steps=2, width=4, random_state=0).fit(digits), digits, SHAPE)
    with pytest.raises(RequestError, match="The temperature must be"):
        coder.inverse_transform(np.zeros((1, 2)), temperature=-1.0)
