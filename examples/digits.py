"""Images: fit scikit-learn's digits, generate some of each class, and plot them beside real ones."""

import sys

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

from synthvae.estimators import VAETransformer

SHOWN = 8  # digits of each class, real and generated


def draw(real: np.ndarray, made: np.ndarray, path: str) -> None:
    """Draw images (classes, SHOWN, h, w), real ones on the left."""
    white = np.zeros((*real.shape[:1], 1, *real.shape[2:]))
    grid = np.concatenate([real, white, made], axis=1)  # (classes, columns, h, w)
    framed = np.pad(grid, ((0, 0), (0, 0), (1, 1), (1, 1)))
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(np.block([[*row] for row in framed]), cmap="gray_r")
    axes.set_title("real                                                  generated")
    axes.set_axis_off()
    figure.savefig(path, dpi=120)


def main(path: str) -> None:
    X, y = load_digits(return_X_y=True)
    images = X.reshape(-1, 8, 8) / 16
    vae = VAETransformer(likelihood="bernoulli", latent_dim=16, max_steps=500, random_state=0).fit(X / 16, y)

    error = np.square(vae.reconstruct(X / 16) - X / 16).mean()
    print(f"64 pixels to 16 latent dimensions and back: mean squared error {error:.4f} of {np.var(X / 16):.4f}")

    real = np.stack([images[y == label][:SHOWN] for label in range(10)])
    made = np.stack([vae.sample(SHOWN, y=label, random_state=1).reshape(-1, 8, 8) for label in range(10)])
    draw(real, made, path)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 and sys.argv[1].endswith(".png") else "digits.png")
