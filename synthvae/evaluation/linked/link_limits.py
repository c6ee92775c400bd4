"""Limits of the figures of linked tables, by which the verdict grades them; see `verdict_aspects.LIMITS`.

Positions are between real rows that are dealt to parents at random (0) and other real rows (1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from synthvae.evaluation.disclosure.identifying import Identifying
from synthvae.evaluation.results import Figure, Section
from synthvae.evaluation.verdict import Answer, Verdict, share_answer, use_answer
from synthvae.evaluation.verdict_aspects import LIMITS, Aspect, Grade, Limits, aspects

DEALT = "rows dealt to parents at random"
SEPARATED = "a classifier separates {what} with an AUC of {{value}}, where 0.5 is guessing and 1 is perfect"
ROWS = SEPARATED.format(what="synthetic rows from real rows, given the row before and their ancestors,")
SUBJECTS = SEPARATED.format(what="synthetic subjects from real ones by what their rows add up to")


def dealt(aspect: str, metric: str, sentence: str, apart: tuple[float, float]) -> Limits:
    """Return limits that are positions between rows dealt to parents at random and real rows, as those of pairs are."""
    return Limits(aspect, metric, 0.8, 0.5, sentence, relative=True, apart=apart, shuffled=DEALT, sure=True)


LINK_LIMITS: tuple[Limits, ...] = (
    Limits("keys", "orphans", 0.0, 0.01, "{value} of the rows have a key that leads to no row", "{:.2%}"),
    Limits("keys", "repeated_keys", 0.0, 0.01, "{value} of the primary keys are repeated or missing", "{:.2%}"),
    Limits("keys", "repeated", 0.01, 0.1, "{value} of the rows repeat another one of their parent in unique columns"),
    Limits("keys", "ordered", 0.01, 0.1, "{value} of consecutive rows of a parent are in their order"),
    Limits("numbers of rows", "children", 0.03, 0.1, "the numbers of rows of a parent are {value} apart", sure=True),
    dealt("sequences", "lag", "columns and those of the row before are {value} apart", (0.02, 0.06)),
    dealt("sequences", "transitions", "transitions of categories are {value} apart", (0.03, 0.1)),
    dealt("sequences", "subject_share", "shares of the variance between subjects are {value} apart", (0.03, 0.1)),
    Limits("sequences", "time_steps", 0.05, 0.15, "times between rows are {value} apart", shuffled=DEALT, sure=True),
    dealt("dependence on parents", "cross", "columns and those of the ancestors are {value} apart", (0.02, 0.06)),
    Limits("detectability", "row_c2st", 0.1, 0.25, ROWS, "{:.3f}", shuffled=DEALT),
    Limits("detectability", "subject_c2st", 0.1, 0.25, SUBJECTS, "{:.3f}", shuffled=DEALT),
)
ORDER: tuple[Grade, ...] = ("poor", "unknown", "fair", "good")  # of answers, of which the worst one counts


def database_verdict(
    sections: Sequence[Section], ledger: Mapping[str, Any] | None, identifying: Sequence[Identifying]
) -> Verdict:
    """Derive the verdict on linked tables: every table, every link and every kind of subject must be good.

    Args:
        sections: The measured sections of all tables.
        ledger: `Ledger.statement()` of the model; None: no guarantee.
        identifying: Columns whose synthetic values are real values that identify people.
    """
    found = _by_table(sections)
    graded = tuple(aspect for table, figures in found.items() for aspect in _graded(table, figures))
    small = not any(aspect.name == "detectability" for aspect in graded)  # too few rows for a classifier
    answers = {
        table: share_answer(figures, ledger, identifying)
        for table, figures in found.items()
        if any(figure.metric.risk for figure in figures.values())
    }
    return Verdict(use_answer(graded, small=small), _worst(answers) or share_answer({}, ledger, identifying))


def _by_table(sections: Iterable[Section]) -> dict[str, dict[str, Figure]]:
    """The figures of each table by the name of their metric."""
    found: dict[str, dict[str, Figure]] = {}
    for section in sections:
        for figure in section.figures:
            found.setdefault(section.table, {})[figure.metric.name] = figure
    return found


def _graded(table: str, figures: Mapping[str, Figure]) -> Iterable[Aspect]:
    return (replace(aspect, table=table) for aspect in aspects(figures, (*LIMITS, *LINK_LIMITS)))


def _worst(answers: Mapping[str, Answer]) -> Answer | None:
    """The worst answer, with the reasons of all."""
    if len(answers) < 2:
        return next(iter(answers.values()), None)
    worst = min(answers.values(), key=lambda answer: ORDER.index(answer.grade))
    reasons = [f"{table}: {reason}" for table, answer in answers.items() for reason in answer.reasons]
    return replace(worst, reasons=tuple(dict.fromkeys(reasons)))
