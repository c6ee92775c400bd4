"""The card of a model: its table, its training, its intended use and its privacy.

Source: Mitchell et al. 2019, Model cards for model reporting, https://arxiv.org/abs/1810.03993.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthvae.errors import escaped
from synthvae.evaluation.saved import SavedEvaluation
from synthvae.schema.column import DRAFTS
from synthvae.schema.protection import sentences
from synthvae.schema.values import at_most
from synthvae.training.history import History

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATE = Path(__file__).with_name("card.md.jinja")
NOT_PRIVATE = "none: training rows may be reflected in synthetic rows"
ENDS = {
    "finished": "all steps were taken",
    "early": "training stopped early, as more steps did not improve the held-out ELBO or a callback requested it",
    "interrupted": "training was interrupted, and these were the best weights until then",
    "diverged": "the loss became NaN, and these were the best weights until then",
}


def render(
    summary: Mapping[str, Any],
    versions: Mapping[str, str],
    history: History,
    statement: Mapping[str, Any] | None,
    evaluation: Mapping[str, Any] | None = None,
) -> str:
    """Return a model card in Markdown.

    Args:
        summary: The summary of the model, see `FittedModel.describe`.
        versions: The versions of the libraries with which it was fitted.
        history: The training history.
        statement: The privacy that was promised and spent, see `Ledger.statement`; None without differential privacy.
        evaluation: An evaluation of its synthetic rows, see `Evaluation.to_dict`; None: they were not evaluated.

    Raises:
        ConfigurationError: `evaluation` is not an evaluation, or not one of this model.
    """
    measured = None if evaluation is None else SavedEvaluation.from_dict(evaluation)
    if measured is not None:
        measured.check_model(summary["columns"], statement)
    private, missing = statement is not None, summary.get("missing")
    return (
        environment()
        .from_string(TEMPLATE.read_text(encoding="utf-8"))
        .render(
            summary=summary,
            columns=summary["columns"],
            kinds=Counter(summary["columns"].values()).most_common(),
            missing=None if private or missing is None else defaultdict(float, missing),
            versions=versions,
            history=history,
            ends=ENDS,
            evaluation=measured,
            statement=statement,
            drafted=summary.get("schema") in DRAFTS,
            not_private=NOT_PRIVATE,
            protected=[] if summary.get("protection") is None else sentences(summary["protection"]),
        )
    )


def environment() -> Environment:
    """Return the environment of Markdown templates, with the filters that escape what they insert."""
    from jinja2 import Environment, StrictUndefined  # imported here: most fits render no card

    found = Environment(  # noqa: S701 (Markdown, which `code` and `prose` escape)
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined
    )
    found.filters |= {"at_most": at_most, "code": _code, "number": _number, "prose": _prose}
    return found


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _code(text: object) -> str:
    """A name as inline code; whatever it contains, it cannot end a table, list or span."""
    name = "".join(letter if letter.isprintable() else "\ufffd" for letter in str(text))
    if name and name == name.strip() and not re.search(r"[`|\\]", name):
        return f"`{name}`"
    safe = (letter if letter.isalnum() else f"&#{ord(letter)};" for letter in name)
    return f"<code>{''.join(safe)}</code>"


def _prose(text: object) -> str:
    """Text as one line of prose, with the characters that Markdown interprets escaped."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&$])", r"\\\1", escaped(" ".join(str(text).split())))
