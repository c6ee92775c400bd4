"""Section "fidelity": similarity of synthetic and training rows by column, by pair of columns, and as whole rows."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from synthvae.errors import listing
from synthvae.evaluation.comparison import Comparison, real_reference, shuffle_columns, subsample
from synthvae.evaluation.disclosure.points import as_points
from synthvae.evaluation.fidelity import column_shapes, detection, pairs, support, triples
from synthvae.evaluation.fidelity.joint import joint_shares
from synthvae.evaluation.metrics import ADHERENCE, C2ST_HOLDOUT, C2ST_REAL, MISSING, SECTIONS, SHAPE, TREND, TRIPLES
from synthvae.evaluation.results import Figure, Section

MOST_CELLS = 20_000_000  # Of larger tables, a sample of rows is compared.
UNITS = "\0unit"  # the units of a sample, under a name that no column of a file has
LEAST_ROWS = 50_000  # in that sample, however wide the table
MOST_ASSOCIATED = 40  # columns whose associations are plotted
MOST_PROJECTED = 1_000  # rows of either kind
MOST_JOINT = 6  # pairs whose joint distributions are plotted

Values = Mapping[str, float]


@dataclass(frozen=True)
class _Measurement:
    """Figures and tables for one kind of rows in place of the synthetic rows."""

    values: Values
    columns: pd.DataFrame
    pairs: pd.DataFrame


def fidelity(comparison: Comparison, seed: int) -> Section:
    """Measure how similar synthetic rows are to training rows.

    The references of each figure are real rows (the holdout; without one, one half of the training rows against the
    other) and shuffled columns. A figure that cannot be measured is left out, with a note. Of large tables, a sample of
    rows is compared.

    Args:
        comparison: The tables.
        seed: Random seed.

    Returns:
        The figures of `synthvae.evaluation.metrics.SECTIONS["fidelity"]`; details "columns", "pairs" (least similar
        first), "drawn_columns", "drawn_associations", "drawn_joint" and "drawn_plane".
    """
    sample = _sampled(comparison, np.random.default_rng([seed, 0]))
    chosen = pairs.column_pairs(list(sample.kinds), np.random.default_rng([seed, 1]))
    real, other = real_reference(sample, np.random.default_rng([seed, 2]))
    shuffled = shuffle_columns(sample.real, len(sample.synthetic), np.random.default_rng([seed, 4]))
    found = _measure(sample, chosen, seed, whole=comparison)
    floor = _measure(sample.against(other, real), chosen, seed)
    apart = _measure(sample.against(shuffled), chosen, seed)
    figures = tuple(_with_intervals(_figures(found.values, floor.values, apart.values), sample))
    notes = (*_notes(comparison, sample, len(chosen)), *_absent(figures, comparison))
    return Section("fidelity", figures, _details(sample, found, floor, seed), notes)


def _sampled(comparison: Comparison, rng: np.random.Generator) -> Comparison:
    most = max(LEAST_ROWS, MOST_CELLS // len(comparison.kinds))
    held, units = comparison.holdout, comparison.units
    real = subsample(comparison.real if units is None else comparison.real.assign(**{UNITS: units}), most, rng)
    return Comparison(
        real if units is None else real.drop(columns=UNITS),
        subsample(comparison.synthetic, most, rng),
        None if held is None else subsample(held, most, rng),
        comparison.kinds,
        comparison.target,
        units=None if units is None else real[UNITS].to_numpy(),
    )


def _measure(
    comparison: Comparison, chosen: list[pairs.Pair], seed: int, whole: Comparison | None = None
) -> _Measurement:
    """Measure a comparison; what costs little is measured on the `whole` tables if the comparison is a sample."""
    columns = _columns(comparison, whole or comparison)
    related = pairs.similarities(comparison, chosen, np.random.default_rng([seed, 5]))
    three = triples.column_triples(list(comparison.kinds), np.random.default_rng([seed, 9]))
    values = {
        SHAPE.name: columns["score"].mean(),
        TREND.name: related["score"].mean(),
        TRIPLES.name: triples.similarity(comparison, three, np.random.default_rng([seed, 10])),
        MISSING.name: (columns["missing_real"] - columns["missing_synthetic"]).abs().max(),
        ADHERENCE.name: columns["adherence"].mean(),
        C2ST_REAL.name: detection.detection_auc(comparison.real, comparison.synthetic, seed),
    }
    if comparison.holdout is comparison.synthetic:  # the reference of real rows
        values[C2ST_HOLDOUT.name] = values[C2ST_REAL.name]
    elif comparison.holdout is not None:
        values[C2ST_HOLDOUT.name] = detection.detection_auc(comparison.holdout, comparison.synthetic, seed)
    supported = support.support(comparison.real, comparison.synthetic, np.random.default_rng([seed, 6]))
    return _Measurement({**values, **(asdict(supported) if supported else {})}, columns, related)


def _columns(sample: Comparison, whole: Comparison) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "column": list(sample.kinds),
            "kind": [column_shapes.kind_of(column) for column in sample.kinds.values()],
            "score": column_shapes.similarities(sample).to_numpy(),
            "missing_real": whole.real.isna().mean().to_numpy(),
            "missing_synthetic": whole.synthetic.isna().mean().to_numpy(),
            "adherence": column_shapes.adherence(whole).to_numpy(),
        }
    )


def _figures(found: Values, floor: Values, apart: Values) -> Iterator[Figure]:
    for metric in SECTIONS["fidelity"]:
        value = found.get(metric.name, math.nan)
        if math.isfinite(value):
            baselines = (values.get(metric.name, math.nan) for values in (floor, apart))
            real, shuffled = (float(b) if math.isfinite(b) else None for b in baselines)
            yield Figure(metric, float(value), real=real, independent=shuffled)


def _with_intervals(figures: Iterator[Figure], sample: Comparison) -> Iterator[Figure]:
    """Yield figures with the intervals of the classifier tests."""
    others = {C2ST_REAL.name: sample.real, C2ST_HOLDOUT.name: sample.holdout}
    for figure in figures:
        other = others.get(figure.metric.name)
        rows = 0 if other is None else detection.compared_rows(other, sample.synthetic)
        yield replace(figure, interval=detection.auc_interval(figure.value, rows)) if rows else figure


def _details(sample: Comparison, found: _Measurement, floor: _Measurement, seed: int) -> dict[str, pd.DataFrame]:
    columns, related = found.columns.copy(), found.pairs.copy()
    columns.insert(3, "real", floor.columns["score"])
    columns.insert(4, "wasserstein", column_shapes.wasserstein(sample).to_numpy())
    related.insert(4, "real", floor.pairs["score"])
    related = related.dropna(subset=["score"]).sort_values("score", kind="stable", ignore_index=True)
    worst = related.head(MOST_JOINT)
    names = _least_similar(related, list(sample.kinds))
    return {
        "columns": columns,
        "pairs": related,
        "drawn_columns": column_shapes.histograms(sample).merge(columns[["column", "score"]], on="column"),
        "drawn_associations": pairs.associations(sample, names, np.random.default_rng([seed, 7])),
        "drawn_joint": joint_shares(sample, list(zip(worst["first"], worst["second"], strict=True))),
        "drawn_plane": _plane(sample, np.random.default_rng([seed, 8])),
    }


def _least_similar(related: pd.DataFrame, names: list[str]) -> list[str]:
    """Return the columns of the least similar pairs, in the order of the table."""
    worst = dict.fromkeys([*related[["first", "second"]].to_numpy().ravel(), *names])
    chosen = set(list(worst)[:MOST_ASSOCIATED])
    return [name for name in names if name in chosen]


def _plane(comparison: Comparison, rng: np.random.Generator) -> pd.DataFrame:
    """Project rows on the first two principal components of the training rows."""
    rows = [subsample(frame, MOST_PROJECTED, rng) for frame in (comparison.real, comparison.synthetic)]
    points = as_points(rows)
    with warnings.catch_warnings():  # shares of a variance of 0, where all rows are equal
        warnings.simplefilter("ignore", RuntimeWarning)
        components = PCA(min(2, *points[0].shape), svd_solver="full").fit(points[0])
    parts = [np.pad(found := components.transform(p), [(0, 0), (0, 2 - found.shape[1])]) for p in points]
    kinds = np.repeat(["real", "synthetic"], [len(part) for part in parts])
    return pd.DataFrame(np.vstack(parts), columns=["x", "y"]).assign(rows=kinds)


def _notes(comparison: Comparison, sample: Comparison, measured: int) -> Iterator[str]:
    real, synthetic, columns = comparison.real, comparison.synthetic, len(comparison.kinds)
    drawn = max(len(sample.real), len(sample.synthetic))
    if drawn < max(len(real), len(synthetic)):
        yield f"Columns and pairs were compared on a random sample of {drawn} rows of each table."
    if comparison.holdout is None:
        yield (
            "There is no holdout: the reference of real rows compares one half of the training rows with the other, "
            f"and the classifier test against holdout rows ({C2ST_HOLDOUT.name}) was not run."
        )
    empty = [name for name in real if not real[name].notna().any() or not synthetic[name].notna().any()]
    if empty:
        yield f"Columns without any value in the real or the synthetic table are not informative: {listing(empty)}."
    alike = [name for name in comparison.numeric if real[name].nunique() == 1]
    if alike and columns > 1:
        yield f"Columns that are constant in the real table have no correlation with other numbers: {listing(alike)}."
    if columns * (columns - 1) // 2 > measured:
        yield f"Of {columns * (columns - 1) // 2} pairs of columns, a random sample of {measured} was compared."


def _absent(figures: tuple[Figure, ...], comparison: Comparison) -> Iterator[str]:
    """Explain absent figures, except those that need a holdout."""
    there = {figure.metric.name for figure in figures}
    if TREND.name not in there:
        why = "there is only one column" if len(comparison.kinds) < 2 else "no pair of columns is related"
        yield f"Pairs of columns were not compared ({TREND.name}), since {why}."
    if TRIPLES.name not in there:
        yield f"Triples of columns were not compared ({TRIPLES.name}), since there are less than three columns."
    if SHAPE.name not in there:
        yield f"Columns were not compared ({SHAPE.name}, {ADHERENCE.name}), since no real column has a value."
    if C2ST_REAL.name not in there:
        yield (
            f"The classifier test ({C2ST_REAL.name}) was not run: it needs at least {detection.LEAST_ROWS} rows of "
            "each table."
        )
