"""Grades of the verdict on synthetic rows whose order of quality is known, from generators that take minutes.

    python verdicts.py [--rows 2000] [--seeds 0] [--peers-python .venv-peers/bin/python] [--json FILE]
                       [--table adult.csv.gz --target income]

Prints one line for each table: the answers, and the grade of each aspect with the figure and the limit that decided.
The tables of `tests/evaluation/known_quality.py` come first, then TVAE (if a Python with ctgan is named), synthvae
after 5 steps, 50 steps and all steps, and private fits at three values of epsilon. With `--table`, they are made of
three times `--rows` random rows of a CSV file instead of the population of that module, and private fits measure their
schema. Last, it says how many pairs of tables whose order is known are graded in that order.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from synthvae import Column, PrivacyBudget, Schema, Synthesizer
from synthvae.evaluation import Evaluation, evaluate

sys.path.insert(0, str(Path(__file__).parents[1] / "evaluation"))
import known_quality

Table = tuple[str, pd.DataFrame, dict[str, Any] | None]
STEPS = (5, 50, None)
EPSILONS = (0.5, 2.0, 8.0)
FITTED = tuple(f"synthvae, {steps or 'all'} steps" for steps in reversed(STEPS))
PRIVATE = tuple(f"synthvae, epsilon {epsilon:g}" for epsilon in reversed(EPSILONS))
ORDERS = (
    *known_quality.ORDERS,
    ("fresh", *FITTED, "shuffled"),
    ("fresh", FITTED[0], *PRIVATE),
    ("fresh", FITTED[0], "TVAE", "one row"),
)
TVAE = """
import sys, pandas as pd
from ctgan import TVAE
real = pd.read_csv(sys.argv[1])
names = [name for name in real if not pd.api.types.is_numeric_dtype(real[name])]
model = TVAE(epochs=100)
model.fit(real, names)
model.sample(len(real)).to_csv(sys.argv[2], index=False)
"""


def main() -> None:
    """Evaluate all tables of each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--peers-python", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--table", type=Path, help="a CSV file without missing values in its numbers")
    parser.add_argument("--target", default=known_quality.TARGET)
    given = parser.parse_args()
    found = []
    for seed in given.seeds:
        everyone = population(given.table, 3 * given.rows, seed)
        people = everyone.sample(3 * given.rows, random_state=seed) if given.table else everyone
        real, fresh, holdout = (people[k * given.rows : (k + 1) * given.rows].reset_index(drop=True) for k in range(3))
        for name, rows, ledger in tables(real, fresh, seed, given):
            result = evaluate(real, rows, holdout=holdout, target=given.target, attacks=False, ledger=ledger)
            found.append({"seed": seed, "table": name, **described(result)})
            print(line_of(found[-1]), flush=True)
        print(order_of([one for one in found if one["seed"] == seed]), flush=True)
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


def population(table: Path | None, rows: int, seed: int) -> pd.DataFrame:
    """So many people, or all rows of a table: floats, and texts of which a missing one is a category."""
    if table is None:
        return known_quality.population(rows, seed)
    found = pd.read_csv(table)
    numbers = list(found.select_dtypes("number"))
    filled: pd.DataFrame = found.fillna(dict.fromkeys(found.columns.drop(numbers), "missing"))
    return filled.astype(dict.fromkeys(numbers, float))


def tables(real: pd.DataFrame, fresh: pd.DataFrame, seed: int, given: argparse.Namespace) -> Iterator[Table]:
    """Yield names, synthetic tables, and the privacy statements of private ones."""
    yield from ((name, rows, None) for name, rows in known_quality.pairs(real, fresh, seed, given.target).items())
    if given.peers_python is not None:
        yield "TVAE", tvae(real, given.peers_python), None
    for steps in STEPS:
        fitted = Synthesizer(target=given.target, max_steps=steps, random_state=seed).fit(real)
        yield f"synthvae, {steps or 'all'} steps", fitted.sample(len(real), seed), None
    for epsilon in EPSILONS:
        budget = PrivacyBudget(epsilon=epsilon, delta=1e-6)
        known = "private" if given.table else schema()
        fitted = Synthesizer(target=given.target, schema=known, privacy=budget, random_state=seed).fit(real)
        yield (
            f"synthvae, epsilon {epsilon:g}",
            fitted.sample(len(real), seed),
            fitted.ledger_.statement() if fitted.ledger_ else None,
        )


def schema() -> Schema:
    """Public knowledge of the table."""
    bounds = {"age": (18, 95), "pressure": (60, 200), "sugar": (2, 20), "weight": (30, 150)}
    labels = {"ward": ["a", "b", "c"], "sex": ["f", "m"], known_quality.TARGET: ["no", "yes"]}
    numbers = [Column(name=name, kind="continuous", bounds=pair, nullable=False) for name, pair in bounds.items()]
    texts = [Column(name=name, kind="categorical", categories=of, nullable=False) for name, of in labels.items()]
    known = {column.name: column for column in (*numbers, *texts)}
    return Schema(columns=[known[str(name)] for name in known_quality.population(2, 0)])


def tvae(real: pd.DataFrame, peers: Path) -> pd.DataFrame:
    """Rows of CTGAN's TVAE, in an environment of its own."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("real.csv", "made.csv")]
        real.to_csv(paths[0], index=False)
        subprocess.run([str(peers), "-c", TVAE, *map(str, paths)], check=True)
        return pd.read_csv(paths[1])


def described(found: Evaluation) -> dict[str, Any]:
    """The grades of an evaluation, and what decided them."""
    verdict = found.verdict
    aspects = {aspect.name: [aspect.grade, aspect.decided] for aspect in verdict.use.aspects}
    flagged = [f"{figure.metric.name} {figure.value:.3f}" for figure in found.figures.values() if figure.flagged]
    return {"use": verdict.use.grade, "share": verdict.share.grade, "flagged": flagged, "aspects": aspects}


def order_of(found: list[dict[str, Any]]) -> str:
    """How many pairs of tables whose order is known are graded in that order, and which are not."""
    ranks = {
        one["table"]: known_quality.points(one["use"], {name: grade for name, (grade, _) in one["aspects"].items()})
        for one in found
    }
    compared, wrong = known_quality.inverted(ranks, ORDERS)
    return f"{compared - len(wrong)} of {compared} pairs in the order of their quality; others: {wrong or 'none'}"


def line_of(found: dict[str, Any]) -> str:
    """One line for a table."""
    parts = [f"{name} {grade} ({decided})" for name, (grade, decided) in found["aspects"].items()] + found["flagged"]
    return f"{found['table']:<24} {found['use']:<8} {found['share']:<8} {', '.join(parts)}"


if __name__ == "__main__":
    main()
