"""What an adversary gains from synthetic rows: attacks on rows that were learned, and on others as a control group."""

from __future__ import annotations

import numpy as np
import pandas as pd

from synthvae.evaluation.comparison import Comparison
from synthvae.evaluation.disclosure.attribute_inference import inference
from synthvae.evaluation.disclosure.linkability import linkability
from synthvae.evaluation.disclosure.membership import membership
from synthvae.evaluation.disclosure.risk import Outcome, control_rows, small_holdout
from synthvae.evaluation.disclosure.singling_out import singling_out
from synthvae.evaluation.results import Figure, Metric, Section

COLUMNS = ["attack", "column", "guesses", "success", "naive", "control", "risk", "low", "high"]

GIOMI = "Giomi et al. 2023, A unified framework for quantifying privacy risk in synthetic data, arXiv 2211.10459."
NEXT = "An attack that fails proves nothing about the next one, which may be cleverer or know more."
SINGLING_OUT = Metric(
    "singling_out",
    "Singling out",
    "lower",
    "How much more often a description of one synthetic row fits exactly one real row that was learned than one that "
    "was not, as a share of what was left to gain.",
    GIOMI,
    "Only descriptions of up to eight columns were tried, about two thousand. " + NEXT,
    risk=True,
)
LINKABILITY = Metric(
    "linkability",
    "Linkability",
    "lower",
    "How much more often synthetic rows bring together the two halves of a real row that was learned than of one that "
    "was not, as a share of what was left to gain.",
    GIOMI,
    "Only a few ways of cutting the columns in two, and only nearest rows, were tried. " + NEXT,
    risk=True,
)
INFERENCE = Metric(
    "inference",
    "Attribute inference",
    "lower",
    "How much more often the nearest synthetic row gives away a value of a real row that was learned than of one that "
    "was not, as a share of what was left to gain; all columns together.",
    GIOMI,
    "What synthetic rows tell about everybody, learned or not, does not count here, though it can hurt as much; one "
    "column that is given away can be lost in the mean over all. " + NEXT,
    risk=True,
)
MEMBERSHIP = Metric(
    "membership",
    "Membership inference",
    "half",
    "How well rows that were learned are told from others by how dense synthetic rows are around them: the area under "
    "the ROC curve.",
    "DOMIAS: van Breugel et al. 2023, arXiv 2302.12580.",
    "The adversary has half of the holdout, and sees no model; one who has more, or trains models of the same kind, "
    "can do better. It is a mean over all rows: a few who stand out can be recognised all the same. " + NEXT,
    risk=True,
)
METRICS = {metric.name: metric for metric in (SINGLING_OUT, LINKABILITY, INFERENCE)}
FELL_AWAY = {
    "singling_out": "Singling out was not tried: no description fits one synthetic row alone.",
    "linkability": "Linkability was not tried: it needs two columns.",
    "inference": "Attribute inference was not tried: it needs two columns, of which one has more than one value.",
}


def attacks(comparison: Comparison, seed: int) -> Section:
    """Attack rows that were learned, and rows of the holdout; what the first give away beyond the second is the risk.

    Args:
        comparison: The tables.
        seed: Of the guesses and of the rows that are attacked.
    """
    holdout, lack = control_rows(comparison)
    if holdout is None:
        note = f"Attacks need real rows that were not learned, as a control group, however, {lack}: nothing was tried."
        return Section("attacks", notes=(note,))
    outcomes = [
        singling_out(comparison, holdout, np.random.default_rng([seed, 50])),
        linkability(comparison, holdout, np.random.default_rng([seed, 51])),
        *inference(comparison, holdout, np.random.default_rng([seed, 52])),
    ]
    found = [outcome for outcome in outcomes if outcome is not None]
    pooled = {outcome.attack: outcome for outcome in found if not outcome.column}
    figures = [outcome.figure(METRICS[name]) for name, outcome in pooled.items()]
    value, interval = membership(comparison, holdout, np.random.default_rng([seed, 53]))
    figures.append(Figure(MEMBERSHIP, value, interval, real=0.5))
    table = pd.DataFrame([outcome.row() for outcome in found], columns=COLUMNS)
    return Section("attacks", tuple(figures), {"attacks": table}, (*_notes(pooled), *small_holdout(comparison)))


def _notes(pooled: dict[str, Outcome]) -> tuple[str, ...]:
    absent = [note for name, note in FELL_AWAY.items() if name not in pooled]
    weak = [
        f"The attack {METRICS[name].title.lower()!r} did no better than guesses that know nothing: it says little."
        for name, outcome in pooled.items()
        if outcome.train.rate <= outcome.naive.rate
    ]
    return (*absent, *weak)
