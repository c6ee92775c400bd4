"""The card that lies beside a model: what it is, what it may be used for, what privacy it carries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

NOT_PRIVATE = "none: rows of training may be reflected in the rows made"
MADE_FOR = (
    "Made for: rows that look like those of the table, to develop, test and teach with, and to add to scarce classes."
)
NOT_MADE_FOR = (
    "Not made for: decisions about a person whose row was learned, or statements on the population without the real "
    "rows: what is rare in the table is uncertain here."
)


def write(facts: Mapping[str, Any], statement: Mapping[str, Any] | None) -> str:
    """Return a model card in Markdown.

    Args:
        facts: What `LearnedTable.describe` says, and `versions`.
        statement: What privacy was promised and spent, see `Ledger.statement`; None: nothing was.
    """
    use = ["", "## Use", "", f"- {MADE_FOR}", f"- {NOT_MADE_FOR}", ""]
    return "\n".join([*_model(facts), *use, *_privacy(statement), ""])


def _model(facts: Mapping[str, Any]) -> Iterator[str]:
    yield "# A synthvae model"
    yield ""
    yield f"A conditional variational autoencoder of a table with {len(facts['columns'])} columns"
    yield f"({facts['parameters']:,} parameters, {', '.join(f'{k} {v}' for k, v in facts['versions'].items())})."
    yield ""
    yield "| column | kind |"
    yield "| --- | --- |"
    yield from (f"| {_cell(name)} | {kind} |" for name, kind in facts["columns"].items())
    if "classes" in facts:
        yield ""
        yield f"Rows are made for each class of {_cell(facts['target'])}: {', '.join(map(_cell, facts['classes']))}."


def _cell(text: object) -> str:
    return "`" + str(text).replace("`", "'").replace("|", "\\|").replace("\n", " ") + "`"


def _privacy(statement: Mapping[str, Any] | None) -> Iterator[str]:
    yield "## Privacy"
    yield ""
    if statement is None:
        yield f"Differential privacy: {NOT_PRIVATE}."
        return
    yield (
        f"({statement['epsilon']:g}, {statement['delta']:g})-differentially private; unit: {statement['unit']}; "
        f"neighbours: {statement['adjacency']}; accountant: {statement['accountant']}."
    )
    yield ""
    yield "It covers this model and everything made with it. It does not cover the schema, which is public, nor any"
    yield "comparison with the real rows. What was bought:"
    yield ""
    yield from (f"- {event}" for event in statement["events"])
