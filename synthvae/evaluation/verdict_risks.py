"""What the measurements of disclosure say, by their intervals and limits: from found to no sign."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from synthvae.evaluation.disclosure.identifying import Identifying
from synthvae.evaluation.results import Figure

Sign = Literal["found", "slight", "raised", "uncertain", "none"]

WIDE = 0.1  # half the width of an interval from which on a figure cannot tell
OFTEN = 3  # of eight figures, each of which chance raises once in forty reports
SENSITIVE = ("dcr_share", "membership")  # figures that compare training rows with a holdout
SIMULATED = ("singling_out", "linkability", "inference", "membership")
FOUND = {
    "copies": "{value} of the synthetic rows are exact copies of training rows",
    "subject_copies": "{value} of the synthetic subjects are copies of training subjects with all their rows",
    "sequence_copies": "{value} of the synthetic subjects have the same rows of a table as a training subject",
    "nearness": "{value} of the synthetic rows are near copies of training rows",
    "dcr_share": "{value} of the synthetic rows are closer to training rows than to other real rows",
    "nndr_share": "{value} of the synthetic rows are closer to one single training row than to one other real row",
    "singling_out": "Values from the synthetic rows identify single people in the training rows: risk {value} on a "
    "scale from 0 to 1",
    "linkability": "Two parts of a person's record can be linked through the synthetic rows: risk {value} on a scale "
    "from 0 to 1",
    "inference": "Unknown values of people in the training rows can be inferred from the synthetic rows: risk {value} "
    "on a scale from 0 to 1",
    "membership": "An attacker can recognise who is in the training rows with an AUC of {value}, where 0.5 is guessing "
    "and 1 is perfect",
}
SHARES = ("copies", "subject_copies", "sequence_copies", "nearness", "dcr_share", "nndr_share")  # in percent


def sign(figure: Figure) -> Sign:
    """Return what a measurement of disclosure says.

    "found": beyond chance, by about three standard errors, and above the limit. "slight": beyond chance, but not above
    the limit. "raised": the 95% interval is above what is expected without disclosure. "uncertain": the interval is so
    wide that it says little. "none": what is expected is in the interval.
    """
    assert figure.interval is not None
    if figure.flagged:
        return "found"
    if figure.beyond_chance:
        return "slight"
    if figure.interval[0] > figure.expected:
        return "raised"
    return "uncertain" if (figure.interval[1] - figure.interval[0]) / 2 > WIDE else "none"


def measured(figures: Mapping[str, Figure]) -> dict[Sign, list[Figure]]:
    """Return the measurements of disclosure by what they say."""
    found: dict[Sign, list[Figure]] = {"found": [], "slight": [], "raised": [], "uncertain": [], "none": []}
    for figure in figures.values():
        if figure.metric.risk and (figure.interval is not None or figure.flagged):
            found[sign(figure)].append(figure)
    return found


def is_compared(figures: Mapping[str, Figure]) -> bool:
    """Whether training rows were compared with a holdout."""
    return any(name in figures for name in ("dcr_share", "membership", "singling_out"))


def is_small(figures: Mapping[str, Figure]) -> bool:
    """Whether the holdout is too small for the figures that compare it with the training rows."""
    known = [figures[name] for name in SENSITIVE if name in figures and figures[name].interval is not None]
    return bool(known) and all(sign(figure) == "uncertain" for figure in known)


def is_raised_often(figures: Mapping[str, Figure]) -> bool:
    """Whether so many measurements are raised, if little, that chance is no likely reason for all."""
    found = measured(figures)
    return len(found["raised"]) + len(found["slight"]) >= OFTEN


def sentences(figures: Mapping[str, Figure]) -> Iterator[str]:
    """Yield what the measurements say, the most serious first."""
    yield from (_found(figure) for figure in measured(figures)["found"])
    yield from summaries(figures)
    if not any(name in figures for name in SIMULATED):
        yield "Simulated attacks were not run."
    if not is_compared(figures):
        yield "There is no sufficient holdout, so the most sensitive measurements are not available."


def summaries(figures: Mapping[str, Figure]) -> Iterator[str]:
    """Yield one sentence for all measurements that are small, raised, and uncertain, and for the others."""
    found = measured(figures)
    if found["slight"]:
        yield f"Beyond chance, but small: {_listed(found['slight'])}."
    if found["raised"]:
        chance = "chance alone hardly explains" if is_raised_often(figures) else "chance may explain"
        yield f"Slightly raised, which {chance}: {_listed(found['raised'])}."
    if found["uncertain"]:
        yield f"Too uncertain to tell, with so few rows: {_listed(found['uncertain'])}."
    if found["none"]:
        yield f"No sign of disclosure: {_listed(found['none'])}."


def identifying_sentences(found: Sequence[Identifying]) -> Iterator[str]:
    """Yield a sentence for each column whose synthetic values are real values that identify people."""
    for column in found:
        yield (
            f"Column {column.name!r} has {column.what}: {column.share:.1%} of its synthetic values are values of the "
            "real table. Declare it as an identifier, so that new values are generated, or leave it out."
        )


def _found(figure: Figure) -> str:
    name, shown = figure.metric.name, _shown(figure)
    value = shown.format(figure.value)
    sentence = FOUND[name].format(value=value) if name in FOUND else f"{figure.metric.title}: {value}"
    limit = f"; limit: {shown.format(figure.limit)}" if figure.limit > figure.expected else ""
    return f"{sentence} ({_interval(figure)}; expected without disclosure: {shown.format(figure.expected)}{limit})."


def _listed(figures: Sequence[Figure]) -> str:
    """The figures with their intervals, and with what is expected and the limit where these are not zero."""
    parts = []
    for figure in figures:
        shown = _shown(figure)
        expected = f", expected {shown.format(figure.expected)}" if figure.expected else ""
        expected += f", limit {shown.format(figure.limit)}" if figure.limit > figure.expected else ""
        parts.append(f"{figure.metric.title} {shown.format(figure.value)} ({_interval(figure)}{expected})")
    return "; ".join(parts)


def _interval(figure: Figure) -> str:
    assert figure.interval is not None
    low, high = map(_shown(figure).format, figure.interval)
    return f"95% interval: {low} to {high}"


def _shown(figure: Figure) -> str:
    return "{:.1%}" if figure.metric.name in SHARES else "{:.3f}"
