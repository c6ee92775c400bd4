"""Fidelity and cost on Adult: synthvae beside ctgan's TVAE and an honest copy.

Measured, per generator, median over seeds: the judge's errors (shape, trend, TSTR,
detection AUC against train and test, copies, nearest-record share), the CPU-seconds of
fitting 32,561 rows, the rows drawn per CPU-second (200,000 rows) and the peak resident
memory. Every run is a process of its own with one thread. FLOOR is the real test half.

    python adult.py --data DIR --judge judge.py [--peer-python PYTHON] [--work DIR]

DIR holds adult.csv.gz. PYTHON is the interpreter of an environment with ctgan. A peer's
result that lies in the work directory already is used again; ours are always measured
anew. Compare costs only when they come from the same, otherwise idle, machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

WORKER = Path(__file__).with_name("adult_worker.py")

# One core for everybody: BLAS, OpenMP, ctgan's joblib pool; and no accelerator.
ONE_CORE = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "LOKY_MAX_CPU_COUNT": "1",
    "CUDA_VISIBLE_DEVICES": "",
}

JUDGED = ("shape", "trend", "tstr", "c2st_train", "c2st_test", "copies", "dcr")
COSTS = ("fit_cpu_s", "rows_per_cpu_s", "peak_rss_mib")
FORMATS = {
    "shape": ".2f",
    "trend": ".2f",
    "fit_cpu_s": ".1f",
    "rows_per_cpu_s": ",.0f",
    "peak_rss_mib": ",.0f",
}

Row = dict[str, float]


@dataclass(frozen=True)
class Bar:
    """A limit that a measure has to keep; `value` is None where it was not measured."""

    measure: str
    value: float | None
    relation: str
    limit: float | None

    @property
    def holds(self) -> bool | None:
        """Whether the limit is kept; None where that cannot be said."""
        if self.value is None or self.limit is None:
            return None
        return self.value <= self.limit if self.relation == "<=" else self.value >= self.limit


def work_out(python: Path | str, task: str, table: Path, work: Path, seed: int = 0) -> None:
    """Run one task of the worker in a process of its own."""
    command = [str(python), str(WORKER), task, str(table), str(work), "--seed", str(seed)]
    subprocess.run(command, check=True, env=os.environ | ONE_CORE)


def measured(name: str, seed: int, work: Path) -> dict[str, Any] | None:
    """Return what the worker left, or None where no whole run lies there."""
    result = work / f"{name}-{seed}.json"
    if not result.exists():
        return None
    figures: dict[str, Any] = json.loads(result.read_text())
    return figures


def run_ours(seeds: list[int], table: Path, work: Path) -> list[dict[str, Any]]:
    """Measure synthvae under this interpreter, once a seed."""
    for seed in seeds:
        (work / f"synthvae-{seed}.json").unlink(missing_ok=True)
        work_out(sys.executable, "synthvae", table, work, seed)
    return [run for seed in seeds if (run := measured("synthvae", seed, work))]


def run_peer(python: Path | None, seeds: list[int], table: Path, work: Path) -> list[dict[str, Any]]:
    """Measure TVAE where an interpreter is given and no earlier result lies there."""
    for seed in seeds:
        if python and not measured("tvae", seed, work):
            work_out(python, "tvae", table, work, seed)
    return [run for seed in seeds if (run := measured("tvae", seed, work))]


def judge(script: Path, runs: list[dict[str, Any]], work: Path) -> dict[str, Any]:
    """Return the judge's figures by name of the synthetic table, FLOOR included."""
    verdict = work / "judged.json"
    tables = [synthetic(run, work) for run in runs]
    halves = [str(work / "train.parquet"), str(work / "test.parquet")]
    options = ["--target", "income", "--full", "--json", str(verdict)]
    command = [sys.executable, str(script), *halves, *tables, "FLOOR", *options]
    subprocess.run(command, check=True, env=os.environ | ONE_CORE, stdout=sys.stderr)
    figures: dict[str, Any] = json.loads(verdict.read_text())
    return figures


def synthetic(run: dict[str, Any], work: Path) -> str:
    """Return the path of the rows that a run drew."""
    return str(work / f"{run['generator']}-{run['seed']}.parquet")


def medians(runs: list[dict[str, Any]], judged: dict[str, Any], work: Path) -> Row:
    """Return the median over seeds of every measure of one generator."""
    whole = [run | judged[synthetic(run, work)] for run in runs]
    return {key: statistics.median(run[key] for run in whole) for key in JUDGED + COSTS}


def ratios(ours: Row, peer: Row | None) -> dict[str, float | None]:
    """Return our costs over the peer's, None without a peer."""
    keys = ("fit_cpu_s", "rows_per_cpu_s")
    return {f"{key} ours/TVAE": ours[key] / peer[key] if peer else None for key in keys}


def bars(ours: Row, floor: Row, costs: dict[str, float | None]) -> list[Bar]:
    """Return the limits that synthvae set itself on this table."""
    limits = [("shape", "<=", 0.50), ("trend", "<=", 1.10), ("tstr", ">=", 0.912)]
    limits += [("c2st_train", "<=", 0.515), ("c2st_test", "<=", 0.53)]
    limits += [("copies", "<=", floor["copies"])]
    fidelity = [Bar(key, ours[key], relation, limit) for key, relation, limit in limits]
    fit, sampling = costs.items()
    return [*fidelity, Bar(*fit, "<=", 1 / 5), Bar(*sampling, ">=", 4.0)]


def cell(key: str, value: float | None) -> str:
    """Write one figure, a dash where there is none."""
    return "-" if value is None else format(value, FORMATS.get(key, ".4f"))


def markdown(heads: list[str], lines: list[list[str]]) -> str:
    """Return a Markdown table."""
    rule = ["---"] * len(heads)
    return "\n".join("| " + " | ".join(line) + " |" for line in [heads, rule, *lines])


def fidelity_table(rows: dict[str, Row]) -> str:
    """Return the table of the generators."""
    keys = [*JUDGED, *COSTS]
    lines = [[name, *(cell(key, row.get(key)) for key in keys)] for name, row in rows.items()]
    return markdown(["generator", *keys], lines)


def bar_table(limits: list[Bar]) -> str:
    """Return the table of the bars."""
    answers = {True: "yes", False: "NO", None: "not measured"}
    lines = [
        [bar.measure, cell("", bar.value), bar.relation, cell("", bar.limit), answers[bar.holds]] for bar in limits
    ]
    return markdown(["bar", "measured", "", "limit", "holds"], lines)


def report(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Run everything, print the tables, return all the figures."""
    table = options.data / "adult.csv.gz"
    work_out(sys.executable, "split", table, work)
    peers = run_peer(options.peer_python, options.peer_seeds, table, work)
    own = run_ours(options.seeds, table, work)
    judged = judge(options.judge, own + peers, work)
    ours = medians(own, judged, work)
    peer = medians(peers, judged, work) if peers else None
    costs = ratios(ours, peer)
    limits = bars(ours, judged["FLOOR"], costs)
    rows = {"synthvae": ours} | ({"TVAE": peer} if peer else {}) | {"FLOOR": judged["FLOOR"]}
    print(fidelity_table(rows))
    print(f"\nTSTR of the real training rows: {judged['trtr']}\n")
    print(*(f"{name}: {cell(name, value)}" for name, value in costs.items()), sep="\n")
    print(f"\n{bar_table(limits)}")
    verdicts = [asdict(bar) | {"holds": bar.holds} for bar in limits]
    return {"runs": own + peers, "judged": judged, "ratios": costs, "bars": verdicts}


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Fidelity and cost on Adult.")
    parser.add_argument("--data", type=Path, required=True, help="where adult.csv.gz lies")
    parser.add_argument("--judge", type=Path, required=True, help="the judge's script")
    parser.add_argument("--peer-python", type=Path, help="interpreter that has ctgan")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--peer-seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--work", type=Path, help="keep rows and figures here")
    parser.add_argument("--json", type=Path, help="write every figure here")
    return parser.parse_args()


def main() -> None:
    """Measure in the work directory that was given, else in one that is removed."""
    options = parse()
    with tempfile.TemporaryDirectory() as scratch:
        work = options.work or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        figures = report(options, work)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
