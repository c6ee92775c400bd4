"""Plots of a training and of a latent space. Each function returns a matplotlib figure; none opens a window.

They require the extra `synthvae[plots]`. Shapes: N rows, L latent dimensions, (h, w) an image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from synthvae.errors import RequestError
from synthvae.training.history import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


RANGE = 2.5  # standard deviations of the latents to either side of their mean
MARKER_SIZE = 12

Floats = npt.NDArray[np.floating]


class Transformer(Protocol):
    """A fitted transformer of rows to latents and back, such as `VAETransformer`."""

    def transform(self, X: Any) -> Floats:
        """Return latents (N, L)."""

    def inverse_transform(self, X: Any, random_state: Any = None, *, temperature: float = 1.0) -> Any:
        """Return rows (N, ...) for latents (N, L)."""


def training(history: History) -> Figure:
    """Plot the parts of the ELBO and the ELBO of the validation rows over the steps, in nats per row.

    Args:
        history: The training history, such as `Synthesizer.history_`.

    Example:
        >>> from sklearn.datasets import load_wine
        >>> from synthvae import Synthesizer
        >>> synthesizer = Synthesizer(max_steps=30, random_state=0).fit(load_wine(as_frame=True).data)
        >>> len(training(synthesizer.history_).axes)
        2
    """
    figure, (left, right) = _panels(2)
    table = history.table()
    for name, label in (("elbo", "ELBO"), ("reconstruction", "reconstruction"), ("held_out", "held-out ELBO")):
        left.plot(table["step"], table[name], label=label)
    left.axvline(history.best_step, color="#888888", linestyle=":", label="saved weights")
    left.set(xlabel="step", ylabel="nats per row")
    left.legend(frameon=False)
    right.plot(table["step"], table["kl"], color="#d55e00")
    right.set(xlabel="step", ylabel="KL, nats per row", ylim=(0, None))
    return figure


def scatter(z: Floats, labels: Any = None) -> Figure:
    """Plot latents in their two principal components.

    Args:
        z: Latents (N, L).
        labels: Labels (N,), shown by colours; None: one colour.

    Example:
        >>> figure = scatter(np.random.default_rng(0).normal(size=(20, 3)), [0, 1] * 10)
        >>> figure.axes[0].get_xlabel()
        'first'
    """
    centred = np.asarray(z, np.float64) - np.mean(z, 0)
    plane = centred if centred.shape[1] <= 2 else centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
    plane = np.column_stack([plane, np.zeros(len(plane))]) if plane.shape[1] == 1 else plane
    figure, (axes,) = _panels(1)
    kinds = np.zeros(len(plane)) if labels is None else np.asarray(labels)
    for kind in np.unique(kinds):
        here = kinds == kind
        axes.scatter(plane[here, 0], plane[here, 1], s=MARKER_SIZE, alpha=0.7, label=str(kind))
    names = ("first", "second") if centred.shape[1] > 2 else ("z1", "z2")
    axes.set(xlabel=names[0], ylabel=names[1], aspect="equal")
    if labels is not None:
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def images(pixels: Any, shape: tuple[int, int], columns: int = 10) -> Figure:
    """Plot images as a grid.

    Args:
        pixels: Images (N, h * w) or (N, h, w).
        shape: Their height and width (h, w).
        columns: Images in a line.

    Raises:
        RequestError: The images do not have h * w pixels.

    Example:
        >>> len(images(np.zeros((12, 64)), (8, 8)).axes)
        1
    """
    figure, (axes,) = _panels(1)
    _tile(axes, _as_images(pixels, shape), columns)
    return figure


def manifold(coder: Transformer, rows: Any, shape: tuple[int, int], side: int = 15) -> Figure:
    """Plot the decoded images of a grid in two-dimensional latent space, over the range of the latents of `rows`.

    Args:
        coder: A fitted transformer, such as `VAETransformer`.
        rows: Rows (N, h * w).
        shape: Height and width of an image (h, w).
        side: Images in a line, and in a column.

    Raises:
        RequestError: The latent space does not have two dimensions.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> from synthvae.estimators import VAETransformer
        >>> pixels = load_digits().data[:200] / 16
        >>> coder = VAETransformer(latent_dim=2, likelihood="bernoulli", max_steps=20, random_state=0).fit(pixels)
        >>> len(manifold(coder, pixels, (8, 8), side=5).axes)
        1
    """
    z = coder.transform(rows)
    if z.shape[1] != 2:
        raise RequestError(f"A manifold requires two latent dimensions, got {z.shape[1]}. Fit with `latent_dim=2`.")
    across, up = (np.linspace(*span, side) for span in _range(z))
    grid = np.array([(a, b) for b in up[::-1] for a in across])
    figure = images(_decoded(coder, grid), shape, side)
    figure.axes[0].set(title=f"z1 from {across[0]:.1f} to {across[-1]:.1f}, z2 from {up[0]:.1f} to {up[-1]:.1f}")
    return figure


def traversal(coder: Transformer, rows: Any, shape: tuple[int, int], row: int = 0, steps: int = 9) -> Figure:
    """Plot one of `rows` while each latent dimension in turn varies over the range of the latents of `rows`.

    Args:
        coder: A fitted transformer, such as `VAETransformer`.
        rows: Rows (N, h * w).
        shape: Height and width of an image (h, w).
        row: The number of the row that is varied.
        steps: Images of each latent dimension.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> from synthvae.estimators import VAETransformer
        >>> pixels = load_digits().data[:200] / 16
        >>> coder = VAETransformer(latent_dim=2, likelihood="bernoulli", max_steps=20, random_state=0).fit(pixels)
        >>> len(traversal(coder, pixels, (8, 8), steps=3).axes)
        1
    """
    z = coder.transform(rows)
    moved = [
        _moved(z[row], dimension, value)
        for dimension, span in enumerate(_range(z))
        for value in np.linspace(*span, steps)
    ]
    figure = images(_decoded(coder, np.stack(moved)), shape, steps)
    figure.axes[0].set(title=f"each line moves one of {z.shape[1]} latent dimensions")
    return figure


def interpolation(coder: Transformer, first: Any, second: Any, shape: tuple[int, int], steps: int = 9) -> Figure:
    """Plot the linear interpolation in latent space from each row of `first` to that of `second`.

    Args:
        coder: A fitted transformer, such as `VAETransformer`.
        first: Rows (N, h * w).
        second: As many rows (N, h * w).
        shape: Height and width of an image (h, w).
        steps: Images of each interpolation.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> from synthvae.estimators import VAETransformer
        >>> pixels = load_digits().data[:200] / 16
        >>> coder = VAETransformer(latent_dim=2, likelihood="bernoulli", max_steps=20, random_state=0).fit(pixels)
        >>> len(interpolation(coder, pixels[:2], pixels[2:4], (8, 8), steps=3).axes)
        1
    """
    start, end = coder.transform(first), coder.transform(second)
    shares = np.linspace(0, 1, steps)[:, None]
    paths = [(1 - shares) * a + shares * b for a, b in zip(start, end, strict=True)]
    return images(_decoded(coder, np.concatenate(paths)), shape, steps)


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5 * count, 4.5), layout="constrained")
    return figure, list(np.atleast_1d(figure.subplots(1, count)))


def _decoded(coder: Transformer, z: Floats) -> Any:
    """The most likely rows of latents."""
    return coder.inverse_transform(z.astype(np.float32), 0, temperature=0.0)


def _range(z: Floats) -> list[tuple[float, float]]:
    """The range of latents (N, L) in each dimension."""
    middle, spread = z.mean(0), RANGE * z.std(0)
    return list(zip((middle - spread).tolist(), (middle + spread).tolist(), strict=True))


def _moved(z: Floats, dimension: int, value: float) -> Floats:
    moved = z.copy()
    moved[dimension] = value
    return moved


def _as_images(pixels: Any, shape: tuple[int, int]) -> Floats:
    array = np.asarray(pixels, np.float64)
    if array[:1].size not in (0, shape[0] * shape[1]):
        raise RequestError(f"Rows of images {shape} must have {shape[0] * shape[1]} pixels, got {array[:1].size}.")
    return array.reshape(len(array), *shape)


def _tile(axes: Axes, pixels: Floats, columns: int) -> None:
    """Draw images (N, h, w) with `columns` in a line, each in a frame of one empty pixel."""
    missing = -len(pixels) % columns
    framed = np.pad(pixels, ((0, missing), (1, 1), (1, 1)))
    lines = framed.reshape(-1, columns, *framed.shape[1:])
    axes.imshow(lines.transpose(0, 2, 1, 3).reshape(len(lines) * framed.shape[1], -1), cmap="gray_r")
    axes.set_axis_off()
