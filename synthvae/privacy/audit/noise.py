"""Checks of noise against a ledger: its scale, and its correlation between cells and between releases."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from synthvae.privacy.events import Event

Floats = npt.NDArray[np.float64]

FEWEST = 50  # numbers; fewer are not checked
FAR = 12  # standard deviations up to which a discrete distribution is summed


@dataclass(frozen=True)
class NoiseCheck:
    """One check of the noise of an event.

    Args:
        event: The name of the event.
        check: The kind of check: "scale", "from release to release" or "from cell to cell".
        found: The standard deviation over the recorded one, or a correlation.
        p_value: The probability that noise as recorded is that small, or that much correlated.
        significance: The p-value below which the check is refuted.
    """

    event: str
    check: str
    found: float
    p_value: float
    significance: float

    @property
    def refuted(self) -> bool:
        """Whether the noise differs from what was recorded."""
        return self.p_value < self.significance

    def __str__(self) -> str:
        verdict = "REFUTED" if self.refuted else "not refuted"
        number = f"{self.found:.3f} of what was recorded" if self.check == "scale" else f"correlation {self.found:.3f}"
        return f"noise of {self.event} ({self.check}): {number}: {verdict}"


def check_noise(event: Event, noise: Floats, significance: float) -> Iterable[NoiseCheck]:
    """Check the noise (releases, cells) of an event: its scale, and its correlation between neighbours.

    The sums of many independent numbers are taken as normal. Too much noise is not refuted, since it is private.

    Args:
        event: The event.
        noise: The released numbers minus the exact ones.
        significance: The probability of each check to refute correct noise.
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
    """Return the second and the fourth moment of one number of an event's noise."""
    scale = event.scale
    if event.mechanism == "Poisson-sampled Gaussian":
        return scale**2, 3 * scale**4
    x = np.arange(np.ceil(FAR * scale) + FAR)
    logs = -(x**2) / (2 * scale**2) if event.mechanism == "discrete Gaussian" else -x / scale
    chances = np.exp(logs) * np.where(x == 0, 1, 2)
    chances /= chances.sum()
    return float(chances @ x**2), float(chances @ x**4)
