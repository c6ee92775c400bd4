"""The draws of a private fit, with their exact values, and their comparison with the ledger."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from synthvae.privacy import Event, Ledger
from synthvae.privacy.curator import Curator
from synthvae.privacy.dpsgd.trainer import NoisyOptimizer
from synthvae.privacy.ledger import RecordedEvent

Floats = npt.NDArray[np.float64]
FAR = 6.0  # standard deviations: what is right is farther from what is expected once in 10^9 times
MANY = 100  # products of two noises from which on their mean is nearly normal: that of few is far out by chance


@dataclasses.dataclass
class Draw:
    """One draw: so many releases of an event.

    Args:
        event: The recorded event.
        exact: The exact values (cells,).
        released: The released values (cells,).
        times: The number of releases.
    """

    event: Event
    exact: Floats
    released: Floats
    times: int = 1

    @property
    def noise(self) -> Floats:
        return self.released - self.exact


def remembering(exact: Callable[[], Any], found: list[Any]) -> Callable[[], Any]:
    """The function, which also appends its results to a list."""

    def count() -> Any:
        found.append(exact())
        return found[-1]

    return count


@contextmanager
def watched(kept: list[Draw] | None = None) -> Iterator[list[Draw]]:
    """Record every draw of fits; with the draws of another fit, its releases are replayed."""
    draws: list[Draw] = []
    counts, frequent, noisy = Curator.counts, Curator.frequent_values, NoisyOptimizer._noisy

    def seen(draw: Draw) -> Floats:
        if kept is not None:
            assert kept[len(draws)].event == draw.event, "what is asked follows from what was released"
            draw.released = kept[len(draws)].released
        draws.append(draw)
        return draw.released

    def watched_counts(self: Curator, recorded: RecordedEvent, exact: Callable[[], Any], times: int = 1) -> Any:
        found: list[Any] = []
        released = counts(self, recorded, remembering(exact, found), times)
        return seen(Draw(recorded.event, found[0].astype(float), released.astype(float), times)).astype(np.int64)

    def watched_frequent(self: Curator, recorded: RecordedEvent, exact: Callable[[], Any], least: int) -> Any:
        found: list[dict[Any, int]] = []
        values = frequent(self, recorded, remembering(exact, found), least)
        seen(Draw(recorded.event, found[0], values))  # type: ignore[arg-type]
        return draws[-1].released

    def watched_sums(self: NoisyOptimizer) -> list[Tensor]:
        sums, released = [parameter.summed_grad for parameter in self.params], noisy(self)
        exact, flat = (torch.cat([one.flatten().double() for one in some]).numpy() for some in (sums, released))
        shown = torch.from_numpy(seen(Draw(self.recorded.event, exact, flat)))
        parts = torch.split(shown, [total.numel() for total in sums])
        return [part.view_as(total).float() for part, total in zip(parts, sums, strict=True)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Curator, "counts", watched_counts)
        patch.setattr(Curator, "frequent_values", watched_frequent)
        patch.setattr(NoisyOptimizer, "_noisy", watched_sums)
        yield draws


def moved(before: Any, after: Any) -> float:
    """The L1 distance of exact counts, or the L2 distance of exact sums, which are no whole numbers."""
    if isinstance(before, dict):
        return float(sum(abs(before.get(key, 0) - after.get(key, 0)) for key in before.keys() | after.keys()))
    off = after - before
    return float(np.abs(off).sum() if np.array_equal(off, np.rint(off)) else np.linalg.norm(off))


def refuse_what_is_not_in_the_ledger(ledger: Ledger, draws: list[Draw]) -> None:
    """Compare every draw with the ledger: what it is called, how often, in which cells, with how much noise."""
    assert all(draw.event in ledger.events for draw in draws), "a draw is in no ledger"
    for event in ledger.events:
        mine = [draw for draw in draws if draw.event == event]
        assert sum(draw.times for draw in mine) <= event.times, f"{event.name}: drawn more often than recorded"
        for by_value in (False, True):  # counts in fixed cells, and counts of values above a threshold
            refuse_other_noise(event, [noise_of(draw) for draw in mine if isinstance(draw.exact, dict) == by_value])


def refuse_other_noise(event: Event, residuals: list[Floats]) -> None:
    """Compare noise of draws (cells,) with what was recorded: how much it is, and that none of it is there twice."""
    noise = np.concatenate(residuals) if residuals else np.zeros(0)
    if len(noise) < 2:
        return
    pairs = [a * b for a, b in itertools.pairwise(residuals) if len(a) == len(b)]
    assert abs(shared(event, pairs)) < FAR, f"{event.name}: releases have one noise"
    near = shared(event, [noise[1:] * noise[:-1]])
    assert abs(near) < FAR, f"{event.name}: neighbouring cells have one noise, {near:.2f} deviations from none"
    for one in residuals:
        lag, alike = most_alike(one / scale_of(event))
        assert alike < FAR + 2, f"{event.name}: cells have one noise, {lag} apart"
    spread = np.sqrt(np.mean(noise**2)) / scale_of(event)
    assert abs(spread - 1) < FAR / np.sqrt(2 * len(noise)), f"{event.name}: {spread:.2f} of the noise recorded"


def shared(event: Event, products: list[Floats]) -> float:
    """How many standard deviations the mean of products of two noises is from zero; of few products, zero."""
    together = np.concatenate([*products, np.zeros(0)]) / scale_of(event) ** 2
    return float(together.sum() / np.sqrt(len(together))) if len(together) >= MANY else 0.0


def most_alike(noise: Floats) -> tuple[int, float]:
    """How far apart cells (cells,) are whose noise agrees most, and how many standard deviations above chance."""
    cells = len(noise)
    if cells < 50:
        return 0, 0.0
    spectrum = np.fft.rfft(noise, 2 * cells)
    products = np.fft.irfft(spectrum * spectrum.conj())[1 : cells - 20]
    scores = np.abs(products) / np.sqrt(cells - np.arange(1, cells - 20))
    return int(scores.argmax()) + 1, float(scores.max())


def scale_of(event: Event) -> float:
    """The standard deviation of an event's noise."""
    laplace = event.mechanism == "discrete Laplace"
    return event.noise_multiplier * event.sensitivity * (2**0.5 if laplace else 1.0)


def noise_of(draw: Draw) -> Floats:
    """The noise of a draw; for counts of values, of those that are released almost certainly."""
    if isinstance(draw.exact, dict):
        values: dict[Any, int] = draw.released
        sure = [value for value in values if draw.exact[value] > 10 * scale_of(draw.event) + above(draw.event)]
        return np.array([values[value] - draw.exact[value] for value in sure], float)
    return draw.noise


def above(event: Event) -> float:
    """More than any threshold of released values, up to the noise."""
    return event.sensitivity + 8 * scale_of(event)
