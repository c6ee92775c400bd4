"""Few labels, many rows: boosting on both by what learned both, beside boosting on the labels alone.

    python labels.py --data DIR [--labels 100 300 1000] [--seeds 0 1 2] [--steps 400]

Adult: 30,000 rows of the training half, of which few have a label; the test half judges by ROC AUC. Beside ours stands
scikit-learn's SelfTrainingClassifier around the same boosting. Prints Markdown.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from report import grid
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.semi_supervised import SelfTrainingClassifier
from tables import TABLES, load
from worker import one_thread

from synthvae import Synthesizer
from synthvae.estimators import AugmentedClassifier

ROWS, TEST = 30_000, 32_561


def read(data: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """Adult, and who earns more."""
    whole = load(TABLES["adult"], data)
    y = whole.pop("income").str.contains(">50K").to_numpy(int)
    text = whole.select_dtypes(exclude="number")
    return whole.astype(dict.fromkeys(text, "category")), y


def measure(X: pd.DataFrame, y: np.ndarray, labels: int, seed: int, steps: int | None) -> dict[str, Any]:
    """ROC AUC of each way on the test half."""
    codes = X.apply(lambda column: column.cat.codes if column.dtype == "category" else column).to_numpy(float)
    kinds = [dtype == "category" for dtype in X.dtypes]
    picked = np.random.default_rng(seed).choice(ROWS, labels, replace=False)
    given = np.full(ROWS, -1)
    given[picked] = y[picked]
    boosting = HistGradientBoostingClassifier(random_state=0, categorical_features=kinds)
    generator = None if steps is None else Synthesizer(max_steps=steps)
    named = HistGradientBoostingClassifier(random_state=0, categorical_features="from_dtype")
    ours = AugmentedClassifier(named, amount=0, generator=generator, random_state=seed)

    def auc(model: Any, rows: Any) -> float:
        return float(roc_auc_score(y[TEST:], model.predict_proba(rows[TEST:])[:, 1]))

    alone = auc(boosting.fit(codes[picked], y[picked]), codes)
    trained = auc(SelfTrainingClassifier(boosting).fit(codes[:ROWS], given), codes)
    start = time.process_time()
    found = roc_auc_score(y[TEST:], ours.fit(X[:ROWS], given).predict_proba(X[TEST:])[:, 1])
    seconds = time.process_time() - start
    return {
        "labels": labels, "seed": seed, "labels alone": alone, "self-training": trained, "ours": found, "CPU-s": seconds
    }  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--labels", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, help="of the generator; None: its default")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    one_thread()
    X, y = read(options.data)
    lines = []
    for count in options.labels:
        for seed in options.seeds:
            lines.append(measure(X, y, count, seed, options.steps))
            print(", ".join(f"{name} {value:.4g}" for name, value in lines[-1].items()), file=sys.stderr, flush=True)
    print(grid(list(lines[0]), [[f"{value:.4g}" for value in line.values()] for line in lines]))


if __name__ == "__main__":
    main()
