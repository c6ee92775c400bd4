"""Verdict: whether synthetic rows can be used and shared, in plain words, from the figures and the privacy ledger."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from synthvae.evaluation.disclosure.identifying import Identifying
from synthvae.evaluation.results import Figure
from synthvae.evaluation.verdict_aspects import Aspect, Grade, aspects, overall
from synthvae.evaluation.verdict_risks import (
    identifying_sentences,
    is_compared,
    is_raised_often,
    is_small,
    measured,
    sentences,
)
from synthvae.schema.values import at_most

WEAK, LOOSE = 10.0, 1e-3  # Epsilon and delta from which a guarantee is practically void.

USE_QUESTION, SHARE_QUESTION = "Can these synthetic rows be used?", "Can these synthetic rows be shared?"
USES: dict[Grade, str] = {
    "good": "Yes. The rows can replace the training rows for development, testing, teaching and first analyses. "
    "Confirm important findings on real data.",
    "fair": "With caution. The rows reproduce much, but not all, of the structure of the training rows. Check below "
    "what differs before you rely on it.",
    "poor": "No, not for analysis. Use these rows at most to test software.",
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
    "slight": "Not decided by this report. Some measurements exceed what chance explains, but stay within the limits "
    "beside them: the synthetic rows show a little of which rows were trained on, and there is no differential privacy "
    "guarantee to rely on. Show this report to your privacy board, or fit with a privacy budget.",
    "raised": "Not decided by this report. Some measurements are slightly raised, which chance may explain, and there "
    "is no differential privacy guarantee to rely on. Evaluate with a larger holdout, show this report to your privacy "
    "board, or fit with a privacy budget.",
    "often": "Not decided by this report, but there is reason for doubt. No measurement is flagged, yet several are "
    "slightly raised, which chance alone hardly explains, and there is no differential privacy guarantee to rely on. "
    "Evaluate with a larger holdout, show this report to your privacy board, or fit with a privacy budget.",
    "small": "This cannot be determined. The holdout is too small to tell memorised rows from learned patterns. "
    "Withhold more real rows from training, or fit with a privacy budget.",
    "unseen": "This cannot be determined. Without real rows that were withheld from training, memorised rows cannot be "
    "distinguished from learned patterns. Withhold some real rows from training and pass them as the holdout.",
}


@dataclass(frozen=True)
class Answer:
    """Answer to one of the two questions.

    Args:
        question: The question.
        grade: "good", "fair", "poor" or "unknown".
        answer: The answer in plain sentences, with the figures that decided and their limits.
        reasons: The figures behind it, one sentence each.
        aspects: The grades of the aspects that it follows from; none for the question of sharing.
    """

    question: str
    grade: Grade
    answer: str
    reasons: tuple[str, ...]
    aspects: tuple[Aspect, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """The answers on the first screen of the report: whether the rows can be used, and shared."""

    use: Answer
    share: Answer

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON data."""
        return asdict(self)


def verdict(
    figures: Mapping[str, Figure], ledger: Mapping[str, Any] | None, identifying: Sequence[Identifying] = ()
) -> Verdict:
    """Derive the verdict from figures and from the privacy guarantee.

    Args:
        figures: Figures by the name of their metric.
        ledger: `Ledger.statement()` of the model; None: no guarantee.
        identifying: Columns whose synthetic values are real values that identify people.
    """
    detection = figures.get("c2st_real")
    small = detection is None or math.isnan(detection.value)  # too few rows for a classifier
    return Verdict(use_answer(aspects(figures), small=small), share_answer(figures, ledger, identifying))


def use_answer(graded: tuple[Aspect, ...], *, small: bool) -> Answer:
    """Return whether rows can be used.

    Args:
        graded: The grades of all aspects.
        small: Whether there are too few rows to tell.
    """
    grade: Grade = "unknown" if small else overall(graded)
    reasons = tuple(aspect.reason for aspect in graded)
    return Answer(USE_QUESTION, grade, " ".join([USES[grade], *_decided(graded, grade)]), reasons, graded)


def _decided(graded: Sequence[Aspect], grade: Grade) -> Iterator[str]:
    """Yield which aspects decided, with their figures and limits, and whether that is uncertain."""
    worse = [aspect for aspect in graded if aspect.grade not in {"good", "unknown"}]
    if grade in {"fair", "poor"}:
        parts = [f"{aspect.title} {aspect.grade} ({aspect.decided})" for aspect in worse]
        good = [aspect.title for aspect in graded if aspect.grade == "good"]
        yield f"What decided: {', '.join(parts)}."
        if good:
            yield f"Good: {', '.join(good)}."
    unsure = [aspect.title for aspect in graded if aspect.uncertain]
    if unsure and grade != "unknown":
        yield f"The grade of {', '.join(unsure)} is uncertain: the limit is in the 95% interval of the figure."


def share_answer(
    figures: Mapping[str, Figure], ledger: Mapping[str, Any] | None, identifying: Sequence[Identifying]
) -> Answer:
    """Return whether rows can be shared; arguments as of `verdict`."""
    reasons = (*identifying_sentences(identifying), *_guarantee(ledger), *sentences(figures))
    return Answer(SHARE_QUESTION, *_sharing(figures, ledger, identifying), reasons)


def _sharing(
    figures: Mapping[str, Figure], ledger: Mapping[str, Any] | None, identifying: Sequence[Identifying]
) -> tuple[Grade, str]:
    signs, promised = measured(figures), ledger is not None and _is_strong(ledger)
    if signs["found"] or (any(column.serious for column in identifying) and not promised):
        return "poor", SHARES["flagged"]
    if promised:
        return "good", SHARES["promised"]
    if not is_compared(figures):
        return "unknown", SHARES["unseen"]
    if is_small(figures):
        return "unknown", SHARES["small"]
    return "fair", SHARES[_open_question(figures, ledger)]


def _open_question(figures: Mapping[str, Figure], ledger: Mapping[str, Any] | None) -> str:
    """The key of the answer where nothing was found and nothing is promised."""
    signs = measured(figures)
    if is_raised_often(figures):
        return "often"
    if signs["slight"] or signs["raised"]:
        return "slight" if signs["slight"] else "raised"
    return "compared" if ledger is None else "weak"


def _is_strong(ledger: Mapping[str, Any]) -> bool:
    return float(ledger["epsilon"]) < WEAK and float(ledger["delta"]) < LOOSE


def _guarantee(ledger: Mapping[str, Any] | None) -> Iterator[str]:
    if ledger is None:
        yield "There is no differential privacy guarantee for these rows."
        return
    yield (
        f"Differential privacy guarantee: epsilon {at_most(ledger['epsilon'])}, delta {at_most(ledger['delta'])}; "
        f"protected unit: {ledger['unit']}."
    )
