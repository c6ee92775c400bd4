"""Utility for the target on several random splits of a table, since one test half of few rows says little.

    python splits.py --data DIR [--tables german] [--splits 10]

Each split has as many training rows as that of `tables.py`. Prints TSTR and TRTR of `yardstick.py` and their ratio, by
split, and the mean ratio with its standard error.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from halves import Halves
from tables import TABLES, split
from yardstick import utility

from synthvae import Synthesizer


def halves(name: str, data: Path, splits: int) -> Iterator[tuple[pd.DataFrame, Halves]]:
    """Yield the training rows of each split, and both halves as they are judged."""
    table = TABLES[name]
    real = split(table, data)
    rows = pd.concat([real.train, real.test], ignore_index=True)
    with tempfile.TemporaryDirectory() as folder:
        train, test = (Path(folder) / f"{half}.csv" for half in ("train", "test"))
        for seed in range(splits):
            order = np.random.default_rng(seed).permutation(len(rows))
            rows.iloc[order[: len(real.train)]].to_csv(train, index=False)
            rows.iloc[order[len(real.train) :]].to_csv(test, index=False)
            yield pd.read_csv(train), Halves.read(train, test, table.target, table.categorical)


def ratios(name: str, data: Path, splits: int) -> np.ndarray:
    """Return the ratio of TSTR and TRTR (splits,), and print each."""
    found = []
    for seed, (train, real) in enumerate(halves(name, data, splits)):
        model = Synthesizer(target=real.target, random_state=seed).fit(train)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "synthetic.csv"
            model.sample(len(train), random_state=seed).to_csv(path, index=False)
            synthetic = real.synthetic(str(path))
        tstr, trtr = (utility(rows, real.test, real.numeric, real.target) for rows in (synthetic, real.train))
        found.append(tstr / trtr)
        print(f"{name}, split {seed}: TSTR {tstr:.3f}, TRTR {trtr:.3f}, ratio {found[-1]:.3f}", flush=True)
    return np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of the tables")
    parser.add_argument("--tables", nargs="+", default=["german"], choices=TABLES, metavar="TABLE")
    parser.add_argument("--splits", type=int, default=10)
    options = parser.parse_args()
    for name in options.tables:
        found = ratios(name, options.data, options.splits)
        error = found.std(ddof=1) / len(found) ** 0.5
        print(f"{name}: mean ratio {found.mean():.3f}, standard error {error:.3f} ({len(found)} splits)")


if __name__ == "__main__":
    main()
