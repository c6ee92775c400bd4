"""Whether noise is what a ledger says: as large, and in no cell or release the same as in another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from synthvae.privacy.events import Event

Floats = npt.NDArray[np.float64]

FEWEST = 50  # numbers of which something is said
FAR = 12  # standard deviations beyond which a discrete distribution is not summed


@dataclass(frozen=True)
class NoiseCheck:
    """One check of the noise of an event.

    Args:
        event: The event's name.
        check: What was checked: "scale", "from release to release" or "from cell to cell".
        found: The standard deviation over that recorded, or a correlation.
        p_value: How likely it is that noise as recorded is that small, or that much correlated.
        significance: Below which noise is taken for another than was recorded.
    """

    event: str
    check: str
    found: float
    p_value: float
    significance: float

    @property
    def refuted(self) -> bool:
        """Whether the noise is not what was recorded."""
        return self.p_value < self.significance

    def __str__(self) -> str:
        verdict = "REFUTED" if self.refuted else "not refuted"
        number = f"{self.found:.3f} of what was recorded" if self.check == "scale" else f"correlation {self.found:.3f}"
        return f"noise of {self.event} ({self.check}): {number}: {verdict}"


def checked(event: Event, noise: Floats, significance: float) -> Iterable[NoiseCheck]:
    """Check the noise (releases, cells) of an event: its scale, and its correlation between neighbours.

    Sums of many independent numbers are taken for normal. Noise that is too large is no fault of privacy.

    Args:
        event: What was recorded.
        noise: What was released, less what it is without noise.
        significance: The chance of each check to refute noise that is right.
    """
    variance, fourth = moments(event)
    if noise.size < FEWEST:
        return
    size = float(np.mean(noise**2))
    score = (size - variance) / np.sqrt(max(fourth - variance**2, 1e-300) / noise.size)
    yield NoiseCheck(event.name, "scale", float(np.sqrt(size / variance)), float(norm.cdf(score)), significance)
    for check, products in (
        ("from release to release", noise[1:] * noise[:-1]),
        ("from cell to cell", noise[:, 1:] * noise[:, :-1]),
    ):
        if products.size >= FEWEST:
            found = float(products.mean() / variance)
            p_value = float(2 * norm.sf(abs(found) * np.sqrt(products.size)))
            yield NoiseCheck(event.name, check, found, p_value, significance)


def moments(event: Event) -> tuple[float, float]:
    """The second and the fourth moment of one number of an event's noise."""
    scale = event.scale
    if event.mechanism == "Poisson-sampled Gaussian":
        return scale**2, 3 * scale**4
    x = np.arange(np.ceil(FAR * scale) + FAR)
    logs = -(x**2) / (2 * scale**2) if event.mechanism == "discrete Gaussian" else -x / scale
    chances = np.exp(logs) * np.where(x == 0, 1, 2)
    chances /= chances.sum()
    return float(chances @ x**2), float(chances @ x**4)
