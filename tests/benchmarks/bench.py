"""How good and how costly synthvae is beside other generators, on many tables: one command, one report.

    python bench.py --data DIR [--tables adult pima] [--generators synthvae cart] [--seeds 0 1 2] [--peer-seeds 0]
                    [--budget 600] [--rows CAP] [--peers-python PYTHON] [--work DIR] [--again NAME ...]
                    [--before CHECKOUT] [--judge judge.py] [-o docs/benchmarks.md]

Every fit is a process of its own with one thread (`worker.py`); every synthetic table is judged by `yardstick.py`. With
`--work`, runs whose figures lie there are not repeated, except those of the generators named by `--again` and those
that timed out under a smaller budget. With `--judge`, a judge of your own judges the same files, and a figure that
differs is an error. With `--before`, an earlier version, of a checkout in another folder, is a generator, too: with the
seeds of the others, its runs take turns with ours, and the report has the ratios of the costs. The report is the page
of the documentation unless `-o` names another file; two charts of fidelity against cost lie in `pictures` beside it.
Compare costs only when they come from the same, otherwise idle, machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import charts
from generators import BEFORE, EFFORTS, GENERATORS, PEERS
from halves import FLOOR
from report import OURS, Result, markdown
from tables import TABLES, Table, split

HERE = Path(__file__).parent
PEERS_PYTHON = HERE.parents[1] / ".venv-peers" / "bin" / "python"
PAGE = HERE.parents[1] / "docs" / "benchmarks.md"
TOLERANCE = 2e-4  # two figures rounded to four places

# One core for everybody: BLAS, OpenMP, joblib's pools; and no accelerator.
ONE_CORE = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "LOKY_MAX_CPU_COUNT": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "CUDA_VISIBLE_DEVICES": "",
}

Figures = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What the command line asks for."""

    data: Path
    work: Path
    generators: list[str]
    seeds: list[int]
    peer_seeds: list[int]
    budget: float
    rows: int | None
    peers_python: Path
    again: list[str]
    before: Path | None

    def of(self, seed: int) -> list[str]:
        """Ours, and the version before if it is asked for with this seed: they take turns."""
        asked = {OURS} | ({BEFORE} if seed in self.peer_seeds else set())
        return [name for name in self.generators if name in asked]

    def folder(self, table: Table) -> Path:
        """Where a table's halves and runs are; another cap is another folder."""
        folder = self.work / (table.name if self.rows is None else f"{table.name}-{self.rows}")
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def say(line: str) -> None:
    """Write a line of progress."""
    print(line, file=sys.stderr, flush=True)


def python(
    script: str,
    *arguments: str,
    interpreter: Path | str = sys.executable,
    limit: float | None = None,
    package: Path | None = None,
) -> int:
    """Run a script of this folder with one thread, its output on stderr; return its exit status.

    It imports synthvae from the checkout `package`, if one is given.
    """
    command = [str(interpreter), str(HERE / script), *arguments]
    env = os.environ | ONE_CORE | ({} if package is None else {"PYTHONPATH": str(package)})
    return subprocess.run(command, check=False, env=env, stdout=sys.stderr, timeout=limit).returncode


def load(path: Path) -> Figures:
    """Read figures."""
    figures: Figures = json.loads(path.read_text())
    return figures


def save(path: Path, figures: Figures) -> None:
    """Write figures, whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(figures, indent=1) + "\n")
    part.replace(path)


def prepare(table: Table, plan: Plan) -> Figures:
    """Write the halves of a table, unless they lie there; return what is to be said of them."""
    folder = plan.folder(table)
    facts = folder / "halves.json"
    if not facts.exists():
        halves = split(table, plan.data, plan.rows)
        halves.train.to_parquet(folder / "train.parquet", index=False)
        halves.test.to_parquet(folder / "test.parquet", index=False)
        sizes = {"train": len(halves.train), "test": len(halves.test), "columns": halves.train.shape[1]}
        save(facts, sizes | {"notes": halves.notes})
    return load(facts)


def is_kept(path: Path, budget: float) -> bool:
    """Whether a run need not be repeated; one that ran out of a smaller budget has another chance."""
    if not path.exists():
        return False
    run = load(path)
    return run["budget"] >= budget or not run["status"].startswith(("timed out", "killed"))


def run(name: str, seed: int, table: Table, plan: Plan) -> Path:
    """Fit and draw in a process of its own, unless that was done; return where the figures are."""
    stem = plan.folder(table) / f"{name}-{seed}"
    figures = stem.with_suffix(".json")
    if name not in plan.again and is_kept(figures, plan.budget):
        say(f"{table.name}: {name}, seed {seed}: kept")
        return figures
    for suffix in (".json", ".parquet", ".judged"):
        stem.with_suffix(suffix).unlink(missing_ok=True)
    say(f"{table.name}: {name}, seed {seed} ...")
    status = worked(name, seed, table, plan, stem)
    if not figures.exists():
        save(figures, {"generator": name, "seed": seed, "budget": plan.budget, "status": status, "notes": []})
    done = load(figures)
    say(f"{table.name}: {name}, seed {seed}: {done['status']}, {done.get('fit_cpu_s', float('nan')):.1f} CPU-s")
    return figures


def worked(name: str, seed: int, table: Table, plan: Plan, stem: Path) -> str:
    """Run the worker; return how it ended, for the case that it left no figures."""
    # The worker keeps its budget of CPU-seconds itself; this limit is for one that waits without working.
    limit = 6 * plan.budget + 300
    options = ["--target", table.target, "--seed", str(seed), "--budget", str(plan.budget)]
    interpreter = plan.peers_python if name in PEERS else sys.executable
    command = ("worker.py", name, str(stem.with_name("train.parquet")), str(stem), *options)
    package = plan.before if name == BEFORE else None
    try:
        code = python(*command, interpreter=interpreter, limit=limit, package=package)
    except subprocess.TimeoutExpired:
        return f"killed after {limit:.0f} s of wall time"
    return f"failed: exit status {code}"


def judging(table: Table) -> list[str]:
    """What a judge must know of a table."""
    return ["--target", table.target, "--categorical", ",".join(table.categorical)]


def judge(table: Table, plan: Plan, runs: list[Path]) -> Figures:
    """Judge what is not judged yet; return the figures of the real rows."""
    folder = plan.folder(table)
    real, verdicts = folder / "real.judged", folder / "verdicts.json"
    drawn = [path.with_suffix(".parquet") for path in runs if load(path)["status"] == "ok"]
    pending = [str(path) for path in drawn if not path.with_suffix(".judged").exists()]
    pending += [] if real.exists() else [FLOOR]
    if pending:
        say(f"{table.name}: judging {len(pending)} tables ...")
        halves = [str(folder / "train.parquet"), str(folder / "test.parquet")]
        if python("yardstick.py", *halves, *pending, *judging(table), "--json", str(verdicts)):
            raise RuntimeError(f"the tables of {table.name} could not be judged")
        judged = load(verdicts)
        for name in pending:
            save(real, judged) if name == FLOOR else save(Path(name).with_suffix(".judged"), judged[name])
    whole = load(real)
    return {"trtr": whole["trtr"], **whole[FLOOR]}


def gathered(path: Path) -> Figures:
    """Return the figures of a run with its metrics."""
    figures, judged = load(path), path.with_suffix(".judged")
    if not judged.exists():
        return figures
    metrics = load(judged)
    if "error" in metrics:
        return figures | {"status": f"not judged: {metrics['error']}"}
    return figures | metrics


def differences(table: Table, plan: Plan, script: Path, result: Result) -> list[str]:
    """Let another judge judge the same files; return the figures in which it differs from ours."""
    folder = plan.folder(table)
    ours = {str(folder / f"{run['generator']}-{run['seed']}.parquet"): run for run in result.runs if "trend" in run}
    ours[FLOOR] = result.real
    say(f"{table.name}: another judge judges {len(ours)} tables ...")
    halves = [str(folder / "train.parquet"), str(folder / "test.parquet")]
    verdicts = folder / "other.json"
    options = [*judging(table), "--full", "--json", str(verdicts)]
    if python(str(script.resolve()), *halves, *ours, *options):
        return [f"{table.name}: the other judge failed"]
    theirs = load(verdicts)
    found = [] if close(theirs["trtr"], result.real["trtr"]) else [f"{table.name}: trtr"]
    for name, figures in ours.items():
        metrics = {key: value for key, value in theirs[name].items() if key != "seconds"}
        wrong = [key for key, value in metrics.items() if not close(value, figures.get(key, float("inf")))]
        found += [f"{table.name}: {Path(name).stem} {key}: {figures.get(key)}, {metrics[key]}" for key in wrong]
    return found


def close(first: float, second: float) -> bool:
    """Whether two rounded figures are the same; NaN is the same as NaN."""
    return abs(first - second) <= TOLERANCE or (first != first and second != second)  # noqa: PLR0124 - NaN


def measured(table: Table, plan: Plan) -> Result:
    """Do everything for one table."""
    facts = prepare(table, plan)
    others = [name for name in plan.generators if name not in (OURS, BEFORE)]
    turns = [(name, seed) for seed in plan.seeds for name in plan.of(seed)]
    turns += [(name, seed) for name in others for seed in plan.peer_seeds]
    runs = [run(name, seed, table, plan) for name, seed in turns]
    real = judge(table, plan, runs)
    return Result(table.name, facts, real, [gathered(path) for path in runs])


def measured_all(tables: list[Table], plan: Plan, other: Path | None) -> tuple[list[Result], list[str]]:
    """Do everything for all tables; return the results and what went wrong in judging."""
    results, wrong = [], []
    for table in tables:
        try:
            results.append(measured(table, plan))
        except RuntimeError as error:  # the runs are kept: the other tables still get theirs
            wrong.append(str(error))
        else:
            wrong += differences(table, plan, other, results[-1]) if other else []
    return results, wrong


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="synthvae beside other generators, on many tables.")
    parser.add_argument("--data", type=Path, required=True, help="the folder of the tables")
    parser.add_argument("--tables", nargs="+", choices=list(TABLES), default=list(TABLES), metavar="TABLE")
    names = [*(name for name in GENERATORS if name != BEFORE), FLOOR]
    usual = [name for name in names if name not in EFFORTS]
    parser.add_argument("--generators", nargs="+", choices=names, default=usual, metavar="GENERATOR")
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="the folder of an earlier version")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--peer-seeds", type=int, nargs="+", help="those of the others, if fewer will do")
    parser.add_argument("--budget", type=float, default=600.0, help="CPU-seconds of a fit")
    parser.add_argument("--rows", type=int, help="at most as many training rows")
    parser.add_argument("--peers-python", type=Path, help="interpreter of the peers' environment")
    parser.add_argument("--work", type=Path, help="keep rows and figures here")
    parser.add_argument(
        "--again", nargs="+", default=[], choices=[*names, BEFORE], metavar="GENERATOR", help="repeat its runs"
    )
    parser.add_argument("--judge", type=Path, help="another judge, which must agree with ours")
    parser.add_argument("-o", "--out", type=Path, default=PAGE, help="the report")
    return parser.parse_args()


def planned(options: argparse.Namespace, work: Path) -> Plan:
    """Return the plan of a command line."""
    peers_python = options.peers_python or (PEERS_PYTHON if PEERS_PYTHON.exists() else Path(sys.executable))
    before = options.before.resolve() if options.before else None
    generators = [*([BEFORE] if before else []), *(name for name in options.generators if name != FLOOR)]
    peer_seeds = options.peer_seeds or options.seeds
    asked = (generators, options.seeds, peer_seeds, options.budget, options.rows, peers_python, options.again)
    return Plan(options.data, work.resolve(), *asked, before)


def main() -> None:
    """Measure in the work directory that was given, else in one that is removed."""
    options = parse()
    with tempfile.TemporaryDirectory() as scratch:
        plan = planned(options, options.work or Path(scratch))
        results, wrong = measured_all([TABLES[name] for name in options.tables], plan, options.judge)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    pictures = charts.draw(results, options.out) if results else []
    left_out = [name for name in TABLES if name not in options.tables]
    settings = {
        "tables": f"{len(options.tables)} of {len(TABLES)}; not measured: {', '.join(left_out) or 'none'}",
        "seeds": ", ".join(map(str, plan.seeds)),
        "seeds of the others": ", ".join(map(str, plan.peer_seeds)),
        "budget": f"{plan.budget:.0f} CPU-s a fit",
        "cap": plan.rows or "none",
    }
    options.out.write_text(markdown(results, settings, pictures))
    say(f"wrote {options.out}")
    if wrong:
        sys.exit("\n".join(["bench: not judged, or judged otherwise (ours, the other):", *wrong]))


if __name__ == "__main__":
    main()
