"""How good synthvae is under differential privacy, beside simple controls and MST and AIM: one command, one table.

    python private.py --data DIR [--tables adult] [--epsilons 1 3] [--seeds 0 1 2] [--peer-seeds 0] [--generators ...]
                      [--delta 1e-5] [--budget 3600] [--rows-per-unit 1] [--work DIR] [--peers-python PYTHON]
                      [-o private.md]

All generators are given the same public knowledge, about twenty bins a number (`private_coding.py`), and the same
budget, learn the training half and draw as many rows; `yardstick.py` judges them. Where a table says whose each row is,
the unit of privacy is the person: synthvae is told so and given all rows, of which it keeps one of each person; the
others are given one row of each person, and these and such test rows are what everybody is judged by.

MST and AIM run in an environment of their own (Python 3.11), by default .venv-private:
    python3.11 -m venv .venv-private && .venv-private/bin/pip install dpmm "pyarrow<20"
mostlyai-engine, with its own differential privacy, runs in that of `make bench`, by default .venv-peers.

Every fit is a process of its own with one thread (`private_worker.py`). With `--work`, runs whose figures lie there are
not repeated. Noise comes from the operating system's entropy: no run can be repeated to the digit.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from bench import HERE, load, python, save, say
from halves import FLOOR, Halves
from private_coding import Coding, public_schema
from private_worker import DEEP, GENERATORS, OURS, OWN, PEERS
from report import grid
from tables import SPLIT_SEED, TABLES, Table, split
from yardstick import DIGITS, marginals, utility

from synthvae import Schema

PEERS_PYTHON = HERE.parents[1] / ".venv-private" / "bin" / "python"
DEEP_PYTHON = HERE.parents[1] / ".venv-peers" / "bin" / "python"
REAL, BINNED = "real rows", "real rows in the same bins"
HEADS = ["table", "epsilon", "generator", "tv2", "tv3", "tstr", "tstr, min to max", "fit CPU-s", "runs"]

Figures = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What the command line asks for."""

    data: Path
    work: Path
    generators: list[str]
    epsilons: list[float]
    seeds: list[int]
    peer_seeds: list[int]
    delta: float
    budget: float
    rows_per_unit: int
    peers_python: Path
    deep_python: Path

    def runs(self) -> Iterable[tuple[float, str, int]]:
        """What is to be fitted to each table."""
        for epsilon in self.epsilons:
            for name in self.generators:
                for seed in self.peer_seeds if name in PEERS | DEEP else self.seeds:
                    yield epsilon, name, seed


def one_of_each(rows: pd.DataFrame, unit: str | None) -> pd.DataFrame:
    """Return one random row of each person, without saying whose it is."""
    if unit is None:
        return rows
    chosen = rows.sample(frac=1, random_state=SPLIT_SEED).drop_duplicates(unit).sort_index()
    return chosen.drop(columns=unit).reset_index(drop=True)


def prepare(table: Table, data: Path, folder: Path) -> Figures:
    """Write all that generators and judges are given of a table, unless it lies there; return what is public."""
    facts = folder / "facts.json"
    if facts.exists():
        return load(facts)
    folder.mkdir(parents=True, exist_ok=True)
    halves = split(replace(table, dropped=tuple(name for name in table.dropped if name != table.unit)), data)
    train, test = (one_of_each(half, table.unit) for half in (halves.train, halves.test))
    schema = public_schema(halves.train.drop(columns=table.unit or []), table)
    schema.to_yaml(folder / "schema.yaml")
    coding = Coding.of(schema, table.target)
    codes = coding.encode(train)
    written = {OWN: halves.train, "train": train, "test": test, "codes": codes, "binned": coding.decode(codes, 0)}
    for name, rows in written.items():
        rows.to_parquet(folder / f"{name}.parquet", index=False)
    sizes = {"rows": len(train), "test": len(test), "columns": train.shape[1]}
    save(facts, {**sizes, "target": table.target, "unit": table.unit, "levels": coding.levels, "notes": halves.notes})
    return load(facts)


def run(name: str, epsilon: float, seed: int, folder: Path, plan: Plan) -> Path:
    """Fit and draw in a process of its own, unless that was done; return where the figures are."""
    stem = folder / f"{name}-{epsilon:g}-{seed}".replace(".", "_")
    figures, drawn, codes = (stem.with_suffix(suffix) for suffix in (".json", ".parquet", ".codes.parquet"))
    if not figures.exists():
        say(f"{folder.name}: {name}, epsilon {epsilon:g}, seed {seed} ...")
        status = worked(name, epsilon, seed, stem, plan)
        if not figures.exists():
            run = {"generator": name, "epsilon": epsilon, "seed": seed, "status": status, "versions": {}, "notes": []}
            save(figures, run)
    if codes.exists() and not drawn.exists():
        coding = Coding.of(Schema.from_yaml(folder / "schema.yaml"), load(folder / "facts.json")["target"])
        coding.decode(pd.read_parquet(codes), seed).to_parquet(drawn, index=False)
    return figures


def worked(name: str, epsilon: float, seed: int, stem: Path, plan: Plan) -> str:
    """Run the worker; return how it ended, for the case that it left no figures."""
    budgets = ["--epsilon", str(epsilon), "--delta", str(plan.delta), "--budget", str(plan.budget)]
    interpreter = plan.peers_python if name in PEERS else plan.deep_python if name in DEEP else sys.executable
    arguments = [name, str(stem.parent), str(stem), *budgets, "--seed", str(seed)]
    arguments += ["--rows-per-unit", str(plan.rows_per_unit)]
    limit = 6 * plan.budget + 300  # for one that waits without working
    try:
        code = python("private_worker.py", *arguments, interpreter=interpreter, limit=limit)
    except subprocess.TimeoutExpired:
        return f"killed after {limit:.0f} s of wall time"
    return f"failed: exit status {code}"


def judge(halves: Halves, rows: pd.DataFrame) -> Figures:
    """Return the figures of some rows."""
    figures = marginals(halves.train, rows, halves.numeric)
    figures["tstr"] = utility(rows, halves.test, halves.numeric, halves.target)
    return {name: round(value, DIGITS) for name, value in figures.items()}


def judged(path: Path, halves: Halves) -> Figures:
    """Return the figures of a run, with those of what it drew."""
    figures, verdict, drawn = load(path), path.with_suffix(".judged"), path.with_suffix(".parquet")
    if figures["status"] == "ok" and not verdict.exists():
        save(verdict, judge(halves, halves.synthetic(str(drawn))))
    return figures | (load(verdict) if verdict.exists() else {})


def real(halves: Halves, folder: Path) -> dict[str, Figures]:
    """Return the figures of real rows: the training rows, the test rows, and the training rows by the public bins."""
    kept = folder / "real.judged"
    if not kept.exists():
        floor = judge(halves, halves.test)
        del floor["tstr"]  # what test rows score against themselves says nothing
        binned = judge(halves, halves.synthetic(str(folder / "binned.parquet")))
        save(kept, {REAL: judge(halves, halves.train), FLOOR: floor, BINNED: binned})
    return load(kept)


def measured(table: Table, plan: Plan) -> tuple[Figures, list[list[str]], list[Figures]]:
    """Do everything for one table; return what is public of it, its lines of the report, and its runs."""
    folder = plan.work / table.name
    facts = prepare(table, plan.data, folder)
    halves = Halves.read(folder / "train.parquet", folder / "test.parquet", table.target, table.categorical)
    lines = [line(table.name, "-", name, [figures]) for name, figures in real(halves, folder).items()]
    runs = []
    for epsilon, name, seed in plan.runs():
        runs.append(judged(run(name, epsilon, seed, folder, plan), halves))
        say(f"{table.name}: {name}, epsilon {epsilon:g}, seed {seed}: {summary(runs[-1])}")
    for epsilon in plan.epsilons:
        for name in plan.generators:
            of = [run for run in runs if (run["generator"], run["epsilon"]) == (name, epsilon)]
            lines.append(line(table.name, f"{epsilon:g}", name, of))
    return facts, lines, runs


def summary(figures: Figures) -> str:
    """A run in few words."""
    shown = {key: figures[key] for key in ("tv2", "tv3", "tstr", "fit_cpu_s") if key in figures}
    return ", ".join([figures["status"], *(f"{key} {value:.4g}" for key, value in shown.items())])


def line(table: str, epsilon: str, name: str, runs: list[Figures]) -> list[str]:
    """A line of the report: medians over the runs that went well, and how the others ended."""
    well = [run for run in runs if run.get("status", "ok") == "ok"]
    tstr = [run["tstr"] for run in well if "tstr" in run]
    span = f"{min(tstr):.3f} to {max(tstr):.3f}" if len(tstr) > 1 else "-"
    ill = sorted({run["status"] for run in runs if run.get("status", "ok") != "ok"})
    count = str(len(well)) if epsilon != "-" else "-"
    medians = [median(well, "tv2", ".4f"), median(well, "tv3", ".4f"), median(well, "tstr", ".3f")]
    return [table, epsilon, name, *medians, span, median(well, "fit_cpu_s", ".1f"), "; ".join([count, *ill])]


def median(runs: list[Figures], key: str, form: str) -> str:
    """The median of a figure, a dash where there is none."""
    values = [run[key] for run in runs if key in run]
    return format(statistics.median(values), form) if values else "-"


LEGEND = """\
Medians over runs. tv2, tv3: mean total variation of two- and three-way tables from those of the training rows, lower is
better; tstr: score of boosting trained on drawn and tested on real rows. FLOOR: the real test rows. Every generator is
given the same bins, made from the training half and taken for public, and draws as many rows as were learned. One
thread. Adjacency: add or remove one unit; synthvae and the controls are accounted by privacy loss distributions, MST
and AIM as their package does it, by zero-concentrated privacy. Noise is from the operating system's entropy, so that a
seed decides only what is drawn, not the noise."""


def markdown(plan: Plan, results: list[tuple[Figures, list[list[str]], list[Figures]]]) -> str:
    """Return the report."""
    lines = [line for _, lines, _ in results for line in lines]
    runs = [run for _, _, runs in results for run in runs]
    versions = {f"{name} {version}" for run in runs for name, version in run["versions"].items()}
    said = f"delta {plan.delta:g}; versions: {', '.join(sorted(versions))}."
    tables = [f"- {lines[0][0]}: {about(facts)}" for facts, lines, _ in results]
    names = dict.fromkeys(run["generator"] for run in runs)
    notes = [f"- {name}: {'; '.join(notes)}." for name in names if (notes := noted(runs, name))]
    return "\n\n".join(["# Private generators", LEGEND, said, grid(HEADS, lines), "\n".join([*tables, *notes])]) + "\n"


def noted(runs: list[Figures], name: str) -> list[str]:
    """What the runs of a generator say, once each."""
    return sorted({note for run in runs if run["generator"] == name for note in run["notes"]})


def about(facts: Figures) -> str:
    """What is to be said of a table."""
    sizes = f"{facts['rows']:,} training rows, {facts['test']:,} test rows, {facts['columns']} columns"
    unit = [f"unit {facts['unit']}: one row of each in both halves; {OURS} is given all and chooses itself"]
    return "; ".join([sizes, *(unit if facts["unit"] else []), *facts["notes"]]) + "."


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="synthvae under differential privacy, beside others.")
    parser.add_argument("--data", type=Path, required=True, help="the folder of the tables")
    parser.add_argument("--tables", nargs="+", choices=list(TABLES), default=["adult"], metavar="TABLE")
    names = list(GENERATORS)
    parser.add_argument("--generators", nargs="+", choices=names, default=names, metavar="GENERATOR")
    parser.add_argument("--epsilons", type=float, nargs="+", default=[1.0, 3.0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--peer-seeds", type=int, nargs="+", help="those of MST and AIM, if fewer will do")
    parser.add_argument("--delta", type=float, default=1e-5)
    parser.add_argument("--budget", type=float, default=3600.0, help="CPU-seconds of a fit")
    parser.add_argument("--rows-per-unit", type=int, default=1, help="how many of a person's rows synthvae may use")
    parser.add_argument("--work", type=Path, help="keep rows and figures here")
    parser.add_argument("--peers-python", type=Path, default=PEERS_PYTHON, help="interpreter of the peers' environment")
    parser.add_argument("--deep-python", type=Path, default=DEEP_PYTHON, help="interpreter of mostlyai's environment")
    parser.add_argument("-o", "--out", type=Path, default=Path("private.md"), help="the report")
    return parser.parse_args()


def main() -> None:
    """Measure in the work directory that was given, else in one that is removed."""
    options = parse()
    warnings.simplefilter("ignore")
    peer_seeds = options.peer_seeds or options.seeds
    with tempfile.TemporaryDirectory() as scratch:
        work = (options.work or Path(scratch)).resolve()
        asked = (options.generators, options.epsilons, options.seeds, peer_seeds, options.delta, options.budget)
        plan = Plan(options.data, work, *asked, options.rows_per_unit, options.peers_python, options.deep_python)
        results = [measured(TABLES[name], plan) for name in options.tables]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(markdown(plan, results))
    say(f"wrote {options.out}")


if __name__ == "__main__":
    main()
