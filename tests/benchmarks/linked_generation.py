"""Memory and rate of writing linked tables: python linked_generation.py [--subjects 25000 100000] [--rows 20]
    [--workers 1] [--max-steps 200].

Fabricated subjects with about so many rows each are learned from 2,000 of them, and written in as many subjects as
stated, each time by a new process. Prints the seconds, the rows per second, the number of parts, and the largest
resident memory of a process that draws, in MiB; it must not grow with the number of subjects.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from synthvae.relational import Database, DatabaseSynthesizer

LEARNED = 2000


def fabricated(rows: int) -> Database:
    """Subjects with `rows` visits on average."""
    rng = np.random.default_rng(0)
    subjects = pd.DataFrame({"subject": range(LEARNED), "sex": rng.choice(["f", "m"], LEARNED)})
    subjects["age"] = rng.integers(20, 90, LEARNED)
    owner = np.repeat(np.arange(LEARNED), rng.integers(rows // 2, rows + rows // 2 + 1, LEARNED))
    visits = pd.DataFrame({"visit": np.arange(len(owner)), "subject": owner})
    visits["day"] = rng.integers(0, 40, len(owner))
    visits["day"] = visits.groupby("subject")["day"].cumsum()
    visits["ward"] = rng.choice(["surgery", "medicine", "eye"], len(owner), p=[0.5, 0.4, 0.1])
    visits["weight"] = np.round(70 + 10 * rng.normal(size=LEARNED)[owner] + rng.normal(size=len(owner)), 1)
    return Database(
        tables={"subjects": subjects, "visits": visits},
        primary_keys={"subjects": "subject", "visits": "visit"},
        foreign_keys=[("visits", "subject", "subjects", "subject")],
        order={"visits": "day"},
    )


def write(model: str, out: str, subjects: int, workers: int) -> None:
    """Write linked tables, and print what it took; the process that does is measured."""
    synthesizer = DatabaseSynthesizer.load(model, device="cpu")
    began = time.perf_counter()
    manifest = synthesizer.generate(out, subjects=subjects, workers=workers, random_state=0)
    who = resource.RUSAGE_SELF if workers == 1 else resource.RUSAGE_CHILDREN
    found = {
        "seconds": time.perf_counter() - began,
        "rows": sum(table["rows"] for table in manifest["tables"].values()),
        "parts": sum(part["file"].startswith("visits/") for part in manifest["parts"]),
        "MiB": resource.getrusage(who).ru_maxrss / 1024,
    }
    print(json.dumps(found))


def main() -> None:
    """Measure each number of subjects."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", type=int, nargs="+", default=[25_000, 100_000])
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--max-steps", type=int, default=200)
    parser.add_argument("--write", nargs=2, metavar=("MODEL", "OUT"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.write:
        model, out = given.write
        write(model, out, given.subjects[0], given.workers)
        return
    with tempfile.TemporaryDirectory() as folder:
        fitted = DatabaseSynthesizer(fabricated(given.rows), max_steps=given.max_steps, random_state=0).fit()
        fitted.save(Path(folder, "model"))
        print(f"{'subjects':>10}{'rows':>12}{'parts':>7}{'seconds':>9}{'rows/s':>9}{'MiB':>7}", flush=True)
        for subjects in given.subjects:
            place = [str(Path(folder, "model")), str(Path(folder, f"out-{subjects}"))]
            options = ["--subjects", str(subjects), "--workers", str(given.workers), "--write", *place]
            run = subprocess.run([sys.executable, __file__, *options], stdout=subprocess.PIPE, check=True)
            found = json.loads(run.stdout)
            rate = found["rows"] / found["seconds"]
            print(
                f"{subjects:>10,}{found['rows']:>12,}{found['parts']:>7}{found['seconds']:>9.0f}{rate:>9,.0f}"
                f"{found['MiB']:>7.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
