"""What it costs and what it changes that rows keep rules between columns.

    python rules.py --data DIR --out DIR [--tables hospital adult diabetes130] [--rows 1000000] [--seeds 0 1]

For each table the rules are those that `synthvae schema` proposes, and of the fabricated table of hospital stays one of
each kind. A model without rules and one with them are fitted, and rows are drawn from both in alternation. Printed are
rows that break a rule, of `--rows`; CPU-seconds of fits and of draws, those with rules over those without; the trend
and the shape of `yardstick.py`; and how many rows were drawn again.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
from report import grid
from tables import TABLES, split
from yardstick import Cells, equal_bins, shape, trend

sys.path.insert(0, str(Path(__file__).parents[1]))

from fabricated import RULES, hospital

from synthvae import Schema, Synthesizer
from synthvae.generation import ruled
from synthvae.schema.constraints import Constraint
from synthvae.schema.constraints.combinations import Unique
from synthvae.schema.constraints.discovery import propose

REPEATS, TIMED_ROWS = 5, 40_000
HOSPITAL_ROWS = 10_000


def read(name: str, data: Path) -> tuple[pd.DataFrame, str | None, tuple[Any, ...]]:
    """Return the training rows, the target and the rules of a table."""
    if name == "hospital":
        return hospital(HOSPITAL_ROWS), None, RULES
    table = TABLES[name]
    train = split(table, data).train
    schema = Schema.infer(train)
    rules = tuple(proposal.constraint for proposal in propose(train, schema) if proposal.support == 1)
    return train, table.target, tuple(rule for rule in rules if not isinstance(rule, Unique))


class Count:
    """Counts the rows that are drawn again."""

    def __init__(self) -> None:
        self.rows, self._replaced = 0, ruled.replaced

    def __enter__(self) -> Self:
        def replaced(table: pa.Table, places: Any, rows: pa.Table) -> pa.Table:
            self.rows += len(places)
            return self._replaced(table, places, rows)

        ruled.replaced = replaced
        return self

    def __exit__(self, *error: object) -> None:
        ruled.replaced = self._replaced


def clocked(model: Synthesizer, rows: int, seed: int) -> float:
    """Return the CPU-seconds of a draw."""
    start = time.process_time()
    model.sample(rows, random_state=seed)
    return time.process_time() - start


def fitted(train: pd.DataFrame, target: str | None, rules: tuple[Any, ...], seed: int) -> tuple[Synthesizer, float]:
    """Return a model and the CPU-seconds of its fit."""
    start = time.process_time()
    schema = Schema(constraints=rules) if rules else None
    model = Synthesizer(target=target, schema=schema, random_state=seed).fit(train)
    return model, time.process_time() - start


def broken(rules: tuple[Constraint, ...], train: pd.DataFrame, rows: pd.DataFrame) -> int:
    """Return how many rows break a rule."""
    found = np.zeros(len(rows), bool)
    for rule in rules:
        found |= ~rule.learned(train).holds(rows)
    return int(found.sum())


def distances(train: pd.DataFrame, drawn: pd.DataFrame) -> tuple[float, float]:
    """Return trend and shape; dates count as numbers."""
    real, synthetic = (
        rows.assign(**{str(n): rows[n].astype("int64") for n in rows if pd.api.types.is_datetime64_dtype(rows[n])})
        for rows in (train, drawn)
    )
    numeric = frozenset(str(n) for n in real if pd.api.types.is_numeric_dtype(real[n]) and real[n].dtype != bool)
    cells = Cells(real, synthetic, numeric, equal_bins)
    return trend(real, synthetic, numeric, cells), shape(real, synthetic, numeric, cells)


def figures(name: str, data: Path, out: Path, rows: int, seed: int) -> list[str]:
    """Return a line of the table."""
    train, target, rules = read(name, data)
    free, seconds_free = fitted(train, target, (), seed)
    kept, seconds_kept = fitted(train, target, rules, seed)
    rates = [(clocked(free, TIMED_ROWS, k), clocked(kept, TIMED_ROWS, k)) for k in range(REPEATS)]
    errors = []
    for what, model in (("free", free), ("rules", kept)):
        drawn = model.sample(len(train), random_state=seed)
        drawn.to_csv(out / f"{name}_{what}_{seed}.csv", index=False)
        errors.append((*distances(train, drawn), broken(rules, train, drawn)))
    with Count() as again:
        many = kept.sample(rows, random_state=seed)
    speed = np.median([one / other for one, other in rates])
    return [
        name,
        str(seed),
        str(len(rules)),
        f"{errors[0][2] / len(train):.2%}",
        str(broken(rules, train, many)),
        f"{again.rows / rows:.2%}",
        f"{errors[0][0]:.2f} -> {errors[1][0]:.2f}",
        f"{errors[0][1]:.2f} -> {errors[1][1]:.2f}",
        f"{seconds_kept / seconds_free:.2f}",
        f"{speed:.2f}",
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tables", nargs="+", default=["hospital", "adult", "diabetes130"])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    heads = ["table", "seed", "rules", "break (free)", "break", "again", "trend", "shape", "fit", "speed"]
    for name in asked.tables:
        for seed in asked.seeds:
            print(grid(heads, [figures(name, asked.data, asked.out, asked.rows, seed)]), flush=True)


if __name__ == "__main__":
    main()
