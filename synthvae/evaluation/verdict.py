"""Verdict: whether synthetic rows can be used and shared, in plain words, from the figures and the privacy ledger."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from synthvae.evaluation.results import Figure
from synthvae.evaluation.thresholds import MOST_BROKEN
from synthvae.schema.values import at_most

Grade = Literal["good", "fair", "poor", "unknown"]

# The thresholds below are conventions of this report.
# Position of a figure between shuffled columns (0) and real rows (1), see `closeness`.
NEAR, FAR = 0.8, 0.5
# Distance of the mean column score from that of real rows, since shuffled columns reach it, too.
ALIKE, UNLIKE = 0.03, 0.1
# Least distance between shuffled columns and real rows at which a position between them is meaningful.
LEAST_SPAN, LEAST_AREA = 0.01, 0.1
WEAK, LOOSE = 10.0, 1e-3  # Epsilon and delta from which a guarantee is practically void.

USE_QUESTION, SHARE_QUESTION = "Can these synthetic rows be used?", "Can these synthetic rows be shared?"
USES: dict[Grade, str] = {
    "good": "Yes. The rows can replace the training rows for development, testing, teaching and first analyses. "
    "Confirm important findings on real data.",
    "fair": "With caution. The rows reproduce much, but not all, of the structure of the training rows. Check below "
    "which columns and pairs of columns differ before you rely on them.",
    "poor": "No, not for analysis. Relationships between columns of the training rows are lost. Use these rows at most "
    "to test software.",
    "unknown": "This cannot be determined. The tables have too few rows, or too few columns in common.",
}
SHARES = {
    "flagged": "No, not in this form. The measurements indicate that training rows, or information about the people "
    "in them, can be recovered from the synthetic rows.",
    "promised": "Yes, within the differential privacy guarantee that the privacy ledger states. Your privacy board "
    "decides whether its epsilon is small enough. Do not share this report with the rows: it shows statistics of real "
    "rows, which the guarantee does not cover.",
    "weak": "Not decided by this report. No disclosure was found, but attacks that fail do not prove privacy, and the "
    "guarantee that the privacy ledger states is too weak to rely on. Show this report to your privacy board, or fit "
    "with a smaller privacy budget.",
    "compared": "Not decided by this report. No disclosure was found, but attacks that fail do not prove privacy, and "
    "there is no differential privacy guarantee. Show this report to your privacy board, or fit with a privacy budget.",
    "unseen": "This cannot be determined. Without real rows that were withheld from training, memorised rows cannot be "
    "distinguished from learned patterns. Withhold some real rows from training and pass them as the holdout.",
}
ATTACKS = ("singling_out", "linkability", "inference", "membership")
USE_REASONS = {
    "shape": "Distributions of single columns agree to {value}",
    "trend": "Relationships between pairs of columns agree to {value}",
    "c2st_holdout": "A classifier separates synthetic rows from real rows withheld from training with an AUC of "
    "{value}, where 0.5 is guessing and 1 is perfect",
    "c2st_real": "A classifier separates synthetic rows from training rows with an AUC of {value}, where 0.5 is "
    "guessing and 1 is perfect",
    "tstr": "Predictive models trained on synthetic rows score {value} on real rows, where 1 is perfect",
    "worst_rule": "Of the rules that real rows keep, the one broken most often holds in {value} of the synthetic rows",
}
# Reasons for flagged risks.
SHARE_REASONS = {
    "copies": "{value:.1%} of the synthetic rows are exact copies of training rows",
    "nearness": "{value:.1%} of the synthetic rows are near copies of training rows",
    "dcr_share": "{value:.1%} of the synthetic rows are closer to training rows than to other real rows",
    "nndr_share": "{value:.1%} of the synthetic rows are closer to one single training row than to one other real row",
    "singling_out": "Values from the synthetic rows identify single people in the training rows: risk {value:.3f} on a "
    "scale from 0 to 1",
    "linkability": "Two parts of a person's record can be linked through the synthetic rows: risk {value:.3f} on a "
    "scale from 0 to 1",
    "inference": "Unknown values of people in the training rows can be inferred from the synthetic rows: risk "
    "{value:.3f} on a scale from 0 to 1",
    "membership": "An attacker can recognise who is in the training rows with an AUC of {value:.3f}, where 0.5 is "
    "guessing and 1 is perfect",
}


@dataclass(frozen=True)
class Answer:
    """Answer to one of the two questions.

    Args:
        question: The question.
        grade: "good", "fair", "poor" or "unknown".
        answer: The answer in plain sentences.
        reasons: The figures behind it, one sentence each.
    """

    question: str
    grade: Grade
    answer: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """The answers on the first screen of the report: whether the rows can be used, and shared."""

    use: Answer
    share: Answer

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON data."""
        return asdict(self)


def verdict(figures: Mapping[str, Figure], ledger: Mapping[str, Any] | None) -> Verdict:
    """Derive the verdict from figures and from the privacy guarantee.

    Args:
        figures: Figures by the name of their metric.
        ledger: `Ledger.statement()` of the model; None: no guarantee.
    """
    return Verdict(_use(figures), _share(figures, ledger))


def closeness(figure: Figure) -> float | None:
    """Return the position of a figure between shuffled columns (0) and real rows (1); None where they coincide."""
    if figure.real is None or figure.independent is None:
        return None
    value, best, worst = (_goodness(figure, x) for x in (figure.value, figure.real, figure.independent))
    least = LEAST_AREA if figure.better == "half" else LEAST_SPAN
    return (value - worst) / (best - worst) if best - worst >= least else None


def _goodness(figure: Figure, value: float) -> float:
    if figure.better == "half":
        return -max(value - 0.5, 0.0)  # Less than one half is chance, or rows that are in both tables.
    return value if figure.better == "higher" else -value


def _use(figures: Mapping[str, Figure]) -> Answer:
    detection = figures.get("c2st_real")
    small = detection is None or math.isnan(detection.value)  # too few rows for a classifier
    grades = [] if small else list(_grades(figures))
    grade: Grade = min(grades, key=("poor", "fair", "good").index, default="unknown")
    return Answer(USE_QUESTION, grade, USES[grade], tuple(_use_reasons(figures)))


def _grades(figures: Mapping[str, Figure]) -> Iterator[Grade]:
    """Grade every figure that is informative."""
    if "shape" in figures:
        best = figures["shape"].real
        yield _grade(figures["shape"].value - (1.0 if best is None else best), -ALIKE, -UNLIKE)
    for name in ("trend", "c2st_holdout" if "c2st_holdout" in figures else "c2st_real", "tstr"):
        near = closeness(figures[name]) if name in figures else None
        if near is not None:
            yield _grade(near, NEAR, FAR)
    rule = figures.get("worst_rule")
    if rule is not None and rule.interval is not None and rule.interval[1] < 1 - MOST_BROKEN:
        yield "fair"  # even if all else is good: such rows are impossible, and a reader sees it


def _grade(value: float, good: float, poor: float) -> Grade:
    if value >= good:
        return "good"
    return "fair" if value >= poor else "poor"


def _use_reasons(figures: Mapping[str, Figure]) -> Iterator[str]:
    for name, reason in USE_REASONS.items():
        if name in figures and not (name == "c2st_real" and "c2st_holdout" in figures):
            shown = "{:.1%}" if name in {"shape", "trend", "worst_rule"} else "{:.3f}"
            yield reason.format(value=shown.format(figures[name].value)) + _references(figures[name], shown) + "."


def _references(figure: Figure, shown: str) -> str:
    """Format the values of real rows and of shuffled columns, in parentheses."""
    ends = [("two samples of real rows", figure.real), ("columns shuffled at random", figure.independent)]
    if figure.metric.name == "tstr":
        ends = [("trained on real rows", figure.real), ("on columns shuffled at random", figure.independent)]
    if figure.metric.name == "worst_rule":
        ends[0] = ("real rows", figure.real)
    known = [f"{name}: {shown.format(value)}" for name, value in ends if value is not None]
    return f" ({'; '.join(known)})" if known else ""


def _share(figures: Mapping[str, Figure], ledger: Mapping[str, Any] | None) -> Answer:
    flagged = [figure for figure in figures.values() if figure.flagged]
    compared = any(name in figures for name in ("dcr_share", "membership", "singling_out"))
    reasons = (*_guarantee(ledger), *map(_risk_found, flagged), *_no_risk_found(figures, flagged, compared=compared))
    return Answer(SHARE_QUESTION, *_sharing(flagged=bool(flagged), compared=compared, ledger=ledger), reasons)


def _sharing(*, flagged: bool, compared: bool, ledger: Mapping[str, Any] | None) -> tuple[Grade, str]:
    if flagged:
        return "poor", SHARES["flagged"]
    if ledger is not None and float(ledger["epsilon"]) < WEAK and float(ledger["delta"]) < LOOSE:
        return "good", SHARES["promised"]
    if not compared:
        return "unknown", SHARES["unseen"]
    return "fair", SHARES["compared" if ledger is None else "weak"]


def _guarantee(ledger: Mapping[str, Any] | None) -> Iterator[str]:
    if ledger is None:
        yield "There is no differential privacy guarantee for these rows."
        return
    yield (
        f"Differential privacy guarantee: epsilon {at_most(ledger['epsilon'])}, delta {at_most(ledger['delta'])}; "
        f"protected unit: {ledger['unit']}."
    )


def _risk_found(figure: Figure) -> str:
    assert figure.interval is not None
    reason = SHARE_REASONS.get(figure.metric.name)
    shown = "{:.1%}" if reason and "{value:.1%}" in reason else "{:.3f}"
    low, high, expected = (shown.format(x) for x in (*figure.interval, figure.expected))
    sentence = reason.format(value=figure.value) if reason else f"{figure.metric.title}: {figure.value:.3f}"
    return f"{sentence} (95% interval: {low} to {high}; expected without disclosure: {expected})."


def _no_risk_found(figures: Mapping[str, Figure], flagged: list[Figure], *, compared: bool) -> Iterator[str]:
    tried = [figure for figure in figures.values() if figure.interval is not None and figure.metric.risk]
    clear = [figure.metric.title for figure in tried if figure not in flagged]
    if clear:
        yield f"No disclosure was found by: {'; '.join(clear)}."
    if not any(name in figures for name in ATTACKS):
        yield "Simulated attacks were not run."
    if not compared:
        yield "There is no sufficient holdout, so the most sensitive measurements are not available."
