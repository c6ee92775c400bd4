"""The pictures of README, from scikit-learn's digits: the latent plane, digits made to order, ways between digits."""

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from synthvae import plots
from synthvae.estimators import VAETransformer

FOLDER = Path("pictures")
SHAPE = (8, 8)
DPI = 90


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    X, y = load_digits(return_X_y=True)
    X = X / 16
    pixels: dict[str, Any] = {"likelihood": "bernoulli", "random_state": 0}

    plane = VAETransformer(2, max_steps=600, **pixels).fit(X)
    plots.manifold(plane, X, SHAPE).savefig(FOLDER / "manifold.png", dpi=DPI)

    vae = VAETransformer(16, max_steps=600, **pixels).fit(X, y)
    made = np.concatenate([vae.sample(8, y=label, random_state=1) for label in range(10)])
    plots.images(made, SHAPE, columns=8).savefig(FOLDER / "made.png", dpi=DPI)

    starts, ends = X[:8], X[1:9]  # each digit becomes the next
    plots.interpolation(vae, starts, ends, SHAPE).savefig(FOLDER / "interpolation.png", dpi=DPI)


if __name__ == "__main__":
    main()
