"""Memory and time of `synthvae fit` on tables that are larger than what it may hold: Adult by repetition with noise.

    python out_of_core.py --data DIR --work DIR [--rows 2e6 10e6 50e6] [--steps 500] [--json FILE]

Twenty columns: Adult's fifteen, the final weight with noise, and five continuous ones that hang on them. Each fit is a
process of its own; its peak of resident memory is what the system says of it (`wait4`), files that are mapped included.
Stages are measured in CPU-seconds of all threads. Prints Markdown, and writes the same as JSON, which `drawn.py` draws.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from report import grid
from tables import TABLES, load

GROUP = 500_000
TIMED = """
import sys, time
import synthvae.synthesizer.local_backend, synthvae.training.shards, synthvae.tables.sampling
def timed(owner, name, label):
    inner = getattr(owner, name)
    plain = getattr(inner, "__func__", inner)
    def outer(*args, **kwargs):
        start = time.process_time()
        try:
            return plain(*args, **kwargs)
        finally:
            print(f"{label} {time.process_time() - start:.1f}", file=sys.stderr)
    setattr(owner, name, classmethod(outer) if hasattr(inner, "__func__") else outer)
timed(synthvae.tables.sampling.Survey, "from_batches", "survey")
timed(synthvae.training.shards.Shards, "write", "encode")
timed(synthvae.synthesizer.local_backend, "train", "train")
from synthvae.cli.main import app
app(sys.argv[1:])
"""


def write(adult: pd.DataFrame, path: Path, rows: int) -> None:
    """Write rows drawn from Adult, with noise, group by group."""
    rng, writer = np.random.default_rng(0), None
    for start in range(0, rows, GROUP):
        table = adult.iloc[rng.integers(len(adult), size=min(GROUP, rows - start))].reset_index(drop=True)
        table["fnlwgt"] += rng.integers(-3000, 3000, len(table))
        for place in range(5):
            noise = rng.gamma(2 + place, size=len(table))
            table[f"x{place}"] = (table["age"] * noise + 10 * place * table["education_num"]).round(2)
        arrow = pa.Table.from_pandas(table, preserve_index=False)
        writer = writer or pq.ParquetWriter(path, arrow.schema, compression="zstd")
        writer.write_table(arrow, row_group_size=GROUP)
    assert writer is not None
    writer.close()


def fit(path: Path, steps: int) -> dict[str, float]:
    """Fit in a process, and return seconds, CPU-seconds in all and of each stage, and the peak of memory in GiB."""
    config = path.with_suffix(".yaml")
    config.write_text(f"max_steps: {steps}\n", encoding="utf-8")
    words = ["fit", path, "--target", "income", "--config", config, "--seed", 0, "-q", "--overwrite"]
    words += ["-o", path.with_suffix(".model")]
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", TIMED, *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    told = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0, told
    stages = {line.split()[0]: float(line.split()[1]) for line in told.splitlines() if len(line.split()) == 2}
    facts = {"seconds": time.monotonic() - start, "CPU-s": used.ru_utime + used.ru_stime, "GiB": used.ru_maxrss / 2**20}
    return facts | stages


def main() -> None:
    """Print a table with a row for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rows", type=float, nargs="+", default=[2e6, 10e6, 50e6])
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    adult, found = load(TABLES["adult"], asked.data), []
    for rows in map(int, asked.rows):
        path = asked.work / f"{rows}.parquet"
        if not path.exists():
            write(adult, path, rows)
        line = {"rows": rows, "file, GiB": path.stat().st_size / 2**30, **fit(path, asked.steps)}
        print(line, file=sys.stderr)
        found.append(line)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(grid(list(found[0]), [[f"{value:,.2f}".removesuffix(".00") for value in line.values()] for line in found]))


if __name__ == "__main__":
    main()
