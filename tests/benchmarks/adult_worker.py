"""One generator, one seed, one process: the half of `adult.py` that does the work.

Measured, in CPU-seconds of this process (`time.process_time`): fitting the 32,561
training rows of Adult, drawing as many synthetic rows, drawing 200,000 rows (median of
three, since one is noisy); and the peak resident memory of it all. The synthetic rows
go to NAME-SEED.parquet, the figures to NAME-SEED.json, written last: its presence means
that the run is whole.

    python adult_worker.py split    TABLE WORK     the real halves, for the judge
    python adult_worker.py synthvae TABLE WORK --seed 0
    python adult_worker.py tvae     TABLE WORK --seed 0

A generator is imported when it is asked for, so that `tvae` runs under an interpreter
without synthvae and `synthvae` under one without ctgan.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import pandas as pd
import torch

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

TRAIN_ROWS = 32_561
TIMED_ROWS = 200_000
TIMED_ROUNDS = 3
TARGET = "income"
MISSING = "?missing"


class Generator(Protocol):
    """What is measured: something that is fitted to a table and draws rows."""

    version: str

    def fit(self, train: pd.DataFrame) -> None:
        """Learn the table."""

    def sample(self, rows: int) -> pd.DataFrame:
        """Draw `rows` synthetic rows with the columns of the table."""


class Ours:
    """`synthvae.Synthesizer` with its defaults."""

    def __init__(self, seed: int) -> None:
        """Import the package and make an unfitted synthesizer."""
        package = import_module("synthvae")
        self.seed = seed
        self.version = str(getattr(package, "__version__", "unknown"))
        self.model: Any = package.Synthesizer(target=TARGET, random_state=seed)

    def fit(self, train: pd.DataFrame) -> None:
        """Learn the table as it is."""
        self.model.fit(train)

    def sample(self, rows: int) -> pd.DataFrame:
        """Draw rows with the seed of the fit."""
        table: pd.DataFrame = self.model.sample(rows, random_state=self.seed)
        return table


class Tvae:
    """`ctgan.TVAE` with its defaults (300 epochs).

    It takes no missing value: in columns of text a gap becomes a category of its own,
    and a gap again in the synthetic rows.
    """

    def __init__(self, seed: int) -> None:
        """Import the package and make an unfitted TVAE."""
        package = import_module("ctgan")
        self.version = str(package.__version__)
        self.text: list[str] = []
        self.model: Any = package.TVAE()
        self.model.set_random_state(seed)

    def fit(self, train: pd.DataFrame) -> None:
        """Learn the table; every column that is not numeric is discrete."""
        self.text = list(train.select_dtypes(exclude="number").columns)
        filled = train.fillna(dict.fromkeys(self.text, MISSING))
        self.model.fit(filled, discrete_columns=self.text)

    def sample(self, rows: int) -> pd.DataFrame:
        """Draw rows and put the gaps back."""
        table: pd.DataFrame = self.model.sample(rows)
        text = table[self.text]
        return table.assign(**text.where(text != MISSING, None))


GENERATORS: dict[str, Callable[[int], Generator]] = {"synthvae": Ours, "tvae": Tvae}


def read_halves(table: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the official training and test rows of Adult."""
    rows = pd.read_csv(table, keep_default_na=False, na_values=[""])
    test = rows.iloc[TRAIN_ROWS:].reset_index(drop=True)
    return rows.iloc[:TRAIN_ROWS].copy(), test


def clocked(work: Callable[[], T]) -> tuple[float, T]:
    """Return the CPU-seconds that `work` took, and what it returned."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def measure(generator: Generator, train: pd.DataFrame, synthetic: Path) -> dict[str, Any]:
    """Fit, draw and write `synthetic`; return the costs."""
    fit_seconds, _ = clocked(lambda: generator.fit(train))
    sample_seconds, drawn = clocked(lambda: generator.sample(len(train)))
    drawn.to_parquet(synthetic, index=False)
    rounds = [clocked(lambda: generator.sample(TIMED_ROWS))[0] for _ in range(TIMED_ROUNDS)]
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB on Linux
    return {
        "fit_cpu_s": fit_seconds,
        "sample_cpu_s": sample_seconds,
        "timed_rows": TIMED_ROWS,
        "timed_cpu_s": rounds,
        "rows_per_cpu_s": TIMED_ROWS / statistics.median(rounds),
        "peak_rss_mib": peak_kib / 1024,
    }


def run(name: str, seed: int, table: Path, work: Path) -> None:
    """Measure one generator and leave its rows and figures in `work`."""
    torch.set_num_threads(1)
    generator = GENERATORS[name](seed)
    train, _ = read_halves(table)
    costs = measure(generator, train, work / f"{name}-{seed}.parquet")
    versions = {name: generator.version, "torch": torch.__version__, "pandas": pd.__version__}
    result = {"generator": name, "seed": seed, "versions": versions, **costs}
    (work / f"{name}-{seed}.json").write_text(json.dumps(result, indent=1) + "\n")


def split(table: Path, work: Path) -> None:
    """Write the two real halves where the judge can read them."""
    train, test = read_halves(table)
    train.to_parquet(work / "train.parquet", index=False)
    test.to_parquet(work / "test.parquet", index=False)


def main() -> None:
    """Parse the command line and do the one thing that it names."""
    parser = argparse.ArgumentParser(description="The half of adult.py that does the work.")
    parser.add_argument("task", choices=["split", *GENERATORS])
    parser.add_argument("table", type=Path, help="adult.csv.gz")
    parser.add_argument("work", type=Path, help="where the results go")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.task == "split":
        split(options.table, options.work)
    else:
        run(options.task, options.seed, options.table, options.work)


if __name__ == "__main__":
    main()
