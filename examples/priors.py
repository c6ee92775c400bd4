"""Two-dimensional codes of handwritten digits with three priors, and the density of each prior."""

import sys
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

from synthvae.estimators import VAETransformer

PRIORS = {"standard_normal": "standard normal", "mixture": "mixture of normals", "vamp": "VampPrior"}
SIDE = 4.5  # half the width of the plotted plane
TRAINING: dict[str, Any] = {"learning_rate": 0.01, "max_steps": 300, "validation_fraction": 0, "random_state": 0}


def density(vae: VAETransformer, grid: np.ndarray) -> np.ndarray:
    model = vae.synthesizer_.model_
    z = torch.from_numpy(grid).float()
    with torch.no_grad():
        return model.prior.log_prob(z, torch.zeros(len(z), dtype=torch.long)).exp().numpy()


def main(picture: str = "priors.png") -> None:
    X, y = load_digits(return_X_y=True)
    X = X > 7  # black and white
    figure = Figure(figsize=(12, 4.4), layout="constrained")
    for axes, (prior, name) in zip(figure.subplots(1, 3), PRIORS.items(), strict=True):
        vae = VAETransformer(2, prior=prior, **TRAINING).fit(X[:1500])
        codes, nats = vae.transform(X[1500:]), vae.score_samples(X[1500:], k=50).mean()
        side = np.linspace(-SIDE, SIDE, 120)
        plane = np.stack(np.meshgrid(side, side), -1)
        axes.contourf(side, side, density(vae, plane.reshape(-1, 2)).reshape(120, 120), 12, cmap="Greys")
        dots = axes.scatter(*codes.T, c=y[1500:], cmap="tab10", vmin=-0.5, vmax=9.5, s=12)
        axes.set(
            title=f"{name}: {nats:.1f} nats a digit", xlim=(-SIDE, SIDE), ylim=(-SIDE, SIDE), xlabel="z1", ylabel="z2"
        )
    figure.colorbar(dots, ax=figure.axes, ticks=range(10), label="digit")
    figure.savefig(picture)


if __name__ == "__main__":
    main(*sys.argv[1:2])
