"""How close synthetic rows are to the real ones: column by column, pair by pair, and as whole rows."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from synthvae.errors import listing
from synthvae.evaluation.comparison import Comparison, fresh, independent, some
from synthvae.evaluation.disclosure.points import as_points
from synthvae.evaluation.fidelity import detection, marginals, pairs, support
from synthvae.evaluation.results import Figure, Metric, Section

MOST_CELLS = 20_000_000  # of a table whose columns and pairs are compared: of a larger one fewer rows
LEAST_DRAWN = 50_000  # rows, however wide the table
MOST_ASSOCIATED = 40  # columns
MOST_ON_THE_PLANE = 1_000  # rows of either kind

SHAPE = Metric(
    "shape",
    "Column shapes",
    "higher",
    "How alike the distributions of each column are, on average: 1 if they are the same, 0 if they share nothing.",
    "1 - Kolmogorov-Smirnov statistic of numbers and dates, 1 - total variation distance of categories, as SDMetrics' "
    "Column Shapes has them (https://docs.sdv.dev/sdmetrics/data-metrics/quality/kscomplement).",
    "It says nothing of how columns go together: columns that are shuffled each by itself reach the highest values.",
)
TREND = Metric(
    "trend",
    "Column pair trends",
    "higher",
    "How alike the relations of each two columns are, on average: 1 if each pair goes together as it does in the real "
    "rows.",
    "1 - half the difference of Pearson correlations of two numbers, otherwise 1 - total variation distance of the "
    "joint tables with numbers in ten bins of the real column, as SDMetrics' CorrelationSimilarity and "
    "ContingencySimilarity have them (https://docs.sdv.dev/sdmetrics/data-metrics/quality/contingencysimilarity).",
    "Relations of three and more columns are not seen, nor those of two numbers that are not linear.",
)
C2ST_REAL = Metric(
    "c2st_real",
    "Told apart from the real rows",
    "half",
    "How well a classifier tells synthetic rows from the real ones that were learned (area under the ROC curve): 0.5 "
    "if it cannot, 1 if it always can.",
    "Classifier two-sample test with gradient boosting and three folds: Lopez-Paz and Oquab 2017 "
    "(https://arxiv.org/abs/1610.06545).",
    "One telling detail, such as a number of decimals, is enough for 1, though it may not matter for what the rows are "
    "used for. Rows that repeat real ones reach 0.5, too.",
)
C2ST_HOLDOUT = Metric(
    "c2st_holdout",
    "Told apart from real rows that were not learned",
    "half",
    "How well a classifier tells synthetic rows from real ones that were not learned (area under the ROC curve): 0.5 "
    "if it cannot, 1 if it always can.",
    C2ST_REAL.source,
    C2ST_REAL.limits,
)
ALPHA_PRECISION = Metric(
    "alpha_precision",
    "Alpha-precision",
    "higher",
    "Whether synthetic rows are as typical and as unusual as real ones are: 1 if they lie as far from the centre.",
    "Alaa et al. 2022, section 3 (https://arxiv.org/abs/2102.08921), over 30 quantiles.",
    "Only the distance from the centre counts, not the direction.",
)
BETA_RECALL = Metric(
    "beta_recall",
    "Beta-recall",
    "higher",
    "How much of the variety of the real rows the synthetic ones have: how often one of them is as near to a real row "
    "as the nearest other real row. Fresh real rows reach about 0.5; more means that real rows are repeated.",
    "Alaa et al. 2022, section 3 (https://arxiv.org/abs/2102.08921), over 30 quantiles.",
    "It rises above that of fresh real rows if rows are learned by heart.",
)
DENSITY = Metric(
    "density",
    "Density",
    "higher",
    "How many neighbourhoods of real rows a synthetic row lies in, as a share of how many are to be expected: about 1 "
    "for fresh real rows.",
    "Naeem et al. 2020, equation 4 (https://arxiv.org/abs/2002.09797), with 5 neighbours.",
    "It may exceed 1: rows that crowd where the real ones are dense reach more than fresh real rows do.",
)
COVERAGE = Metric(
    "coverage",
    "Coverage",
    "higher",
    "The share of real rows with a synthetic row in their neighbourhood.",
    "Naeem et al. 2020, equation 5 (https://arxiv.org/abs/2002.09797), with 5 neighbours.",
    "Fresh real rows do not quite reach 1: about 0.97.",
)
MISSING = Metric(
    "missing",
    "Missing values",
    "lower",
    "The largest difference between the shares of missing values of a column.",
    "SDMetrics' MissingValueSimilarity, 1 less it, of the worst column "
    "(https://docs.sdv.dev/sdmetrics/data-metrics/quality/missingvaluesimilarity).",
    "Which values are missing together is not seen.",
)
ADHERENCE = Metric(
    "adherence",
    "Values within bounds",
    "higher",
    "The share of values inside the range of the real column, or among its categories; the mean over columns.",
    "SDMetrics' BoundaryAdherence and CategoryAdherence "
    "(https://docs.sdv.dev/sdmetrics/data-metrics/diagnostic/boundaryadherence).",
    "A value inside the range may still be impossible beside the others of its row.",
)
METRICS = (
    SHAPE, TREND, C2ST_REAL, C2ST_HOLDOUT, ALPHA_PRECISION, BETA_RECALL, DENSITY, COVERAGE, MISSING, ADHERENCE,
)  # fmt: skip

Values = Mapping[str, float]


@dataclass(frozen=True)
class _Found:
    """What was measured of one kind of rows in the place of the synthetic ones."""

    values: Values
    columns: pd.DataFrame
    pairs: pd.DataFrame


def fidelity(comparison: Comparison, seed: int) -> Section:
    """Measure how close synthetic rows are to the real ones.

    Each figure stands beside that of fresh real rows (the holdout; without one, one half of the real rows against the
    other) and that of the real columns, each shuffled by itself. A figure that cannot be measured is left out, with a
    note. Tables of many cells are compared by rows drawn from them.

    Args:
        comparison: The tables.
        seed: Of all that is drawn.

    Returns:
        The section "fidelity" with the tables "columns", "pairs" (worst first), "drawn_columns", "drawn_associations"
        and "drawn_plane".
    """
    lean = _thinned(comparison, np.random.default_rng([seed, 0]))
    chosen = pairs.pairs_of(list(lean.kinds), np.random.default_rng([seed, 1]))
    real, other = fresh(lean, np.random.default_rng([seed, 2]))
    shuffled = independent(lean.real, len(lean.synthetic), np.random.default_rng([seed, 4]))
    found = _measured(lean, chosen, seed, whole=comparison)
    floor = _measured(lean.against(other, real), chosen, seed)
    apart = _measured(lean.against(shuffled), chosen, seed)
    figures = tuple(_figures(found.values, floor.values, apart.values))
    notes = (*_notes(comparison, lean, len(chosen)), *_absent(figures, comparison))
    return Section("fidelity", figures, _details(lean, found, floor, seed), notes)


def _thinned(comparison: Comparison, rng: np.random.Generator) -> Comparison:
    most = max(LEAST_DRAWN, MOST_CELLS // len(comparison.kinds))
    held = comparison.holdout
    return Comparison(
        some(comparison.real, most, rng),
        some(comparison.synthetic, most, rng),
        None if held is None else some(held, most, rng),
        comparison.kinds,
        comparison.target,
    )


def _measured(comparison: Comparison, chosen: list[pairs.Pair], seed: int, whole: Comparison | None = None) -> _Found:
    """Measure rows; what costs little is measured of the `whole` table if the comparison is of rows drawn from it."""
    columns = _columns(comparison, whole or comparison)
    related = pairs.similarities(comparison, chosen, np.random.default_rng([seed, 5]))
    values = {
        SHAPE.name: columns["score"].mean(),
        TREND.name: related["score"].mean(),
        MISSING.name: (columns["missing_real"] - columns["missing_synthetic"]).abs().max(),
        ADHERENCE.name: columns["adherence"].mean(),
        C2ST_REAL.name: detection.told_apart(comparison.real, comparison.synthetic, seed),
    }
    if comparison.holdout is comparison.synthetic:  # fresh rows, from which real ones are told apart the same way
        values[C2ST_HOLDOUT.name] = values[C2ST_REAL.name]
    elif comparison.holdout is not None:
        values[C2ST_HOLDOUT.name] = detection.told_apart(comparison.holdout, comparison.synthetic, seed)
    supported = support.support(comparison.real, comparison.synthetic, np.random.default_rng([seed, 6]))
    return _Found({**values, **(asdict(supported) if supported else {})}, columns, related)


def _columns(lean: Comparison, whole: Comparison) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "column": list(lean.kinds),
            "kind": [marginals.kind_of(column) for column in lean.kinds.values()],
            "score": marginals.similarities(lean).to_numpy(),
            "missing_real": whole.real.isna().mean().to_numpy(),
            "missing_synthetic": whole.synthetic.isna().mean().to_numpy(),
            "adherence": marginals.adherence(whole).to_numpy(),
        }
    )


def _figures(found: Values, floor: Values, apart: Values) -> Iterator[Figure]:
    for metric in METRICS:
        value = found.get(metric.name, math.nan)
        if math.isfinite(value):
            baselines = (values.get(metric.name, math.nan) for values in (floor, apart))
            real, shuffled = (float(b) if math.isfinite(b) else None for b in baselines)
            yield Figure(metric, float(value), real=real, independent=shuffled)


def _details(lean: Comparison, found: _Found, floor: _Found, seed: int) -> dict[str, pd.DataFrame]:
    columns, related = found.columns.copy(), found.pairs.copy()
    columns.insert(3, "real", floor.columns["score"])
    columns.insert(4, "wasserstein", marginals.wasserstein(lean).to_numpy())
    related.insert(4, "real", floor.pairs["score"])
    related = related.dropna(subset=["score"]).sort_values("score", kind="stable", ignore_index=True)
    names = _most_telling(related, list(lean.kinds))
    return {
        "columns": columns,
        "pairs": related,
        "drawn_columns": marginals.drawn(lean),
        "drawn_associations": pairs.associations(lean, names, np.random.default_rng([seed, 7])),
        "drawn_plane": _plane(lean, np.random.default_rng([seed, 8])),
    }


def _most_telling(related: pd.DataFrame, names: list[str]) -> list[str]:
    """The columns of the worst pairs, in the order of the table."""
    worst = dict.fromkeys([*related[["first", "second"]].to_numpy().ravel(), *names])
    chosen = set(list(worst)[:MOST_ASSOCIATED])
    return [name for name in names if name in chosen]


def _plane(comparison: Comparison, rng: np.random.Generator) -> pd.DataFrame:
    """Rows on the plane through the real ones on which they differ most."""
    rows = [some(frame, MOST_ON_THE_PLANE, rng) for frame in (comparison.real, comparison.synthetic)]
    points = as_points(rows)
    with warnings.catch_warnings():  # of shares of a variance that is 0: rows that are all the same
        warnings.simplefilter("ignore", RuntimeWarning)
        learned = PCA(min(2, *points[0].shape), svd_solver="full").fit(points[0])
    parts = [np.pad(found := learned.transform(p), [(0, 0), (0, 2 - found.shape[1])]) for p in points]
    kinds = np.repeat(["real", "synthetic"], [len(part) for part in parts])
    return pd.DataFrame(np.vstack(parts), columns=["x", "y"]).assign(rows=kinds)


def _notes(comparison: Comparison, lean: Comparison, measured: int) -> Iterator[str]:
    real, synthetic, columns = comparison.real, comparison.synthetic, len(comparison.kinds)
    drawn = max(len(lean.real), len(lean.synthetic))
    if drawn < max(len(real), len(synthetic)):
        yield f"Columns and pairs were compared by {drawn} rows of each table, drawn at random."
    if comparison.holdout is None:
        yield (
            "There is no holdout: fresh real rows are one half of the real rows, compared with the other, and it was "
            f"not measured whether synthetic rows can be told from them ({C2ST_HOLDOUT.name})."
        )
    empty = [name for name in real if not real[name].notna().any() or not synthetic[name].notna().any()]
    if empty:
        yield f"Columns without a value in the real or the synthetic table tell little: {listing(empty)}."
    alike = [name for name in comparison.numeric if real[name].nunique() == 1]
    if alike and columns > 1:
        yield f"Columns that are constant in the real table have no correlation with other numbers: {listing(alike)}."
    if columns * (columns - 1) // 2 > measured:
        yield f"Of {columns * (columns - 1) // 2} pairs of columns {measured} were compared, drawn at random."


def _absent(figures: tuple[Figure, ...], comparison: Comparison) -> Iterator[str]:
    """Why a figure is not there, but for the holdout, of which the notes tell."""
    there = {figure.metric.name for figure in figures}
    if TREND.name not in there:
        why = "there is one column only" if len(comparison.kinds) < 2 else "no pair of columns has a relation"
        yield f"Pairs of columns were not compared ({TREND.name}), since {why}."
    if SHAPE.name not in there:
        yield f"Columns were not compared ({SHAPE.name}, {ADHERENCE.name}), since no real column has a value."
    if C2ST_REAL.name not in there:
        yield (
            f"It was not measured whether rows can be told apart ({C2ST_REAL.name}), which takes at least "
            f"{detection.LEAST_ROWS} rows of each table."
        )
