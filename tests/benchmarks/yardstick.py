"""The metrics of the benchmarks: how near a synthetic table is to the real one.

    python yardstick.py TRAIN TEST SYNTHETIC [SYNTHETIC ...] --target COLUMN [--json OUT]

The word FLOOR in place of a SYNTHETIC judges TEST itself, what an honest copy of the distribution would score, and adds
`trtr`.

Errors in per cent, lower is better: `shape`, the mean over columns of the Kolmogorov-Smirnov distance (numbers) or the
total variation (categories); `trend`, the mean over pairs of columns of half the difference of Pearson's correlations
(two numbers) or the total variation of the joint table (numbers in ten equal bins of TRAIN); `null`, the largest
difference of a missing rate. `tv1`, `tv2`, `tv3`: mean total variation of 1-, 2- and 3-way tables, numbers cut at
twenty quantiles of TRAIN. AUC: `tstr` of boosting (R2 for a numeric target) trained on SYNTHETIC and tested on TEST,
`trtr` trained on TRAIN; `c2st_train`, `c2st_test` of boosting told to tell SYNTHETIC from the half: .5 is best. From
`nearness`: `alpha`, `beta`, `dcr`, `copies`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import nearness
import numpy as np
import numpy.typing as npt
import pandas as pd
from halves import FLOOR, Halves
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

DIGITS = 4
MANY_CATEGORIES = 250  # boosting takes at most 255; columns with more are ordered
TRIPLES = 60
DENSE = 1 << 22  # cells of a table that is counted without sorting
C2ST_ROWS = 20_000
# What TEST scores against itself says nothing.
MEANINGLESS = frozenset({"tstr", "c2st_test", "dcr"})

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Edges = Callable[[Floats], Floats]


class Cells:
    """Two tables as small whole numbers, column by column, and how many there are of each column.

    Numbers are cut at the edges that `edges` makes of the real ones; missing is a cell of its own.
    """

    def __init__(self, real: pd.DataFrame, synthetic: pd.DataFrame, numeric: frozenset[str], edges: Edges) -> None:
        self.rows = len(real)
        self.codes: list[Codes] = []
        self.sizes: list[int] = []
        for name in real:
            both = pd.concat([real[name], synthetic[name]], ignore_index=True)
            present = real[name].dropna().to_numpy()
            codes, size = cut(both.to_numpy(), edges(present)) if name in numeric else numbered(both)
            self.codes.append(codes)
            self.sizes.append(size)

    def distance(self, columns: Sequence[int]) -> float:
        """Return the total variation between the joint tables of some columns, real against synthetic."""
        shape = [self.sizes[column] for column in columns]
        keys = np.ravel_multi_index([self.codes[column] for column in columns], shape)
        size = int(np.prod(shape, dtype=object))
        if size > DENSE:
            cells, keys = np.unique(keys, return_inverse=True)
            size = len(cells)
        real = np.bincount(keys[: self.rows], minlength=size) / self.rows
        synthetic = np.bincount(keys[self.rows :], minlength=size) / (len(keys) - self.rows)
        return 0.5 * float(np.abs(real - synthetic).sum())

    def mean_distance(self, sets: Iterable[Sequence[int]]) -> float:
        """Return the mean of `distance` over sets of columns; zero where there is none."""
        distances = [self.distance(columns) for columns in sets]
        return float(np.mean(distances)) if distances else 0.0


def cut(values: Floats, edges: Floats) -> tuple[Codes, int]:
    """Return the interval of each value, the last number for a missing one, and how many there are."""
    codes = np.searchsorted(edges, values, side="right")
    return np.where(np.isnan(values), len(edges) + 1, codes), len(edges) + 2


def numbered(values: pd.Series) -> tuple[Codes, int]:
    """Return the number of each category, the last one for a missing value, and how many there are."""
    codes, categories = pd.factorize(values)
    return np.where(codes < 0, len(categories), codes).astype(np.int64), len(categories) + 1


def equal_bins(values: Floats) -> Floats:
    """The inner edges of ten bins of equal width."""
    return np.histogram_bin_edges(values, 10)[1:-1] if len(values) else np.array([])


def quantile_bins(values: Floats) -> Floats:
    """The inner edges of twenty bins of equal weight."""
    return np.unique(np.quantile(values, np.linspace(0, 1, 21)[1:-1])) if len(values) else np.array([])


def kolmogorov_smirnov(first: Floats, second: Floats) -> float:
    """Return the largest distance between two distribution functions, over the values that are present."""
    a, b = (np.sort(values[~np.isnan(values)]) for values in (first, second))
    if not len(a) or not len(b):
        return float(len(a) != len(b))
    grid = np.concatenate([a, b])
    below = [np.searchsorted(values, grid, "right") / len(values) for values in (a, b)]
    return float(np.abs(below[0] - below[1]).max())


def shape(real: pd.DataFrame, synthetic: pd.DataFrame, numeric: frozenset[str], cells: Cells) -> float:
    """Return the mean distance of single columns, in per cent."""
    distances = [
        kolmogorov_smirnov(real[name].to_numpy(), synthetic[name].to_numpy())
        if name in numeric
        else cells.distance([place])
        for place, name in enumerate(real)
    ]
    return 100 * float(np.mean(distances))


def trend(real: pd.DataFrame, synthetic: pd.DataFrame, numeric: frozenset[str], cells: Cells) -> float:
    """Return the mean distance of pairs of columns, in per cent; a correlation that is not defined is left out."""
    names = [name for name in real if name in numeric]
    gaps = (real[names].corr() - synthetic[names].corr()).abs().to_numpy() / 2
    place_of = {name: place for place, name in enumerate(names)}
    distances = []
    for (i, first), (j, second) in itertools.combinations(enumerate(real), 2):
        if first in numeric and second in numeric:
            distances.append(float(gaps[place_of[first], place_of[second]]))
        else:
            distances.append(cells.distance([i, j]))
    return 100 * float(np.nanmean(distances))


def marginals(real: pd.DataFrame, synthetic: pd.DataFrame, numeric: frozenset[str]) -> dict[str, float]:
    """Return the mean total variation of 1-, 2- and 3-way tables."""
    cells = Cells(real, synthetic, numeric, quantile_bins)
    ways = {f"tv{k}": list(itertools.combinations(range(real.shape[1]), k)) for k in (1, 2, 3)}
    order = nearness.shuffler(0).permutation(len(ways["tv3"]))[:TRIPLES]
    ways["tv3"] = [ways["tv3"][place] for place in order]
    return {name: cells.mean_distance(sets) for name, sets in ways.items()}


def features(
    first: pd.DataFrame, second: pd.DataFrame, numeric: frozenset[str], target: str | None = None
) -> tuple[Floats, Floats, list[bool]]:
    """Return two tables as boosting takes them, without the target, and which columns are categories."""
    columns, categorical = [], []
    for name in first.columns.drop(target or []):
        both = pd.concat([first[name], second[name]])
        # By frequency, since columns with too many categories are used as ordered.
        levels = both.value_counts().index
        columns.append(both.to_numpy(float) if name in numeric else ranked(both, levels))
        categorical.append(name not in numeric and len(levels) <= MANY_CATEGORIES)
    table = np.column_stack(columns)
    return table[: len(first)], table[len(first) :], categorical


def filled(table: Floats) -> Floats:
    """Return a table whose wholly missing columns are constant, since boosting takes no column without a value."""
    return np.where(np.isnan(table).all(axis=0), 0.0, table)


def ranked(values: pd.Series, levels: pd.Index) -> Floats:
    """Return the place of each value among the levels, NaN for a missing one."""
    places = levels.get_indexer(pd.Index(values)).astype(float)
    return np.where(places < 0, np.nan, places)


def detection(real: pd.DataFrame, synthetic: pd.DataFrame, numeric: frozenset[str]) -> float:
    """Return the cross-validated AUC of boosting that tells synthetic rows from real ones (C2ST)."""
    rng = np.random.default_rng(0)
    rows = min(C2ST_ROWS, len(real), len(synthetic))
    a, b = (frame.iloc[rng.permutation(len(frame))[:rows]] for frame in (real, synthetic))
    first, second, categorical = features(a, b, numeric)
    labels = np.repeat([0.0, 1.0], rows)
    # Not the seed of the draw above: the same permutation would sort the folds by row.
    folds = StratifiedKFold(3, shuffle=True, random_state=1001)
    model = HistGradientBoostingClassifier(random_state=0, categorical_features=categorical)
    chance = cross_val_predict(model, filled(np.vstack([first, second])), labels, cv=folds, method="predict_proba")[
        :, 1
    ]
    return float(roc_auc_score(labels, chance))


def utility(train: pd.DataFrame, test: pd.DataFrame, numeric: frozenset[str], target: str) -> float:
    """Return the score on `test` of boosting trained on `train`: macro AUC, R2 for a numeric target."""
    known, asked = (frame[frame[target].notna()] for frame in (train, test))
    x, x_test, categorical = features(known, asked, numeric, target)
    x = filled(x)
    if target in numeric:
        regressor = HistGradientBoostingRegressor(random_state=0, categorical_features=categorical)
        return float(r2_score(asked[target], regressor.fit(x, known[target]).predict(x_test)))
    if known[target].nunique() < 2:
        return float("nan")
    model = HistGradientBoostingClassifier(random_state=0, categorical_features=categorical)
    chance = model.fit(x, known[target].astype(str)).predict_proba(x_test)
    return macro_auc(asked[target].astype(str).to_numpy(), dict(zip(model.classes_, chance.T, strict=True)))


def macro_auc(truth: npt.NDArray[np.object_], chance: dict[str, Floats]) -> float:
    """Return the mean one-vs-rest AUC; a class that the model does not know has chance zero."""
    labels = sorted(set(truth))
    judged = labels[1:] if len(labels) == 2 else labels
    unknown = np.zeros(len(truth))
    return float(np.mean([roc_auc_score(truth == label, chance.get(label, unknown)) for label in judged]))


def judge(halves: Halves, synthetic: pd.DataFrame) -> dict[str, float]:
    """Return every metric of one synthetic table."""
    train, test, numeric = halves.train, halves.test, halves.numeric
    cells = Cells(train, synthetic, numeric, equal_bins)
    figures = {"rows": float(len(synthetic))}
    figures["shape"] = shape(train, synthetic, numeric, cells)
    figures["trend"] = trend(train, synthetic, numeric, cells)
    figures |= marginals(train, synthetic, numeric)
    figures["null"] = 100 * float((train.isna().mean() - synthetic.isna().mean()).abs().max())
    figures["tstr"] = utility(synthetic, test, numeric, halves.target)
    figures["c2st_train"] = detection(train, synthetic, numeric)
    figures["c2st_test"] = detection(test, synthetic, numeric)
    figures |= nearness.measures(train, test, synthetic, numeric)
    return {name: round(value, DIGITS) for name, value in figures.items()}


def judged(halves: Halves, name: str) -> dict[str, float] | dict[str, str]:
    """Return the metrics of one named table; where it cannot be judged, the reason, so that the others still are."""
    try:
        figures = judge(halves, halves.synthetic(name))
    except Exception as error:  # noqa: BLE001 - what a generator wrote may break any metric, and the report says so
        return {"error": " ".join(str(error).split())[:160]}
    return {key: value for key, value in figures.items() if name != FLOOR or key not in MEANINGLESS}


def main() -> None:
    """Judge some tables; print and write the figures."""
    parser = argparse.ArgumentParser(description="How near synthetic tables are to the real one.")
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("synthetic", nargs="+", help="Parquet, CSV, or the word FLOOR")
    parser.add_argument("--target", required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--categorical", default="", help="comma list of number-coded columns that are categories")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    halves = Halves.read(options.train, options.test, options.target, set(options.categorical.split(",")))
    figures: dict[str, object] = {name: judged(halves, name) for name in options.synthetic}
    if FLOOR in figures:
        figures["trtr"] = round(utility(halves.train, halves.test, halves.numeric, halves.target), DIGITS)
    text = json.dumps(figures, indent=1)
    if options.json:
        options.json.write_text(text + "\n")
    else:
        sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
