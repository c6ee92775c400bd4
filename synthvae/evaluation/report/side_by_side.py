"""One page, and one table of text, that compare the evaluations of several synthetic tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from synthvae.errors import escaped, listing
from synthvae.evaluation.metrics import METRICS, SECTIONS
from synthvae.evaluation.report.html import GRADES, page
from synthvae.evaluation.report.metadata import ROLES
from synthvae.evaluation.report.summary import SIGNS, text_of
from synthvae.evaluation.results import Figure
from synthvae.evaluation.verdict_aspects import Grade
from synthvae.evaluation.verdict_risks import sign
from synthvae.notebook import html_table

if TYPE_CHECKING:
    from synthvae.evaluation.assessment import Evaluation

# One figure of each aspect, so that tables are compared by the same figure whichever decided the grade.
HEADS = {
    "columns": ("shape",),
    "pairs": ("trend",),
    "detectability": ("c2st_holdout", "c2st_real"),
    "utility": ("tstr",),
    "survival": ("concordance",),
    "logic": ("worst_rule",),
    "fairness": ("group_fidelity",),
}
RISKS = ("copies", "dcr_share", "membership")
REAL, SHUFFLED = "real rows (reference)", "shuffled columns (reference)"
SHORT = {REAL: "real rows", SHUFFLED: "shuffled"}
MOST_ABSENT = 5  # columns that a note names
MOST_FLAGGED = 2  # measurements that are named
BEST = "*"  # marks the best figure in text
NOTE = f"{BEST}: the best figure of the tables with all columns whose rating for sharing is not poor."


@dataclass(frozen=True)
class Head:
    """A column of the ranking.

    Args:
        title: What it shows.
        term: The metric.
        metric: The name of the metric.
        aspect: The aspect whose grade it shows; None: a measurement of disclosure.
    """

    title: str
    term: str
    metric: str
    aspect: str | None


@dataclass(frozen=True)
class Cell:
    """A figure of one table, its grade where it has one, and whether no other table has a better one."""

    text: str
    grade: Grade | None = None
    word: str = ""
    is_best: bool = False


@dataclass(frozen=True)
class Row:
    """A table of the ranking, or a reference; a reference has no grades and no link.

    Args:
        name: The name of the table.
        use: The grade for use.
        share: The grade for sharing.
        cells: The figures.
        flagged: The measurements of disclosure that are flagged.
        link: The place of its report.
    """

    name: str
    use: Grade | None
    share: Grade | None
    cells: tuple[Cell, ...]
    flagged: str = ""
    link: str | None = None


def render_several(evaluations: Mapping[str, Evaluation], links: Mapping[str, str]) -> str:
    """Return the page that compares evaluations.

    Args:
        evaluations: The evaluations by the name of their table.
        links: The places of their reports, relative to the page, by the name of the table.

    Raises:
        ConfigurationError: jinja2 is not installed.
    """
    first = next(iter(evaluations.values()))
    facts = [(ROLES[role], f"{len(frame):,}") for role, frame in first.tables() if role != "synthetic"]
    facts += [("target column", first.comparison.target or "none"), ("random seed", str(first.seed))]
    return page(
        "side_by_side.html.j2",
        heads=heads(evaluations),
        rows=[replace(row, link=links.get(row.name)) for row in ranking(evaluations)],
        groups=list(_groups(evaluations)),
        names=list(evaluations),
        evaluations=evaluations,
        notes=notes_on_columns(evaluations),
        facts=[("date", first.date)] * (first.date is not None) + facts,
    )


def render_several_text(evaluations: Mapping[str, Evaluation]) -> str:
    """Return the ranking as text: one line per figure and one column per table, which fits a terminal."""
    titles = ["", "use", "share", *(head.aspect or head.title for head in heads(evaluations))]
    columns = [titles]
    for row in ranking(evaluations):
        name = SHORT.get(row.name, row.name)
        texts = [cell.text + BEST * cell.is_best for cell in row.cells]
        columns.append([escaped(name), row.use or "", row.share or "", *texts])
    widths = [max(map(len, column)) for column in columns]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in zip(*columns, strict=True)
    ]
    return "\n".join([*lines, "", NOTE, *notes_on_columns(evaluations)])


def notebook_ranking(evaluations: Mapping[str, Evaluation]) -> str:
    """Return the ranking as a small HTML table."""
    heading = ("table", "use", "share", *(head.title for head in heads(evaluations)))
    rows = [
        (row.name, row.use or "", row.share or "", *(cell.text + BEST * cell.is_best for cell in row.cells))
        for row in ranking(evaluations)
    ]
    return html_table("Evaluations", rows, heading, " ".join([NOTE, *notes_on_columns(evaluations)]))


def heads(evaluations: Mapping[str, Evaluation]) -> list[Head]:
    """Return the columns of the ranking: those that were measured for any table."""
    known = {name for found in evaluations.values() for name in found.figures}
    found = []
    for aspect, metrics in HEADS.items():
        metric = next((name for name in metrics if name in known), None)
        if metric is not None:
            found.append(Head(aspect.capitalize(), METRICS[metric].title, metric, aspect))
    risks = [Head(METRICS[name].title, METRICS[name].title, name, None) for name in RISKS if name in known]
    return found + risks


def ranking(evaluations: Mapping[str, Evaluation]) -> list[Row]:
    """Return one row per table, in the given order, and the references."""
    known = heads(evaluations)
    best = {head.metric: best_of(_eligible(evaluations, head.metric)) for head in known}
    rows = [
        Row(
            name,
            found.verdict.use.grade,
            found.verdict.share.grade,
            tuple(replace(_cell(found, head), is_best=name in best[head.metric]) for head in known),
            _flagged(found),
        )
        for name, found in evaluations.items()
    ]
    return rows + list(_references(evaluations, known))


def _flagged(found: Evaluation) -> str:
    """Name the measurements of disclosure that are flagged, or count them."""
    titles = [figure.metric.title for figure in found.figures.values() if figure.flagged]
    return f"{len(titles)} measurements" if len(titles) > MOST_FLAGGED else ", ".join(titles)


def best_of(figures: Mapping[str, Figure]) -> frozenset[str]:
    """Return the tables with the best figure: those that are shown with the same digits are equally good.

    >>> shape = METRICS["shape"]
    >>> sorted(best_of({"a": Figure(shape, 0.971), "b": Figure(shape, 0.97103), "c": Figure(shape, 0.9)}))
    ['a', 'b']
    """
    known = {name: figure for name, figure in figures.items() if math.isfinite(figure.value)}
    if len(known) < 2:
        return frozenset()
    best = min(known.values(), key=_badness)
    shown = text_of(best, best.value)
    tied = {name for name, figure in known.items() if text_of(figure, figure.value) == shown}
    also = {name for name, figure in known.items() if _badness(figure) == _badness(best)}
    return frozenset(tied | also) if len(tied | also) < len(known) else frozenset()


def _badness(figure: Figure) -> float:
    if figure.better == "half":
        return max(figure.value - 0.5, 0.0)  # less than one half is chance
    return figure.value if figure.better == "lower" else -figure.value


def _absent(evaluations: Mapping[str, Evaluation]) -> dict[str, list[str]]:
    """The columns that were compared for other tables only, by the name of the table that lacks some."""
    known = dict.fromkeys(column for found in evaluations.values() for column in found.comparison.kinds)
    absent = {
        name: [column for column in known if column not in found.comparison.kinds]
        for name, found in evaluations.items()
    }
    return {name: columns for name, columns in absent.items() if columns}


def notes_on_columns(evaluations: Mapping[str, Evaluation]) -> list[str]:
    """Return one sentence for each table that was compared over fewer columns than the others."""
    return [
        f"Table {name!r} was compared without {listing(columns, MOST_ABSENT)}: its figures are over fewer columns than "
        "those of other tables, and none is marked as best."
        for name, columns in _absent(evaluations).items()
    ]


def _figures(evaluations: Mapping[str, Evaluation], metric: str) -> dict[str, Figure]:
    return {name: found.figures[metric] for name, found in evaluations.items() if metric in found.figures}


def _eligible(evaluations: Mapping[str, Evaluation], metric: str) -> dict[str, Figure]:
    """The figures of tables that have all columns and are not flagged for disclosure.

    Copies of training rows would be best of all, and figures over fewer columns are of another comparison.
    """
    partial = _absent(evaluations)
    shared = {
        name: found
        for name, found in evaluations.items()
        if found.verdict.share.grade != "poor" and name not in partial
    }
    return _figures(shared, metric)


def _cell(found: Evaluation, head: Head) -> Cell:
    figure = found.figures.get(head.metric)
    if figure is None:
        return Cell("—")
    text = text_of(figure, figure.value)
    if head.aspect is None:
        return Cell(text, *SIGNS[sign(figure)]) if figure.interval is not None else Cell(text)
    grade = next((aspect.grade for aspect in found.verdict.use.aspects if aspect.name == head.aspect), None)
    return Cell(text, grade, GRADES[grade] if grade else "")


def _references(evaluations: Mapping[str, Evaluation], known: Sequence[Head]) -> Iterator[Row]:
    """Yield what real rows and shuffled columns reach in place of the synthetic rows of the first table."""
    figures = next(iter(evaluations.values())).figures
    for name in (REAL, SHUFFLED):
        values = [_reference(figures.get(head.metric), name) for head in known]
        if any(value is not None for value in values):
            yield Row(name, None, None, tuple(Cell("—" if value is None else value) for value in values))


def _reference(figure: Figure | None, name: str) -> str | None:
    value = None if figure is None else figure.real if name == REAL else figure.independent
    return None if figure is None or value is None else text_of(figure, value)


def _groups(evaluations: Mapping[str, Evaluation]) -> Iterator[tuple[str, list[tuple[str, list[Cell]]]]]:
    """Yield the sections, each with its metrics, and the figure of each table."""
    for section, metrics in SECTIONS.items():
        lines = []
        for metric in metrics:
            figures = _figures(evaluations, metric.name)
            best = best_of(_eligible(evaluations, metric.name))
            cells = [_plain(figures.get(name), is_best=name in best) for name in evaluations]
            if figures:
                lines.append((metric.title, cells))
        if lines:
            yield section.capitalize(), lines


def _plain(figure: Figure | None, *, is_best: bool) -> Cell:
    if figure is None:
        return Cell("—")
    text = text_of(figure, figure.value)
    return Cell(text, "poor", "Flagged", is_best) if figure.flagged else Cell(text, is_best=is_best)
