"""A denoising autoencoder restores hidden pixels: handwritten digits with half of their pixels missing."""

import sys

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

from synthvae.estimators import VAETransformer

DRAWS = 10
INK = colormaps["Greys"].with_extremes(bad="tab:red")


def restored(autoencoder: VAETransformer, rows: np.ndarray) -> np.ndarray:
    codes = autoencoder.transform(rows)
    return np.asarray(np.mean([autoencoder.inverse_transform(codes, random_state=seed) for seed in range(DRAWS)], 0))


def main(picture: str = "denoising.png") -> None:
    X, _ = load_digits(return_X_y=True)
    X = (X > 7).astype(float)  # black and white
    hidden = np.random.default_rng(0).random((297, 64)) < 0.5
    train, test = X[:1500], X[1500:]
    rows = {"whole": test, "half is missing": np.where(hidden, np.nan, test)}
    for corruption in (0.0, 0.5):
        autoencoder = VAETransformer(16, posterior="point", corruption=corruption, max_steps=200, random_state=0)
        found = restored(autoencoder.fit(train), rows["half is missing"])
        print(f"{corruption=}: {((found > 0.5) != test)[hidden].mean():.1%} of the missing pixels are wrong")
        rows[f"by {corruption=}"] = found
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    for line, (name, digits) in zip(figure.subplots(4, 10), rows.items(), strict=True):
        line[0].set_title(name, loc="left", fontsize="medium")
        for axes, digit in zip(line, digits, strict=False):
            axes.imshow(digit.reshape(8, 8), cmap=INK, vmin=0, vmax=1)
            axes.set_axis_off()
    figure.savefig(picture)


if __name__ == "__main__":
    main(*sys.argv[1:2])
