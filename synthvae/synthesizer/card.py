"""The card of a model: what it learned, how that went, what it may be used for, what privacy it carries.

Source: Mitchell et al. 2019, Model cards for model reporting, https://arxiv.org/abs/1810.03993.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from synthvae.evaluation.saved import SavedAnswer, SavedEvaluation, SavedFigure
from synthvae.schema.column import DRAFTS
from synthvae.schema.values import at_most
from synthvae.training.history import History

NOT_PRIVATE = "none: rows of training may be reflected in the rows made"
MADE_FOR = (
    "Made for: rows that look like those of the table, to develop, test and teach with, and to add to scarce classes."
)
NOT_MADE_FOR = (
    "Not made for: decisions about a person whose row was learned, or statements on the population without the real "
    "rows: what is rare in the table is uncertain here."
)
LIMITS = (
    "Each row is made by itself: what holds between rows (the visits of a patient, the days of a series) is lost.",
    "No value is outside the range that was learned or declared, and no category is new.",
    "What is wrong or unfair in the table is learned with the rest.",
    "Ids are made afresh, and say nothing of those of the table.",
)
ENDS = {
    "finished": "all steps were taken",
    "early": "it ended early: more steps no longer helped on held-out rows, or a callback asked it to",
    "interrupted": "it was interrupted: the best weights until then were kept",
    "diverged": "the loss became no number: the best weights until then were kept",
}
GUARDED = "Of a private fit nothing was measured on the way: no loss, no held-out rows. How many rows were learned and "


def write(
    facts: Mapping[str, Any],
    versions: Mapping[str, str],
    history: History,
    statement: Mapping[str, Any] | None,
    evaluation: Mapping[str, Any] | None = None,
) -> str:
    """Return a model card in Markdown.

    Args:
        facts: What `FittedModel.describe` says.
        versions: What it was learned with.
        history: How training went.
        statement: What privacy was promised and spent, see `Ledger.statement`; None: nothing was.
        evaluation: What `Evaluation.to_dict` says of rows that it made; None: they were not measured.

    Raises:
        ConfigurationError: The evaluation is none, or is not of this model.
    """
    read = None if evaluation is None else SavedEvaluation.from_dict(evaluation)
    if read is not None:
        read.check_model(facts["columns"], statement)
    private = statement is not None
    parts = [_model(facts, versions), _data(facts, private=private), _training(history, private=private), _use()]
    if read is not None:
        parts.append(_evaluation(read, private=private))
    parts.append(_privacy(statement, facts.get("schema")))
    return "\n".join(line for part in parts for line in (*part, ""))


def _model(facts: Mapping[str, Any], versions: Mapping[str, str]) -> Iterator[str]:
    yield "# A synthvae model"
    yield ""
    yield f"A conditional variational autoencoder of a table with {len(facts['columns'])} columns"
    known = ", ".join(f"{_prose(name)} {_prose(version)}" for name, version in versions.items())
    yield f"({facts['parameters']:,} parameters{', ' if known else ''}{known})."


def _data(facts: Mapping[str, Any], *, private: bool) -> Iterator[str]:
    """The shape of the table."""
    kinds = Counter(facts["columns"].values())
    rows = f"{facts['rows']:,} rows, " if "rows" in facts else ""
    yield "## Data"
    yield ""
    yield f"{rows}{len(facts['columns'])} columns: {', '.join(f'{n} {kind}' for kind, n in kinds.most_common())}."
    missing = None if private else facts.get("missing")
    yield ""
    yield "| column | kind |" if missing is None else "| column | kind | missing |"
    yield "| --- | --- |" if missing is None else "| --- | --- | --- |"
    for name, kind in facts["columns"].items():
        yield f"| {_code(name)} | {kind} |" + ("" if missing is None else f" {_share(missing.get(name, 0.0))} |")
    yield from _classes(facts, private=private)


def _share(share: float) -> str:
    return f"{share:.2%}" if share else "none"


def _classes(facts: Mapping[str, Any], *, private: bool) -> Iterator[str]:
    if facts["target"] is None:
        return
    target = _code(facts["target"])
    yield ""
    if "classes" not in facts:
        yield f"Rows hang on {target}, a number, by {len(facts['quantile_bins'])} quantile bins."
        return
    about = "about " if private else ""  # noise was added
    told = [f"{_code(label)} ({about}{count:,})" for label, count in facts["classes"].items()]
    yield f"Rows are made for each class of {target}, of which so many were learned: {', '.join(told)}."


def _training(history: History, *, private: bool) -> Iterator[str]:
    """How training went."""
    yield "## Training"
    yield ""
    end = ENDS.get(history.stopped, _prose(history.stopped))
    yield f"The weights of step {history.best_step:,} were kept; {end}."
    if private:
        yield f"{GUARDED}how many values are missing is not told."
        return
    if history.refitted:
        yield "Then all rows, the held-out ones with them, were learned for as many steps."
    if history.held_out_elbo is not None:
        yield f"Held-out ELBO: {history.held_out_elbo:.3f} nats per row."
    if history.active_units is not None:
        kl = history.kl_per_dimension
        said = "" if kl is None else f" of {len(kl)}, KL {sum(kl):.2f} nats per row"
        yield f"Active latent units: {history.active_units}{said}."


def _use() -> Iterator[str]:
    yield "## Use"
    yield ""
    yield f"- {MADE_FOR}"
    yield f"- {NOT_MADE_FOR}"
    yield ""
    yield "## Limits"
    yield ""
    yield from (f"- {limit}" for limit in LIMITS)


def _evaluation(measured: SavedEvaluation, *, private: bool) -> Iterator[str]:
    """The figures of an evaluation."""
    yield "## Evaluation"
    yield ""
    rows = ", ".join(f"{count:,} {_prose(name)}" for name, count in measured.rows.items())
    yield f"`synthvae evaluate` compared rows: {rows} (seed {measured.seed})."
    if private:
        yield "It looked at real rows, and is not covered by the guarantee below."
    for said in measured.verdict.values():
        yield ""
        yield from _answer(said)
    for name, section in measured.sections.items():
        if section.figures:
            yield ""
            yield f"### {_prose(name).capitalize()}"
            yield ""
            yield "| figure | synthetic | 95 % interval | fresh real rows | independent columns | better |"
            yield "| --- | --- | --- | --- | --- | --- |"
            yield from (_figure(metric, figure) for metric, figure in section.figures.items())
        yield from (f"\n{_prose(note)}" for note in section.notes)


def _answer(said: SavedAnswer) -> Iterator[str]:
    yield f"**{_prose(said.question)}** {_prose(said.answer)}"
    if said.reasons:
        yield ""
        yield from (f"- {_prose(reason)}" for reason in said.reasons)


def _figure(name: str, figure: SavedFigure) -> str:
    interval = "" if figure.interval is None else " to ".join(_number(end) for end in figure.interval)
    cells = [_number(figure.value), interval, _number(figure.real), _number(figure.independent)]
    better = "near 0.5" if figure.better == "half" else figure.better
    return f"| {_code(name)}{' **(flagged)**' if figure.flagged else ''} | {' | '.join(cells)} | {better} |"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _code(text: object) -> str:
    """A name as code, whatever it is made of: it breaks out of no table, list or span."""
    name = "".join(letter if letter.isprintable() else "\ufffd" for letter in str(text))
    if name and name == name.strip() and not re.search(r"[`|\\]", name):
        return f"`{name}`"
    safe = (letter if letter.isalnum() else f"&#{ord(letter)};" for letter in name)
    return f"<code>{''.join(safe)}</code>"


def _prose(text: object) -> str:
    """A sentence as one line of prose, whatever stands in it."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&$])", r"\\\1", " ".join(str(text).split()))


def _privacy(statement: Mapping[str, Any] | None, origin: str | None) -> Iterator[str]:
    yield "## Privacy"
    yield ""
    if statement is None:
        yield f"Differential privacy: {NOT_PRIVATE}."
        return
    yield (
        f"({at_most(statement['epsilon'])}, {at_most(statement['delta'])})-differentially private; "
        f"unit: {_prose(statement['unit'])}; neighbours: {statement['adjacency']}; "
        f"accountant: {statement['accountant']}."
    )
    yield ""
    yield "It covers this model and everything made with it. It does not cover a schema that was declared, which is"
    yield "public, nor any comparison with the real rows."
    if origin in DRAFTS:
        yield "**The schema was drafted from the data, then reviewed: its values are not covered.**"
    yield ""
    yield "What was bought:"
    yield ""
    yield from (f"- {_prose(event)}" for event in statement["events"])
