"""Catalogue of the metrics: what each one measures, its formula and range, how to read it, and its limits.

The HTML report and the documentation show these texts. Figures of a metric appear in JSON under `Metric.name`.
"""

from __future__ import annotations

from synthvae.evaluation.metric import Metric
from synthvae.evaluation.risk_metrics import (
    COPIES,
    DCR,
    INFERENCE,
    LINKABILITY,
    MEMBERSHIP,
    NEARNESS,
    NNDR,
    SINGLING_OUT,
)

# Fidelity: similarity of synthetic rows and training rows.

SHAPE = Metric(
    "shape",
    "Column shapes",
    "higher",
    "Average similarity of the distribution of each column in the synthetic rows and in the training rows.",
    "SDMetrics, KSComplement and TVComplement, https://docs.sdv.dev/sdmetrics/data-metrics/quality/kscomplement",
    "Ignores relationships between columns: columns that are shuffled independently reach the highest values.",
    formula="Mean over columns: 1 - Kolmogorov-Smirnov statistic for numbers and dates, 1 - total variation distance "
    "for categories.",
    range="0 (no overlap) to 1 (identical distributions).",
)
TREND = Metric(
    "trend",
    "Column pair trends",
    "higher",
    "Average similarity of the relationship between each two columns in the synthetic rows and in the training rows.",
    "SDMetrics, CorrelationSimilarity and ContingencySimilarity, "
    "https://docs.sdv.dev/sdmetrics/data-metrics/quality/contingencysimilarity",
    "Ignores relationships between three or more columns, and nonlinear relationships between two numeric columns.",
    formula="Mean over pairs: 1 - |r - r'| / 2 for two numeric columns with Pearson correlations r and r'; otherwise "
    "1 - total variation distance of the joint distributions, with numbers in ten bins of the training column.",
    range="0 (opposite) to 1 (identical relationships).",
)
C2ST_REAL = Metric(
    "c2st_real",
    "Detectability against training rows (C2ST)",
    "half",
    "How well a classifier separates synthetic rows from training rows (classifier two-sample test, area under the ROC "
    "curve).",
    "Classifier two-sample test: Lopez-Paz and Oquab 2017, https://arxiv.org/abs/1610.06545",
    "One revealing detail, such as the number of decimals, is enough for a value of 1, although it may not matter for "
    "the intended use. Copies of training rows also give 0.5.",
    formula="ROC AUC of gradient boosting, cross-validated with three folds.",
    range="0.5 (the classifier cannot separate them) to 1 (it always can). Values below 0.5 are chance, or copies.",
)
C2ST_HOLDOUT = Metric(
    "c2st_holdout",
    "Detectability against holdout rows (C2ST)",
    "half",
    "How well a classifier separates synthetic rows from real rows that were not used for training (classifier "
    "two-sample test, area under the ROC curve).",
    C2ST_REAL.source,
    C2ST_REAL.limits,
    formula=C2ST_REAL.formula,
    range=C2ST_REAL.range,
)
ALPHA_PRECISION = Metric(
    "alpha_precision",
    "Alpha-precision",
    "higher",
    "Whether synthetic rows are as typical, and as unusual, as training rows: whether they lie equally far from the "
    "centre of the training rows.",
    "Alaa et al. 2022, section 3, https://arxiv.org/abs/2102.08921",
    "Uses only the distance from the centre, not the direction.",
    formula="1 - normalised area between the levels alpha and the shares of synthetic rows within the alpha-quantile "
    "of the training rows' distance from their centre, over 30 levels.",
    range="0 to 1 (equally typical).",
)
BETA_RECALL = Metric(
    "beta_recall",
    "Beta-recall",
    "higher",
    "How much of the variety of the training rows the synthetic rows cover: how often a synthetic row is as near to a "
    "training row as its nearest other training row. Unseen real rows reach about 0.5; larger values mean that "
    "training rows are repeated.",
    "Alaa et al. 2022, section 3, https://arxiv.org/abs/2102.08921",
    "Exceeds the value of unseen real rows when training rows are memorised.",
    formula="1 - normalised area between the levels beta and the shares of training rows that have a synthetic row as "
    "near as their nearest neighbour, within the beta-quantile of the distance from the synthetic centre, over 30 "
    "levels.",
    range="0 to 1; about 0.5 for unseen real rows.",
)
DENSITY = Metric(
    "density",
    "Density",
    "higher",
    "How many neighbourhoods of training rows contain a synthetic row, relative to the expected number.",
    "Naeem et al. 2020, equation 4, https://arxiv.org/abs/2002.09797",
    "Exceeds 1 when synthetic rows concentrate where training rows are dense.",
    formula="Number of pairs of a training row and a synthetic row within the distance to the training row's 5th "
    "nearest neighbour, divided by 5 times the number of synthetic rows.",
    range="0 or more; about 1 for unseen real rows.",
)
COVERAGE = Metric(
    "coverage",
    "Coverage",
    "higher",
    "Share of training rows with a synthetic row in their neighbourhood.",
    "Naeem et al. 2020, equation 5, https://arxiv.org/abs/2002.09797",
    "Unseen real rows reach about 0.97, not 1.",
    formula="Share of training rows with at least one synthetic row within the distance to their 5th nearest "
    "neighbour.",
    range="0 to 1; about 0.97 for unseen real rows.",
)
TRIPLES = Metric(
    "triples",
    "Triples of columns",
    "higher",
    "Average similarity of the joint distribution of three columns in the synthetic rows and in the training rows.",
    "Three-way marginals: Platzer and Reutterer 2021, https://doi.org/10.3389/fdata.2021.679939",
    "Few rows in many cells agree little even if they are real: compare with the reference of real rows.",
    formula="Mean over triples (all, or 200 drawn at random): 1 - total variation distance of the joint distributions, "
    "with numbers in five bins between quantiles of the training rows, and the five most frequent categories apart.",
    range="0 (no overlap) to 1 (identical distributions).",
)
MISSING = Metric(
    "missing",
    "Missing values",
    "lower",
    "Largest difference between a column's shares of missing values in the synthetic rows and in the training rows.",
    "SDMetrics, 1 - MissingValueSimilarity of the worst column, "
    "https://docs.sdv.dev/sdmetrics/data-metrics/quality/missingvaluesimilarity",
    "Does not show which values are missing together.",
    formula="Maximum over columns of |share of missing synthetic values - share of missing training values|.",
    range="0 (equal shares) to 1.",
)
ADHERENCE = Metric(
    "adherence",
    "Values within bounds",
    "higher",
    "Share of synthetic values inside the range of the training column, or among its categories.",
    "SDMetrics, BoundaryAdherence and CategoryAdherence, "
    "https://docs.sdv.dev/sdmetrics/data-metrics/diagnostic/boundaryadherence",
    "A value within range can still be impossible in combination with the other values of its row.",
    formula="Mean over columns of the share of present synthetic values within range.",
    range="0 to 1 (all values within bounds).",
)

# Logic: rules between columns.

DENIAL = "Discovering denial constraints: Chu, Ilyas and Papotti 2013, https://doi.org/10.14778/2536258.2536262"
RULES = Metric(
    "rules",
    "Rows that keep all rules",
    "higher",
    "Share of synthetic rows that keep every rule between columns that the schema declares, or that 99.9% of the "
    "training rows keep.",
    DENIAL,
    "Rules of other kinds than those that are searched are not seen unless the schema declares them.",
    formula="Share of rows in which no rule is broken; a rule that cannot be judged, as a value is missing, holds.",
    range="0 to 1 (every row keeps all rules).",
)
WORST_RULE = Metric(
    "worst_rule",
    "Rule that is broken most often",
    "higher",
    "Share of synthetic rows that keep the rule that is broken most often, of those that 99.9% of the real rows keep.",
    DENIAL + "; interval: Clopper and Pearson 1934",
    "Of many rules, one is the worst by chance: compare with the table of all rules.",
    formula="Minimum over rules of the share of rows that keep it, of those in which it can be judged.",
    range="0 to 1 (no rule is broken).",
)

# Utility: models trained on synthetic rows.

TSTR = Metric(
    "tstr",
    "TSTR (train on synthetic, test on real)",
    "higher",
    "How well three models trained on synthetic rows predict the target of real test rows.",
    "Esteban, Hyland and Rätsch 2017, https://arxiv.org/abs/1706.02633; ROC AUC: Fawcett 2006, sections 7 and 9, "
    "https://doi.org/10.1016/j.patrec.2005.10.010; interval: DeLong et al. 1988, https://doi.org/10.2307/2531595",
    "Applies to this target and these models only.",
    formula="Mean over gradient boosting, random forest and logistic (ridge) regression: of classes the one-vs-rest "
    "ROC AUC, averaged over the classes; of numbers R2.",
    range="Classes: 0 to 1, 0.5 is chance. Numbers: at most 1 (perfect); 0 is no better than the mean.",
)
UTILITY = Metric(
    "utility",
    "Relative utility (TSTR / TRTR)",
    "higher",
    "Score of models trained on synthetic rows as a share of the score of the same models trained on real rows.",
    "Esteban, Hyland and Rätsch 2017, https://arxiv.org/abs/1706.02633",
    "Where chance scores 0.5, useless rows still reach 0.5 or more: compare with the figure of shuffled columns.",
    formula="Score when trained on synthetic rows / score when trained on real rows; see `tstr`.",
    range="1: no loss.",
)
CALIBRATION = Metric(
    "calibration",
    "Calibration error",
    "lower",
    "Average difference between the probabilities that gradient boosting trained on synthetic rows predicts and the "
    "observed frequencies in real test rows: of the rarer class where there are two, of the predicted class otherwise.",
    "Naeini, Cooper and Hauskrecht 2015, https://doi.org/10.1609/aaai.v29i1.9602; equal-size bins: Nixon et al. 2019, "
    "https://arxiv.org/abs/1904.01685",
    "Greater than zero for few test rows, even if the probabilities are correct.",
    formula="Mean over test rows of |mean predicted probability - observed frequency| of the row's bin, with ten bins "
    "of equal size.",
    range="0 (calibrated) to 1.",
)
IMPORTANCE = Metric(
    "importance",
    "Agreement of feature importances",
    "higher",
    "Whether gradient boosting trained on synthetic rows ranks the columns by importance as gradient boosting trained "
    "on real rows does.",
    "Permutation importance: Breiman 2001, section 10, https://doi.org/10.1023/A:1010933404324; interval: Bonett and "
    "Wright 2000, https://doi.org/10.1007/BF02294183",
    "Columns that carry the same information replace each other; uninformative columns have no stable rank.",
    formula="Spearman rank correlation of the permutation importances.",
    range="-1 (reversed order) to 1 (same order).",
)

# Survival: times to an event.

KAPLAN_MEIER = Metric(
    "kaplan_meier",
    "Distance of the survival curves",
    "lower",
    "Average distance between the Kaplan-Meier curves of the synthetic rows and of the training rows over the observed "
    "time of the training rows.",
    "Kaplan and Meier 1958, https://doi.org/10.1080/01621459.1958.10501452; distance: Norcliffe et al. 2023, "
    "https://arxiv.org/abs/2302.12749; interval: normal, bootstrap of the synthetic rows",
    "Compares all rows together: the curves of subgroups can differ.",
    formula="Integral of |S_synthetic(t) - S_training(t)| from 0 to the last training time T, divided by T.",
    range="0 (identical curves) to 1.",
)
CUMULATIVE_INCIDENCE = Metric(
    "cumulative_incidence",
    "Distance of the cumulative incidence curves",
    "lower",
    "Average distance between the curves of the synthetic rows and of the training rows over the observed time of the "
    "training rows: the share of people whom a cause has struck by each time. Of several causes, the largest.",
    "Aalen and Johansen 1978, https://www.jstor.org/stable/4615704; interval: normal, bootstrap of the synthetic rows",
    "Compares all rows together: the curves of subgroups can differ.",
    formula="Largest, over causes k, integral of |F_k,synthetic(t) - F_k,training(t)| from 0 to the last training time "
    "T, divided by T.",
    range="0 (identical curves) to 1.",
)
CONCORDANCE = Metric(
    "concordance",
    "Concordance of a Cox model",
    "higher",
    "Of two real patients, how often a Cox model trained on synthetic rows assigns the higher risk to the patient who "
    "has the event first (Harrell's C). Of competing events, the mean over causes, of which all others censor.",
    "Harrell et al. 1982, https://doi.org/10.1001/jama.1982.03320430047030; Cox 1972, "
    "https://doi.org/10.1111/j.2517-6161.1972.tb00899.x; ties: Breslow 1974, https://doi.org/10.2307/2529620; hazards "
    "of single causes: Prentice et al. 1978, https://doi.org/10.2307/2530374",
    "Uses the order of the risks only: hazard ratios can differ.",
    formula="Share of comparable pairs of test rows in the predicted order; ties count one half.",
    range="0 to 1; 0.5 is chance.",
)

# Fairness: differences between groups of people.

BHANOT = "Largest gap between groups: Bhanot et al. 2021, https://doi.org/10.3390/e23091165"
GROUP_SHARE = Metric(
    "group_share",
    "Change of a group's share",
    "lower",
    "Largest difference between a group's share of the synthetic rows and its share of the training rows.",
    "Interval: difference of two proportions, Newcombe 1998, method 1, "
    "https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8%3C873::AID-SIM779%3E3.0.CO;2-I",
    "A rare group can be lost although the difference is small.",
    formula="Maximum over groups of |share of synthetic rows - share of training rows|.",
    range="0 (equal shares) to 1.",
)
GROUP_FIDELITY = Metric(
    "group_fidelity",
    "Gap in fidelity between groups",
    "lower",
    "Difference between the average column shapes (see `shape`) of the best and of the worst group.",
    BHANOT,
    "Scores of small groups are lower even for real rows: compare with the figure of real rows.",
    formula="Maximum over groups - minimum over groups of the mean column score within the group.",
    range="0 (equal fidelity) to 1.",
)
GROUP_UTILITY = Metric(
    "group_utility",
    "Gap in utility between groups",
    "lower",
    "How unequally groups lose when gradient boosting is trained on synthetic instead of real rows.",
    BHANOT + "; score: see `tstr`",
    "A model can be unfair to a group although that group loses nothing.",
    formula="Maximum over groups - minimum over groups of (score when trained on real rows - score when trained on "
    "synthetic rows), on the group's real test rows.",
    range="0 (equal losses) or more.",
)

SECTIONS: dict[str, tuple[Metric, ...]] = {
    "fidelity": (
        SHAPE, TREND, TRIPLES, C2ST_REAL, C2ST_HOLDOUT, ALPHA_PRECISION, BETA_RECALL, DENSITY, COVERAGE, MISSING,
        ADHERENCE,
    ),
    "logic": (RULES, WORST_RULE),
    "utility": (TSTR, UTILITY, CALIBRATION, IMPORTANCE),
    "survival": (KAPLAN_MEIER, CUMULATIVE_INCIDENCE, CONCORDANCE),
    "disclosure": (COPIES, NEARNESS, DCR, NNDR),
    "attacks": (SINGLING_OUT, LINKABILITY, INFERENCE, MEMBERSHIP),
    "fairness": (GROUP_SHARE, GROUP_FIDELITY, GROUP_UTILITY),
}  # fmt: skip
METRICS: dict[str, Metric] = {metric.name: metric for metrics in SECTIONS.values() for metric in metrics}
"""All metrics by name."""
