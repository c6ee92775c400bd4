"""The first screen of the report: large figures with grades, bars of references, and measurements of disclosure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from synthvae.evaluation.report.formats import number, small
from synthvae.evaluation.results import Figure
from synthvae.evaluation.verdict import Verdict
from synthvae.evaluation.verdict_aspects import LIMITS, RULES, Aspect, Grade
from synthvae.evaluation.verdict_risks import SHARES, Sign, sign, summaries

Role = Literal["independent", "synthetic", "real"]

MOST_TILES = 5
GRADES: tuple[Grade, ...] = ("poor", "fair", "unknown", "good")  # the worst first
PERCENT = "{:.1%}"
SHOWN = {limits.metric: limits.shown for limits in (*LIMITS, RULES)} | dict.fromkeys((*SHARES, "rules"), PERCENT)
LEAST_LENGTH = 0.02  # value of the longest bar at least, of distances and differences
DISCLOSURE = ("dcr_share", "copies")  # large figures, if no other measurement is more serious
SERIOUS: tuple[Sign, ...] = ("found", "slight", "raised")
SIGNS: dict[Sign, tuple[Grade, str]] = {
    "found": ("poor", "Flagged"),
    "slight": ("fair", "Beyond chance, but small"),
    "raised": ("fair", "Slightly raised"),
    "uncertain": ("unknown", "Too uncertain"),
    "none": ("good", "No sign"),
}
# Names of the bars of figures whose references are not the same figure of other rows.
TRAINED: dict[Role, str] = {"independent": "shuffled columns", "synthetic": "TSTR", "real": "TRTR"}
EXPECTED: dict[Role, str] = {"synthetic": "synthetic", "real": "expected"}
LABELS: dict[Role, str] = {"independent": "shuffled columns", "synthetic": "synthetic", "real": "real rows"}
NAMES = {"tstr": TRAINED, "utility": TRAINED, "concordance": TRAINED, "dcr_share": EXPECTED, "nndr_share": EXPECTED}


@dataclass(frozen=True)
class Bar:
    """A bar with its value.

    Args:
        role: What it shows, which determines its colour.
        label: Its name.
        value: Its value as text.
        width: Its length, in percent of the longest possible.
        interval: The ends of the 95% confidence interval, in percent of the longest possible.
    """

    role: Role
    label: str
    value: str
    width: float
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Tile:
    """A large figure.

    Args:
        title: The aspect.
        term: The metric.
        value: The value as text.
        grade: Its grade.
        word: The grade in words.
        limit: The figure and its limit, such as "0.740 > 0.600"; empty where there is none.
        bars: The value beside its references.
    """

    title: str
    term: str
    value: str
    grade: Grade
    word: str
    limit: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Measurement:
    """A measurement of disclosure: its name, its value with interval, what is expected, and what it says."""

    title: str
    value: str
    interval: str
    expected: str
    grade: Grade
    word: str


def key_of(table: str, metric: str) -> str:
    """Return the name of a figure: that of its metric, after the name of its table if there are several.

    Example:
        >>> key_of("", "shape"), key_of("visits", "shape")
        ('shape', 'visits.shape')
    """
    return f"{table}.{metric}" if table else metric


def tiles(verdict: Verdict, figures: Mapping[str, Figure]) -> tuple[Tile, ...]:
    """Return the large figures: the aspects of use, and one measurement of disclosure.

    Aspects have their order; those of linked tables, of which there are many, begin with the worst.

    Args:
        verdict: The verdict.
        figures: The figures by `key_of`.
    """
    aspects = verdict.use.aspects
    if any(aspect.table for aspect in aspects):
        aspects = tuple(sorted(aspects, key=lambda aspect: GRADES.index(aspect.grade)))
    keys = {key_of(aspect.table, aspect.metric): aspect for aspect in aspects}
    found = [_aspect_tile(aspect, figures[key]) for key, aspect in keys.items() if key in figures]
    worst = worst_measurement(figures)
    risks = [] if worst is None else [_risk_tile(worst)]
    return (*found[: MOST_TILES - len(risks)], *risks)


def worst_measurement(figures: Mapping[str, Figure]) -> Figure | None:
    """Return the measurement of disclosure that decides: one that is flagged, or raised, or else the DCR share."""
    first = [one for name in DISCLOSURE for one in figures.values() if one.metric.name == name]
    others = [one for one in figures.values() if one.metric.name not in DISCLOSURE]
    risks = [one for one in (*first, *others) if one.metric.risk and one.interval is not None]
    serious = [figure for each in SERIOUS for figure in risks if sign(figure) == each]
    return next(iter(serious + risks), None)


def _aspect_tile(aspect: Aspect, figure: Figure) -> Tile:
    word = aspect.grade.capitalize()
    title, value = f"{aspect.title[:1].upper()}{aspect.title[1:]}", text_of(figure, figure.value)
    return Tile(title, figure.metric.title, value, aspect.grade, word, aspect.decided, bars_of(figure))


def _risk_tile(figure: Figure) -> Tile:
    (grade, word), limit = SIGNS[sign(figure)], ""
    value = text_of(figure, figure.value)
    if figure.limit > figure.expected:
        limit = f"{value} {'>' if figure.value > figure.limit else '≤'} {text_of(figure, figure.limit)}"
    return Tile("Disclosure", figure.metric.title, value, grade, word, limit, bars_of(figure))


def measurements(figures: Mapping[str, Figure]) -> tuple[Measurement, ...]:
    """Return the measurements of disclosure that have an interval, in their order."""
    return tuple(
        _measurement(figure, name.removesuffix(figure.metric.name).removesuffix("."))
        for name, figure in figures.items()
        if figure.metric.risk and figure.interval is not None
    )


def _measurement(figure: Figure, table: str) -> Measurement:
    assert figure.interval is not None
    title = f"{table}: {figure.metric.title}" if table else figure.metric.title
    low, high = (text_of(figure, end) for end in figure.interval)
    expected = f"expected {text_of(figure, figure.expected)}"
    if figure.limit > figure.expected:
        expected += f", limit {text_of(figure, figure.limit)}"
    return Measurement(title, text_of(figure, figure.value), f"{low} to {high}", expected, *SIGNS[sign(figure)])


def unlisted(reasons: Sequence[str], figures: Mapping[str, Figure]) -> list[str]:
    """Return the reasons of the verdict that do not only list what `measurements` shows."""
    listed = set(summaries(figures))
    return [reason for reason in reasons if reason not in listed]


def bars_of(figure: Figure) -> tuple[Bar, ...]:
    """Return the bars of a figure and its references: shuffled columns, synthetic rows, real rows."""
    real = 0.5 if figure.real is None and figure.better == "half" else figure.real
    values: dict[Role, float | None] = {"independent": figure.independent, "synthetic": figure.value, "real": real}
    known = {role: value for role, value in values.items() if value is not None and math.isfinite(value)}
    return tuple(_bars(figure, known)) if "synthetic" in known else ()


def _bars(figure: Figure, values: Mapping[Role, float]) -> Iterator[Bar]:
    ends = [end for end in figure.interval or () if math.isfinite(end)]
    origin = 0.5 if figure.better == "half" else 0.0
    # Distances and differences are often small: their bars are relative to the longest. Risks end at 1, certainty.
    relative = figure.better == "lower" and not figure.metric.risk
    most = max([LEAST_LENGTH if relative else 1.0, *values.values(), *ends])
    labels = {**LABELS, **NAMES.get(figure.metric.name, {})}

    def place(value: float) -> float:
        return round(100 * min(max((value - origin) / (most - origin), 0.0), 1.0), 2)

    for role, value in values.items():
        both = (place(ends[0]), place(ends[1])) if role == "synthetic" and len(ends) == 2 else None
        yield Bar(role, labels[role], text_of(figure, value), place(value), both)


def text_of(figure: Figure, value: float) -> str:
    """Format a value of a figure, shares in percent."""
    form = SHOWN.get(figure.metric.name)
    if form == PERCENT and 0 < abs(value) < 0.0005:  # would be shown as 0.0%
        return f"{small(100 * value)}%"
    return number(value) if form is None or not math.isfinite(value) else form.format(value)
