"""Pixels: what z keeps of digits, and whether digits made to order are recognised.

    python tests/benchmarks/images.py digits
    python tests/benchmarks/images.py mnist --images FOLDER

`digits` are scikit-learn's, 8 x 8, grey, a quarter held out; goals: reconstruction nearer than that of as many
principal components, neighbours on latent means as good as on theirs, 95 % of the digits made recognised. `mnist` are
the 10,000 test images of MNIST in IDX format, of which a tenth is held out; goals: a bound of at least -110 nats on
binarised pixels (dense layers, 32 dimensions), 95 % recognised (convolutions). The judge is a support vector machine
that learned the real rows of training; how many held-out real ones it recognises stands beside.
"""

from __future__ import annotations

import argparse
import gzip
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from synthvae.estimators import VAETransformer

Pixels = npt.NDArray[np.floating]
Labels = npt.NDArray[np.integer]
NEIGHBOURS = 5
MADE = 100  # of each class
HELD_OUT_MNIST = 1000
FILES = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")


class Split(NamedTuple):
    """Rows to learn, and rows held out."""

    X: Pixels
    y: Labels
    held: Pixels
    held_labels: Labels

    @classmethod
    def of(cls, X: Pixels, y: Labels, share: float, seed: int) -> Self:
        """Hold out a share, or a number, of the rows."""
        X, held, y, held_labels = train_test_split(X, y, test_size=share, random_state=seed, stratify=y)
        return cls(X, y, held, held_labels)


class Watch:
    """Seconds of the processor."""

    seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what is inside."""
        start = time.process_time()
        yield
        self.seconds = time.process_time() - start


def digits(seed: int) -> Split:
    """scikit-learn's digits, from 0 to 1."""
    X, y = load_digits(return_X_y=True)
    return Split.of(X / 16, y, 0.25, seed)


def mnist(folder: Path, seed: int) -> Split:
    """MNIST's test images, black and white."""
    images, labels = (gzip.decompress(_find(folder, name).read_bytes()) for name in FILES)
    X = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28 * 28) > 127
    return Split.of(X.astype(np.float32), np.frombuffer(labels, np.uint8, offset=8).astype(int), HELD_OUT_MNIST, seed)


def _find(folder: Path, name: str) -> Path:
    return next(folder.glob(f"*{name}"))


def recognised(made: Callable[[int], Pixels], split: Split, gamma: float) -> dict[str, float]:
    """Per cent of `MADE` digits of each class that a judge takes for what was asked for, and of held-out real ones."""
    judge = SVC(C=10, gamma=gamma).fit(split.X, split.y)
    classes = np.unique(split.y)
    hits = [judge.predict(made(int(label))) == label for label in classes]
    return {
        "made recognised": 100 * float(np.mean(hits)),
        "worst class": 100 * min(float(hit.mean()) for hit in hits),
        "real recognised": 100 * float(judge.score(split.held, split.held_labels)),
    }


def neighbours(latents: Pixels, held: Pixels, split: Split) -> float:
    """Per cent of held-out rows whose class most of their neighbours have."""
    return 100 * float(KNeighborsClassifier(NEIGHBOURS).fit(latents, split.y).score(held, split.held_labels))


def fitted(split: Split, watch: Watch, **options: Any) -> VAETransformer:
    """A model of pixels."""
    with watch.running():
        return VAETransformer(likelihood="bernoulli", **options).fit(split.X, split.y)


def measure_digits(seed: int, **options: Any) -> dict[str, float]:
    """What the default settings make of digits, beside principal components."""
    split, watch = digits(seed), Watch()
    model = fitted(split, watch, latent_dim=16, random_state=seed, **options)
    pca = PCA(16, random_state=seed).fit(split.X)
    linear = pca.inverse_transform(pca.transform(split.held))
    return {
        "MSE": float(np.square(model.reconstruct(split.held) - split.held).mean()),
        "MSE of PCA": float(np.square(linear - split.held).mean()),
        "kNN": neighbours(model.transform(split.X), model.transform(split.held), split),
        "kNN of PCA": neighbours(pca.transform(split.X), pca.transform(split.held), split),
        **recognised(lambda label: model.sample(MADE, label, random_state=seed), split, 0.001 * 256),
        "CPU s": watch.seconds,
    }


def measure_mnist(folder: Path, seed: int, **options: Any) -> dict[str, float]:
    """What becomes of black and white digits."""
    split, watch = mnist(folder, seed), Watch()
    model = fitted(split, watch, latent_dim=32, random_state=seed, **options)
    return {
        "ELBO": model.score(split.held),
        "steps": model.synthesizer_.history_.best_step,
        **recognised(lambda label: model.sample(MADE, label, random_state=seed), split, 0.01),
        "CPU s": watch.seconds,
    }


def table(rows: dict[str, dict[str, float]]) -> Iterator[str]:
    """Lines of a Markdown table."""
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    yield f"| | {' | '.join(names)} |"
    yield f"| --- |{' ---: |' * len(names)}"
    for label, row in rows.items():
        yield f"| {label} | {' | '.join(f'{row[name]:.4g}' if name in row else '' for name in names)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["digits", "mnist"])
    parser.add_argument("--images", type=Path, help="folder of MNIST's t10k files")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--layers", nargs="+", choices=["dense", "convolutions"], default=["dense", "convolutions"])
    parser.add_argument("--steps", type=int, help="at most so many steps")
    given = parser.parse_args(arguments)
    rows = {}
    for layers in given.layers:
        for seed in given.seeds:
            side = 8 if given.what == "digits" else 28
            options = {"max_steps": given.steps, "image_shape": None if layers == "dense" else (side, side)}
            measured = measure_digits(seed, **options) if side == 8 else measure_mnist(given.images, seed, **options)
            rows[f"{given.what}, {layers}, seed {seed}"] = measured
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
