"""Results of an evaluation: figures of metrics, and the sections that group them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from synthvae.errors import brief, warn_user
from synthvae.evaluation.metric import Better, Metric

MARGIN = 0.05
"""Distance from one half up to which a risk that is best there is small: a convention of this report.

A DCR share of 0.55 is that of rows of which one in ten is nearer to a training row only because it was seen; exact and
near copies are measured by themselves. Without a limit, a large table would be flagged for any difference.
"""
STRICTER = 1.5  # A flag takes a distance of so many half widths of the 95% interval, about three standard errors.


@dataclass(frozen=True)
class Figure:
    """Value of a metric.

    Args:
        metric: The metric.
        value: Value for the synthetic rows.
        interval: 95% confidence interval of the value.
        real: Value for real rows in place of the synthetic rows: what a perfect generator reaches.
        independent: Value for the training rows with each column shuffled independently: what a generator reaches that
            learned no relationship between columns.

    Example:
        >>> from synthvae.evaluation import METRICS
        >>> Figure(METRICS["copies"], 0.1, interval=(0.08, 0.12), real=0.0).flagged
        True
    """

    metric: Metric
    value: float
    interval: tuple[float, float] | None = None
    real: float | None = None
    independent: float | None = None

    def __repr__(self) -> str:
        """Return the name of the metric and the numbers, without the metric's texts."""
        rest = ", ".join(f"{name}={getattr(self, name)!r}" for name in ("interval", "real", "independent"))
        return f"Figure({self.metric.name!r}, {self.value!r}, {rest})"

    @property
    def better(self) -> Better:
        """Which values are better, see `Metric.better`."""
        return self.metric.better

    @property
    def expected(self) -> float:
        """Value expected without disclosure: one half where that is best, otherwise that of real rows, or zero."""
        return 0.5 if self.better == "half" else self.real or 0.0

    @property
    def limit(self) -> float:
        """Value above which a risk is flagged if it surely exceeds `expected`."""
        return self.expected + (MARGIN if self.better == "half" else 0.0)

    @property
    def beyond_chance(self) -> bool:
        """Whether a risk exceeds `expected` by more than about three standard errors.

        With two standard errors one report in six would exceed it by chance, since there are eight risks.
        """
        if self.interval is None or not self.metric.risk:
            return False
        return bool(self.value - STRICTER * (self.value - self.interval[0]) > self.expected)

    @property
    def flagged(self) -> bool:
        """Whether a risk exceeds `expected` beyond chance, and is above `limit`."""
        return self.beyond_chance and self.value > self.limit

    def to_dict(self) -> dict[str, Any]:
        """Return the figure as JSON data; values that are not finite become None."""
        low_high = None if self.interval is None else [_finite(end) for end in self.interval]
        return {
            "value": _finite(self.value),
            "interval": low_high,
            "real": _finite(self.real),
            "independent": _finite(self.independent),
            "better": self.better,
            "flagged": self.flagged,
        }

    def as_dict(self) -> dict[str, Any]:
        """Return `to_dict()`. Deprecated: to be removed in the next release."""
        warn_deprecated("as_dict", "to_dict")
        return self.to_dict()


@dataclass(frozen=True)
class Section:
    """Figures of one aspect, with the tables behind them.

    Args:
        name: "fidelity", "logic", "utility", "survival", "disclosure", "attacks" or "fairness"; of linked tables also
            "integrity", "sequences" or "subjects".
        figures: The figures, most important first.
        details: Tables behind the figures, by name. Those whose name begins with `drawn` are for plots only.
        notes: What could not be measured, and why; one sentence each.
        table: The table that it is about, of several linked ones.

    Example:
        >>> from synthvae.evaluation import METRICS
        >>> Section("fidelity", (Figure(METRICS["shape"], 0.97),))["shape"].value
        0.97
    """

    __repr__ = brief

    name: str
    figures: tuple[Figure, ...] = ()
    details: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    table: str = ""

    @property
    def key(self) -> str:
        """The name, and the table if there are several."""
        return f"{self.name} of {self.table}" if self.table else self.name

    def __getitem__(self, name: str) -> Figure:
        for figure in self.figures:
            if figure.metric.name == name:
                return figure
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """Return the section as JSON data, without the tables for plots."""
        return {
            "figures": {figure.metric.name: figure.to_dict() for figure in self.figures},
            "details": {name: _records(table) for name, table in self.details.items() if not name.startswith("drawn_")},
            "notes": list(self.notes),
        }

    def as_dict(self) -> dict[str, Any]:
        """Return `to_dict()`. Deprecated: to be removed in the next release."""
        warn_deprecated("as_dict", "to_dict")
        return self.to_dict()


def warn_deprecated(old: str, new: str) -> None:
    """Warn the user that a name is deprecated."""
    warn_user(f"`{old}` is deprecated. Use `{new}` instead.", DeprecationWarning)


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(name): _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    """Convert a NumPy scalar to a Python scalar."""
    return value.item() if hasattr(value, "item") else value
