"""What an evaluation says: metrics, the figures that they reach, and the sections that they stand in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

Better = Literal["higher", "lower", "half"]
"""Which way a metric is better; "half": at 0.5, where two kinds of rows cannot be told apart."""

STRICTER = 1.5  # times as far from a figure as the end of its interval is what may be called chance


@dataclass(frozen=True)
class Metric:
    """What is measured.

    Args:
        name: As JSON and `--fail-under` name it.
        title: As people read it.
        better: Which way is better.
        meaning: One sentence: what the figure says, and in which unit.
        source: Where its formula is from.
        limits: What it does not prove.
        risk: Whether it measures what can be read off of real rows, so that a bad figure is to be flagged.
    """

    name: str
    title: str
    better: Better
    meaning: str
    source: str
    limits: str = ""
    risk: bool = False


@dataclass(frozen=True)
class Figure:
    """What was found of a metric.

    Args:
        metric: The metric.
        value: Of the synthetic rows.
        interval: Its 95 % confidence interval.
        real: Of fresh real rows in the place of the synthetic ones: what a perfect generator would reach.
        independent: Of the real columns, each shuffled by itself: what a generator reaches that learned no relation.
    """

    metric: Metric
    value: float
    interval: tuple[float, float] | None = None
    real: float | None = None
    independent: float | None = None

    @property
    def flagged(self) -> bool:
        """Whether a risk is greater than of fresh real rows, by more than three standard errors or so.

        At "half" more than one half is greater; one that is better "lower" is measured against `real`, or nothing. Two
        standard errors would flag one report in six by chance, since eight risks are measured.
        """
        if self.interval is None or not self.metric.risk:
            return False
        usual = 0.5 if self.metric.better == "half" else self.real or 0.0
        return bool(self.value - STRICTER * (self.value - self.interval[0]) > usual)

    def as_dict(self) -> dict[str, Any]:
        """Return the figure as JSON has it; what is not finite is None."""
        low_high = None if self.interval is None else [_finite(end) for end in self.interval]
        return {
            "value": _finite(self.value),
            "interval": low_high,
            "real": _finite(self.real),
            "independent": _finite(self.independent),
            "better": self.metric.better,
            "flagged": self.flagged,
        }


@dataclass(frozen=True)
class Section:
    """Figures that belong together, and what is behind them.

    Args:
        name: "fidelity", "utility", "survival", "disclosure", "attacks" or "fairness".
        figures: The figures, most important first.
        details: Tables behind the figures, by name.
        notes: What could not be measured, and why; one sentence each.
    """

    name: str
    figures: tuple[Figure, ...] = ()
    details: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Figure:
        for figure in self.figures:
            if figure.metric.name == name:
                return figure
        raise KeyError(name)

    def as_dict(self) -> dict[str, Any]:
        """Return the section as JSON has it, without the tables that are there to be drawn only."""
        return {
            "figures": {figure.metric.name: figure.as_dict() for figure in self.figures},
            "details": {name: _records(table) for name, table in self.details.items() if not name.startswith("drawn_")},
            "notes": list(self.notes),
        }


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(name): _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    """NumPy scalars become Python's."""
    return value.item() if hasattr(value, "item") else value
