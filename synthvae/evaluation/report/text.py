"""The report as text and for notebooks: the verdict, all figures and all notes, as the command line prints them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from synthvae.errors import escaped
from synthvae.evaluation.results import Figure, Section
from synthvae.evaluation.verdict import Verdict
from synthvae.notebook import html_table


def render_text(sections: Sequence[Section], verdict: Verdict, notes: Sequence[str] = ()) -> str:
    """Return the verdict, all figures and all notes, one line each, whatever the names of columns contain."""
    lines = [*_verdict(verdict), *(f"note: {note}" for note in notes), "", *_sections(sections)]
    return "\n".join(map(escaped, lines))


def notebook_table(verdict: Verdict, sections: Sequence[Section]) -> str:
    """Return the answers and the figures as small HTML tables."""
    answers = [(answer.question, answer.grade, answer.answer) for answer in (verdict.use, verdict.share)]
    figures = [(_named(figure, section), *_numbers(figure)) for section in sections for figure in section.figures]
    heading = ("figure", "synthetic rows", "real rows", "shuffled columns")
    return html_table("Evaluation", answers) + html_table("Figures", figures, heading)


def _named(figure: Figure, section: Section) -> str:
    return f"{section.table}: {figure.metric.title}" if section.table else figure.metric.title


def _numbers(figure: Figure) -> list[str]:
    return ["" if value is None else f"{value:.3f}" for value in (figure.value, figure.real, figure.independent)]


def _verdict(verdict: Verdict) -> Iterator[str]:
    for answer in (verdict.use, verdict.share):
        yield f"{answer.question} [{answer.grade}] {answer.answer}"
        yield from (f"  - {reason}" for reason in answer.reasons)


def _sections(sections: Sequence[Section]) -> Iterator[str]:
    for section in sections:
        yield from (f"{section.key} {_figure(figure)}" for figure in section.figures)
        yield from (f"{section.key}: {note}" for note in section.notes)


def _figure(figure: Figure) -> str:
    references = {"real rows": figure.real, "shuffled columns": figure.independent}
    known = [f"{name} {value:.4f}" for name, value in references.items() if value is not None]
    if figure.interval is not None:
        known.insert(0, f"95% interval {figure.interval[0]:.4f} to {figure.interval[1]:.4f}")
    flag = " FLAGGED" if figure.flagged else ""
    return f"{figure.metric.name}: {figure.value:.4f}" + (f" ({', '.join(known)})" if known else "") + flag
