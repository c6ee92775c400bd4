"""Section "attacks": simulated attacks on training rows, with holdout rows as the control group."""

from __future__ import annotations

import numpy as np
import pandas as pd

from synthvae.evaluation.comparison import Comparison
from synthvae.evaluation.disclosure.attribute_inference import inference
from synthvae.evaluation.disclosure.linkability import linkability
from synthvae.evaluation.disclosure.membership import membership
from synthvae.evaluation.disclosure.risk import AttackResult, control_rows, small_holdout_notes
from synthvae.evaluation.disclosure.singling_out import singling_out
from synthvae.evaluation.metrics import METRICS
from synthvae.evaluation.results import Figure, Section
from synthvae.evaluation.risk_metrics import MEMBERSHIP

COLUMNS = ["attack", "column", "guesses", "success", "naive", "control", "risk", "low", "high"]
NOT_RUN = {
    "singling_out": "Singling out was not run: no combination of values is unique among the synthetic rows.",
    "linkability": "Linkability was not run: it needs two columns.",
    "inference": "Attribute inference was not run: it needs two columns, one of them with more than one value.",
}


def attacks(comparison: Comparison, seed: int) -> Section:
    """Attack training rows and holdout rows; the difference of the success rates is the risk.

    Args:
        comparison: The tables.
        seed: Random seed.

    Returns:
        Figures "singling_out", "linkability", "inference" and "membership", see `synthvae.evaluation.METRICS`; detail
        "attacks".
    """
    holdout, lack = control_rows(comparison)
    if holdout is None:
        note = f"No attack was run, since attacks need a holdout as the control group: {lack}."
        return Section("attacks", notes=(note,))
    results = [
        singling_out(comparison, holdout, np.random.default_rng([seed, 50])),
        linkability(comparison, holdout, np.random.default_rng([seed, 51])),
        *inference(comparison, holdout, np.random.default_rng([seed, 52])),
    ]
    found = [result for result in results if result is not None]
    pooled = {result.attack: result for result in found if not result.column}
    figures = [result.figure(METRICS[name]) for name, result in pooled.items()]
    value, interval = membership(comparison, holdout, np.random.default_rng([seed, 53]))
    figures.append(Figure(MEMBERSHIP, value, interval, real=0.5))
    table = pd.DataFrame([result.row() for result in found], columns=COLUMNS)
    return Section("attacks", tuple(figures), {"attacks": table}, (*_notes(pooled), *small_holdout_notes(comparison)))


def _notes(pooled: dict[str, AttackResult]) -> tuple[str, ...]:
    absent = [note for name, note in NOT_RUN.items() if name not in pooled]
    weak = [
        f"The attack {METRICS[name].title.lower()!r} did no better than random guesses, so it is not informative."
        for name, result in pooled.items()
        if result.train.rate <= result.naive.rate
    ]
    return (*absent, *weak)
