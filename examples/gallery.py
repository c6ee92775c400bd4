"""The pictures of the documentation: columns and classes, a latent plane, generated digits, interpolations."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.datasets import load_breast_cancer, load_digits

from synthvae import Synthesizer, plots
from synthvae.estimators import VAETransformer

FOLDER = Path("pictures")
SHAPE = (8, 8)
DPI = 90
COLUMNS = ["mean radius", "mean texture", "mean concavity", "worst area"]
REAL, MADE = "#0072b2", "#d55e00"
CLASSES = {0: "malignant", 1: "benign"}


def draw_columns(real: pd.DataFrame, made: pd.DataFrame) -> Figure:
    """Every column, real beside synthetic, with equally many rows."""
    figure = Figure(figsize=(11, 2.6), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(COLUMNS)), COLUMNS, strict=True):
        bins = np.histogram_bin_edges(real[name], 24)
        axes.hist(real[name], bins, color=REAL, alpha=0.35, label="real")
        axes.hist(made[name], bins, color=MADE, histtype="step", linewidth=1.6, label="synthetic")
        axes.set(title=name, yticks=[])
    figure.axes[0].legend(frameon=False)
    return figure


def draw_classes(real: pd.DataFrame, made: pd.DataFrame) -> Figure:
    """The classes of the training rows, and those requested: equally many rows of each."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    for axes, (name, rows) in zip(
        figure.subplots(1, 2, sharex=True, sharey=True), {"real": real, "synthetic": made}.items(), strict=True
    ):
        for (label, kind), colour in zip(CLASSES.items(), (MADE, REAL), strict=True):
            chosen = rows[rows["target"] == label]
            axes.scatter(
                chosen["mean radius"], chosen["mean texture"], s=9, alpha=0.6, c=colour, label=f"{len(chosen)} {kind}"
            )
        axes.set(title=name, xlabel="mean radius")
        axes.legend(frameon=False)
    figure.axes[0].set(ylabel="mean texture")
    return figure


def draw_table() -> None:
    real = load_breast_cancer(as_frame=True).frame[[*COLUMNS, "target"]]
    synthesizer = Synthesizer(target="target", random_state=0).fit(real)
    draw_columns(real, synthesizer.sample(len(real))).savefig(FOLDER / "columns.png", dpi=DPI)
    draw_classes(real, synthesizer.sample({0: 400, 1: 400})).savefig(FOLDER / "conditional.png", dpi=DPI)
    plots.training(synthesizer.history_).savefig(FOLDER / "training.png", dpi=DPI)


def draw_digits() -> None:
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


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    draw_table()
    draw_digits()


if __name__ == "__main__":
    main()
