"""Whether rows made help classifiers, and when: one command, one table of figures.

    python augment.py --data DIR [--tables mammography ...] [--methods ...] [--repeats 3] [--work DIR] [-o augment.md]

Five folds, repeated; everything that learns, learns from a fold's training rows alone. Runs in the environment of the
peers that `make bench` makes (ctgan; imbalanced-learn), by .venv-peers/bin/python. With `--work`, folds whose figures
lie there are not repeated. Tables: mammography, pima, german whole; thyroid (any hypothyroid class against none);
support2 (hospdead, 500 rows), wdbc (60), chronic kidney (80) and Adult (1,000, 5 % of which earn more), drawn once.
"""

from __future__ import annotations

import argparse
import json
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from augment_methods import METHODS, classifiers
from report import grid
from sklearn.metrics import average_precision_score, balanced_accuracy_score, brier_score_loss, log_loss, roc_auc_score
from sklearn.model_selection import RepeatedStratifiedKFold
from tables import TABLES, load
from worker import one_thread

FOLDS = 5
METRICS = {"ROC AUC": 1, "PR-AUC": 1, "balanced accuracy": 1, "log-loss": -1, "Brier": -1}  # which way is better
POSITIVE: dict[str, Any] = {"mammography": 1, "pima": 1, "german": 2, "support2": 1, "wdbc": "M", "adult": ">50K"}
DRAWN = {"support2": (370, 130), "wdbc": (38, 22), "adult": (950, 50), "chronic_kidney": (50, 30)}  # negative, positive
Rows = tuple[pd.DataFrame, "pd.Series[int]"]
NAMES = ("mammography", "pima", "german", "thyroid", "support2", "wdbc", "adult", "chronic_kidney")


def read(name: str, data: Path) -> tuple[pd.DataFrame, pd.Series]:
    """Rows and labels 0 and 1."""
    table = TABLES[name]
    whole = load(table, data)
    if name == "thyroid":
        y = whole[table.target] != "negative"
    elif name == "chronic_kidney":
        y = whole[table.target] == "notckd"
    elif name == "pima":
        y = whole[table.target] == whole[table.target].value_counts().index[-1]
    else:
        y = whole[table.target] == POSITIVE[name]
    X = whole.drop(columns=[table.target, *table.dropped])
    for column in X.select_dtypes(exclude="number"):
        X[column] = X[column].astype(object)
    if name not in DRAWN:
        return X.reset_index(drop=True), y.astype(int).reset_index(drop=True)
    rng = np.random.default_rng(0)
    picked = [rng.choice(np.flatnonzero(y == label), count, replace=False) for label, count in enumerate(DRAWN[name])]
    places = rng.permutation(np.concatenate(picked))
    return X.iloc[places].reset_index(drop=True), y.iloc[places].astype(int).reset_index(drop=True)


def figures(model: Any, X: pd.DataFrame, y: pd.Series) -> dict[str, float]:
    """What a fitted classifier reaches on rows held out."""
    chances = np.clip(model.predict_proba(X)[:, 1], 1e-6, 1 - 1e-6)
    return {
        "ROC AUC": roc_auc_score(y, chances),
        "PR-AUC": average_precision_score(y, chances),
        "balanced accuracy": balanced_accuracy_score(y, model.predict(X)),
        "log-loss": log_loss(y, chances),
        "Brier": brier_score_loss(y, chances),
    }


def measured(name: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Each fold, method and classifier of a table."""
    X, y = read(name, options.data)
    folds = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=options.repeats, random_state=0).split(X, y)
    for fold, (train, test) in enumerate(folds):
        halves = [(X.iloc[part].reset_index(drop=True), y.iloc[part].reset_index(drop=True)) for part in (train, test)]
        for method in options.methods:
            kept = options.work / f"{name}-{fold}-{method.replace(' ', '_').replace(',', '')}.json"
            if not kept.exists():
                kept.write_text(json.dumps(list(_fold({"table": name, "fold": fold, "method": method}, *halves))))
            yield from json.loads(kept.read_text())


def _fold(facts: dict[str, Any], train: Rows, test: Rows) -> Iterator[dict[str, Any]]:
    for kind, model in classifiers().items():
        found, start = {**facts, "model": kind}, time.process_time()
        try:
            fitted = METHODS[facts["method"]](model, *train, facts["fold"])
            found |= {**figures(fitted, *test), "amount": repr(getattr(fitted, "amount_", None))}
        except Exception as error:  # noqa: BLE001 - a peer may fail in any way, and the report shall say so
            traceback.print_exc()
            found["failed"] = f"{type(error).__name__}: {error}"[:200]
        yield {**found, "cpu_s": time.process_time() - start}


def report(runs: pd.DataFrame) -> str:
    """The tables of the report."""
    well = runs.dropna(subset=["ROC AUC"])
    means = well.groupby(["table", "model", "method"])[list(METRICS)].mean()
    places = {m: (means[m] * way).groupby(level=[0, 1]).rank(ascending=False) for m, way in METRICS.items()}
    ranks = pd.DataFrame({m: place.groupby(level=2).mean() for m, place in places.items()}).sort_values("ROC AUC")
    parts = ["# Augmentation", "## Mean rank over tables and classifiers", shown(ranks, ".2f")]
    for metric in METRICS:
        wide = means[metric].unstack("method")
        parts += [f"## {metric}", shown(wide, ".3f")]
    return "\n\n".join([*parts, "## `auto` beside none, ROC AUC", shown(against_none(well), ".4f"), _failures(runs)])


def shown(figures: pd.DataFrame, form: str) -> str:
    """Figures as a Markdown table; a dash where there is none."""
    labels = [" ".join(map(str, label)) if isinstance(label, tuple) else str(label) for label in figures.index]
    cells = [["-" if np.isnan(value) else format(value, form) for value in row] for row in figures.to_numpy(float)]
    return grid(["", *map(str, figures)], [[label, *row] for label, row in zip(labels, cells, strict=True)])


def against_none(well: pd.DataFrame, method: str = "ours, auto") -> pd.DataFrame:
    """The mean gain of a method over none by table, all classifiers, and the standard error of it over folds."""
    wide = well.pivot_table(index=["table", "fold"], columns="method", values="ROC AUC")
    if method not in wide:
        return pd.DataFrame()
    gains = (wide[method] - wide["none"]).groupby("table")
    return pd.DataFrame({"gain": gains.mean(), "standard error": gains.std(ddof=1) / np.sqrt(gains.count())})


def _failures(runs: pd.DataFrame) -> str:
    if "failed" not in runs:
        return "No run failed."
    failed = runs.dropna(subset=["failed"]).groupby(["method", "table"])["failed"].agg(["count", "first"])
    lines = [[*map(str, place), str(count), first] for place, count, first in failed.itertuples(name=None)]
    return "## Failed\n\n" + grid(["method", "table", "runs", "first"], lines)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the tables")
    parser.add_argument("--tables", nargs="+", choices=NAMES, default=list(NAMES), metavar="TABLE")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS), metavar="METHOD")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("augment-work"), help="keep figures here")
    parser.add_argument("-o", "--out", type=Path, default=Path("augment.md"))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    one_thread()
    options.work.mkdir(parents=True, exist_ok=True)
    runs = pd.DataFrame([run for name in options.tables for run in measured(name, options)])
    options.out.write_text(report(runs) + "\n")
    print(report(runs))


if __name__ == "__main__":
    main()
