"""Imputation of missing cells beside scikit-learn's imputers. Prints Markdown.

    python tests/benchmarks/imputation.py --data ../shared/data [--tables adult support2] [--mechanisms MCAR MAR]
        [--shares 0.1 0.3 0.5] [--rows 10000] [--seed 0]

All imputers are fitted to the same table with cells hidden, and fill it. Only cells that had a value, and were hidden,
are measured; cells that were missing before stay missing for all. VAEImputer (defaults) sees the table; the others see
numbers, and categories as their places in the alphabet (OrdinalEncoder), standardised, of which the nearest place is
the imputed category.

- RMSE: root mean squared error of the imputed number over the standard deviation of its column (of the complete
  table), the mean over the columns of numbers. The imputed number of VAEImputer is the mean of 20 draws,
  IterativeImputer's (defaults: BayesianRidge, 10 rounds) its prediction, KNNImputer's (defaults: 5) the mean of
  neighbours. 1 is about the error of the mean of the column.
- accuracy: share of hidden categories that are met, the mean over the columns of categories.
- coverage: share of hidden numbers within the 5 % and 95 % quantiles of 100 draws, the mean over the columns; 0.9 is
  right. KNNImputer draws none. Columns of few numbers, of which an interval holds more than its share, tend upwards.
- CPU-s: seconds of processor time for fit and imputed values, and for 100 draws besides.

MCAR hides each cell with the same probability. MAR hides none in the first half of the columns (in an order drawn by
the seed), and in the others with a probability that rises (logistic, slope 1) with a standardised sum of the columns
of the first half, with random signs; the share is that of the columns in which cells are hidden.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 (makes the next but one work)
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.preprocessing import OrdinalEncoder, StandardScaler
from tables import TABLES, load

from synthvae.estimators import VAEImputer

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

NAMES = ("adult", "default_credit", "support2", "nhanes_raw")
DRAWS = 100
QUANTILES = 0.05, 0.95


class Codes:
    """A table as standardised numbers, categories by their places in the alphabet, and back.

    Args:
        frame: The table.
        categorical: Its columns of categories; the others are numbers.
    """

    def __init__(self, frame: pd.DataFrame, categorical: Sequence[str]) -> None:
        self.columns, self.categorical = frame.columns, list(categorical)
        self.encoder = OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan
        )
        self.encoder.fit(frame[self.categorical])
        self.scaler = StandardScaler().fit(self._places(frame))

    def _places(self, frame: pd.DataFrame) -> Floats:
        places = frame.copy()
        if self.categorical:
            places[self.categorical] = self.encoder.transform(frame[self.categorical])
        return places.to_numpy(float)

    def encode(self, frame: pd.DataFrame) -> Floats:
        return np.asarray(self.scaler.transform(self._places(frame)))

    def decode(self, array: Floats) -> pd.DataFrame:
        frame = pd.DataFrame(self.scaler.inverse_transform(array), columns=self.columns)
        for name, known in zip(self.categorical, self.encoder.categories_, strict=True):
            values = np.array([value for value in known if not pd.isna(value)], dtype=object)
            places = frame[name].round().clip(0, len(values) - 1).astype(int)
            frame[name] = pd.Series(values[places])
        return frame


class Imputed(NamedTuple):
    """A filled table, the seconds it took, and functions that draw others, with the imputers' own randomness."""

    frame: pd.DataFrame
    seconds: float
    drawers: Callable[[], Iterator[pd.DataFrame]] | None = None


def vae(holed: pd.DataFrame, codes: Codes, seed: int, **parameters: Any) -> Imputed:
    del codes
    began = time.process_time()
    imputer = VAEImputer(random_state=seed, **parameters)
    frame = imputer.fit_transform(holed)
    seconds = time.process_time() - began

    def draws() -> Iterator[pd.DataFrame]:
        imputer.set_params(sample_posterior=True)
        for number in range(DRAWS):
            imputer._seed = 1000 * (seed + 1) + number
            yield imputer.transform(holed)

    return Imputed(frame, seconds, draws)


def iterative(holed: pd.DataFrame, codes: Codes, seed: int) -> Imputed:
    began, coded = time.process_time(), codes.encode(holed)
    frame = codes.decode(IterativeImputer(random_state=seed).fit_transform(coded))
    seconds = time.process_time() - began

    def draws() -> Iterator[pd.DataFrame]:
        imputer = IterativeImputer(random_state=seed, sample_posterior=True).fit(coded)
        for _ in range(DRAWS):
            yield codes.decode(imputer.transform(coded))

    return Imputed(frame, seconds, draws)


def nearest(holed: pd.DataFrame, codes: Codes, seed: int) -> Imputed:
    del seed
    began = time.process_time()
    frame = codes.decode(KNNImputer().fit_transform(codes.encode(holed)))
    return Imputed(frame, time.process_time() - began)


def simple(holed: pd.DataFrame, codes: Codes, seed: int) -> Imputed:
    del seed
    began, frame = time.process_time(), holed.copy()
    for name in frame:
        strategy = "most_frequent" if name in codes.categorical else "mean"
        frame[name] = SimpleImputer(strategy=strategy).fit_transform(frame[[name]].astype(object)).ravel()
    return Imputed(frame, time.process_time() - began)


IMPUTERS: dict[str, Callable[..., Imputed]] = {
    "mean / mode": simple,
    "KNNImputer": nearest,
    "IterativeImputer": iterative,
    "VAEImputer": vae,
}


def read(name: str, data: Path, rows: int, seed: int) -> tuple[pd.DataFrame, list[str]]:
    """At most so many rows of a table without keys and wholly missing columns, and its columns of categories."""
    table = TABLES[name]
    whole = load(table, data).drop(columns=list(table.dropped))
    frame = whole.sample(min(rows, len(whole)), random_state=seed).reset_index(drop=True).dropna(axis=1, how="all")
    texts = frame.select_dtypes(exclude="number").columns
    categorical = [str(column) for column in frame if column in texts or column in table.categorical]
    frame = frame.astype({column: float for column in frame if column not in categorical})
    return frame.astype(dict.fromkeys(categorical, object)).where(frame.notna(), np.nan), categorical


def hidden(frame: pd.DataFrame, codes: Codes, mechanism: str, share: float, seed: int) -> Mask:
    """Which cells (rows, columns) are hidden."""
    rng = np.random.default_rng([seed, round(100 * share)])
    uniform = rng.random(frame.shape)
    if mechanism == "MCAR":
        return np.asarray((uniform < share) & frame.notna().to_numpy())
    order = rng.permutation(frame.shape[1])
    causes, others = np.split(order, [len(order) // 2])
    known = np.nan_to_num(codes.encode(frame)[:, causes])
    probability = np.zeros(frame.shape)
    for place in others:
        score = known @ rng.choice([-1.0, 1.0], len(causes))
        score = (score - score.mean()) / max(score.std(), 1e-9)
        shift = brentq(lambda x, score=score: expit(score + x).mean() - share, -20, 20)
        probability[:, place] = expit(score + shift)
    return np.asarray((uniform < probability) & frame.notna().to_numpy())


def rmse(truth: pd.DataFrame, found: pd.DataFrame, mask: Mask, numeric: Sequence[str]) -> float:
    errors = []
    for name in numeric:
        cells = mask[:, truth.columns.get_loc(name)]
        spread = truth[name].std()
        if cells.any() and spread > 0:
            miss = found[name].to_numpy(float)[cells] - truth[name].to_numpy(float)[cells]
            errors.append(np.sqrt((miss**2).mean()) / spread)
    return float(np.mean(errors))


def accuracy(truth: pd.DataFrame, found: pd.DataFrame, mask: Mask, categorical: Sequence[str]) -> float:
    hits = []
    for name in categorical:
        cells = mask[:, truth.columns.get_loc(name)]
        if cells.any():
            hits.append((found[name].to_numpy(object)[cells] == truth[name].to_numpy(object)[cells]).mean())
    return float(np.mean(hits)) if hits else float("nan")


def coverage(truth: pd.DataFrame, draws: Iterator[pd.DataFrame], mask: Mask, numeric: Sequence[str]) -> float:
    places = {name: mask[:, truth.columns.get_loc(name)] for name in numeric}
    drawn: dict[str, list[Floats]] = {name: [] for name, cells in places.items() if cells.any()}
    for frame in draws:
        for name, found in drawn.items():
            found.append(frame[name].to_numpy(float)[places[name]])
    inside = []
    for name, found in drawn.items():
        low, high = np.quantile(found, QUANTILES, axis=0)
        value, slack = truth[name].to_numpy(float)[places[name]], 1e-6 * truth[name].std()  # codes are rounded
        inside.append(((low - slack <= value) & (value <= high + slack)).mean())
    return float(np.mean(inside))


def compare(name: str, data: Path, mechanism: str, share: float, options: argparse.Namespace) -> Iterator[str]:
    """Lines of the report."""
    truth, categorical = read(name, data, options.rows, options.seed)
    numeric = [str(column) for column in truth if column not in categorical]
    codes = Codes(truth, categorical)
    mask = hidden(truth, codes, mechanism, share, options.seed)
    holed = truth.mask(mask)
    for imputer in options.imputers:
        done = IMPUTERS[imputer](holed, codes, options.seed)
        cells = [
            f"{rmse(truth, done.frame, mask, numeric):.3f}",
            f"{accuracy(truth, done.frame, mask, categorical):.3f}",
        ]
        began = time.process_time()
        covered = f"{coverage(truth, done.drawers(), mask, numeric):.3f}" if done.drawers else ""
        cells += [covered, f"{done.seconds:.0f}", f"{time.process_time() - began:.0f}" if done.drawers else ""]
        table = f"{name} ({len(truth):,} x {truth.shape[1]})"
        yield f"| {table} | {mechanism} | {share:.0%} | {imputer} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tables", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--mechanisms", nargs="+", choices=("MCAR", "MAR"), default=["MCAR", "MAR"])
    parser.add_argument("--shares", nargs="+", type=float, default=[0.1, 0.3, 0.5])
    parser.add_argument("--imputers", nargs="+", choices=list(IMPUTERS), default=list(IMPUTERS))
    parser.add_argument("--rows", type=int, default=10_000, help="largest number of rows of a table")
    parser.add_argument("--seed", type=int, default=0, help="of the rows, the hidden cells and the imputers")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    print("| table | hidden | share | imputer | RMSE | accuracy | coverage | CPU-s | CPU-s of 100 draws |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, mechanism, share in product(options.tables, options.mechanisms, options.shares):
        for line in compare(name, options.data, mechanism, share, options):
            print(line, flush=True)


if __name__ == "__main__":
    main()
