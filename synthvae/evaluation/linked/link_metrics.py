"""Catalogue of the metrics of linked tables, as `synthvae.evaluation.metrics` is that of single tables."""

from __future__ import annotations

from synthvae.evaluation.metric import Metric
from synthvae.evaluation.metrics import C2ST_REAL

TV = "Total variation distance: Gibbs and Su 2002, https://doi.org/10.1111/j.1751-5823.2002.tb00178.x"
BINS = (
    "with numbers cut at 20 quantiles of the real column and the 60 most frequent categories, or fewer of both where "
    "there are less than 8,000 rows"
)
RATES = "0 (none) to 1."

# Integrity: keys, links and order of the rows.

ORPHANS = Metric(
    "orphans",
    "Rows without their parent",
    "lower",
    "Share of synthetic rows whose foreign key is the key of no row of the other table; of several links the worst.",
    "Referential integrity: Codd 1970, https://doi.org/10.1145/362384.362685",
    "A key that leads to a row may lead to one that does not fit.",
    formula="Maximum over links of the number of keys without a row / number of rows.",
    range=RATES,
)
REPEATED_KEYS = Metric(
    "repeated_keys",
    "Repeated primary keys",
    "lower",
    "Share of synthetic rows whose primary key is that of an earlier row, or is missing.",
    "Primary keys: Codd 1970, https://doi.org/10.1145/362384.362685",
    "Tables without a declared primary key are not judged.",
    formula="Number of rows whose key is missing or that of an earlier row / number of rows.",
    range=RATES,
)
REPEATED = Metric(
    "repeated",
    "Repeated rows of a parent",
    "lower",
    "Share of synthetic rows that are equal to an earlier row of the same parent in the columns that the database "
    "declares as unique.",
    "Uniqueness constraint: Codd 1970, https://doi.org/10.1145/362384.362685",
    "Columns that are not declared are not judged.",
    formula="Number of rows equal to an earlier row of their parent / number of rows.",
    range=RATES,
)
ORDERED = Metric(
    "ordered",
    "Rows in their order",
    "higher",
    "Share of pairs of consecutive rows of a parent, as the table has them, whose order column does not decrease.",
    "Counted over all pairs of rows; order of records: Codd 1970, https://doi.org/10.1145/362384.362685",
    "Measured where 99.9% of the real pairs are in order.",
    formula="Number of pairs with a value at least as large as the one before / number of pairs with two values.",
    range="0 to 1 (sorted).",
)

# Sequences: the rows of a child table, given their parent and each other.

CHILDREN = Metric(
    "children",
    "Number of rows of a parent",
    "lower",
    "Distance of the distributions of the number of rows that a parent has, in the synthetic and in the real tables.",
    "Kolmogorov-Smirnov statistic: Massey 1951, https://doi.org/10.1080/01621459.1951.10500769",
    "Does not show on what the number depends.",
    formula="Maximum over n of |share of synthetic parents with at most n rows - share of real parents|.",
    range="0 (equal) to 1.",
)
LAG = Metric(
    "lag",
    "Dependence on the row before",
    "lower",
    "Average distance of the joint distributions of a column and the same column in the row before, of the same "
    "parent.",
    TV,
    "Ignores rows that are further apart, and other columns of the row before.",
    formula=f"Mean over columns of the total variation distance, {BINS}.",
    range="0 (equal) to 1.",
)
CROSS = Metric(
    "cross",
    "Dependence on the parent",
    "lower",
    "Average distance of the joint distributions of a column and a column of the row's parent, or of its parent.",
    TV,
    "Ignores relationships between three or more columns.",
    formula=f"Mean over pairs of columns of the total variation distance, {BINS}.",
    range="0 (equal) to 1.",
)
SUBJECT_SHARE = Metric(
    "subject_share",
    "Variation between subjects",
    "lower",
    "Average difference of the share of a column's variance that lies between subjects, in the synthetic and in the "
    "real tables.",
    "Variance components: Searle, Casella and McCulloch 1992, section 3.6, https://doi.org/10.1002/9780470316856; of "
    "categories: Light and Margolin 1971, https://doi.org/10.1080/01621459.1971.10482297",
    "Ignores the order of the rows of a subject.",
    formula="Mean over columns of |share of synthetic rows - share of real rows|, the share being 1 - variance within "
    "subjects / variance of all rows.",
    range="0 (equal) to 1.",
)
TIME_STEPS = Metric(
    "time_steps",
    "Time between rows",
    "lower",
    "Distance of the distributions of the difference of the order column from that of the row before.",
    "Kolmogorov-Smirnov statistic: Massey 1951, https://doi.org/10.1080/01621459.1951.10500769",
    "Does not show whether times differ regularly within a subject.",
    formula="Maximum over t of |share of synthetic differences of at most t - share of real differences|.",
    range="0 (equal) to 1.",
)
TRANSITIONS = Metric(
    "transitions",
    "Transitions of categories",
    "lower",
    "Average distance of the distributions of a category given that of the row before, in the synthetic and in the "
    "real tables.",
    "Transition probabilities: Anderson and Goodman 1957, https://doi.org/10.1214/aoms/1177707039",
    "Ignores categories before the last one, and the time in between.",
    formula="Mean over categorical columns of the sum over categories before, of their real share times the total "
    "variation distance of the next category.",
    range="0 (equal) to 1.",
)
ROW_C2ST = Metric(
    "row_c2st",
    "Classifier test of rows in their context",
    "half",
    "How well a classifier separates synthetic rows from real ones (of the holdout, if there is one), given the row "
    "before, the position, and the columns of the ancestors (area under the ROC curve).",
    C2ST_REAL.source,
    C2ST_REAL.limits,
    formula="ROC AUC of gradient boosting, cross-validated with three folds; rows of a subject are in one fold.",
    range=C2ST_REAL.range,
)
SEQUENCE_COPIES = Metric(
    "sequence_copies",
    "Copied sequences",
    "lower",
    "Share of synthetic subjects with at least two rows in a child table all of whose rows in it equal those of one "
    "training subject; of several child tables the worst.",
    "Counted over all subjects; interval: Clopper and Pearson 1934, widened by the uncertainty of the real share",
    "A subject of whose rows one differs in a single digit is no copy. This is no proof of privacy.",
    risk=True,
    formula="Number of synthetic subjects with the same rows as a training subject / number with at least two rows.",
    range="0 (no copies) to 1. Compare with the figure of real subjects.",
)

# Subjects: one row for each, with all of its rows in all tables.

SUBJECT_C2ST = Metric(
    "subject_c2st",
    "Classifier test of subjects",
    "half",
    "How well a classifier separates synthetic subjects from real ones (of the holdout, if there is one) by their own "
    "columns and by the number, means, spreads, extremes and distinct values of their rows in each table.",
    C2ST_REAL.source,
    C2ST_REAL.limits,
    formula=C2ST_REAL.formula,
    range=C2ST_REAL.range,
)
SUBJECT_COPIES = Metric(
    "subject_copies",
    "Copied subjects",
    "lower",
    "Share of synthetic subjects that equal a training subject in all compared columns of all of their rows.",
    SEQUENCE_COPIES.source,
    SEQUENCE_COPIES.limits,
    risk=True,
    formula="Number of synthetic subjects that equal a training subject / number of synthetic subjects.",
    range="0 (no copies) to 1. Compare with the figure of real subjects.",
)

LINK_SECTIONS: dict[str, tuple[Metric, ...]] = {
    "integrity": (ORPHANS, REPEATED_KEYS, REPEATED, ORDERED),
    "sequences": (CHILDREN, LAG, CROSS, SUBJECT_SHARE, TIME_STEPS, TRANSITIONS, ROW_C2ST),
    "subjects": (SUBJECT_C2ST, SUBJECT_COPIES, SEQUENCE_COPIES),
}
LINK_METRICS: dict[str, Metric] = {metric.name: metric for metrics in LINK_SECTIONS.values() for metric in metrics}
"""All metrics of linked tables by name."""
