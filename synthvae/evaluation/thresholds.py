"""Figures that must be reached: what a build that makes synthetic rows fails by."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping
from typing import Any

from synthvae.errors import ConfigurationError, listing
from synthvae.evaluation.results import Figure, Metric


def failures(figures: Mapping[str, Figure], under: Mapping[str, float], over: Mapping[str, float]) -> list[str]:
    """Return one sentence for each figure that is not reached, in the order in which they are asked for.

    A figure that is not a number is not reached.

    Args:
        figures: What was measured, by the name of its metric.
        under: The least that metrics which are better high may be.
        over: The most that metrics which are better low, or at one half, may be.

    Raises:
        ConfigurationError: A metric is unknown or better the other way, or what is asked of it is no finite number.
    """
    for gates, high in ((under, True), (over, False)):
        for name, bound in gates.items():
            _check(figures, name, bound, high=high)
    return [*_below(figures, under), *_above(figures, over)]


def recorded(page: Mapping[str, Any]) -> dict[str, Figure]:
    """Return the figures that `Evaluation.as_dict` wrote, by name; what is not finite is NaN again."""
    found: dict[str, Figure] = {}
    for section in page["sections"].values():
        for name, facts in section["figures"].items():
            value = math.nan if facts["value"] is None else float(facts["value"])
            found[name] = Figure(Metric(name, name, facts["better"], "", ""), value)
    return found


def _check(figures: Mapping[str, Figure], name: str, bound: float, *, high: bool) -> None:
    if name not in figures:
        near = difflib.get_close_matches(name, figures, 3) or list(figures)
        raise ConfigurationError(
            f"a figure that must be reached must be one that was measured, however, {name!r} was not: try "
            f"{listing(near, len(near))}"
        )
    if not math.isfinite(bound):
        raise ConfigurationError(f"a figure that must be reached must be finite, however, of {name!r} it is {bound}")
    better = figures[name].metric.better
    if high != (better == "higher"):
        side, other = ("least", "most") if high else ("most", "least")
        option = "fail-over" if high else "fail-under"
        way = "at one half" if better == "half" else better
        raise ConfigurationError(
            f"a figure is held on the side on which it is worse, however, {name!r} is better {way} and was given a "
            f"{side}: give it a {other} ({option})"
        )


def _below(figures: Mapping[str, Figure], under: Mapping[str, float]) -> Iterator[str]:
    for name, least in under.items():
        value = figures[name].value
        if not value >= least:
            yield f"{name} must be at least {least:g}, however, it is {_said(value)}"


def _above(figures: Mapping[str, Figure], over: Mapping[str, float]) -> Iterator[str]:
    for name, most in over.items():
        value = figures[name].value
        if not value <= most:
            yield f"{name} must be at most {most:g}, however, it is {_said(value)}"


def _said(value: float) -> str:
    """A figure with the digits that tell it from its bound."""
    return "not known" if math.isnan(value) else f"{value:.6g}"
