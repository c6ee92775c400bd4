"""Imputation of missing cells beside other imputers. Prints Markdown.

    python tests/benchmarks/imputation.py --data ../shared/data [--tables adult support2] [--mechanisms MCAR MAR]
        [--shares 0.1 0.3 0.5] [--rows 5000] [--seed 0] [--peers /tmp/peers/bin/python] [--columns]
        [--covered VAEImputer IterativeImputer]

All imputers are fitted to the same table with cells hidden, and fill it. Only cells that had a value, and were hidden,
are measured; cells that were missing before stay missing for all. VAEImputer (defaults) sees the table, in which
columns of categories have the dtype category.

- KNNImputer and IterativeImputer (defaults: 5 neighbours; BayesianRidge, 10 rounds) see standardised numbers and
  categories one-hot: an indicator per level, all missing where the category is. The imputed category has the largest
  imputed indicator. Since the indicators of one category predict each other, chained regressions leave them near
  their means, and IterativeImputer imputes the mode: its rivals in accuracy are the classifiers below.
- forests, boosting: as MissForest (Stekhoven, Buehlmann 2012), missing cells are filled by means and modes, then by
  models of each column given the others, column by column in the order of the numbers of missing cells, `ROUNDS`
  times: random forests (50 trees) or histogram gradient boosting (defaults, 60 trees), regressors of numbers and
  classifiers of categories, which see ordinal codes.
- miceforest (3 iterations, mean matching "fast", since the default fails on rare categories) and mostlyai (the
  TabularARGN of mostlyai-engine, defaults without protection of rare values) draw 20 data sets, of which the mean or
  the mode is imputed. They run in an environment of their own, named by `--peers`; miceforest 6.0.5 needs lightgbm
  below 4.7.

- RMSE: root mean squared error of the imputed number over the standard deviation of its column (of the complete
  table), the mean over the columns of numbers. The imputed number of VAEImputer is the mean of 20 draws. 1 is about
  the error of the mean of the column.
- accuracy: share of hidden categories that are met, the mean over the columns of categories.
- coverage: share of hidden numbers within the 5 % and 95 % quantiles of 100 draws (of 20 of the peers), the mean over
  the columns; 0.9 is right. Columns of few numbers, of which an interval holds more than its share, tend upwards.
- PIT: the same by the randomised rank of the number among the draws (Czado, Gneiting, Held 2009), between .05 and .95:
  0.9 is right for columns of any numbers.
- CPU-s: seconds of processor time for fit and imputed values, and for 100 draws besides.

MCAR hides each cell with the same probability. MAR hides none in the first half of the columns (in an order drawn by
the seed), and in the others with a probability that rises (logistic, slope 1) with a standardised sum of the columns
of the first half, with random signs; the share is that of the columns in which cells are hidden.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import mode
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 (makes the next but one work)
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.preprocessing import OrdinalEncoder, StandardScaler
from tables import TABLES, load

from synthvae.estimators import VAEImputer

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

NAMES = ("adult", "default_credit", "support2", "nhanes_raw")
DRAWS, PEER_DRAWS, ROUNDS = 100, 20, 3
QUANTILES = 0.05, 0.95
PEERS: list[str] = []
SEPARATE = ("miceforest", "mostlyai")
JOB = """
import json, sys, time
from pathlib import Path
import pandas
place = Path(sys.argv[1])
job = json.loads((place / "job.json").read_text())
table = pandas.read_parquet(place / "holed.parquet")
"""
MICEFOREST = """
import miceforest
kinds = {name: pandas.CategoricalDtype(sorted(table[name].dropna().unique())) for name in job["categorical"]}
table = table.astype(kinds)
began = time.process_time()
options = {"random_state": job["seed"], "mean_match_strategy": "fast"}
kernel = miceforest.ImputationKernel(table, num_datasets=job["draws"], **options)
kernel.mice(3, num_threads=1)
for k in range(job["draws"]):
    kernel.complete_data(k).astype(float).to_parquet(place / f"{k}.parquet")
print(time.process_time() - began)
"""
MOSTLYAI = """
import logging
from mostlyai import engine
logging.disable(logging.WARNING)
for name in job["categorical"]:
    table[name] = table[name].map(lambda number: f"v{number:.0f}", na_action="ignore").astype(object)
began = time.process_time()
model = engine.TabularARGN(random_state=job["seed"], device="cpu", value_protection=False)
model.fit(table)
for k in range(job["draws"]):
    filled = model.impute(table)
    for name in job["categorical"]:  # what is no level, such as its token of rare ones, is wrong wherever it stands
        filled[name] = pandas.to_numeric(filled[name].astype(str).str[1:], errors="coerce").fillna(-1)
    filled[table.columns].astype(float).to_parquet(place / f"{k}.parquet")
print(time.process_time() - began)
"""


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
    holed = holed.astype(dict.fromkeys(codes.categorical, "category"))  # so that codes are no numbers
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


class Indicators:
    """A table as standardised numbers and an indicator of each level of a category, and back."""

    def __init__(self, frame: pd.DataFrame, categorical: Sequence[str]) -> None:
        self.frame, self.categorical = frame, list(categorical)
        self.numeric = [str(name) for name in frame if name not in self.categorical]
        self.levels = {name: sorted(frame[name].dropna().unique(), key=str) for name in self.categorical}
        self.means, self.scales = frame[self.numeric].mean(), frame[self.numeric].std().replace(0, 1).fillna(1)

    def encode(self, frame: pd.DataFrame) -> Floats:
        parts = [((frame[self.numeric] - self.means) / self.scales).to_numpy(float)]
        for name, levels in self.levels.items():
            flags = (frame[name].to_numpy(object)[:, None] == np.array(levels, object)).astype(float)
            flags[frame[name].isna()] = np.nan
            parts.append(flags)
        return np.hstack(parts)

    def decode(self, array: Floats) -> pd.DataFrame:
        count = len(self.numeric)
        found = pd.DataFrame(array[:, :count] * self.scales.to_numpy() + self.means.to_numpy(), columns=self.numeric)
        for name, levels in self.levels.items():
            best = array[:, count : count + len(levels)].argmax(1)
            found[name] = pd.Series(np.array(levels, object)[best], index=found.index)
            count += len(levels)
        return found[self.frame.columns]


def iterative(holed: pd.DataFrame, codes: Codes, seed: int) -> Imputed:
    indicators = Indicators(holed, codes.categorical)
    began, coded = time.process_time(), indicators.encode(holed)
    frame = indicators.decode(IterativeImputer(random_state=seed).fit_transform(coded))
    seconds = time.process_time() - began

    def draws() -> Iterator[pd.DataFrame]:
        imputer = IterativeImputer(random_state=seed, sample_posterior=True).fit(coded)
        for _ in range(DRAWS):
            yield indicators.decode(imputer.transform(coded))

    return Imputed(frame, seconds, draws)


def nearest(holed: pd.DataFrame, codes: Codes, seed: int) -> Imputed:
    del seed
    began, indicators = time.process_time(), Indicators(holed, codes.categorical)
    frame = indicators.decode(KNNImputer().fit_transform(indicators.encode(holed)))
    return Imputed(frame, time.process_time() - began)


def chained(holed: pd.DataFrame, codes: Codes, models: Callable[[bool], Any]) -> Imputed:
    """Models of each column given the others, in rounds, as MissForest fits them."""
    began = time.process_time()
    gaps = holed.isna().to_numpy()
    filled = codes._places(simple(holed, codes, 0).frame.astype(holed.dtypes))
    for _ in range(ROUNDS):
        for place in np.argsort(gaps.sum(0), kind="stable").tolist():
            gap = gaps[:, place]
            if not gap.any() or gap.all() or len(np.unique(filled[~gap, place])) < 2:
                continue
            others = np.delete(filled, place, axis=1)
            model = models(holed.columns[place] in codes.categorical)
            filled[gap, place] = model.fit(others[~gap], filled[~gap, place]).predict(others[gap])
    return Imputed(codes.decode(codes.scaler.transform(filled)), time.process_time() - began)


def forests(holed: pd.DataFrame, codes: Codes, seed: int) -> Imputed:
    def models(categorical: bool) -> Any:  # noqa: FBT001
        kind = RandomForestClassifier if categorical else RandomForestRegressor
        return kind(50, max_features="sqrt", random_state=seed)

    return chained(holed, codes, models)


def boosting(holed: pd.DataFrame, codes: Codes, seed: int) -> Imputed:
    def models(categorical: bool) -> Any:  # noqa: FBT001
        kind = HistGradientBoostingClassifier if categorical else HistGradientBoostingRegressor
        return kind(max_iter=60, early_stopping=False, random_state=seed)

    return chained(holed, codes, models)


def peer(script: str, holed: pd.DataFrame, codes: Codes, seed: int) -> Imputed:
    """Run the script of a peer with the interpreter of `--peers`."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        coded = pd.DataFrame(codes._places(holed), columns=[f"c{k}" for k in range(holed.shape[1])])
        coded.to_parquet(place / "holed.parquet")
        names = [f"c{k}" for k, name in enumerate(holed.columns) if name in codes.categorical]
        (place / "job.json").write_text(json.dumps({"categorical": names, "seed": seed, "draws": PEER_DRAWS}))
        seconds = float(subprocess.check_output([PEERS[0], "-c", JOB + script, folder], text=True).split()[-1])
        drawn = [pd.read_parquet(place / f"{k}.parquet").to_numpy(float) for k in range(PEER_DRAWS)]
    best = np.mean(drawn, 0)
    for k, name in enumerate(holed.columns):
        if name in codes.categorical:
            best[:, k] = mode([one[:, k] for one in drawn], axis=0).mode
    frames = [codes.decode(codes.scaler.transform(one)) for one in (best, *drawn)]
    return Imputed(frames[0], seconds, lambda: iter(frames[1:]))


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
    "forests": forests,
    "boosting": boosting,
    "miceforest": partial(peer, MICEFOREST),
    "mostlyai": partial(peer, MOSTLYAI),
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


def rmse(truth: pd.DataFrame, found: pd.DataFrame, mask: Mask, numeric: Sequence[str]) -> dict[str, float]:
    errors = {}
    for name in numeric:
        cells = mask[:, truth.columns.get_loc(name)]
        spread = truth[name].std()
        if cells.any() and spread > 0:
            miss = found[name].to_numpy(float)[cells] - truth[name].to_numpy(float)[cells]
            errors[name] = float(np.sqrt((miss**2).mean()) / spread)
    return errors


def accuracy(truth: pd.DataFrame, found: pd.DataFrame, mask: Mask, categorical: Sequence[str]) -> dict[str, float]:
    hits = {}
    for name in categorical:
        cells = mask[:, truth.columns.get_loc(name)]
        if cells.any():
            hits[name] = float((found[name].to_numpy(object)[cells] == truth[name].to_numpy(object)[cells]).mean())
    return hits


class Covered(NamedTuple):
    """The coverage of intervals of a column, by quantiles of draws and by randomised ranks."""

    interval: float
    rank: float


def coverage(
    truth: pd.DataFrame, draws: Iterator[pd.DataFrame], mask: Mask, numeric: Sequence[str]
) -> dict[str, Covered]:
    places = {name: mask[:, truth.columns.get_loc(name)] for name in numeric}
    drawn: dict[str, list[Floats]] = {name: [] for name, cells in places.items() if cells.any()}
    for frame in draws:
        for name, found in drawn.items():
            found.append(frame[name].to_numpy(float)[places[name]])
    inside, rng = {}, np.random.default_rng(0)
    for name, found in drawn.items():
        low, high = np.quantile(found, QUANTILES, axis=0)
        value, slack = truth[name].to_numpy(float)[places[name]], 1e-6 * truth[name].std()  # codes are rounded
        below = (np.array(found) < value - slack).sum(0)
        ties = (np.abs(np.array(found) - value) <= slack).sum(0)
        rank = (below + rng.random(len(value)) * (ties + 1)) / (len(found) + 1)
        within = (low - slack <= value) & (value <= high + slack)
        inside[name] = Covered(within.mean(), ((rank >= QUANTILES[0]) & (rank <= QUANTILES[1])).mean())
    return inside


def compare(name: str, data: Path, mechanism: str, share: float, options: argparse.Namespace) -> Iterator[str]:
    """Lines of the report."""
    truth, categorical = read(name, data, options.rows, options.seed)
    numeric = [str(column) for column in truth if column not in categorical]
    codes = Codes(truth, categorical)
    mask = hidden(truth, codes, mechanism, share, options.seed)
    holed = truth.mask(mask)
    for imputer in options.imputers:
        done = IMPUTERS[imputer](holed, codes, options.seed)
        errors = rmse(truth, done.frame, mask, numeric)
        hits = accuracy(truth, done.frame, mask, categorical)
        cells = [f"{np.mean(list(each.values())):.3f}" if each else "" for each in (errors, hits)]
        began = time.process_time()
        covered = coverage(truth, done.drawers(), mask, numeric) if done.drawers and imputer in options.covered else {}
        means = [f"{np.mean(part):.3f}" for part in zip(*covered.values(), strict=True)] if covered else ["", ""]
        cells += [*means, f"{done.seconds:.0f}", f"{time.process_time() - began:.0f}" if covered else ""]
        table = f"{name} ({len(truth):,} x {truth.shape[1]})"
        yield f"| {table} | {mechanism} | {share:.0%} | {imputer} | {' | '.join(cells)} |"
        if options.columns:
            yield "    " + ", ".join(f"{column} {one:.3f}" for column, one in {**errors, **hits}.items())
            for column, one in covered.items():
                yield f"    {column}: coverage {one.interval:.3f}, PIT {one.rank:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tables", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--mechanisms", nargs="+", choices=("MCAR", "MAR"), default=["MCAR", "MAR"])
    parser.add_argument("--shares", nargs="+", type=float, default=[0.1, 0.3, 0.5])
    parser.add_argument("--imputers", nargs="+", choices=list(IMPUTERS), default=None)
    parser.add_argument("--rows", type=int, default=5_000, help="largest number of rows of a table")
    parser.add_argument("--seed", type=int, default=0, help="of the rows, the hidden cells and the imputers")
    parser.add_argument("--peers", default=None, help="the Python of an environment with the peers")
    parser.add_argument("--columns", action="store_true", help="print the figures of each column, too")
    parser.add_argument("--covered", nargs="*", default=["VAEImputer"], help="imputers whose coverage is measured")
    options = parser.parse_args()
    PEERS[:] = [options.peers] if options.peers else []
    options.imputers = options.imputers or [
        name for name in IMPUTERS if PEERS or name not in ("miceforest", "mostlyai")
    ]
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    print("| table | hidden | share | imputer | RMSE | accuracy | coverage | PIT | CPU-s | CPU-s of 100 draws |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, mechanism, share in product(options.tables, options.mechanisms, options.shares):
        for line in compare(name, options.data, mechanism, share, options):
            print(line, flush=True)


if __name__ == "__main__":
    main()
