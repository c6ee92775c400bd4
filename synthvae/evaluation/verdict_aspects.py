"""Grades of the aspects of synthetic rows: columns, pairs, detectability, utility, survival, logic and fairness.

Each grade follows from a figure and its limits, which are conventions of this report. A limit is relative to what real
rows reach in place of the synthetic rows: either at a distance from it, or at a position between shuffled columns and
real rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from synthvae.evaluation.results import Figure
from synthvae.evaluation.thresholds import MOST_BROKEN

Grade = Literal["good", "fair", "poor", "unknown"]

# Least distance between shuffled columns and real rows at which a position between them is meaningful.
LEAST_SPAN, LEAST_AREA = 0.01, 0.1
ORDER: tuple[Grade, ...] = ("poor", "fair", "good")
# What users of the rows rely on; the last four are aspects of linked tables.
CONTENT = frozenset(
    {"columns", "pairs", "utility", "survival", "keys", "numbers of rows", "sequences", "dependence on parents"}
)


@dataclass(frozen=True)
class Limits:
    """How a figure is graded.

    Args:
        aspect: The aspect.
        metric: The name of the metric.
        good: From here on the figure is good: the distance from real rows, or the position between shuffled columns (0)
            and real rows (1).
        fair: From here on it is fair; otherwise it is poor.
        sentence: What the figure says, with a place for its value.
        shown: The format of its values.
        relative: Whether `good` and `fair` are positions.
        apart: The distances that are good and fair where shuffled columns and real rows coincide.
        shuffled: What the reference of independent rows is.
        sure: Whether only what is surely beyond a limit counts, by the interval of the figure.
    """

    aspect: str
    metric: str
    good: float
    fair: float
    sentence: str
    shown: str = "{:.1%}"
    relative: bool = False
    apart: tuple[float, float] | None = None
    shuffled: str = "columns shuffled at random"
    sure: bool = False


CLASSIFIER = (
    "a classifier separates synthetic rows from {rows} with an AUC of {{value}}, where 0.5 is guessing and 1 is perfect"
)
HELD, SEEN = CLASSIFIER.format(rows="real rows withheld from training"), CLASSIFIER.format(rows="training rows")
PAIRS = "relationships between pairs of columns agree to {value}"
MODELS = "predictive models trained on synthetic rows score {value} on real rows, where 1 is perfect"
INCIDENCE = "cumulative incidence curves of one cause are {value} of the follow-up apart"
COX = "a Cox model trained on synthetic rows has a concordance of {value} on real rows"
RULE = "of the rules that real rows keep, the one broken most often holds in {value} of the synthetic rows"
LIMITS = (
    # Distances, since shuffled columns have the shapes of real ones, too.
    Limits("columns", "shape", 0.03, 0.1, "distributions of single columns agree to {value}"),
    Limits("columns", "missing", 0.05, 0.2, "shares of missing values differ by up to {value} in a column"),
    Limits("columns", "adherence", 0.01, 0.1, "{value} of the values are within the bounds of the real table"),
    Limits("pairs", "trend", 0.8, 0.5, PAIRS, relative=True, apart=(0.01, 0.05)),
    Limits("detectability", "c2st_holdout", 0.1, 0.25, HELD, "{:.3f}"),
    Limits("detectability", "c2st_real", 0.1, 0.25, SEEN, "{:.3f}"),
    Limits("utility", "tstr", 0.8, 0.5, MODELS, "{:.3f}", relative=True),
    Limits("survival", "concordance", 0.8, 0.5, COX, "{:.3f}", relative=True),
    Limits("survival", "kaplan_meier", 0.02, 0.06, "Kaplan-Meier curves are {value} of the follow-up apart"),
    Limits("survival", "cumulative_incidence", 0.02, 0.06, INCIDENCE),
    Limits("fairness", "group_share", 0.05, 0.15, "shares of groups differ by up to {value}"),
    Limits("fairness", "group_fidelity", 0.05, 0.15, "fidelity differs by {value} between groups", "{:.3f}"),
    Limits("fairness", "group_utility", 0.05, 0.15, "utility differs by {value} between groups", "{:.3f}"),
)
RULES = Limits("logic", "worst_rule", MOST_BROKEN, 0.1, RULE)


@dataclass(frozen=True)
class Aspect:
    """The grade of one aspect, and the figure that decided it.

    Args:
        name: "columns", "pairs", "detectability", "utility", "survival", "logic" or "fairness"; of linked tables also
            "keys", "numbers of rows", "sequences" or "dependence on parents".
        grade: "good", "fair" or "poor".
        metric: The name of the metric of the figure.
        decided: The figure and the limit, such as "0.740 > 0.600".
        sentence: What the figure says, with its references.
        uncertain: Whether the 95% interval of the figure has the limit inside.
        table: The table, of several linked ones.
    """

    name: str
    grade: Grade
    metric: str
    decided: str
    sentence: str
    uncertain: bool = False
    table: str = ""

    @property
    def title(self) -> str:
        """The name, and the table if there are several."""
        return f"{self.name} of {self.table!r}" if self.table else self.name

    @property
    def reason(self) -> str:
        """The grade and the sentence behind it."""
        return f"{self.title[:1].upper()}{self.title[1:]}: {self.grade} ({self.decided}). {self.sentence}"


def aspects(figures: Mapping[str, Figure], known_limits: Sequence[Limits] = LIMITS) -> tuple[Aspect, ...]:
    """Return the grade of each aspect that was measured: that of its worst figure.

    Args:
        figures: Figures by the name of their metric.
        known_limits: How figures are graded.
    """
    found: dict[str, Aspect] = {}
    for limits in known_limits:
        known = limits.metric in figures and not (limits.metric == "c2st_real" and "c2st_holdout" in figures)
        aspect = _aspect(figures[limits.metric], limits) if known else None
        if aspect is not None:
            found[limits.aspect] = _worse(found.get(limits.aspect), aspect)
    if "worst_rule" in figures:
        found["logic"] = _logic(figures["worst_rule"])
    return tuple(found.values())


def overall(found: tuple[Aspect, ...]) -> Grade:
    """Return the grade of all aspects together.

    A poor column, pair or prediction is decisive. A classifier may recognise rows by a detail that does not matter, so
    detectability that is poor makes the whole poor only where something else is not good; so do logic and fairness.
    """
    content = [ORDER.index(aspect.grade) for aspect in found if aspect.name in CONTENT]
    rest = [ORDER.index(aspect.grade) for aspect in found if aspect.name not in CONTENT]
    if not found:
        return "unknown"
    lowest = min(content, default=2)
    cap = max(min(rest, default=2), 1 if lowest == 2 else 0)
    return ORDER[min(lowest, cap)]


def closeness(figure: Figure) -> float | None:
    """Return the position of a figure between shuffled columns (0) and real rows (1); None where they coincide."""
    ends = _ends(figure)
    return None if ends is None else (_goodness(figure, figure.value) - ends[0]) / (ends[1] - ends[0])


def _ends(figure: Figure) -> tuple[float, float] | None:
    """The goodness of shuffled columns and of real rows; None where they coincide."""
    if figure.real is None or figure.independent is None:
        return None
    best, worst = (_goodness(figure, x) for x in (figure.real, figure.independent))
    least = LEAST_AREA if figure.better == "half" else LEAST_SPAN
    return (worst, best) if best - worst >= least else None


def _goodness(figure: Figure, value: float) -> float:
    if figure.better == "half":
        return -max(value - 0.5, 0.0)  # Less than one half is chance, or rows that are in both tables.
    return value if figure.better == "higher" else -value


def _value(figure: Figure, goodness: float) -> float:
    """The value of some goodness."""
    return 0.5 - goodness if figure.better == "half" else goodness if figure.better == "higher" else -goodness


def _aspect(figure: Figure, limits: Limits) -> Aspect | None:
    """Grade a figure; None if nothing follows from it."""
    lines = _lines(figure, limits)
    if lines is None or math.isnan(figure.value):
        return None
    ends = figure.interval if limits.sure and figure.interval else (figure.value, figure.value)
    value = max(_goodness(figure, end) for end in ends)
    grade: Grade = "good" if value >= lines[0] else "fair" if value >= lines[1] else "poor"
    limit = _value(figure, lines[1] if grade == "poor" else lines[0])
    return _graded(figure, limits, grade, limit)


def _lines(figure: Figure, limits: Limits) -> tuple[float, float] | None:
    """The goodness from which a figure is good, and from which it is fair."""
    ends, best = _ends(figure), _goodness(figure, _best(figure) if figure.real is None else figure.real)
    if limits.relative and ends is not None:
        good, fair = (ends[0] + position * (ends[1] - ends[0]) for position in (limits.good, limits.fair))
        return good, fair
    distances = limits.apart if limits.relative else (limits.good, limits.fair)
    if distances is None or (limits.relative and figure.real is None):
        return None
    return best - distances[0], best - distances[1]


def _best(figure: Figure) -> float:
    return 1.0 if figure.better == "higher" else 0.5 if figure.better == "half" else 0.0


def _logic(figure: Figure) -> Aspect:
    """Grade the rule that is broken most often; only a share that is surely too large counts."""
    high = figure.value if figure.interval is None else figure.interval[1]
    grade: Grade = "good" if high >= 1 - RULES.good else "fair" if high >= 1 - RULES.fair else "poor"
    aspect = _graded(figure, RULES, grade, 1 - (RULES.fair if grade == "poor" else RULES.good))
    return replace(aspect, uncertain=aspect.uncertain and grade == "good")


def _graded(figure: Figure, limits: Limits, grade: Grade, limit: float) -> Aspect:
    value = limits.shown.format(figure.value)
    inside = figure.interval is not None and figure.interval[0] < limit < figure.interval[1]
    decided = _decided(figure, grade, limit, limits.shown)
    interval = _interval(figure, limits.shown)
    said = f"{limits.sentence.format(value=value)}{_references(figure, limits, interval)}"
    unsure = ". The interval includes the limit, so this is uncertain" if inside else ""
    return Aspect(limits.aspect, grade, limits.metric, decided, f"{said[:1].upper()}{said[1:]}{unsure}.", inside)


def _decided(figure: Figure, grade: Grade, limit: float, shown: str) -> str:
    """A figure and its limit; the end of its interval where that alone makes it good."""
    higher = figure.better == "higher"
    missed = figure.value < limit if higher else figure.value > limit
    if grade == "good" and missed and figure.interval is not None:
        end = max(figure.interval) if higher else min(figure.interval)
        return f"{'up' if higher else 'down'} to {_compared(end, limit, shown, higher=higher)}"
    return _compared(figure.value, limit, shown, higher=higher)


def _compared(value: float, limit: float, shown: str, *, higher: bool) -> str:
    """A value and its limit, with as many digits as set them apart."""
    sign = ("≥" if value >= limit else "<") if higher else ("≤" if value <= limit else ">")
    finer = shown.replace(".1", ".2").replace(".3", ".4")
    few = shown.format(value) != shown.format(limit) or value == limit
    return f"{(shown if few else finer).format(value)} {sign} {(shown if few else finer).format(limit)}"


def _worse(known: Aspect | None, other: Aspect) -> Aspect:
    if known is None:
        return other
    return min(known, other, key=lambda aspect: ORDER.index(aspect.grade))


def _interval(figure: Figure, shown: str) -> str:
    if figure.interval is None:
        return ""
    return f"95% interval: {shown.format(figure.interval[0])} to {shown.format(figure.interval[1])}"


def _references(figure: Figure, limits: Limits, interval: str) -> str:
    """The interval and the values of real rows and of shuffled columns, in parentheses."""
    real, shuffled = "two samples of real rows", limits.shuffled
    if limits.metric in {"tstr", "concordance"}:
        real, shuffled = "trained on real rows", "on columns shuffled at random"
    if limits.metric == "worst_rule":
        real = "real rows"
    known = [(real, figure.real), (shuffled, figure.independent)]
    parts = [f"{name}: {limits.shown.format(value)}" for name, value in known if value is not None]
    parts = [interval] * bool(interval) + parts
    return f" ({'; '.join(parts)})" if parts else ""
