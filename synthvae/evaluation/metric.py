"""The definition of a metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Better = Literal["higher", "lower", "half"]
"""Which values are better. "half": values near 0.5, at which two kinds of rows cannot be distinguished."""


@dataclass(frozen=True)
class Metric:
    """Definition of a metric.

    Args:
        name: Identifier in JSON and for `--fail-under` and `--fail-over`.
        title: Name in the report.
        better: Which values are better.
        meaning: What the metric measures, in one or two sentences.
        source: Reference for the formula.
        limits: What the metric cannot show.
        risk: Whether the metric measures disclosure of training rows, so that a bad figure is flagged.
        formula: The formula.
        range: Range of values, and what its ends mean.

    Example:
        >>> from synthvae.evaluation import METRICS
        >>> METRICS["copies"].better, METRICS["copies"].risk
        ('lower', True)
    """

    name: str
    title: str
    better: Better
    meaning: str
    source: str
    limits: str = ""
    risk: bool = False
    formula: str = ""
    range: str = ""
