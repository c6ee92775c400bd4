"""Thresholds for figures, by which a build that generates synthetic rows passes or fails."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping
from typing import Literal, Protocol

from synthvae.errors import ConfigurationError, listing
from synthvae.evaluation.metric import Better

Side = Literal["least", "most"]

LEAST_KEPT = 0.999
"""Share of the real rows that keep a rule from which on it is a rule: discovery proposes those that hold in as many."""
MOST_BROKEN = 0.01
"""Share of the synthetic rows that may break such a rule before the verdict on their use is "fair" at best. It is ten
times the share that real rows break, since a user filters out one row in a hundred, and not one in ten."""


class Measured(Protocol):
    """A `Figure` or a `SavedFigure`."""

    @property
    def value(self) -> float | None:
        """The value; None and NaN: unknown."""

    @property
    def better(self) -> Better:
        """Which values are better."""


def failures(figures: Mapping[str, Measured], under: Mapping[str, float], over: Mapping[str, float]) -> list[str]:
    """Return one sentence for each figure that misses its threshold, in the order of the thresholds.

    An unknown figure misses every threshold.

    Args:
        figures: Figures by the name of their metric.
        under: Minimum of metrics for which higher is better, by name.
        over: Maximum of metrics for which lower, or one half, is better, by name.

    Raises:
        ConfigurationError: A metric is unknown or better in the other direction, or a threshold is not finite.

    Example:
        >>> from synthvae.evaluation import Figure
        >>> from synthvae.evaluation.metrics import TREND
        >>> failures({"trend": Figure(TREND, 0.8)}, under={"trend": 0.9}, over={})
        ['`trend` must be at least 0.9, got 0.8.']
    """
    for name, bound in under.items():
        _check(figures, name, bound, "least")
    for name, bound in over.items():
        _check(figures, name, bound, "most")
    return [*_below(figures, under), *_above(figures, over)]


def _check(figures: Mapping[str, Measured], name: str, bound: float, side: Side) -> None:
    if name not in figures:
        near = difflib.get_close_matches(name, figures, 1)
        way = f"Did you mean {near[0]!r}?" if near else f"Choose from {listing(figures, len(figures))}."
        raise ConfigurationError(f"No figure {name!r} was measured. {way}")
    if not math.isfinite(bound):
        raise ConfigurationError(f"The threshold of {name!r} must be finite, got {bound}.")
    better = figures[name].better
    if side != ("least" if better == "higher" else "most"):
        option = "fail-under" if better == "higher" else "fail-over"
        best = "near 0.5" if better == "half" else better
        raise ConfigurationError(
            f"{name!r} cannot have a threshold of at {side} {bound:g}, since it is better {best}. Set {option} instead."
        )


def _below(figures: Mapping[str, Measured], under: Mapping[str, float]) -> Iterator[str]:
    for name, least in under.items():
        value = _value(figures[name])
        if not value >= least:
            yield f"`{name}` must be at least {least:g}, got {_formatted(value)}."


def _above(figures: Mapping[str, Measured], over: Mapping[str, float]) -> Iterator[str]:
    for name, most in over.items():
        value = _value(figures[name])
        if not value <= most:
            yield f"`{name}` must be at most {most:g}, got {_formatted(value)}."


def _value(figure: Measured) -> float:
    return math.nan if figure.value is None else figure.value


def _formatted(value: float) -> str:
    """Format a figure with enough digits to distinguish it from its threshold."""
    return "an unknown value" if math.isnan(value) else f"{value:.6g}"
