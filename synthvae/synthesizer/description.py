"""A short description of a fitted model in plain words, which the shell and notebooks show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from synthvae.privacy import Ledger
from synthvae.schema.values import at_most
from synthvae.synthesizer.fitted_model import FittedModel
from synthvae.training.history import History

MOST_CLASSES = 6  # whose rows are stated
ENDS = {
    "finished": "took all steps",
    "early": "stopped early, since the held-out loss no longer fell",
    "interrupted": "was interrupted",
    "diverged": "ended, since the loss became infinite",
}
UNSTATED = ("verbose",)  # parameters that do not change the model
CELLS = ("cells_at_ends", "cells_of_rare_categories")


def lines_of(fitted: FittedModel) -> dict[str, str]:
    """Return the lines of the description, by their names; none of them has a value of a training row."""
    summary, rows = fitted.describe(), fitted.provenance.rows
    lines = {
        "rows": "not disclosed, since the fit was private" if rows is None else f"{rows:,}",
        "columns": _columns(summary["columns"]),
        "target": _target(summary),
        "protected": _protected(summary.get("protection")),
        "training": _training(fitted.history),
        "held-out loss": _loss(fitted.history.held_out_elbo),
        "privacy": _privacy(fitted.ledger),
        "schema": "" if fitted.ledger is None else summary["schema"],
        "weights": f"{summary['parameters']:,}",
    }
    return {name: line for name, line in lines.items() if line}


def parameters_of(given: Mapping[str, Any], usual: Mapping[str, Any], fitted: FittedModel) -> dict[str, str]:
    """Return the parameters of a model that are not the defaults, and results of its training, for a report.

    Args:
        given: The parameters of its synthesizer, as `get_params` returns them.
        usual: Those of a new synthesizer.
        fitted: The model.
    """
    stated = {
        name: str(value)
        for name, value in given.items()
        if value is not None and value != usual.get(name) and name not in UNSTATED
    }
    lines = lines_of(fitted)
    return stated | {name: lines[name] for name in ("training", "held-out loss", "weights") if name in lines}


def _columns(columns: Mapping[str, str]) -> str:
    kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(columns.values()).most_common())
    return f"{len(columns)}: {kinds}"


def _target(summary: Mapping[str, Any]) -> str:
    if summary["target"] is None:
        return "none: rows are generated without classes"
    counts = summary.get("classes")
    if counts is None:
        return f"{summary['target']}, a number, in {len(summary['quantile_bins'])} quantile bins"
    about = "about " if summary.get("rows") is None else ""
    shown = [f"{label} ({about}{count:,.0f})" for label, count in list(counts.items())[:MOST_CLASSES]]
    rest = f", ... ({len(counts)} classes)" if len(counts) > MOST_CLASSES else ""
    return f"{summary['target']}, rows by class: {', '.join(shown)}{rest}"


def _protected(protection: Mapping[str, Any] | None) -> str:
    if protection is None:
        return ""
    cells = [sum(of.get(name, 0) for name in CELLS) for of in protection["columns"].values()]
    subjects = "rows" if protection["unit"] is None else f"subjects ({protection['unit']})"
    return (
        f"{sum(cells):,} values in {len(cells)} columns: categories of fewer than {protection['least']} {subjects}, "
        "and the ends of numbers and dates"
    )


def _training(history: History) -> str:
    last = history.records[-1].step if history.records else history.best_step
    best = "" if last == history.best_step else f"; the weights are those of step {history.best_step:,}, the best"
    again = "; then trained on all rows for as many steps" if history.refitted else ""
    return f"{ENDS.get(history.stopped, history.stopped)} (step {last:,}){best}{again}"


def _loss(elbo: float | None) -> str:
    return "" if elbo is None else f"{-elbo:.2f} nats per row (negative ELBO; lower is better)"


def _privacy(ledger: Ledger | None) -> str:
    if ledger is None:
        return "no differential privacy: synthetic rows may reflect training rows"
    stated = ledger.statement()
    return (
        f"differential privacy with epsilon {at_most(stated['epsilon'])} (budget {at_most(stated['budget'])}) and "
        f"delta {at_most(stated['delta'])}; protected unit: {stated['unit']}"
    )
