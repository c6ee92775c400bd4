"""Whether synthetic rows can be used, and shared: what the figures mean, in plain words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from synthvae.evaluation.results import Figure
from synthvae.schema.values import at_most

Grade = Literal["good", "fair", "poor", "unknown"]

# How far from shuffled columns (0) to fresh real rows (1) a figure must be. They are a convention of this report.
NEAR, FAR = 0.8, 0.5
# How far below that of fresh real rows the mean column score may be, which shuffled columns reach, too.
ALIKE, UNLIKE = 0.03, 0.1
# Between the two, below which a table has too few relations, or rows, to tell.
LEAST_SPAN, LEAST_AREA = 0.01, 0.1
WEAK, LOOSE = 10.0, 1e-3  # epsilon and delta from which a guarantee promises next to nothing


@dataclass(frozen=True)
class Answer:
    """The answer to a question.

    Args:
        question: The question.
        grade: How well it stands.
        answer: Plain sentences.
        reasons: The figures behind it, one sentence each.
    """

    question: str
    grade: Grade
    answer: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """The two answers of the first screen."""

    use: Answer
    share: Answer

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


def verdict(figures: Mapping[str, Figure], ledger: Mapping[str, Any] | None) -> Verdict:
    """Judge by figures, and by the privacy that was promised (as `Ledger.statement` says it)."""
    return Verdict(_use(figures), _share(figures, ledger))


def closeness(figure: Figure) -> float | None:
    """Return where a figure lies between shuffled columns (0) and fresh real rows (1); None where they are the same."""
    if figure.real is None or figure.independent is None:
        return None
    value, best, worst = (_goodness(figure, x) for x in (figure.value, figure.real, figure.independent))
    least = LEAST_AREA if figure.metric.better == "half" else LEAST_SPAN
    return (value - worst) / (best - worst) if best - worst >= least else None


def _goodness(figure: Figure, value: float) -> float:
    if figure.metric.better == "half":
        return -max(value - 0.5, 0.0)  # less than one half is chance, or rows that stand in both tables
    return value if figure.metric.better == "higher" else -value


USES: dict[Grade, str] = {
    "good": "Yes, for what the real rows would be used for in development, testing, teaching and first analyses; check "
    "a finding that matters with the real rows.",
    "fair": "With care: much of the real table is there, some of it is not. Look below which columns and pairs are off "
    "before you rely on them.",
    "poor": "Not for analysis: relations of the real table are lost. The rows are good for testing software at most.",
    "unknown": "It cannot be said: the tables are too small, or have too few columns in common.",
}
SHARES = {
    "flagged": "Not as it is: measurements show that real rows, or facts of them, can be read off the synthetic ones.",
    "promised": "Within the promise of the privacy ledger, yes; whether its epsilon is small enough is for your "
    "privacy board. This report itself shows figures of real rows, which the promise does not cover.",
    "weak": "Nothing was found against it, and the promise of the privacy ledger is too weak to stand on: attacks that "
    "fail prove no privacy. Show this report to your privacy board, or fit with a smaller budget.",
    "compared": "Nothing was found against it, and nothing is promised: attacks that fail prove no privacy. Show this "
    "report to your privacy board; for a guarantee, fit with a privacy budget.",
    "unseen": "It cannot be said: without real rows that the generator has not seen, learning by heart cannot be told "
    "from learning. Hold some out, and pass them.",
}


def _use(figures: Mapping[str, Figure]) -> Answer:
    told_apart = figures.get("c2st_real")
    small = told_apart is None or math.isnan(told_apart.value)  # too few rows for a classifier
    grades = [] if small else list(_grades(figures))
    grade: Grade = min(grades, key=("poor", "fair", "good").index, default="unknown")
    return Answer("Can I use it?", grade, USES[grade], tuple(_use_reasons(figures)))


def _grades(figures: Mapping[str, Figure]) -> Iterator[Grade]:
    """The grade by each figure that says something."""
    if "shape" in figures:
        best = figures["shape"].real
        yield _grade(figures["shape"].value - (1.0 if best is None else best), -ALIKE, -UNLIKE)
    for name in ("trend", "c2st_holdout" if "c2st_holdout" in figures else "c2st_real", "tstr"):
        near = closeness(figures[name]) if name in figures else None
        if near is not None:
            yield _grade(near, NEAR, FAR)


def _grade(value: float, good: float, poor: float) -> Grade:
    if value >= good:
        return "good"
    return "fair" if value >= poor else "poor"


ATTACKS = ("singling_out", "linkability", "inference", "membership")
SAYINGS = {
    "shape": "Single columns are {value} alike",
    "trend": "Pairs of columns are {value} alike",
    "c2st_holdout": "A classifier tells synthetic from fresh real rows with ROC AUC {value} (0.5: it cannot)",
    "c2st_real": "A classifier tells synthetic from real rows with ROC AUC {value} (0.5: it cannot)",
    "tstr": "Models trained on the synthetic rows score {value} on real ones",
}


def _use_reasons(figures: Mapping[str, Figure]) -> Iterator[str]:
    for name, saying in SAYINGS.items():
        if name in figures and not (name == "c2st_real" and "c2st_holdout" in figures):
            shown = "{:.1%}" if name in {"shape", "trend"} else "{:.3f}"
            yield saying.format(value=shown.format(figures[name].value)) + _beside(figures[name], shown) + "."


def _beside(figure: Figure, shown: str) -> str:
    """The two ends of the scale, in brackets."""
    ends = [("fresh real rows", figure.real), ("shuffled columns", figure.independent)]
    if figure.metric.name == "tstr":
        ends = [("trained on real rows", figure.real), ("on shuffled columns", figure.independent)]
    known = [f"{name}: {shown.format(value)}" for name, value in ends if value is not None]
    return f" ({'; '.join(known)})" if known else ""


def _share(figures: Mapping[str, Figure], ledger: Mapping[str, Any] | None) -> Answer:
    flagged = [figure for figure in figures.values() if figure.flagged]
    compared = any(name in figures for name in ("dcr_share", "membership", "singling_out"))
    reasons = (*_promise(ledger), *map(_alarm, flagged), *_quiet(figures, flagged, compared=compared))
    return Answer("Can I share it?", *_sharing(flagged=bool(flagged), compared=compared, ledger=ledger), reasons)


def _sharing(*, flagged: bool, compared: bool, ledger: Mapping[str, Any] | None) -> tuple[Grade, str]:
    if flagged:
        return "poor", SHARES["flagged"]
    if ledger is not None and float(ledger["epsilon"]) < WEAK and float(ledger["delta"]) < LOOSE:
        return "good", SHARES["promised"]
    if not compared:
        return "unknown", SHARES["unseen"]
    return "fair", SHARES["compared" if ledger is None else "weak"]


def _promise(ledger: Mapping[str, Any] | None) -> Iterator[str]:
    if ledger is None:
        yield "No differential privacy was promised."
        return
    yield (
        f"Differential privacy was promised: epsilon {at_most(ledger['epsilon'])}, delta "
        f"{at_most(ledger['delta'])}; "
        f"unit: {ledger['unit']}."
    )


def _alarm(figure: Figure) -> str:
    assert figure.interval is not None
    usual = 0.5 if figure.metric.better == "half" else figure.real or 0.0
    low, high = figure.interval
    return f"{figure.metric.title}: {figure.value:.3f} ({low:.3f} to {high:.3f}), where {usual:.3f} would be no cause."


def _quiet(figures: Mapping[str, Figure], flagged: list[Figure], *, compared: bool) -> Iterator[str]:
    tried = [figure for figure in figures.values() if figure.interval is not None and figure.metric.risk]
    silent = [figure.metric.title for figure in tried if figure not in flagged]
    if silent:
        yield f"No sign of real rows by: {', '.join(silent)}."
    if not any(name in figures for name in ATTACKS):
        yield "Attacks were not tried."
    if not compared:
        yield "No real rows, or too few, were held out, so that the strongest measurements fell away."
