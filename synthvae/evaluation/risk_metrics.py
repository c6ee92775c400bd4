"""Catalogue of the metrics of disclosure: copies of training rows, and simulated attacks; part of `metrics`."""

from __future__ import annotations

from synthvae.evaluation.metric import Metric

# Disclosure: copies of training rows, and rows that are too close to them.

NO_PROOF = "Rows that are no copies can still reveal information about people: this is no proof of privacy."
COPIES = Metric(
    "copies",
    "Exact copies",
    "lower",
    "Share of synthetic rows that equal a training row in every compared column.",
    "Counted over all rows; interval: Clopper and Pearson 1934, widened by the uncertainty of the real rows' share",
    "A row that differs from a training row in a single digit is not an exact copy. " + NO_PROOF,
    risk=True,
    formula="Number of synthetic rows that equal a training row / number of synthetic rows.",
    range="0 (no copies) to 1. Compare with the figure of real rows: natural duplicates are no disclosure.",
)
NEARNESS = Metric(
    "nearness",
    "Near copies",
    "lower",
    "Share of synthetic rows that lie unusually close to a training row: within half the distance that 99.5% of "
    "unseen real rows exceed, minus the share that lies equally close to holdout rows.",
    "Lower tail of the distance to the closest record: Platzer and Reutterer 2021, https://arxiv.org/abs/2104.00635",
    "Detects near copies only as far as the distance does: one strongly changed number hides a copy. " + NO_PROOF,
    risk=True,
    formula="Share of synthetic rows with d <= q / 2, d being the distance to the closest training row and q the 0.5% "
    "quantile of d over unseen real rows.",
    range="0 (none) to 1.",
)
DCR = Metric(
    "dcr_share",
    "DCR share",
    "half",
    "Share of synthetic rows whose distance to the closest record (DCR) is less among the training rows than among an "
    "equal number of holdout rows; ties count one half.",
    "Distance to the closest record: Platzer and Reutterer 2021, https://arxiv.org/abs/2104.00635",
    "An average over all rows, in which a few copies go unnoticed. " + NO_PROOF,
    risk=True,
    formula="Share of synthetic rows with d_training < d_holdout, d being the distance to the closest row.",
    range="0.5 (no preference) to 1 (always closer to training rows).",
)
NNDR = Metric(
    "nndr_share",
    "NNDR share",
    "half",
    "Share of synthetic rows whose nearest-neighbour distance ratio (NNDR: nearest over second nearest) is smaller "
    "among the training rows than among an equal number of holdout rows; ties count one half.",
    "Nearest-neighbour distance ratio: Zhao et al. 2021, CTAB-GAN, https://arxiv.org/abs/2102.08369",
    "An average over all rows, in which a few copies go unnoticed. " + NO_PROOF,
    risk=True,
    formula="Share of synthetic rows with r_training < r_holdout, r being the distance to the nearest row divided by "
    "that to the second nearest.",
    range="0.5 (no preference) to 1 (always closer to a single training row).",
)

# Simulated attacks.

GIOMI = "Giomi et al. 2023, A unified framework for quantifying privacy risk in synthetic data, arXiv 2211.10459"
RISK = "(success rate on training rows - success rate on holdout rows) / (1 - success rate on holdout rows)."
RISK_RANGE = "0 (no gain from being a training row) to 1."
NEXT = "A failed attack proves nothing about other attacks, which may be better or use more knowledge."
SINGLING_OUT = Metric(
    "singling_out",
    "Singling out",
    "lower",
    "How much more often a combination of values that is unique among the synthetic rows identifies exactly one "
    "training row than exactly one holdout row.",
    GIOMI,
    "Tries about two thousand combinations of at most eight columns. " + NEXT,
    risk=True,
    formula=RISK,
    range=RISK_RANGE,
)
LINKABILITY = Metric(
    "linkability",
    "Linkability",
    "lower",
    "How much more often the synthetic rows allow an attacker to link the two halves of a training row than those of a "
    "holdout row.",
    GIOMI,
    "Tries a few ways of dividing the columns, and nearest rows only. " + NEXT,
    risk=True,
    formula=RISK,
    range=RISK_RANGE,
)
INFERENCE = Metric(
    "inference",
    "Attribute inference",
    "lower",
    "How much more often the nearest synthetic row reveals an unknown value of a training row than of a holdout row; "
    "all columns together.",
    GIOMI,
    "Does not count what the synthetic rows reveal about everybody, in training or not, although that can also harm; a "
    "single disclosed column can be lost in the average over all columns. " + NEXT,
    risk=True,
    formula=RISK,
    range=RISK_RANGE,
)
MEMBERSHIP = Metric(
    "membership",
    "Membership inference",
    "half",
    "How well an attacker distinguishes training rows from holdout rows by how closely synthetic rows surround them "
    "(area under the ROC curve).",
    "DOMIAS: van Breugel et al. 2023, arXiv 2302.12580",
    "The attacker has half of the holdout and no access to the model; an attacker who has more data, or trains similar "
    "models, can do better. It is an average over all rows: a few unusual rows can be recognised all the same. " + NEXT,
    risk=True,
    formula="ROC AUC of the score log(d_reference / d_synthetic), d being the distance to the nearest row.",
    range="0.5 (indistinguishable) to 1 (always recognised).",
)
