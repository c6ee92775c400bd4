"""How faithful rows with conditions are, and how fast they are drawn, beside rows without conditions.

    python conditions.py --data DIR [--tables adult diabetes130] [--count 20] [--rows 20000] [--seed 0]

Conditions are single values and intervals of single columns that hold for .1 to 5 % of the training rows and at least
`MIN_ROWS` of them. For each, the mean total variation distance of pairs of the other columns (numbers in 20 quantile
bins, at most 60 pairs) is measured between the test rows that meet the condition and as many of the rows drawn, or of
the training rows that meet it, as there are of the fewer. DCR is the share of the rows drawn that are nearer to a
training row than to a test row, of as many of each that meet the condition; 0.5 is best. Rates are rows a CPU-second,
relative to rows without conditions.
"""

from __future__ import annotations

import argparse
import itertools
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from nearness import nearer_to_train
from report import grid
from tables import TABLES, split

from synthvae import Synthesizer

MIN_ROWS, SHARES, PAIRS, BINS = 300, (0.001, 0.05), 60, 20

Codes = dict[str, npt.NDArray[np.int64]]


def candidates(train: pd.DataFrame) -> list[tuple[str, Any]]:
    """Return values and intervals of single columns with the asked prevalence."""
    found: list[tuple[str, Any]] = []
    for name in train.columns:
        column = train[name]
        if pd.api.types.is_numeric_dtype(column) and column.nunique() > BINS:
            cuts = np.unique(np.quantile(column.dropna(), [0.0, 0.02, 0.5, 0.53, 0.96, 1.0]))
            found += [(name, pair) for pair in itertools.pairwise(cuts.tolist())]
        else:
            found += [(name, value) for value in column.dropna().unique().tolist()]
    low, high = (share * len(train) for share in SHARES)
    return [one for one in found if max(low, MIN_ROWS) <= meets(train, one).sum() <= high]


def meets(frame: pd.DataFrame, condition: tuple[str, Any]) -> npt.NDArray[np.bool_]:
    """Return which rows meet a condition."""
    name, value = condition
    column = frame[name]
    return np.asarray(column.between(*value) if isinstance(value, tuple) else column == value, bool)


def coded(frame: pd.DataFrame, train: pd.DataFrame) -> Codes:
    """Return the bins of numbers and the numbers of categories."""
    codes: Codes = {}
    for name in train.columns:
        if pd.api.types.is_numeric_dtype(train[name]) and train[name].nunique() > BINS:
            cuts = np.unique(np.quantile(train[name].dropna(), np.linspace(0, 1, BINS + 1)[1:-1]))
            bins = np.searchsorted(cuts, frame[name], side="right")
            codes[name] = np.where(frame[name].isna(), BINS + 1, bins)
        else:
            known = {value: place for place, value in enumerate(train[name].dropna().astype(str).unique())}
            codes[name] = frame[name].astype(str).map(known).fillna(len(known)).to_numpy(np.int64)
    return codes


def distance(first: Codes, second: Codes, pairs: list[tuple[str, str]]) -> float:
    """Return the mean total variation distance of pairs of columns."""
    found = []
    for one, other in pairs:
        width = 1 + max(int(codes[other].max()) for codes in (first, second))
        joint = [codes[one] * width + codes[other] for codes in (first, second)]
        size = 1 + max(int(part.max()) for part in joint)
        shares = [np.bincount(part, minlength=size) / len(part) for part in joint]
        found.append(0.5 * np.abs(shares[0] - shares[1]).sum())
    return float(np.mean(found))


def main() -> None:
    """Print a table with a row for each condition."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tables", nargs="+", default=["adult", "diabetes130"])
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in asked.tables:
        table = TABLES[name]
        halves = split(table, asked.data)
        start = time.process_time()
        model = Synthesizer(target=table.target, conditions=True, random_state=asked.seed).fit(halves.train)
        print(f"{name}: fit with conditions {time.process_time() - start:.0f} CPU-s")
        rng = np.random.default_rng(asked.seed)
        found = candidates(halves.train)
        chosen = [found[k] for k in sorted(rng.permutation(len(found))[: asked.count])]
        print(table_of(model, halves.train, halves.test, chosen, asked.rows))


def table_of(
    model: Synthesizer, train: pd.DataFrame, test: pd.DataFrame, chosen: list[tuple[str, Any]], rows: int
) -> str:
    """Return the figures of some conditions."""
    rng, lines, ratios, nearer = np.random.default_rng(0), [], [], []
    numeric = frozenset(str(name) for name in train if pd.api.types.is_numeric_dtype(train[name]))
    free = clocked(model, rows, None)[1]
    for condition in chosen:
        drawn, seconds = clocked(model, rows, dict([condition]))
        parts = {"drawn": drawn, "train": train[meets(train, condition)], "test": test[meets(test, condition)]}
        count = min(map(len, parts.values()))
        codes = {key: coded(part.iloc[rng.permutation(len(part))[:count]], train) for key, part in parts.items()}
        others = [column for column in train.columns if column != condition[0]]
        pairs = list(itertools.combinations(others, 2))
        some = [pairs[k] for k in rng.permutation(len(pairs))[:PAIRS]]
        ours, real = (distance(codes[key], codes["test"], some) for key in ("drawn", "train"))
        ratios.append(ours / real)
        nearer.append(nearer_to_train(parts["train"], parts["test"], drawn, numeric))
        figures = [ours, real, ours / real, nearer[-1], free / seconds]
        lines.append([str(condition), str(count), *(f"{figure:.3f}" for figure in figures)])
    lines.append(["median", "", "", "", f"{np.median(ratios):.3f}", f"{np.median(nearer):.3f}", ""])
    return grid(["condition", "rows", "drawn to test", "train to test", "ratio", "DCR", "rate"], lines)


def clocked(model: Synthesizer, rows: int, given: dict[str, Any] | None) -> tuple[pd.DataFrame, float]:
    """Return rows and the CPU-seconds that they took."""
    start = time.process_time()
    drawn = model.sample(rows, given=given)
    return drawn, time.process_time() - start


if __name__ == "__main__":
    main()
