"""Outlier detection beside scikit-learn's, and what z says of a target that no model was shown. Prints Markdown.

    python tests/benchmarks/outliers.py --data ../shared/data [--tables wdbc thyroid] [--seeds 0 1 2] [--income]

All detectors are fitted to all rows of a table without labels, and score the same rows; the figure is the ROC AUC of
the scores for the outliers. IsolationForest and LocalOutlierFactor (defaults; fit and scores of the same rows) see
standardised numbers, gaps filled with medians, and categories one-hot; VAEOutlierDetector (defaults) sees the table.

- mammography: all 11,183 rows; the 260 malignant ones are outliers (as in ODDS, https://odds.cs.stonybrook.edu).
- thyroid: all 3,772 rows, all columns but TBG, which is wholly missing; the rarest classes (primary and secondary
  hypothyroid, 97 rows) are outliers.
- kdd99: 50,000 rows: 49,500 normal and 500 drawn from all attacks, 1 % (so does scikit-learn's `subset="SA"`; Eskin et
  al. 2002, https://doi.org/10.1007/978-1-4615-0953-0_4, keep 1 to 1.5 %).
- wdbc: the 357 benign rows and 21 malignant ones (as in ODDS).

Where rows are drawn, the seed of the detector draws them.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from tables import TABLES, load, split

from synthvae import Synthesizer
from synthvae.estimators import VAEOutlierDetector

Mask = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]

NORMAL: dict[str, tuple[Any, ...]] = {
    "mammography": (-1,),
    "thyroid": ("negative", "compensated_hypothyroid"),
    "kdd99": ("normal.",),
    "wdbc": ("B",),
}
DRAWN = {"kdd99": (49_500, 500), "wdbc": (357, 21)}  # normal rows, outliers


def rows_of(name: str, data: Path, seed: int) -> tuple[pd.DataFrame, Mask]:
    """The rows of a table without labels, and which are outliers."""
    table = TABLES[name]
    whole = load(table, data)
    strange = ~whole[table.target].isin(NORMAL[name]).to_numpy()
    kept = np.arange(len(whole))
    if name in DRAWN:
        rng = np.random.default_rng(seed)
        sides = zip((~strange, strange), DRAWN[name], strict=True)
        drawn = [rng.choice(np.flatnonzero(side), count, replace=False) for side, count in sides]
        kept = np.sort(np.concatenate(drawn))
    frame = whole.iloc[kept].drop(columns=[table.target, *table.dropped]).reset_index(drop=True)
    return frame, strange[kept]


def as_numbers(frame: pd.DataFrame) -> npt.NDArray[np.float64]:
    """What detectors that know numbers only are given."""
    numbers = list(frame.select_dtypes("number").columns)
    others = [name for name in frame.columns if name not in numbers]
    scaled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    pipeline = make_column_transformer((scaled, numbers), (OneHotEncoder(sparse_output=False), others))
    return np.asarray(pipeline.fit_transform(frame), np.float64)


def isolation_forest(frame: pd.DataFrame, seed: int) -> Scores:
    numbers = as_numbers(frame)
    return np.asarray(IsolationForest(random_state=seed).fit(numbers).score_samples(numbers))


def local_outlier_factor(frame: pd.DataFrame, seed: int) -> Scores:
    del seed
    return np.asarray(LocalOutlierFactor().fit(as_numbers(frame)).negative_outlier_factor_)


def vae(frame: pd.DataFrame, seed: int) -> Scores:
    return VAEOutlierDetector(random_state=seed).fit(frame).score_samples(frame)


DETECTORS: dict[str, Callable[[pd.DataFrame, int], Scores]] = {
    "IsolationForest": isolation_forest,
    "LocalOutlierFactor": local_outlier_factor,
    "VAEOutlierDetector": vae,
}


def compare(name: str, data: Path, seeds: Sequence[int]) -> str:
    """A line of the report: medians and extremes of the seeds."""
    found: dict[str, list[float]] = {detector: [] for detector in DETECTORS}
    began = time.process_time()
    for seed in seeds:
        frame, strange = rows_of(name, data, seed)
        for detector, score in DETECTORS.items():
            found[detector].append(float(roc_auc_score(strange, -score(frame, seed))))
    cells = [f"{np.median(aucs):.3f} ({min(aucs):.3f}-{max(aucs):.3f})" for aucs in found.values()]
    shape = f"{len(frame):,} x {frame.shape[1]}"
    return f"| {name} | {shape} | {int(strange.sum())} | {' | '.join(cells)} | {time.process_time() - began:.0f} |"


def income(data: Path, **parameters: Any) -> float:
    """AUC of a logistic regression on latent means of Adult, the model fitted without the income (official split)."""
    halves = split(TABLES["adult"], data)
    model = Synthesizer(random_state=0, **parameters).fit(halves.train.drop(columns="income"))
    latent = [model.transform(half.drop(columns="income")) for half in (halves.train, halves.test)]
    rich = [half["income"].str.contains(">50K") for half in (halves.train, halves.test)]
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(latent[0], rich[0])
    return float(roc_auc_score(rich[1], classifier.predict_proba(latent[1])[:, 1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tables", nargs="*", choices=list(NORMAL), default=list(NORMAL))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--income", action="store_true", help="the check of z on Adult, too")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", "Duplicate values")  # LocalOutlierFactor's, on kdd99
    if options.tables:
        print(f"| table | rows x columns | outliers | {' | '.join(DETECTORS)} | CPU-s |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in options.tables:
        print(compare(name, options.data, options.seeds), flush=True)
    if options.income:
        for decoder in ("autoregressive", "factorized"):
            auc = income(options.data, decoder=decoder)
            print(f"\nIncome from z, {decoder} decoder fitted without it: AUC {auc:.3f}", flush=True)


if __name__ == "__main__":
    main()
